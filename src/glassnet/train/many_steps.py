"""Many steps of a tiny network in one compiled call, where Python between them would be half of the work.

The loop in `fit.py` says what a step is, and takes all steps that are not taken here: those of any other
network, loss, optimizer or data, those that a callback wants to see one by one, and one whose loss is not
finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.train.callbacks import Callback, Run
from glassnet.train.feed import Feed
from glassnet.train.treatments import L2, Treatment

__all__ = ["many_steps"]

Array = npt.NDArray[Any]
_VALUES = 2**15  # of the rows that are gathered at a time: they stay in the second-level cache
_NO_PENALTY = L2(0.0)
_TAKE, _GRADIENT, _PENALTY = Feed.take, Network.gradient, L2.__call__
_STEP, _UPDATE, _ON_STEP = Optimizer.step, Optimizer.update, Callback.on_step


def many_steps(
    run: Run, train: Feed, order: Array, size: int, pace: Callable[[int], float],
    treatments: Sequence[Treatment], metrics: Sequence[str], callbacks: Sequence[Callback],
) -> tuple[int, float, list[float]]:  # fmt: skip
    """Take an epoch's steps as long as they can be taken several at a time.

    Parameters
    ----------
    order : row numbers of the epoch; each step takes `size` of them
    pace : the factor on the learning rate in a step

    Returns
    -------
    rows done, from the front of `order`; their losses summed; each metric summed over them
    """
    network, optimizer = run.network, run.optimizer
    done, loss, n_right = 0, 0.0, 0
    suits = _suits(run, train, size, treatments, metrics, callbacks)
    penalty: Any = treatments[0] if suits and treatments else _NO_PENALTY
    while suits and done < len(order):
        size = min(size, len(order) - done)  # of the last step
        steps = min(max(1, _VALUES // (size * network.n_inputs)), (len(order) - done) // size)
        X, y, w = train.take(order[done : done + steps * size], None, network, may_stay=False)
        network.use(size)
        last = slice((steps - 1) * size, steps * size)
        batch = X[last], y[last], w[last] if train.weighted else w
        if network.chain is None or (smoothing := network.chain.enter(network, *batch)) is None:
            break
        factors = [pace(step) for step in range(run.step, run.step + steps)]
        taken, value, right = kernels.STEPS[optimizer.kernel](
            network.chain.table, X, y, w, size, smoothing, network.dZ, *optimizer.plan(factors),
            _decayed(network), float(penalty.strength), penalty.per_batch, bool(metrics),
        )  # fmt: skip
        if taken:
            optimizer.t += taken
            run.step, run.factor = run.step + taken, factors[taken - 1]
            done, loss, n_right = done + taken * size, loss + value, n_right + right
        suits = taken == steps
    return done, loss, [float(n_right)] * len(metrics)


def _suits(
    run: Run, train: Feed, size: int, treatments: Sequence[Treatment], metrics: Sequence[str],
    callbacks: Sequence[Callback],
) -> bool:  # fmt: skip
    """Whether nobody wants to be called between two steps, or has changed one of those who are."""
    network, optimizer = run.network, run.optimizer
    return (
        optimizer.kernel in kernels.STEPS
        and train.augment is None
        and not train.stays_bytes(network, size)
        and _is_still(train, _TAKE)
        and _is_still(network, _GRADIENT)
        and _is_still(optimizer, _STEP)
        and _is_still(optimizer, _UPDATE)
        and len(treatments) <= 1
        and all(_is_still(treatment, _PENALTY) for treatment in treatments)
        and tuple(metrics) in ((), ("accuracy",))
        and all(_is_still(callback, _ON_STEP) for callback in callbacks)
    )


def _is_still(thing: object, method: Any) -> bool:
    """Whether this method would be called, and not a subclass's, nor what somebody has put in its place."""
    name = method.__name__
    return getattr(type(thing), name, None) is method and name not in vars(thing)


def _decayed(network: Network) -> Array:
    """Start and stop of the segments that a penalty touches, (D, 2)."""
    where = [(part.start, part.stop) for part, decays, _ in network.segments if decays]
    return np.array(where, np.int64).reshape(-1, 2)
