"""Bytes by address, for compiled loops: copied, fetched; a slice, however short, takes Numba 20 ns."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import numpy_support

from glassnet.kernels.jit import intrinsic, jit
from glassnet.kernels.lanes import fetch
from glassnet.kernels.room import LINE

__all__ = [
    "LINE", "array_at", "copy", "copy_bytes", "copy_rows", "fetch_soon", "new_lines", "pointer_to",
    "stretch_of_row", "up_to",
]  # fmt: skip

array_at: Any = numpy_support.carray
_I8 = ir.IntType(8)


@jit
def up_to(n: int, step: int) -> int:
    """n rounded up to a multiple of `step`."""
    return (n + step - 1) // step * step


@jit
def new_lines(n: int) -> Any:
    """n bytes of new memory, from the beginning of a cache line on."""
    memory = np.empty(n + LINE, np.uint8)
    address = np.int64(memory.ctypes.data)
    start = up_to(address, LINE) - address
    return memory[start : start + n]


def copy(builder: Any, to: Any, source: Any, n: Any) -> None:
    """`copy_bytes` inside of an intrinsic."""
    raw: Any = cgutils.raw_memcpy
    raw(builder, *(builder.inttoptr(address, _I8.as_pointer()) for address in (to, source)), n, 1)


@intrinsic
def copy_bytes(_context: Any, to: Any, source: Any, n: Any) -> Any:
    """n bytes from one address to another."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        copy(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate


@intrinsic
def fetch_soon(_context: Any, address: Any, n: Any) -> Any:
    """Have the processor fetch n bytes while it goes on with other work; they need not exist."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        address, n = args
        with cgutils.for_range(builder, builder.udiv(builder.add(n, n.type(LINE - 1)), n.type(LINE))) as loop:
            fetch(builder, builder.add(address, builder.mul(loop.index, n.type(LINE))), to_write=False)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@jit
def copy_rows(X: Any, rows: Any, start: int, n: int, to: Any, to_row: int) -> None:
    """n columns of some rows of bytes, each `to_row` bytes further on in `to`."""
    behind = min(n, X.shape[1] - start - n)
    for i in range(len(rows)):
        at = X.ctypes.data + rows[i] * X.strides[0] + start
        copy_bytes(to.ctypes.data + i * to_row, at, n)
        fetch_soon(at + n, behind)  # mostly asked for by the next call


@intrinsic
def pointer_to(_context: Any, address: Any, like: Any) -> Any:
    """To numbers of an array's type at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(like.dtype)(types.intp, like), generate


@jit
def stretch_of_row(A: Any, i: int, start: int, stop: int) -> Any:
    """A[i, start:stop] where the rows of A have no gaps inside, so that the compiler knows it."""
    address = A.ctypes.data + i * A.strides[0] + start * A.itemsize
    return array_at(pointer_to(address, A), (stop - start,))
