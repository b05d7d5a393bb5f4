"""Exports, read back by the programs that they are for, or by the grammar of their format."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import polars
import pytest

from glassnet.errors import InputError, MissingExtra
from glassnet.lab.compare import run_experiment
from glassnet.lab.export import KINDS, arms_latex, export_outcome, outcome_json
from glassnet.lab.plan import parse_experiment
from glassnet.lab.store import RunStore

PLAN = """
title = "Exports"
seeds = 6
[data]
source = "iris"
prepare = "standard"
[training]
epochs = 3
optimizer = "sgd"
[[arm]]
name = "small & plain_100 %"
model.hidden = [2]
[[arm]]
name = "wild | rate"
training.lr = 1e30
model.hidden = [3]
[tune]
trials = 2
extend = 0
[tune.space]
"training.lr" = {low = 0.01, high = 0.1}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    outcome = run_experiment(parse_experiment(PLAN), runs=folder / "runs", jobs=1)
    store = RunStore(folder / "runs")
    kinds = tuple(kind for kind in KINDS if kind != "tensorboard")
    return outcome, store, export_outcome(outcome, folder, kinds, store), folder


def test_the_tables_of_runs_hold_every_run_with_its_scores(done) -> None:
    outcome, store, _, folder = done
    frames = [polars.read_csv(folder / "runs.csv"), polars.read_parquet(folder / "runs.parquet")]
    for frame in frames:
        assert len(frame) == 2 * (6 + 6 + 2)
        stages = dict(frame["stage"].value_counts().iter_rows())
        assert stages == {"as planned": 12, "tuned": 12, "trial": 4}
        for row in frame.iter_rows(named=True):
            result = store.load(row["key"])
            assert result is not None
            assert (row["seed"], row["status"]) == (result.spec.seed, result.status)
            assert row["training.lr"] == pytest.approx(result.spec.training.lr, rel=1e-15)
            if row["stage"] != "trial" and result.status == "done":
                assert row["test.accuracy"] == result.scores["test"]["accuracy"]
            if row["stage"] == "trial":
                assert row["test.accuracy"] is None
    failed = frames[1].filter(polars.col("status") == "diverged")
    assert len(failed) == 6
    assert failed["test.accuracy"].null_count() == 6  # no score of its own; it counts as guessing
    assert sum(arm.failed for family in outcome.families for arm in family.arms) == 6


def test_pandas_reads_the_csv_file_too(done) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    *_, folder = done
    frame = pandas.read_csv(folder / "runs.csv")
    assert set(frame["arm"]) == {"small & plain_100 %", "wild | rate"}


def test_the_markdown_has_whole_tables_and_the_sentences(done) -> None:
    outcome, *_, folder = done
    text = (folder / "arms.md").read_text()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * 4
    assert {len(row) for row in rows} == {5}
    assert [row[0].strip() for row in rows[2:4]] == ["small & plain_100 %", r"wild \| rate"]
    for family in outcome.families:
        for sentence in family.sentences:
            assert sentence in text
    assert all(limit in text for limit in outcome.limits)
    assert f"Plan {outcome.hash}" in text


def test_the_latex_has_balanced_tables_without_bare_signs(done) -> None:
    outcome, *_, folder = done
    text = (folder / "arms.tex").read_text()
    assert text.count(r"\begin{tabular}{lrrrr}") == text.count(r"\end{tabular}") == 2
    assert text.count("{") == text.count("}")
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 2 * 2
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == 4
    assert not re.search(r"(?<!\\)[%#_$]", text.replace("$^2$", ""))
    assert arms_latex(outcome.families[0], "accuracy") in text


def test_the_json_is_the_outcome(done) -> None:
    outcome, *_, folder = done
    plain = json.loads((folder / "outcome.json").read_text())
    assert plain == json.loads(json.dumps(outcome_json(outcome)))
    assert plain["verdicts"] == list(outcome.verdicts)


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """What an event file of TensorBoard holds: records of length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    data, at = path.read_bytes(), 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += size + 16
    return found


def test_tensorboard_gets_every_curve_of_every_final_run(done, tmp_path) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra: pip install 'glassnet[tensorboard]'")
    outcome, store, *_ = done
    export_outcome(outcome, tmp_path, ("tensorboard",), store)
    files = sorted((tmp_path / "tensorboard").glob("*/*/*/events.*"))
    assert len(files) == 24
    for family in outcome.families:
        for arm in family.arms:
            for result in arm.results:
                stage = "tuned" if family.tuned else "as-planned"
                (path,) = (tmp_path / "tensorboard" / stage / arm.name / str(result.spec.seed)).iterdir()
                history, read = store.history(result.key), scalars(path)
                for name in ("loss", "val_loss", "val_accuracy"):
                    finite = {i: v for i, v in enumerate(history[name], 1) if np.isfinite(v)}
                    assert dict(read.get(name, [])) == pytest.approx(finite, rel=1e-6)


def test_without_the_extra_the_message_names_it(done, tmp_path, monkeypatch) -> None:
    outcome, store, *_ = done
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(MissingExtra, match="tensorboard"):
        export_outcome(outcome, tmp_path, ("tensorboard",), store)


def test_an_unknown_kind_and_a_place_that_cannot_be_written_are_said(done, tmp_path) -> None:
    outcome, store, *_ = done
    with pytest.raises(InputError, match="unknown kind of export 'cvs': did you mean 'csv'"):
        export_outcome(outcome, tmp_path, ("cvs",), store)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the export"):
        export_outcome(outcome, tmp_path / "file", ("csv",), store)
