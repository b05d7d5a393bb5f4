"""Many runs side by side: one process per core with one BLAS thread each, or a Dask cluster.

What a run gives never depends on how many others run beside it; two calls on one folder share the work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from glassnet.data.dataset import Dataset
from glassnet.errors import InputError, MissingExtra
from glassnet.lab.measures import MEASURES
from glassnet.lab.run import run_one
from glassnet.lab.spec import RunSpec
from glassnet.lab.store import Result, RunStore
from glassnet.progress import Progress

__all__ = ["cores", "execute"]

_MOST_LOST = 5  # workers that may die at the worst moment before a cluster counts as unusable


def cores() -> int:
    """Processors that this process may use (containers and affinity counted)."""
    import joblib

    return int(joblib.cpu_count())


def execute(
    specs: Sequence[RunSpec], dataset: Dataset, store: RunStore, *, jobs: int | None = None,
    cluster: str | None = None, progress: Progress | None = None, task: str = "runs",
    measure: str = "accuracy", deadline: float = math.inf,
) -> list[Result | None]:  # fmt: skip
    """Do every run that is not done yet.

    Parameters
    ----------
    dataset : with its fingerprint; `select_rows` has been applied. Arrays on disk are not copied
    jobs : processes at a time; None takes one per core, 1 works in this process
    cluster : address of a Dask scheduler ("tcp://..."); its workers must see the store's folder
    measure : of the best score that the progress tells
    deadline : `time.monotonic()` after which no run is begun

    Returns
    -------
    list : a Result for each spec, in their order; None where the deadline came first

    Raises
    ------
    InputError : a setting that no worker could use, a full disk, a killed worker process, no such cluster
    KeyboardInterrupt : what was done until then is in the store
    """
    progress = progress or Progress()
    keys = [spec.key(dataset.fingerprint) for spec in specs]
    found: dict[str, Result] = {}
    todo: dict[str, RunSpec] = {}
    for key, spec in zip(keys, specs, strict=True):
        done = store.load(key)
        if done is None:
            todo[key] = spec
        else:
            found[key] = done
    tally = _Tally(measure)
    progress.begin(task, len({*keys}))
    if found:
        for result in found.values():
            tally.add(result)
        progress.advance(len(found), tally.note())
    try:
        elsewhere: list[RunSpec] = []
        for spec, answer in _all_answers(list(todo.values()), dataset, store, jobs, cluster, deadline):
            if answer is None:
                elsewhere.append(spec)
                continue
            found[answer.key] = answer
            tally.add(answer)
            progress.advance(1, tally.note())
        for spec in elsewhere:  # another process is at them, or was: wait for it, or do what it left
            late = run_one(spec, dataset, store)
            assert late is not None
            found[late.key] = late
            tally.add(late)
            progress.advance(1, tally.note())
    finally:
        progress.end()
    return [found.get(key) for key in keys]


def _all_answers(
    specs: list[RunSpec], dataset: Dataset, store: RunStore, jobs: int | None, cluster: str | None,
    deadline: float,
) -> Iterator[tuple[RunSpec, Result | None]]:  # fmt: skip
    """As `_answers`; what a cluster lost is asked for again, and found in the store if it was done."""
    left = {spec.key(dataset.fingerprint): spec for spec in specs}
    for lost in range(_MOST_LOST + 1):
        try:
            for spec, answer in _answers(list(left.values()), dataset, store, jobs, cluster, deadline):
                del left[spec.key(dataset.fingerprint)]
                yield spec, answer
            return
        except CancelledError:  # a worker died when its answer was on its way, and the scheduler forgot it
            if lost == _MOST_LOST:
                raise InputError(
                    f"the cluster lost workers {lost + 1} times: finished runs are safe; start again when it "
                    "has become reliable"
                ) from None


def _answers(
    specs: list[RunSpec], dataset: Dataset, store: RunStore, jobs: int | None, cluster: str | None,
    deadline: float,
) -> Iterator[tuple[RunSpec, Result | None]]:  # fmt: skip
    """Each spec with its result, in the order of their end; None while another process is at it."""
    in_time = (spec for spec in specs if time.monotonic() < deadline)
    workers = min(jobs or cores(), len(specs))
    if cluster is None and workers <= 1:
        for spec in in_time:
            yield _work(spec, dataset, store.root)
        return
    import joblib

    root = store.root.absolute()
    tasks = (joblib.delayed(_work)(spec, dataset, root) for spec in in_time)
    try:
        with _backend(workers, cluster, dataset):
            pool = joblib.Parallel(return_as="generator_unordered", max_nbytes=100_000, mmap_mode="r")
            yield from pool(tasks)
    except KeyboardInterrupt:
        if cluster is None:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise
    except joblib.externals.loky.process_executor.TerminatedWorkerError:
        raise InputError(
            "a worker process was killed, perhaps for lack of memory: finished runs are safe; start again, "
            "with fewer --jobs if that helps"
        ) from None


def _work(spec: RunSpec, dataset: Dataset, root: Path) -> tuple[RunSpec, Result | None]:
    return spec, run_one(spec, dataset, RunStore(root), wait=False)


@contextmanager
def _backend(workers: int, cluster: str | None, dataset: Dataset) -> Iterator[None]:
    import joblib

    with ExitStack() as open_:
        if cluster is None:
            open_.enter_context(
                joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1)
            )
        else:
            client = open_.enter_context(_client(cluster))
            open_.enter_context(joblib.parallel_config(backend="dask", client=client, scatter=[dataset]))
        yield


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("a Dask cluster (--cluster)", "cluster") from None
    try:
        client = Client(address, timeout=15)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {address!r}: {error}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise InputError(f"the Dask scheduler at {address!r} has no workers: start some first")
        yield client


class _Tally:
    """How many runs failed, and the best score so far."""

    def __init__(self, measure: str) -> None:
        self.measure, self.failed = measure, 0
        self.best = math.nan

    def add(self, result: Result) -> None:
        self.failed += result.status != "done"
        part = "test" if result.spec.purpose == "final" else "validation"
        score = result.score(self.measure, part)
        higher = MEASURES[self.measure].higher_is_better
        if math.isnan(self.best) or (score > self.best if higher else score < self.best):
            self.best = score

    def note(self) -> str:
        return f"{self.failed} failed  best {self.best:.4f}"
