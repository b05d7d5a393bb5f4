"""The steps of turning a picture, sixteen pixels at once.

Numba compiles a loop that looks up pixels anywhere in a picture for one pixel at a time, because it cannot
rule out that what is written is looked up later. Here one instruction looks up sixteen, where the processor
has it, and they are weighed before they leave its registers.

Memory is given by its address. It is read and written in whole vectors, so it must be `LANES` numbers longer
than what it holds; only `plane` and `out` are not.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import (
    BYTES,
    HALVES,
    LANES,
    WORDS,
    Lanes,
    called,
    load,
    load_bytes,
    number,
    side_by_side,
    steps,
)
from glassnet.kernels.memory import copy

__all__ = ["look_up", "make_corners", "make_places"]

_I32 = ir.IntType(32)
_POINTERS, _FLAGS = (ir.VectorType(kind, LANES) for kind in (ir.PointerType(), ir.IntType(1)))


def _reflected(at: Lanes, most: Any) -> Lanes:
    """Places beyond the border mirrored at the outermost pixel; farther out, the border itself."""
    zero = number(at.builder, 0)
    size = at.larger(zero - at)
    return size.smaller(zero - size + most + most).larger(0)


@intrinsic
def make_corners(_context: Any, plane: Any, n: Any, width: Any, room: Any, corners: Any) -> Any:
    """Each pixel, the one below, the one to the right and the one below that, as the bytes of a word.

    `room` takes a copy of the plane and has `width + 1` zeros more: what lies beyond is only ever weighed
    by 0.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        plane, n, width, room, corners = args
        copy(builder, room, plane, n)
        with steps(builder, n) as k:
            here = builder.add(room, k)
            below, one = builder.add(here, width), here.type(1)
            where = (here, below, builder.add(here, one), builder.add(below, one))
            words = side_by_side(*(load_bytes(builder, at) for at in where))
            words.store(builder.add(corners, builder.mul(k, k.type(4))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


@intrinsic
def make_places(
    _context: Any, u: Any, by_u: Any, v: Any, by_v: Any, widest: Any, highest: Any, width: Any,
    place: Any, upper: Any, lower: Any,
) -> Any:  # fmt: skip
    """For one row of pixels, where each comes from and how its four neighbours there are weighed.

    Column c comes from u + c by_u, v + c by_v, in 131072ths of a pixel, reflected. Its place is that of the
    neighbour above and left; weights are 256ths, in the order of `make_corners`, and their sum is 256.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        u, by_u, v, by_v, widest, highest, width, place, upper, lower = args
        with steps(builder, width) as first:
            column = Lanes(builder, ir.Constant(WORDS, list(range(LANES)))) + first
            x = _reflected((column * by_u + u) >> 9, widest)
            y = _reflected((column * by_v + v) >> 9, highest)
            right, below = x & 255, y & 255
            short = right.seen_as(HALVES) * below.seen_as(HALVES)  # one instruction; of words it is two
            both = (short.seen_as(WORDS) + 128) >> 8
            left = number(builder, 256) - right - below + both
            offset = builder.zext(builder.mul(first, first.type(4)), place.type)
            ((y >> 8) * width + (x >> 8)).store(builder.add(place, offset))
            (left | (right - both) << 16).store(builder.add(upper, offset))
            ((below - both) | both << 16).store(builder.add(lower, offset))
        return context.get_dummy_value()

    return types.void(*[types.int32] * 7, *[types.intp] * 3), generate


@intrinsic
def look_up(
    _context: Any, corners: Any, place: Any, upper: Any, lower: Any, n: Any, room: Any, out: Any
) -> Any:
    """n pixels out of the corners at their places, weighed and rounded; `room` takes them first."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        corners, place, upper, lower, n, room, out = args
        name = f"llvm.masked.gather.v{LANES}i32.v{LANES}p0"
        gather = called(builder, name, WORDS, _POINTERS, _I32, _FLAGS, WORDS)
        always, table = ir.Constant(_FLAGS, [1] * LANES), builder.inttoptr(corners, ir.PointerType())
        with steps(builder, n) as k:
            offset = builder.mul(k, k.type(4))
            index = load(builder, WORDS, builder.add(place, offset))
            pointers = builder.gep(table, [index.value], source_etype=_I32)
            pointers.type = _POINTERS  # llvmlite takes them for one
            found = builder.call(gather, [pointers, _I32(4), always, number(builder, 0).value])
            pixels = Lanes(builder, found).seen_as(HALVES)  # left and right columns take turns
            above, below = (load(builder, HALVES, builder.add(at, offset)) for at in (upper, lower))
            columns = ((pixels & 255) * above + pixels.upper_bits(8) * below).seen_as(WORDS)
            total = ((columns & 0xFFFF) + columns.upper_bits(16) + 128) >> 8
            Lanes(builder, builder.trunc(total.value, BYTES)).store(builder.add(room, k))
        copy(builder, out, room, n)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), generate
