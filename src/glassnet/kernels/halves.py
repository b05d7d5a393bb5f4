"""Floats rounded to 16 bits (bfloat16: 8 bits of precision, the same exponents), in squares for products.

A square is 16 rows of 64 bytes. Of a left factor it holds 32 numbers of 16 rows; of a right one two rows of
a column side by side in a word, for 16 columns: so 16 pairs of rows. Whichever way a factor lies in memory,
one of the two comes by itself, and the other one by transposing 16 x 16 words in registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba import types
from numba.core import cgutils

from glassnet.kernels.instructions import as_halves
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import FLOATS, LANES, Lanes, load, turned

__all__ = ["ROWS", "TERMS", "across_to_left", "across_to_right", "along_to_left", "along_to_right"]

ROWS, TERMS = LANES, 2 * LANES  # of a square
_AT_ONCE = 4  # pairs of rows read side by side: as many streams as a processor sees coming


def _make(along: bool, transposed: bool) -> Any:
    """A Numba function that fills n squares: f(source, row, n, out, out_square).

    `source` is the address of floats whose rows are `row` bytes apart. Along: the terms of a sum follow each
    other in memory, 32 of 16 rows fill a square, and the next 32 the next one. Across: 16 of 32 rows do, the
    next 16 the next one. The squares are `out_square` bytes apart.
    """
    wide = 4 * (TERMS if along else LANES)
    n_words = LANES if along or transposed else _AT_ONCE

    @intrinsic
    def to_squares(_context: Any, source: Any, row: Any, n: Any, out: Any, out_square: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
            source, row, n, out, out_square = args
            kind = source.type

            def words(at: Any, first: int) -> Iterator[Lanes]:
                def floats(i: int, further: int = 0) -> Lanes:
                    place = builder.add(at, builder.mul(row, kind(i)))
                    return load(builder, FLOATS, builder.add(place, kind(further)))

                for i in range(first, first + n_words):
                    if along:
                        yield as_halves(floats(i), floats(i, 4 * LANES))
                    else:
                        yield as_halves(floats(2 * i), floats(2 * i + 1)).in_pairs()

            for first in range(0, LANES, n_words):
                with cgutils.for_range(builder, n) as loop:
                    at = builder.add(source, builder.mul(loop.index, kind(wide)))
                    to = builder.add(out, builder.mul(loop.index, out_square))
                    found = list(words(at, first))
                    for i, word in enumerate(turned(found) if transposed else found):
                        word.store(builder.add(to, kind(4 * LANES * (first + i))))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5), generate

    return to_squares


along_to_left, along_to_right = _make(True, False), _make(True, True)
across_to_left, across_to_right = _make(False, True), _make(False, False)
