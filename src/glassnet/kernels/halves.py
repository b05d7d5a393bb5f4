"""Floats rounded to 16 bits (bfloat16: 8 bits of precision, the same exponents), in squares for products.

A square is 16 rows of 64 bytes. Of a left factor it holds 32 numbers of 16 rows; of a right one two rows of
a column side by side in a word, for 16 columns: so 16 pairs of rows. Whichever way a factor lies in memory,
one of the two comes by itself, and the other one by transposing 16 x 16 words in registers. AMX multiplies
such squares (`amx.py`); where there is no AMX, vectors multiply a row of the one with rows of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.instructions import as_halves, plus_products_of_halves
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import (
    FLOATS,
    LANES,
    WORDS,
    Lanes,
    fetch,
    further,
    load,
    load_bytes,
    turned,
    zeros,
)

__all__ = [
    "ROWS", "TERMS", "across_to_left", "across_to_right", "along_to_left", "along_to_right",
    "block_of_halves", "bytes_across_to_left", "bytes_along_to_left", "vectors_of_halves",
]  # fmt: skip

ROWS, TERMS = LANES, 2 * LANES  # of a square
_TALL, _VECTORS = 8, 2  # rows of a tile, and vectors side by side, whose sums stay in the registers
_AT_ONCE = 4  # pairs of rows read side by side: as many streams as a processor sees coming


def _make(along: bool, transposed: bool) -> Any:
    """A Numba function that fills n squares: f(source, row, n, out, out_square).

    `source` is the address of floats whose rows are `row` bytes apart. Along: the terms of a sum follow each
    other in memory, 32 of 16 rows fill a square, and the next 32 the next one. Across: 16 of 32 rows do, the
    next 16 the next one. The squares are `out_square` bytes apart.
    """

    @intrinsic
    def to_squares(_context: Any, source: Any, row: Any, n: Any, out: Any, out_square: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            _fill(builder, args, along, transposed, 4, lambda at: load(builder, FLOATS, at))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5), generate

    return to_squares


def _make_for_bytes(along: bool) -> Any:
    """The same for a left factor of bytes, each times a scale plus a shift: f(..., scale, shift)."""

    @intrinsic
    def bytes_to_squares(
        _context: Any, source: Any, row: Any, n: Any, out: Any, out_square: Any, scale: Any, shift: Any
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            *places, scale, shift = args

            def scaled(at: Any) -> Lanes:
                return load_bytes(builder, at).as_floats().times_plus(scale, shift)

            _fill(builder, places, along, not along, 1, scaled)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.float32, types.float32), generate

    return bytes_to_squares


def _fill(
    builder: Any, places: Any, along: bool, transposed: bool, size: int, floats: Callable[[Any], Lanes]
) -> None:  # fmt: skip
    """Generate what fills squares with `floats(address)`, sixteen numbers of `size` bytes in memory."""
    source, row, n, out, out_square = places
    kind = source.type
    wide = size * (TERMS if along else LANES)
    n_words = LANES if along or transposed else _AT_ONCE

    def words(at: Any, first: int) -> Iterator[Lanes]:
        def some(i: int, beside: int = 0) -> Lanes:
            return floats(builder.add(further(builder, at, kind(i), row), kind(size * beside)))

        for i in range(first, first + n_words):
            if along:
                yield as_halves(some(i), some(i, LANES))
            else:
                yield as_halves(some(2 * i), some(2 * i + 1)).in_pairs()

    for first in range(0, LANES, n_words):
        with cgutils.for_range(builder, n) as loop:
            at = further(builder, source, loop.index, kind(wide))
            to = further(builder, out, loop.index, out_square)
            found = list(words(at, first))
            for i, word in enumerate(turned(found) if transposed else found):
                word.store(builder.add(to, kind(4 * LANES * (first + i))))


along_to_left, along_to_right = _make(True, False), _make(True, True)
across_to_left, across_to_right = _make(False, True), _make(False, False)
bytes_along_to_left, bytes_across_to_left = _make_for_bytes(True), _make_for_bytes(False)


def block_of_halves(multiply: Callable[..., None]) -> Any:
    """A Numba function for out (32, 32) = or += A (32, 32 n) @ B (32 n, 32) of floats of 16 bits.

    f(a, b, step, n, out, out_row, fresh): the squares of 16 rows of A, or of 16 columns of B, follow each
    other; the next ones' are `step` further. `multiply(builder, ...)` generates it from the same arguments.
    """

    @intrinsic
    def block(
        _context: Any, a: Any, b: Any, step: Any, n: Any, out: Any, out_row: Any, fresh: Any
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            *places, fresh = args
            multiply(builder, *places, builder.icmp_signed("!=", fresh, fresh.type(0)))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 6, types.boolean), generate

    return block


@block_of_halves
def vectors_of_halves(
    builder: Any, a: Any, b: Any, step: Any, n: Any, out: Any, out_row: Any, begins: Any
) -> None:  # fmt: skip
    """Eight rows after the other, two vectors wide, whose sums stay in registers (AVX-512 BF16)."""
    kind = a.type
    nothing = Lanes(builder, ir.Constant(FLOATS, None))
    tiles = ROWS // _TALL  # of a square's rows
    with cgutils.for_range(builder, kind(2 * tiles)) as loop:
        square, part = builder.udiv(loop.index, kind(tiles)), builder.urem(loop.index, kind(tiles))
        left = further(builder, further(builder, a, square, step), part, kind(_TALL * 4 * LANES))
        sums = [zeros(builder, FLOATS, _VECTORS) for _ in range(_TALL)]
        top = further(builder, out, loop.index, builder.mul(out_row, kind(_TALL)))
        for r in range(_TALL):  # what the next block adds to or writes over, or it would wait for memory
            for j in range(_VECTORS):
                place = builder.add(further(builder, top, kind(r), out_row), kind(4 * LANES * (_VECTORS + j)))
                fetch(builder, place, to_write=True)
        with cgutils.for_range(builder, n) as squares, cgutils.for_range(builder, kind(LANES)) as pairs:
            here = builder.mul(squares.index, kind(ROWS * 4 * LANES))
            row_of_b = further(builder, builder.add(b, here), pairs.index, kind(4 * LANES))
            right = [load(builder, WORDS, further(builder, row_of_b, kind(j), step)) for j in range(_VECTORS)]
            column = further(builder, builder.add(left, here), pairs.index, kind(4))
            for r, row in enumerate(sums):
                at = further(builder, column, kind(r), kind(4 * LANES))
                everywhere = Lanes(builder, right[0].each(load(builder, ir.IntType(32), at).value))
                for words, total in zip(right, row, strict=True):
                    so_far = Lanes(builder, builder.load(total))
                    builder.store(plus_products_of_halves(so_far, everywhere, words).value, total)
        for r, row in enumerate(sums):
            for j, total in enumerate(row):
                place = builder.add(further(builder, top, kind(r), out_row), kind(4 * LANES * j))
                before = builder.select(begins, nothing.value, load(builder, FLOATS, place).value)
                Lanes(builder, builder.load(total)).plus(Lanes(builder, before)).store(place)
