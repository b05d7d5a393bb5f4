"""Train several networks at once: one thread each, with one BLAS thread each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal

from glassnet import kernels
from glassnet.lab.execute import cores
from glassnet.nn import Layer, Network, Optimizer
from glassnet.progress import Progress
from glassnet.train import Callback, Feed, History, Run, fit
from glassnet.train.feed import AffineScaling, Array

__all__ = ["Job", "Trained", "train_all"]


@dataclass(frozen=True)
class Job:
    """One network to train: everything that decides the result is in here.

    Parameters
    ----------
    label : for people
    layers, loss, optimizer : of the network and its training (made anew for every training)
    y : (n,) targets of all rows of the data
    """

    label: str
    layers: tuple[Layer, ...]
    loss: str
    optimizer: Optimizer
    batch_size: int | Literal["full"]
    epochs: int
    y: Array


@dataclass(frozen=True)
class Trained:
    """A job and what came of it; `started` is False if the work was interrupted before its turn."""

    job: Job
    network: Network
    history: History
    seconds: float
    started: bool = True


class _Cancel(Callback):
    """Ends a training after the present epoch once somebody has asked for the end."""

    def __init__(self, asked: threading.Event) -> None:
        self.asked = asked

    def on_epoch(self, run: Run) -> None:
        if self.asked.is_set() and not run.stopped:
            run.stop("interrupted by the user", interrupted=True)


class _News(Callback):
    """Tells one shared progress of every epoch of its training."""

    def __init__(self, progress: Progress, lock: threading.Lock, label: str) -> None:
        self.progress, self.lock, self.label = progress, lock, label

    def on_epoch(self, run: Run) -> None:
        h = run.history
        note = f"loss {h.last('loss'):.3f}  accuracy {h.last('accuracy'):.3f}  {self.label}"
        with self.lock:
            self.progress.advance(1, note)


def train_all(
    jobs: Sequence[Job], X: Array, train_rows: Array, validation_rows: Array, scaling: AffineScaling, *,
    seed: int, workers: int | None = None, progress: Progress | None = None,
) -> list[Trained]:  # fmt: skip
    """Train every job on the same rows; the results do not depend on the number of workers.

    Two networks side by side with one BLAS thread each are faster than one after the other with two:
    nobody waits at the end of every product. (Compiled kernels and BLAS run without Python's lock.)

    Parameters
    ----------
    X : (n, n_features) stored data of all rows; train_rows, validation_rows : row numbers
    seed : of first weights, order and dropout of every job
    workers : networks at a time; None takes the number of processors

    Returns
    -------
    list : one Trained for each job, in their order. After Ctrl-C: with what was done until then.
    """
    from threadpoolctl import threadpool_limits

    progress = progress or Progress()
    asked, lock = threading.Event(), threading.Lock()

    def train(job: Job) -> Trained:
        network = Network(job.layers, X.shape[1], job.loss, seed=seed)
        if asked.is_set():
            return Trained(job, network, History(interrupted=True), 0.0, started=False)
        begun = kernels.working_time()
        history = fit(
            network,
            Feed(network, X, job.y, scaling=scaling, rows=train_rows),
            validation=Feed(network, X, job.y, scaling=scaling, rows=validation_rows),
            optimizer=job.optimizer,
            batch_size=job.batch_size,
            epochs=job.epochs,
            validate_every=max(1, job.epochs // 100),
            callbacks=[_Cancel(asked), _News(progress, lock, job.label)],
            seed=seed,
        )
        return Trained(job, network, history, kernels.working_time() - begun)

    longest_first = sorted(range(len(jobs)), key=lambda i: -_cost(jobs[i]))
    workers = max(1, min(workers or cores(), len(jobs)))
    progress.begin(
        "epochs" if len(jobs) == 1 else f"epochs of {len(jobs)} networks", sum(job.epochs for job in jobs)
    )
    try:
        with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
            futures = {i: pool.submit(train, jobs[i]) for i in longest_first}
            try:
                wait(futures.values())
            except KeyboardInterrupt:
                asked.set()  # everyone ends within a step and keeps what was done
            return [futures[i].result() for i in range(len(jobs))]
    finally:
        progress.end()


def _cost(job: Job) -> float:
    """What a job takes, roughly: small batches cost about twice as much per row as large ones."""
    return job.epochs * (1.0 if job.batch_size == "full" else 2.0)
