"""The coursework as a file: what it says, that it changes nothing, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glassnet.cli import main
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.read import read
from glassnet.data.scaling import fit_scaling
from glassnet.data.split import split
from glassnet.errors import InputError
from glassnet.lab.coursework import run_coursework, set_out
from glassnet.lab.estimate import estimate_coursework
from glassnet.lab.parallel import Job, train_all
from glassnet.lab.plan import built_in, load_coursework, load_experiment, plan_kind
from glassnet.lab.references import CIFAR10
from glassnet.nn import SGD, Adam, Dense, Momentum

TEXT = built_in()["coursework"]


def edited(folder: Path, *changes: tuple[str, str], name: str = "mine.toml") -> Path:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / name).write_text(text)
    return folder / name


def images(n: int = 300) -> Dataset:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 10
    X = np.clip(rng.normal(40 + 18 * y[:, None], 40, (n, 3072)), 0, 255).astype(np.uint8)
    return Dataset(X, y, class_names=CIFAR10, image=ImageShape(32, 32, 3), name="images")


def test_the_file_is_the_coursework() -> None:
    plan = load_coursework()
    one, two, three, four = plan.part_1, plan.part_2, plan.part_3, plan.part_4
    assert (one.epochs, two.epochs, three.epochs, four.epochs) == (900, 1000, 2000, 50)
    assert (one.lr, two.lr, three.lr) == (0.01, 0.1, 0.1)
    assert {part.batch_size for part in (one, two, three)} == {"full"}
    assert (two.hidden, three.hidden, four.hidden, four.batch_size) == (64, 64, 128, 32)
    assert (plan.parts, plan.data.positive, plan.data.prepare) == ([0, 1, 2, 3, 4], "airplane", "unit")
    assert plan.data.validation + plan.data.test == pytest.approx(0.2)


def test_the_file_trains_what_the_coursework_says_bit_for_bit() -> None:
    """The same networks written out by hand, trained beside it: the same curves, to the last bit."""
    data = images()
    study = run_coursework(data, parts=(1, 2, 3, 4), epochs_scale=0.01, seed=3)
    y, is_airplane = data.y, (data.y == 0).astype(np.int64)
    out = "coursework_output"
    yes_no, classes = "sigmoid_cross_entropy", "softmax_cross_entropy"

    def hidden() -> Dense:
        return Dense(64, "sigmoid", init="coursework_hidden")

    by_hand = [
        Job("1", (Dense(1, init=out),), yes_no, SGD(0.01), "full", 9, is_airplane),
        Job("2", (hidden(), Dense(1, init=out)), yes_no, SGD(0.1), "full", 10, is_airplane),
        Job("3", (hidden(), Dense(10, init=out)), classes, SGD(0.1), "full", 20, y),
    ]
    by_hand += [
        Job("4", (Dense(128, f), Dense(10)), classes, optimizer, 32, 1, y)
        for f, optimizer in [
            ("relu", SGD(0.01)), ("sigmoid", SGD(0.01)), ("relu", Momentum(0.01, 0.9)), ("relu", Adam(0.01)),
            ("sigmoid", Adam(0.01)), ("relu", Adam(0.001)), ("sigmoid", Adam(0.001)),
        ]
    ]  # fmt: skip
    rows = split(data, validation=0.1, test=0.1, seed=3)
    scaling = fit_scaling(data.X, "unit", data.image, rows=rows.train)
    wanted = train_all(by_hand, data.X, rows.train, rows.validation, scaling, seed=3)
    runs = [run for part in study.parts for run in part.runs]
    assert len(runs) == len(wanted)
    for run, trained in zip(runs, wanted, strict=True):
        assert run.settings["parameters"] == trained.network.n_parameters
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_array_equal(run.history[name], trained.history[name])


def test_a_copy_that_changes_nothing_gives_the_same_and_a_changed_part_loses_the_figures(tmp_path) -> None:
    data = images()
    own = run_coursework(data, parts=(1, 4), epochs_scale=0.01)
    copy = load_coursework(
        edited(tmp_path, ('title = "The', 'title = "My'), ("[data] ", '[data]\nsource = "x"'))
    )
    changed = load_coursework(edited(tmp_path, ("lr = 0.01", "lr = 0.02")))
    again = run_coursework(data, copy, parts=(1, 4), epochs_scale=0.01)
    other = run_coursework(data, changed, parts=(1, 4), epochs_scale=0.01)
    assert again.title.startswith("My")
    assert [len(part.references) for part in own.parts] == [6, 28]
    for one, two, three in zip(own.parts, again.parts, other.parts, strict=True):
        assert one.references == two.references
        assert [r.history["loss"] for r in one.runs] == [r.history["loss"] for r in two.runs]
        assert (three.references == ()) == (three.key == "part-1")
    assert other.parts[0].runs[0].history["loss"] != own.parts[0].runs[0].history["loss"]
    # other rows to train on are another comparison, too
    scaled = load_coursework(edited(tmp_path, ("validation = 0.1", "validation = 0.3")))
    assert run_coursework(data, scaled, parts=(1,), epochs_scale=0.01).parts[0].references == ()


def test_networks_and_questions_of_ones_own(tmp_path) -> None:
    head = TEXT[: TEXT.index("[[part_4.network]]")]
    own = '[[part_4.network]]\nname = "{0}"\nactivation = "{0}"\noptimizer = "sgd"\nlr = 0.1\n'
    asked = '[[part_4.comparison]]\nquestion = "tanh or GELU?"\nnetworks = ["tanh", "gelu"]\n'
    (tmp_path / "own.toml").write_text(head + own.format("tanh") + own.format("gelu") + asked)
    plan = load_coursework(tmp_path / "own.toml")
    (part,) = run_coursework(images(), plan, parts=(4,), epochs_scale=0.02).parts
    assert [run.label for run in part.runs] == ["tanh", "gelu"]
    assert [(c.question, c.labels) for c in part.comparisons] == [("tanh or GELU?", ("tanh", "gelu"))]
    assert part.references == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("epochs = 900", "epochs = 0", ["{here}", "part_1.epochs = 0", "greater than or equal to 1"]),
        ("epochs = 900", "epohcs = 900", ["{here}", "'part_1.epohcs'", "did you mean 'epochs'"]),
        ("epochs = 900\n", "", ["{above}", "part_1.epochs is missing"]),
        ("lr = 0.01", "lr = nan", ["{here}", "part_1.lr"]),
        ('batch_size = "full"', "batch_size = 0", ["{here}", "part_1.batch_size", "at least 1, or 'full'"]),
        ("[part_2]", "[part_5]", ["{here}", "unknown setting 'part_5'", "did you mean 'part_"]),
        ("parts = [0, 1,", "parts = [0, 7,", ["{here}", "= 7", "allowed: 0, 1, 2, 3 or 4"]),
        ('prepare = "unit"', 'prepare = "unti"', ["{here}", "unknown scaling 'unti'", "mean 'unit'"]),
        ("validation = 0.1", "validation = 0.95", ["{section}", "leave no rows to train"]),
        ('optimizer = "adam"', 'optimizer = "adma"', ["unknown optimizer 'adma'", "mean 'adam'", "{here}"]),
        ("{ momentum = 0.9 }", "{ momentun = 0.9 }", ["line", "network.2", "did you mean 'momentum'"]),
        ('"sigmoid + SGD"]', '"sigmoid + SDG"]', ["'sigmoid + SDG'", "mean 'sigmoid + SGD'", "{here}"]),
        ('name = "sigmoid + SGD"', 'name = "ReLU + SGD"', ["two networks are called 'ReLU + SGD'"]),
        ('kind = "coursework"', 'kind = "courswork"', ["{here}", "unknown kind", "mean 'coursework'"]),
        ('kind = "coursework"', 'kidn = "coursework"', ["{here}", "unknown setting 'kidn'", "mean 'kind'"]),
        ('kind = "coursework"', 'kind = ["coursework"]', ["{here}", "unknown kind"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_answered_with_line_field_and_what_was_meant(
    tmp_path, monkeypatch, capsys, old, new, told
) -> None:
    monkeypatch.chdir(tmp_path)
    edited(tmp_path, (old, new))
    assert main(["run", "mine.toml", "--data", "digits"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("glassnet: mine.toml")
    assert err.count("\n") == 1
    at = TEXT.index(old)
    here = TEXT[:at].count("\n") + 1
    section = TEXT[: TEXT.rfind("\n[", 0, at) + 1].count("\n") + 1
    lines = {"here": f"line {here}:", "above": f"line {here - 1}:", "section": f"line {section}:"}
    for words in told:
        assert words.format(**lines) in err


def test_a_positive_class_that_the_data_lacks_is_refused(tmp_path) -> None:
    plan = load_coursework(edited(tmp_path, ('positive = "airplane"', 'positive = "trcuk"')))
    with pytest.raises(InputError, match=r"data.positive: unknown class 'trcuk': did you mean 'truck'"):
        set_out(images(), plan)
    assert set_out(read("digits")).positive == "0"  # the coursework as it stands takes any classes


def test_each_kind_is_read_by_its_own_reader() -> None:
    assert {name for name in built_in() if plan_kind(name) == "coursework"} == set(built_in("coursework"))
    with pytest.raises(InputError, match="is a plan of kind 'coursework', not 'comparison'"):
        load_experiment("coursework")
    with pytest.raises(InputError, match="is a plan of kind 'comparison', not 'coursework'"):
        load_coursework("activations")


def test_the_estimate_counts_every_network_and_follows_the_epochs() -> None:
    data = images()
    few, _ = estimate_coursework(set_out(data, parts=(2, 4), epochs_scale=0.1))
    many, seconds = estimate_coursework(set_out(data, parts=(2, 4), epochs_scale=100.0))
    assert [part for part, _, _ in many] == [2] + [4] * 7
    assert [job.epochs for _, job, _ in few] == [100] + [5] * 7
    assert all(b > a > 0 for (_, _, a), (_, _, b) in zip(few, many, strict=True))
    assert max(each for _, _, each in many) <= seconds <= sum(each for _, _, each in many)
    assert estimate_coursework(set_out(data, parts=(0,))) == ([], 0.0)


def test_the_commands_from_a_copy_to_its_report(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--like", "coursework"]) == 0
    assert load_coursework("mine.toml").title == "mine"
    assert capsys.readouterr().out == "mine.toml\n"
    for plan in ("coursework", "mine.toml"):
        assert main(["run", plan, "--data", "digits", "--part", "1", "--part", "2", "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert "64 sigmoid units, one output" in out
        assert "tell 0 from the rest" in out
        assert " of training, one network on each core" in out
        assert "ReLU" not in out
    assert not list(tmp_path.glob("*.html"))
    few = ["--data", "digits", "--part", "1", "--epochs-scale", "0.01"]
    assert main(["run", "mine.toml", *few]) == 0
    assert "Report: report-mine.html" in capsys.readouterr().out
    assert "<title>mine" in Path("report-mine.html").read_text()
    assert main(["run", "coursework", *few, "--json"]) == 0
    capsys.readouterr()
    assert Path("report-coursework.html").is_file()
    # a plan that names its data and its parts needs no options
    edited(tmp_path, ("[data] ", '[data]\nsource = "digits"'), ("[0, 1, 2, 3, 4]", "[2]"), name="own.toml")
    assert main(["run", "own.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "64 sigmoid units, one output" in out
    assert "one sigmoid unit" not in out


def test_options_of_the_other_kind_are_refused(capsys) -> None:
    assert main(["run", "coursework", "--data", "digits", "--seeds", "3"]) == 2
    assert "--seeds" in capsys.readouterr().err
    assert main(["run", "activations", "--epochs-scale", "3"]) == 2
    assert "--epochs-scale" in capsys.readouterr().err
