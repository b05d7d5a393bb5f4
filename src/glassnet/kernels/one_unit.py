"""Products of stored bytes with a single column, in floats: a byte becomes one in the register that needs it.

A network of one unit does so little with a number that converting all rows first would take most of the
time. Digits (`stored.py`) would do three times the work for what is bound by reading the bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from glassnet.kernels.jit import intrinsic, jit
from glassnet.kernels.lanes import FLOATS, LANES, Lanes, called, load, load_bytes, steps, zeros

__all__ = ["columns_by_one_column", "rows_by_one_column"]

Array = npt.NDArray[Any]
_ROWS, _MORE_ROWS = 4, 8  # at a time, so that the column, or the sums, are read once for so many


def _addresses(builder: Any, where: Any, n: int) -> list[Any]:
    """The n addresses that stand at `where`."""
    return [
        load(builder, where.type, builder.add(where, where.type(8 * i))).value for i in range(n)
    ]  # fmt: skip


@intrinsic
def _sums_of_rows(_context: Any, where: Any, column: Any, n: Any, out: Any) -> Any:
    """out (4) = four rows of n bytes (a multiple of 16) @ a column of floats."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        where, column, n, out = args
        rows, sums = _addresses(builder, where, _ROWS), zeros(builder, FLOATS, _ROWS)
        with steps(builder, n) as k:
            w = load(builder, FLOATS, builder.add(column, builder.mul(k, k.type(4))))
            for row, total in zip(rows, sums, strict=True):
                x = load_bytes(builder, builder.add(row, k)).as_floats()
                builder.store(x.times_plus(w, Lanes(builder, builder.load(total))).value, total)
        number = ir.FloatType()
        add_up = called(builder, f"llvm.vector.reduce.fadd.v{LANES}f32", number, number, FLOATS)
        for i, total in enumerate(sums):
            whole = builder.call(
                add_up, [ir.Constant(number, 0.0), builder.load(total)], fastmath=("reassoc",)
            )
            Lanes(builder, whole).store(builder.add(out, out.type(4 * i)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def _add_rows(_context: Any, where: Any, factors: Any, n: Any, out: Any) -> Any:
    """out (n) += eight rows of n bytes (a multiple of 16), each times a factor."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        where, factors, n, out = args
        rows = _addresses(builder, where, _MORE_ROWS)
        by = [
            load(builder, ir.FloatType(), builder.add(factors, factors.type(4 * i))).value
            for i in range(_MORE_ROWS)
        ]
        with steps(builder, n) as k:
            to = builder.add(out, builder.mul(k, k.type(4)))
            total = load(builder, FLOATS, to)
            for row, factor in zip(rows, by, strict=True):
                total = load_bytes(builder, builder.add(row, k)).as_floats().times_plus(factor, total)
            total.store(to)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@jit
def _look_for(X: Array, rows: Array, start: int, first: int, where: Array) -> int:
    """Where the rows from number `first` on begin; the last one again where there are no more. How many."""
    n = min(len(where), len(rows) - first)
    for r in range(len(where)):
        where[r] = X.ctypes.data + rows[first + min(r, n - 1)] * X.strides[0] + start
    return n


@jit
def _offset(column: Array, shift: float) -> Any:
    """What a shift of all the bytes adds to their product with a column (K, 1)."""
    total = 0.0
    if shift != 0:
        for k in range(len(column)):
            total += column[k, 0]
    return np.float32(total * shift)


def rows_by_one_column(
    X: Array, rows: Array, start: int, scale: Array, shift: Array, W: Array, out: Array
) -> None:  # fmt: skip
    """out (B, 1) = (X[rows, start : start + K] * scale + shift) @ W (K, 1)."""
    K, offset = len(W), _offset(W, shift[0])
    whole = K // LANES * LANES
    column, where, sums = W[:, 0].copy(), np.empty(_ROWS, np.int64), np.empty(_ROWS, np.float32)
    for first in range(0, len(rows), _ROWS):
        n = _look_for(X, rows, start, first, where)
        _sums_of_rows(where.ctypes.data, column.ctypes.data, whole, sums.ctypes.data)
        for r in range(n):
            total = sums[r]
            for k in range(whole, K):
                total += column[k] * X[rows[first + r], start + k]
            out[first + r, 0] = total * scale[0] + offset


def columns_by_one_column(
    X: Array, rows: Array, start: int, scale: Array, shift: Array, D: Array, out: Array
) -> None:  # fmt: skip
    """out (K, 1) = (X[rows, start : start + K] * scale + shift).T @ D (B, 1)."""
    K = len(out)
    whole = K // LANES * LANES
    where, factors = np.empty(_MORE_ROWS, np.int64), np.empty(_MORE_ROWS, np.float32)
    out[:] = _offset(D, shift[0])
    for first in range(0, len(rows), _MORE_ROWS):
        n = _look_for(X, rows, start, first, where)
        for r in range(_MORE_ROWS):
            factors[r] = D[first + r, 0] * scale[0] if r < n else 0
        _add_rows(where.ctypes.data, factors.ctypes.data, whole, out.ctypes.data)
        for r in range(n):
            for k in range(whole, K):
                out[k, 0] += factors[r] * X[rows[first + r], start + k]
