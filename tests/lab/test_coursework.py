"""The coursework end to end, on small data: what is trained, scored, compared, and kept after Ctrl-C."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.data.dataset import Dataset, ImageShape
from glassnet.errors import InputError
from glassnet.lab import parallel
from glassnet.lab.coursework import run_coursework
from glassnet.lab.coursework_plan import Coursework
from glassnet.lab.demo import run_demo
from glassnet.lab.parallel import Job, train_all
from glassnet.lab.plan import load_coursework
from glassnet.lab.references import CIFAR10, PART_4
from glassnet.nn import SGD, Dense
from glassnet.progress import Progress


def quick(*epochs: int, lr: float | None = None) -> Coursework:
    """The coursework with a few units and epochs."""
    plain = load_coursework().model_dump()
    plain["title"] = "quick"
    for number, (n, hidden) in enumerate(zip(epochs, (None, 6, 6, 8), strict=True), 1):
        part = plain[f"part_{number}"]
        part["epochs"] = n
        if hidden is not None:
            part["hidden"] = hidden
        for one in part.get("network", [part]) if lr is not None else []:
            one["lr"] = lr
    return Coursework.model_validate(plain)


QUICK = quick(3, 3, 3, 2)


def coloured(n: int, names: tuple[str, ...], size: int = 8) -> Dataset:
    """Images whose class shows in their brightness: something can be learned, but not everything."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % len(names)
    level = 40 + 180 * y[:, None] / len(names)
    X = np.clip(rng.normal(level, 40, (n, 3 * size * size)), 0, 255).astype(np.uint8)
    return Dataset(X, y, class_names=names, image=ImageShape(size, size, 3), name="coloured")


@pytest.fixture(scope="module")
def study():
    return run_coursework(coloured(200, ("a", "b", "c", "d")), QUICK)


def test_every_part_is_there_with_curves_and_scores(study) -> None:
    assert [part.key for part in study.parts] == ["part-1", "part-2", "part-3", "part-4"]
    for part in study.parts[:2]:
        assert part.binary is not None
        assert [d.chosen for d in part.binary.decisions] == ["fixed at 0.5", "best F1 on validation"]
        assert part.binary.decisions[0].threshold == 0.5
    assert study.parts[2].scores is not None
    assert study.parts[2].scores.support.sum() == 20  # a tenth of the rows, scored once
    for part in study.parts:
        for run in part.runs:
            assert len({len(column) for column in run.history.values()}) == 1
            assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(run.history)
            assert run.label in part.scores_of or len(part.runs) > 1


def test_comparisons_name_runs_of_their_part(study) -> None:
    part = study.parts[3]
    labels = {run.label for run in part.runs}
    assert labels == set(PART_4)
    assert [len(c.labels) for c in part.comparisons] == [4, 2, 4]
    for comparison in part.comparisons:
        assert set(comparison.labels) <= labels
        assert comparison.limits


def test_settings_and_summary_are_for_people(study) -> None:
    two, four = study.parts[1], study.parts[3]
    assert two.runs[0].settings | {"seed": 0} == {
        "layers": "192 → 6 sigmoid → 1 sigmoid", "first weights": "N(0, √(2/inputs)), N(0, √(1/inputs))",
        "loss": "cross-entropy", "optimizer": "SGD", "learning rate": 0.1, "batch size": "160 (all)",
        "epochs": 3, "parameters": 1165, "seed": 0,
    }  # fmt: skip
    assert four.runs[0].settings["layers"] == "192 → 8 relu → 4 softmax"
    assert four.runs[2].settings["optimizer"] == "Momentum (momentum 0.9)"
    assert "200 rows of coloured: 160 to train, 20 to watch" in study.summary
    assert "Telling a from the rest, part 1: average precision" in study.summary
    right = f"{study.parts[2].scores.accuracy:.1%} right"
    assert f"all 4 classes apart, part 3, 6 sigmoid units, softmax: {right}" in study.summary
    assert "always saying the largest class: 25.0%." in study.summary


def test_other_data_has_no_coursework_figures_and_the_first_class_is_the_positive_one(study) -> None:
    assert not any(part.references for part in study.parts)
    assert "a or not" in study.parts[0].title


def test_cifar_gets_the_coursework_figures_and_its_flawed_rule_is_shown() -> None:
    codes = tuple(str(c) for c in range(10))  # the labels of the coursework's own CSV file
    study = run_coursework(coloured(400, codes, size=32), parts=(1, 3, 4), epochs_scale=0.002)
    one, three, four = study.parts
    assert study.data.class_names == CIFAR10
    assert "airplane" in one.title
    theirs = {r.figure: round(r.theirs, 3) for r in one.references}
    assert theirs == {
        "precision at 0.5": 0.521, "recall at 0.5": 0.139, "F1 at 0.5": 0.219, "accuracy at 0.5": 0.904,
        "recall at the chosen threshold": 0.139, "F1 at the chosen threshold": 0.219,
    }  # fmt: skip
    assert one.references[2].ours == one.binary.decisions[0].scores.f1[1]
    assert one.references[5].ours == one.binary.decisions[1].scores.f1[1]
    flawed = next(r for r in three.references if "their rule" in r.figure)
    assert flawed.theirs == 0.20
    assert flawed.ours == pytest.approx(0.1)  # no probability passes 0.5 yet: everything is class 0
    assert len(four.references) == 4 * len(PART_4)
    ends = {
        f"{run.label}: {name}": run.history[key][-1]
        for run in four.runs
        for name, key in (("training loss", "loss"), ("validation accuracy", "val_accuracy"))
    }
    assert {r.figure: r.ours for r in four.references if r.figure in ends} == ends
    assert all(r.why.endswith(".") for part in study.parts for r in part.references)
    first = "2 epochs were trained here instead of its 900."
    assert {r.why[: len(first)] for r in one.references} == {first}


def test_parts_and_scale_choose_the_work() -> None:
    study = run_coursework(coloured(120, ("a", "b")), QUICK, parts=(2,), epochs_scale=0.5)
    assert [part.key for part in study.parts] == ["part-2"]
    assert len(study.parts[0].runs[0].history["loss"]) == 2
    assert not study.data.findings  # part 0 was not asked for


@pytest.mark.parametrize(
    ("data", "more", "says"),
    [
        (coloured(100, ("a", "b")), {"parts": (5,)}, "parts 0 to 4"),
        (coloured(100, ("a", "b")), {"epochs_scale": 0.0}, "above 0"),
        (Dataset(np.zeros((9, 2), np.float32), np.zeros(9)), {}, "at least 2"),
    ],
)
def test_what_cannot_be_done_is_said(data, more, says) -> None:
    with pytest.raises(InputError, match=says):
        run_coursework(data, QUICK, **more)


def jobs(epochs: int = 3) -> tuple[Dataset, list[Job]]:
    data = coloured(120, ("a", "b", "c"))
    return data, [
        Job(
            f"{units} units",
            (Dense(units, "tanh"), Dense(3)),
            "softmax_cross_entropy",
            SGD(0.05),
            16,
            epochs,
            data.y,
        )
        for units in (4, 5, 6, 7)
    ]


def trained(workers: int, progress: Progress | None = None, epochs: int = 3):
    from glassnet.data.scaling import fit_scaling

    data, work = jobs(epochs)
    rows = np.arange(len(data))
    return train_all(
        work, data.X, rows[:90], rows[90:], fit_scaling(data.X, "unit"), seed=1, workers=workers,
        progress=progress,
    )  # fmt: skip


def test_the_same_bits_with_any_number_of_workers() -> None:
    alone, together = trained(1), trained(3)
    for a, b in zip(alone, together, strict=True):
        assert a.job.label == b.job.label
        np.testing.assert_array_equal(a.network.theta, b.network.theta)
        assert a.history["loss"] == b.history["loss"]


def test_ctrl_c_keeps_what_was_done(monkeypatch) -> None:
    """Ctrl-C arrives while the networks train: every one ends within a step and what was recorded stays."""

    class Seen(Progress):
        epochs = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.epochs += steps

    seen = Seen()

    def wait(futures):
        while seen.epochs < 5:
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "wait", wait)
    result = trained(1, seen, epochs=100_000)
    assert all(t.history.interrupted for t in result)
    done = [t for t in result if t.started]
    assert len(done) == 1
    assert len(done[0].history) >= 5
    assert len(result) == 4


def test_an_interrupted_study_says_so(monkeypatch) -> None:
    def wait(futures):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "wait", wait)
    study = run_coursework(coloured(120, ("a", "b")), QUICK, epochs_scale=10_000)
    assert study.interrupted
    assert "interrupted" in study.summary


def test_a_diverged_network_is_reported_not_scored() -> None:
    plan = quick(5, 5, 5, 2, lr=1e30)
    study = run_coursework(coloured(120, ("a", "b", "c")), plan, parts=(3, 4))
    runs = {run.label: run for part in study.parts for run in part.runs}
    assert "step" in runs["ReLU + SGD"].diverged


def test_the_demonstration_reaches_its_accuracy() -> None:
    study = run_demo()
    assert study.title == load_coursework("demo").title
    assert study.parts[2].scores is not None
    assert study.parts[2].scores.accuracy > 0.93
    assert study.parts[3].scores is not None
    assert study.parts[3].scores.accuracy > 0.95
    assert not any(run.diverged for part in study.parts for run in part.runs)
