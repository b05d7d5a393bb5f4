"""Number by number beside scikit-learn's MLP: parameters, losses, weights, predictions, messages."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import glassnet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_DIGITS, Y_DIGITS = load_digits(n_class=5, return_X_y=True)
X_DIGITS = X_DIGITS / 16.0
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES, Y_DIABETES = scale(X_DIABETES), scale(Y_DIABETES)
X_LABELS, Y_LABELS = make_multilabel_classification(n_samples=300, random_state=0)
X_COLUMNS, Y_COLUMNS = make_regression(n_samples=300, n_features=8, n_targets=3, random_state=0)
Y_COLUMNS = scale(Y_COLUMNS)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_parameter_of_scikit_learn_is_here_in_its_place(name: str) -> None:
    ours = inspect.signature(getattr(glassnet, name)).parameters
    for place, (parameter, described) in enumerate(
        inspect.signature(getattr(theirs, name)).parameters.items()
    ):
        assert list(ours)[place] == parameter
        assert (ours[parameter].default, ours[parameter].kind) == (described.default, described.kind)
    assert {p.kind for p in list(ours.values())[place + 1 :]} == {inspect.Parameter.KEYWORD_ONLY}


def pair(kind: str, X, y, **parameters):
    """The two estimators after the same fit."""
    return [getattr(module, f"MLP{kind}")(**parameters).fit(X, y) for module in (theirs, glassnet)]


def assert_same_weights(their, our, rtol: float = 1e-7) -> None:
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(their, name), getattr(our, name), strict=True):
            assert_allclose(b, a, rtol=rtol, atol=rtol)
            assert a.dtype == b.dtype


SETTINGS = [
    {"solver": "adam"},
    {"solver": "adam", "epsilon": 1e-2, "beta_1": 0.8, "beta_2": 0.9, "alpha": 0.1},
    {"solver": "adam", "batch_size": 33, "activation": "tanh", "hidden_layer_sizes": (20, 10)},
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False, "activation": "logistic"},
    {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    {"solver": "sgd", "momentum": 0.0, "hidden_layer_sizes": (), "activation": "identity"},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("data", ["classes", "two classes", "numbers"])
def test_losses_agree_over_20_epochs(data: str, settings: dict[str, object], shuffle: bool) -> None:
    kind, X, y = {
        "classes": ("Classifier", X_DIGITS, Y_DIGITS),
        "two classes": ("Classifier", X_DIGITS, Y_DIGITS % 2),
        "numbers": ("Regressor", X_DIABETES, Y_DIABETES),
    }[data]
    their, our = pair(kind, X, y, max_iter=20, shuffle=shuffle, random_state=5, **settings)
    assert len(our.loss_curve_) == their.n_iter_ > 1
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9, atol=1e-9)
    assert_same_weights(their, our)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-9, atol=1e-9)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(our, attribute) == getattr(their, attribute)
    assert (our.loss_, our.best_loss_) == pytest.approx((their.loss_, their.best_loss_), rel=1e-9)
    assert our._no_improvement_count == their._no_improvement_count
    if settings["solver"] == "sgd":
        assert our._optimizer.learning_rate == pytest.approx(their._optimizer.learning_rate)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_losses_agree_in_float32(solver: str) -> None:
    X = X_DIGITS.astype(np.float32)
    their, our = pair("Classifier", X, Y_DIGITS, solver=solver, max_iter=20, random_state=0, shuffle=False)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-5, atol=1e-5)
    assert {W.dtype for W in our.coefs_ + our.intercepts_} == {np.dtype(np.float32)}
    assert our.predict_proba(X).dtype == np.float32
    X = X_DIABETES.astype(np.float32)
    their, our = pair("Regressor", X, Y_DIABETES, solver=solver, max_iter=20, random_state=0, shuffle=False)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-5, atol=1e-5)
    assert our.predict(X).dtype == their.predict(X).dtype == np.float32


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_sample_weights_count_as_there(solver: str) -> None:
    weight = np.random.default_rng(0).uniform(0, 3, len(Y_DIABETES))
    their, our = (
        module.MLPRegressor(solver=solver, alpha=0.5, max_iter=15, random_state=1).fit(
            X_DIABETES, Y_DIABETES, sample_weight=weight
        )
        for module in (theirs, glassnet)
    )
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert_same_weights(their, our)


def test_several_labels_several_columns_and_counts() -> None:
    their, our = pair("Classifier", X_LABELS, Y_LABELS, max_iter=15, random_state=0)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert_allclose(our.predict_proba(X_LABELS), their.predict_proba(X_LABELS))
    np.testing.assert_array_equal(our.predict(X_LABELS), their.predict(X_LABELS))
    their, our = pair("Regressor", X_COLUMNS, Y_COLUMNS, max_iter=15, random_state=0)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert_allclose(our.predict(X_COLUMNS), their.predict(X_COLUMNS))
    counts = np.random.default_rng(0).poisson(np.exp(X_DIABETES[:, 2]))
    their, our = pair("Regressor", X_DIABETES, counts, loss="poisson", max_iter=15, random_state=0)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert our.out_activation_ == their.out_activation_ == "exp"


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_early_stopping_holds_out_the_same_rows(kind: str) -> None:
    X, y = (X_DIGITS, Y_DIGITS % 2) if kind == "Classifier" else (X_DIABETES, Y_DIABETES)
    their, our = pair(
        kind, X, y, early_stopping=True, validation_fraction=0.2, n_iter_no_change=3, random_state=2,
        learning_rate_init=0.01, max_iter=60,
    )  # fmt: skip
    assert our.n_iter_ == their.n_iter_ < 60
    assert_allclose(our.validation_scores_, their.validation_scores_)
    assert our.best_validation_score_ == pytest.approx(their.best_validation_score_)
    assert our.best_loss_ is their.best_loss_ is None
    assert_same_weights(their, our)


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_lbfgs_takes_the_same_way(kind: str) -> None:
    X, y = (X_DIGITS, Y_DIGITS) if kind == "Classifier" else (X_DIABETES, Y_DIABETES)
    their, our = pair(kind, X, y, solver="lbfgs", max_iter=25, hidden_layer_sizes=(15,), random_state=0)
    assert our.n_iter_ == their.n_iter_
    assert our.loss_ == pytest.approx(their.loss_, rel=1e-6)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-4, atol=1e-4)
    assert our.t_ == their.t_ == 0


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_every_fitted_attribute_is_there_and_of_the_same_kind(kind: str, settings: dict[str, object]) -> None:
    table = pd.DataFrame(X_DIABETES).rename(columns=str)
    y = Y_DIABETES > 0 if kind == "Classifier" else Y_DIABETES
    their, our = pair(kind, table, y, max_iter=3, random_state=0, **settings)
    names = {name for name in vars(their) if name.endswith("_") and not name.startswith("_")}
    assert {"coefs_", "loss_", "t_", "feature_names_in_"} <= names <= set(vars(our))
    for name in names:
        a, b = getattr(their, name), getattr(our, name)
        assert np.isscalar(a) == np.isscalar(b)
        assert np.isscalar(a) or type(a) is type(b)


def test_warm_start_and_partial_fit_go_on_as_there() -> None:
    both = [m.MLPClassifier(warm_start=True, max_iter=4, random_state=0) for m in (theirs, glassnet)]
    for _ in range(2):
        their, our = (estimator.fit(X_DIGITS, Y_DIGITS) for estimator in both)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert (our.t_, our.n_iter_) == (their.t_, their.n_iter_)
    their, our = (estimator.partial_fit(X_DIGITS, Y_DIGITS) for estimator in both)
    assert len(our.loss_curve_) == len(their.loss_curve_) == 9
    assert (our.t_, our.n_iter_) == (their.t_, their.n_iter_)


def test_partial_fit_without_shuffling_agrees() -> None:
    both = [m.MLPRegressor(shuffle=False, random_state=0, batch_size=50) for m in (theirs, glassnet)]
    for half in (slice(0, 200), slice(200, 442), slice(0, 200)):
        their, our = (e.partial_fit(X_DIABETES[half], Y_DIABETES[half]) for e in both)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    assert_same_weights(their, our)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 3},
        {"max_iter": 50, "early_stopping": True, "n_iter_no_change": 2, "tol": 0.1},
        {"max_iter": 60, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
        {"max_iter": 50, "tol": 1.0, "n_iter_no_change": 3},
    ],
    ids=["plain", "early stopping", "adaptive", "no improvement"],
)
def test_verbose_prints_the_same_lines(settings: dict[str, object], capsys) -> None:
    printed = []
    for module in (theirs, glassnet):
        module.MLPClassifier((10,), random_state=0, verbose=True, **settings).fit(X_DIGITS, Y_DIGITS % 2)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


@pytest.mark.parametrize("settings", [{"max_iter": 2}, {"solver": "lbfgs", "max_iter": 3}], ids=str)
def test_not_converged_is_said_in_the_same_words(settings: dict[str, object]) -> None:
    told = []
    for module in (theirs, glassnet):
        with pytest.warns(ConvergenceWarning) as caught:
            module.MLPClassifier(random_state=0, **settings).fit(X_DIGITS, Y_DIGITS)
        told.append([str(w.message) for w in caught])
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_generators_of_every_kind_draw_the_first_weights() -> None:
    settings = {"max_iter": 1, "hidden_layer_sizes": (5,)}
    by_int = glassnet.MLPClassifier(random_state=3, **settings).fit(X_DIGITS, Y_DIGITS)
    state = np.random.RandomState(3)
    by_state = glassnet.MLPClassifier(random_state=state, **settings).fit(X_DIGITS, Y_DIGITS)
    assert_allclose(by_int.coefs_[0], by_state.coefs_[0])
    again = glassnet.MLPClassifier(random_state=state, **settings).fit(X_DIGITS, Y_DIGITS)
    assert not np.allclose(by_int.coefs_[0], again.coefs_[0])  # the state has moved on
    generators = [np.random.default_rng(3) for _ in range(2)]
    first, second = (
        glassnet.MLPClassifier(random_state=g, **settings).fit(X_DIGITS, Y_DIGITS) for g in generators
    )
    assert_allclose(first.coefs_[0], second.coefs_[0])
    np.random.seed(7)  # noqa: NPY002 (scikit-learn's None means the global state)
    unseeded = glassnet.MLPClassifier(**settings).fit(X_DIGITS, Y_DIGITS)
    np.random.seed(7)  # noqa: NPY002
    assert_allclose(unseeded.coefs_[0], theirs.MLPClassifier(**settings).fit(X_DIGITS, Y_DIGITS).coefs_[0])
