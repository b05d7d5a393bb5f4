"""Threads for many rows: each sends stretches of them through the network, forwards and backwards, alone.

Nobody waits for anybody between the first row of a stretch and the last, so two threads take half the time.
That is for batches so large that they go through in pieces anyway; the steps of smaller ones, with no time to
spare for a gradient per thread, are shared out kernel by kernel (`kernels/team.py`).
"""

from __future__ import annotations

import contextvars
import copy
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.kernels.blas import blas_threads
from glassnet.kernels.processors import leave_processor, processor
from glassnet.kernels.room import aligned
from glassnet.nn.inputs import AffineScaling, Inputs
from glassnet.nn.layers import Dense

if TYPE_CHECKING:
    from glassnet.nn.network import Network

__all__ = ["Crew", "crewed", "logits", "outputs", "over_rows", "prepared", "twin"]

T = TypeVar("T")
Array = npt.NDArray[Any]
_MOST_THREADS = 8  # twins of a network: each has a gradient and scratch memory of its own
_MANY = 2**30  # multiplications that are worth a millisecond to find threads for them
_IN_CACHE = 2**19  # parameters
_MOST_VALUES = 2**21  # of one layer at a time
_LARGE = 2**22  # parameters of which a gradient for each stretch would be much memory
_SHARES = 4  # stretches for each thread: the sums depend on where these begin, but not on who does which


class Crew:
    """The calling thread with the network, and others with twins of it.

    Parameters
    ----------
    network : the network; what its twins find out is added up by whoever asked them
    size : number of threads
    """

    def __init__(self, network: Network, size: int) -> None:
        self.networks = [network, *(twin(network) for _ in range(size - 1))]
        self._threads = ThreadPoolExecutor(max(1, size - 1), initializer=kernels.work_alone)

    def map(self, work: Callable[[Network, slice], T], n_rows: int, per_thread: int = _SHARES) -> list[T]:
        """What `work` returns for each stretch of the rows, in their order."""
        network, size = self.networks[0], len(self.networks)
        shares = size * (per_thread if network.n_parameters <= _LARGE else 1)
        stretches = list(_stretches(n_rows, network.chunk_rows, shares, size))
        found: list[T | None] = [None] * len(stretches)
        left = iter(range(len(stretches)))  # whoever is ready takes the next: processors are not equally fast

        here = processor()

        def help_out(place: int) -> None:
            if place:
                leave_processor(here, place)
            for i in left:
                found[i] = work(self.networks[place], stretches[i])

        waiting = [  # in a copy of the context, for NumPy's errstate is in it
            self._threads.submit(contextvars.copy_context().run, help_out, place)
            for place in range(1, len(self.networks))
        ]
        try:
            help_out(0)
        finally:  # also after Ctrl-C: nobody may go on writing
            for _ in left:
                pass
            wait(waiting)
        for helper in waiting:
            helper.result()
        return cast(list[T], found)

    def dismiss(self) -> None:
        self._threads.shutdown()


def _stretches(n_rows: int, chunk_rows: int, shares: int, threads: int) -> Iterator[slice]:
    """Stretches of whole chunks of rows; of many, shorter and shorter ones, so that nobody waits long."""
    chunks = max(1, -(-n_rows // chunk_rows))
    shares = min(shares, chunks)
    falls = 2 if shares >= 2 * threads else 1  # of few, the first would take as long as all others
    before = (1 - (1 - i / shares) ** falls for i in range(shares))  # which part of the rows is
    starts = {math.ceil(chunks * part) for part in before} - {chunks}
    edges = (*(start * chunk_rows for start in sorted(starts)), n_rows)
    return itertools.starmap(slice, itertools.pairwise(edges))


def twin(network: Network) -> Network:
    """A network over the same parameters in the same memory, with gradient and scratch memory of its own."""
    other = object.__new__(type(network))
    own = {"layers": copy.deepcopy(network.layers), "grad": aligned(network.grad.shape, network.dtype)}
    other.__setstate__(network.__getstate__() | own)
    other.chunk_rows = network.chunk_rows
    for layer, new in zip(network.every_layer(), other.every_layer(), strict=True):
        for name, value in vars(layer).items():
            kept = name in (layer.given or ()) or name not in vars(new)
            if name == "watch" or (isinstance(value, np.ndarray) and kept):
                setattr(new, name, value)  # what somebody's layer keeps for itself; scratch is made anew
    return other


def over_rows(
    network: Network, n_rows: int, work: Callable[[Network, slice], T], per_thread: int = _SHARES
) -> list[T]:  # fmt: skip
    """Call work(network, rows) for all rows: once, or for each stretch of them by the threads of its crew."""
    if network.crew is None:
        return [work(network, slice(0, n_rows))]
    return network.crew.map(work, n_rows, per_thread)


@contextmanager
def crewed(network: Network) -> Iterator[None]:
    """Give the network a crew as large as the number of threads of the BLAS, 8 at most; it then gets one."""
    if network.crew is not None:
        yield
        return
    with blas_threads() as allowed, kernels.alone():
        network.crew = Crew(network, min(_MOST_THREADS, allowed)) if allowed > 1 else None
        try:
            yield
        finally:
            if network.crew is not None:
                network.crew.dismiss()
            network.crew = None


def prepared(network: Network, rows: Inputs, n_rows: int, times: int = 1) -> AbstractContextManager[None]:
    """Within, the weights are ready for n of these rows, piece by piece; nobody may change them meanwhile."""
    first = next(rows.pieces(network, slice(0, n_rows), times), slice(0, 0))
    if first.stop == n_rows:  # of one piece, or none, nothing would be used twice
        return nullcontext()
    weights = [(layer.W, layer.may_round) for layer in network.every_layer() if type(layer) is Dense]
    stored = rows.piece(network, first) if rows.stays_bytes(network, first.stop) else None
    return kernels.prepared_weights(weights, first.stop, stored)


def outputs(network: Network, rows: Inputs, times: int = 1) -> Array:
    """Outputs before the link of all these rows, in their order, shape (len(rows), n_outputs)."""
    Z = np.empty((len(rows), network.n_outputs), network.dtype)

    def fill(network: Network, stretch: slice) -> None:
        for where in rows.pieces(network, stretch, times):
            Z[where] = network.forward(rows.piece(network, where))

    with prepared(network, rows, len(Z), times):
        over_rows(network, len(Z), fill, 2 * _SHARES)  # there are no sums, and nobody waits long for the last
    return Z


def logits(network: Network, X: Any, scaling: AffineScaling | None = None) -> Array:
    """Outputs before the link for any number of rows, dense or sparse: (n, n_outputs), in chunks."""
    few = isinstance(X, np.ndarray) and 0 < len(X) <= network.chunk_rows
    if few and scaling is None and X.shape[1:] == (network.n_inputs,) and X.dtype.kind in "fuib":
        return network.forward(np.ascontiguousarray(X, network.dtype)).copy()  # most time is that of calls
    rows = Inputs(network, X, scaling)
    # nothing comes back from there; weights too large for the cache are worth more rows at a time
    times = 2 if network.n_parameters <= _IN_CACHE else 4
    times = max(1, min(times, _MOST_VALUES // (network.chunk_rows * network.widest)))
    with crewed(network) if len(rows) * network.n_parameters >= _MANY else nullcontext():
        return outputs(network, rows, times)
