"""A whole experiment: tune, run every arm with every seed, compare, and say what was shown."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.data.columns import chunks
from glassnet.data.dataset import Dataset
from glassnet.data.prepare import FILLING_IN
from glassnet.data.read import read
from glassnet.errors import InputError
from glassnet.lab.environment import environment
from glassnet.lab.execute import execute
from glassnet.lab.measures import MEASURES, require, task_of
from glassnet.lab.outcome import ArmOutcome, Curve, Family, Outcome, RowNoise
from glassnet.lab.plan import load_experiment, plan_text
from glassnet.lab.spec import Experiment, RunSpec
from glassnet.lab.statistics import (
    bootstrap_interval,
    compare_paired,
    mcnemar,
    row_interval,
    time_to_target,
)  # fmt: skip
from glassnet.lab.store import Result, RunStore, disk, replaced
from glassnet.lab.train_one import decide, select_rows
from glassnet.lab.tune import Tuned, tune_arms
from glassnet.lab.verdict import family_words, limits, power_words
from glassnet.progress import Progress

__all__ = ["read_data", "run_experiment"]


def read_data(experiment: Experiment, progress: Progress | None = None) -> Dataset:
    """The rows that the plan names, and a look whether its metric fits them."""
    spec = experiment.data
    dataset = read(
        spec.source, size=spec.size, target=spec.target, one_vs_rest=spec.one_vs_rest, progress=progress
    )
    require(experiment.metric, task_of(dataset.n_classes))
    dataset = select_rows(dataset, spec)
    arms = (values.get("data.prepare", spec.prepare) for _, values in experiment.arms())
    if not set(arms) <= FILLING_IN:
        _refuse_missing(dataset)
    return dataset


def _refuse_missing(dataset: Dataset) -> None:
    """Now and by name, not after the first runs by the number of a column."""
    if dataset.X.dtype.kind != "f":
        return
    odd = [~np.isfinite(piece).all(axis=0) for piece in chunks(dataset.X)]  # never a mask as large as X
    columns = np.flatnonzero(np.any(odd, axis=0)).tolist()
    if columns:
        names = [dataset.feature_names[k] if dataset.feature_names else f"column {k}" for k in columns]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise InputError(
            f"{dataset.source}: values are missing or infinite in {', '.join(names[:3])}{more}: the plan's "
            '[data] prepare = "table" fills them in (from training rows only) and encodes categories'
        )


def run_experiment(
    experiment: Experiment | str | Path, *, runs: str | Path | RunStore = "runs", jobs: int | None = None,
    cluster: str | None = None, progress: Progress | None = None, command: str = "",
) -> Outcome:  # fmt: skip
    """Do an experiment, or what is left of it, and say what it shows.

    Parameters
    ----------
    experiment : a plan, the path of its TOML file, or the name of a built-in plan
    runs : folder of the runs; finished runs in it are used, not done again
    jobs : processes at a time; None takes one per core. Results do not depend on it
    cluster : address of a Dask scheduler instead
    command : how to do this again, for the report

    Returns
    -------
    Outcome : also after Ctrl-C or at the end of the plan's budget, with the seeds that every arm has finished

    Examples
    --------
    >>> import tempfile
    >>> from glassnet.lab.plan import parse_experiment
    >>> plan = parse_experiment('''
    ... title = "Deep or not?"
    ... seeds = 6
    ... [data]
    ... source = "iris"
    ... prepare = "standard"
    ... [training]
    ... epochs = 1
    ... [vary]
    ... "model.hidden" = [[], [4]]
    ... ''')
    >>> outcome = run_experiment(plan, runs=tempfile.mkdtemp(), jobs=1)
    >>> [(arm.name, len(arm.scores)) for arm in outcome.families[0].arms]
    [('hidden none', 6), ('hidden 4', 6)]
    """
    begun = time.monotonic()
    if not isinstance(experiment, Experiment):
        experiment = load_experiment(experiment)
    store = runs if isinstance(runs, RunStore) else RunStore(runs)
    dataset = read_data(experiment, progress)
    _keep_plan(experiment, store)
    deadline = math.inf
    if experiment.budget_minutes is not None:
        deadline = begun + 60 * experiment.budget_minutes
    interrupted, tuning = False, []

    def work(specs: Sequence[RunSpec], task: str) -> list[Result | None]:
        return execute(
            specs, dataset, store, jobs=jobs, cluster=cluster, progress=progress, task=task,
            measure=experiment.metric, deadline=deadline,
        )  # fmt: skip

    plan: list[tuple[bool, str, dict[str, Any] | None]] = [(False, n, None) for n, _ in experiment.arms()]
    try:
        if experiment.tune is not None:
            tuning = tune_arms(experiment, work)
            plan += [(True, t.arm, t.best) for t in tuning if t.score == t.score]
        specs = _specs(experiment, plan)
        answers = work(specs, "final runs")
    except KeyboardInterrupt:
        interrupted = True
        specs = _specs(experiment, plan)
        answers = [store.load(spec.key(dataset.fingerprint)) for spec in specs]
    return _outcome(
        experiment, dataset, store, plan, answers, tuning, interrupted=interrupted, command=command,
        wall=time.monotonic() - begun,
    )  # fmt: skip


def _specs(
    experiment: Experiment, plan: list[tuple[bool, str, dict[str, Any] | None]]
) -> list[RunSpec]:  # fmt: skip
    """Seed by seed: whenever the work ends early, as many seeds as possible have all arms."""
    return [experiment.run(arm, seed, values) for seed in experiment.seed_list() for _, arm, values in plan]


def _keep_plan(experiment: Experiment, store: RunStore) -> None:
    """Keep the plan beside its runs, under its hash."""
    folder = store.root / "plans"
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with replaced(folder / f"{experiment.hash()}.toml") as file:
            file.write(plan_text(experiment).encode())


def _outcome(
    experiment: Experiment, dataset: Dataset, store: RunStore,
    plan: list[tuple[bool, str, dict[str, Any] | None]], answers: list[Result | None], tuning: list[Tuned],
    *, interrupted: bool, command: str, wall: float,
) -> Outcome:  # fmt: skip
    seeds, width = experiment.seed_list(), len(plan)
    by_seed = {seed: answers[i * width : (i + 1) * width] for i, seed in enumerate(seeds)}
    families = []
    for tuned in dict.fromkeys(t for t, _, _ in plan):
        columns = [i for i, (t, _, _) in enumerate(plan) if t == tuned]
        complete = [s for s in seeds if all(by_seed[s][i] is not None for i in columns)]
        table: dict[str, list[Result]] = {
            plan[i][1]: [r for s in complete if (r := by_seed[s][i]) is not None] for i in columns
        }
        families.append(_family(experiment, dataset, store, tuned, table, complete, tuning))
    every = {r.key: r for r in answers if r is not None}
    every |= {r.key: r for t in tuning for trial in t.trials for r in trial.results}
    described = f"{dataset.name} ({len(dataset):,} rows, fingerprint {dataset.fingerprint[:12]})"
    size = next((r.n_parameters for r in every.values() if r.n_parameters), 0)
    return Outcome(
        experiment, experiment.hash(), described, tuple(families), tuple(tuning),
        limits(experiment, described, size), environment(command=command),
        compute=sum(r.seconds for r in every.values()), wall=wall, n_runs=len(every),
        interrupted=interrupted, missing=sum(answer is None for answer in answers),
    )  # fmt: skip


def _family(
    experiment: Experiment, dataset: Dataset, store: RunStore, tuned: bool, table: dict[str, list[Result]],
    seeds: list[int], tuning: list[Tuned],
) -> Family:  # fmt: skip
    measure = MEASURES[experiment.metric]
    scores = {arm: np.array([r.score(experiment.metric) for r in results]) for arm, results in table.items()}
    histories = {
        arm: [store.history(r.key) if r.epochs else {} for r in results] for arm, results in table.items()
    }
    target = _target(experiment, table)
    chosen = {t.arm: t for t in tuning} if tuned else {}
    own = dict(experiment.arms())
    arms = tuple(
        _arm(arm, {**own[arm], **(chosen[arm].best if arm in chosen else {})}, results, scores[arm],
             histories[arm], target, experiment, chosen[arm].at_edge if arm in chosen else ())
        for arm, results in table.items()
    )  # fmt: skip
    names = list(table)
    order = sorted(names, key=lambda a: scores[a].mean() if seeds else 0.0, reverse=measure.higher_is_better)
    if experiment.baseline is not None:
        pairs = [(name, experiment.baseline) for name in names if name != experiment.baseline]
    else:
        pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    comparisons = compare_paired(scores, pairs, higher_is_better=measure.higher_is_better) if seeds else []
    best = _best_set(scores, order, measure.higher_is_better)
    family = Family(
        "tuned" if tuned else "at the settings of the plan", tuned, arms, tuple(seeds), tuple(comparisons),
        best, target, _noise(store, table, order) if seeds and dataset.n_classes else None,
    )  # fmt: skip
    return replace(family, sentences=family_words(family, experiment))


def _best_set(scores: dict[str, Any], order: list[str], higher: bool) -> tuple[str, ...]:
    """The arm with the best mean, and those that were not shown to be worse.

    Corrected for all pairs, because which arm is best was found in the same scores. None where there are too
    few seeds to tell: otherwise all would be called the best.
    """
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    if power_words(len(scores[order[0]]), len(pairs)):
        return ()
    worse = {
        pair.b
        for pair in compare_paired(scores, pairs, higher_is_better=higher)
        if pair.a == order[0] and pair.shown and pair.mean > 0
    }
    return tuple(name for name in order if name not in worse)


def _arm(
    name: str, values: dict[str, Any], results: list[Result], scores: Any,
    histories: list[dict[str, list[float]]], target: float, experiment: Experiment, at_edge: tuple[str, ...],
) -> ArmOutcome:  # fmt: skip
    low, high, _ = bootstrap_interval(scores) if len(scores) else (math.nan, math.nan, "")
    quantity, higher = watched(experiment)
    never = (math.inf, math.inf)
    reached = np.array([
        time_to_target(h, quantity, target, higher_is_better=higher) if quantity in h else never
        for h in histories
    ]).reshape(-1, 2)  # fmt: skip
    curves = {
        q: c for q in ("loss", "val_loss", "accuracy", "val_accuracy") if (c := _curve(histories, q))
    }  # fmt: skip
    return ArmOutcome(
        name, values, tuple(results), scores, low, high, curves, reached[:, 0], reached[:, 1], at_edge
    )


def watched(experiment: Experiment) -> tuple[str, bool]:
    """The quantity of the history whose way to the target is timed: the accuracy where it is the metric."""
    return ("val_accuracy", True) if experiment.metric == "accuracy" else ("val_loss", False)


def _target(experiment: Experiment, table: dict[str, list[Result]]) -> float:
    """The plan's target, or what the weakest arm's median run reaches on validation rows."""
    if experiment.target is not None:
        return experiment.target
    name, higher = ("accuracy", True) if experiment.metric == "accuracy" else ("log_loss", False)
    medians = [
        float(np.median([r.score(name, "validation") for r in results]))
        for results in table.values() if results
    ]  # fmt: skip
    known = [m for m in medians if m == m]
    return (min(known) if higher else max(known)) if known else math.nan


def _curve(histories: list[dict[str, list[float]]], quantity: str) -> Curve | None:
    """Mean and range over the seeds, as far as any run went; runs that ended early are left out after it."""
    columns = [h[quantity] for h in histories if quantity in h]
    if not columns:
        return None
    table = np.full((len(columns), max(map(len, columns))), np.nan)
    for row, column in zip(table, columns, strict=True):
        row[: len(column)] = column
    table = table[:, ~np.isnan(table).all(axis=0)]
    if not table.size:
        return None
    return Curve(np.nanmean(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0))


def _noise(store: RunStore, table: dict[str, list[Result]], order: list[str]) -> RowNoise | None:
    """Test-set noise of the best arm's first run, and McNemar's test against the second best's."""
    first, second = (table[name][0] for name in order[:2])
    if first.status != "done" or second.status != "done" or not first.rows.get("test"):
        return None
    right = []
    for result in (first, second):
        stored = store.predictions(result.key)
        P = stored["test_p"]
        right.append(decide(P, task_of(P.shape[1]), result.threshold) == stored["test_y"])
    low, high = row_interval(right[0])
    return RowNoise(
        order[0], order[1], len(right[0]), float(right[0].mean()), low, high, mcnemar(right[0], right[1])
    )
