"""One run: what is done about rare classes, regression, subsets, fixed test rows."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.data.read import read
from glassnet.errors import InputError
from glassnet.lab.measures import MEASURES, measure_all
from glassnet.lab.spec import DataSpec, RunSpec
from glassnet.lab.train_one import divide, select_rows, set_up, train_one


def spec(**sections) -> RunSpec:
    data = {"source": "digits", "prepare": "unit", "rows": 500} | sections.pop("data", {})
    training = {"epochs": 6, "lr": 0.01} | sections.pop("training", {})
    return RunSpec.model_validate({"data": data, "training": training, **sections})


EIGHT = read("digits", one_vs_rest="8")


@pytest.mark.parametrize(
    "how", ["none", "class_weight", "focal", "oversample", "undersample", "logit_adjustment"]
)
def test_every_treatment_of_a_rare_class_ranks_better_than_chance(how: str) -> None:
    chosen = spec(training={"imbalance": how}, decision={"threshold": "best_f1"})
    done = train_one(chosen, EIGHT)
    assert done.scores["test"]["average_precision"] > 3 * done.chance["test"]["average_precision"]
    assert 0 < done.threshold < 1
    assert done.scores["test"]["f1"] > done.chance["test"]["f1"]


def test_resampling_makes_classes_equally_frequent() -> None:
    for how, side in (("oversample", "more"), ("undersample", "fewer")):
        ready = set_up(spec(training={"imbalance": how}), EIGHT, 0)
        counts = np.bincount(EIGHT.y[ready.train.rows])
        assert counts[0] == counts[1]
        assert (len(ready.train) > len(ready.rows.train)) == (side == "more")
        assert set(ready.train.rows) <= set(ready.rows.train)


def test_logit_adjustment_takes_the_prior_out_of_the_decision() -> None:
    ready = set_up(spec(training={"imbalance": "logit_adjustment"}), EIGHT, 0)
    share = EIGHT.y[ready.rows.train].mean()
    assert ready.prior == pytest.approx(np.log(share / (1 - share)))
    assert ready.network.layers[-1].b == pytest.approx(ready.prior)


def test_class_weights_make_both_classes_weigh_the_same() -> None:
    ready = set_up(spec(training={"imbalance": "class_weight"}), EIGHT, 0)
    y, w = EIGHT.y[ready.rows.train], ready.train.w[ready.rows.train]
    assert w[y == 1].sum() == pytest.approx(w[y == 0].sum(), rel=1e-5)


def test_numbers_are_learned_in_their_own_unit() -> None:
    chosen = RunSpec(data=DataSpec(source="diabetes", prepare="standard"))
    done = train_one(chosen, read("diabetes"))
    assert done.scores["test"]["r2"] > 0.2
    assert done.chance["test"]["r2"] <= 0
    assert 2000 < done.scores["test"]["squared_error"] < done.chance["test"]["squared_error"]


@pytest.mark.parametrize("training", [{"imbalance": "focal"}, {"label_smoothing": 0.1}, {"shift": 1}])
def test_what_does_not_fit_the_data_is_refused(training) -> None:
    chosen = RunSpec.model_validate({"data": {"source": "diabetes"}, "training": training})
    with pytest.raises(InputError):
        train_one(chosen, read("diabetes"))


def test_seeds_share_fixed_test_rows_and_nothing_else() -> None:
    data = read("iris")
    fixed = DataSpec(source="iris", test_rows="fixed")
    first, second = (divide(data, fixed, seed) for seed in (1, 2))
    assert sorted(first.test) == sorted(second.test)
    assert sorted(first.train) != sorted(second.train)
    assert [len(p) for p in (first.train, first.validation, first.test)] == [90, 30, 30]
    moving = DataSpec(source="iris", test_rows="resampled")
    assert sorted(divide(data, moving, 1).test) != sorted(divide(data, moving, 2).test)


def test_replicates_share_the_split_and_nothing_else() -> None:
    one, other = spec(), spec(replicate=1)
    a, b = train_one(one, EIGHT), train_one(other, EIGHT)
    assert np.array_equal(a.predictions["test_rows"], b.predictions["test_rows"])
    assert not np.array_equal(a.network.theta, b.network.theta)


def test_a_subset_is_stratified_and_always_the_same() -> None:
    digits = read("digits")
    chosen = select_rows(digits, DataSpec(source="digits", rows=300))
    assert len(chosen) == 300
    assert np.ptp(chosen.counts()) <= 2
    assert np.array_equal(chosen.X, select_rows(digits, DataSpec(source="digits", rows=300)).X)


def test_a_hopeless_trial_ends_halfway_and_a_good_one_does_not() -> None:
    lost = spec(training={"optimizer": "sgd", "lr": 1e-9, "epochs": 10}, purpose="tune", stop_hopeless=True)
    done = train_one(lost, EIGHT)
    assert len(done.history) == 5
    assert "hopeless" in done.history.stopped
    fine = spec(training={"epochs": 10}, purpose="tune", stop_hopeless=True)
    assert len(train_one(fine, EIGHT).history) == 10


def test_measures_are_scikit_learn_s() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    y, P = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    decided = P.argmax(axis=1)
    ours = measure_all("classes", y, P, decided)
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(y, decided))
    assert ours["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(y, decided))
    assert ours["macro_f1"] == pytest.approx(metrics.f1_score(y, decided, average="macro"))
    assert ours["log_loss"] == pytest.approx(metrics.log_loss(y, P))
    two = (y > 1).astype(int)
    p = P[:, 2] + P[:, 3]
    both = np.column_stack([1 - p, p])
    ours = measure_all("binary", two, both, (p > 0.5).astype(int))
    assert ours["f1"] == pytest.approx(metrics.f1_score(two, p > 0.5))
    assert ours["brier"] == pytest.approx(metrics.brier_score_loss(two, p))
    target, guess = rng.normal(size=(2, 50))
    ours = measure_all("regression", target, guess, guess)
    assert ours["r2"] == pytest.approx(metrics.r2_score(target, guess))
    assert set(MEASURES) >= set(ours)
