"""The threads of the BLAS, which does the large products."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["allowed_threads", "blas_threads"]

_taking = threading.Lock()


def _pools() -> Any:
    return _pools_of(len(sys.modules))


@functools.lru_cache(maxsize=1)
def _pools_of(_n_modules: int) -> Any:
    """Controls of every BLAS that is loaded, with so many modules: looking for them takes a millisecond.

    Another BLAS comes with another module, mostly. One that does not keeps its threads.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _least(pools: Any) -> int:
    """A BLAS loaded within somebody's limit (SciPy's, on its first import) knows nothing of it."""
    return min((pool["num_threads"] for pool in pools.info()), default=1)


def allowed_threads() -> int:
    """How many threads the BLAS may use: one, while somebody has taken the others."""
    return _least(_pools())


@contextmanager
def blas_threads(single: bool = True) -> Iterator[int]:
    """How many threads the BLAS may use; with `single` it has one of them in the meantime.

    Who finds only one leaves it so: put back later, it would outlast the limit of whoever took the others.
    """
    with ExitStack() as taken:
        with _taking:
            pools = _pools()
            allowed = _least(pools)
            if single and allowed > 1:
                taken.enter_context(pools.limit(limits=1))
        yield allowed
