"""Large products by NumPy's own BLAS, in each thread of a team a share of them.

The BLAS has threads of its own, but these spin for a while behind every product, and a team that does all
else shares the processors with them. Where every member of the team calls the BLAS itself, which has one
thread then, nobody spins beside them. That takes a BLAS that may be called by several threads at once, each
for itself, and whose number of threads is one for all: OpenBLAS as NumPy's wheels bring it along.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy.typing as npt
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from threadpoolctl import ThreadpoolController

from glassnet.kernels import team
from glassnet.kernels.gemm import of_one_kind
from glassnet.kernels.jit import intrinsic
from glassnet.kernels.team import cut
from glassnet.kernels.tile import AHEAD, BYTES

__all__ = ["SHAREABLE", "gains_by_blas", "product_by_blas", "shares_large_products"]

Array = npt.NDArray[Any]
_NAMES = {4: "scipy_cblas_sgemm64_", 8: "scipy_cblas_dgemm64_"}  # in NumPy's wheels, by bytes of a number
_LONG_BATCH = 96  # rows from which its copies of both factors pay; nobody changes for the short last batch
_WORTH = 2**20  # multiplications of a product that is worth sharing out
_TALL = 64  # rows of a share: all of B is copied for each
_ROW_BY_ROW, _AS_IT_IS, _TURNED = 101, 111, 112  # as CBLAS numbers them


def _made_known() -> bool:
    """Tell LLVM where the BLAS's products are; whether there is such a BLAS."""
    pools = ThreadpoolController().select(internal_api="openblas")
    for found in pools.select(threading_layer="pthreads").info():  # one call for both would ask for either
        library = ctypes.CDLL(found["filepath"])
        if all(hasattr(library, name) for name in _NAMES.values()):
            for name in _NAMES.values():
                binding.add_symbol(name, ctypes.cast(library[name], ctypes.c_void_p).value)
            return True
    return False


#: whether a team can share out products to the BLAS
SHAREABLE = BYTES > 0 and _made_known()


def shares_large_products(rows: int) -> bool:
    """Whether a team is as fast as the BLAS's own threads: with its own tile, or by calling the BLAS."""
    return AHEAD or (SHAREABLE and rows >= _LONG_BATCH)


def gains_by_blas(A: Array, B: Array, out: Array) -> bool:
    """Whether a team can do this product so, and is faster than with its own."""
    (M, K), N = A.shape, B.shape[1]
    return (
        SHAREABLE
        and M * K * N >= _WORTH
        and of_one_kind(A, B, out)
        and _by_rows(out)
        and all(_by_rows(factor) or _by_rows(factor.T) for factor in (A, B))
    )


def _by_rows(factor: Array) -> bool:
    """Whether its rows are without gaps, and lie one behind the other."""
    far, near = factor.strides
    return near == factor.itemsize and far >= factor.shape[1] * near and far % near == 0


def product_by_blas(A: Array, B: Array, out: Array, members: team.Team) -> None:
    """out (M, N) = A (M, K) @ B (K, N): each member has some rows of A and, of few, some columns of B."""
    (M, K), N, size = A.shape, B.shape[1], A.itemsize
    (a_row, a_k), (b_k, b_n), (c_row, _) = A.strides, B.strides, out.strides
    a_form, lda = (_AS_IT_IS, a_row // size) if a_k == size else (_TURNED, a_k // size)
    b_form, ldb = (_AS_IT_IS, b_k // size) if b_n == size else (_TURNED, b_n // size)
    a, b, c = A.ctypes.data, B.ctypes.data, out.ctypes.data
    like, tall = out.dtype.type(0), _down(members.size, M)
    members.do(
        _together,
        tuple(
            (like, a_form, b_form, j - i, n - k, K, a + i * a_row, lda, b + k * b_n, ldb,
             c + i * c_row + k * size, c_row // size)
            for i, j in cut(M, tall)
            for k, n in cut(N, members.size // tall)
        ),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _down(members: int, rows: int) -> int:
    """Into how many shares to cut the rows, of as many as there are members."""
    return max(n for n in range(1, members + 1) if members % n == 0 and (n == 1 or n * _TALL <= rows))


@intrinsic
def _gemm(
    _context: Any, like: Any, a_form: Any, b_form: Any, M: Any, N: Any, K: Any, a: Any, lda: Any, b: Any,
    ldb: Any, c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """C (M, N) = A (M, K) @ B (K, N), given by addresses, of numbers like `like`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, *forms, M, N, K, a, lda, b, ldb, c, ldc = args
        number, code, address = context.get_value_type(like), ir.IntType(32), ir.IntType(8).as_pointer()
        a_form, b_form = (builder.trunc(form, code) for form in forms)
        a, b, c = (builder.inttoptr(place, address) for place in (a, b, c))
        given = (
            code(_ROW_BY_ROW), a_form, b_form, M, N, K, number(1), a, lda, b, ldb, number(0), c, ldc
        )  # fmt: skip
        declare: Any = cgutils.get_or_insert_function
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(declare(builder.module, kind, _NAMES[like.bitwidth // 8]), given)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 11), generate


def blas_plain(
    like: float, a_form: int, b_form: int, M: int, N: int, K: int, a: int, lda: int, b: int, ldb: int, c: int,
    ldc: int,
) -> None:  # fmt: skip
    """A product by the BLAS, in the thread that calls."""
    _gemm(like, a_form, b_form, M, N, K, a, lda, b, ldb, c, ldc)


_together = team.divided(blas_plain)
