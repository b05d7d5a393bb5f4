"""One fit of one network: what to watch, when to stop, and what the estimator remembers of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from glassnet.errors import InputError, unknown_name
from glassnet.estimators.labels import absent_classes
from glassnet.estimators.losses import reported_share
from glassnet.estimators.rows import Rows
from glassnet.estimators.solvers import make_solver
from glassnet.estimators.watching import Keeper, ScikitOrder, StoppingRule, Watch, called
from glassnet.nn import Network, Optimizer, Schedule, schedule
from glassnet.progress import Progress
from glassnet.train import (
    L2,
    Average,
    Callback,
    ClipNorm,
    Feed,
    History,
    KeepBest,
    Report,
    Run,
    TimeLimit,
    evaluate,
    fit,
    fit_lbfgs,
)
from glassnet.train.callbacks import higher_is_better
from glassnet.train.treatments import Treatment

__all__ = ["Progressed", "how_to_hold_out", "progress_of", "train", "warn_not_converged"]

Array = npt.NDArray[Any]


@dataclass
class Progressed:
    """Where a training stands between two calls of `partial_fit`."""

    optimizer: Optimizer
    order: ScikitOrder
    seed: int
    epoch: int = 0
    step: int = 0


def train(
    estimator: Any, network: Network, rows: Rows, held: Rows | None, rng: np.random.RandomState, seed: int,
    incremental: bool,
) -> bool:  # fmt: skip
    """Train, and write scikit-learn's fitted attributes; True if the last epoch came before the end."""
    e = estimator
    feed, held_feed = rows.feed(network), None if held is None else held.feed(network)
    rule = _stopping_rule(e, len(feed), held, incremental)
    average = Average(e.ema) if e.ema is not None else None
    keep = _keep_best(e, rule, held, incremental)
    watch = Watch(held_feed, _score(e, held), keep, average, _scorers(e, network, rule.monitor, held))
    callbacks: list[Callback] = [average] if average is not None else []
    callbacks += [watch, *([TimeLimit(e.time_limit)] if e.time_limit is not None else [])]
    callbacks += map(called, e.callbacks or ())
    # after the user's: what they record can be monitored
    callbacks += [Keeper(watch, lambda recorded: _unknown(e, rule.monitor, recorded, held)), rule]
    progress = progress_of(e.progress)
    if progress is not None:
        callbacks.append(Report(progress, type(e).__name__))
    metrics = ("accuracy",) if network.loss.classifies and (held or rule.monitor == "accuracy") else ()
    treatments: list[Treatment] = [L2(e.alpha, per_batch=True)] if e.alpha > 0 else []
    if e.solver == "lbfgs":
        history = fit_lbfgs(
            network, feed, max_iter=e.max_iter, max_fun=e.max_fun, tol=e.tol, treatments=treatments,
            metrics=metrics, callbacks=callbacks,
        )  # fmt: skip
    else:
        if e.clip_norm is not None:
            treatments.append(ClipNorm(e.clip_norm))
        done, run = _begin(e, network, rng, seed, incremental)
        history = fit(
            network, feed, optimizer=run.optimizer, schedule=_schedule(e.schedule), epochs=run.epochs,
            batch_size=_batch_size(e, len(feed)), shuffle=done.order if e.shuffle else False,
            treatments=treatments, metrics=metrics, callbacks=callbacks, seed=done.seed, resume=run,
        )  # fmt: skip
        done.epoch, done.step = run.epoch, run.step
    _remember(e, network, feed, treatments, history, rule, keep)
    return _exhausted(e, history) and not incremental


def _begin(
    e: Any, network: Network, rng: np.random.RandomState, seed: int, incremental: bool
) -> tuple[Progressed, Run]:
    """A new run, or the one that an earlier call left."""
    done: Progressed | None = e.__dict__.get("_progressed") if incremental else None
    if done is None:
        done = e._progressed = Progressed(make_solver(e), ScikitOrder(rng), seed)
        done.optimizer.start(network)
        e._optimizer = done.optimizer
    epochs = max(e.max_iter, done.epoch + 1)
    return done, Run(network, done.optimizer, History(), epochs, epoch=done.epoch, step=done.step)


def _batch_size(e: Any, n_rows: int) -> int:
    if e.batch_size == "auto":
        return min(200, n_rows)
    if e.batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=7
        )
    return int(min(e.batch_size, n_rows))


def _schedule(spec: Any) -> Schedule:
    return schedule("constant" if spec is None else spec)


def progress_of(spec: bool | Progress | None) -> Progress | None:
    """What an estimator's parameter `progress` asks for: a bar, a Progress, or nothing."""
    if spec is True:
        from glassnet.bar import Bar

        return Bar()
    return spec if isinstance(spec, Progress) else None


def _stopping_rule(e: Any, n_rows: int, held: Rows | None, incremental: bool) -> StoppingRule:
    early = held is not None and e.early_stopping and not incremental
    explicit = (e.monitor is not None or e.patience is not None) and not incremental
    if explicit:
        monitor = _monitored_name(e.monitor) or ("val_loss" if held is not None else "loss")
    else:
        monitor = "val_score" if early else "loss"
    patience = e.n_iter_no_change if e.patience is None else e.patience
    limit = patience if e.patience is None else patience - 1
    if not explicit and not early and (e.solver == "lbfgs" or e.schedule is not None):
        limit = math.inf  # L-BFGS ends by itself, and a schedule is to be followed to its end
    best = {"loss": e.best_loss_, "val_score": e.best_validation_score_}.get(monitor)
    return StoppingRule(
        monitor, {"loss": "Training loss", "val_score": "Validation score"}.get(monitor, monitor),
        tol=e.tol, patience=patience, limit=limit, n_rows=n_rows, t=e.t_, count=e._no_improvement_count,
        best=math.inf if best is None else best if monitor == "loss" else -best,
        rate_rule=e.learning_rate, power_t=e.power_t, verbose=bool(e.verbose), show_score=early,
        one_epoch=incremental,
    )  # fmt: skip


def how_to_hold_out(e: Any) -> str:
    """What gives an estimator the validation rows that it lacks."""
    if e.solver == "lbfgs":
        return "give X_val and y_val (with solver='lbfgs', early_stopping holds nothing out)"
    return "set early_stopping=True, or give X_val and y_val"


def _monitored_name(monitor: Any) -> str | None:
    """The name in the history of what is monitored: of a function, "val_" and its own."""
    if monitor is None or isinstance(monitor, str):
        return monitor
    of_partial = getattr(monitor, "func", monitor)
    function = getattr(monitor, "_score_func", of_partial)  # of make_scorer
    negated = "neg_" if getattr(monitor, "_sign", 1) < 0 else ""
    return f"val_{negated}{getattr(function, '__name__', type(function).__name__)}"


def _recorded(e: Any, network: Network, held: Rows | None) -> list[str]:
    """What is in the history without any doing of the user's."""
    accuracy = ["accuracy"] if network.loss.classifies else []
    names = ["epoch", "loss", *accuracy, "seconds", *(["lr"] if e.solver != "lbfgs" else [])]
    if held is not None:
        names += [f"val_{name}" for name in ("loss", "score", *accuracy)]
    return names


def _unknown(e: Any, monitor: str, recorded: Iterable[str], held: Rows | None) -> InputError:
    """The error for a quantity to monitor that nobody measures."""
    if monitor.startswith("val_") and held is None:
        return InputError(f"monitor={monitor!r} needs validation rows: {how_to_hold_out(e)}")
    from sklearn.metrics import get_scorer_names

    scorers = [f"val_{name}" for name in get_scorer_names()] if held is not None else []
    return unknown_name("quantity to monitor", monitor, {*recorded, *scorers})


def _keep_best(e: Any, rule: StoppingRule, held: Rows | None, incremental: bool) -> KeepBest | None:
    """What keeps the best weights: by the monitored quantity, or else by the validation loss."""
    if incremental or (held is None and e.monitor is None and e.patience is None):
        return None
    chosen = held is None or e.monitor is not None or rule.monitor != "loss"
    monitor = rule.monitor if chosen else "val_loss"
    kept: KeepBest | None = e.__dict__.get("_kept")  # the best of an earlier fit counts (warm_start)
    mode: Any = "max" if higher_is_better(monitor, otherwise=True) else "min"  # scorers rise
    return kept if kept is not None and kept.monitor == monitor else KeepBest(monitor, mode=mode)


def _score(e: Any, held: Rows | None) -> Callable[[Array, Array], float]:
    weight = None if held is None else held.chosen()[2]
    return lambda Z, y: e._score_outputs(Z, y, weight)


def _scorers(
    e: Any, network: Network, monitor: str, held: Rows | None
) -> dict[str, Callable[[], float]]:  # fmt: skip
    """A scorer of scikit-learn's (or a function like one) where one is monitored.

    What nobody records is an error, unless the user's callbacks may do so: the first epoch will tell.
    """
    recorded = _recorded(e, network, held)
    if monitor in recorded and callable(e.monitor):
        raise InputError(f"there is a quantity {monitor!r} already: give your function another name")
    if monitor in recorded:
        return {}
    scorer = e.monitor if callable(e.monitor) else _scorer_of(monitor)
    if held is None or scorer is None:
        if e.callbacks and not callable(e.monitor):
            return {}
        raise _unknown(e, monitor, recorded, held)
    X, y, _ = held.chosen()
    where = f"on the validation rows{absent_classes(getattr(e, 'classes_', None), y)}"

    def score() -> float:
        try:
            value = float(scorer(e, X, y))
        except ValueError as error:
            raise InputError(f"{monitor} cannot be computed {where}: {error}") from error
        if math.isnan(value):
            raise InputError(f"{monitor} is not a number {where}: give other rows or watch something else")
        return value

    return {monitor: score}


def _scorer_of(monitor: str) -> Any:
    """scikit-learn's scorer of a quantity "val_...", or None."""
    from sklearn.metrics import get_scorer, get_scorer_names

    name = monitor.removeprefix("val_")
    return get_scorer(name) if monitor != name and name in get_scorer_names() else None


def _remember(
    e: Any, network: Network, feed: Feed, treatments: list[Treatment], history: History, rule: StoppingRule,
    keep: KeepBest | None,
) -> None:  # fmt: skip
    losses = history.values.get("loss", [])
    # an epoch that Ctrl-C ended in a callback of the user's has had its rows, though the rule did not see it
    e.n_iter_, e.t_ = len(history), e.t_ + len(history) * rule.n_rows if e.solver != "lbfgs" else 0
    e._no_improvement_count, e._kept = rule.count, keep if e.warm_start else None
    e.loss_curve_ += losses
    if e.solver == "lbfgs":  # of the weights that remain, also if it found nothing to improve
        penalty = sum(treat(network, feed.total_weight(feed.rows)) for treat in treatments)
        e.loss_ = evaluate(network, feed)["loss"] / reported_share(network) + penalty
    elif losses:
        e.loss_ = losses[-1]
    scores = history.values.get("val_score")
    if scores is not None:
        e.validation_scores_ = [*(e.validation_scores_ or []), *scores]
        e.best_validation_score_ = _best(max, e.best_validation_score_, scores, -math.inf)
    stopped_early = e.early_stopping and scores is not None
    e.best_loss_ = None if stopped_early else _best(min, e.best_loss_, losses, math.inf)
    _append(e.history_, history.values)
    if history.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=7)
    restored = keep is not None and keep.best_epoch > 0
    if not np.isfinite(network.theta).all() or (history.diverged and not restored):
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large"
            f" values and need to be preprocessed. ({history.diverged or 'the last step'})"
        )
    e.stop_reason_ = history.stopped


def _best(choose: Callable[..., float], before: float | None, now: list[float], worst: float) -> float:
    """The best of these numbers and of what an earlier call had; NaN is none."""
    return choose([worst if before is None else before, *(value for value in now if value == value)])


def _append(history: dict[str, list[float]], now: dict[str, list[float]]) -> None:
    """Add the epochs of one call to those of earlier ones; NaN where a quantity was not measured."""
    n, m = (len(next(iter(h.values()), [])) for h in (history, now))
    for name in {**history, **now}:
        history.setdefault(name, [math.nan] * n).extend(now.get(name, [math.nan] * m))
    if m:
        history["epoch"][n:] = [float(i) for i in range(n + 1, n + m + 1)]


def _exhausted(e: Any, history: History) -> bool:
    """Whether training came to its last epoch although a rule was to end it earlier."""
    if e.solver == "lbfgs":
        return history.stopped.startswith(("STOP", "ABNORMAL"))  # SciPy's words for not converged
    watched = e.monitor is not None or e.patience is not None or e.schedule is not None
    return not watched and not history.stopped and len(history) == e.max_iter


def warn_not_converged(e: Any) -> None:
    """Tell of it in scikit-learn's words."""
    if e.solver != "lbfgs":
        message = (
            f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) reached and the optimization "
            "hasn't converged yet."
        )
    else:
        status = 1 if e.stop_reason_.startswith("STOP") else 2
        message = (
            f"lbfgs failed to converge after {e.n_iter_} iteration(s) (status={status}):\n{e.stop_reason_}\n"
        )
        if e.n_iter_ == e.max_iter:
            message += (
                f"\nIncrease the number of iterations to improve the convergence (max_iter={e.max_iter})."
            )
        message += (
            "\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html"
        )
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
