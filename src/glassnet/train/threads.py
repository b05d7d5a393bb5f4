"""Threads of a training: a team for all its kernels, or those of the BLAS for its products."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from glassnet import kernels
from glassnet.nn.network import Network

__all__ = ["threads_for"]

_WORK = 2**20  # multiplications of a forward pass below which nothing is shared out
_WIDE = 256  # outputs from which the BLAS does large products better
_SHORT = 64  # rows up to which that is otherwise for any width
_EVEN = 16  # float32 numbers in a vector register: other widths leave some of it empty


def threads_for(network: Network, rows: int) -> AbstractContextManager[None]:
    """The threads for batches of `rows` rows, as many as the BLAS may use (`threadpoolctl` limits both)."""
    if network.n_parameters * rows < _WORK:
        return nullcontext()
    widths = [layer.n_out for layer in network.every_layer()]
    even = rows <= _SHORT or all(width % _EVEN == 0 for width in widths if width > _EVEN)
    return kernels.employed(products=max(widths) <= _WIDE and even)
