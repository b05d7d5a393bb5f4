"""Whole experiments: verdicts, exports, the index, the dry run, the page, and the commands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from glassnet.cli import main
from glassnet.cli.experiment import show
from glassnet.errors import InputError
from glassnet.lab.compare import read_data, run_experiment
from glassnet.lab.estimate import estimate
from glassnet.lab.export import outcome_markdown
from glassnet.lab.index import find_runs, matching_keys, rebuild_index
from glassnet.lab.plan import built_in, load_experiment, parse_experiment
from glassnet.lab.store import RunStore
from glassnet.report import write_report

TUNED = """
title = "Tuned & <small>"
question = "Which?"
seeds = 6
margin = 0.02
[data]
source = "iris"
prepare = "standard"
[model]
hidden = [4]
[training]
epochs = 4
[vary]
"model.activation" = ["relu", "sigmoid"]
[tune]
trials = 3
extend = 0
[tune.space]
"training.lr" = {low = 0.001, high = 0.1}
"""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return run_experiment(parse_experiment(TUNED), runs=runs, jobs=1), RunStore(runs)


def test_a_tuned_experiment_reports_both_families_and_its_limits(tuned) -> None:
    outcome, _ = tuned
    assert [f.tuned for f in outcome.families] == [False, True]
    assert all(len(arm.scores) == 6 for f in outcome.families for arm in f.arms)
    assert outcome.n_runs == 2 * (6 + 6 + 3)
    said = " ".join(outcome.limits)
    assert "iris (150 rows" in said
    assert "Only 3 trials" in said
    assert "less than three decades" in said
    assert "one set of test rows" in said


def test_another_call_does_nothing_and_says_the_same(tuned, monkeypatch) -> None:
    outcome, store = tuned
    monkeypatch.setattr("glassnet.lab.execute.run_one", lambda *a, **k: pytest.fail("ran again"))
    again = run_experiment(parse_experiment(TUNED), runs=store, jobs=1)
    assert again.verdicts == outcome.verdicts


def test_a_clear_difference_is_called_better_in_words_that_can_be_quoted(plan_text, runs) -> None:
    text = plan_text.split("[vary]")[0].replace("epochs = 3", "epochs = 15")
    text += '[vary]\n"training.lr" = [1e-6, 0.05]\n'
    outcome = run_experiment(parse_experiment(text), runs=runs, jobs=1)
    assert outcome.families[0].best == ("lr 0.05",)
    assert any(s.startswith("lr 0.05 is better than lr 1e-06: accuracy higher by") for s in outcome.verdicts)


def test_too_few_seeds_say_what_cannot_be_shown(plan_text, runs, capsys) -> None:
    text = plan_text.replace("seeds = 6", "seeds = 3").split("[vary]")[0]
    outcome = run_experiment(
        parse_experiment(text + '[vary]\n"training.lr" = [1e-6, 0.05]\n'), runs=runs, jobs=1
    )
    assert "2/2^3 = 0.225" in outcome.verdicts[0]
    assert not any("is better" in said for said in outcome.verdicts)
    assert outcome.families[0].best == ()
    assert "bold" not in outcome_markdown(outcome)
    assert "**0." not in outcome_markdown(outcome)
    show(outcome)
    assert re.search(r"^ *lr 0\.05 .* - +\d", capsys.readouterr().out, re.M)


def test_the_budget_ends_the_work_and_the_next_call_goes_on(small, runs) -> None:
    spent = small.model_copy(update={"budget_minutes": 1e-9})
    outcome = run_experiment(spent, runs=runs, jobs=1)
    assert outcome.missing == 12
    assert "nothing can be compared" in outcome.verdicts[0]
    assert run_experiment(small, runs=runs, jobs=1).missing == 0


def test_a_metric_that_does_not_fit_the_data_is_refused(small) -> None:
    with pytest.raises(InputError, match="'f1' does not fit a target of more than two classes"):
        read_data(small.model_copy(update={"metric": "f1"}))


def test_the_page_has_verdicts_tables_plan_and_figures(tuned, tmp_path) -> None:
    outcome, _ = tuned
    page = write_report(outcome, tmp_path / "page.html").read_text()
    assert "Tuned &amp; &lt;small&gt;" in page
    assert f"Hash {outcome.hash}" in page
    assert set(re.findall(r'data-plot="([\w-]+)"', page)) == {
        "as-planned-val_loss", "as-planned-val_accuracy", "tuned-val_loss", "tuned-val_accuracy",
        "lr-sensitivity", "best-of-k",
    }  # fmt: skip
    text = re.sub(r"<[^>]+>", " ", page.split("<main")[1].split('id="twins"')[0])
    for sentence in outcome.verdicts:
        assert sentence.replace("'", "&#39;") in text
    assert " nan" not in text
    unfinished = write_report(replace(outcome, missing=3), tmp_path / "unfinished.html").read_text()
    assert "Not finished." in unfinished


def test_the_index_is_only_a_cache(tuned) -> None:
    _, store = tuned
    assert rebuild_index(store) == 30
    best = find_runs(store, ["purpose=final", "activation=relu", "lr>0.0005"], sort="score", descending=True)
    assert best[0]["score"] == max(run["score"] for run in best)
    assert {run["activation"] for run in best} == {"relu"}
    (store.root / "index.sqlite").write_bytes(b"no database at all, but something else")
    assert len(find_runs(store)) == 30
    key = best[0]["key"]
    assert matching_keys(store, key[:10]) == key
    with pytest.raises(InputError, match="did you mean 'status'"):
        find_runs(store, ["statuss=done"])
    with pytest.raises(InputError, match="is no condition"):
        find_runs(store, ["done"])


def test_the_dry_run_counts_times_and_promises_without_running(small, runs) -> None:
    store = RunStore(runs)
    data = read_data(small)
    found = estimate(small, data, store, jobs=2)
    assert {name: row[:3] for name, row in found.arms.items()} == {"relu": (6, 0, 0), "sigmoid": (6, 0, 0)}
    assert found.seconds > 0
    assert store.keys() == []
    assert math.isfinite(found.difference)
    few = small.model_copy(update={"seeds": 5})
    assert "nothing can be claimed" in estimate(few, data, store).sentences[0]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_from_a_new_plan_to_removed_runs(workplace, capsys) -> None:
    assert main(["new", "mine", "--like", "activations"]) == 0
    assert load_experiment("mine.toml").title == "mine"
    (workplace / "mine.toml").write_text(TUNED)
    assert main(["run", "mine.toml", "--dry-run", "--jobs", "1"]) == 0
    assert "standard deviations of the paired differences" in capsys.readouterr().out
    assert main(["run", "mine.toml", "--jobs", "1", "--export", "csv"]) == 0
    out = capsys.readouterr().out
    assert "Written: report-mine.html" in out
    assert (workplace / "report-mine" / "runs.csv").is_file()
    assert main(["run", "mine.toml", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 30
    assert main(["runs", "list", "--where", "purpose=final", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert main(["runs", "compare", listed[0]["key"], listed[1]["key"][:12]]) == 0
    capsys.readouterr()
    assert main(["runs", "remove", listed[0]["key"]]) == 0
    assert main(["runs", "remove", "--where", "purpose=tune"]) == 0
    capsys.readouterr()
    assert main(["runs", "list"]) == 0
    assert f"{len(listed) - 1} runs, 0 unfinished" in capsys.readouterr().out


def test_a_plan_runs_on_a_table_of_ones_own(workplace, capsys) -> None:
    cells = ((k % 7, "" if k == 7 else k % 5, "red" if k % 3 else "blue", "ab"[k % 2]) for k in range(60))
    rows = [",".join(map(str, row)) for row in cells]
    (workplace / "own.csv").write_text("\n".join(["length,width,colour,species", *rows]))
    (workplace / "mine.toml").write_text(TUNED)
    one = ["run", "mine.toml", "--data", "own.csv"]
    assert main(one) == 1
    assert "--target, one of length, width, colour, species" in capsys.readouterr().err
    assert main([*one, "--target", "species"]) == 1
    assert 'missing or infinite in width: the plan\'s [data] prepare = "table"' in capsys.readouterr().err
    (workplace / "mine.toml").write_text(TUNED.replace('"standard"', '"table"'))
    assert main([*one, "--target", "species", "--seeds", "1", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "With 1 seed nothing can be claimed" in out
    assert "none to none" not in out


def test_interrupted_before_the_first_seed_there_is_no_table(workplace, capsys) -> None:
    (workplace / "mine.toml").write_text("budget_minutes = 1e-9\n" + TUNED)
    assert main(["run", "mine.toml", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "nothing can be compared" in out
    assert "nan" not in out


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["run", "activatoins"], "did you mean 'activations'"),
        (["run", "none.toml"], "there is no plan"),
        (["runs", "list"], "there is no folder of runs"),
        (["runs", "remove"], "name the runs to remove"),
        (["new", "x", "--like", "nothing"], "unknown built-in plan"),
    ],
)
def test_the_commands_say_in_one_line_what_is_wrong(workplace, capsys, args, told) -> None:
    assert main(args) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_the_help_names_every_built_in_plan(capsys) -> None:
    assert main(["run", "--help"]) == 0
    said = "".join(capsys.readouterr().out.split())  # lines break after hyphens
    assert [name for name in built_in() if name not in said] == []


def test_the_public_names_are_the_same_for_type_checkers() -> None:
    import ast

    import glassnet.lab as lab

    tree = ast.parse(Path(lab.__file__).read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    found = {a.name: n.module for n in imported if str(n.module).startswith("glassnet") for a in n.names}
    assert found == {name: f"glassnet.lab.{home}" for name, home in lab._HOME.items()}
    assert set(lab.__all__) <= set(dir(lab))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lab.nothing
