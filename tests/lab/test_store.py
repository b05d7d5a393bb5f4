"""Run folders: what they hold, edited by hand, of another version, on a full disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.read import read
from glassnet.errors import InputError
from glassnet.lab import run as run_module
from glassnet.lab.compare import run_experiment
from glassnet.lab.run import run_one
from glassnet.lab.spec import Experiment
from glassnet.lab.store import RunStore

IRIS = read("iris")
FILES = ["env.json", "history.jsonl", "model.safetensors", "predictions.npz", "result.json", "spec.toml"]


@pytest.fixture
def done(small: Experiment, runs: Path):
    store = RunStore(runs)
    result = run_one(small.run("relu", 0), IRIS, store)
    return store, result


def test_a_run_leaves_its_folder_and_is_never_done_twice(small, done, monkeypatch) -> None:
    store, result = done
    assert sorted(p.name for p in store.folder(result.key).iterdir()) == FILES
    assert result.status == "done"
    assert len(store.history(result.key)["loss"]) == 3
    stored = store.predictions(result.key)
    decided = stored["test_p"].argmax(axis=1)
    assert np.mean(decided == stored["test_y"]) == result.scores["test"]["accuracy"]
    monkeypatch.setattr(run_module, "train_one", lambda *a: pytest.fail("trained again"))
    assert run_one(small.run("relu", 0), IRIS, store) == result


def test_a_tuning_run_never_sees_test_rows(small, runs) -> None:
    store = RunStore(runs)
    result = run_one(small.run("relu", 0, purpose="tune"), IRIS, store)
    assert set(result.scores) == {"validation"}
    assert not [name for name in store.predictions(result.key) if name.startswith("test")]


def table(outcome) -> list:
    return [(a.name, a.scores.tolist(), a.low, a.high) for f in outcome.families for a in f.arms] + [
        f.sentences for f in outcome.families
    ]


def test_results_do_not_depend_on_the_number_of_workers(small, runs, tmp_path) -> None:
    assert table(run_experiment(small, runs=runs, jobs=2)) == table(
        run_experiment(small, runs=tmp_path / "one", jobs=1)
    )


def test_ctrl_c_keeps_what_was_done_and_says_what_is_missing(small, runs, monkeypatch) -> None:
    train = run_module.train_one
    count = iter(range(100))

    def interrupted(*args):
        if next(count) == 5:
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(run_module, "train_one", interrupted)
    outcome = run_experiment(small, runs=runs, jobs=1)
    assert outcome.interrupted
    assert outcome.missing == 7
    assert outcome.families[0].seeds == (0, 1)
    assert "nothing can be claimed" in outcome.verdicts[0]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (("result.json", "scores", "score s"), "not as it was written"),
        (("result.json", "{", ""), "changed by hand"),
        (("spec.toml", "epochs = 3", "epochs = 4"), "describes another run"),
        (("spec.toml", "epochs = 3", "epochs = -3"), "describes another run"),
    ],
)
def test_a_folder_edited_by_hand_is_refused(small, done, edit, told) -> None:
    store, result = done
    name, old, new = edit
    path = store.folder(result.key) / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=told) as error:
        run_one(small.run("relu", 0), IRIS, store)
    assert f"glassnet runs remove {result.key}" in str(error.value)
    store.remove(result.key)
    again = run_one(small.run("relu", 0), IRIS, store)
    assert again is not None
    assert again.scores == result.scores


def test_a_better_score_written_by_hand_is_noticed(done) -> None:
    store, result = done
    path = store.folder(result.key) / "result.json"
    plain = json.loads(path.read_text())
    plain["scores"]["test"]["accuracy"] = 1.0
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match="changed by hand"):
        store.load(result.key)


@pytest.mark.parametrize("name", ["history.jsonl", "predictions.npz"])
def test_files_beside_the_result_are_checked_when_they_are_read(done, name) -> None:
    store, result = done
    with (store.folder(result.key) / name).open("ab") as file:
        file.write(b" ")
    reader = store.history if name == "history.jsonl" else store.predictions
    with pytest.raises(InputError, match=f"{name} is not as it was written"):
        reader(result.key)
    (store.folder(result.key) / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        reader(result.key)


def test_a_folder_of_another_format_is_refused(done) -> None:
    store, result = done
    path = store.folder(result.key) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "glassnet": "7.0"}))
    with pytest.raises(InputError, match=r"glassnet 7\.0 in format 99, this one reads format 1"):
        store.load(result.key)


def test_a_full_disk_says_so_and_leaves_finished_runs(small, done, monkeypatch) -> None:
    store, result = done

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(InputError, match="disk is full"):
            run_one(small.run("relu", 1), IRIS, store)
    assert store.keys() == [result.key]
    assert not list(store.root.glob("*/.*.tmp"))


def test_a_failed_run_is_recorded_and_counts_as_guessing(small, runs, monkeypatch) -> None:
    def broken(*args):
        raise RuntimeError("boom")

    monkeypatch.setattr(run_module, "train_one", broken)
    store = RunStore(runs)
    result = run_one(small.run("relu", 0), IRIS, store)
    assert result is not None
    assert (result.status, result.why) == ("failed", "RuntimeError: boom")
    assert result.score("accuracy") == pytest.approx(1 / 3)
    assert run_one(small.run("relu", 0), IRIS, store) == result


def test_a_machine_s_trouble_is_not_recorded(small, runs, monkeypatch) -> None:
    def broken(*args):
        raise MemoryError

    monkeypatch.setattr(run_module, "train_one", broken)
    with pytest.raises(MemoryError):
        run_one(small.run("relu", 0), IRIS, RunStore(runs))
    assert RunStore(runs).keys() == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_diverged_run_counts_as_guessing_and_is_told(plan_text, runs) -> None:
    from glassnet.lab.plan import parse_experiment

    text = plan_text.split("[vary]")[0] + '[vary]\n"training.lr" = [0.01, 1e30]\n'
    text = text.replace("epochs = 3", 'epochs = 3\noptimizer = "sgd"')
    outcome = run_experiment(parse_experiment(text), runs=runs, jobs=1)
    wild = outcome.families[0].arms[1]
    assert wild.failed == 6
    assert wild.scores == pytest.approx(np.full(6, 1 / 3))
    assert any("6 of 6 runs of lr 1e+30 diverged" in said for said in outcome.verdicts)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RunStore(tmp_path / "runs")


def test_remains_of_an_unfinished_run_are_cleared(small, done) -> None:
    store, result = done
    folder = store.folder(result.key)
    (folder / "result.json").unlink()
    (folder / "left-over").write_text("x")
    assert store.unfinished() == [result.key]
    run_one(small.run("relu", 0), IRIS, store)
    assert sorted(p.name for p in folder.iterdir()) == FILES
    shutil.rmtree(folder)
