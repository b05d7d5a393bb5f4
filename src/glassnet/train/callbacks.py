"""Callbacks: what may watch and steer a training, through three hooks.

`on_step` after every update, `on_epoch` after every epoch's record, `on_end` when it is over; each gets
the Run. (`on_start` is for setting up.) A callback asks for the end with `run.stop(reason)`; it never
raises for that, and never writes to the learner except through what Run and Network offer.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.progress import Progress
from glassnet.train.history import History

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


@dataclass
class Run:
    """A training on its way: what callbacks see."""

    network: Network
    optimizer: Optimizer
    history: History
    epochs: int
    epoch: int = 0  # epochs done
    step: int = 0  # updates done
    factor: float = 1.0  # of the latest step's learning rate
    lr_factor: float = 1.0  # may be changed by callbacks; multiplies the schedule
    stopped: bool = False

    def stop(self, reason: str, *, interrupted: bool = False, diverged: bool = False) -> None:
        """Ask for the end after the present epoch; the reason goes into the history."""
        self.stopped = True
        self.history.stopped = reason
        self.history.interrupted |= interrupted
        if diverged:
            self.history.diverged = reason


class Callback:
    """Base of all callbacks: does nothing."""

    def on_start(self, run: Run) -> None:
        """Training begins, or goes on from a checkpoint."""

    def on_step(self, run: Run) -> None:
        """One update is done."""

    def on_epoch(self, run: Run) -> None:
        """One epoch is recorded in run.history."""

    def on_end(self, run: Run) -> None:
        """Training is over, for whatever reason."""

    def state(self) -> dict[str, Any]:
        """Arrays and numbers that a checkpoint must keep."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def higher_is_better(quantity: str) -> bool:
    """Whether a recorded quantity should rise: accuracies and scores do, losses and errors do not.

    What scikit-learn calls "neg_..." is an error with its sign turned, so it should rise.

    >>> higher_is_better("val_accuracy"), higher_is_better("val_loss"), higher_is_better("val_neg_log_loss")
    (True, False, True)
    """
    negated = quantity.removeprefix("val_").startswith("neg_")
    return negated or not (quantity.endswith(("loss", "error")) or quantity == "seconds")


def _quantity(run: Run, name: str) -> float:
    if name not in run.history:
        known = ", ".join(run.history.values)
        raise InputError(f"{name!r} is not recorded, so it cannot be watched (recorded: {known})")
    return run.history[name][-1]


class KeepBest(Callback):
    """Keep the weights of the best epoch, and stop when there is no progress: early stopping.

    Parameters
    ----------
    monitor : a recorded quantity, e.g. "val_loss" or "val_accuracy"
    patience : measured epochs without an improvement before training stops; None never stops
    min_delta : smaller changes are no improvement
    later : at ties take the later epoch (RealMLP does)

    The best weights are in the network at the end, however it ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int | None = None,
        min_delta: float = 0.0,
        later: bool = False,
    ) -> None:
        if patience is not None and patience < 1:
            raise InputError(f"patience must be at least 1 epoch, not {patience}")
        self.monitor, self.patience, self.min_delta, self.later = monitor, patience, min_delta, later
        self.sign = -1.0 if higher_is_better(monitor) else 1.0
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.theta = self.statistics = np.empty(0)

    def on_start(self, run: Run) -> None:
        if not run.epoch:  # a new training, perhaps of another network
            self._forget()
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
    first steps, far from the end, are soon forgotten. While training goes on, epochs are measured with the
    raw weights. Beside KeepBest, the later of the two in the list decides what the network ends with.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise InputError(f"the decay of the average must lie between 0 and 1, not {decay}")
        self.decay, self.t = decay, 0
        self.theta = np.empty(0)

    def on_start(self, run: Run) -> None:
        if not run.epoch:
            self.theta, self.t = run.network.theta.copy(), 0
        self._difference = np.empty_like(self.theta)

    def on_step(self, run: Run) -> None:
        self.t += 1
        fresh = 1.0 - min(self.decay, (1 + self.t) / (10 + self.t))
        np.subtract(run.network.theta, self.theta, out=self._difference)
        self._difference *= fresh
        self.theta += self._difference

    def on_end(self, run: Run) -> None:
        if np.isfinite(self.theta).all():
            run.network.theta[:] = self.theta

    def state(self) -> dict[str, Any]:
        return {"theta": self.theta, "t": self.t}

    def restore(self, state: dict[str, Any]) -> None:
        self.theta, self.t = state["theta"], int(state["t"])


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by `factor` when a quantity has not improved for `patience` epochs."""

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.2, patience: int = 5, min_delta: float = 1e-4
    ) -> None:
        if not 0 < factor < 1:
            raise InputError(f"the factor of a reduction must lie between 0 and 1, not {factor}")
        self.monitor, self.factor, self.patience, self.min_delta = monitor, factor, patience, min_delta
        self.sign = -1.0 if higher_is_better(monitor) else 1.0
        self.best, self.waited, self.lr_factor = math.inf, 0, 1.0

    def on_start(self, run: Run) -> None:
        if not run.epoch:
            self.best, self.waited, self.lr_factor = math.inf, 0, 1.0
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
    """Shrink every unit's incoming weights to at most this norm after each step (Srebro et al. 2005)."""

    def __init__(self, limit: float) -> None:
        if limit <= 0:
            raise InputError(f"max_norm must be positive, not {limit}")
        self.limit = limit

    def on_step(self, run: Run) -> None:
        for layer, parameter, _ in run.network.slots:
            if parameter.decay:
                W: Array = getattr(layer, parameter.name)  # (I, O)
                norms = np.sqrt(np.einsum("io,io->o", W, W))  # (O,)
                W *= np.minimum(1.0, self.limit / np.maximum(norms, 1e-12)).astype(W.dtype)


class TimeLimit(Callback):
    """Stop after the epoch in which this many seconds have passed."""

    def __init__(self, seconds: float) -> None:
        if seconds <= 0:
            raise InputError(f"the time limit must be positive, not {seconds} seconds")
        self.seconds = seconds

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
