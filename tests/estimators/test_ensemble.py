"""Several networks whose mean is the prediction."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax
from sklearn.datasets import load_digits, make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning

from glassnet import MLPClassifier, MLPRegressor

X, Y = load_digits(n_class=4, return_X_y=True)
X = X / 16.0
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quiet
def test_the_mean_of_probabilities_has_consistent_logits_and_logarithms() -> None:
    clf = MLPClassifier((10,), n_ensemble=3, max_iter=5, random_state=0).fit(X, Y)
    mean = np.mean([member.predict_proba(X) for member in clf.estimators_], axis=0)
    assert_allclose(clf.predict_proba(X), mean)
    assert_allclose(clf.predict_log_proba(X), np.log(mean))
    assert_allclose(np.exp(log_softmax(clf.decision_function(X), axis=1)), mean)
    two = MLPClassifier((10,), n_ensemble=3, max_iter=5, random_state=0).fit(X, Y % 2)
    mean = np.mean([member.predict_proba(X)[:, 1] for member in two.estimators_], axis=0)
    assert_allclose(two.predict_proba(X)[:, 1], mean)
    assert_allclose(expit(two.decision_function(X)), mean)
    x, labels = make_multilabel_classification(100, random_state=0)
    several = MLPClassifier((10,), n_ensemble=3, max_iter=5, random_state=0).fit(x, labels)
    mean = np.mean([member.predict_proba(x) for member in several.estimators_], axis=0)
    assert_allclose(several.predict_proba(x), mean)
    assert_array_equal(several.predict(x), (mean > 0.5).astype(int))


@quiet
def test_all_members_watch_the_same_rows_and_know_all_classes() -> None:
    y = np.where(np.arange(len(Y)) == 0, 9, Y)  # one row of its own class
    seen = []
    clf = MLPClassifier(
        (5,), n_ensemble=2, early_stopping=True, max_iter=2, random_state=0,
        monitor=lambda e, rows, labels: seen.append(rows.sum()) or 0.0,
    ).fit(X, y)  # fmt: skip
    assert len(set(seen)) == 1
    assert len(seen) == 4
    assert {member.n_outputs_ for member in clf.estimators_} == {5}


@quiet
def test_threshold_and_temperature_belong_to_the_mean() -> None:
    x, y = make_classification(800, weights=[0.85], flip_y=0.1, random_state=0)
    clf = MLPClassifier(
        (30,), n_ensemble=3, threshold="f1", temperature_scaling=True, early_stopping=True,
        validation_fraction=0.4, learning_rate_init=0.01, max_iter=40, random_state=0,
    ).fit(x, y)  # fmt: skip
    assert 0 < clf.threshold_ < 0.5
    assert clf.temperature_ != 1.0
    assert {(m.threshold_, m.temperature_) for m in clf.estimators_} == {(0.5, 1.0)}
    p = clf.predict_proba(x)[:, 1]
    assert_array_equal(clf.predict(x), (p >= clf.threshold_).astype(int))


def test_convergence_is_warned_of_once() -> None:
    with pytest.warns(ConvergenceWarning) as caught:
        MLPRegressor(hidden_layer_sizes=(5,), n_ensemble=4, max_iter=2).fit(X, Y)
    assert len(caught) == 1


@quiet
def test_members_go_on_with_warm_start_and_partial_fit() -> None:
    clf = MLPClassifier((5,), n_ensemble=2, warm_start=True, max_iter=2, random_state=0).fit(X, Y)
    first = clf.estimators_[0]
    clf.fit(X, Y)
    assert clf.estimators_[0] is first
    assert len(first.loss_curve_) == 4
    clf.partial_fit(X, Y)
    assert len(first.loss_curve_) == 5
    by_parts = MLPClassifier((5,), n_ensemble=2, max_iter=3, random_state=0)
    for _ in range(3):
        by_parts.partial_fit(X, Y, classes=range(4))
    at_once = MLPClassifier((5,), n_ensemble=2, max_iter=3, random_state=0).fit(X, Y)
    assert_array_equal(by_parts.predict_proba(X), at_once.predict_proba(X))


@quiet
def test_members_that_go_on_take_the_present_parameters() -> None:
    clf = MLPClassifier((5,), n_ensemble=2, warm_start=True, max_iter=2, random_state=0).fit(X, Y)
    seeds = [member.random_state for member in clf.estimators_]
    clf.set_params(max_iter=3, alpha=0.5, solver="sgd", learning_rate_init=1e-9).fit(X, Y)
    assert [len(member.loss_curve_) for member in clf.estimators_] == [5, 5]
    assert [member.random_state for member in clf.estimators_] == seeds
    for member in clf.estimators_:
        assert (member.alpha, member.solver, member.n_ensemble) == (0.5, "sgd", 1)
        assert member.loss_curve_[-1] == pytest.approx(member.loss_curve_[-3], abs=1e-4)  # hardly a step


@quiet
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_one_network_and_several_leave_nothing_behind_of_each_other(kind: type) -> None:
    settings = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    switched = kind(n_ensemble=2, **settings).fit(X, Y)
    assert switched.out_activation_ == kind(**settings).fit(X, Y).out_activation_
    switched.set_params(n_ensemble=1).fit(X, Y)
    assert not hasattr(switched, "estimators_")
    assert_array_equal(switched.predict(X), kind(**settings).fit(X, Y).predict(X))
    switched.set_params(n_ensemble=2).fit(X, Y)
    assert not hasattr(switched, "coefs_")
    assert_array_equal(switched.predict(X), kind(n_ensemble=2, **settings).fit(X, Y).predict(X))
    switched.set_params(n_ensemble=1, warm_start=True).fit(X, Y)  # there is no network to go on with
    assert len(switched.loss_curve_) == 3


@quiet
def test_members_may_be_trained_in_other_processes() -> None:
    here = os.getpid()
    settings = {"n_ensemble": 2, "max_iter": 5, "callbacks": [lambda run: os.getpid() != here]}
    assert [m.n_iter_ for m in MLPClassifier((5,), **settings).fit(X, Y).estimators_] == [5, 5]
    assert [m.n_iter_ for m in MLPClassifier((5,), n_jobs=2, **settings).fit(X, Y).estimators_] == [1, 1]


@quiet
def test_progress_is_told_of_every_member(notes) -> None:
    MLPRegressor(hidden_layer_sizes=(5,), n_ensemble=3, max_iter=2, progress=notes).fit(X, Y)
    assert notes.told == [("MLPRegressor", 3), "loss", "loss", "loss", "end"]
