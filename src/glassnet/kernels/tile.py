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

from glassnet.kernels.instructions import FEATURES, THIS_PROCESSOR
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.lanes import called, everywhere, further, load, turned

alloca: Any = cgutils.alloca_once

__all__ = ["AHEAD", "BYTES", "TALL", "WIDEST", "copy_turned", "make_copy", "make_narrow_tiles", "make_tiles"]


def _bytes(features: dict[str, bool]) -> int:
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 0


#: bytes of one vector register, 0 where the tile would be slower than the BLAS (Apple has its own units)
BYTES = _bytes(FEATURES)
#: whether products of it are ahead of the BLAS's for many rows and wide layers, too: where that was measured,
#: on AMD Zen 4 beside the OpenBLAS of NumPy's wheels
AHEAD = BYTES == 64 and THIS_PROCESSOR and binding.get_host_cpu_name() == "znver4"
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
        _, n, *places, n_k, fresh = args
        _column_of_tiles(builder, _vector(context, signature), vectors, n, places, n_k, fresh)
        return context.get_dummy_value()

    return tiles


def make_narrow_tiles(vectors: int) -> Any:
    """The same where only `in_last` columns of the last register exist.

    tiles(like, n, a, a_row, a_k, b, b_k, c, c_row, n_k, fresh, in_last); others are neither read nor written.
    """

    @intrinsic
    def tiles(
        _context: Any, like: Any, n: Any, a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any, c: Any, c_row: Any,
        n_k: Any, fresh: Any, in_last: Any,
    ) -> Any:  # fmt: skip
        return types.void(like, *[types.intp] * 9, types.boolean, types.intp), generate

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, n, *places, n_k, fresh, in_last = args
        vector = _vector(context, signature)
        counts = ir.VectorType(in_last.type, vector.count)
        columns = ir.Constant(counts, list(range(vector.count)))
        exists = builder.icmp_signed("<", columns, everywhere(builder, counts, in_last))
        _column_of_tiles(builder, vector, vectors, n, places, n_k, fresh, exists)
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


@intrinsic
def copy_turned(_context: Any, like: Any, n: Any, source: Any, column: Any, to: Any, row: Any) -> Any:
    """Columns whose numbers follow each other in memory, copied row behind row: n squares below each other.

    A square has as many rows and columns as a vector has numbers; it is transposed in registers.
    copy_turned(like, n, source, column, to, row) with addresses and strides in bytes.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, n, source, column, to, row = args
        vector = _vector(context, signature)
        with cgutils.for_range(builder, n) as loop:
            here = builder.add(source, builder.mul(loop.index, n.type(BYTES)))
            there = builder.add(to, builder.mul(loop.index, builder.mul(row, n.type(vector.count))))
            columns = [
                load(builder, vector, further(builder, here, n.type(i), column)) for i in range(vector.count)
            ]
            for i, numbers in enumerate(turned(columns)):
                numbers.store(further(builder, there, n.type(i), row))
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 5), generate


def _vector(context: Any, signature: Any) -> Any:
    """The type of a vector register with numbers like the first argument."""
    kind = signature.args[0]
    return ir.VectorType(context.get_value_type(kind), BYTES * 8 // kind.bitwidth)


def _column_of_tiles(
    builder: Any, vector: Any, vectors: int, n: Any, places: Any, n_k: Any, fresh: Any, exists: Any = None
) -> None:
    """n tiles, one below the other."""
    a, a_row, a_k, b, b_k, c, c_row = places
    sums = [[alloca(builder, vector) for _ in range(vectors)] for _ in range(TALL)]
    with cgutils.for_range(builder, n) as below:
        rows = builder.mul(below.index, n.type(TALL))
        a_here, c_here = (
            builder.add(start, builder.mul(rows, row)) for start, row in ((a, a_row), (c, c_row))
        )
        _tile(builder, sums, a_here, a_row, a_k, b, b_k, c_here, c_row, n_k, fresh, exists)


def _tile(
    builder: Any, sums: list[list[Any]], a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any, c: Any, c_row: Any,
    n_k: Any, fresh: Any, exists: Any,
) -> None:  # fmt: skip
    """One tile; `sums` has memory for its vectors, which becomes registers.

    `exists` says which columns of the last vector there are; None if all are.
    """
    vector = sums[0][0].type.pointee
    number, lanes = vector.element, vector.count
    size, vectors = BYTES // lanes, len(sums[0])

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

    def read(cell: Any, v: int) -> Any:
        if exists is None or v < vectors - 1:
            return builder.load(cell, align=size)
        return _load_some(builder, vector, cell, exists, size)

    def write(total: Any, cell: Any, v: int) -> None:
        if exists is None or v < vectors - 1:
            builder.store(total, cell, align=size)
        else:
            _store_some(builder, total, cell, exists, size)

    with builder.if_else(fresh) as (start, go_on):
        with start:
            for total in itertools.chain(*sums):
                builder.store(ir.Constant(vector, [0.0] * lanes), total)
        with go_on:
            for r, row in enumerate(sums):
                for v, (cell, total) in enumerate(zip(cells(r), row, strict=True)):
                    builder.store(read(cell, v), total)
    with cgutils.for_range(builder, n_k) as loop:
        b_here = builder.add(b, builder.mul(loop.index, b_k))
        b_row = [read(pointer(vector, b_here, v, BYTES), v) for v in range(vectors)]
        a_here = builder.add(a, builder.mul(loop.index, a_k))
        for r, row in enumerate(sums):
            x = builder.load(pointer(number, a_here, r, a_row), align=size)
            x = everywhere(builder, vector, x)
            for total, b_part in zip(row, b_row, strict=True):
                product = builder.fmul(x, b_part, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for r, row in enumerate(sums):
        for v, (cell, total) in enumerate(zip(cells(r), row, strict=True)):
            write(builder.load(total), cell, v)


def _load_some(builder: Any, vector: Any, cell: Any, exists: Any, size: int) -> Any:
    """The numbers of a vector that exist, zeros for the others, whose memory is not touched."""
    word, anywhere = ir.IntType(32), ir.PointerType()
    name = f"llvm.masked.load.{_llvm_name(vector)}.p0"
    read = called(builder, name, vector, anywhere, word, exists.type, vector)
    place = builder.bitcast(cell, anywhere)
    return builder.call(read, [place, word(size), exists, ir.Constant(vector, [0.0] * vector.count)])


def _store_some(builder: Any, total: Any, cell: Any, exists: Any, size: int) -> None:
    word, anywhere = ir.IntType(32), ir.PointerType()
    name = f"llvm.masked.store.{_llvm_name(total.type)}.p0"
    write = called(builder, name, ir.VoidType(), total.type, anywhere, word, exists.type)
    builder.call(write, [total, builder.bitcast(cell, anywhere), word(size), exists])


def _llvm_name(vector: Any) -> str:
    return f"v{vector.count}{'f32' if vector.element == ir.FloatType() else 'f64'}"
