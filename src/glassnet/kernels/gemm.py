"""Matrix products of the sizes that small networks have, above all short batches, wide inputs, few outputs.

A BLAS first copies both factors into an order of its own, which does not pay for a batch of 32 rows. Here
only B is copied, a panel at a time, small enough for the second-level cache; it passes by all rows of A,
which are read where they lie, tile by tile. Rows whose distance is a multiple of 4096 bytes are in each
other's way in the cache: better leave a gap behind each (`room.spaced`).
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from glassnet.kernels.jit import jit
from glassnet.kernels.memory import new_lines
from glassnet.kernels.tile import (
    AHEAD,
    BYTES,
    TALL,
    WIDEST,
    copy_turned,
    make_copy,
    make_narrow_tiles,
    make_tiles,
)

__all__ = ["gemm_plain", "narrow_tiles", "of_one_kind", "strip", "suits", "tiles"]

Array = npt.NDArray[Any]
_tiles_1, _tiles_2, _tiles_3, _tiles_4 = (make_tiles(vectors) for vectors in (1, 2, 3, 4))
_narrow_1, _narrow_2, _narrow_3, _narrow_4 = (make_narrow_tiles(vectors) for vectors in (1, 2, 3, 4))
_copy_1, _copy_2, _copy_3, _copy_4 = (make_copy(vectors) for vectors in (1, 2, 3, 4))

_LEAST = 16  # inputs and outputs
_SHORT_BATCH, _FEW_COLUMNS = 64, 64  # up to which it is faster than the BLAS with one thread too
_DEEP = 256  # k of a panel
_BLOCK = 64  # rows of A that stay in the cache from strip to strip


def suits(A: Array, B: Array, out: Array, threads: int) -> bool:
    """Whether `gemm` can do this product, and is not slower than the BLAS with as many threads."""
    (M, K), N = A.shape, B.shape[1]
    ahead = AHEAD and N * A.itemsize % BYTES == 0  # no part of a vector is in vain
    return (
        BYTES > 0
        and M >= TALL
        and K >= _LEAST
        and N >= _LEAST
        and (threads > 1 or ahead or min(M, K) <= _SHORT_BATCH or N <= _FEW_COLUMNS)
        and of_one_kind(A, B, out)
        and out.strides[1] == out.itemsize
    )


def of_one_kind(A: Array, B: Array, out: Array) -> bool:
    """Whether all are floats of one size, in the processor's order of bytes."""
    return A.dtype == B.dtype == out.dtype and A.dtype.char in "fd" and A.dtype.isnative


@jit
def tiles(
    vectors: int, like: float, n: int, a: int, a_row: int, a_k: int, b: int, b_k: int, c: int, c_row: int,
    n_k: int, fresh: bool,
) -> None:  # fmt: skip
    """`make_tiles` for any number of vectors."""
    if vectors == 4:
        _tiles_4(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    elif vectors == 3:
        _tiles_3(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    elif vectors == 2:
        _tiles_2(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)
    else:
        _tiles_1(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh)


@jit
def narrow_tiles(
    vectors: int, like: float, n: int, a: int, a_row: int, a_k: int, b: int, b_k: int, c: int, c_row: int,
    n_k: int, fresh: bool, in_last: int,
) -> None:  # fmt: skip
    """`make_narrow_tiles` for any number of vectors."""
    if vectors == 4:
        _narrow_4(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh, in_last)
    elif vectors == 3:
        _narrow_3(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh, in_last)
    elif vectors == 2:
        _narrow_2(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh, in_last)
    else:
        _narrow_1(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh, in_last)


@jit
def strip(s: int, strips: int, in_row: int, lanes: int) -> tuple[int, int]:
    """The first column of a strip, and its vectors."""
    start = s * in_row // strips
    return start * lanes, (s + 1) * in_row // strips - start


@jit
def _pack(B: Array, n: int, vectors: int, panel: Array) -> None:
    """Columns n to n + vectors * lanes of B, row behind row; zeros where B has no more columns."""
    deep, size = len(B), B.itemsize
    lanes = BYTES // size
    width = vectors * lanes
    all_there = n + width <= B.shape[1]
    if B.strides[1] == size and all_there:
        source, row, to = B.ctypes.data + n * size, B.strides[0], panel.ctypes.data
        if vectors == 4:
            _copy_4(panel[0], deep, source, row, to)
        elif vectors == 3:
            _copy_3(panel[0], deep, source, row, to)
        elif vectors == 2:
            _copy_2(panel[0], deep, source, row, to)
        else:
            _copy_1(panel[0], deep, source, row, to)
    else:
        packed, done = panel[: deep * width].reshape(deep, width), 0
        if B.strides[0] == size and all_there:
            done = deep // lanes * lanes
            for v in range(vectors):
                copy_turned(
                    panel[0], deep // lanes, B.ctypes.data + (n + v * lanes) * B.strides[1], B.strides[1],
                    packed.ctypes.data + v * BYTES, packed.strides[0],
                )  # fmt: skip
        for j in range(width):
            if n + j < B.shape[1]:
                for i in range(done, deep):
                    packed[i, j] = B[i, n + j]
            else:
                for i in range(deep):
                    packed[i, j] = 0


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
    (a_row, a_k), c_row = A.strides, out.strides[0]
    lanes = BYTES // A.itemsize
    in_row = (N + lanes - 1) // lanes  # vectors
    strips = (in_row + WIDEST - 1) // WIDEST  # of columns, as equally wide as whole vectors can be
    panels = new_lines(strips * _DEEP * WIDEST * BYTES).view(A.dtype).reshape(strips, -1)
    corner = new_lines(TALL * WIDEST * BYTES).view(A.dtype).reshape(TALL, -1)
    for k in range(0, K, _DEEP):
        deep, fresh = min(_DEEP, K - k), k == 0
        for s in range(strips):
            n, vectors = strip(s, strips, in_row, lanes)
            _pack(B[k : k + deep], n, vectors, panels[s])
        for block in range(0, M, _BLOCK):
            stop = min(block + _BLOCK, M)
            for s in range(strips):
                n, vectors = strip(s, strips, in_row, lanes)
                b, b_step = panels.ctypes.data + s * panels.strides[0], vectors * BYTES
                wide = min(vectors * lanes, N - n)
                inside = (stop - block) // TALL
                a = A.ctypes.data + block * a_row + k * a_k
                c = out.ctypes.data + block * c_row + n * A.itemsize
                if wide == vectors * lanes:
                    tiles(vectors, corner[0, 0], inside, a, a_row, a_k, b, b_step, c, c_row, deep, fresh)
                else:
                    narrow_tiles(
                        vectors, corner[0, 0], inside, a, a_row, a_k, b, b_step, c, c_row, deep, fresh,
                        wide - (vectors - 1) * lanes,
                    )  # fmt: skip
                for m in range(block + inside * TALL, stop, TALL):  # fewer rows go by way of the corner
                    first = min(m, M - TALL)  # some are done twice
                    tiles(
                        vectors, corner[0, 0], 1, A.ctypes.data + first * a_row + k * a_k, a_row, a_k, b,
                        b_step, corner.ctypes.data, corner.strides[0], deep, True,
                    )  # fmt: skip
                    for i in range(m, min(m + TALL, M)):
                        _add_or_set(out[i, n : n + wide], corner[i - first], fresh)
