"""Killed at any moment, power lost between any two writes, two at once: the final tables are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glassnet.data.read import read
from glassnet.lab import train_one as train_module
from glassnet.lab.compare import run_experiment
from glassnet.lab.plan import parse_experiment
from glassnet.lab.run import run_one
from glassnet.lab.spec import RunSpec
from glassnet.lab.store import CHECKPOINT, RunStore
from glassnet.train import Callback, load_checkpoint

IRIS = read("iris")
LONG = {
    "data": {"source": "iris", "prepare": "standard"},
    "model": {"hidden": [6], "dropout": 0.2, "normalization": "batch"},
    "training": {"epochs": 9, "batch_size": 16, "schedule": "cosine", "average": 0.9, "patience": 50},
}


def table(outcome) -> list:
    return [(a.name, a.scores.tolist(), a.low, a.high) for f in outcome.families for a in f.arms] + [
        f.sentences for f in outcome.families
    ]


class PowerLost(BaseException):
    """Nothing catches this."""


@contextmanager
def power_lost_at(write: int, root: Path) -> Iterator[list[str]]:
    """Let the power fail at the n-th write to the disk (fsync, rename, removal); gives the list of writes.

    What no fsync has brought to the disk by then is lost: each file is cut to its length at its last fsync.
    """
    durable: dict[int, int] = {}
    calls: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "mkdir", "rmdir")}

    def dying(name):
        def call(*args, **more):
            if len(calls) >= write:
                raise PowerLost
            calls.append(name)
            if name == "fsync":
                told = os.fstat(args[0])
                durable[told.st_ino] = told.st_size
            return real[name](*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(os, name, dying(name))
        yield calls
    for path in root.rglob("*"):
        if path.is_file() and len(calls) >= write:
            os.truncate(path, durable.get(path.stat().st_ino, 0))


def content(store: RunStore, key: str) -> dict:
    """All that a run folder says, apart from times."""
    from glassnet.nn.save import load_network

    result = store.load(key)
    assert result is not None
    history = store.history(key)
    del history["seconds"]
    return {
        "scores": result.scores, "status": result.status, "history": history,
        "theta": load_network(store.folder(key) / "model.safetensors").theta.tolist(),
        "predictions": {name: value.tolist() for name, value in store.predictions(key).items()},
        "files": sorted(path.name for path in store.folder(key).iterdir()),
    }  # fmt: skip


@pytest.mark.parametrize("checkpoints", [False, True])
def test_power_lost_between_any_two_writes_costs_only_that_run(tmp_path, monkeypatch, checkpoints) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY", 0.0 if checkpoints else 1e9)
    spec, reference = RunSpec.model_validate(LONG), RunStore(tmp_path / "reference")
    key = run_one(spec, IRIS, reference).key  # type: ignore[union-attr]
    whole = content(reference, key)
    for write in range(1000):
        store = RunStore(tmp_path / str(write))
        try:
            with power_lost_at(write, store.root) as calls:
                run_one(spec, IRIS, store)
        except PowerLost:
            found = store.load(key)
            if found is not None:  # lost after the rename of result.json: what it vouches for is there
                assert content(store, key) | {"files": []} == whole | {"files": []}
            run_one(spec, IRIS, store)
            assert content(store, key) | {"files": []} == whole | {"files": []}
            assert set(content(store, key)["files"]) - {CHECKPOINT} == set(whole["files"])
        else:
            assert content(store, key) == whole
            assert len(calls) == write  # every write of a run has had its turn
            assert calls.count("replace") == (5 if not checkpoints else 5 + 8)
            break
    assert write > 10


class _Dies(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch(self, run) -> None:
        if run.epoch == self.epoch:
            raise PowerLost


def test_a_long_run_goes_on_from_its_checkpoint_bit_for_bit(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY", 0.0)
    spec = RunSpec.model_validate(LONG)
    stores = [RunStore(tmp_path / name) for name in ("whole", "killed")]
    key = run_one(spec, IRIS, stores[0]).key  # type: ignore[union-attr]
    fit, epochs = train_module.fit, []

    def dying(*args, **more):
        return fit(*args, **more | {"callbacks": [_Dies(6), *more["callbacks"]]})

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "fit", dying)
        with pytest.raises(PowerLost):
            run_one(spec, IRIS, stores[1])
    assert stores[1].load(key) is None
    assert (stores[1].folder(key) / CHECKPOINT).exists()

    class Counts(Callback):
        def on_epoch(self, run) -> None:
            epochs.append(run.epoch)

    def counted(*args, **more):
        return fit(*args, **more | {"callbacks": [Counts(), *more["callbacks"]]})

    monkeypatch.setattr(train_module, "fit", counted)
    run_one(spec, IRIS, stores[1])
    assert epochs == [6, 7, 8, 9]  # five were done
    assert content(stores[0], key) == content(stores[1], key)


@pytest.mark.parametrize("what", ["damaged", "other environment"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_not_used(tmp_path, monkeypatch, what) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY", 0.0)
    spec, store = RunSpec.model_validate(LONG), RunStore(tmp_path / "runs")
    fit = train_module.fit

    def dying(*args, **more):
        return fit(*args, **more | {"callbacks": [_Dies(6), *more["callbacks"]]})

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "fit", dying)
        with pytest.raises(PowerLost):
            run_one(spec, IRIS, store)
    (folder,) = (path for path in store.root.iterdir() if path.name != ".locks")
    if what == "damaged":
        (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:500])
    else:
        env = json.loads((folder / "env.json").read_text())
        (folder / "env.json").write_text(json.dumps(env | {"numpy": "1.0"}))
    resumed = []
    monkeypatch.setattr(train_module, "load_checkpoint", lambda *a: resumed.append(1) or load_checkpoint(*a))
    result = run_one(spec, IRIS, store)
    assert result is not None
    assert resumed == ([1] if what == "damaged" else [])
    whole = RunStore(tmp_path / "whole")
    run_one(spec, IRIS, whole)
    assert content(store, result.key) == content(whole, result.key)


SWEEP = """
import sys
from glassnet.lab import train_one
from glassnet.lab.compare import run_experiment
from glassnet.lab.plan import parse_experiment
if __name__ == "__main__":
    train_one.CHECKPOINT_EVERY = 0.0
    run_experiment(parse_experiment(open(sys.argv[1]).read()), runs=sys.argv[2], jobs=int(sys.argv[3]))
"""
TUNE = '[tune]\ntrials = 3\nextend = 1\n[tune.space]\n"training.lr" = {low = 0.001, high = 0.1}\n'


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_killed_again_and_again_ends_with_the_same_tables(plan_text, tmp_path, jobs) -> None:
    """SIGKILL to all its processes at random moments; what was finished is never touched again."""
    rng = random.Random(jobs)
    plan, script, runs = tmp_path / "plan.toml", tmp_path / "sweep.py", tmp_path / "runs"
    plan.write_text(plan_text.replace("epochs = 3", "epochs = 30") + TUNE)
    script.write_text(SWEEP)
    store, kills, stamps = RunStore(runs), 0, {}
    while kills < 3:
        process = subprocess.Popen(
            [sys.executable, script, plan, runs, str(jobs)], stderr=subprocess.DEVNULL, start_new_session=True
        )
        begun, deadline = len(store.keys()), time.monotonic() + 300
        while len(store.keys()) == begun and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.15))
        if process.poll() is not None:
            assert process.returncode == 0
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        finished = store.keys()
        now = {key: (store.folder(key) / "result.json").stat().st_mtime_ns for key in finished}
        assert stamps.items() <= now.items()
        stamps = now
    assert kills >= 2, "the sweep was too quick to be killed"
    assert len(stamps) < 30, "killed too late to see anything"
    resumed = run_experiment(parse_experiment(plan.read_text()), runs=runs, jobs=1)
    now = {key: (store.folder(key) / "result.json").stat().st_mtime_ns for key in stamps}
    assert now == stamps
    fresh = run_experiment(parse_experiment(plan.read_text()), runs=tmp_path / "fresh", jobs=1)
    assert table(resumed) == table(fresh)
    assert resumed.missing == 0
    other = RunStore(tmp_path / "fresh")
    finished = store.keys()
    assert finished == other.keys()
    assert all(content(store, key)["theta"] == content(other, key)["theta"] for key in finished)


def test_two_processes_on_one_folder_share_the_work(plan_text, runs, tmp_path) -> None:
    """Each run appends a line when it trains: twelve runs, twelve lines, whoever did them."""
    plan, script, log = tmp_path / "plan.toml", tmp_path / "sweep.py", tmp_path / "log"
    plan.write_text(plan_text)
    script.write_text(
        "import glassnet.lab.run as run, os\ntrain = run.train_one\n"
        "def logged(spec, *rest):\n"
        f"    fd = os.open({str(log)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "    os.write(fd, f'{spec.key(\"\")}\\n'.encode()); os.close(fd)\n"
        "    return train(spec, *rest)\nrun.train_one = logged\n" + SWEEP
    )
    both = [subprocess.Popen([sys.executable, script, plan, runs, "1"]) for _ in range(2)]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    trained = log.read_text().split()
    assert len(trained) == len(set(trained)) == 12
    assert len(RunStore(runs).keys()) == 12
