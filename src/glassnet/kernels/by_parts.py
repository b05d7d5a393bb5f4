"""Products of many rows of floats where a processor multiplies squares of floats of 16 bits (Intel AMX).

Each float is the sum of three such floats (`parts.py`), and six products of them are one of float32 to 2^-24
of itself; their sums are float32. So it loses less than products of floats, and takes down to half the time
(the idea: Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for
higher-precision computations").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels import team
from glassnet.kernels.amx import DEPTH, HALVES_TOO, SQUARES, SUMS, TALL, hand_back, squares_of_parts, take
from glassnet.kernels.jit import jit
from glassnet.kernels.lanes import LANES
from glassnet.kernels.memory import new_lines, up_to
from glassnet.kernels.parts import PARTS, WIDE, pair_to_parts, row_to_parts
from glassnet.kernels.team import cut_product

__all__ = ["gains_by_parts", "product_by_parts"]

Array = npt.NDArray[Any]
_DEEP = 224  # terms at a time: the parts of 16 rows of A and of 16 columns of B fill the first cache
_HIGH, _BROAD = 2048, 512  # rows of A and columns of B whose parts are kept at a time
_LINES = PARTS * TALL * DEPTH  # bytes of a square of every part
#: rows and columns, terms, and multiplications from which it pays: the squares may need milliseconds to be
#: at their full speed, a quarter of which is no more than that of the vector registers
_LEAST, _LONG, _WORTH = 128, 192, 2**27


def gains_by_parts(A: Array, B: Array, out: Array) -> bool:
    """Whether squares can do this product, and are faster than the vector registers."""
    (M, K), N = A.shape, B.shape[1]
    return (
        HALVES_TOO
        and min(M, N) >= _LEAST
        and K >= _LONG
        and M * K * N >= _WORTH
        and A.dtype == B.dtype == out.dtype == np.float32
        and A.strides[1] == B.strides[1] == out.strides[1] == 4
    )


def product_by_parts(A: Array, B: Array, out: Array, members: team.Team) -> None:
    """out (M, N) = A (M, K) @ B (K, N): each member has its rows of A, or its columns of B."""
    if members.size == 1:
        _alone(SQUARES, A, B, out)
    else:
        members.do(_together, tuple((SQUARES, *part) for part in cut_product(A, B, out, members.size)))


def _product(setting: Array, A: Array, B: Array, out: Array) -> None:
    """out (M, N) = A (M, K) @ B (K, N), the rows of all of them without gaps."""
    take(setting.ctypes.data)
    (M, K), N = A.shape, B.shape[1]
    pieces = (K + _DEEP - 1) // _DEEP
    deep = up_to((K + pieces - 1) // pieces, WIDE)
    high, broad = min(_HIGH, up_to(M, TALL)), min(_BROAD, up_to(N, LANES))
    a_parts, b_parts = (
        new_lines(high // TALL * deep // WIDE * _LINES),
        new_lines(broad // LANES * deep // WIDE * _LINES),
    )
    row, pair = np.zeros(deep, np.float32), np.zeros((2, broad), np.float32)
    sums, strip = new_lines(SUMS * 4), np.empty((TALL, broad), np.float32)
    out[:] = 0
    for k in range(0, K, deep):
        depth = min(deep, K - k)
        n_squares = up_to(depth, WIDE) // WIDE
        step = n_squares * _LINES  # bytes of the parts of 16 rows of A, or of 16 columns of B
        for top in range(0, M, high):
            some = min(high, M - top)
            for r in range(some):
                to = a_parts.ctypes.data + r // TALL * step + r % TALL * DEPTH
                _row_to_parts(A, top + r, k, depth, row, to)
            for n in range(0, N, broad):
                width = min(broad, N - n)
                _columns_to_parts(B, k, depth, n, width, pair, b_parts, step)
                for first in range(0, some, TALL):
                    tall = min(TALL, some - first)
                    whole = width // LANES if tall == TALL else 0
                    a, b = a_parts.ctypes.data + first // TALL * step, b_parts.ctypes.data
                    if whole:
                        to = out.ctypes.data + (top + first) * out.strides[0] + 4 * n
                        squares_of_parts(a, b, step, n_squares, whole, sums.ctypes.data, to, out.strides[0])
                    done = whole * LANES
                    if done < width:  # what sticks out goes by way of a strip
                        strip[:] = 0
                        squares_of_parts(
                            a, b + whole * step, step, n_squares, up_to(width - done, LANES) // LANES,
                            sums.ctypes.data, strip.ctypes.data, strip.strides[0],
                        )  # fmt: skip
                        for i in range(tall):
                            for j in range(width - done):
                                out[top + first + i, n + done + j] += strip[i, j]
    hand_back()


@jit
def _row_to_parts(A: Array, at: int, k: int, depth: int, row: Array, to: int) -> None:
    """The parts of `depth` numbers of row `at`, from k on; zeros fill up whole squares."""
    n = up_to(depth, WIDE)
    source = np.int64(A.ctypes.data) + at * A.strides[0] + 4 * k
    if depth < n:
        row[depth:] = 0
        for j in range(depth):
            row[j] = A[at, k + j]
        source = np.int64(row.ctypes.data)
    row_to_parts(source, n, to, TALL * DEPTH)


@jit
def _columns_to_parts(
    B: Array, k: int, depth: int, n: int, width: int, pair: Array, parts: Array, step: int
) -> None:  # fmt: skip
    """The parts of B's rows k to k + depth and columns n to n + width; zeros fill up whole squares."""
    for i in range(0, up_to(depth, WIDE), 2):
        source, stride = np.int64(B.ctypes.data) + (k + i) * B.strides[0] + 4 * n, B.strides[0]
        if width % LANES or i + 2 > depth:
            pair[:] = 0
            for g in range(min(2, depth - i)):
                for j in range(width):
                    pair[g, j] = B[k + i + g, n + j]
            source, stride = np.int64(pair.ctypes.data), pair.strides[0]
        to = parts.ctypes.data + i // 2 * PARTS * 64
        pair_to_parts(source, stride, up_to(width, LANES) // LANES, to, step)


_alone, _together = jit(_product), team.divided(_product)
