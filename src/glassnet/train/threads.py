"""Threads of a training: a crew for its rows, or a team for its kernels, beside the BLAS or calling it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from glassnet import kernels
from glassnet.nn.crew import crewed
from glassnet.nn.layers import Dense
from glassnet.nn.network import Network

__all__ = ["goes_in_parts", "threads_for"]

_WORK = 2**20  # multiplications of a forward pass below which nothing is shared out
_WIDE = 256  # outputs from which the BLAS may do large products better
_SHORT = 64  # rows up to which that is otherwise for any width
_MANY = 2**18  # parameters from which an update waits for memory, and longer beside the BLAS's own threads
_EVEN = 16  # float32 numbers in a vector register: other widths leave some of it empty


def goes_in_parts(network: Network, rows: int) -> bool:
    """Whether so many rows are too large for the cache, and do not depend on each other."""
    return rows > 2 * network.chunk_rows and not network.couples_rows


def threads_for(
    network: Network, rows: int, in_order: bool = False, stored: bool = False
) -> AbstractContextManager[None]:
    """The threads for batches of `rows` rows, as many as the BLAS may use (`threadpoolctl` limits both).

    Parameters
    ----------
    in_order : random numbers are drawn for one row after the other, so no thread can begin in the middle
    stored : the first layer multiplies stored bytes, which no BLAS can
    """
    if network.n_parameters * rows < _WORK:
        return nullcontext()
    in_order = in_order or any(layer.draws for layer in network.every_layer())
    if goes_in_parts(network, rows) and not in_order:
        return crewed(network)
    widths = [layer.n_out for layer in network.every_layer()]
    even = rows <= _SHORT or all(width % _EVEN == 0 for width in widths if width > _EVEN)
    mostly_stored = stored and 2 * network.n_inputs * widths[0] > network.n_parameters
    rounded = any(
        layer.may_round and isinstance(layer, Dense) and kernels.rounding_pays(rows, layer.n_in, layer.n_out)
        for layer in network.every_layer()
    )
    narrow = max(widths) <= _WIDE and even  # each member then keeps its part of the weights in its cache
    large = not narrow and network.n_parameters >= _MANY and kernels.shares_large_products(rows)
    return kernels.employed(mostly_stored or rounded or narrow or large, large)
