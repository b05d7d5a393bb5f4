"""Plans: what is refused and in which words, and that the key is of the content alone."""

from __future__ import annotations

import pytest

from glassnet.errors import InputError
from glassnet.lab.plan import built_in, load_experiment, new_plan, parse_experiment, plan_text
from glassnet.lab.spec import DataSpec, Experiment, RunSpec

TUNE = '[tune]\n[tune.space]\n"training.lr" = {low = 0.001, high = 1.0}\n'


@pytest.mark.parametrize("name", sorted(built_in("comparison")))
def test_every_built_in_plan_is_valid_and_survives_writing_and_reading(name: str) -> None:
    plan = load_experiment(name)
    assert len(plan.arms()) >= 2
    again = parse_experiment(plan_text(plan))
    assert again == plan
    assert again.hash() == plan.hash()


def test_the_issue_s_plans_are_built_in() -> None:
    wanted = {"activations", "optimizers", "initializers", "learning-rates", "batch-sizes", "imbalance"}
    assert wanted | {"coursework", "depth-width", "regularisers"} <= set(built_in())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seeds = 6", "sedes = 6"), ["line 3", "unknown setting 'sedes'", "did you mean 'seeds'"]),
        (("epochs = 3", "epochs = 0"), ["line 10", "training.epochs = 0", "greater than or equal to 1"]),
        (("epochs = 3", "epocs = 3"), ["line 10", "'training.epocs'", "did you mean 'epochs'"]),
        (('prepare = "standard"', 'prepare = "standart"'), ["line 6", "did you mean 'standard'", "known:"]),
        (("hidden = [4]", "hidden = [0]"), ["line 8", "model.hidden"]),
        (('"sigmoid"]', '"sigmod"]'), ["line 12", "arm 'sigmod'", "did you mean 'sigmoid'"]),
        (('"model.activation"', '"model.activatoin"'), ["line 12", "did you mean 'model.activation'"]),
        (("seeds = 6", 'baseline = "rleu"'), ["line 3", "unknown arm 'rleu'", "did you mean 'relu'"]),
        (("seeds = 6", 'metric = "acuracy"'), ["line 3", "did you mean 'accuracy'"]),
        (('source = "iris"', ""), ["line 4", "data.source is missing"]),
        (('["relu", "sigmoid"]', '["relu"]'), ["at least 2 arms"]),
        (('["relu", "sigmoid"]', '["relu", "relu"]'), ["two arms are called 'relu'"]),
        (("seeds = 6", "seeds = [1, 1]"), ["different whole numbers"]),
        (("seeds = 6", "seeds = ["), ["not TOML"]),
    ],
)
def test_errors_say_where_what_and_what_would_be_right(plan_text, change, told) -> None:
    with pytest.raises(InputError) as error:
        parse_experiment(plan_text.replace(*change), "my.toml")
    assert str(error.value).startswith("my.toml")
    assert "\n" not in str(error.value)
    for words in told:
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (TUNE.replace("[tune]", '[tune]\nrows = "test"'), "tuning on 'test' rows is refused"),
        (TUNE.replace("training.lr", "training.l2"), "leaves the learning rate alone"),
        (TUNE.replace("training.lr", "model.activation"), "both varied and tuned"),
        (TUNE.replace("low = 0.001", "low = 2.0"), "must be below"),
        (TUNE + '[tune.space_of.tanh]\n"training.lr" = {low = 0.1, high = 1.0}', "unknown arm 'tanh'"),
        ('[[arm]]\nname = "a"', "both [vary] and [[arm]]"),
    ],
)
def test_contradictions_are_refused(plan_text, more, told) -> None:
    with pytest.raises(InputError) as error:
        parse_experiment(plan_text + more)
    assert told in str(error.value)


def test_tuning_needs_validation_rows_and_keeps_the_test_rows_apart(plan_text) -> None:
    with pytest.raises(InputError, match="needs validation rows"):
        parse_experiment(plan_text.replace("[model]", "validation = 0.0\n[model]") + TUNE)
    assert parse_experiment(plan_text).data.test_rows == "resampled"
    tuned = parse_experiment(plan_text + TUNE)
    assert tuned.data.test_rows == "fixed"
    assert not set(tuned.tuning_seeds()) & set(tuned.seed_list())


def test_arms_that_set_the_same_are_no_comparison(plan_text) -> None:
    same = plan_text.split("[vary]")[0] + '[[arm]]\nname = "a"\n[[arm]]\nname = "b"\nmodel.hidden = [4]\n'
    with pytest.raises(InputError, match="'a' and 'b' are the same"):
        parse_experiment(same)


def test_the_key_is_of_what_decides_the_result(small: Experiment) -> None:
    spec = small.run("relu", 0)
    assert spec.key("f") == small.run("relu", 0).key("f")
    others = [small.run("sigmoid", 0), small.run("relu", 1), small.run("relu", 0, {"training.lr": 0.5})]
    others += [small.run("relu", 0, purpose="tune"), small.run("relu", 0, {"replicate": 1})]
    assert len({spec.key("f"), spec.key("g"), *(other.key("f") for other in others)}) == 7
    default = RunSpec(data=DataSpec(source="x"))
    told = RunSpec.model_validate({"data": {"source": "x"}, "training": {"lr": 0.001}})
    assert default.key("f") == told.key("f")  # the default learning rate, said or not


def test_the_settings_of_one_optimizer_do_not_reach_another(plan_text) -> None:
    text = plan_text.split("[vary]")[0].replace("epochs = 3", 'epochs = 3\noptimizer = "momentum"')
    text += '[training.settings]\nmomentum = 0.8\n[vary]\n"training.optimizer" = ["momentum", "adam"]\n'
    plan = parse_experiment(text)
    assert plan.run("momentum", 0).training.settings == {"momentum": 0.8}
    assert plan.run("adam", 0).training.settings == {}


def test_a_grid_has_every_combination(plan_text) -> None:
    plan = parse_experiment(plan_text + '"model.hidden" = [[], [8, 4]]\n')
    assert [name for name, _ in plan.arms()] == [
        "relu, hidden none", "relu, hidden 8-4", "sigmoid, hidden none", "sigmoid, hidden 8-4",
    ]  # fmt: skip


def test_a_new_plan_is_a_copy_under_its_own_name_and_overwrites_nothing(tmp_path) -> None:
    target = new_plan('my "plan"', tmp_path / "my.toml", like="optimizers")
    assert load_experiment(target).title == 'my "plan"'
    with pytest.raises(InputError, match="exists"):
        new_plan("my", target)
    with pytest.raises(InputError, match="unknown built-in plan"):
        new_plan("my", tmp_path / "other.toml", like="optimisers!")


@pytest.mark.parametrize("plan", ["nothing.toml", "activatoins"])
def test_an_unknown_plan_is_named(plan: str) -> None:
    with pytest.raises(InputError, match=r"there is no plan|did you mean 'activations'"):
        load_experiment(plan)


def test_settings_that_came_later_leave_older_hashes_alone() -> None:
    usual, rounded = (
        RunSpec.model_validate({"data": {"source": "digits"}, "training": training})
        for training in ({}, {"matmul_precision": "bfloat16"})
    )
    assert "matmul_precision" not in usual.identity("")["training"]
    assert rounded.identity("")["training"]["matmul_precision"] == "bfloat16"
    assert usual.key("") != rounded.key("")
    plan = load_experiment("activations")
    assert plan.hash() == "137beb1e71df"  # as it was before there was such a setting
