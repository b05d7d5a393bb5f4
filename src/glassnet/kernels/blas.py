"""The threads of the BLAS, which does the large products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

__all__ = ["blas_threads"]


@contextmanager
def blas_threads(single: bool = True) -> Iterator[int]:
    """How many threads the BLAS may use; with `single` it has one of them in the meantime."""
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas")
    # the least: a BLAS loaded within somebody's limit (SciPy's, on its first import) knows nothing of it
    allowed = min((pool["num_threads"] for pool in pools.info()), default=1)
    with pools.limit(limits=1) if single else nullcontext():
        yield allowed
