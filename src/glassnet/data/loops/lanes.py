"""Many pixels at once: what Numba cannot say of memory and vectors, written in LLVM's own language.

Numba compiles a loop that looks up pixels anywhere in a picture for one pixel at a time, because it cannot
rule out that what is written is looked up later. Here one instruction looks up sixteen, where the processor
has it, and they are weighed before they leave its registers. And a slice, however short, takes Numba 20 ns.

Memory is given by its address. That of the steps of turning is read and written in whole vectors, so it must
be `LANES` numbers longer than what it holds; only `plane` and `out` are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.jit import intrinsic

__all__ = ["LANES", "copy_bytes", "fetch_soon", "look_up", "make_corners", "make_places"]

LANES = 16  # as many as any processor has; LLVM divides them among the registers there are
_I8, _I16, _I32 = (ir.IntType(bits) for bits in (8, 16, 32))
_BYTES, _WORDS, _HALVES = (ir.VectorType(kind, n) for kind, n in ((_I8, LANES), (_I32, LANES), (_I16, 32)))
_LINE = 64  # bytes that a processor fetches at once
_POINTERS, _FLAGS = (ir.VectorType(kind, LANES) for kind in (ir.PointerType(), ir.IntType(1)))


def _called(builder: Any, name: str, result: Any, *kinds: Any) -> Any:
    """One of LLVM's own functions."""
    declare: Any = cgutils.get_or_insert_function
    return declare(builder.module, ir.FunctionType(result, kinds), name)


def _copy(builder: Any, to: Any, source: Any, n: Any) -> None:
    copy: Any = cgutils.raw_memcpy
    copy(builder, *(builder.inttoptr(address, _I8.as_pointer()) for address in (to, source)), n, 1)


@intrinsic
def copy_bytes(_context: Any, to: Any, source: Any, n: Any) -> Any:
    """n bytes from one address to another."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        _copy(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate


@intrinsic
def fetch_soon(_context: Any, address: Any, n: Any) -> Any:
    """Have the processor fetch n bytes while it goes on with other work; they need not exist."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        address, n = args
        fetch = _called(builder, "llvm.prefetch.p0", ir.VoidType(), ir.PointerType(), _I32, _I32, _I32)
        to_read, closest, data = _I32(0), _I32(3), _I32(1)
        with cgutils.for_range(builder, builder.udiv(n, n.type(_LINE))) as loop:
            line = builder.add(address, builder.mul(loop.index, n.type(_LINE)))
            builder.call(fetch, [builder.inttoptr(line, ir.PointerType()), to_read, closest, data])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@dataclass(frozen=True)
class _Lanes:
    """Whole numbers side by side, with the operators of one; a single number beside them counts for each."""

    builder: Any
    value: Any

    def _with(self, operation: str, other: Any) -> _Lanes:
        return _Lanes(self.builder, getattr(self.builder, operation)(self.value, self._each(other)))

    def _each(self, other: Any) -> Any:
        kind = self.value.type
        if isinstance(other, _Lanes):
            return other.value
        if isinstance(other, int):
            return ir.Constant(kind, [other] * kind.count)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, other, _I32(0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(_WORDS, [0] * LANES))

    def __add__(self, other: Any) -> _Lanes:
        return self._with("add", other)

    def __sub__(self, other: Any) -> _Lanes:
        return self._with("sub", other)

    def __mul__(self, other: Any) -> _Lanes:
        return self._with("mul", other)

    def __and__(self, other: Any) -> _Lanes:
        return self._with("and_", other)

    def __or__(self, other: Any) -> _Lanes:
        return self._with("or_", other)

    def __lshift__(self, bits: int) -> _Lanes:
        return self._with("shl", bits)

    def __rshift__(self, bits: int) -> _Lanes:
        return self._with("ashr", bits)

    def upper_bits(self, bits: int) -> _Lanes:
        """Shifted right, the sign as well."""
        return self._with("lshr", bits)

    def larger(self, other: Any) -> _Lanes:
        other = self._each(other)
        return _Lanes(self.builder, self.builder.select(self._is(">", other), self.value, other))

    def smaller(self, other: Any) -> _Lanes:
        other = self._each(other)
        return _Lanes(self.builder, self.builder.select(self._is("<", other), self.value, other))

    def _is(self, relation: str, other: Any) -> Any:
        return self.builder.icmp_signed(relation, self.value, other)

    def reflected(self, most: Any) -> _Lanes:
        """Places beyond the border mirrored at the outermost pixel; farther out, the border itself."""
        size = self.larger(_number(self.builder, 0) - self)
        return size.smaller(_number(self.builder, 0) - size + most + most).larger(0)

    def seen_as(self, kind: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def store(self, address: Any) -> None:
        self.builder.store(self.value, self.builder.inttoptr(address, self.value.type.as_pointer()), align=1)


def _number(builder: Any, number: int) -> _Lanes:
    return _Lanes(builder, ir.Constant(_WORDS, [number] * LANES))


def _load(builder: Any, kind: Any, address: Any) -> _Lanes:
    return _Lanes(builder, builder.load(builder.inttoptr(address, kind.as_pointer()), align=1))


@contextmanager
def _steps(builder: Any, n: Any) -> Iterator[Any]:
    """The number of the first of each sixteen, up to n."""
    step = n.type(LANES)
    with cgutils.for_range(builder, builder.udiv(builder.add(n, n.type(LANES - 1)), step)) as loop:
        yield builder.mul(loop.index, step)


@intrinsic
def make_corners(_context: Any, plane: Any, n: Any, width: Any, room: Any, corners: Any) -> Any:
    """Each pixel, the one below, the one to the right and the one below that, as the bytes of a word.

    `room` takes a copy of the plane and has `width + 1` zeros more: what lies beyond is only ever weighed
    by 0.
    """

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        plane, n, width, room, corners = args
        _copy(builder, room, plane, n)
        with _steps(builder, n) as k:
            here = builder.add(room, k)
            below, one = builder.add(here, width), here.type(1)
            where = (here, below, builder.add(here, one), builder.add(below, one))
            a, b, c, d = (
                _Lanes(builder, builder.zext(_load(builder, _BYTES, at).value, _WORDS)) for at in where
            )
            words = (a | b << 8) | (c << 16 | d << 24)
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
        with _steps(builder, width) as first:
            column = _Lanes(builder, ir.Constant(_WORDS, list(range(LANES)))) + first
            x = ((column * by_u + u) >> 9).reflected(widest)
            y = ((column * by_v + v) >> 9).reflected(highest)
            right, below = x & 255, y & 255
            short = right.seen_as(_HALVES) * below.seen_as(_HALVES)  # one instruction; of words it is two
            both = (short.seen_as(_WORDS) + 128) >> 8
            left = _number(builder, 256) - right - below + both
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
        gather = _called(builder, name, _WORDS, _POINTERS, _I32, _FLAGS, _WORDS)
        always, table = ir.Constant(_FLAGS, [1] * LANES), builder.inttoptr(corners, ir.PointerType())
        with _steps(builder, n) as k:
            offset = builder.mul(k, k.type(4))
            index = _load(builder, _WORDS, builder.add(place, offset))
            pointers = builder.gep(table, [index.value], source_etype=_I32)
            pointers.type = _POINTERS  # llvmlite takes them for one
            found = builder.call(gather, [pointers, _I32(4), always, _number(builder, 0).value])
            pixels = _Lanes(builder, found).seen_as(_HALVES)  # left and right columns take turns
            above, below = (_load(builder, _HALVES, builder.add(at, offset)) for at in (upper, lower))
            columns = ((pixels & 255) * above + pixels.upper_bits(8) * below).seen_as(_WORDS)
            total = ((columns & 0xFFFF) + columns.upper_bits(16) + 128) >> 8
            _Lanes(builder, builder.trunc(total.value, _BYTES)).store(builder.add(room, k))
        _copy(builder, out, room, n)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), generate
