"""What happens after every epoch of a fit: measuring on validation rows, stopping, the order of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.estimators.solvers import ScikitSGD
from glassnet.nn.network import Network
from glassnet.train import Average, Callback, Feed, KeepBest, Run, outputs
from glassnet.train.callbacks import higher_is_better
from glassnet.train.measure import accuracy
from glassnet.train.run import HOOKS

__all__ = ["Keeper", "ScikitOrder", "StoppingRule", "Watch", "called"]

Array = npt.NDArray[Any]
SMALLEST_LEARNING_RATE = 1e-6  # "adaptive" stops there


class ScikitOrder:
    """The order of rows in each epoch as scikit-learn shuffles them: one permutation upon the other."""

    def __init__(self, rng: np.random.RandomState) -> None:
        self.rng = rng
        self.index = np.arange(0)

    def __call__(self, rows: Array) -> Array:
        if len(self.index) != len(rows):
            self.index = np.arange(len(rows))
        permutation = np.arange(len(rows))
        self.rng.shuffle(permutation)
        self.index = self.index[permutation]
        return np.asarray(rows[self.index])


class CalledEachEpoch(Callback):
    """A plain function as a callback: called with the Run after every epoch, True ends the training."""

    def __init__(self, function: Callable[[Run], Any]) -> None:
        self.function = function

    def on_epoch(self, run: Run) -> None:
        if self.function(run) is True:
            run.stop(f"{getattr(self.function, '__name__', 'a callback')} asked for the end")


def called(thing: Any) -> Any:
    """A user's callback for the loop: functions are called after each epoch, others by their hooks."""
    plain = callable(thing) and not isinstance(thing, type)
    return CalledEachEpoch(thing) if plain and not any(hasattr(thing, hook) for hook in HOOKS) else thing


class Watch(Callback):
    """Measures each epoch on the validation rows, and at the end puts the best weights into the network.

    Records "val_loss", "val_score" (what `score` computes: see there) and, where one is monitored, a scorer
    of scikit-learn's. With an average of the weights (EMA) it is the average that is measured and kept. Which
    weights are the best a `Keeper` finds out later in the epoch.

    Parameters
    ----------
    feed : the validation rows, or None
    score : (outputs of the network, targets) -> number, higher is better
    keep : keeps the best weights, or None
    average : the running average of the weights, or None
    scorers : name in the history -> function without arguments
    """

    def __init__(
        self, feed: Feed | None, score: Callable[[Array, Array], float],
        keep: KeepBest | None = None, average: Average | None = None,
        scorers: dict[str, Callable[[], float]] | None = None,
    ) -> None:  # fmt: skip
        self.feed, self.score, self.keep, self.average = feed, score, keep, average
        self.scorers = scorers or {}

    @contextmanager
    def averaged(self, network: Network) -> Iterator[None]:
        """The network with the average of its weights in place of the latest ones."""
        if self.average is None:
            yield
            return
        theta, statistics = network.theta.copy(), network.state.copy()
        self.average.put_into(network)
        try:
            yield
        finally:
            network.theta[:], network.state[:] = theta, statistics

    def on_epoch(self, run: Run) -> None:
        if self.feed is not None:
            with self.averaged(run.network):
                for name, value in self._measure(run, self.feed).items():
                    run.history.add(name, value)

    def _measure(self, run: Run, feed: Feed) -> dict[str, float]:
        names = ["val_loss", "val_score", *self.scorers]
        if run.network.loss.classifies:
            names.insert(1, "val_accuracy")
        if run.history.diverged:
            return dict.fromkeys(names, math.nan)
        network = run.network
        Z = outputs(network, feed)  # (m, K)
        y, w = feed.y[feed.rows], feed.w[feed.rows] if feed.weighted else feed.w
        total = feed.total_weight(feed.rows)
        found = {"val_loss": network.loss.gradient(Z, y, w, 1.0 / total, np.empty_like(Z))}
        if network.loss.classifies:
            found["val_accuracy"] = accuracy(Z, y) / len(y)
        found["val_score"] = self.score(Z, y)
        finite = np.isfinite(Z).all()  # else no scorer of scikit-learn's would take the predictions
        return found | {name: scorer() if finite else math.nan for name, scorer in self.scorers.items()}

    def on_end(self, run: Run) -> None:
        if self.keep is not None and self.keep.best_epoch:
            self.keep.on_end(run)  # the best average, where there is an average


class Keeper(Callback):
    """Keeps the best weights of a Watch, once the user's callbacks have recorded what they measure.

    Parameters
    ----------
    watch : who has measured
    unknown : (names that were recorded) -> the error if the monitored quantity is none of them
    """

    def __init__(self, watch: Watch, unknown: Callable[[Iterable[str]], InputError]) -> None:
        self.watch, self.unknown = watch, unknown

    def on_epoch(self, run: Run) -> None:
        keep = self.watch.keep
        if keep is None:
            return
        if keep.monitor not in run.history:
            raise self.unknown(run.history.values)
        with self.watch.averaged(run.network):
            keep.on_epoch(run)


@dataclass
class StoppingRule(Callback):
    """scikit-learn's bookkeeping after every epoch: messages, learning rate, and when to stop.

    An epoch counts as one without improvement if the monitored quantity is not better than the best so far
    by more than tol; if it was not measured, the epoch does not count. When more than `limit` follow each
    other, training ends; or, with the learning rate's rule "adaptive", the rate is divided by 5 until it is
    at most 1e-6.
    """

    monitor: str  # name in the history
    what: str  # how messages call it
    tol: float
    patience: float  # epochs, as messages tell it
    limit: float  # epochs without improvement that do not yet end the training
    n_rows: int  # of training
    t: int = 0  # rows seen so far, also by earlier calls
    best: float = math.inf  # best value so far, its sign such that lower is better
    count: int = 0  # epochs without improvement up to now
    rate_rule: str = "constant"
    power_t: float = 0.5
    verbose: bool = False
    show_score: bool = False
    one_epoch: bool = False
    n_epochs: int = 0  # of this call

    def __post_init__(self) -> None:
        self.sign = -1.0 if higher_is_better(self.monitor, otherwise=True) else 1.0  # scorers rise

    def _say(self, message: str) -> None:
        if self.verbose:
            print(message)

    def on_epoch(self, run: Run) -> None:
        self.n_epochs += 1
        self.t += self.n_rows
        self._say(f"Iteration {self.n_epochs}, loss = {run.history['loss'][-1]:.8f}")
        if self.show_score:
            self._say(f"Validation score: {run.history['val_score'][-1]:f}")
        value = self.sign * run.history[self.monitor][-1]
        if value == value:
            self.count = self.count + 1 if value > self.best - self.tol else 0
            self.best = min(self.best, value)
        if isinstance(run.optimizer, ScikitSGD) and self.rate_rule == "invscaling":
            run.optimizer.lr = run.optimizer.first_lr / (self.t + 1) ** self.power_t
        if self.count > self.limit:
            self._exhausted(run)
        if self.one_epoch:
            self._stop(run, "partial_fit is one epoch")

    def _stop(self, run: Run, reason: str) -> None:
        if not run.stopped:  # else it has its reason: the user's callbacks come first
            run.stop(reason)

    def _exhausted(self, run: Run) -> None:
        message = f"{self.what} did not improve more than tol={self.tol:f}"
        message += f" for {self.patience:.0f} consecutive epochs."
        optimizer = run.optimizer
        if self.rate_rule != "adaptive" or not isinstance(optimizer, ScikitSGD):
            self._say(f"{message} Stopping.")
            self._stop(run, message)
        elif optimizer.lr <= SMALLEST_LEARNING_RATE:
            self._say(f"{message} Learning rate too small. Stopping.")
            self._stop(run, f"{message} Learning rate too small.")
        else:
            optimizer.lr /= 5.0
            self._say(f"{message} Setting learning rate to {optimizer.lr:f}")
            self.count = 0
