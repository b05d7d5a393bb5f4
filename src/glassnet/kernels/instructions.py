"""Instructions that only some x86 processors have: AVX-512 VNNI and BF16, and the squares of Intel AMX.

With `GLASSNET_INSTRUCTIONS=imitated` in the environment they are written out in what every processor has,
hundreds of times slower: so the kernels that need them are tested anywhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir
from numba import config
from numba.core import cgutils

from glassnet.errors import unknown_name
from glassnet.kernels.lanes import FLOATS, HALVES, LANES, WORDS, Lanes, called, load, number, zeros

__all__ = [
    "FEATURES", "IMITATED", "THIS_PROCESSOR", "ImitatedSquares", "Squares", "as_halves",
    "eight_imitated", "eight_squares", "hand_back", "imitated_halves", "imitated_products",
    "imitated_products_of_halves", "plus_products", "plus_products_of_halves", "take",
]  # fmt: skip

_form = os.environ.get("GLASSNET_INSTRUCTIONS", "native")
if _form not in ("native", "imitated"):
    raise unknown_name("value of GLASSNET_INSTRUCTIONS", _form, ("native", "imitated"))
IMITATED = _form == "imitated"
_NAMES = ("avx512vnni", "avx512bf16", "amx-tile", "amx-int8", "amx-bf16")  # of what is imitated
_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))
_PLACE, _NOTHING = ir.PointerType(), ir.VoidType()
_ROW, _SQUARE, _REGISTERS = 64, 16 * 64, 8  # bytes of a row and of a square; how many squares there are


def _features() -> dict[str, bool]:
    try:
        features = dict(binding.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot tell on every system
        features = {}
    return features | dict.fromkeys(_NAMES, True) if IMITATED else features


#: what the processor can do, by LLVM's names
FEATURES = _features()
_settings: Any = config
_OTHER_TARGET = _settings.CPU_NAME or _settings.CPU_FEATURES is not None or not _settings.ENABLE_AVX
#: whether Numba compiles for it, and was not told to for less
THIS_PROCESSOR = not _OTHER_TARGET


class _Bfloat(ir.Type):  # type: ignore[misc]
    """The type of floats of 16 bits with the exponents of 32, which llvmlite has no name for."""

    def __str__(self) -> str:
        return "bfloat"


_ROUNDED = ir.VectorType(_Bfloat(), 2 * LANES)


def plus_products(total: Lanes, stored: Lanes, digits: Lanes) -> Lanes:
    """total + the products of four bytes without sign and four with sign, in each word (AVX-512 VNNI)."""
    if IMITATED:
        return imitated_products(total, stored, digits)
    builder = total.builder
    multiply = called(builder, "llvm.x86.avx512.vpdpbusd.512", WORDS, WORDS, WORDS, WORDS)
    return Lanes(builder, builder.call(multiply, [total.value, stored.value, digits.value]))


def imitated_products(total: Lanes, stored: Lanes, digits: Lanes) -> Lanes:
    """The same, byte by byte."""
    for bits in (0, 8, 16, 24):
        total += (stored.upper_bits(bits) & 0xFF) * ((digits << (24 - bits)) >> 24)
    return total


def as_halves(first: Lanes, second: Lanes) -> Lanes:
    """Floats of 32 bits as the nearest ones of 16 (bfloat16), the first ones' first (AVX-512 BF16)."""
    if IMITATED:
        return imitated_halves(first, second)
    builder = first.builder
    name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
    round_both = called(builder, name, _ROUNDED, FLOATS, FLOATS)
    return Lanes(builder, builder.call(round_both, [second.value, first.value])).seen_as(WORDS)


def imitated_halves(first: Lanes, second: Lanes) -> Lanes:
    """The same, from the bits: to the even one of two as near; what is not normal becomes zero, NaN stays."""

    def rounded(floats: Lanes) -> Lanes:
        builder, bits = floats.builder, floats.seen_as(WORDS)
        magnitude, sign = bits & 0x7FFFFFFF, bits & -0x80000000
        nearest = bits + 0x7FFF + (bits.upper_bits(16) & 1)
        tiny = builder.icmp_signed("<", magnitude.value, magnitude.each(0x00800000))
        is_nan = builder.icmp_signed(">", magnitude.value, magnitude.each(0x7F800000))
        found = builder.select(tiny, sign.value, nearest.value)
        return Lanes(builder, builder.select(is_nan, (bits | 0x400000).value, found))

    return rounded(first).upper_halves(rounded(second)).seen_as(WORDS)


def plus_products_of_halves(total: Lanes, left: Lanes, right: Lanes) -> Lanes:
    """total + the products of the upper halves, and of the lower ones, of each word (AVX-512 BF16)."""
    if IMITATED:
        return imitated_products_of_halves(total, left, right)
    builder = total.builder
    multiply = called(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, FLOATS, _ROUNDED, _ROUNDED)
    factors = [words.seen_as(_ROUNDED).value for words in (left, right)]
    return Lanes(builder, builder.call(multiply, [total.value, *factors]))


def imitated_products_of_halves(total: Lanes, left: Lanes, right: Lanes) -> Lanes:
    """The same in floats, which hold these products exactly; but numbers below the normal ones stay."""
    for a, b in reversed([*zip(_two_floats(left), _two_floats(right), strict=True)]):
        total = a.times_plus(b, total)
    return total


def take(builder: Any, setting: Any) -> None:
    """Make this thread's registers squares, as the 64 bytes at an address say."""
    if not IMITATED:
        builder.call(called(builder, "llvm.x86.ldtilecfg", _NOTHING, _PLACE), [_place(builder, setting)])


def hand_back(builder: Any) -> None:
    """The registers are not needed any more: what is in them need not be kept when threads take turns."""
    if not IMITATED:
        builder.call(called(builder, "llvm.x86.tilerelease", _NOTHING), [])


@dataclass(frozen=True)
class Squares:
    """The eight registers of 16 rows of 64 bytes, by their numbers."""

    builder: Any

    def _do(self, name: str, *squares: int, where: tuple[Any, ...] = ()) -> None:
        kinds = [_I8] * len(squares) + [_PLACE, _I64][: len(where)]
        does = called(self.builder, f"llvm.x86.{name}", _NOTHING, *kinds)
        self.builder.call(does, [*map(_I8, squares), *where])

    def zero(self, square: int) -> None:
        self._do("tilezero", square)

    def load(self, square: int, address: Any, row: Any) -> None:
        """From memory, where the rows are `row` bytes apart."""
        self._do("tileloadd64", square, where=(_place(self.builder, address), row))

    def store(self, square: int, address: Any, row: Any) -> None:
        self._do("tilestored64", square, where=(_place(self.builder, address), row))

    def add_products_of_bytes(self, to: int, left: int, right: int) -> None:
        """to (16, 16) += left (16, 64) without sign @ right with sign, four of whose rows share one here."""
        self._do("tdpbusd", to, left, right)

    def add_products_of_halves(self, to: int, left: int, right: int) -> None:
        """to (16, 16) += left (16, 32) @ right of bfloat16, two of whose rows share one here."""
        self._do("tdpbf16ps", to, left, right)


@dataclass(frozen=True)
class ImitatedSquares(Squares):
    """The same in memory; they last as long as the function whose code this is.

    Sums of halves are rounded in the order that Intel documents, but numbers below the normal ones stay.
    """

    memory: Any

    def _at(self, square: int, row: Any) -> Any:
        start = self.builder.add(self.memory, _I64(square * _SQUARE))
        return self.builder.add(start, self.builder.mul(row, _I64(_ROW)))

    def zero(self, square: int) -> None:
        with cgutils.for_range(self.builder, _I64(16)) as rows:
            number(self.builder, 0).store(self._at(square, rows.index))

    def load(self, square: int, address: Any, row: Any) -> None:
        with cgutils.for_range(self.builder, _I64(16)) as rows:
            there = self.builder.add(address, self.builder.mul(rows.index, row))
            load(self.builder, WORDS, there).store(self._at(square, rows.index))

    def store(self, square: int, address: Any, row: Any) -> None:
        with cgutils.for_range(self.builder, _I64(16)) as rows:
            there = self.builder.add(address, self.builder.mul(rows.index, row))
            load(self.builder, WORDS, self._at(square, rows.index)).store(there)

    def _words(self, left: int, right: int, m: Any, k: Any) -> tuple[Lanes, Lanes]:
        """A word of the left in each place, and a row of the right."""
        row = load(self.builder, WORDS, self._at(right, k))
        at = self.builder.add(self._at(left, m), self.builder.mul(k, _I64(4)))
        return Lanes(self.builder, row.each(load(self.builder, _I32, at).value)), row

    def add_products_of_bytes(self, to: int, left: int, right: int) -> None:
        with (
            cgutils.for_range(self.builder, _I64(16)) as rows,
            cgutils.for_range(self.builder, _I64(16)) as groups,
        ):
            total = load(self.builder, WORDS, self._at(to, rows.index))
            stored, digits = self._words(left, right, rows.index, groups.index)
            imitated_products(total, stored, digits).store(self._at(to, rows.index))

    def add_products_of_halves(self, to: int, left: int, right: int) -> None:
        sums = zeros(self.builder, FLOATS, 2)  # of the first ones of all pairs, and of the second ones
        with cgutils.for_range(self.builder, _I64(16)) as rows:
            for total in sums:
                self.builder.store(ir.Constant(FLOATS, None), total)
            with cgutils.for_range(self.builder, _I64(16)) as pairs:
                a, b = self._words(left, right, rows.index, pairs.index)
                for total, (x, y) in zip(sums, zip(_two_floats(a), _two_floats(b), strict=True), strict=True):
                    self.builder.store(x.times_plus(y, self._loaded(total)).value, total)
            first, second = map(self._loaded, sums)
            place = self._at(to, rows.index)
            load(self.builder, FLOATS, place).plus(first.plus(second)).store(place)

    def _loaded(self, total: Any) -> Lanes:
        return Lanes(self.builder, self.builder.load(total))


def eight_squares(builder: Any) -> Squares:
    """Registers, for as long as the function whose code this is."""
    return eight_imitated(builder) if IMITATED else Squares(builder)


def eight_imitated(builder: Any) -> ImitatedSquares:
    """Their twins in memory."""
    allocate: Any = cgutils.alloca_once
    memory = allocate(builder, ir.ArrayType(HALVES, _REGISTERS * _SQUARE // _ROW))
    return ImitatedSquares(builder, builder.ptrtoint(memory, _I64))


def _two_floats(words: Lanes) -> tuple[Lanes, Lanes]:
    """The lower halves of words, and the upper ones."""
    return (words << 16).seen_as(FLOATS), (words & -0x10000).seen_as(FLOATS)


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _PLACE)
