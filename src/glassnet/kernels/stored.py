"""Products of stored bytes and floats, exact where it matters and two to four times as fast as of floats.

A byte need not become a float to be multiplied. The floats are written as whole numbers of 24 bits (to the
largest of their column), these as three digits of 8 bits with sign, and the processor multiplies bytes with
digits and adds up four products at once (AVX-512 VNNI: 128 multiplications in the time of 32 of floats), or
sixty-four (AMX: 1,024). The sums of the digits are exact; what is lost is 2^-24 of each column's largest
number, and a few roundings where the three sums become one float. Sums of floats lose as much, or more.
For who may round there are two digits, or both factors become halves (`by_halves.py`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassnet.kernels import team
from glassnet.kernels.amx import SQUARES
from glassnet.kernels.by_digits import columns_times, digits_of, rows_times
from glassnet.kernels.by_halves import bytes_become_halves, halves_of, rounding_pays, stored_by_halves
from glassnet.kernels.digits import AVAILABLE
from glassnet.kernels.jit import jit
from glassnet.kernels.one_unit import columns_by_one_column, rows_by_one_column
from glassnet.kernels.prepared import as_prepared, keeping, key_of
from glassnet.kernels.team import cut

__all__ = ["AVAILABLE", "FORM", "StoredColumns", "StoredRows", "may_stay_bytes", "prepared_weights"]

Array = npt.NDArray[Any]
#: how stored bytes are multiplied here; sums are cut in other places, so that the last bits depend on it
FORM = "as floats" if not AVAILABLE else "in vectors" if SQUARES is None else "in squares"
_LEAST = 64  # columns below which it does not pay
_FEWEST, _WORTH = 32, 2**16  # rows and bytes of a batch for which it does
_LONGEST = 65_536  # terms of a sum: even in one piece, 255 * 128 * 65,536 would be below 2^31
_MANY = 64  # rows from which squares are faster than vectors


def may_stay_bytes(X: Array, n_rows: int, units: int, scale: Array, shift: Array) -> bool:
    """Whether so many rows of X may stay bytes on their way into a float32 layer, and gain by it."""
    return (
        (AVAILABLE or units == 1)
        and n_rows >= _FEWEST
        and n_rows * X.shape[1] >= _WORTH
        and _LEAST <= X.shape[1] <= _LONGEST
        and X.dtype == np.uint8
        and X.flags.c_contiguous
        and len(scale) == len(shift) == 1
    )


@dataclass(frozen=True)
class StoredRows:
    """X[rows] * scale + shift, (B, K), of stored bytes: to be multiplied without being converted.

    Parameters
    ----------
    X : (n, K) uint8; rows : (B,) row numbers, at most 65,536; scale, shift : (1,) float32
    """

    X: Array
    rows: Array
    scale: Array
    shift: Array

    def __post_init__(self) -> None:
        if max(len(self.rows), self.X.shape[1]) > _LONGEST:
            raise ValueError(f"sums of stored bytes have at most {_LONGEST} terms: take fewer rows at a time")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def T(self) -> StoredColumns:
        return StoredColumns(self)

    @property
    def registers(self) -> Array | None:
        """The setting of registers of squares for products with these rows, or None for vectors."""
        return SQUARES if len(self.rows) >= _MANY else None

    def times(self, W: Array, out: Array, may_round: bool = False) -> None:
        """out (B, N) = these @ W (K, N); out is float32, its rows without gaps."""
        W = np.ascontiguousarray(W, np.float32)
        form, first = self._way(out.shape[1], may_round, turned=False)
        members, edges = self.shares(out.shape[1])
        if members is None:
            W = as_prepared(W, *self._how(form, may_round))
            form.alone(*first, self.X, self.rows, 0, self.scale, self.shift, W, out)
        else:
            members.add_up(
                form.together,
                [(*first, self.X, self.rows, i, self.scale, self.shift, W[i:j]) for i, j in edges],
                out,
            )

    def ready(self, W: Array, may_round: bool) -> dict[Hashable, Array]:
        """W (K, N) made ready for products with such rows, and what it will be known by."""
        form, _ = self._way(W.shape[1], may_round, turned=False)
        key = key_of(W, *self._how(form, may_round))
        if form is _BY_HALVES:
            return {key: halves_of(W)}
        return {key: digits_of(self.registers, may_round, self.scale, self.shift, W)} if form is _ROWS else {}

    def _how(self, form: _Form, may_round: bool) -> tuple[Hashable, ...]:
        """What a right factor made ready depends on, besides itself."""
        if form is not _ROWS:
            return ()
        return self.registers is None, may_round, float(self.scale[0]), float(self.shift[0])

    def _way(self, N: int, may_round: bool, turned: bool) -> tuple[_Form, tuple[Any, ...]]:
        """How products with N columns of these rows, or of them transposed, are done; its first arguments."""
        if N == 1:
            return (_COLUMNS_BY_ONE if turned else _ROWS_BY_ONE), ()
        if may_round and bytes_become_halves(len(self), self.X.shape[1], N):
            return _BY_HALVES, (turned,)
        return (_COLUMNS if turned else _ROWS), (self.registers, may_round)

    def shares(self, N: int) -> tuple[team.Team | None, tuple[tuple[int, int], ...]]:
        """The team, if a product with N columns is worth sharing out, and each member's columns of X."""
        K = self.X.shape[1]
        members = team.willing(len(self) * K * N // 8)
        return members, cut(K, members.size) if members else ((0, K),)


@dataclass(frozen=True)
class StoredColumns:
    """Stored rows, transposed: (K, B)."""

    T: StoredRows

    def times(self, D: Array, out: Array, may_round: bool = False) -> None:
        """out (K, N) = these @ D (B, N); out is float32, its rows without gaps."""
        D = np.ascontiguousarray(D, np.float32)  # somebody's layer may hand back another kind
        A = self.T
        form, first = A._way(out.shape[1], may_round, turned=True)
        members, edges = A.shares(out.shape[1])
        if members is None:
            form.alone(*first, A.X, A.rows, 0, A.scale, A.shift, D, out)
        else:
            members.do(
                form.together,
                tuple((*first, A.X, A.rows, i, A.scale, A.shift, D, out[i:j]) for i, j in edges),
            )


class _Form(NamedTuple):
    """A product done alone, and as a share of a team's."""

    alone: Any
    together: Any


_ROWS, _ROWS_BY_ONE, _COLUMNS, _COLUMNS_BY_ONE, _BY_HALVES = (
    _Form(jit(work), team.divided(work))
    for work in (rows_times, rows_by_one_column, columns_times, columns_by_one_column, stored_by_halves)
)


@contextmanager
def prepared_weights(
    weights: Iterable[tuple[Array, bool]], rows: int, stored: StoredRows | None = None
) -> Iterator[None]:  # fmt: skip
    """Within, products find these weights ready: their digits, three bytes a number, or their halves.

    Those that a team shares out do not: its members have terms of their own. Threads need a copy of the
    context.

    Parameters
    ----------
    weights : (K, N) each, and whether it may be rounded; nobody may change them meanwhile. Only float32 whose
        rows follow each other without gaps are made ready
    rows : of the left factors
    stored : rows as those that the first of the weights is multiplied with, if they are bytes
    """
    if (members := team.current()) is not None and members.size > 1:
        yield
        return
    ready: dict[Hashable, Array] = {}
    usual = [pair for pair in weights if pair[0].dtype == np.float32 and pair[0].flags.c_contiguous]
    if stored is not None:
        (W, may_round), *usual = usual
        ready |= stored.ready(W, may_round)
    for W, may_round in usual:
        if may_round and rounding_pays(rows, *W.shape):
            ready[key_of(W)] = halves_of(W)
    with keeping(ready):
        yield
