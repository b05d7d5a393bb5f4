"""Sums of products of bytes and digits, in the vector registers: four products by one instruction.

AVX-512 VNNI's `vpdpbusd` multiplies four bytes without sign with four with sign and adds all to a sum of 32
bits. A "group" is four bytes that meet so; a digit is a byte with sign (the idea: `stored.py`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.instructions import FEATURES, THIS_PROCESSOR, plus_products
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import (
    FLOATS,
    HALVES,
    LANES,
    WORDS,
    Lanes,
    load,
    load_bytes,
    side_by_side,
    steps,
    turned,
    zeros,
)

__all__ = [
    "ADDED", "AVAILABLE", "DIGITS", "GROUP", "STRIP", "TALL", "larger_magnitudes",
    "tile_of_digits", "tile_of_rounded", "to_digits", "turn", "turn_four", "value_of",
]  # fmt: skip

AVAILABLE = THIS_PROCESSOR and bool(FEATURES.get("avx512vnni"))
DIGITS, GROUP = 3, 4
ADDED = 256  # rows of whole numbers of 24 bits whose sums stay below 2^31
TALL = 8  # rows of a tile: 8 x 3 digits of 16 columns, 24 sums that stay in the registers
STRIP = 64  # columns of bytes that are turned at a time: one cache line
_BYTES = ir.VectorType(ir.IntType(8), STRIP)


def value_of(sums: list[Lanes], factor: Lanes, offset: Lanes) -> Lanes:
    """The digits' sums, or those of the upper ones, as one number, times a factor, plus an offset."""
    *lower, value = (total.as_floats() for total in sums)
    for digit in [*reversed(lower), *[0.0] * (DIGITS - len(sums))]:
        value = value.times_plus(256.0, digit)
    return value.times_plus(factor, offset)


def _make_tile_of_digits(lowest: int) -> Any:
    """A Numba function for out (8, 16) = bytes @ digits * factor (16) + offset (16) + plus (8, 16).

    Digits below the lowest are left out; plus may be out itself. Row r of the bytes has its groups of four at
    a + r a_row, one every `a_group` bytes; the digits have 3 x 16 x 4 bytes for each group.
    """
    orders = range(lowest, DIGITS)

    @intrinsic
    def tile_of_digits(
        _context: Any, a: Any, a_row: Any, a_group: Any, b: Any, n_groups: Any, factor: Any, offset: Any,
        plus: Any, plus_row: Any, out: Any, out_row: Any,
    ) -> Any:  # fmt: skip

        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            a, a_row, a_group, b, n_groups, factor, offset, plus, plus_row, out, out_row = args
            sums = [zeros(builder, WORDS, len(orders)) for _ in range(TALL)]
            with cgutils.for_range(builder, n_groups) as loop:
                digits_at = builder.add(b, builder.mul(loop.index, a.type(DIGITS * 64)))
                digits = [load(builder, WORDS, builder.add(digits_at, a.type(64 * d))) for d in orders]
                at = builder.add(a, builder.mul(loop.index, a_group))
                for r, row in enumerate(sums):
                    four = load(builder, ir.IntType(32), builder.add(at, builder.mul(a_row, a.type(r)))).value
                    bytes_of_row = Lanes(builder, digits[0].each(four))
                    for digit, total in zip(digits, row, strict=True):
                        so_far = Lanes(builder, builder.load(total))
                        builder.store(plus_products(so_far, bytes_of_row, digit).value, total)
            by, offset = (load(builder, FLOATS, address) for address in (factor, offset))
            for r, row in enumerate(sums):
                term = load(builder, FLOATS, builder.add(plus, builder.mul(plus_row, a.type(r))))
                value = value_of([Lanes(builder, builder.load(total)) for total in row], by, offset)
                value.plus(term).store(builder.add(out, builder.mul(out_row, a.type(r))))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 11), generate

    return tile_of_digits


tile_of_digits, tile_of_rounded = _make_tile_of_digits(0), _make_tile_of_digits(1)


@intrinsic
def larger_magnitudes(_context: Any, first: Any, row: Any, n: Any, largest: Any) -> Any:
    """largest (n) = the larger of itself and the magnitudes in four rows of n floats, all as their bits.

    These have the same order as the magnitudes, and those of infinity and NaN are the largest.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        first, row, n, largest = args
        with steps(builder, n) as k:
            here = builder.mul(k, k.type(4))
            to = builder.add(largest, here)
            found = load(builder, WORDS, to)
            for i in range(GROUP):
                at = builder.add(builder.add(first, here), builder.mul(row, row.type(i)))
                found = (load(builder, WORDS, at) & 0x7FFFFFFF).larger(found)
            found.store(to)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def to_digits(
    _context: Any, source: Any, row: Any, n_blocks: Any, factor: Any, unit: Any, total: Any, out: Any,
    out_block: Any,
) -> Any:  # fmt: skip
    """Four rows of 16 n floats, `row` bytes apart, times `factor` (16 n), as digits.

    Rounded to multiples of `unit`: 1, or 256, which leaves nothing of the lowest digit.

    Each sixteen columns' take 3 x 16 x 4 bytes, `out_block` bytes apart. The whole numbers are added to
    `total` (16 n), which has room for ADDED rows of them.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        source, row, n_blocks, factor, unit, total, out, out_block = args
        unit = builder.trunc(unit, ir.IntType(32))
        half, kept = builder.lshr(unit, unit.type(1)), builder.neg(unit)
        with cgutils.for_range(builder, n_blocks) as loop:
            here = builder.mul(loop.index, row.type(4 * LANES))
            by = load(builder, FLOATS, builder.add(factor, here))
            first = builder.add(source, here)
            four, sums = [], builder.add(total, here)
            so_far = load(builder, WORDS, sums)
            for i in range(GROUP):
                at = builder.add(first, builder.mul(row, row.type(i)))
                whole = (load(builder, FLOATS, at).times_plus(by, 0.0).rounded() + half) & kept
                so_far += whole
                four.append((whole + 0x808080) ^ 0x808080)  # the bytes of this are digits from -128 to 127
            so_far.store(sums)
            to = builder.add(out, builder.mul(loop.index, out_block))
            for d, digit in enumerate(_bytes_together(*four)):
                digit.store(builder.add(to, row.type(64 * d)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8), generate


def _bytes_together(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """The lowest bytes of four words side by side, the bytes above them, and those above them."""
    ab, cd = ((x & 0xFF00FF) | (y & 0xFF00FF) << 8 for x, y in ((a, b), (c, d)))
    between = ((x.upper_bits(8) & 0xFF) | (y & 0xFF00) for x, y in ((a, b), (c, d)))
    first, second = between
    return (ab & 0xFFFF) | cd << 16, first | second << 16, ab.upper_bits(16) | (cd & 0xFFFF0000)


@intrinsic
def turn_four(_context: Any, a: Any, b: Any, c: Any, d: Any, out: Any) -> Any:
    """64 columns of four rows of bytes: the four bytes of a column side by side."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        *rows, out = args
        a, b, c, d = (load(builder, _BYTES, row) for row in rows)
        for i, pairs in enumerate(zip(a.shuffled_with(b), c.shuffled_with(d), strict=True)):
            upper, lower = (two.seen_as(HALVES) for two in pairs)
            for j, fours in enumerate(upper.shuffled_with(lower)):
                fours.store(builder.add(out, out.type(STRIP * (2 * i + j))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


@intrinsic
def turn(_context: Any, where: Any, out: Any, out_row: Any) -> Any:
    """64 columns of 64 rows of bytes become rows, `out_row` bytes apart.

    The addresses of the old rows stand at `where`.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        where, out, out_row = args
        kind = out.type
        with steps(builder, kind(STRIP)) as k:
            words = []
            for b in range(0, STRIP, GROUP):
                at = (builder.add(where, kind(8 * (b + i))) for i in range(GROUP))
                rows = (load(builder, kind, address).value for address in at)
                four = (load_bytes(builder, builder.add(row, k)) for row in rows)
                words.append(side_by_side(*four))
            for c, word in enumerate(turned(words)):
                word.store(builder.add(out, builder.mul(out_row, builder.add(k, kind(c)))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate
