"""Products of bytes with floats that are written in digits: what each thread does of them.

The floats' digits are written piece by piece, so that they stay in the cache, and multiplied tile by tile:
in vectors (`digits.py`) or in squares (`amx.py`), which differ in a tile's size and in how its bytes lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels import amx
from glassnet.kernels.amx import hand_back, squares_of_bytes, squares_of_rounded, take
from glassnet.kernels.digits import (
    ADDED,
    DIGITS,
    GROUP,
    STRIP,
    TALL,
    larger_magnitudes,
    tile_of_digits,
    tile_of_rounded,
    to_digits,
    turn,
    turn_four,
)
from glassnet.kernels.jit import jit
from glassnet.kernels.lanes import LANES
from glassnet.kernels.memory import copy_bytes, copy_rows, fetch_soon, new_lines, up_to
from glassnet.kernels.room import SAME_PLACE

__all__ = ["columns_times", "digits_of", "rows_times"]

Array = npt.NDArray[Any]
#: terms of a sum before it becomes a float: it has at most 24 bits, so that nothing is lost; in squares as
#: many as leave room in the first cache for the digits of sixteen columns and the bytes of sixteen rows
_DEEP, _DEEPER = 512, 448
_WIDE, _PIECE = 512, 2**17  # columns and floats of a piece of W: its digits stay in the second-level cache
_HIGH = 128  # rows of bytes that are copied there, too
_BY_COLUMN = 3  # numbers: the factor of the digits' sums, an offset, nothing
_LARGEST = 127 * 2**16  # with room for rounding below what three digits from -128 to 127 can say
_TINY = np.float32(1e-30)  # a column of smaller numbers is one of zeros: 8,323,072 / x must be finite


@jit
def _to_digits(
    M: Array, step: int, may_round: bool, scale: float, shift: float, digits: Array, by_column: Array
) -> None:  # fmt: skip
    """The digits of M (K, N) by sixteen columns; by column, the factor of their sums, and an offset.

    Who may round does without the lowest one: two are still exact to 2^-16 of a column's largest number, and
    bfloat16 to 2^-9 of each.

    Rows of zeros fill up a multiple of `step`. The offset is what comes of a shift of all the bytes.
    """
    factor, offset = by_column[0], by_column[1]
    by_column[2] = 0
    K, N = M.shape
    padded = M
    if K % step or N % LANES:
        padded = np.zeros((up_to(K, step), up_to(N, LANES)), np.float32)
        for k in range(K):
            for n in range(N):
                padded[k, n] = M[k, n]
    deep, wide = padded.shape
    row = padded.strides[0]
    bits, up = np.zeros(wide, np.int32), np.empty(wide, np.float32)
    for k in range(0, deep, GROUP):  # an address alone would not keep its array alive
        larger_magnitudes(padded.ctypes.data + k * row, row, wide, bits.ctypes.data)
    largest = bits.view(np.float32)
    for n in range(wide):
        up[n], factor[n] = _scales(largest[n])
    total, sums = np.zeros(wide, np.int32), np.zeros(wide, np.float64)
    for k in range(0, deep, GROUP):
        to_digits(
            padded.ctypes.data + k * row, row, wide // LANES, up.ctypes.data, 256 if may_round else 1,
            total.ctypes.data, digits.ctypes.data + k // GROUP * DIGITS * 64, digits.strides[0],
        )  # fmt: skip
        if k % ADDED == ADDED - GROUP or k == deep - GROUP:
            for n in range(wide):
                sums[n] += total[n]
            total[:] = 0
    for n in range(wide):
        offset[n] = sums[n] * factor[n] * shift
        factor[n] *= scale


@jit
def _tile_of(squares: Any) -> tuple[int, int, int]:
    """Its rows, how many terms its sums advance by, and how many they have before they become floats."""
    if squares is None:
        return TALL, GROUP, _DEEP
    return amx.TALL, amx.DEPTH, _DEEPER


@jit
def _size(deep: int, wide: int) -> Any:
    """Bytes of the digits of so many rows and columns of W, and of what is by column."""
    return up_to(wide, LANES) * (deep * DIGITS + 4 * _BY_COLUMN)


@jit
def _parts(piece: Any, wide: int) -> Any:
    """In so many bytes, for each sixteen columns the digits, and behind all of these what is by column."""
    behind = len(piece) - up_to(wide, LANES) * 4 * _BY_COLUMN
    return (
        piece[:behind].reshape(up_to(wide, LANES) // LANES, -1),
        piece[behind:].view(np.float32).reshape(_BY_COLUMN, -1),
    )


@jit
def _pieces_of(squares: Any, K: int, N: int) -> Any:
    """Terms and columns of each piece of W (K, N), whose digits stay in the cache."""
    _, step, deep = _tile_of(squares)
    wide = min(N, _WIDE)
    return up_to(min(K, deep, _PIECE // wide // step * step), step), wide


@jit
def digits_of(squares: Any, may_round: bool, scale: Array, shift: Array, W: Array) -> Any:
    """W (K, N) made ready for many products with rows: its pieces, by columns and terms."""
    (K, N), step = W.shape, _tile_of(squares)[1]
    deep, wide = _pieces_of(squares, K, N)
    across, along, size = (N + wide - 1) // wide, (K + deep - 1) // deep, _size(deep, wide)
    ready = new_lines(across * along * size).reshape(across, along, size)
    for i in range(across):
        for j in range(along):
            digits, by_column = _parts(ready[i, j], wide)
            part = W[j * deep : (j + 1) * deep, i * wide : (i + 1) * wide]
            _to_digits(part, step, may_round, scale[0], shift[0], digits, by_column)
    return ready


def rows_times(
    squares: Any, may_round: bool, X: Array, rows: Array, start: int, scale: Array, shift: Array, W: Array,
    out: Array,
) -> None:  # fmt: skip
    """out (B, N) = (X[rows, start : start + K] * scale + shift) @ W (K, N).

    By pieces of W whose digits stay in the cache, each of which has factors of its own; or by `digits_of` W.
    """
    if squares is not None:
        take(squares.ctypes.data)
    B, N = out.shape
    K = X.shape[1] if W.ndim == 3 else len(W)
    tall, step, _ = _tile_of(squares)
    deep, wide = _pieces_of(squares, K, N)
    digits, by_column = _parts(new_lines(_size(deep, wide)), wide)
    A = new_lines(_HIGH * up_to(deep, 64)).reshape(_HIGH, -1)  # what is behind K meets zeros
    sums, corner = new_lines(amx.SUMS * 4), np.empty((tall, LANES), np.float32)
    # in vectors (in squares not tried), where nothing but these rows is read
    in_place = squares is None and K % step == 0 and B % tall == 0 and _follow_each_other(X, rows)
    for n in range(0, N, wide):
        width = min(wide, N - n)
        for k in range(0, K, deep):
            depth = min(deep, K - k)
            groups = up_to(depth, step) // GROUP
            if W.ndim == 3:
                digits, by_column = _parts(W[n // wide, k // deep], wide)
            else:
                _to_digits(
                    W[k : k + depth, n : n + width], step, may_round, scale[0], shift[0], digits, by_column
                )  # fmt: skip
            for top in range(0, B, _HIGH):
                if in_place:
                    a, a_row = np.int64(X.ctypes.data) + rows[top] * X.strides[0] + start + k, X.strides[0]
                else:
                    a, a_row = np.int64(A.ctypes.data), A.strides[0]
                    copy_rows(X, rows[top : top + _HIGH], start + k, depth, A, a_row)
                for block in range(up_to(width, LANES) // LANES):
                    stop, done = min(top + _HIGH, B), 0
                    if squares is not None and LANES * (block + 1) <= width:
                        n_tiles = (stop - top) // tall
                        done = n_tiles * tall
                        _in_squares(
                            may_round, n_tiles, a, a_row, tall * a_row, groups, digits, block, 0, by_column,
                            k == 0,
                            out.ctypes.data + top * out.strides[0] + 4 * (n + LANES * block),
                            out.strides[0], tall * out.strides[0], sums,
                        )  # fmt: skip
                    for first in range(top + done, stop, tall):
                        _tile(
                            squares, may_round, a + (first - top) * a_row, a_row, GROUP, groups, digits,
                            block, by_column, k == 0, out, n, first, min(tall, B - first), sums, corner,
                        )  # fmt: skip
    A[0, 0] = 0  # an address alone would not keep it alive
    if squares is not None:
        hand_back()


@jit
def _follow_each_other(X: Array, rows: Array) -> bool:
    """Whether rows can stay where they are: one behind the other, not in each other's way in a cache."""
    for r in range(1, len(rows)):
        if rows[r] != rows[0] + r:
            return False
    return X.strides[0] % SAME_PLACE != 0


@jit
def _tile(
    squares: Any, may_round: bool, a: int, a_row: int, a_group: int, groups: int, digits: Array,
    block: int, by_column: Array, fresh: bool, out: Array, left: int, first: int, tall: int, sums: Array,
    corner: Array,
) -> None:  # fmt: skip
    """Rows `first` to `first + tall` of out, the sixteen columns of a block: their first part, or one more.

    Block 0 begins at column `left`; what sticks out goes by way of the corner.
    """
    n = left + LANES * block
    wide = min(LANES, out.shape[1] - n)
    whole = tall == len(corner) and wide == LANES
    to, stride = corner.ctypes.data, corner.strides[0]
    if whole:
        to, stride = out.ctypes.data + first * out.strides[0] + 4 * n, out.strides[0]
    elif not fresh:
        for r in range(tall):
            for j in range(wide):
                corner[r, j] = out[first + r, n + j]
    if squares is None:
        b, by = digits.ctypes.data + block * digits.strides[0], by_column.ctypes.data + 4 * LANES * block
        plus, nothing = by + by_column.strides[0], by + 2 * by_column.strides[0]
        before, before_row = (nothing, 0) if fresh else (to, stride)
        if may_round:
            tile_of_rounded(a, a_row, a_group, b, groups, by, plus, before, before_row, to, stride)
        else:
            tile_of_digits(a, a_row, a_group, b, groups, by, plus, before, before_row, to, stride)
    else:
        _in_squares(
            may_round, 1, a, a_row, 0, groups, digits, block, 0, by_column, fresh, to, stride, 0, sums
        )
    if not whole:
        for r in range(tall):
            for j in range(wide):
                out[first + r, n + j] = corner[r, j]


@jit
def _in_squares(
    may_round: bool, n: int, a: int, a_row: int, a_step: int, groups: int, digits: Array, block: int,
    across: int, by_column: Array, fresh: bool, to: int, row: int, step: int, sums: Array,
) -> None:  # fmt: skip
    """n whole tiles of out, the first one at `to`, each `step` bytes further on: by squares.

    Their bytes begin at a, each a_step further on. They belong to one block of columns, or each to the next
    (`across` is 1).
    """
    if n > 0:
        b, by = digits.ctypes.data + block * digits.strides[0], by_column.ctypes.data + 4 * LANES * block
        plus, nothing = by + by_column.strides[0], by + 2 * by_column.strides[0]
        before, before_row, before_step = (nothing, 0, 0) if fresh else (to, row, step)
        steps = groups * GROUP // amx.DEPTH
        if may_round:
            squares_of_rounded(
                a, a_row, a_step, b, across * digits.strides[0], steps, n, sums.ctypes.data, by, plus,
                across * 4 * LANES, before, before_row, before_step, to, row, step,
            )  # fmt: skip
        else:
            squares_of_bytes(
                a, a_row, a_step, b, across * digits.strides[0], steps, n, sums.ctypes.data, by, plus,
                across * 4 * LANES, before, before_row, before_step, to, row, step,
            )  # fmt: skip


@jit
def _scales(largest: Any) -> tuple[Any, Any]:
    """What makes numbers up to the largest whole ones of 24 bits, and what these have to be multiplied by.

    NaN and infinity have no digits: the factor becomes NaN, and so will all that comes of it.
    """
    if largest > _TINY and largest < np.inf:
        return np.float32(_LARGEST) / largest, largest / np.float32(_LARGEST)
    return np.float32(0), largest * np.float32(0)


def columns_times(
    squares: Any, may_round: bool, X: Array, rows: Array, start: int, scale: Array, shift: Array, D: Array,
    out: Array,
) -> None:  # fmt: skip
    """out (K, N) = (X[rows, start : start + K] * scale + shift).T @ D (B, N), by pieces of D."""
    if squares is not None:
        take(squares.ctypes.data)
    (B, N), K = D.shape, len(out)
    tall, step, deep = _tile_of(squares)
    deep = min(deep, up_to(B, step))
    wide = min(N, _PIECE // deep // LANES * LANES)
    digits, by_column = _parts(new_lines(_size(deep, wide)), wide)
    edge, where = np.empty((deep, STRIP), np.uint8), np.empty(deep, np.int64)
    A = new_lines(deep * STRIP)  # a strip, turned
    a = np.int64(A.ctypes.data)
    a_row, a_group = (GROUP, STRIP * GROUP) if squares is None else (deep, GROUP)
    sums, corner = new_lines(amx.SUMS * 4), np.empty((tall, LANES), np.float32)
    for top in range(0, B, deep):
        some = rows[top : top + deep]
        for n in range(0, N, wide):
            width = min(wide, N - n)
            _to_digits(
                D[top : top + deep, n : n + width], step, may_round, scale[0], shift[0], digits, by_column
            )  # fmt: skip
            for strip in range(0, K, STRIP):
                depth = _look_for(X, some, step, start + strip, K - strip, edge, where)
                for b in range(0, depth, step):
                    if squares is None:
                        turn_four(where[b], where[b + 1], where[b + 2], where[b + 3], a + b * STRIP)
                    else:
                        turn(where.ctypes.data + 8 * b, a + b, a_row)
                stop = min(strip + STRIP, K)
                for first in range(strip, stop, tall):  # whole rows, one after the other
                    done = 0
                    if squares is not None and first + tall <= stop:
                        done = width // LANES
                        _in_squares(
                            may_round, done, a + (first - strip) * a_row, a_row, 0, depth // GROUP, digits, 0,
                            1, by_column, top == 0,
                            out.ctypes.data + first * out.strides[0] + 4 * n, out.strides[0], 4 * LANES, sums,
                        )  # fmt: skip
                    for block in range(done, up_to(width, LANES) // LANES):
                        _tile(
                            squares, may_round, a + (first - strip) * a_row, a_row, a_group, depth // GROUP,
                            digits, block, by_column, top == 0, out, n, first, min(tall, stop - first), sums,
                            corner,
                        )  # fmt: skip
    A[0] = 0  # an address alone would not keep it alive
    if squares is not None:
        hand_back()


@jit
def _look_for(X: Array, rows: Array, step: int, first: int, n: int, edge: Array, where: Array) -> Any:
    """Where each row's bytes of n columns are; a strip that is not whole is copied to the edge.

    Returns the number of rows, a multiple of `step`. Those added are nowhere in X: their digits are zeros.
    """
    narrow = min(STRIP, n)
    deep = up_to(len(rows), step)
    for b in range(deep):
        where[b] = edge.ctypes.data + b * STRIP
        if b < len(rows):
            source = X.ctypes.data + rows[b] * X.strides[0] + first
            fetch_soon(source + STRIP, STRIP)  # the next strip's
            if narrow == STRIP:
                where[b] = source
            else:
                copy_bytes(where[b], source, narrow)
    return deep
