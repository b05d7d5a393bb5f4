"""What cannot be a network, said before there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError, unknown_name
from glassnet.nn.layers import Activate, Dense, Layer
from glassnet.nn.losses import Loss, SoftmaxCrossEntropy
from glassnet.nn.numbers import whole
from glassnet.nn.own_loss import check_loss

__all__ = [
    "MATMUL_PRECISIONS",
    "as_array",
    "check_batch",
    "check_end",
    "check_network",
    "check_precision",
    "check_width",
]

Array = npt.NDArray[Any]
DTYPES = ("float32", "float64")
MATMUL_PRECISIONS = ("full", "bfloat16")


def check_network(layers: Sequence[Any], n_inputs: Any, dtype: npt.DTypeLike, seed: Any) -> tuple[int, int]:
    """Refuse what `Network` was given where it makes no sense.

    Returns
    -------
    n_inputs and seed as Python's own numbers: NumPy's small ones overflow, and a file cannot hold them

    Raises
    ------
    InputError : says what is wrong, and what would be right
    """
    if not isinstance(layers, Sequence):
        raise InputError(f"a network is made of a list of layers, such as [Dense(10)], not of {layers!r}")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise InputError(f"a network is made of layers such as Dense(10), not {layer!r}")
    if not layers:
        raise InputError("a network needs at least one layer")
    wholes = whole("n_inputs", n_inputs), whole("seed", seed, least=0)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise unknown_name("dtype", dtype, DTYPES) from None
    if kind not in (np.float32, np.float64):
        raise InputError(f"dtype must be float32 or float64, not {kind}")
    return wholes


def as_array(name: str, values: Any) -> Array:
    """What somebody gave for an array, as one; rows of different lengths are an InputError."""
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must be an array, but its rows are of different lengths") from None


def check_end(last: Layer, loss: Loss, n_outputs: int) -> None:
    """Refuse a last layer and a loss that do not belong together, and somebody's own loss that is wrong.

    Raises
    ------
    InputError : says what would be right
    """
    if loss.classifies and isinstance(last, Dense | Activate) and last.f.name != "identity":
        raise InputError(
            f"the last layer has the activation {last.f.name!r}, but the loss {type(loss).__name__} makes "
            "probabilities of linear outputs by itself: leave out the last activation"
        )
    if isinstance(loss, SoftmaxCrossEntropy) and n_outputs == 1:
        raise InputError(
            "softmax_cross_entropy needs an output for each class, at least two, but the network has one: "
            "make it two, or take the loss 'sigmoid_cross_entropy'"
        )
    check_loss(loss, n_outputs)


def check_width(shape: tuple[int, ...], n_inputs: int) -> None:
    """Refuse rows of another width than the network has."""
    if shape[1:] != (n_inputs,):
        raise InputError(f"X has shape {shape}, but this network takes (rows, {n_inputs})")


def check_batch(X: Any, y: Array, w: Array) -> None:
    """Refuse a batch without rows, and targets or weights of another number of rows: kernels read on."""
    rows = len(X)
    if rows == 0 or len(y) != rows or (len(w) != 1 and len(w) != rows):
        raise InputError(
            f"a batch of {rows} rows came with y of shape {np.shape(y)} and weights of shape {np.shape(w)}: "
            "it needs one row or more, a target for each, and as many weights, or one for all"
        )


def check_precision(precision: str, dtype: npt.DTypeLike) -> None:
    """Refuse a precision of products that nobody knows, or that a network of this type cannot have.

    Raises
    ------
    InputError : says which there are, or what the network would have to be
    """
    if precision not in MATMUL_PRECISIONS:
        raise unknown_name("matmul_precision", precision, MATMUL_PRECISIONS)
    if precision == "bfloat16" and np.dtype(dtype) != np.float32:
        raise InputError(
            f"matmul_precision='bfloat16' is for networks of float32, and this one is of {np.dtype(dtype)}: "
            "make it anew with dtype='float32' (an estimator: fit it without warm_start)"
        )
