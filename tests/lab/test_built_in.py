"""Every built-in plan runs through at the command, made small; its dry run says what it costs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from glassnet.cli import main
from glassnet.lab.plan import built_in, load_experiment, parse_experiment, plan_text
from glassnet.lab.spec import Experiment

ON_DIGITS = sorted(name for name in built_in("comparison") if not name.startswith("cifar10"))


def made_small(name: str) -> Experiment:
    """The built-in plan with fewer rows, epochs, trials and seeds; arms and everything else as they are."""
    plan = load_experiment(name)
    plain = plan.model_dump()
    plain["data"] |= {"rows": 200}
    plain["training"]["epochs"] = 2
    plain["seeds"] = 6
    if plan.tune is not None:
        plain["tune"] |= {"trials": 2, "extend": 0}
    return Experiment.model_validate(plain)


@pytest.mark.parametrize("name", ON_DIGITS)
def test_every_built_in_plan_runs_through(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    plan = made_small(name)
    Path("small.toml").write_text(plan_text(plan))
    assert parse_experiment(plan_text(plan)) == plan
    assert main(["run", "small.toml", "--jobs", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    arms = [arm for arm, _ in plan.arms()]
    families = 2 if plan.tune else 1
    assert [[arm["name"] for arm in f["arms"]] for f in told["families"]] == [arms] * families
    assert all(len(arm["scores"]) == 6 for f in told["families"] for arm in f["arms"])
    assert told["missing"] == 0
    assert told["verdicts"]
    assert Path("report-small.html").stat().st_size > 10_000


@pytest.mark.parametrize("name", ON_DIGITS)
def test_the_dry_run_shows_runs_cost_and_the_smallest_difference(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", name, "--dry-run", "--jobs", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for arm, _ in load_experiment(name).arms():
        assert arm in said
    assert re.search(r"About [\d.]+ (ms|s|min|h)( \d+ \w+)? on 2 processes", said)
    found = re.search(r"find a true difference of (\d\.\d\d) standard deviations", said)
    assert found
    assert 0.9 < float(found.group(1)) < 3
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/result.json"))


def test_every_treatment_of_the_rare_class_has_a_threshold_of_its_own(tmp_path, monkeypatch, capsys) -> None:
    plan = load_experiment("imbalance")
    treatments = {arm: plan.run(arm, 0).training.imbalance for arm, _ in plan.arms()}
    assert set(treatments.values()) == {
        "none", "class_weight", "focal", "oversample", "undersample", "logit_adjustment",
    }  # fmt: skip
    chosen = {arm for arm, _ in plan.arms() if plan.run(arm, 0).decision.threshold == "best_f1"}
    assert set(treatments) - chosen == {"nothing, 0.5"}
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(plan_text(made_small("imbalance")))
    assert main(["run", "small.toml", "--jobs", "1"]) == 0
    results = [json.loads(path.read_text()) for path in Path("runs").glob("*/result.json")]
    thresholds = {round(r["threshold"], 6) for r in results if r["threshold"] is not None}
    assert len(thresholds) > len(treatments)
    assert 0.5 in thresholds
