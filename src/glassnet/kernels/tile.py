"""The heart of a matrix product: a small tile of the result that stays in the processor's registers.

A compiler does not keep an array of numbers in registers, so this one piece is written in LLVM's own
language: TALL x vectors accumulators, and for each k one row of B and TALL numbers of A (Goto & van de
Geijn 2008). Everything around it is plain Numba (`gemm.py`). A tile with more vectors than there are
registers takes twice the time (AVX2, 4 x 4 vectors: 51 GFLOP/s; 4 x 3: 93 of a core's 96).
"""

from __future__ import annotations

import itertools
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.jit import intrinsic

alloca: Any = cgutils.alloca_once

__all__ = ["BYTES", "FEATURES", "TALL", "WIDEST", "make_copy", "make_tiles"]


def _features() -> dict[str, bool]:
    try:
        return dict(binding.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot tell on every system
        return {}


def _bytes(features: dict[str, bool]) -> int:
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 0


FEATURES = _features()
#: bytes of one vector register, 0 where the tile would be slower than the BLAS (Apple has its own units)
BYTES = _bytes(FEATURES)
TALL = 4  # rows of the tile
#: vectors of its widest row: 4 x 4 accumulators of AVX-512's 32 registers, or 4 x 3 of AVX2's 16, with three
#: for a row of B and one for a number of A; both are enough to hide the latency of a multiply-add
WIDEST = 4 if BYTES == 64 else 3


def make_tiles(vectors: int) -> Any:
    """A Numba function for C[: TALL n, :width] (+)= A @ B, tile below tile, a width of `vectors` registers.

    Arrays are given as the address of their first element and their strides, in bytes:
    tiles(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh), where `like` is any number of their type, n_k
    the length of the sums, and `fresh` says whether they start at zero or at what is in C.
    """

    @intrinsic
    def tiles(
        _context: Any, like: Any, n: Any, a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any, c: Any, c_row: Any,
        n_k: Any, fresh: Any,
    ) -> Any:  # fmt: skip
        return types.void(like, *[types.intp] * 9, types.boolean), generate

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh = args
        sums = [[alloca(builder, _vector(context, signature)) for _ in range(vectors)] for _ in range(TALL)]
        with cgutils.for_range(builder, n) as below:
            rows = builder.mul(below.index, n.type(TALL))
            a_here, c_here = (
                builder.add(start, builder.mul(rows, row)) for start, row in ((a, a_row), (c, c_row))
            )
            _tile(builder, sums, a_here, a_row, a_k, b, b_k, c_here, c_row, n_k, fresh)
        return context.get_dummy_value()

    return tiles


def make_copy(vectors: int) -> Any:
    """A Numba function that copies n rows of so many vectors to where they lie one behind the other.

    copy(like, n, source, row, to) with addresses and strides in bytes.
    """

    @intrinsic
    def copy(_context: Any, like: Any, n: Any, source: Any, row: Any, to: Any) -> Any:
        return types.void(like, *[types.intp] * 4), generate

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, n, source, row, to = args
        vector = _vector(context, signature)
        size = BYTES // vector.count
        with cgutils.for_range(builder, n) as loop:
            here = builder.add(source, builder.mul(loop.index, row))
            there = builder.add(to, builder.mul(loop.index, n.type(vectors * BYTES)))
            for v in range(vectors):
                at, into = (
                    builder.inttoptr(builder.add(start, n.type(v * BYTES)), vector.as_pointer())
                    for start in (here, there)
                )
                builder.store(builder.load(at, align=size), into, align=size)
        return context.get_dummy_value()

    return copy


def _vector(context: Any, signature: Any) -> Any:
    """The type of a vector register with numbers like the first argument."""
    kind = signature.args[0]
    return ir.VectorType(context.get_value_type(kind), BYTES * 8 // kind.bitwidth)


def _tile(
    builder: Any, sums: list[list[Any]], a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any, c: Any, c_row: Any,
    n_k: Any, fresh: Any,
) -> None:  # fmt: skip
    """One tile; `sums` has memory for its vectors, which becomes registers."""
    vector = sums[0][0].type.pointee
    number, lanes = vector.element, vector.count
    size, vectors = BYTES // lanes, len(sums[0])
    all_first = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    nothing = ir.Constant(vector, ir.Undefined)

    def pointer(kind: Any, address: Any, i: int = 0, stride: Any = None) -> Any:
        """To a number or vector at address + i * stride."""
        if i:
            stride = ir.Constant(address.type, stride) if isinstance(stride, int) else stride
            address = builder.add(address, builder.mul(ir.Constant(address.type, i), stride))
        return builder.inttoptr(address, kind.as_pointer())

    def cells(r: int) -> list[Any]:
        """Pointers to the vectors of row r of C."""
        row = builder.add(c, builder.mul(ir.Constant(c.type, r), c_row))
        return [pointer(vector, row, v, BYTES) for v in range(vectors)]

    with builder.if_else(fresh) as (start, go_on):
        with start:
            for total in itertools.chain(*sums):
                builder.store(ir.Constant(vector, [0.0] * lanes), total)
        with go_on:
            for r, row in enumerate(sums):
                for cell, total in zip(cells(r), row, strict=True):
                    builder.store(builder.load(cell, align=size), total)
    with cgutils.for_range(builder, n_k) as loop:
        b_here = builder.add(b, builder.mul(loop.index, b_k))
        b_row = [builder.load(pointer(vector, b_here, v, BYTES), align=size) for v in range(vectors)]
        a_here = builder.add(a, builder.mul(loop.index, a_k))
        for r, row in enumerate(sums):
            x = builder.load(pointer(number, a_here, r, a_row), align=size)
            x = builder.insert_element(nothing, x, ir.Constant(ir.IntType(32), 0))
            x = builder.shuffle_vector(x, nothing, all_first)
            for total, b_part in zip(row, b_row, strict=True):
                product = builder.fmul(x, b_part, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for r, row in enumerate(sums):
        for cell, total in zip(cells(r), row, strict=True):
            builder.store(builder.load(total), cell, align=size)
