"""Whole numbers and floats side by side, in the vector registers of a processor, written as formulas.

For the few places where Numba cannot make vectors of a loop; what they say is LLVM's own language.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "BYTES",
    "FLOATS",
    "HALVES",
    "LANES",
    "WORDS",
    "Lanes",
    "called",
    "everywhere",
    "fetch",
    "further",
    "load",
    "load_bytes",
    "number",
    "side_by_side",
    "steps",
    "turned",
    "zeros",
]

LANES = 16  # of 32 bits fill the widest registers of x86; LLVM divides them among smaller ones
_I8, _I16, _I32 = (ir.IntType(bits) for bits in (8, 16, 32))
BYTES, WORDS, FLOATS = (ir.VectorType(kind, LANES) for kind in (_I8, _I32, ir.FloatType()))
HALVES = ir.VectorType(_I16, 2 * LANES)


def called(builder: Any, name: str, result: Any, *kinds: Any) -> Any:
    """One of LLVM's own functions."""
    declare: Any = cgutils.get_or_insert_function
    return declare(builder.module, ir.FunctionType(result, kinds), name)


def further(builder: Any, start: Any, n: Any, step: Any) -> Any:
    """An address n steps further on."""
    return builder.add(start, builder.mul(n, step))


def everywhere(builder: Any, kind: Any, number: Any) -> Any:
    """A vector of one number."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, number, _I32(0))
    order = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, nothing, order)


@dataclass(frozen=True)
class Lanes:
    """Numbers side by side, with the operators of one; a single number beside them counts for each."""

    builder: Any
    value: Any

    def _with(self, operation: str, other: Any) -> Lanes:
        return Lanes(self.builder, getattr(self.builder, operation)(self.value, self.each(other)))

    def each(self, other: Any) -> Any:
        """What to put beside these: lanes, or a number in each."""
        kind = self.value.type
        if isinstance(other, Lanes):
            return other.value
        if isinstance(other, int | float):
            return ir.Constant(kind, [other] * kind.count)
        return everywhere(self.builder, kind, other)

    def times_plus(self, factor: Any, term: Any) -> Lanes:
        """self * factor + term of floats."""
        product = self.builder.fmul(self.value, self.each(factor), flags=("contract",))
        return Lanes(self.builder, self.builder.fadd(product, self.each(term), flags=("contract",)))

    def plus(self, term: Any) -> Lanes:
        """self + term of floats."""
        return Lanes(self.builder, self.builder.fadd(self.value, self.each(term)))

    def minus(self, term: Lanes) -> Lanes:
        """self - term of floats."""
        return Lanes(self.builder, self.builder.fsub(self.value, term.value))

    def rounded(self) -> Lanes:
        """Floats to the nearest whole numbers."""
        nearest = called(self.builder, f"llvm.lrint.v{LANES}i32.v{LANES}f32", WORDS, FLOATS)
        return Lanes(self.builder, self.builder.call(nearest, [self.value]))

    def as_floats(self) -> Lanes:
        return Lanes(self.builder, self.builder.sitofp(self.value, FLOATS))

    def __add__(self, other: Any) -> Lanes:
        return self._with("add", other)

    def __sub__(self, other: Any) -> Lanes:
        return self._with("sub", other)

    def __mul__(self, other: Any) -> Lanes:
        return self._with("mul", other)

    def __and__(self, other: Any) -> Lanes:
        return self._with("and_", other)

    def __or__(self, other: Any) -> Lanes:
        return self._with("or_", other)

    def __xor__(self, other: Any) -> Lanes:
        return self._with("xor", other)

    def __lshift__(self, bits: int) -> Lanes:
        return self._with("shl", bits)

    def __rshift__(self, bits: int) -> Lanes:
        return self._with("ashr", bits)

    def upper_bits(self, bits: int) -> Lanes:
        """Shifted right, the sign as well."""
        return self._with("lshr", bits)

    def larger(self, other: Any) -> Lanes:
        other = self.each(other)
        return Lanes(self.builder, self.builder.select(self._is(">", other), self.value, other))

    def smaller(self, other: Any) -> Lanes:
        other = self.each(other)
        return Lanes(self.builder, self.builder.select(self._is("<", other), self.value, other))

    def _is(self, relation: str, other: Any) -> Any:
        return self.builder.icmp_signed(relation, self.value, other)

    def shuffled_with(self, other: Lanes) -> tuple[Lanes, Lanes]:
        """The first halves and the second ones, one of these and one of those in turns."""

        lanes = self.value.type.count

        def half(start: int) -> Lanes:
            kind = ir.VectorType(_I32, lanes)
            order = ir.Constant(kind, [start + i // 2 + i % 2 * lanes for i in range(lanes)])
            return Lanes(self.builder, self.builder.shuffle_vector(self.value, other.value, order))

        return half(0), half(lanes // 2)

    def upper_halves(self, other: Lanes) -> Lanes:
        """Of the words of these and of those, side by side."""
        a, b = (words.seen_as(HALVES).value for words in (self, other))
        order = ir.Constant(ir.VectorType(_I32, 2 * LANES), [2 * i + 1 for i in range(2 * LANES)])
        return Lanes(self.builder, self.builder.shuffle_vector(a, b, order))

    def in_pairs(self) -> Lanes:
        """The first of 32 halves beside the first of the last sixteen, and so on."""
        order = ir.Constant(
            ir.VectorType(_I32, 2 * LANES), [i // 2 + i % 2 * LANES for i in range(2 * LANES)]
        )
        halves = self.seen_as(HALVES).value
        return Lanes(self.builder, self.builder.shuffle_vector(halves, halves, order)).seen_as(WORDS)

    def seen_as(self, kind: Any) -> Lanes:
        return Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def store(self, address: Any) -> None:
        self.builder.store(self.value, self.builder.inttoptr(address, self.value.type.as_pointer()), align=1)


def zeros(builder: Any, kind: Any, n: int) -> list[Any]:
    """Memory for n vectors of sums, which becomes registers."""
    allocate: Any = cgutils.alloca_once
    sums = [allocate(builder, kind) for _ in range(n)]
    for total in sums:
        builder.store(ir.Constant(kind, None), total)
    return sums


def number(builder: Any, number: int) -> Lanes:
    return Lanes(builder, ir.Constant(WORDS, [number] * LANES))


def load(builder: Any, kind: Any, address: Any) -> Lanes:
    return Lanes(builder, builder.load(builder.inttoptr(address, kind.as_pointer()), align=1))


def fetch(builder: Any, address: Any, to_write: bool) -> None:
    """Have the processor bring the cache line of an address near, while it goes on with other work."""
    prefetch = called(builder, "llvm.prefetch.p0", ir.VoidType(), ir.PointerType(), _I32, _I32, _I32)
    closest, data = _I32(3), _I32(1)
    line = builder.inttoptr(address, ir.PointerType())
    builder.call(prefetch, [line, _I32(int(to_write)), closest, data])


def side_by_side(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> Lanes:
    """Numbers from 0 to 255 as the four bytes of a word, the first one lowest."""
    return (a | b << 8) | (c << 16 | d << 24)


def load_bytes(builder: Any, address: Any) -> Lanes:
    """Sixteen bytes, each in a word of its own."""
    return Lanes(builder, builder.zext(load(builder, BYTES, address).value, WORDS))


def turned(rows: list[Lanes]) -> list[Lanes]:
    """As many rows as each has lanes, transposed: log2(n) times, one half is shuffled with the other."""
    half = len(rows) // 2
    for _ in range(half.bit_length()):
        rows = [
            shuffled
            for upper, lower in zip(rows[:half], rows[half:], strict=True)
            for shuffled in upper.shuffled_with(lower)
        ]
    return rows


@contextmanager
def steps(builder: Any, n: Any) -> Iterator[Any]:
    """The number of the first of each sixteen, up to n."""
    step = n.type(LANES)
    with cgutils.for_range(builder, builder.udiv(builder.add(n, n.type(LANES - 1)), step)) as loop:
        yield builder.mul(loop.index, step)
