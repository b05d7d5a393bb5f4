"""The benchmark suite: its search, its judgement and its results. How fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True, scope="module")
def _found_from_anywhere() -> Iterator[None]:
    """`benchmarks` lies beside `src` and is never installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield


CHOICES = {"mode": ("eager", "fast", "broken"), "compiled": ("all", "loss"), "data": ("float32", "uint8")}
TIMES = {"eager": 5.0, "fast": 3.0, "all": 0.0, "loss": -1.0, "float32": 0.0, "uint8": 1.0}


def measured(settings: Any) -> Any:
    from benchmarks.settings import Trial

    if settings["mode"] == "broken":
        return Trial(settings, failure="does not start")
    return Trial(settings, sum(TIMES[value] for value in settings.values()), loss=1.0)


def test_search_keeps_the_fastest_of_every_setting_and_survives_failures() -> None:
    from benchmarks.settings import search

    best, tried = search(CHOICES, measured, {})
    assert dict(best.settings) == {"mode": "fast", "compiled": "loss", "data": "float32"}
    assert best.time == 2.0
    assert [trial.failure for trial in tried if trial.failure] == ["does not start"]


def test_search_begins_where_it_is_told_and_tries_nothing_that_has_no_effect() -> None:
    from benchmarks.settings import search

    _, tried = search(CHOICES, measured, {"data": "uint8", "mode": "unknown", "else": 1})
    assert dict(tried[0].settings) == {"mode": "eager", "compiled": "all", "data": "uint8"}
    _, tried = search({**CHOICES, "mode": ("eager",)}, measured, {})
    assert len(tried) == 2  # eager with either data: what to compile makes no difference


def test_what_does_not_train_is_recognised() -> None:
    from benchmarks.settings import agrees, trains

    assert trains(1.1, 1.0)
    assert not trains(2.3, 1.0)
    assert not trains(float("nan"), 1.0)
    assert trains(0.5, 1.0)
    assert not agrees(0.5, 1.0)


def test_the_judge_computes_the_cross_entropy_of_both_kinds_of_output() -> None:
    from benchmarks.works import WORKS, loss_of

    X, y = np.zeros((4, 3072), np.float32), np.array([0, 1, 2, 3])
    one = [(np.zeros((3072, 1)), np.array([2.0]))]
    # logits are 2 for all rows; one of four is positive: log(1 + e^2) - 2 / 4
    assert loss_of(WORKS["W6"], [one], X, y) == pytest.approx(np.log1p(np.exp(2.0)) - 0.5, rel=1e-5)
    ten = [(np.zeros((3072, 64)), np.zeros(64)), (np.zeros((64, 10)), np.zeros(10))]
    assert loss_of(WORKS["W7"], [ten, ten], X, y) == pytest.approx(np.log(10), rel=1e-5)


def row(glassnet: float, peer: float, note: str = "") -> dict[str, Any]:
    mine = {"setting": {}, "tried": [], "note": "", "median": glassnet, "min": glassnet, "peak_mb": 100.0}
    other = {
        "setting": {"data": "uint8"},
        "tried": [],
        "note": note,
        "median": peer,
        "min": peer,
        "peak_mb": 2.0,
    }
    ratio = {"median": glassnet / peer, "min": glassnet / peer}
    contestants = {"glassnet": mine, "jax": other}
    return {"title": "t", "unit": "s", "turns": 5, "contestants": contestants, "ratios": {"jax": ratio}}


def test_a_partial_run_replaces_its_rows_only_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    from benchmarks.tables import load_results, merge, write

    for key, machine in (("W2", "older"), ("W1", "old")):
        write(tmp_path, merge(load_results(tmp_path), {key: row(1, 2)}, None, {"machine": machine}))
    before, newer = load_results(tmp_path), {"W2": row(3, 2, "odd")}
    for _ in range(2):  # as `run` writes after each row, always beginning from what was there before
        write(tmp_path, merge(before, newer, None, {"machine": "new"}))
    results = json.loads((tmp_path / "engine.json").read_text())
    assert list(results["rows"]) == ["W1", "W2"]
    of = {key: results["environments"][r["environment"]]["machine"] for key, r in results["rows"].items()}
    assert of == {"W1": "old", "W2": "new"}
    page = (tmp_path / "engine.md").read_text()
    assert "| W1 | 0.50 (0.50) |" in page
    assert "| W2 | **1.50 (1.50)** |" in page  # behind: bold
    assert "W2, jax: odd." in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.json", "engine.md"]


def test_what_may_round_is_beside_its_like(tmp_path: Path) -> None:
    from benchmarks.rows import Plan, _row
    from benchmarks.tables import merge, page
    from benchmarks.works import WORKS

    times = {"glassnet": 3.0, "glassnet bf16": 1.0, "torch bf16": 2.0, "jax": 4.0}
    plan = Plan(tmp_path, {}, 1, 1, True, 0.0, list(times), "first", print)
    contestants = {
        name: {"setting": {}, "tried": [], "note": "", "times": [t]} for name, t in times.items()
    }  # fmt: skip
    found = _row(WORKS["W4"], contestants, plan)
    assert set(found["ratios"]) == {"torch bf16", "jax"}
    text = page(merge({"rows": {}, "environments": [], "cold": None}, {"W4": found}, None, {}))
    assert "|  | torch bf16 | jax | both bf16 |" in text
    assert "| W4 | **1.50 (1.50)** | 0.75 (0.75) | 0.50 (0.50) |" in text


def test_contestants_take_turns_and_agree(tmp_path: Path) -> None:
    """The whole way once, with what is installed beside glassnet in any case."""
    command = [sys.executable, "-m", "benchmarks", "W5", "--quick", "--contestants", "glassnet,scikit-learn"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    contestants = json.loads((tmp_path / "engine.json").read_text())["rows"]["W5"]["contestants"]
    assert set(contestants) == {"glassnet", "scikit-learn"}
    for told in contestants.values():
        assert told["note"] == ""
        assert told["median"] > 0
        assert told["peak_mb"] > 10
    assert contestants["glassnet"]["loss"] == pytest.approx(contestants["scikit-learn"]["loss"], rel=0.1)
    assert "| W5 |" in done.stdout


def test_an_unknown_work_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "W77"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown work 'W77'" in done.stderr
