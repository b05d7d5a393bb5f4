"""Weights that can be read and set, networks that go on, and copies that are complete."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification

from glassnet import InputError, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(n_class=4, return_X_y=True)
X = X / 16.0


def test_coefficients_are_views_and_can_be_replaced() -> None:
    clf = MLPClassifier((10,), max_iter=5, random_state=0).fit(X, Y)
    assert all(np.shares_memory(W, clf.network_.theta) for W in clf.coefs_ + clf.intercepts_)
    before = clf.predict_proba(X)
    clf.coefs_[0] *= 0.5
    in_place = clf.predict_proba(X)
    assert not np.allclose(before, in_place)
    clf.coefs_[0] = clf.coefs_[0] * 2.0
    assert_allclose(clf.predict_proba(X), before)
    assert np.shares_memory(clf.coefs_[0], clf.network_.theta)
    other = MLPClassifier((10,), max_iter=5, random_state=1).fit(X, Y)
    other.coefs_, other.intercepts_ = clf.coefs_, clf.intercepts_
    assert_allclose(other.predict_proba(X), before)
    other.coefs_[0][:] = 0.0
    assert_allclose(clf.predict_proba(X), before)  # copied, not shared
    clf.coefs_[0] = np.zeros((3, 3))
    with pytest.raises(InputError, match=r"coefs_ has an array of shape \(3, 3\) where the network has"):
        clf.predict(X)


def test_training_begins_at_weights_that_were_set() -> None:
    start = MLPClassifier((10,), max_iter=3, random_state=0).fit(X, Y)
    clf = MLPClassifier((10,), max_iter=1, warm_start=True, random_state=5).fit(X, Y)
    clf.coefs_ = [W.copy() for W in start.coefs_]
    clf.intercepts_ = [b.copy() for b in start.intercepts_]
    clf.set_params(learning_rate_init=1e-15).fit(X, Y)
    assert_allclose(clf.coefs_[0], start.coefs_[0], atol=1e-9)


def test_a_warm_start_with_other_layers_is_refused() -> None:
    clf = MLPClassifier((10,), max_iter=1, warm_start=True).fit(X, Y)
    with pytest.raises(InputError, match="to change the layers, fit again with warm_start=False"):
        clf.set_params(hidden_layer_sizes=(12,)).fit(X, Y)


def test_a_warm_start_may_change_what_lies_between_the_layers() -> None:
    clf = MLPClassifier((10,), max_iter=5, warm_start=True, random_state=0).fit(X, Y)
    weights = clf.coefs_[0].copy()
    clf.set_params(dropout=0.3, activation="tanh", learning_rate_init=1e-15, max_iter=1).fit(X, Y)
    assert [type(layer).__name__ for layer in clf.network_.layers] == ["Dense", "Dropout", "Dense"]
    assert clf.network_.layers[0].f.name == "tanh"
    assert_allclose(clf.coefs_[0], weights, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "nadam", "dropout": 0.3, "normalization": "batch", "schedule": "cosine"},
        {"shuffle": False, "solver": "lion"},
    ],
    ids=str,
)
def test_partial_fit_n_times_is_fit_with_n_epochs_bit_for_bit(settings: dict[str, object]) -> None:
    settings = {"hidden_layer_sizes": (10,), "max_iter": 6, "tol": 0.0, "random_state": 3, **settings}
    once = MLPClassifier(**settings).fit(X, Y)
    often = MLPClassifier(**settings)
    for epoch in range(6):
        often.partial_fit(X, Y, classes=range(4) if epoch == 0 else None)
        if epoch == 2:
            often = pickled(often)
    assert_array_equal(often.network_.theta, once.network_.theta)
    assert often.loss_curve_ == once.loss_curve_
    assert often.history_["epoch"] == [1, 2, 3, 4, 5, 6]
    assert often.t_ == once.t_
    longer = MLPClassifier(**settings).set_params(max_iter=4).fit(X, Y)
    if "schedule" not in settings:
        assert_array_equal(longer.partial_fit(X, Y).partial_fit(X, Y).network_.theta, once.network_.theta)


def test_partial_fit_goes_on_with_other_rows() -> None:
    reg = MLPRegressor(hidden_layer_sizes=(10,), random_state=0)
    for rows in (slice(0, 100), slice(100, 250), slice(250, 350)):
        reg.partial_fit(X[rows], Y[rows])
    assert (reg.t_, reg.n_iter_, len(reg.loss_curve_)) == (350, 1, 3)


def test_partial_fit_of_several_labels_needs_no_classes() -> None:
    x, labels = make_multilabel_classification(200, random_state=0)
    fitted = MLPClassifier((30,), max_iter=5, random_state=0).fit(x, labels)
    clf = MLPClassifier((30,), random_state=0)
    for _ in range(5):
        clf.partial_fit(x, labels)
    assert_array_equal(clf.predict_proba(x), fitted.predict_proba(x))
    assert_array_equal(clf.classes_, np.arange(5))


def pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
@pytest.mark.parametrize("n_ensemble", [1, 2])
def test_copies_predict_the_same_and_share_nothing(copied, n_ensemble: int) -> None:
    clf = MLPClassifier((10,), max_iter=3, n_ensemble=n_ensemble, random_state=0).fit(X, Y)
    twin = copied(clf)
    assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    for member in getattr(twin, "estimators_", [twin]):
        assert np.shares_memory(member.coefs_[0], member.network_.theta)
        member.coefs_[0][:] = 0.0
    assert not np.allclose(twin.predict_proba(X), clf.predict_proba(X))


def test_a_weight_set_before_pickling_is_kept() -> None:
    clf = MLPClassifier((10,), max_iter=3, random_state=0).fit(X, Y)
    clf.coefs_[0] = np.zeros((64, 10))
    assert not pickled(clf).coefs_[0].any()


def test_a_pickle_holds_the_weights_once() -> None:
    clf = MLPClassifier((500,), solver="sgd", momentum=0.0, max_iter=1, random_state=0).fit(X, Y)
    assert len(pickle.dumps(clf)) < 3.2 * clf.network_.theta.nbytes  # weights, gradient, velocity


def test_clones_are_unfitted_and_equal_in_their_parameters() -> None:
    clf = MLPClassifier((10,), [np.tanh], solver="adamw", class_weight={0: 2.0}, callbacks=[], max_iter=1)
    twin = clone(clf.fit(X, Y))
    assert not hasattr(twin, "coefs_")
    assert twin.get_params()["solver"] == "adamw"
    assert list(twin.get_params()) == list(clf.get_params())


def test_many_threads_may_predict_at_once() -> None:
    clf = MLPClassifier((50,), max_iter=3, random_state=0).fit(X, Y)
    alone = [clf.predict_proba(X[: n + 1]) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda n: clf.predict_proba(X[: n % 40 + 1]), range(400)))
    for n, p in enumerate(together):
        assert_array_equal(p, alone[n % 40])


def test_the_same_seed_gives_the_same_bits_also_in_parallel() -> None:
    settings = {
        "hidden_layer_sizes": (10,),
        "n_ensemble": 3,
        "max_iter": 3,
        "random_state": 7,
        "dropout": 0.2,
    }
    serial = MLPClassifier(**settings).fit(X, Y)
    parallel = MLPClassifier(n_jobs=2, **settings).fit(X, Y)
    assert_array_equal(serial.predict_proba(X), parallel.predict_proba(X))
    assert_array_equal(serial.predict_proba(X), MLPClassifier(**settings).fit(X, Y).predict_proba(X))
