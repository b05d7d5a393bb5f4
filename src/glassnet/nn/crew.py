"""Threads for many rows: each sends stretches of them through the network, forwards and backwards, alone.

Nobody waits for anybody between the first row of a stretch and the last, so two threads take half the time.
That is for batches so large that they go through in pieces anyway; the steps of smaller ones, with no time to
spare for a gradient per thread, are shared out kernel by kernel (`kernels/team.py`).
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from glassnet.nn.network import Network

__all__ = ["Crew", "crewed", "over_rows"]

T = TypeVar("T")
_LARGEST = 8  # twins of a network: each has a gradient and scratch memory of its own
_SHARES = 4  # stretches for each thread: the sums depend on where these begin, but not on who does which


class Crew:
    """The calling thread with the network, and others with twins of it.

    Parameters
    ----------
    network : the network; what its twins find out is added up by whoever asked them
    size : number of threads
    """

    def __init__(self, network: Network, size: int) -> None:
        self.networks = [network, *(network.twin() for _ in range(size - 1))]
        self._threads = ThreadPoolExecutor(max(1, size - 1))

    def map(self, work: Callable[[Network, slice], T], n_rows: int) -> list[T]:
        """What `work` returns for each stretch of the rows, in their order."""
        step, size = self.networks[0].chunk_rows, _SHARES * len(self.networks)
        n_chunks = -(-n_rows // step)
        edges = [min(n_rows, n_chunks * i // size * step) for i in range(size + 1)]
        stretches = list(map(slice, edges[:-1], edges[1:]))
        found: list[T | None] = [None] * size
        left = iter(range(size))  # whoever is ready takes the next: processors are not equally fast

        def help_out(network: Network) -> None:
            for i in left:
                found[i] = work(network, stretches[i])

        waiting = [  # in a copy of the context, for NumPy's errstate is in it
            self._threads.submit(contextvars.copy_context().run, help_out, twin) for twin in self.networks[1:]
        ]
        try:
            help_out(self.networks[0])
        finally:  # also after Ctrl-C: nobody may go on writing
            for _ in left:
                pass
            wait(waiting)
        for helper in waiting:
            helper.result()
        return cast(list[T], found)

    def dismiss(self) -> None:
        self._threads.shutdown()


def over_rows(network: Network, n_rows: int, work: Callable[[Network, slice], T]) -> list[T]:
    """Call work(network, rows) for all rows: once, or once for the stretch of each thread of its crew."""
    if network.crew is None:
        return [work(network, slice(0, n_rows))]
    return network.crew.map(work, n_rows)


@contextmanager
def crewed(network: Network) -> Iterator[None]:
    """Give the network a crew as large as the number of threads of the BLAS, 8 at most; it then gets one."""
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas")
    size = min(_LARGEST, min((pool["num_threads"] for pool in pools.info()), default=1))
    if size == 1 or network.crew is not None:
        yield
        return
    with pools.limit(limits=1):
        network.crew = Crew(network, size)
        try:
            yield
        finally:
            network.crew.dismiss()
            network.crew = None
