"""Sums of products of bytes and digits, or of floats' parts, in squares of registers (Intel AMX).

A "square" is 16 rows of 64 bytes in a register of its own (Intel: a tile, which is another thing here).
One instruction multiplies a square of stored bytes with one of digits and adds 16 x 16 sums of 64 products
to a third: eight times what AVX-512 VNNI does in the same time (the digits: `digits.py`). A program has to
ask Linux for these registers, and each thread has to say how large the squares are before it uses them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils

from glassnet.kernels import instructions
from glassnet.kernels.digits import AVAILABLE, DIGITS, value_of
from glassnet.kernels.halves import block_of_halves
from glassnet.kernels.instructions import FEATURES, IMITATED, Squares, eight_squares
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import FLOATS, LANES, WORDS, Lanes, further, load
from glassnet.kernels.parts import PARTS

__all__ = [
    "DEPTH", "HALVES_TOO", "SQUARES", "SUMS", "TALL", "hand_back", "squares_of_bytes", "squares_of_halves",
    "squares_of_parts", "squares_of_rounded", "take",
]  # fmt: skip

TALL = 16  # rows of a tile
DEPTH = 64  # bytes of a row of a square
SUMS = TALL * DIGITS * LANES  # whole numbers of a tile's sums, on their way out of the registers
_AT_ONCE = 4  # rows of sums that become floats beside the products of a few squares
_ARCH_PRCTL, _ASK_FOR, _TILE_DATA = 158, 0x1023, 18  # Linux on x86-64: of which state a program may have more


def _allowed() -> bool:
    """Whether Linux lets this program use the registers of squares."""
    if not (AVAILABLE and sys.platform == "linux" and FEATURES.get("amx-tile") and FEATURES.get("amx-int8")):
        return False
    if IMITATED:
        return True
    try:
        return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK_FOR, _TILE_DATA) == 0)
    except (OSError, AttributeError):
        return False


def _squares() -> npt.NDArray[Any] | None:
    """How large every register's square is, as the processor wants to be told; None if it has none."""
    if not _allowed():
        return None
    setting = np.zeros(64, np.uint8)
    setting[0] = 1  # the kind of table, the only one there is
    setting[16:32].view(np.uint16)[:] = DEPTH  # bytes of a row
    setting[48:56] = 16  # rows
    setting.setflags(write=False)
    return setting


SQUARES = _squares()
HALVES_TOO = SQUARES is not None and bool(FEATURES.get("amx-bf16"))  # whether it multiplies floats of 16 bits
_GROUP = DIGITS * 64  # bytes of four rows of sixteen columns: a square of one digit takes a row of each


@intrinsic
def take(_context: Any, setting: Any) -> Any:
    """Make this thread's registers squares, as the 64 bytes at an address say."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        instructions.take(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@intrinsic
def hand_back(_context: Any) -> Any:
    """The registers are not needed any more: what is in them need not be kept when threads take turns."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        instructions.hand_back(builder)
        return context.get_dummy_value()

    return types.void(), generate


def _make_squares_of_bytes(lowest: int) -> Any:
    """A Numba function for out (16, 16) = bytes @ digits * factor (16) + offset (16) + plus (16, 16).

    Digits below the lowest are left out. For n_tiles of them, each place being so many steps further on; plus
    may be out itself. Row r has its 64 n bytes at a + r a_row; the digits are those of `digits.to_digits`;
    `sums` has room for SUMS words.
    """

    @intrinsic
    def squares_of_bytes(
        _context: Any, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, n: Any, n_tiles: Any, sums: Any,
        factor: Any, offset: Any, column_step: Any, plus: Any, plus_row: Any, plus_step: Any, out: Any,
        out_row: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            a, a_row, a_step, b, b_step, n, n_tiles, sums, factor, offset, column_step, *ends = args
            plus, plus_row, plus_step, out, out_row, out_step = ends
            kind = a.type
            registers = eight_squares(builder)
            stored, digit = DIGITS, (DIGITS + 1, DIGITS + 2)

            def products(tile: Any, i: Any) -> None:
                at = further(builder, builder.add(a, builder.mul(i, kind(DEPTH))), tile, a_step)
                registers.load(stored, at, a_row)
                digits = further(builder, builder.add(b, builder.mul(i, kind(16 * _GROUP))), tile, b_step)
                for d in range(lowest, DIGITS):
                    registers.load(digit[d % 2], builder.add(digits, kind(64 * d)), kind(_GROUP))
                    registers.add_products_of_bytes(d, stored, digit[d % 2])

            def finish(tile: Any, r: Any, words: list[Lanes]) -> None:
                by, more = (
                    load(builder, FLOATS, further(builder, start, tile, column_step))
                    for start in (factor, offset)
                )
                term = load(
                    builder, FLOATS, further(builder, further(builder, plus, tile, plus_step), r, plus_row)
                )
                to = further(builder, further(builder, out, tile, out_step), r, out_row)
                value_of(words, by, more).plus(term).store(to)

            _tile_after_tile(registers, n_tiles, n, sums, range(lowest, DIGITS), products, finish)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 17), generate

    return squares_of_bytes


squares_of_bytes, squares_of_rounded = _make_squares_of_bytes(0), _make_squares_of_bytes(1)


@intrinsic
def squares_of_parts(
    _context: Any, a: Any, b: Any, b_step: Any, n: Any, n_tiles: Any, sums: Any, out: Any, out_row: Any
) -> Any:  # fmt: skip
    """out (16, 16 n_tiles) += A (16, 32 n) @ B (32 n, 16 n_tiles) of floats in three parts (`parts.py`).

    Of six of the nine products of parts: the others are below 2^-24 of a product of floats, each. Those of
    one order of magnitude have sums of their own.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        a, b, b_step, n, n_tiles, sums, out, out_row = args
        kind = a.type
        registers = eight_squares(builder)
        lefts, rights = range(PARTS, 2 * PARTS), (2 * PARTS, 2 * PARTS + 1)

        def products(tile: Any, i: Any) -> None:
            first = builder.mul(i, kind(PARTS * 16 * DEPTH))
            left_at, right_at = builder.add(a, first), further(builder, builder.add(b, first), tile, b_step)
            for e in range(PARTS):  # a part of the right with some of the left, the largest first
                right = rights[e % 2]
                registers.load(right, builder.add(right_at, kind(64 * e)), kind(_GROUP))
                for d in range(PARTS - e):
                    if not e:
                        at = builder.add(left_at, kind(d * 16 * DEPTH))
                        registers.load(lefts[d], at, kind(DEPTH))
                    registers.add_products_of_halves(d + e, lefts[d], right)

        def finish(tile: Any, r: Any, words: list[Lanes]) -> None:
            large, small, smallest = (word.seen_as(FLOATS) for word in words)
            to = further(builder, builder.add(out, builder.mul(tile, kind(4 * LANES))), r, out_row)
            smallest.plus(small).plus(large).plus(load(builder, FLOATS, to)).store(to)

        _tile_after_tile(registers, n_tiles, n, sums, range(PARTS), products, finish)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8), generate


@block_of_halves
def squares_of_halves(
    builder: Any, a: Any, b: Any, step: Any, n: Any, out: Any, out_row: Any, begins: Any
) -> None:  # fmt: skip
    """Four squares of sums, of two squares each of A and B at a time: all eight registers."""
    kind = a.type
    registers = eight_squares(builder)
    lefts, rights = (4, 5), (6, 7)
    corners = [(i, j) for i in range(2) for j in range(2)]
    places = [
        builder.add(further(builder, out, kind(TALL * i), out_row), kind(4 * LANES * j)) for i, j in corners
    ]
    with builder.if_else(begins) as (first_time, later):
        with first_time:
            for total in range(4):
                registers.zero(total)
        with later:
            for total, place in enumerate(places):
                registers.load(total, place, out_row)
    with cgutils.for_range(builder, n) as loop:
        at = builder.mul(loop.index, kind(TALL * DEPTH))
        for start, squares in ((a, lefts), (b, rights)):
            for i, square in enumerate(squares):
                first = builder.add(further(builder, start, kind(i), step), at)
                registers.load(square, first, kind(DEPTH))
        for total, (i, j) in enumerate(corners):
            registers.add_products_of_halves(total, lefts[i], rights[j])
    for total, place in enumerate(places):
        registers.store(total, place, out_row)


def _tile_after_tile(
    registers: Squares, n_tiles: Any, n: Any, sums: Any, orders: range,
    products: Callable[[Any, Any], None], finish: Callable[[Any, Any, list[Lanes]], None],
) -> None:  # fmt: skip
    """products(tile, i) for i < n add to some registers; finish(tile, row, sums) makes floats of these.

    That goes on while the next tile's squares are multiplied: the processor can do both at once. There is a
    register for each of the orders of magnitude.
    """
    builder, kind = registers.builder, sums.type

    def finish_row(tile: Any, r: Any) -> None:
        found = builder.add(sums, builder.mul(r, kind(64)))  # digit by digit, row by row
        finish(tile, r, [load(builder, WORDS, builder.add(found, kind(1024 * d))) for d in orders])

    def finish_rows(tile: Any, start: Any) -> None:
        with cgutils.for_range_slice(builder, start, kind(TALL), kind(1)) as (r, _):
            finish_row(tile, r)

    with cgutils.for_range(builder, n_tiles) as tiles:
        tile, before = tiles.index, builder.sub(tiles.index, kind(1))
        one_before = builder.icmp_signed(">", tile, kind(0))
        for d in orders:
            registers.zero(d)
        with cgutils.for_range(builder, n) as loop:
            products(tile, loop.index)
            some = builder.icmp_signed("<", loop.index, kind(TALL // _AT_ONCE))
            with builder.if_then(builder.and_(one_before, some)):
                for i in range(_AT_ONCE):
                    finish_row(before, builder.add(builder.mul(loop.index, kind(_AT_ONCE)), kind(i)))
        with builder.if_then(one_before):
            finish_rows(before, builder.mul(n, kind(_AT_ONCE)))  # what is left after few squares
        for d in orders:
            registers.store(d, builder.add(sums, kind(1024 * d)), kind(64))
    finish_rows(builder.sub(n_tiles, kind(1)), kind(0))
