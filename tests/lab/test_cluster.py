"""The same experiment on a Dask cluster: a real scheduler, two worker processes, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from glassnet.errors import InputError
from glassnet.lab import execute
from glassnet.lab.compare import run_experiment
from glassnet.lab.plan import parse_experiment
from glassnet.lab.store import RunStore

pytest.importorskip("distributed", reason="needs the extra `cluster`: pip install 'glassnet[cluster]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # distributed warns of its own settings

WORKER = [
    sys.executable,
    "-m",
    "distributed.cli.dask_worker",
    "--nthreads",
    "1",
    "--no-nanny",
    "--no-dashboard",
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler and its two worker processes."""
    where = tmp_path / "scheduler.json"
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen([*scheduler, "--no-dashboard", "--scheduler-file", str(where)], **quiet)]
    try:
        deadline = time.monotonic() + 240
        while not where.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        workers = [subprocess.Popen([*WORKER, "--scheduler-file", str(where)], **quiet) for _ in range(2)]
        processes += workers
        from distributed import Client

        with Client(scheduler_file=str(where), timeout=240) as client:
            client.wait_for_workers(2, timeout=240)
            address = client.scheduler.address
        yield address, workers
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def test_a_killed_worker_loses_nothing(cluster, plan_text, runs, tmp_path) -> None:
    address, workers = cluster
    plan = parse_experiment(plan_text.replace("seeds = 6", "seeds = 20").replace("epochs = 3", "epochs = 40"))
    store = RunStore(runs)

    def kill_one() -> None:
        while len(store.keys()) < 4:
            time.sleep(0.02)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcome = run_experiment(plan, runs=runs, cluster=address)
    killer.join()
    assert workers[0].wait(timeout=30) == -signal.SIGKILL
    assert outcome.missing == 0
    assert len(store.keys()) == 40
    alone = run_experiment(plan, runs=tmp_path / "alone", jobs=1)
    assert [a.scores.tolist() for a in outcome.families[0].arms] == [
        a.scores.tolist() for a in alone.families[0].arms
    ]
    assert outcome.verdicts == alone.verdicts


def lossy(times: int) -> Any:
    """Stands for a cluster whose worker dies, `times` times, after two answers, the second one on its way."""
    real, left = execute._answers, [times]

    def answers(*args: Any) -> Iterator[Any]:
        for n, answer in enumerate(real(*args)):
            if n == 1 and left[0]:
                left[0] -= 1
                raise CancelledError("already forgotten")
            yield answer

    return answers


def test_what_a_cluster_lost_is_asked_for_again(small, runs, tmp_path, monkeypatch) -> None:
    alone = run_experiment(small, runs=tmp_path / "alone", jobs=1)
    monkeypatch.setattr(execute, "_answers", lossy(3))
    outcome = run_experiment(small, runs=runs, jobs=1)
    assert outcome.missing == 0
    assert outcome.verdicts == alone.verdicts
    assert sorted(RunStore(runs).keys()) == sorted(RunStore(tmp_path / "alone").keys())


def test_a_cluster_that_keeps_losing_workers_is_given_up(small, runs, monkeypatch) -> None:
    monkeypatch.setattr(execute, "_answers", lossy(99))
    with pytest.raises(InputError, match="lost workers 6 times: finished runs are safe"):
        run_experiment(small, runs=runs, jobs=1)
    assert RunStore(runs).keys()


def test_no_scheduler_at_that_address_is_said_in_one_line(small, runs) -> None:
    with pytest.raises(InputError, match="no Dask scheduler answers") as error:
        run_experiment(small, runs=runs, cluster="tcp://127.0.0.1:9")
    assert "\n" not in str(error.value)
