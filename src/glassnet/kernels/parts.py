"""A float32 as the sum of three floats of 16 bits (bfloat16: 8 bits of precision, the same exponents).

The first is its upper half, the second the upper half of what is left, the third all that is left then: 24
bits are three times eight, so nothing is lost but below the smallest normal number. Infinity leaves NaN.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils

from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import FLOATS, LANES, WORDS, Lanes, load

__all__ = ["PARTS", "WIDE", "pair_to_parts", "row_to_parts"]

PARTS = 3
WIDE = 2 * LANES  # numbers of 16 bits in a vector
_UPPER = -0x10000  # the bits of a word's upper half


def _parts(x: Lanes) -> list[Lanes]:
    """As words whose lower halves are zeros."""
    found = []
    for _ in range(PARTS):
        upper = x.seen_as(WORDS) & _UPPER
        found.append(upper)
        x = x.minus(upper.seen_as(FLOATS))
    return found


@intrinsic
def row_to_parts(_context: Any, source: Any, n: Any, out: Any, out_part: Any) -> Any:
    """The parts of n floats that follow each other; n is 32 k.

    Each 32 give 64 bytes of every part, `out_part` bytes apart, and then come the next 32.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        source, n, out, out_part = args
        kind = source.type
        with cgutils.for_range(builder, builder.udiv(n, kind(WIDE))) as loop:
            first = builder.add(source, builder.mul(loop.index, kind(4 * WIDE)))
            to = builder.add(out, builder.mul(loop.index, builder.mul(out_part, kind(PARTS))))
            halves = (load(builder, FLOATS, builder.add(first, kind(i))) for i in (0, 4 * LANES))
            for p, (left, right) in enumerate(zip(*map(_parts, halves), strict=True)):
                left.upper_halves(right).store(builder.add(to, builder.mul(out_part, kind(p))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def pair_to_parts(_context: Any, source: Any, row: Any, n_blocks: Any, out: Any, out_block: Any) -> Any:
    """The parts of two rows of 16 n floats, `row` bytes apart, those of a column side by side.

    Each sixteen columns' take 3 x 16 x 4 bytes, `out_block` bytes apart.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        source, row, n_blocks, out, out_block = args
        kind = source.type
        with cgutils.for_range(builder, n_blocks) as loop:
            first = builder.add(source, builder.mul(loop.index, kind(4 * LANES)))
            to = builder.add(out, builder.mul(loop.index, out_block))
            pair = (load(builder, FLOATS, address) for address in (first, builder.add(first, row)))
            for p, (above, below) in enumerate(zip(*map(_parts, pair), strict=True)):
                (above.upper_bits(16) | below).store(builder.add(to, kind(64 * p)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate
