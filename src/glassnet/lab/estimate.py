"""Before anything runs: which runs there are, how long they take, and what they could show."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassnet.data.dataset import Dataset
from glassnet.lab.coursework import Work
from glassnet.lab.execute import cores
from glassnet.lab.parallel import Job
from glassnet.lab.spec import Experiment, RunSpec
from glassnet.lab.statistics import ALPHA, detectable
from glassnet.lab.store import RunStore
from glassnet.lab.train_one import divide, set_up
from glassnet.lab.tune import first_points
from glassnet.lab.verdict import number, power_words
from glassnet.nn import Network, Optimizer, optimizer
from glassnet.seeds import stream
from glassnet.train import Feed
from glassnet.train.gradient import batch_gradient

__all__ = ["Estimate", "estimate", "estimate_coursework", "timed_step"]


@dataclass(frozen=True)
class Estimate:
    """What a plan costs and what it could show.

    Parameters
    ----------
    arms : arm -> (final runs, of which done, tuning runs, estimated seconds of one run)
    seconds : of all runs that are not done, on so many processes
    difference : the smallest true difference that would be found, in standard deviations of the pairs
    """

    arms: dict[str, tuple[int, int, int, float]]
    seconds: float
    workers: int
    comparisons: int
    difference: float
    sentences: tuple[str, ...]


def timed_step(spec: RunSpec, dataset: Dataset, *, steps: int = 20) -> float:
    """Seconds that one run takes, from the time of some real steps on real rows (nothing is kept)."""
    ready, t = set_up(spec, dataset, spec.seed), spec.training
    draw = stream(spec.seed, "augment", 0) if ready.train.augment is not None else None
    step = optimizer(t.optimizer, lr=t.lr, **t.settings)
    return _seconds(ready.network, ready.train, step, t.batch_size, t.epochs, draw, steps)


def _seconds(
    network: Network, feed: Feed, step: Optimizer, batch_size: int | Literal["full"], epochs: int,
    draw: np.random.Generator | None = None, steps: int = 20,
) -> float:  # fmt: skip
    from threadpoolctl import threadpool_limits

    size = len(feed) if batch_size == "full" else min(batch_size, len(feed))
    rows = feed.rows[:size]
    with threadpool_limits(1):
        step.start(network)
        begun = done = 0.0
        for i in range(steps + 3):
            if i == 3:  # the first steps compile and allocate
                begun = time.perf_counter()
            batch_gradient(network, feed, rows, draw=draw)
            step.step(0.0)  # the weights stay: time is all that is wanted
            done = time.perf_counter()
            if i >= 3 and done - begun > 1.0:
                break
        per_step = (done - begun) / (i - 2)
    per_epoch = -(-len(feed) // size)
    return epochs * per_epoch * per_step * 1.2 + 0.02  # validation rows and the run folder


def estimate_coursework(work: Work) -> tuple[list[tuple[int, Job, float]], float]:
    """Every network that a coursework trains, with its part and seconds; and the seconds of all together.

    The networks train side by side, one on each core.
    """
    found = []
    for part, jobs in work.all_jobs().items():
        for job in jobs:
            network = Network(job.layers, work.dataset.X.shape[1], job.loss, seed=work.seed)
            feed = Feed(network, work.dataset.X, job.y, scaling=work.scaling, rows=work.rows.train)
            each = _seconds(network, feed, job.optimizer, job.batch_size, job.epochs)
            found.append((part, job, each))
    seconds = [each for _, _, each in found]
    return found, max(max(seconds, default=0.0), sum(seconds) / cores())


def estimate(experiment: Experiment, dataset: Dataset, store: RunStore, jobs: int | None = None) -> Estimate:
    """Count and time the runs of a plan, and say what they could show.

    Tuned settings are not known yet: their final runs count as not done, and extensions of the ranges are not
    counted.
    """
    seeds, tune = experiment.seed_list(), experiment.tune
    trials = len(first_points(tune)) * tune.seeds if tune else 0
    workers = jobs or cores()
    arms, seconds = {}, 0.0
    for name, _ in experiment.arms():
        specs = [experiment.run(name, seed) for seed in seeds]
        done = sum(store.load(spec.key(dataset.fingerprint)) is not None for spec in specs)
        each = timed_step(specs[0], dataset)
        final = len(seeds) * (2 if tune else 1)
        arms[name] = (final, done, trials, each)
        seconds += each * (final - done + trials)
    k = len(arms)
    comparisons = k - 1 if experiment.baseline else k * (k - 1) // 2
    smallest = detectable(1.0, len(seeds), comparisons=comparisons)
    return Estimate(
        arms, seconds / workers, workers, comparisons, smallest,
        _sentences(experiment, dataset, len(seeds), comparisons, smallest),
    )  # fmt: skip


def _sentences(
    experiment: Experiment, dataset: Dataset, n: int, comparisons: int, smallest: float
) -> tuple[str, ...]:
    too_few = power_words(n, comparisons)
    if too_few:
        return (too_few,)
    said = [
        f"{n} seeds and {comparisons} comparisons find a true difference of {smallest:.2f} standard "
        f"deviations of the paired differences in 80 % of repetitions (level {ALPHA:g}, Holm's correction)."
    ]
    if experiment.metric == "accuracy":
        rows = divide(dataset, experiment.data, experiment.seed_list()[0])
        spread = math.sqrt(2 * 0.1 * 0.9 / len(rows.test))
        said.append(
            f"If the {len(rows.test):,} test rows were the only noise, at an accuracy near 0.9 that is a "
            f"difference of about {number(smallest * spread)}; runs that agree on most rows show less."
        )
    return tuple(said)
