"""Dense layers in a row, in one compiled call, for networks so small that calls would be half of the work.

It is what `nn/layers.py` says of one layer after the other, with the same loops for the activations
(`compiled.py`) and the same tiles (`tile.py`); but nothing is copied first, as `gemm.py` does with B: that
would be the other half.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels.compiled import TWINS, cross_entropy_of_codes
from glassnet.kernels.gemm import narrow_tiles, strip, tiles
from glassnet.kernels.jit import jit
from glassnet.kernels.memory import array_at, pointer_to
from glassnet.kernels.team import LONG
from glassnet.kernels.tile import BYTES, TALL, WIDEST

__all__ = [
    "backward_through", "forward_through", "gradient_through", "outputs_of", "rows_of_chain", "table_of",
]  # fmt: skip

Array = npt.NDArray[Any]
_ACTIVATIONS = ("identity", "relu", "sigmoid", "tanh")  # f' of each is known from its output
_identity, _relu, _sigmoid, _tanh = (TWINS[name] for name in _ACTIVATIONS)
_W, _B, _DW, _DB, _A, _DX, _INPUTS, _UNITS, _ACTIVATION = range(9)  # columns of the table


def rows_of_chain(widths: list[int], activations: list[str], dtype: np.dtype[Any]) -> range:
    """The numbers of rows that go through such layers in one call, and faster so; none if it cannot be.

    A tile is TALL rows of a batch, or of a gradient, which has one for each input; larger products than these
    are shared out to a team, or belong to the BLAS (`compiled.product`).

    Parameters
    ----------
    widths : number of inputs, then of the units of each layer
    activations : their names; each of the four that are known makes the compiled loops longer
    """
    (*inputs, _), products = widths, [I * O for I, O in itertools.pairwise(widths)]  # noqa: E741
    known = set(activations) <= set(_ACTIVATIONS)
    if BYTES == 0 or dtype.char not in "fd" or min(inputs) < TALL or not known:
        return range(0)
    return range(TALL, 8 * LONG // max(products) + 1)


def table_of(layers: list[dict[str, Any]]) -> Array:
    """Where the arrays of each layer are, how wide it is, and its activation: one row of numbers each.

    Parameters
    ----------
    layers : W (I, O), b, db (O), dW (I, O), A (B, O), and dX (B, I) or None, without gaps, with the name f of
        its activation; they must stay alive as long as the table is used
    """
    table = np.zeros((len(layers), 9), np.int64)
    for row, layer in zip(table, layers, strict=True):
        for column, name in ((_W, "W"), (_B, "b"), (_DW, "dW"), (_DB, "db"), (_A, "A"), (_DX, "dX")):
            row[column] = 0 if layer[name] is None else layer[name].ctypes.data
        row[_INPUTS], row[_UNITS] = layer["W"].shape
        row[_ACTIVATION] = _ACTIVATIONS.index(layer["f"])
    return table


@jit
def forward_through(table: Array, X: Array) -> None:
    """A = f(X W + b) of each layer, X being A of the one before."""
    size, rows = X.itemsize, len(X)
    x, x_row, x_k = np.int64(X.ctypes.data), X.strides[0], X.strides[1]
    for layer in table:
        units = layer[_UNITS]
        _product(X[0, 0], size, x, x_row, x_k, rows, layer[_INPUTS], layer[_W], units, layer[_A])
        _bias_act(
            layer[_ACTIVATION],
            array_at(pointer_to(layer[_A], X), (rows, units)),
            array_at(pointer_to(layer[_B], X), (units,)),
        )
        x, x_row, x_k = layer[_A], units * size, size


@jit
def backward_through(table: Array, X: Array, dA: Array) -> None:
    """dW, db (and dX) of each layer, from dA of the last one, which becomes its dZ."""
    size, rows = X.itemsize, len(X)
    da = np.int64(dA.ctypes.data)  # with an unsigned one Numba would make floats of them
    for number in range(len(table) - 1, -1, -1):
        layer = table[number]
        inputs, units = layer[_INPUTS], layer[_UNITS]
        _act_grad(
            layer[_ACTIVATION],
            array_at(pointer_to(da, X), (rows, units)),
            array_at(pointer_to(layer[_A], X), (rows, units)),
            array_at(pointer_to(layer[_DB], X), (units,)),
        )
        x, x_row, x_k = np.int64(X.ctypes.data), X.strides[0], X.strides[1]
        if number:
            x, x_row, x_k = table[number - 1][_A], inputs * size, size
        _product(X[0, 0], size, x, x_k, x_row, inputs, rows, da, units, layer[_DW])
        if layer[_DX]:
            W = array_at(pointer_to(layer[_W], X), (inputs, units))
            across = np.empty((units, inputs), X.dtype)
            for i in range(inputs):  # W.T, its rows without gaps
                for j in range(units):
                    across[j, i] = W[i, j]
            w = np.int64(across.ctypes.data)
            _product(X[0, 0], size, da, units * size, size, rows, units, w, inputs, layer[_DX])
            across[0, 0] = 0  # an address alone would not keep it alive
            da = layer[_DX]


@jit
def gradient_through(
    table: Array, X: Array, y: Array, w: Array, smoothing: float, scale: float, dZ: Array
) -> float:  # fmt: skip
    """Forward, the softmax's cross-entropy with codes y (see `nn/losses.py`), which is returned, backward."""
    forward_through(table, X)
    loss: float = cross_entropy_of_codes(outputs_of(table, X), y, w, smoothing, scale, dZ)
    backward_through(table, X, dZ)
    return loss


@jit
def outputs_of(table: Array, X: Array) -> Any:
    """(B, O) of the last layer, where they are."""
    last = table[len(table) - 1]
    return array_at(pointer_to(last[_A], X), (len(X), last[_UNITS]))


@jit
def _bias_act(activation: int, A: Array, b: Array) -> None:  # as _ACTIVATIONS are numbered
    if activation == 0:
        _identity.bias_act_in_place(A, b)
    elif activation == 1:
        _relu.bias_act_in_place(A, b)
    elif activation == 2:
        _sigmoid.bias_act_in_place(A, b)
    else:
        _tanh.bias_act_in_place(A, b)


@jit
def _act_grad(activation: int, dA: Array, A: Array, db: Array) -> None:
    if activation == 0:
        _identity.act_grad(dA, A, db)
    elif activation == 1:
        _relu.act_grad(dA, A, db)
    elif activation == 2:
        _sigmoid.act_grad(dA, A, db)
    else:
        _tanh.act_grad(dA, A, db)


@jit
def _product(
    like: float, size: int, a: int, a_row: int, a_k: int, M: int, K: int, b: int, N: int, out: int
) -> None:
    """out (M, N) = A (M, K) @ B (K, N) by their addresses; the rows of B and out follow each other.

    Strips of columns, as equally wide as whole vectors can be; the last vector may have fewer columns.
    """
    lanes, row = BYTES // size, N * size
    in_row = (N + lanes - 1) // lanes  # vectors
    strips = (in_row + WIDEST - 1) // WIDEST
    for s in range(strips):
        first, vectors = strip(s, strips, in_row, lanes)
        start, in_last = first * size, min(lanes, N - first - (vectors - 1) * lanes)
        n, m, left = M // TALL, 0, M % TALL
        while n > 0:
            _column(
                vectors, in_last == lanes, like, n, a + m * a_row, a_row, a_k, b + start, row,
                out + m * row + start, row, K, in_last,
            )  # fmt: skip
            n, m, left = min(left, 1), M - TALL, 0  # of the last rows some are done twice


@jit
def _column(
    vectors: int, whole: bool, like: float, n: int, a: int, a_row: int, a_k: int, b: int, b_k: int, c: int,
    c_row: int, n_k: int, in_last: int,
) -> None:  # fmt: skip
    if whole:
        tiles(vectors, like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, True)
    else:
        narrow_tiles(vectors, like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, True, in_last)
