"""Sums of products of bytes and digits where the processor multiplies whole squares of them (Intel AMX).

A "square" is 16 rows of 64 bytes in a register of its own (Intel: a tile, which is another thing here).
One instruction multiplies a square of stored bytes with one of digits and adds 16 x 16 sums of 64 products
to a third: eight times what AVX-512 VNNI does in the same time (the digits: `digits.py`). A program has to
ask Linux for these registers, and each thread has to say how large the squares are before it uses them.
"""

from __future__ import annotations

import ctypes
import sys
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

__all__ = ["DEPTH", "SQUARES", "SUMS", "TALL", "hand_back", "squares_of_digits", "take"]

_HIGH = 2  # squares of bytes one below the other, each with one of sums for every digit
TALL = 16 * _HIGH  # rows of a tile
DEPTH = 64  # bytes of a row of a square
SUMS = TALL * DIGITS * LANES  # whole numbers of a tile's sums, on their way out of the registers
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

        def on_square(name: str, square: int, *where: Any) -> None:
            does = called(builder, f"llvm.x86.{name}", _NOTHING, _I8, *(place.type for place in where))
            builder.call(does, [_I8(square), *where])

        def place(address: Any) -> Any:
            return builder.inttoptr(address, _PLACE)

        multiply = called(builder, "llvm.x86.tdpbusd", _NOTHING, _I8, _I8, _I8)
        for square in range(_HIGH * DIGITS):
            on_square("tilezero", square)
        stored, digit = _HIGH * DIGITS, _HIGH * DIGITS + 1
        group = DIGITS * 64  # a square of one digit takes a row of every group
        with cgutils.for_range(builder, n) as loop:
            left = builder.add(a, builder.mul(loop.index, kind(DEPTH)))
            digits = builder.add(b, builder.mul(loop.index, kind(16 * group)))
            for high in range(_HIGH):
                at = builder.add(left, builder.mul(a_row, kind(16 * high)))
                on_square("tileloadd64", stored, place(at), a_row)
                for d in range(DIGITS):
                    on_square("tileloadd64", digit, place(builder.add(digits, kind(64 * d))), _I64(group))
                    builder.call(multiply, [_I8(DIGITS * high + d), _I8(stored), _I8(digit)])
        row = DIGITS * 64  # a row's sums stand side by side
        for high in range(_HIGH):
            for d in range(DIGITS):
                to = builder.add(sums, kind(16 * high * row + 64 * d))
                on_square("tilestored64", DIGITS * high + d, place(to), _I64(row))
        by, offset = (load(builder, FLOATS, address) for address in (factor, offset))
        with cgutils.for_range(builder, kind(TALL)) as loop:
            found = builder.add(sums, builder.mul(loop.index, kind(row)))
            term = load(builder, FLOATS, builder.add(plus, builder.mul(plus_row, loop.index)))
            words = [load(builder, WORDS, builder.add(found, kind(64 * d))) for d in range(DIGITS)]
            to = builder.add(out, builder.mul(out_row, loop.index))
            value_of(words, by, offset).plus(term).store(to)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 11), generate
