"""What goes wrong at the command: every answer is one line that says what, where and what to do."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from glassnet.cli import main
from glassnet.lab.store import RunStore

TUNE = '[tune]\n[tune.space]\n"training.lr" = {low = 0.001, high = 1.0}\n'


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch, plan_text) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(plan_text)
    return tmp_path


def refused(capsys, *args: str) -> str:
    """The one line with which a command was refused, after the lines of its progress."""
    capsys.readouterr()
    assert main(args) == 1
    out, err = capsys.readouterr()
    assert out == ""
    *progress, said = err.splitlines()
    assert said.startswith("glassnet: ")
    assert all(line.startswith(("tuning", "final runs", "reading")) for line in progress), err
    return said


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[vary]", '[[arm]]\nname = "a"\n[vary]', ["both [vary] and [[arm]]", "a plan has one of them"]),
        ('["relu", "sigmoid"]', '["relu", "relu"]', ["two arms are called 'relu'"]),
        ("[vary]", TUNE.replace("training.lr", "model.activation") + "[vary]", ["both varied and tuned"]),
        ("[model]", f"validation = 0.0\n{TUNE}[model]", ["tuning needs validation rows"]),
        ("seeds = 6", 'seeds = 6\nbaseline = "relo"', ["line 4", "unknown arm 'relo'", "mean 'relu'"]),
        ("[vary]", TUNE.replace("[tune]", '[tune]\nrows = "test"', 1) + "[vary]",
         ["tuning on 'test' rows is refused", "no test left"]),
        ("seeds = 6", "seeds 6", ["is not TOML", "line 3"]),
        ("seeds = 6", "sedes = 6", ["line 3", "unknown setting 'sedes'", "did you mean 'seeds'"]),
        ("hidden = [4]", "hiden = [4]", ["line 8", "unknown setting 'model.hiden'", "did you mean 'hidden'"]),
        ('source = "iris"', 'source = "no/such/file.csv"', ["there is no 'no'", "has nothing like it"]),
        ("seeds = 6", 'seeds = 6\nmetric = "f1"', ["'f1' does not fit a target of more than two classes"]),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_meant_is_refused_before_anything_runs(
    workplace, capsys, plan_text, old, new, told
) -> None:
    assert old in plan_text
    (workplace / "mine.toml").write_text(plan_text.replace(old, new, 1))
    for more in ([], ["--dry-run"]):
        said = refused(capsys, "run", "mine.toml", *more)
        for words in told:
            assert words in said
    assert not list(workplace.glob("**/result.json"))


@pytest.mark.parametrize("source", ["plan", "option"])
def test_fewer_than_six_seeds_say_what_cannot_be_shown(workplace, capsys, plan_text, source) -> None:
    if source == "plan":
        (workplace / "mine.toml").write_text(plan_text.replace("seeds = 6", "seeds = 4"))
    more = ["--seeds", "4"] if source == "option" else []
    told = "nothing can be claimed: the smallest p of the paired test is 0.9 * 2/2^4 = 0.1125"
    for dry in (["--dry-run"], ["--jobs", "1"]):
        assert main(["run", "mine.toml", *more, *dry]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert told in said
        assert "At least 6 seeds are needed." in said
        assert "is better" not in said
        assert "is best" not in said


@pytest.fixture
def done(workplace, capsys) -> tuple[RunStore, str]:
    assert main(["run", "mine.toml", "--jobs", "1"]) == 0
    store = RunStore(workplace / "runs")
    return store, store.keys()[0]


def test_a_run_folder_edited_by_hand_is_refused_until_it_is_removed(done, capsys) -> None:
    store, key = done
    path = store.folder(key) / "result.json"
    path.write_text(path.read_text().replace('"accuracy": 0.', '"accuracy": 0.9', 1))
    said = refused(capsys, "run", "mine.toml", "--jobs", "1")
    assert "was changed by hand" in said
    assert f"glassnet runs remove {key}" in said
    assert "was changed by hand" in refused(capsys, "runs", "compare", key[:12], store.keys()[1])
    assert main(["runs", "remove", key]) == 0
    assert main(["run", "mine.toml", "--jobs", "1"]) == 0


def test_edited_curves_are_refused_when_the_report_reads_them(done, capsys) -> None:
    store, key = done
    with (store.folder(key) / "history.jsonl").open("a") as file:
        file.write('{"loss": 0.0}\n')
    assert "history.jsonl is not as it was written" in refused(capsys, "run", "mine.toml", "--jobs", "1")


def test_another_version_s_folder_is_refused_with_what_to_do(done, capsys) -> None:
    store, key = done
    path = store.folder(key) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "glassnet": "7.0"}))
    said = refused(capsys, "run", "mine.toml", "--jobs", "1")
    assert "written by glassnet 7.0 in format 99, this one reads format" in said
    assert f"`glassnet runs remove {key}`" in said


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
def test_a_full_disk_is_said_in_one_line_and_the_same_command_goes_on(
    workplace, capsys, monkeypatch, call
) -> None:
    """The disk fills up after some runs: what was finished stays, nothing half-written does."""
    real, left = getattr(os, call), iter(range(12))

    def full(*args, **more):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device", "runs")
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        said = refused(capsys, "run", "mine.toml", "--jobs", "1")
    assert "disk is full" in said or "No space left on device" in said
    store = RunStore(workplace / "runs")
    kept = store.keys()
    assert 0 < len(kept) < 12
    assert not list(store.root.glob("**/.*.tmp"))
    assert main(["run", "mine.toml", "--jobs", "1"]) == 0
    assert len(store.keys()) == 12
    assert set(kept) <= set(store.keys())


def test_a_folder_that_cannot_be_written_is_said(workplace, capsys) -> None:
    (workplace / "runs").write_text("a file")
    assert "is a file" in refused(capsys, "run", "mine.toml")
