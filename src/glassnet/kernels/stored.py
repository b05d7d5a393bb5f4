"""Products of stored bytes and floats, exact where it matters and twice as fast as products of floats.

A byte need not become a float to be multiplied. The floats are written as whole numbers of 24 bits (to the
largest of their column), these as three digits of 8 bits with sign, and the processor multiplies bytes with
digits and adds up four products at once (AVX-512 VNNI: 128 multiplications in the time of 32 of floats). The
sums of the digits are exact; what is lost is 2^-24 of each column's largest number, and a few roundings where
the three sums become one float. Sums of floats lose as much, or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import config

from glassnet.kernels import team
from glassnet.kernels.digits import (
    DIGITS,
    GROUP,
    STRIP,
    TALL,
    sums_of_columns,
    sums_of_rows,
    tile_of_digits,
    to_digits,
    turn_four,
)
from glassnet.kernels.jit import jit
from glassnet.kernels.lanes import LANES
from glassnet.kernels.memory import copy_bytes, fetch_soon, up_to
from glassnet.kernels.tile import FEATURES

__all__ = ["AVAILABLE", "StoredColumns", "StoredRows", "may_stay_bytes"]

Array = npt.NDArray[Any]
_settings: Any = config  # Numba may be told to compile for less than this processor
_OTHER_TARGET = _settings.CPU_NAME or _settings.CPU_FEATURES is not None or not _settings.ENABLE_AVX
AVAILABLE = bool(FEATURES.get("avx512vnni")) and not _OTHER_TARGET
_LEAST = 64  # columns below which it does not pay
_LONGEST = 65_536  # terms of a sum: 255 * 128 * 65,536 is below 2^31
_IN_CACHE = 2**19  # floats whose digits stay in the second-level cache
_LARGEST = 127 * 2**16  # with room for rounding below what three digits from -128 to 127 can say
_TINY = np.float32(1e-30)  # a column of smaller numbers is one of zeros: 8,323,072 / x must be finite


def may_stay_bytes(X: Array, scale: Array, shift: Array, n_outputs: int) -> bool:
    """Whether rows of X may stay bytes on their way into a float32 layer with so many outputs."""
    members = team.current()
    return (
        AVAILABLE
        and (members is None or members.size == 1)  # a team's members share out products of floats
        and X.dtype == np.uint8
        and X.flags.c_contiguous
        and len(scale) == len(shift) == 1
        and _LEAST <= X.shape[1] <= _LONGEST
        and X.shape[1] * n_outputs <= _IN_CACHE
    )


@dataclass(frozen=True)
class StoredRows:
    """X[rows] * scale + shift, (B, K), of stored bytes: to be multiplied without being converted.

    Parameters
    ----------
    X : (n, K) uint8; rows : (B,) row numbers, at most 65,536; scale, shift : (1,) float32
    kept : a dict in which the digits of W are kept for all the rows that share it, while W does not change
    """

    X: Array
    rows: Array
    scale: Array
    shift: Array
    kept: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if max(len(self.rows), self.X.shape[1]) > _LONGEST:
            raise ValueError(f"sums of stored bytes have at most {_LONGEST} terms: take fewer rows at a time")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def T(self) -> StoredColumns:
        return StoredColumns(self)

    def times(self, W: Array, out: Array) -> None:
        """out (B, N) = these @ W (K, N); out is float32, its rows without gaps."""
        kept = {} if self.kept is None else self.kept
        if "digits" not in kept:
            kept["digits"] = _prepared(np.ascontiguousarray(W, np.float32), self.scale, self.shift)
        _product(self.X, self.rows, *kept["digits"], out)


@dataclass(frozen=True)
class StoredColumns:
    """Stored rows, transposed: (K, B)."""

    T: StoredRows

    def times(self, D: Array, out: Array) -> None:
        """out (K, N) = these @ D (B, N); out is float32, its rows without gaps."""
        D = np.ascontiguousarray(D, np.float32)  # somebody's layer may hand back another kind
        _product_transposed(self.T.X, self.T.rows, self.T.scale, self.T.shift, D, out)


@jit
def _digits(M: Array, factor: Array) -> Array:
    """The digits of each sixteen columns of M (K, N), and in `factor` what they have to be multiplied by.

    NaN and infinity have no digits: their column's factor becomes NaN, and so will all that comes of it.
    """
    K, N = M.shape
    padded = M
    if K % GROUP or N % LANES:
        padded = np.zeros((up_to(K, GROUP), up_to(N, LANES)), np.float32)
        for k in range(K):
            for n in range(N):
                padded[k, n] = M[k, n]
    largest, finite = np.zeros(padded.shape[1], np.float32), np.zeros(padded.shape[1], np.float32)
    for k in range(len(padded)):
        for n in range(len(largest)):
            x = padded[k, n]
            largest[n] = max(largest[n], abs(x))
            finite[n] += x * np.float32(0)
    up = np.empty(len(largest), np.float32)
    for n in range(len(up)):
        fine = largest[n] > _TINY and finite[n] == 0
        up[n] = np.float32(_LARGEST) / largest[n] if fine else np.float32(0)
        factor[n] = largest[n] / np.float32(_LARGEST) if fine else finite[n]
    groups = len(padded) // GROUP
    digits = np.empty((padded.shape[1] // LANES, groups * DIGITS * 64), np.uint8)
    for block in range(len(digits)):
        first = 4 * LANES * block
        to_digits(
            padded.ctypes.data + first, padded.strides[0], groups, up.ctypes.data + first,
            digits.ctypes.data + block * digits.strides[0],
        )  # fmt: skip
    return digits


@jit
def _prepared(M: Array, scale: Array, shift: Array) -> tuple[Array, Array, Array]:
    """Digits of M (K, N); what the sums must be multiplied by and what added, each N rounded up to 16."""
    wide = up_to(M.shape[1], LANES)
    factor, sums = np.empty(wide, np.float32), np.zeros(wide, np.float64)
    digits = _digits(M, factor)
    if shift[0] != 0:
        for k in range(len(M)):
            for n in range(M.shape[1]):
                sums[n] += M[k, n]
    return digits, factor * scale[0], (sums * shift[0]).astype(np.float32)


@jit
def _product(X: Array, rows: Array, digits: Array, factor: Array, offset: Array, out: Array) -> None:
    if out.shape[1] == 1:
        _rows_by_one_column(X, rows, digits, factor[0], offset[0], out)
    else:
        _rows_by_columns(X, rows, digits, factor, offset, out)


@jit
def _copy_rows(X: Array, rows: Array, first: int, A: Array) -> None:
    """As many rows as A holds, from number `first` on."""
    K = X.shape[1]
    for r in range(min(len(A), len(rows) - first)):
        copy_bytes(A.ctypes.data + r * A.strides[0], X.ctypes.data + rows[first + r] * X.strides[0], K)


@jit
def _rows_by_columns(X: Array, rows: Array, digits: Array, factor: Array, offset: Array, out: Array) -> None:
    K, B = X.shape[1], len(out)
    A, corner = np.zeros((TALL, up_to(K, 64)), np.uint8), np.empty((TALL, LANES), np.float32)
    piece = K // len(digits) + 1
    for first in range(0, B, TALL):
        _copy_rows(X, rows, first, A)
        for block in range(len(digits)):
            for r in range(first + TALL, min(first + 2 * TALL, B)):
                fetch_soon(X.ctypes.data + rows[r] * X.strides[0] + block * piece, piece)
            _tile(A, 0, A.strides[0], GROUP, up_to(K, GROUP) // GROUP, digits, block, factor, offset,
                  out, first, min(TALL, B - first), corner)  # fmt: skip


@jit
def _tile(
    A: Array, start: int, a_row: int, a_group: int, groups: int, digits: Array, block: int, factor: Array,
    offset: Array, out: Array, first: int, tall: int, corner: Array,
) -> None:  # fmt: skip
    """Rows `first` to `first + tall` of out, sixteen columns; what sticks out goes by way of the corner."""
    n = LANES * block
    wide = min(LANES, out.shape[1] - n)
    whole = tall == TALL and wide == LANES
    to, stride = corner.ctypes.data, corner.strides[0]
    if whole:
        to, stride = out.ctypes.data + first * out.strides[0] + 4 * n, out.strides[0]
    tile_of_digits(
        A.ctypes.data + start, a_row, a_group, digits.ctypes.data + block * digits.strides[0], groups,
        factor.ctypes.data + 4 * n, offset.ctypes.data + 4 * n, to, stride,
    )  # fmt: skip
    if not whole:
        for r in range(tall):
            for j in range(wide):
                out[first + r, n + j] = corner[r, j]


@jit
def _rows_by_one_column(
    X: Array, rows: Array, digits: Array, factor: float, offset: float, out: Array
) -> None:
    lines = up_to(X.shape[1], 64) // 64
    column = _first_column(digits, 64 * lines)
    A, sums = np.zeros((GROUP, 64 * lines), np.uint8), np.empty((GROUP, DIGITS), np.int32)
    for first in range(0, len(rows), GROUP):
        _copy_rows(X, rows, first, A)
        sums_of_rows(
            A.ctypes.data, A.strides[0], column.ctypes.data, column.strides[0], lines, sums.ctypes.data
        )
        for r in range(min(GROUP, len(rows) - first)):
            total = (np.int64(sums[r, 2]) * 256 + sums[r, 1]) * 256 + sums[r, 0]
            out[first + r, 0] = np.float32(total) * factor + offset


@jit
def _first_column(digits: Array, n: int) -> Array:
    """The digits of the first of sixteen columns side by side, (3, n)."""
    column = np.zeros((DIGITS, n), np.uint8)
    for g in range(digits.shape[1] // (DIGITS * 64)):
        for d in range(DIGITS):
            for i in range(GROUP):
                column[d, GROUP * g + i] = digits[0, (g * DIGITS + d) * 64 + i]
    return column


@jit
def _product_transposed(X: Array, rows: Array, scale: Array, shift: Array, D: Array, out: Array) -> None:
    digits, factor, offset = _prepared(D, scale, shift)
    groups = up_to(len(rows), GROUP) // GROUP
    edge, where = np.zeros((GROUP * groups, STRIP), np.uint8), np.empty(GROUP * groups, np.int64)
    if out.shape[1] == 1:
        _columns_by_one_column(X, rows, digits, factor, offset, edge, where, out)
    else:
        _columns_by_columns(X, rows, digits, factor, offset, edge, where, out)


@jit
def _look_for(X: Array, rows: Array, strip: int, edge: Array, where: Array) -> None:
    """Where each row's bytes of a strip of columns are; a strip that is not whole is copied to the edge.

    Rows that are there only to fill up the last group are nowhere in X: their digits are zeros.
    """
    narrow = min(STRIP, X.shape[1] - strip)
    for b in range(len(where)):
        where[b] = edge.ctypes.data + b * STRIP
        if b < len(rows):
            source = X.ctypes.data + rows[b] * X.strides[0] + strip
            if narrow == STRIP:
                where[b] = source
            else:
                copy_bytes(where[b], source, narrow)


@jit
def _columns_by_columns(
    X: Array, rows: Array, digits: Array, factor: Array, offset: Array, edge: Array, where: Array, out: Array
) -> None:
    groups = len(where) // GROUP
    A, corner = np.empty((groups, STRIP, GROUP), np.uint8), np.empty((TALL, LANES), np.float32)
    for strip in range(0, len(out), STRIP):
        _look_for(X, rows, strip, edge, where)
        for g in range(groups):
            w = where[GROUP * g : GROUP * (g + 1)]
            turn_four(w[0], w[1], w[2], w[3], A.ctypes.data + g * A.strides[0])
        stop = min(strip + STRIP, len(out))
        for block in range(len(digits)):
            for first in range(strip, stop, TALL):
                _tile(A, GROUP * (first - strip), GROUP, A.strides[0], groups, digits, block, factor, offset,
                      out, first, min(TALL, stop - first), corner)  # fmt: skip


@jit
def _columns_by_one_column(
    X: Array, rows: Array, digits: Array, factor: Array, offset: Array, edge: Array, where: Array, out: Array
) -> None:
    column, sums = _first_column(digits, len(where)), np.empty(STRIP, np.float32)
    for strip in range(0, len(out), STRIP):
        _look_for(X, rows, strip, edge, where)
        sums_of_columns(
            where.ctypes.data, len(where) // GROUP, column.ctypes.data, column.strides[0], factor.ctypes.data,
            offset.ctypes.data, sums.ctypes.data,
        )  # fmt: skip
        for k in range(min(STRIP, len(out) - strip)):
            out[strip + k, 0] = sums[k]
