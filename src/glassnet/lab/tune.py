"""Choosing each arm's settings on validation rows: the same trials for all, ranges that grow at an edge."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.lab.measures import MEASURES
from glassnet.lab.spec import Experiment, RunSpec, Space, TuneSpec
from glassnet.lab.store import Result

__all__ = ["Trial", "Tuned", "first_points", "tune_arms"]

Points = npt.NDArray[np.floating[Any]]
#: runs in, results out (None: not begun before the deadline)
Execute = Callable[[Sequence[RunSpec], str], list[Result | None]]


@dataclass(frozen=True)
class Trial:
    """One point of an arm's ranges and its mean score on validation rows."""

    values: dict[str, Any]
    score: float
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Tuned:
    """What tuning found for one arm.

    Parameters
    ----------
    best : the values of the best trial
    at_edge : settings whose best value is still the lowest or highest that was tried: not tuned
    """

    arm: str
    best: dict[str, Any]
    score: float
    trials: tuple[Trial, ...]
    at_edge: tuple[str, ...]
    seconds: float


def first_points(tune: TuneSpec) -> Points:
    """The first trials in unit coordinates, (trials, settings): a grid, or scrambled Halton points.

    All arms get the same points; each reads them on its own ranges. A grid over two settings has the nearest
    whole number of values per setting.

    >>> first_points(TuneSpec(trials=3, space={"training.lr": Space(low=0.001, high=0.1)})).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    d = len(tune.space)
    if tune.method == "grid":
        n = max(2, round(tune.trials ** (1 / d)))
        return np.array(list(itertools.product(np.linspace(0, 1, n), repeat=d)))
    from scipy.stats import qmc

    return np.asarray(qmc.Halton(d, rng=np.random.default_rng(0)).random(tune.trials))


def values_of(point: npt.NDArray[Any], spaces: dict[str, Space]) -> dict[str, Any]:
    """The settings at a point; coordinates outside 0 to 1 lie outside the first range.

    >>> values_of(np.array([1.5]), {"training.lr": Space(low=0.01, high=1.0)})
    {'training.lr': 10.0}
    """
    found = {}
    for u, (path, space) in zip(point, spaces.items(), strict=True):
        if space.log:
            value = space.low * (space.high / space.low) ** float(u)
        else:
            value = space.low + (space.high - space.low) * float(u)
        found[path] = float(f"{value:.6g}")  # a number that a person can type again
    return found


def tune_arms(experiment: Experiment, execute: Execute) -> list[Tuned]:
    """Tune every arm of a plan with the same trials and seeds.

    Where the best trial of any arm has the lowest or highest tried value of a setting, that end is extended,
    for all arms alike, so that their budgets stay equal; at most `tune.extend` times.
    """
    tune = experiment.tune
    assert tune is not None
    arms = [name for name, _ in experiment.arms()]
    spaces = {arm: {path: tune.space_of.get(arm, {}).get(path, s) for path, s in tune.space.items()}
              for arm in arms}  # fmt: skip
    points = fresh = first_points(tune)
    trials: dict[str, list[Trial]] = {arm: [] for arm in arms}
    for extension in range(tune.extend + 1):
        task = "tuning" if not extension else f"tuning, extended {extension}×"
        _run_trials(experiment, spaces, fresh, trials, execute, task)
        edges = {edge for arm in arms for edge in _edges(experiment, points, trials[arm])}
        if not edges or extension == tune.extend:
            break
        fresh = np.concatenate([_beyond(tune, points, *edge) for edge in sorted(edges)])
        points = np.concatenate([points, fresh])
    found = []
    for arm in arms:
        best = _best(experiment, trials[arm])
        still = {list(tune.space)[j] for j, _ in _edges(experiment, points, trials[arm])}
        seconds = sum(result.seconds for trial in trials[arm] for result in trial.results)
        found.append(Tuned(
            arm, trials[arm][best].values, trials[arm][best].score, tuple(trials[arm]), tuple(sorted(still)),
            seconds,
        ))  # fmt: skip
    return found


def _run_trials(
    experiment: Experiment, spaces: dict[str, dict[str, Space]], points: Points,
    trials: dict[str, list[Trial]], execute: Execute, task: str,
) -> None:  # fmt: skip
    seeds = experiment.tuning_seeds()
    plan = [(arm, values_of(point, spaces[arm])) for point in points for arm in trials]
    specs = [experiment.run(arm, seed, values, "tune") for arm, values in plan for seed in seeds]
    answers = iter(execute(specs, task))
    for arm, values in plan:
        results = tuple(result for _ in seeds if (result := next(answers)) is not None)
        scores = [result.score(experiment.metric, "validation") for result in results]
        trials[arm].append(Trial(values, float(np.mean(scores)) if scores else math.nan, results))


def _best(experiment: Experiment, trials: list[Trial]) -> int:
    sign = 1.0 if MEASURES[experiment.metric].higher_is_better else -1.0
    scores = [sign * trial.score if trial.score == trial.score else -math.inf for trial in trials]
    return int(np.argmax(scores))


def _edges(experiment: Experiment, points: Points, trials: list[Trial]) -> set[tuple[int, int]]:
    """Settings (by number) and sides (-1 low, +1 high) at whose end the best trial lies."""
    best = points[_best(experiment, trials)]
    low, high = points.min(axis=0), points.max(axis=0)
    found = {(j, -1) for j in range(len(best)) if best[j] == low[j]}
    return found | {(j, 1) for j in range(len(best)) if best[j] == high[j]}


def _beyond(tune: TuneSpec, points: Points, j: int, side: int) -> Points:
    """New points beyond the present end of setting number j."""
    end = points[:, j].max() if side > 0 else points[:, j].min()
    if tune.method == "grid":
        values = np.unique(points[:, j])
        line = np.unique(np.delete(points, j, axis=1), axis=0)  # every value of the other setting
        new = np.insert(line, j, end, axis=1)
        step = float(values[1] - values[0])
        return np.concatenate([_moved(new, j, side * step * k) for k in (1, 2)])
    from scipy.stats import qmc

    n = max(2, tune.trials // 2)
    new = np.asarray(qmc.Halton(points.shape[1], rng=np.random.default_rng(len(points))).random(n))
    new[:, j] = end + side * new[:, j] / 2
    return new


def _moved(points: Points, j: int, by: float) -> Points:
    moved = points.copy()
    moved[:, j] += by
    return moved
