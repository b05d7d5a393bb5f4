"""Products of floats both of which are written in digits, where a processor multiplies squares (`amx.py`).

With whole numbers of 24 bits for each row of A and each column of B, and six products of their digits of
8 bits for one of floats, that is still several times as fast as multiplying floats (the idea: Ootomo, Ozaki
& Yokota 2024, "DGEMM on integer matrix multiplication unit"; the digits: `digits.py`).

A whole number says 2^-24 of the largest of its row, so a small number beside a large one has few digits. That
must not depend on the units of the inputs (an age beside an income): A's column k is first multiplied, and
B's row k divided, by a power of two near the largest number in that row of B. What is then large in a row of
A is what may matter much for its sums, and those lose about as much as sums of floats do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels import team
from glassnet.kernels.amx import DEPTH, SQUARES, hand_back, row_of_squares, take
from glassnet.kernels.by_digits import room_for_digits, scales
from glassnet.kernels.digits import (
    DIGITS,
    GROUP,
    evened_to_digits,
    larger_multiples,
    largest_product,
    row_to_digits,
)
from glassnet.kernels.jit import jit
from glassnet.kernels.lanes import LANES
from glassnet.kernels.memory import new_lines, stretch_of_row, up_to
from glassnet.kernels.team import cut

__all__ = ["gains_by_digits", "product_by_digits"]

Array = npt.NDArray[Any]
_DEEP = 448  # terms of a sum before it becomes a float: 16 rows of A and 16 columns of B fill the first cache
_HIGH, _WIDE = 2048, 512  # rows of A and columns of B whose digits are kept at a time
#: rows and columns, terms, and multiplications from which it pays: the squares need milliseconds to be at
#: their full speed, a quarter of which is hardly more than that of floats
_LEAST, _LONG, _WORTH = 128, 192, 2**27
_LINES = DIGITS * LANES * DEPTH  # bytes of a square of every digit
_ORDER = 65536.0  # what the lowest products of digits that are added up count


def gains_by_digits(A: Array, B: Array, out: Array) -> bool:
    """Whether squares can do this product, and are faster than products of floats."""
    (M, K), N = A.shape, B.shape[1]
    return (
        SQUARES is not None
        and min(M, N) >= _LEAST
        and K >= _LONG
        and M * K * N >= _WORTH
        and A.dtype == B.dtype == out.dtype == np.float32
        and A.strides[1] == B.strides[1] == out.strides[1] == 4
    )


def product_by_digits(A: Array, B: Array, out: Array, members: team.Team) -> None:
    """out (M, N) = A (M, K) @ B (K, N): each member has its rows of A, or its columns of B."""
    if members.size == 1:
        _alone(SQUARES, A, B, out)
    elif len(A) >= B.shape[1]:
        edges = cut(len(A), members.size)
        members.do(_together, tuple((SQUARES, A[i:j], B, out[i:j]) for i, j in edges))
    else:
        edges = cut(B.shape[1], members.size)
        members.do(_together, tuple((SQUARES, A, B[:, i:j], out[:, i:j]) for i, j in edges))


def _product(setting: Array, A: Array, B: Array, out: Array) -> None:
    """out (M, N) = A (M, K) @ B (K, N), the rows of all of them without gaps."""
    take(setting.ctypes.data)
    (M, K), N = A.shape, B.shape[1]
    pieces = (K + _DEEP - 1) // _DEEP
    deep = up_to((K + pieces - 1) // pieces, DEPTH)
    high, wide = min(_HIGH, up_to(M, LANES)), min(_WIDE, up_to(N, LANES))
    up, down = np.ones(deep, np.float32), np.ones(deep, np.float32)
    factor, by_column = np.zeros(up_to(N, LANES), np.float32), np.zeros(up_to(N, LANES), np.float32)
    a_digits, by_row = new_lines(high * deep * DIGITS), np.zeros(high, np.float32)
    b_digits = room_for_digits(deep, wide)
    row, of_row = np.zeros(deep, np.float32), np.empty(LANES, np.int32)
    sums, strip = new_lines(DIGITS * LANES * LANES * 4), np.empty((LANES, wide), np.float32)
    out[:] = 0
    for k in range(0, K, deep):
        depth = min(deep, K - k)
        n_squares = up_to(depth, DEPTH) // DEPTH
        _even_out(B[k : k + depth], up, down, factor, by_column)
        for top in range(0, M, high):
            some = min(high, M - top)
            for r in range(some):
                _row_to_digits(A, top + r, k, depth, up, row, of_row, r, a_digits, by_row)
            for n in range(0, N, wide):
                width = min(wide, N - n)
                _to_digits(B, k, depth, n, width, down, factor, b_digits)
                for first in range(0, some, LANES):
                    tall, whole = min(LANES, some - first), width // LANES
                    whole = whole if tall == LANES else 0
                    a = a_digits.ctypes.data + first // LANES * n_squares * _LINES
                    b, block = b_digits.ctypes.data, b_digits.strides[0]
                    row_by, column_by = by_row.ctypes.data + 4 * first, by_column.ctypes.data + 4 * n
                    to = out.ctypes.data + (top + first) * out.strides[0] + 4 * n
                    if whole:
                        row_of_squares(
                            a, b, block, whole, n_squares, sums.ctypes.data, row_by, column_by, to,
                            out.strides[0],
                        )  # fmt: skip
                    done = whole * LANES
                    if done < width:  # what sticks out goes by way of a strip
                        strip[:] = 0
                        row_of_squares(
                            a, b + whole * block, block, up_to(width - done, LANES) // LANES, n_squares,
                            sums.ctypes.data, row_by, column_by + 4 * done, strip.ctypes.data,
                            strip.strides[0],
                        )  # fmt: skip
                        for i in range(tall):
                            for j in range(width - done):
                                out[top + first + i, n + done + j] += strip[i, j]
    hand_back()


@jit
def _even_out(B: Array, up: Array, down: Array, factor: Array, by_column: Array) -> None:
    """For each row a power of two near the largest number in it, and one divided by that.

    The largest beside the mean of its column, or else one large column would decide for all; and that is the
    mean of numbers beside the largest of their rows, or else one large row would. For each column what makes
    whole numbers of its numbers, divided so, and what these are multiplied by.
    """
    wide = len(factor)
    row, largest, of_row = np.zeros(wide, np.float32), np.zeros(wide, np.int32), np.empty(LANES, np.int32)
    beside, total = np.ones(wide, np.float32), np.zeros(wide, np.float32)
    for k in range(len(B)):
        numbers = _row(B, k, row)
        largest_product(numbers.ctypes.data, beside.ctypes.data, wide, of_row.ctypes.data)
        _powers_of_two(_largest(of_row), k, up, down)
        divided = down[k]
        for n in range(wide):
            total[n] += abs(numbers[n]) * divided
    for n in range(wide):
        beside[n] = len(B) / total[n] if 0 < total[n] < np.inf else 0
    for k in range(len(B)):
        numbers = _row(B, k, row)
        largest_product(numbers.ctypes.data, beside.ctypes.data, wide, of_row.ctypes.data)
        _powers_of_two(_largest(of_row), k, up, down)
        larger_multiples(numbers.ctypes.data, down.ctypes.data + 4 * k, wide, largest.ctypes.data)
    magnitudes = largest.view(np.float32)
    for n in range(wide):
        factor[n], by_column[n] = scales(magnitudes[n])
    row[0] = beside[0]  # an address alone would not keep them alive


@jit
def _row(B: Array, k: int, padded: Array) -> Any:
    """A row of B, or a copy with zeros behind it that fill up a vector."""
    if B.shape[1] == len(padded):
        return stretch_of_row(B, k, 0, len(padded))
    for n in range(B.shape[1]):
        padded[n] = B[k, n]
    return stretch_of_row(padded.reshape(1, -1), 0, 0, len(padded))


@jit
def _powers_of_two(bits: int, k: int, up: Array, down: Array) -> None:
    """The largest power of two in the float of these bits, and one divided by it; 1 where there is none."""
    exponent = (bits >> 23) - 127
    if not -126 <= exponent <= 126:  # zero, or no number, or one divided by it is none
        exponent = 0
    up[k : k + 1].view(np.int32)[0] = (127 + exponent) << 23
    down[k : k + 1].view(np.int32)[0] = (127 - exponent) << 23


@jit
def _largest(bits: Array) -> Any:
    largest = bits[0]
    for i in range(1, len(bits)):
        largest = max(largest, bits[i])
    return largest


@jit
def _row_to_digits(
    A: Array, at: int, k: int, depth: int, up: Array, row: Array, of_row: Array, r: int, digits: Array,
    by_row: Array,
) -> None:  # fmt: skip
    """The digits of `depth` numbers of row `at`, from k on, times `up`, in the place of row r."""
    n = up_to(depth, DEPTH)
    source = A.ctypes.data + at * A.strides[0] + 4 * k
    if depth < n:
        row[depth:] = 0
        for j in range(depth):
            row[j] = A[at, k + j]
        source = row.ctypes.data
    largest_product(source, up.ctypes.data, n, of_row.ctypes.data)
    of_row[0] = _largest(of_row)
    floats = of_row.view(np.float32)
    floats[0], down = scales(floats[0])
    by_row[r] = down * np.float32(_ORDER)
    to = digits.ctypes.data + r // LANES * (n // DEPTH) * _LINES + r % LANES * DEPTH
    row_to_digits(source, up.ctypes.data, n, of_row.ctypes.data, to, LANES * DEPTH)


@jit
def _to_digits(
    B: Array, k: int, depth: int, n: int, width: int, down: Array, factor: Array, digits: Array
) -> None:  # fmt: skip
    """The digits of B's rows k to k + depth, divided by a power of two each, and columns n to n + width.

    Zeros fill up whole squares.
    """
    wide, deep = up_to(width, LANES), up_to(depth, DEPTH)
    total, padded = np.zeros(wide, np.int32), np.zeros((GROUP, wide), np.float32)
    for i in range(0, deep, GROUP):
        source, stride = B.ctypes.data + (k + i) * B.strides[0] + 4 * n, B.strides[0]
        if wide > width or i + GROUP > depth:
            padded[:] = 0
            for g in range(min(GROUP, depth - i)):
                for j in range(width):
                    padded[g, j] = B[k + i + g, n + j]
            source, stride = padded.ctypes.data, padded.strides[0]
        evened_to_digits(
            source, stride, wide // LANES, down.ctypes.data + 4 * i, factor.ctypes.data + 4 * n,
            total.ctypes.data, digits.ctypes.data + i // GROUP * DIGITS * 64, digits.strides[0],
        )  # fmt: skip
    padded[0, 0] = total[0]  # an address alone would not keep them alive


_alone, _together = jit(_product), team.divided(_product)
