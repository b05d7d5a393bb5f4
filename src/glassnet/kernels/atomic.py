"""Numbers that several threads read and write, one operation at a time (C11's atomics, from LLVM).

Numba offers none for processors. Each takes an int64 array and a position in it.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from glassnet.kernels.jit import intrinsic

__all__ = ["add", "give_way", "load", "store", "swap"]


def _place(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


@intrinsic
def load(_context: Any, board: Any, at: Any) -> Any:
    """The number there, and all that was written before it was stored."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_place(context, builder, signature, args), "acquire", 8)

    return types.int64(board, types.intp), generate


@intrinsic
def store(_context: Any, board: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _place(context, builder, signature, args), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(board, types.intp, types.int64), generate


@intrinsic
def add(_context: Any, board: Any, at: Any, value: Any) -> Any:
    """Add; the number that was there before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _place(context, builder, signature, args), args[2], "seq_cst")

    return types.int64(board, types.intp, types.int64), generate


@intrinsic
def swap(_context: Any, board: Any, at: Any, old: Any, new: Any) -> Any:
    """Write `new` if `old` is there; whether it was."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(board, types.intp, types.int64, types.int64), generate


if sys.platform == "win32":
    _SYSTEM, _YIELD = ctypes.WinDLL("kernel32"), "SwitchToThread"
else:
    _SYSTEM, _YIELD = ctypes.CDLL(None), "sched_yield"
# LLVM finds by itself only what the libraries in its sight export
binding.add_symbol(_YIELD, ctypes.cast(_SYSTEM[_YIELD], ctypes.c_void_p).value)


@intrinsic
def give_way(_context: Any) -> Any:
    """Let another thread run on this processor, if there is one that waits for it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        declared: Any = cgutils.get_or_insert_function
        give = declared(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(give, [])
        return context.get_dummy_value()

    return types.void(), generate
