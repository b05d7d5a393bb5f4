"""Matrix products of the sizes that small networks have: short batches, wide inputs, few outputs.

A BLAS first copies both factors into an order of its own, which does not pay for a batch of 32 rows, and
its copies push the weights out of the cache. Here at most a panel of B is copied, small enough for the
first-level cache, and passes by all rows of A, tile by tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels.jit import jit
from glassnet.kernels.tile import BYTES, TALL, make_tile

__all__ = ["gemm_plain", "suits"]

Array = npt.NDArray[Any]
_tile_1, _tile_2, _tile_3, _tile_4 = (make_tile(vectors) for vectors in (1, 2, 3, 4))

_LEAST = 16  # inputs and outputs
_SHORT_BATCH = 64  # rows up to which it is faster than the BLAS with one thread too
_DEEP = 128  # k of a panel: 128 x 64 float32 are 32 KiB
_BLOCK = 64  # rows of A that stay in the cache from panel to panel
_SHORT = 48  # rows of A that are too few to pay for the copy of a panel: rows of B are then read where
_DEEP_IN_PLACE = 64  # they lie, fewer at a time


def suits(A: Array, B: Array, out: Array, threads: int) -> bool:
    """Whether `gemm` can do this product, and is not slower than the BLAS with as many threads."""
    (M, K), N = A.shape, B.shape[1]
    return (
        BYTES > 0
        and M >= TALL
        and K >= _LEAST
        and N >= _LEAST
        and (threads > 1 or min(M, K) <= _SHORT_BATCH)
        and A.dtype == B.dtype == out.dtype
        and A.dtype.char in "fd"
        and A.dtype.isnative
        and out.strides[1] == out.itemsize
    )


@jit
def _tile(
    vectors: int, like: Array, a: int, a_row: int, a_k: int, b: int, b_k: int, c: int, c_row: int, n_k: int,
    fresh: bool,
) -> None:  # fmt: skip
    if vectors == 4:
        _tile_4(like, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    elif vectors == 3:
        _tile_3(like, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    elif vectors == 2:
        _tile_2(like, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    else:
        _tile_1(like, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)


@jit
def _copy(B: Array, panel: Array, padded: int) -> None:
    """The panel: B, then zeros up to `padded` columns."""
    deep, wide = B.shape
    if B.strides[1] == B.itemsize:
        for i in range(deep):
            for j in range(wide):
                panel[i, j] = B[i, j]
    else:
        for j in range(wide):
            for i in range(deep):
                panel[i, j] = B[i, j]
    for i in range(deep):
        for j in range(wide, padded):
            panel[i, j] = 0


@jit
def _add_or_set(row: Array, terms: Array, fresh: bool) -> None:
    if fresh:
        for j in range(len(row)):
            row[j] = terms[j]
    else:
        for j in range(len(row)):
            row[j] += terms[j]


def gemm_plain(A: Array, B: Array, out: Array) -> None:
    """out = A @ B.

    Parameters
    ----------
    A : (M, K), B : (K, N) of any strides; M >= TALL, or A the last rows of a matrix that has TALL (the rows
        before it are read, and what comes of them is not used)
    out : (M, N), its rows without gaps, no memory of A or B
    """
    (M, K), N = A.shape, B.shape[1]
    (a_row, a_k), (b_k, b_column), c_row = A.strides, B.strides, out.strides[0]
    lanes = BYTES // A.itemsize
    full = 4 * lanes
    short = M <= _SHORT and M % TALL == 0 and N % lanes == 0 and b_column == A.itemsize
    step = _DEEP_IN_PLACE if short else _DEEP
    panels = np.empty((1 if short else (N + full - 1) // full, _DEEP, full), A.dtype)
    corner = np.empty((TALL, full), A.dtype)
    for k in range(0, K, step):
        deep, fresh = min(step, K - k), k == 0
        if not short:
            for p in range(len(panels)):
                _copy(B[k : k + deep, p * full : (p + 1) * full], panels[p], full)
        for block in range(0, M, _BLOCK):
            for n in range(0, N, full):
                wide = min(full, N - n)
                vectors = (wide + lanes - 1) // lanes
                whole = wide == vectors * lanes
                b, stride = B.ctypes.data + k * b_k + n * b_column, b_k
                if not short:
                    b, stride = panels.ctypes.data + n // full * panels.strides[0], panels.strides[1]
                for m in range(block, min(block + _BLOCK, M), TALL):
                    first = min(m, M - TALL)  # the last rows may be done twice
                    a = A.ctypes.data + first * a_row + k * a_k
                    c = out.ctypes.data + m * c_row + n * A.itemsize
                    inside = first == m and whole
                    if not inside:  # what sticks out goes by way of the corner
                        c = corner.ctypes.data
                    _tile(vectors, A, a, a_row, a_k, b, stride, c, c_row if inside else corner.strides[0],
                          deep, fresh or not inside)  # fmt: skip
                    if not inside:
                        for i in range(m, min(m + TALL, M)):
                            _add_or_set(out[i, n : n + wide], corner[i - first], fresh)
