"""Many steps of a tiny network in one compiled call, where Python between them would be half of the work.

The loop in `fit.py` says what a step is, and takes all steps that are not taken here: those of any other
network, loss, optimizer or data, those that a callback wants to see one by one, and one whose loss is not
finite, with its penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.train.feed import Feed
from glassnet.train.measure import accuracy, metric
from glassnet.train.run import Callback, Run
from glassnet.train.threads import goes_in_parts
from glassnet.train.treatments import L2, Treatment

__all__ = ["many_steps"]

Array = npt.NDArray[Any]
_VALUES = 2**15  # of the rows that are gathered at a time: they stay in the second-level cache
_NO_PENALTY = L2(0.0)
_TAKE, _WEIGHT, _GRADIENT, _PENALTY = Feed.take, Feed.total_weight, Network.gradient, L2.__call__
_STEP, _UPDATE, _ON_STEP = Optimizer.step, Optimizer.update, Callback.on_step


def many_steps(
    run: Run, train: Feed, order: Array, size: int, pace: Callable[[int], float],
    treatments: Sequence[Treatment], metrics: Sequence[str], callbacks: Sequence[Callback],
) -> tuple[int, float, list[float]]:  # fmt: skip
    """Take an epoch's steps as long as they can be taken several at a time.

    Parameters
    ----------
    order : row numbers of the epoch; each step takes `size` of them, the last one what is left
    pace : the factor on the learning rate in a step; it is asked for several before the first of them

    Returns
    -------
    rows done, from the front of `order`; their losses summed; each metric summed over them
    """
    network, optimizer = run.network, run.optimizer
    done, loss, n_right = 0, 0.0, 0
    if not _suits(run, train, size, treatments, metrics, callbacks):
        return 0, 0.0, [0.0] * len(metrics)
    penalty: Any = treatments[0] if treatments else _NO_PENALTY
    decayed = _decayed(network)
    while done < len(order):
        size = min(size, len(order) - done)
        steps = min(max(1, _VALUES // (size * network.n_inputs)), (len(order) - done) // size)
        chosen = order[done : done + steps * size]
        factors = [pace(step) for step in range(run.step, run.step + steps)]
        *vectors, numbers = optimizer.plan(factors)  # first: whoever wrote these may use the memory below
        network.use(size)
        chain = network.chain  # kept alive: the table is nothing but addresses in it
        if chain is None or not _kernel_takes(optimizer, numbers):
            break
        X, y, w = train.take(chosen, None, network, may_stay=False)  # as floats: one batch would be, too
        last = slice((steps - 1) * size, steps * size)
        smoothing = chain.enter(network, X[last], y[last], w[last] if train.weighted else w)
        if smoothing is None:
            break
        taken, weights = np.zeros(1, np.int64), np.full(steps, float(size))
        if train.weighted:
            weights[:] = [train.total_weight(chosen[k * size : (k + 1) * size]) for k in range(steps)]
        try:
            value, right = kernels.STEPS[optimizer.kernel](
                chain.table, X, y, w, size, weights, smoothing, network.dZ, *vectors, numbers,
                decayed, float(penalty.strength), bool(penalty.per_batch), bool(metrics), taken,
            )  # fmt: skip
        finally:  # also if it ends with Ctrl-C
            n = int(taken[0])
            optimizer.t, run.step, run.factor = optimizer.t + n, run.step + n, [run.factor, *factors][n]
        done, loss, n_right = done + n * size, loss + value, n_right + right
        if n < steps:
            break
    return done, loss, [float(n_right)] * len(metrics)


def _suits(
    run: Run, train: Feed, size: int, treatments: Sequence[Treatment], metrics: Sequence[str],
    callbacks: Sequence[Callback],
) -> bool:  # fmt: skip
    """Whether nobody wants to be called between two steps, or has changed one of those who are."""
    network, optimizer = run.network, run.optimizer
    return (
        optimizer.kernel in kernels.STEPS
        and not goes_in_parts(network, size)
        and train.augment is None
        and not train.stays_bytes(network, size)
        and _is_still(train, _TAKE)
        and _is_still(train, _WEIGHT)
        and _is_still(network, _GRADIENT)
        and _is_still(optimizer, _STEP)
        and _is_still(optimizer, _UPDATE)
        and len(treatments) <= 1
        and all(type(treatment) is L2 and _is_still(treatment, _PENALTY) for treatment in treatments)
        and len(metrics) <= 1
        and all(metric(name) is accuracy for name in metrics)
        and all(_is_still(callback, _ON_STEP) for callback in callbacks)
        and _goes_through(network, size)
    )


def _goes_through(network: Network, size: int) -> bool:
    """Whether there is a chain for such batches."""
    network.use(size)
    return network.chain is not None and network.chain.serves(network, size)


def _is_still(thing: object, method: Any) -> bool:
    """Whether this method would be called, and not a subclass's, nor what somebody has put in its place."""
    name = method.__name__
    return getattr(type(thing), name, None) is method and name not in vars(thing)


def _kernel_takes(optimizer: Optimizer, numbers: Array) -> bool:
    """Whether an optimizer, perhaps somebody's own, gives its kernel what it takes; the loop says if not."""
    return kernels.TAKEN[optimizer.kernel] == (len(optimizer.moments), numbers.shape[2])


def _decayed(network: Network) -> Array:
    """Start and stop of the segments that a penalty touches, (D, 2)."""
    where = [(part.start, part.stop) for part, decays, _ in network.segments if decays]
    return np.array(where, np.int64).reshape(-1, 2)
