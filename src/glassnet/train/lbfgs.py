"""L-BFGS: SciPy's quasi-Newton method on the flat vector, with the gradient of all rows at once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.nn.network import Network
from glassnet.nn.optimizers import SGD
from glassnet.train.callbacks import Callback, Run
from glassnet.train.feed import Feed
from glassnet.train.fit import batch_gradient
from glassnet.train.history import History
from glassnet.train.locate import locate_not_finite
from glassnet.train.measure import default_metrics, evaluate
from glassnet.train.treatments import Treatment

__all__ = ["fit_lbfgs"]

Array = npt.NDArray[Any]


def fit_lbfgs(
    network: Network, train: Feed, *, validation: Feed | None = None, max_iter: int = 200,
    max_fun: int = 15000, tol: float = 1e-4, memory: int = 10, treatments: Sequence[Treatment] = (),
    metrics: Sequence[str] | None = None, callbacks: Sequence[Callback] = (),
) -> History:  # fmt: skip
    """Train with L-BFGS (Liu & Nocedal 1989): few, expensive steps; best for small data.

    Parameters
    ----------
    max_iter, max_fun : most iterations (epochs of the history) and most evaluations of the loss
    tol : stop when the largest entry of the gradient is at most this
    memory : corrections that approximate the curvature
    treatments : penalties only: clipping would falsify the line search

    Returns
    -------
    History : one entry per iteration, "loss" with penalties
    """
    from scipy.optimize import minimize

    metrics = default_metrics(network) if metrics is None else tuple(metrics)
    run = Run(network, SGD(), History(), max_iter)
    latest = {"loss": math.nan, "started": time.perf_counter()}

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        network.theta[:] = theta
        value = batch_gradient(network, train, train.rows, (), {}, None)
        for treat in treatments:
            value += treat(network, train.total_weight(train.rows))
        if not math.isfinite(value):
            run.stop(locate_not_finite(network, run.step), diverged=True)
        run.step += 1
        latest["loss"] = value
        return value, network.grad.astype(np.float64)

    def after_iteration(intermediate_result: Any) -> None:
        network.theta[:] = intermediate_result.x
        run.epoch += 1
        now = time.perf_counter()
        quantities = {"epoch": float(run.epoch), "loss": float(intermediate_result.fun)}
        if metrics:
            own = evaluate(network, train, metrics)
            quantities |= {name: own[name] for name in metrics}
        if validation is not None:
            quantities |= {f"val_{k}": v for k, v in evaluate(network, validation, metrics).items()}
        run.history.record(quantities | {"seconds": now - latest["started"]})
        latest["started"] = now
        for callback in callbacks:
            callback.on_step(run)
            callback.on_epoch(run)
        if run.stopped:
            raise StopIteration  # the way SciPy's minimize is told to end

    for callback in callbacks:
        callback.on_start(run)
    try:
        found = minimize(
            value_and_gradient, network.theta.astype(np.float64), jac=True, method="L-BFGS-B",
            callback=after_iteration,
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "maxcor": memory},
        )  # fmt: skip
        network.theta[:] = found.x
        if not run.stopped:
            run.history.stopped = str(found.message)
    except KeyboardInterrupt:
        run.stop("interrupted by the user", interrupted=True)
    for callback in callbacks:
        callback.on_end(run)
    return run.history
