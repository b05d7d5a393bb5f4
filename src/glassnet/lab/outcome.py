"""What an experiment found out: plain records that verdicts, tables and the report read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.lab.spec import Experiment
from glassnet.lab.statistics import Paired
from glassnet.lab.store import Result
from glassnet.lab.tune import Tuned

__all__ = ["ArmOutcome", "Curve", "Family", "Outcome", "RowNoise"]

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Curve:
    """One quantity of one arm over the epochs: mean and range over the seeds, shape (epochs,)."""

    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class ArmOutcome:
    """One arm over the seeds.

    Parameters
    ----------
    values : what it sets; for tuned arms with the chosen values
    scores : (n,) the metric on test rows, seed by seed; failed runs count as a constant prediction
    low, high : 95 % bootstrap interval of the mean over seeds
    to_target : (n,) epochs until the target was reached on validation rows, infinite if it never was
    seconds_to_target : (n,) the same in seconds
    """

    name: str
    values: dict[str, Any]
    results: tuple[Result, ...]
    scores: Array
    low: float
    high: float
    curves: dict[str, Curve]
    to_target: Array
    seconds_to_target: Array
    at_edge: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        return float(self.scores.mean()) if len(self.scores) else float("nan")

    @property
    def failed(self) -> int:
        """Runs that diverged or failed."""
        return sum(result.status != "done" for result in self.results)

    @property
    def seconds(self) -> float:
        """Mean time of one run."""
        return float(np.mean([result.seconds for result in self.results])) if self.results else 0.0


@dataclass(frozen=True)
class RowNoise:
    """How far the choice of test rows alone moves the answer, for the pair of the first seed.

    Parameters
    ----------
    low, high : 95 % interval of A's accuracy if other test rows had been drawn
    p : McNemar's exact test of A against B on the same rows
    """

    a: str
    b: str
    n_rows: int
    accuracy_a: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Family:
    """All arms at the settings of the plan, or all arms tuned: compared with each other only."""

    title: str  # "at the settings of the plan", "tuned"
    tuned: bool
    arms: tuple[ArmOutcome, ...]
    seeds: tuple[int, ...]  # for which every arm has a run
    comparisons: tuple[Paired, ...]
    best: tuple[str, ...]  # arms not distinguishable from the best, the best first; none if it cannot be told
    target: float
    noise: RowNoise | None
    sentences: tuple[str, ...] = ()

    def arm(self, name: str) -> ArmOutcome:
        return next(arm for arm in self.arms if arm.name == name)


@dataclass(frozen=True)
class Outcome:
    """A finished (or interrupted) experiment.

    Parameters
    ----------
    families : at the settings of the plan, and tuned if the plan tunes
    tuning : what tuning found for each arm, with all trials
    limits : what the verdicts do not cover
    compute : seconds of training in all runs together; wall : of this call
    missing : runs that were not begun (interrupted, or over budget)
    """

    experiment: Experiment
    hash: str
    data: str
    families: tuple[Family, ...]
    tuning: tuple[Tuned, ...]
    limits: tuple[str, ...]
    environment: dict[str, str]
    compute: float
    wall: float
    n_runs: int
    interrupted: bool = False
    missing: int = 0

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The sentences of the last family: tuned, where the plan tunes."""
        return self.families[-1].sentences if self.families else ()
