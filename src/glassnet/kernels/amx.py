"""Sums of products of bytes and digits, or of digits, where a processor multiplies squares (Intel AMX).

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
from llvmlite import ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.digits import AVAILABLE, DIGITS, value_of
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import FLOATS, LANES, WORDS, called, load
from glassnet.kernels.tile import FEATURES

__all__ = [
    "DEPTH", "SQUARES", "SUMS", "TALL", "hand_back", "row_of_squares", "squares_of_digits", "take",
]  # fmt: skip

_HIGH = 2  # squares of bytes one below the other, each with one of sums for every digit
TALL = 16 * _HIGH  # rows of a tile
DEPTH = 64  # bytes of a row of a square
SUMS = TALL * DIGITS * LANES  # whole numbers of a tile's sums, on their way out of the registers
_AT_ONCE = 4  # rows of sums that become floats beside the products of six squares
_ARCH_PRCTL, _ASK_FOR, _TILE_DATA = 158, 0x1023, 18  # Linux on x86-64: of which state a program may have more


def _allowed() -> bool:
    """Whether Linux lets this program use the registers of squares."""
    if not (AVAILABLE and sys.platform == "linux" and FEATURES.get("amx-tile") and FEATURES.get("amx-int8")):
        return False
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
_GROUP = DIGITS * 64  # bytes of four rows of sixteen columns: a square of one digit takes a row of each
_I8, _I64, _PLACE, _NOTHING = ir.IntType(8), ir.IntType(64), ir.PointerType(), ir.VoidType()


@intrinsic
def take(_context: Any, setting: Any) -> Any:
    """Make this thread's registers squares, as the 64 bytes at an address say."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        take = called(builder, "llvm.x86.ldtilecfg", _NOTHING, _PLACE)
        builder.call(take, [builder.inttoptr(args[0], _PLACE)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@intrinsic
def hand_back(_context: Any) -> Any:
    """The registers are not needed any more: what is in them need not be kept when threads take turns."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        builder.call(called(builder, "llvm.x86.tilerelease", _NOTHING), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def squares_of_digits(
    _context: Any, a: Any, a_row: Any, b: Any, n: Any, sums: Any, factor: Any, offset: Any, plus: Any,
    plus_row: Any, out: Any, out_row: Any,
) -> Any:  # fmt: skip
    """out (32, 16) = bytes @ digits * factor (16) + offset (16) + plus (32, 16), which may be out itself.

    Row r has its 64 n bytes at a + r a_row; the digits are those of `digits.to_digits`; `sums` has room for
    SUMS words.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        a, a_row, b, n, sums, factor, offset, plus, plus_row, out, out_row = args
        kind = a.type
        on_square, multiply = _on_square(builder), _multiplied(builder, "tdpbusd")
        for square in range(_HIGH * DIGITS):
            on_square("tilezero", square)
        stored, digit = _HIGH * DIGITS, _HIGH * DIGITS + 1
        with cgutils.for_range(builder, n) as loop:
            left = builder.add(a, builder.mul(loop.index, kind(DEPTH)))
            digits = builder.add(b, builder.mul(loop.index, kind(16 * _GROUP)))
            for high in range(_HIGH):
                at = builder.add(left, builder.mul(a_row, kind(16 * high)))
                on_square("tileloadd64", stored, at, a_row)
                for d in range(DIGITS):
                    on_square("tileloadd64", digit, builder.add(digits, kind(64 * d)), kind(_GROUP))
                    multiply(DIGITS * high + d, stored, digit)
        by, offset = (load(builder, FLOATS, address) for address in (factor, offset))
        row = DIGITS * 64  # a row's sums stand side by side
        for high in range(_HIGH):
            for d in range(DIGITS):
                to = builder.add(sums, kind(16 * high * row + 64 * d))
                on_square("tilestored64", DIGITS * high + d, to, kind(row))
        with cgutils.for_range(builder, kind(TALL)) as loop:
            found = builder.add(sums, builder.mul(loop.index, kind(row)))
            term = load(builder, FLOATS, builder.add(plus, builder.mul(plus_row, loop.index)))
            words = [load(builder, WORDS, builder.add(found, kind(64 * d))) for d in range(DIGITS)]
            to = builder.add(out, builder.mul(out_row, loop.index))
            value_of(words, by, offset).plus(term).store(to)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 11), generate


@intrinsic
def row_of_squares(
    _context: Any, a: Any, b: Any, b_block: Any, n_blocks: Any, n: Any, sums: Any, by_row: Any,
    by_column: Any, out: Any, out_row: Any,
) -> Any:  # fmt: skip
    """out (16, 16 n_blocks) += digits @ digits * by_row (16, 1) * by_column (16 n_blocks).

    Of six of the nine products of digits: the others are below 2^-23 of the largest there can be. The left
    ones have 16 rows of 64 bytes for each digit, and so on n times; the right ones are those of
    `digits.to_digits`. While the squares of one block are multiplied, the sums of the one before become
    floats.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        a, b, b_block, n_blocks, n, sums, by_row, by_column, out, out_row = args
        kind = a.type
        on_square, multiply = _on_square(builder), _multiplied(builder, "tdpbssd")
        lefts, rights = range(DIGITS, 2 * DIGITS), (2 * DIGITS, 2 * DIGITS + 1)
        lines = kind(DIGITS * 16 * DEPTH)

        def add_row(r: Any, block: Any) -> None:
            """A row of a block's sums, which lie digit by digit, is added to out."""
            here, found = builder.mul(block, kind(4 * LANES)), builder.add(sums, builder.mul(r, kind(64)))
            words = [load(builder, WORDS, builder.add(found, kind(1024 * d))) for d in range(DIGITS)]
            of_column = load(builder, FLOATS, builder.add(by_column, here))
            of_row = load(builder, FLOATS.element, builder.add(by_row, builder.mul(r, kind(4)))).value
            to = builder.add(builder.add(out, here), builder.mul(out_row, r))
            value_of(words, of_column.times_plus(of_row, 0.0), load(builder, FLOATS, to)).store(to)

        def add_rows(start: Any, block: Any) -> None:
            with cgutils.for_range_slice(builder, start, kind(16), kind(1)) as (r, _):
                add_row(r, block)

        with cgutils.for_range(builder, n_blocks) as blocks:
            block, before = blocks.index, builder.sub(blocks.index, kind(1))
            one_before = builder.icmp_signed(">", block, kind(0))
            for square in range(DIGITS):
                on_square("tilezero", square)
            right_at = builder.add(b, builder.mul(block, b_block))
            with cgutils.for_range(builder, n) as loop:
                first = builder.mul(loop.index, lines)
                left_at, digits = builder.add(a, first), builder.add(right_at, first)
                for turn, e in enumerate(reversed(range(DIGITS))):  # with some of the left
                    right = rights[turn % 2]
                    on_square("tileloadd64", right, builder.add(digits, kind(64 * e)), kind(_GROUP))
                    for d in range(DIGITS - 1, DIGITS - 2 - e, -1):
                        if not turn:
                            at = builder.add(left_at, kind(d * 16 * DEPTH))
                            on_square("tileloadd64", lefts[d], at, kind(DEPTH))
                        multiply(d + e - (DIGITS - 1), lefts[d], right)
                some = builder.and_(one_before, builder.icmp_signed("<", loop.index, kind(16 // _AT_ONCE)))
                with builder.if_then(some):
                    for i in range(_AT_ONCE):
                        r = builder.add(builder.mul(loop.index, kind(_AT_ONCE)), kind(i))
                        add_row(r, before)
            with builder.if_then(one_before):
                add_rows(builder.mul(n, kind(_AT_ONCE)), before)  # what is left after few squares
            for d in range(DIGITS):
                on_square("tilestored64", d, builder.add(sums, kind(1024 * d)), kind(64))
        add_rows(kind(0), builder.sub(n_blocks, kind(1)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 10), generate


def _on_square(builder: Any) -> Callable[..., None]:
    """What does something with one of the registers: its name, the register, an address and a distance."""

    def on_square(name: str, square: int, *where: Any) -> None:
        kinds = [_PLACE, _I64][: len(where)]
        does = called(builder, f"llvm.x86.{name}", _NOTHING, _I8, *kinds)
        address = [builder.inttoptr(where[0], _PLACE)] if where else []
        builder.call(does, [_I8(square), *address, *where[1:]])

    return on_square


def _multiplied(builder: Any, name: str) -> Callable[[int, int, int], None]:
    """What adds the products of two registers to a third, the first one given."""
    multiply = called(builder, f"llvm.x86.{name}", _NOTHING, _I8, _I8, _I8)
    return lambda to, left, right: builder.call(multiply, [_I8(to), _I8(left), _I8(right)])
