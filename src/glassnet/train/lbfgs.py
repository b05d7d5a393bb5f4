"""L-BFGS: SciPy's quasi-Newton method on the flat vector, with the gradient of all rows at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.optimizers import SGD
from glassnet.train.begin import check_feeds
from glassnet.train.callbacks import MaxNorm, ReduceOnPlateau
from glassnet.train.checkpoint import Checkpoint
from glassnet.train.feed import Feed
from glassnet.train.gradient import batch_gradient
from glassnet.train.history import History
from glassnet.train.locate import locate_gradient, locate_not_finite
from glassnet.train.measure import checked_metrics, evaluate, measured
from glassnet.train.run import Run, as_callbacks, told_of
from glassnet.train.threads import threads_for
from glassnet.train.treatments import ClipNorm, ClipValue, Treatment, check_treatments, treated

__all__ = ["fit_lbfgs"]

log = logging.getLogger("glassnet")
Array = npt.NDArray[Any]


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def fit_lbfgs(
    network: Network, train: Feed, *, validation: Feed | None = None, max_iter: int = 200,
    max_fun: int = 15000, tol: float = 1e-4, memory: int = 10, treatments: Sequence[Treatment] = (),
    metrics: Sequence[str] | None = None, callbacks: Sequence[Any] = (),
) -> History:  # fmt: skip
    """Train with L-BFGS (Liu & Nocedal 1989): few, expensive steps; best for small data.

    There is no learning rate, but the layers' factors on it hold: a parameter with the factor 0 is frozen.
    The others are theta = sqrt(factor) phi, and it is phi that is searched for: plain gradient descent on phi
    would be descent on theta with these rates. This preconditions the way; the minimum stays where it is.

    Parameters
    ----------
    train, validation : the rows to learn from, all of them at once, and the rows to watch
    max_iter, max_fun : most iterations (epochs of the history) and most evaluations of the loss
    tol : stop when the largest entry of the gradient (by phi) is at most this, or the loss stays as it is
    memory : corrections that approximate the curvature
    treatments : penalties only: clipping would falsify the line search

    Returns
    -------
    History : one entry per iteration, "loss" with penalties; also after Ctrl-C or a loss that is not finite

    Raises
    ------
    InputError : clipping, a plateau's factor, max-norm, checkpoints, augmented rows, layers that draw random
        numbers or keep averages (BatchNorm), or limits that leave nothing to do
    """
    from scipy.optimize import minimize

    listeners = as_callbacks(callbacks)
    check_feeds(network, train, validation)
    metrics = checked_metrics(network, metrics)
    _check_limits(max_iter, max_fun, tol, memory)
    _check(network, train, treatments, callbacks)
    root, slope = _variables(network)
    run = Run(network, SGD(), History(), max_iter, callbacks=tuple(callbacks))
    run.recorded = ("epoch", *measured(metrics, validation is not None), "seconds")
    theta, started = network.theta.copy(), kernels.working_time()

    def value_and_gradient(tried: Array) -> tuple[float, Array]:
        network.theta[:] = root * tried
        value, _ = batch_gradient(network, train, train.rows)
        if not math.isfinite(value):
            place = locate_not_finite(network, run.step)
        else:
            value, place = treated(run, train, train.rows, treatments, value)
            bad = ~np.isfinite(network.grad)
            if not place and bad.any():
                place = locate_gradient(network, run.step, bad)
        if place and not run.history.diverged:  # SciPy goes on: the first place counts
            run.stop(_without_rates(place), diverged=True)
        return value, slope * network.grad

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal started
        network.theta[:] = theta[:] = root * intermediate_result.x
        run.epoch, run.step = run.epoch + 1, run.step + 1
        now = kernels.working_time()
        quantities = {"epoch": float(run.epoch), "loss": float(intermediate_result.fun)}
        if metrics:
            own = evaluate(network, train, metrics)
            quantities |= {name: own[name] for name in metrics}
        if validation is not None:
            quantities |= {f"val_{k}": v for k, v in evaluate(network, validation, metrics).items()}
        run.history.record(quantities | {"seconds": now - started})
        started = now
        for callback in listeners:
            callback.on_step(run)
            callback.on_epoch(run)
        if run.stopped:
            raise StopIteration  # the way SciPy's minimize is told to end

    with told_of(run, listeners), threads_for(network, len(train)):
        try:
            if not run.stopped:
                found = minimize(
                    value_and_gradient, network.theta / root, jac=True, method="L-BFGS-B",
                    callback=after_iteration,
                    options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "maxcor": memory},
                )  # fmt: skip
            if not run.stopped:
                theta[:] = root * found.x
                run.history.stopped = str(found.message)
        finally:
            network.theta[:] = theta  # of the latest iteration, not of a trial step
    if run.history.diverged:
        log.warning("training stopped: %s", run.history.diverged)
    return run.history


def _variables(network: Network) -> tuple[Array, Array]:
    """theta / phi of every parameter, and the factor from d/d theta to d/d phi: 0 where it is frozen."""
    root, slope = np.ones((2, len(network.theta)))
    for where, _, factor in network.segments:
        slope[where] = math.sqrt(factor)
        root[where] = slope[where] if factor else 1.0
    return root, slope


def _without_rates(located: str) -> str:
    """What is said of a number that is not finite, with advice for a method without a learning rate."""
    what, _, advice = located.rpartition("; ")
    if "learning rate" in advice:
        advice = "scale the inputs, add a penalty, or begin with other weights"
    return f"{what}; {advice}"


def _check_limits(max_iter: int, max_fun: int, tol: float, memory: int) -> None:
    for name, value in (("max_iter", max_iter), ("max_fun", max_fun), ("memory", memory)):
        if not isinstance(value, Real) or not value >= 1:
            raise InputError(f"L-BFGS needs {name} of at least 1, not {value!r}")
    if not isinstance(tol, Real):
        raise InputError(f"the tol of L-BFGS must be a number, not {tol!r}")
    if not tol >= 0:
        raise InputError(f"the tol of L-BFGS is a largest gradient, so it must not be negative: {tol!r}")


def _check(
    network: Network, train: Feed, treatments: Sequence[Treatment], callbacks: Sequence[Any]
) -> None:  # fmt: skip
    """Refuse what SciPy's line search would not see, or what would make the loss a matter of chance."""
    check_treatments(treatments)
    for thing in (*treatments, *callbacks):
        if isinstance(thing, ClipNorm | ClipValue | MaxNorm | ReduceOnPlateau):
            raise InputError(
                f"{type(thing).__name__} cannot work with L-BFGS: its line search sets the steps"
            )
        if isinstance(thing, Checkpoint):
            raise InputError(
                "Checkpoint cannot work with L-BFGS: SciPy keeps its memory of the curvature to itself, so "
                "no run could go on from the file. KeepBest keeps the best weights; to have them in a file, "
                "call glassnet.save_network in an on_epoch of your own"
            )
    if train.augment is not None:
        raise InputError(
            "L-BFGS needs one loss for the same weights, but augment changes the rows at random: give it the "
            "rows as they are, or train with fit"
        )
    if network.matmul_precision != "full":
        raise InputError(
            "L-BFGS needs a loss that follows the smallest step, but products of rounded weights do not: set "
            "the network's matmul_precision = 'full'"
        )
    for layer in network.every_layer():
        strength = getattr(layer, "rate", getattr(layer, "std", 1.0))
        if layer.draws and strength > 0:  # a dropout of 0 draws nothing
            raise InputError(f"L-BFGS needs one loss for the same weights, but {layer!r} draws at random")
        if layer.statistics():
            raise InputError(
                f"{layer!r} cannot work with L-BFGS: its averages would come from trial steps of the line "
                "search, too. Take LayerNorm or RMSNorm, or train with fit"
            )
