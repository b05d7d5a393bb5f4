"""Callbacks: what may watch and steer a training, through three hooks.

`on_step` after every update, `on_epoch` after every epoch's record, `on_end` when it is over; each gets
the Run. (`on_start` is for setting up.) Any object with at least one of them will do; `Callback` has them
all, and does nothing. A callback asks for the end with `run.stop(reason)`; it never raises for that, and
never writes to the learner except through what Run and Network offer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError, did_you_mean
from glassnet.nn.network import Network
from glassnet.nn.numbers import checked
from glassnet.progress import Progress
from glassnet.train.directions import checked_sign, higher_is_better
from glassnet.train.run import Callback, Run

__all__ = [
    "Average",
    "Callback",
    "KeepBest",
    "MaxNorm",
    "ReduceOnPlateau",
    "Report",
    "Run",
    "TimeLimit",
    "higher_is_better",
]

Array = npt.NDArray[Any]
Mode = Literal["min", "max"]


def _at_least(low: float, what: str, value: Any) -> None:
    """Refuse what is no finite number of at least `low`; NaN is none."""
    if not (isinstance(value, int | float | np.number) and low <= value < math.inf):
        raise InputError(f"{what} must be a number of at least {low:g}, not {value!r}")


def _whole(what: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{what} must be at least 1 epoch, a whole number, not {value!r}")


def _not_recorded(name: str, recorded: Sequence[str]) -> InputError:
    known = ", ".join(recorded)
    hint = did_you_mean(name, recorded)
    return InputError(f"{name!r} is not recorded, so it cannot be watched{hint} (recorded: {known})")


def _look_ahead(run: Run, name: str, watcher: Callback) -> None:
    """Refuse before the first epoch a quantity that nobody will record.

    Somebody's own callback in front of the watcher may add it: then the first epoch will show.
    """
    recorded = [*run.recorded, *(known for known in run.history.values if known not in run.recorded)]
    if not run.recorded or name in recorded or watcher not in run.callbacks:
        return
    before = list(run.callbacks)[: list(run.callbacks).index(watcher)]
    if all(type(callback).__module__.startswith("glassnet.train.") for callback in before):
        raise _not_recorded(name, recorded)


def _quantity(run: Run, name: str) -> float:
    if name not in run.history:
        raise _not_recorded(name, list(run.history.values))
    return run.history[name][-1]


class KeepBest(Callback):
    """Keep the weights of the best epoch, and stop when there is no progress: early stopping.

    Parameters
    ----------
    monitor : a recorded quantity, e.g. "val_loss" or "val_accuracy"
    patience : measured epochs without an improvement before training stops; None never stops
    min_delta : smaller changes are no improvement
    later : at ties take the later epoch (RealMLP does)
    mode : "min" or "max", what is better; None goes by the name: losses and errors fall, scores rise

    The best weights are in the network at the end, however it ends.

    Raises
    ------
    InputError : a name that does not say what is better, without a mode; at the start, a name that nobody
        will record
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int | None = None,
        min_delta: float = 0.0,
        later: bool = False,
        mode: Mode | None = None,
    ) -> None:
        if patience is not None:
            _whole("patience", patience)
        _at_least(0.0, "min_delta", min_delta)
        self.monitor, self.patience, self.min_delta, self.later = monitor, patience, min_delta, later
        self.sign = checked_sign(monitor, mode)
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.theta = self.statistics = np.empty(0)

    def on_start(self, run: Run) -> None:
        if not run.epoch:  # a new training, perhaps of another network
            self._forget()
        _look_ahead(run, self.monitor, self)
        self._stop_if_exhausted(run)  # it may go on from a checkpoint made when it had been

    def on_epoch(self, run: Run) -> None:
        value = self.sign * _quantity(run, self.monitor)
        if not math.isfinite(value):  # not measured at this epoch, or diverged
            return
        improved = value < self.best - self.min_delta
        if value < self.best or (self.later and value == self.best):
            theta, statistics = run.network.theta.copy(), run.network.state.copy()
            # at once, so that Ctrl-C finds either the old best or the new one
            self.best, self.best_epoch, self.theta, self.statistics = value, run.epoch, theta, statistics
        self.waited = 0 if improved else self.waited + 1
        self._stop_if_exhausted(run)

    def _stop_if_exhausted(self, run: Run) -> None:
        if self.patience is not None and self.waited >= self.patience:
            run.stop(f"no better {self.monitor} for {self.patience} epochs (best: epoch {self.best_epoch})")

    def on_end(self, run: Run) -> None:
        if self.best_epoch:
            run.network.theta[:] = self.theta
            run.network.state[:] = self.statistics

    def state(self) -> dict[str, Any]:
        return {
            "best": self.best, "best_epoch": self.best_epoch, "waited": self.waited,
            "theta": self.theta, "statistics": self.statistics,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.waited = float(state["best"]), int(state["waited"])
        self.best_epoch = int(state["best_epoch"])
        self.theta, self.statistics = state["theta"], state["statistics"]


class Average(Callback):
    """Exponential moving average of the weights (EMA), put into the network at the end.

    average = d average + (1 - d) theta after every step, with d = min(decay, (1 + t) / (10 + t)) so that the
    first steps, far from the end, are soon forgotten. The running statistics of the network (BatchNorm) are
    averaged likewise: those of the raw weights would not suit the averaged ones. While training goes on,
    epochs are measured with the raw weights. Beside KeepBest, the later of the two in the list decides what
    the network ends with.
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay, self.t = checked("the decay of the average", decay, "lie between 0 and 1"), 0
        self.theta = self.statistics = np.empty(0)

    def on_start(self, run: Run) -> None:
        network = run.network
        if not run.epoch:
            self.theta, self.statistics, self.t = network.theta.copy(), network.state.copy(), 0
        if len(self.theta) != len(network.theta):
            raise InputError("Average cannot begin in the middle of a training: resume it with its own state")
        if len(self.statistics) != len(network.state):  # a checkpoint from before they were averaged
            self.statistics = network.state.copy()
        self._differences = np.empty_like(self.theta), np.empty_like(self.statistics)

    def on_step(self, run: Run) -> None:
        self.t += 1
        fresh = 1.0 - min(self.decay, (1 + self.t) / (10 + self.t))
        averages, latest = (self.theta, self.statistics), (run.network.theta, run.network.state)
        for average, now, difference in zip(averages, latest, self._differences, strict=True):
            if len(average):  # most networks have no statistics
                np.subtract(now, average, out=difference)
                difference *= fresh
                average += difference

    def put_into(self, network: Network) -> None:
        """Give a network the averages."""
        network.theta[:], network.state[:] = self.theta, self.statistics

    def on_end(self, run: Run) -> None:
        if np.isfinite(self.theta).all() and np.isfinite(self.statistics).all():
            self.put_into(run.network)

    def state(self) -> dict[str, Any]:
        return {"theta": self.theta, "statistics": self.statistics, "t": self.t}

    def restore(self, state: dict[str, Any]) -> None:
        self.theta, self.t = state["theta"], int(state["t"])
        self.statistics = state.get("statistics", np.empty(0))


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by `factor` when a quantity has not improved for `patience` epochs.

    Parameters
    ----------
    monitor, min_delta, mode : as those of `KeepBest`
    factor : between 0 and 1
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.2, patience: int = 5, min_delta: float = 1e-4,
        mode: Mode | None = None,
    ) -> None:  # fmt: skip
        checked("the factor of a reduction", factor, "lie between 0 and 1")
        _whole("patience", patience)
        _at_least(0.0, "min_delta", min_delta)
        self.monitor, self.factor, self.patience, self.min_delta = monitor, factor, patience, min_delta
        self.sign = checked_sign(monitor, mode)
        self.best, self.waited, self.lr_factor = math.inf, 0, 1.0

    def on_start(self, run: Run) -> None:
        if not run.epoch:
            self.best, self.waited, self.lr_factor = math.inf, 0, 1.0
        _look_ahead(run, self.monitor, self)
        run.lr_factor = self.lr_factor

    def on_epoch(self, run: Run) -> None:
        value = self.sign * _quantity(run, self.monitor)
        if math.isnan(value):
            return
        self.waited = 0 if value < self.best - self.min_delta else self.waited + 1
        self.best = min(self.best, value)
        if self.waited >= self.patience:
            self.waited = 0
            self.lr_factor *= self.factor
            run.lr_factor = self.lr_factor

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "lr_factor": self.lr_factor}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.waited = float(state["best"]), int(state["waited"])
        self.lr_factor = float(state["lr_factor"])


class MaxNorm(Callback):
    """Shrink every unit's incoming weights to at most this norm after each step (Srebro et al. 2005).

    Touched are decayed parameters whose last axis is the units, such as W (I, O). One of a single axis, a
    layer's own, holds no unit's incoming weights and is left alone, as are frozen ones.
    """

    def __init__(self, limit: float) -> None:
        self.limit = checked("max_norm", limit, "be positive")

    def on_step(self, run: Run) -> None:
        for layer, parameter, _ in run.network.slots:
            if parameter.decay and parameter.lr_factor and len(parameter.shape) > 1:
                W: Array = getattr(layer, parameter.name)
                W = W.reshape(-1, parameter.shape[-1])  # (I, O), a view
                norms = np.sqrt(np.einsum("io,io->o", W, W))  # (O,)
                W *= np.minimum(1.0, self.limit / np.maximum(norms, 1e-12)).astype(W.dtype)


class TimeLimit(Callback):
    """Stop after the epoch in which this many seconds have passed."""

    def __init__(self, seconds: float) -> None:
        # infinity is no limit
        self.seconds = seconds if seconds == math.inf else checked("the time limit", seconds, "be positive")

    def on_start(self, run: Run) -> None:
        self.end = time.monotonic() + self.seconds

    def on_epoch(self, run: Run) -> None:
        if time.monotonic() > self.end:
            run.stop(f"time limit of {self.seconds:g} s reached")


class Report(Callback):
    """Tell a Progress of every epoch."""

    def __init__(self, progress: Progress, task: str) -> None:
        self.progress, self.task = progress, task

    def on_start(self, run: Run) -> None:
        self.progress.begin(self.task, run.epochs - run.epoch)

    def on_epoch(self, run: Run) -> None:
        told = [
            f"{name.replace('_', ' ')} {run.history.last(name):.3f}"
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            if name in run.history
        ]
        self.progress.advance(1, "  ".join(told))

    def on_end(self, run: Run) -> None:
        self.progress.end()
