"""Sums of products of bytes and digits, in the vector registers: four products by one instruction.

AVX-512 VNNI's `vpdpbusd` multiplies four bytes without sign with four with sign and adds all to a sum of 32
bits. A "group" is four bytes that meet so; a digit is a byte with sign (see `stored.py`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import (
    FLOATS,
    WORDS,
    Lanes,
    called,
    load,
    load_bytes,
    number,
    side_by_side,
    steps,
)

__all__ = [
    "DIGITS", "GROUP", "STRIP", "TALL", "sums_of_columns", "sums_of_rows", "tile_of_digits", "to_digits",
    "turn_four",
]  # fmt: skip

DIGITS, GROUP = 3, 4
TALL = 8  # rows of a tile: 8 x 3 digits of 16 columns, 24 sums that stay in the registers
STRIP = 64  # columns of bytes that are turned at a time: one cache line
alloca: Any = cgutils.alloca_once


def _zeros(builder: Any, n: int) -> list[Any]:
    """Memory for n vectors of sums, which becomes registers."""
    sums = [alloca(builder, WORDS) for _ in range(n)]
    for total in sums:
        builder.store(number(builder, 0).value, total)
    return sums


def _add_products(builder: Any, total: Any, stored: Any, digits: Any) -> None:
    multiply = called(builder, "llvm.x86.avx512.vpdpbusd.512", WORDS, WORDS, WORDS, WORDS)
    builder.store(builder.call(multiply, [builder.load(total), stored, digits]), total)


def _value(builder: Any, sums: list[Any]) -> Lanes:
    """The digits' sums as one number."""
    low, middle, high = (Lanes(builder, builder.load(total)).as_floats() for total in sums)
    return high.times_plus(256.0, middle).times_plus(256.0, low)


@intrinsic
def tile_of_digits(
    _context: Any, a: Any, a_row: Any, a_group: Any, b: Any, n_groups: Any, factor: Any, offset: Any,
    out: Any, out_row: Any,
) -> Any:  # fmt: skip
    """out (8, 16) = bytes @ digits * factor (16) + offset (16).

    Row r of the bytes has its groups of four at a + r a_row, one every `a_group` bytes; the digits have
    3 x 16 x 4 bytes for each group.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        a, a_row, a_group, b, n_groups, factor, offset, out, out_row = args
        sums = [_zeros(builder, DIGITS) for _ in range(TALL)]
        with cgutils.for_range(builder, n_groups) as loop:
            digits_at = builder.add(b, builder.mul(loop.index, a.type(DIGITS * 64)))
            digits = [load(builder, WORDS, builder.add(digits_at, a.type(64 * d))) for d in range(DIGITS)]
            at = builder.add(a, builder.mul(loop.index, a_group))
            for r, row in enumerate(sums):
                four = load(builder, ir.IntType(32), builder.add(at, builder.mul(a_row, a.type(r)))).value
                bytes_of_row = digits[0].each(four)
                for digit, total in zip(digits, row, strict=True):
                    _add_products(builder, total, bytes_of_row, digit.value)
        by, plus = (load(builder, FLOATS, address) for address in (factor, offset))
        for r, row in enumerate(sums):
            _value(builder, row).times_plus(by, plus).store(builder.add(out, builder.mul(out_row, a.type(r))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9), generate


@intrinsic
def to_digits(_context: Any, source: Any, row: Any, n_groups: Any, factor: Any, out: Any) -> Any:
    """Sixteen columns of floats, times `factor` (16), as digits; four rows together, `row` bytes apart."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        source, row, n_groups, factor, out = args
        by = load(builder, FLOATS, factor)
        with cgutils.for_range(builder, n_groups) as loop:
            first = builder.add(source, builder.mul(builder.mul(loop.index, row.type(GROUP)), row))
            left = [
                load(builder, FLOATS, builder.add(first, builder.mul(row, row.type(i)))).times_plus(
                    by, 0.0
                ).rounded()
                for i in range(GROUP)
            ]  # fmt: skip
            to = builder.add(out, builder.mul(loop.index, row.type(DIGITS * 64)))
            for d in range(DIGITS):
                digit = [(value << 24) >> 24 for value in left]  # the lowest eight bits, with their sign
                left = [(value - low) >> 8 for value, low in zip(left, digit, strict=True)]
                side_by_side(*(value & 255 for value in digit)).store(builder.add(to, row.type(64 * d)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


@intrinsic
def turn_four(_context: Any, a: Any, b: Any, c: Any, d: Any, out: Any) -> Any:
    """64 columns of four rows of bytes: the four bytes of a column side by side."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        *rows, out = args
        with steps(builder, out.type(STRIP)) as k:
            words = side_by_side(*(load_bytes(builder, builder.add(row, k)) for row in rows))
            words.store(builder.add(out, builder.mul(k, k.type(4))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


@intrinsic
def sums_of_rows(_context: Any, a: Any, a_row: Any, b: Any, b_digit: Any, n_lines: Any, out: Any) -> Any:
    """For one column of digits: the sums of 4 rows of bytes with each of 3 digits, 12 int32.

    Lines are 64 bytes; each digit's are `b_digit` bytes apart.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        a, a_row, b, b_digit, n_lines, out = args
        sums = [_zeros(builder, DIGITS) for _ in range(GROUP)]
        with cgutils.for_range(builder, n_lines) as loop:
            line = builder.mul(loop.index, a.type(64))
            digits = [
                load(builder, WORDS, builder.add(builder.add(b, line), builder.mul(b_digit, a.type(d))))
                for d in range(DIGITS)
            ]
            for r, row in enumerate(sums):
                at = builder.add(builder.add(a, line), builder.mul(a_row, a.type(r)))
                stored = load(builder, WORDS, at).value
                for digit, total in zip(digits, row, strict=True):
                    _add_products(builder, total, stored, digit.value)
        add_up = called(builder, "llvm.vector.reduce.add.v16i32", ir.IntType(32), WORDS)
        for i, total in enumerate(total for row in sums for total in row):
            whole = Lanes(builder, builder.call(add_up, [builder.load(total)]))
            whole.store(builder.add(out, a.type(4 * i)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


@intrinsic
def sums_of_columns(
    _context: Any, where: Any, n_groups: Any, b: Any, b_digit: Any, factor: Any, offset: Any, out: Any
) -> Any:  # fmt: skip
    """For one column of digits: the sums over all rows of 64 columns of bytes, times `factor`, plus `offset`.

    The addresses of the rows are at `where`; each digit's groups are `b_digit` bytes apart.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        where, n_groups, b, b_digit, factor, offset, out = args
        word = ir.IntType(32)
        sums = [_zeros(builder, DIGITS) for _ in range(STRIP // 16)]
        with cgutils.for_range(builder, n_groups) as loop:
            addresses = builder.add(where, builder.mul(loop.index, where.type(8 * GROUP)))
            rows = [
                load(builder, where.type, builder.add(addresses, where.type(8 * i))).value
                for i in range(GROUP)
            ]
            digits = []
            for d in range(DIGITS):
                at = builder.add(
                    builder.add(b, builder.mul(loop.index, where.type(4))),
                    builder.mul(b_digit, where.type(d)),
                )
                digits.append(number(builder, 0).each(load(builder, word, at).value))
            for piece, totals in enumerate(sums):
                here = (builder.add(row, where.type(16 * piece)) for row in rows)
                stored = side_by_side(*(load_bytes(builder, at) for at in here))
                for digit, total in zip(digits, totals, strict=True):
                    _add_products(builder, total, stored.value, digit)
        for piece, totals in enumerate(sums):
            by, plus = (load(builder, ir.FloatType(), at).value for at in (factor, offset))
            _value(builder, totals).times_plus(by, plus).store(builder.add(out, where.type(64 * piece)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), generate
