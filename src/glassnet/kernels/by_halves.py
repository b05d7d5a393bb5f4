"""Products of floats rounded to 16 bits, for whoever allows it: in squares (Intel AMX) or vectors (AVX-512).

Each factor, in vectors stored bytes too, is rounded to 8 bits of precision, products and sums are float32
(Micikevicius et al. 2018, "Mixed precision training"; Kalamkar et al. 2019, "A study of bfloat16 for deep
learning training").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels import team
from glassnet.kernels.amx import DEPTH, HALVES_TOO, SQUARES, TALL, hand_back, squares_of_halves, take
from glassnet.kernels.digits import AVAILABLE as HAS_DIGITS
from glassnet.kernels.halves import (
    ROWS,
    TERMS,
    across_to_left,
    across_to_right,
    along_to_left,
    along_to_right,
    bytes_across_to_left,
    bytes_along_to_left,
    vectors_of_halves,
)
from glassnet.kernels.instructions import FEATURES, THIS_PROCESSOR
from glassnet.kernels.jit import jit
from glassnet.kernels.memory import copy_rows, new_lines, up_to
from glassnet.kernels.prepared import as_prepared
from glassnet.kernels.team import cut, cut_product

__all__ = [
    "REGISTERS", "ROUNDED", "bytes_become_halves", "gains_by_halves", "halves_of", "product_by_halves",
    "rounding_pays", "stored_by_halves",
]  # fmt: skip

Array = npt.NDArray[Any]
#: whether this processor rounds by one instruction, and multiplies in vectors at least (AVX-512 BF16)
_AVAILABLE = THIS_PROCESSOR and bool(FEATURES.get("avx512bf16"))
#: the setting of registers of squares, or None for vectors
REGISTERS = SQUARES if HALVES_TOO else None
#: whose factors are rounded here for a network that allows it
ROUNDED = "all large products" if _AVAILABLE else "products of stored bytes" if HAS_DIGITS else "no products"
_WIDE = 2 * TALL  # rows and columns of a result: its four squares and four of the factors fill all registers
#: terms at a time, rows of A and columns of B whose halves are kept at a time, in the second cache: sums
#: seldom leave the registers (in squares 6.6 ms in place of 8.3 with 256 terms, 704 x 3072 x 1024)
_DEEP, _HIGH, _BROAD = 768, 768, 256 if REGISTERS is None else 512
#: and where those of B are ready: all terms at once, so that sums stay in the registers, of so few rows that
#: they stay in that cache while the columns pass by (in squares not tried)
_DEEP_READY, _HIGH_READY = (3072, 32) if REGISTERS is None else (_DEEP, _HIGH)
_SQUARE = TALL * DEPTH  # bytes
_LEAST, _WORTH = 32, 2**21  # rows, terms and columns, and multiplications, below which it takes as long
_TERMS = 128  # at least for each member
_FEW = 128  # columns below which, in long batches, digits of W take less time than halves of all bytes


def rounding_pays(M: int, K: int, N: int) -> bool:
    """Whether products (M, K) @ (K, N) of rounded factors take less time here."""
    return _AVAILABLE and min(M, K, N) >= _LEAST and M * K * N >= _WORTH


def gains_by_halves(A: Array, B: Array, out: Array) -> bool:
    """Whether this product is done so, whoever is at work: numbers must not depend on that."""
    return (
        rounding_pays(len(A), len(B), B.shape[1])
        and A.dtype == B.dtype == out.dtype == np.float32
        and 4 in A.strides
        and 4 in B.strides
        and out.strides[1] == 4
    )


def bytes_become_halves(M: int, K: int, N: int) -> bool:
    """Whether M stored rows of K bytes are multiplied so with N columns (squares multiply bytes as such)."""
    return REGISTERS is None and N >= _FEW and rounding_pays(M, K, N)


def product_by_halves(A: Array, B: Array, out: Array) -> None:
    """out (M, N) = A (M, K) @ B (K, N); each member of the team has its rows of A, columns of B, or terms.

    Who leads no team does it alone; in squares so fast that the BLAS would need four to ten processors. In
    vectors, terms of short batches, so that rows of W stay with one member: W3's step takes 0.86 ms in place
    of 1.12 (in squares not tried).
    """
    members = team.willing(A.size * B.shape[1] // 8)
    if members is None:
        right, turned = _stored(B)
        _alone(REGISTERS, *_stored(A), right if turned else as_prepared(right), turned, out)
    elif REGISTERS is None and B.strides[1] == 4 and len(B) >= max(2 * len(A), _TERMS * members.size):
        terms = [(REGISTERS, *_stored(A[:, i:j]), *_stored(B[i:j])) for i, j in cut(len(B), members.size)]
        members.add_up(_together, terms, out)
    else:
        parts = cut_product(A, B, out, members.size)
        members.do(_together, tuple((REGISTERS, *_stored(a), *_stored(b), c) for a, b, c in parts))


@jit
def halves_of(B: Array) -> Any:
    """B (K, N) made ready for many products: for each piece of its terms the squares of all columns."""
    K, N = B.shape
    deep, edge = _terms(K, _DEEP_READY), _new_block()
    pieces, blocks, size = (K + deep - 1) // deep, up_to(N, _WIDE) // TALL, deep // _WIDE * _SQUARE
    ready = new_lines(pieces * blocks * size).reshape(pieces, blocks, size)
    for k in range(0, K, deep):
        _to_squares(B, None, False, False, 0, N, k, min(deep, K - k), edge, ready[k // deep])
    return ready


def _stored(factor: Array) -> tuple[Array, bool]:
    """As it lies in memory, row after row, and whether that is transposed."""
    return (factor, False) if factor.strides[1] == 4 else (factor.T, True)


def _product(squares: Any, A: Array, a_turned: bool, B: Array, b_turned: bool, out: Array) -> None:
    """out (M, N) = A (M, K) @ B (K, N), each as it is or turned; rows have no gaps inside.

    B is a factor or `halves_of` one.
    """
    if squares is not None:
        take(squares.ctypes.data)
    M, K = len(out), A.shape[0] if a_turned else A.shape[1]
    deep, high, left, right, edge = _places(M, K, out.shape[1], B)
    for top in range(0, M, high):
        some = min(high, M - top)
        for k in range(0, K, deep):
            depth = min(deep, K - k)
            _to_squares(A, None, not a_turned, True, top, some, k, depth, edge, left)
            _multiply(squares, left, top, some, B, b_turned, k, depth, right, edge, out)
    if squares is not None:
        hand_back()


def stored_by_halves(
    turned: bool, X: Array, rows: Array, start: int, scale: Array, shift: Array, B: Array, out: Array
) -> None:  # fmt: skip
    """out (M, N) = A (M, K) @ B (K, N), where A are stored bytes, X[rows, start:] * scale + shift, or turned.

    In vectors; the bytes become halves without being floats before. B is a factor or `halves_of` one.
    """
    M, K = len(out), X.shape[1] if B.ndim == 3 else len(B)
    deep, high, left, right, edge = _places(M, K, out.shape[1], B)
    scaling, room = (scale[0], shift[0]), new_lines(deep * high)
    for top in range(0, M, high):
        some = min(high, M - top)
        for k in range(0, K, deep):
            depth = min(deep, K - k)
            if turned:
                copy_rows(X, rows[k : k + depth], start + top, some, room, some)
                stored = room[: depth * some].reshape(depth, some)
            else:
                copy_rows(X, rows[top : top + some], start + k, depth, room, depth)
                stored = room[: some * depth].reshape(some, depth)
            _to_squares(stored, scaling, not turned, True, 0, some, 0, depth, edge, left)
            _multiply(None, left, top, some, B, False, k, depth, right, edge, out)


@jit
def _places(M: int, K: int, N: int, B: Array) -> Any:
    """How many terms of how many rows at a time, and memory for these, for columns of B, and for edges."""
    if B.ndim == 3:
        deep, high, broad = B.shape[2] // _SQUARE * _WIDE, min(_HIGH_READY, M), 1
    else:
        deep = _terms(K, _DEEP)
        high, broad = min(_HIGH, M), min(_broad(deep), N)
    return deep, high, _room(deep, high), _room(deep, broad), _new_block()


@jit
def _terms(K: int, most: int) -> Any:
    """Of a piece: as many in each, and whole squares."""
    pieces = (K + most - 1) // most
    return up_to((K + pieces - 1) // pieces, _WIDE)


@jit
def _broad(deep: int) -> int:
    """Columns of B at a time: more of fewer terms (in squares not tried)."""
    return _BROAD if HALVES_TOO else _BROAD * _DEEP // deep // _WIDE * _WIDE


@jit
def _room(deep: int, n: int) -> Any:
    """For the squares of `deep` terms of n rows of A, or columns of B: one row for each sixteen of them."""
    n = up_to(n, _WIDE) // TALL
    return new_lines(n * deep // _WIDE * _SQUARE).reshape(n, -1)


@jit
def _new_block() -> Any:
    """Memory for 32 x 32 numbers that stick out of a factor, or of the result."""
    return np.zeros((_WIDE, _WIDE), np.float32)


@jit
def _multiply(
    squares: Any, left: Array, top: int, some: int, B: Array, b_turned: bool, k: int, depth: int,
    right: Array, edge: Array, out: Array,
) -> None:  # fmt: skip
    """out[top : top + some] = or += what is in `left` @ B[k : k + depth], by `right` the columns of B."""
    step, n_squares = left.strides[0], up_to(depth, _WIDE) // _WIDE
    deep, N = step // _SQUARE * _WIDE, out.shape[1]
    for n in range(0, N, _broad(deep)):
        width = min(_broad(deep), N - n)
        if B.ndim == 3:
            first = B.ctypes.data + k // deep * B.strides[0] + n // TALL * step
        else:
            first = right.ctypes.data
            _to_squares(B, None, b_turned, False, n, width, k, depth, edge, right)
        for i in range(0, some, _WIDE):  # whole rows, one after the other
            a = left.ctypes.data + i // TALL * step
            for j in range(0, width, _WIDE):
                b = first + j // TALL * step
                tall, wide = min(_WIDE, some - i), min(_WIDE, width - j)
                if tall == _WIDE and wide == _WIDE:
                    to = out.ctypes.data + (top + i) * out.strides[0] + 4 * (n + j)
                    _block(squares, a, b, step, n_squares, to, out.strides[0], k == 0)
                else:
                    _block(squares, a, b, step, n_squares, edge.ctypes.data, edge.strides[0], True)
                    _put(edge, out, top + i, n + j, tall, wide, k == 0)


@jit
def _block(squares: Any, a: int, b: int, step: int, n: int, to: int, row: int, fresh: bool) -> None:
    """32 x 32 numbers of a result, in this processor's way."""
    if squares is None:
        vectors_of_halves(a, b, step, n, to, row, fresh)
    else:
        squares_of_halves(a, b, step, n, to, row, fresh)


@jit
def _put(corner: Array, out: Array, i: int, j: int, tall: int, wide: int, fresh: bool) -> None:
    """Copy or add to out[i:, j:] as much of a 32 x 32 result as belongs there: the lower and right edges."""
    for r in range(tall):
        for c in range(wide):
            out[i + r, j + c] = corner[r, c] if fresh else out[i + r, j + c] + corner[r, c]


@jit
def _to_squares(
    F: Array, scaling: Any, along: bool, is_left: bool, first: int, n: int, k: int, depth: int, edge: Array,
    to: Array,
) -> None:  # fmt: skip
    """n rows of A, or columns of B, and `depth` terms of theirs; zeros fill up whole squares, and pairs.

    Bytes have a scaling: what they are multiplied by, and what is added.
    """
    row, size, start, step = F.strides[0], F.itemsize, np.int64(F.ctypes.data), to.strides[0]
    start += row * first + size * k if along else row * k + size * first
    blocks, squares = n // ROWS, depth // TERMS
    if along:
        for i in range(blocks):
            at = to.ctypes.data + i * step
            _fill(scaling, along, is_left, start + row * ROWS * i, row, squares, at, _SQUARE)
    else:
        for j in range(squares):
            at = to.ctypes.data + j * _SQUARE
            _fill(scaling, along, is_left, start + row * TERMS * j, row, blocks, at, step)
    for i in range(up_to(n, _WIDE) // ROWS):
        for j in range(squares if i < blocks else 0, up_to(depth, TERMS) // TERMS):
            _copy_some(
                F, scaling, along, first + ROWS * i, n - ROWS * i, k + TERMS * j, depth - TERMS * j, edge
            )  # fmt: skip
            at = to.ctypes.data + i * step + j * _SQUARE
            _fill(None, along, is_left, edge.ctypes.data, edge.strides[0], 1, at, _SQUARE)


@jit
def _fill(
    scaling: Any, along: bool, is_left: bool, source: int, row: int, n: int, to: int, next_square: int
) -> None:  # fmt: skip
    """n squares in the way that suits a factor's side, and how it lies in memory (`halves.py`)."""
    if scaling is not None:
        if along:
            bytes_along_to_left(source, row, n, to, next_square, scaling[0], scaling[1])
        else:
            bytes_across_to_left(source, row, n, to, next_square, scaling[0], scaling[1])
    elif along and is_left:
        along_to_left(source, row, n, to, next_square)
    elif along:
        along_to_right(source, row, n, to, next_square)
    elif is_left:
        across_to_left(source, row, n, to, next_square)
    else:
        across_to_right(source, row, n, to, next_square)


@jit
def _copy_some(
    F: Array, scaling: Any, along: bool, first: int, n: int, k: int, depth: int, edge: Array
) -> None:  # fmt: skip
    """The numbers of a square that is not whole, and zeros for all others."""
    edge[:] = 0
    for i in range(min(n, ROWS)):
        for j in range(min(depth, TERMS)):
            to, at = ((i, j), (first + i, k + j)) if along else ((j, i), (k + j, first + i))
            if scaling is None:
                edge[to] = F[at]
            else:
                edge[to] = np.float32(F[at]) * scaling[0] + scaling[1]


_alone, _together = jit(_product), team.divided(_product)
