"""What the classifier can do beyond scikit-learn's."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    make_classification,
    make_multilabel_classification,
)
from sklearn.metrics import f1_score, log_loss
from sklearn.preprocessing import scale

from glassnet import InputError, MLPClassifier, nn
from glassnet.estimators.base import STORED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_DIGITS, Y_DIGITS = load_digits(n_class=5, return_X_y=True)
X_DIGITS = X_DIGITS / 16.0
X_CANCER, Y_CANCER = load_breast_cancer(return_X_y=True)
X_CANCER = scale(X_CANCER)


def rare(n: int = 600):
    """Two classes, one with a tenth of the rows, hard to tell apart."""
    return make_classification(n, weights=[0.9], class_sep=0.6, flip_y=0.02, random_state=0)


def test_class_weights_are_sample_weights() -> None:
    X, y = rare()
    plain = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
    by_class = MLPClassifier(class_weight={0: 1.0, 1: 7.0}, **plain).fit(X, y)
    by_row = MLPClassifier(**plain).fit(X, y, sample_weight=np.where(y == 1, 7.0, 1.0))
    assert_allclose(by_class.coefs_[0], by_row.coefs_[0])
    balanced = MLPClassifier(class_weight="balanced", **plain).fit(X, y)
    by_formula = MLPClassifier(class_weight=dict(enumerate(len(y) / (2 * np.bincount(y)))), **plain).fit(X, y)
    assert_allclose(balanced.coefs_[0], by_formula.coefs_[0])
    assert balanced.predict(X).mean() > MLPClassifier(**plain).fit(X, y).predict(X).mean()


def test_balanced_classes_of_string_labels_with_sample_weights() -> None:
    X, y = rare(200)
    names = np.array(["ham", "spam"])[y]
    twice = MLPClassifier((4,), class_weight="balanced", solver="lbfgs", alpha=0.1, random_state=0)
    weight = np.where(np.arange(len(y)) < 50, 2.0, 1.0)
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = twice.fit(X, names, sample_weight=weight).predict_proba(X)
    assert_allclose(weighted, twice.fit(X[repeated], names[repeated]).predict_proba(X), atol=5e-3)
    assert set(twice.predict(X)) == {"ham", "spam"}


def test_dropout_of_each_layer_is_off_in_prediction_and_needs_no_other_order() -> None:
    clf = MLPClassifier((30, 20), dropout=[0.2, 0.5], max_iter=3, random_state=0).fit(X_DIGITS, Y_DIGITS)
    kinds = [type(layer).__name__ for layer in clf.network_.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in clf.network_.layers if isinstance(layer, nn.Dropout)] == [0.2, 0.5]
    assert_array_equal(clf.predict_proba(X_DIGITS), clf.predict_proba(X_DIGITS))
    same = MLPClassifier((30, 20), dropout=[0.2, 0.5], max_iter=3, random_state=0).fit(X_DIGITS, Y_DIGITS)
    assert_array_equal(clf.coefs_[0], same.coefs_[0])
    plain = MLPClassifier((30, 20), max_iter=3, random_state=0).fit(X_DIGITS, Y_DIGITS)
    assert_array_equal(plain._random_state.randint(10**6, size=3), clf._random_state.randint(10**6, size=3))
    assert not np.allclose(plain.coefs_[0], clf.coefs_[0])


@pytest.mark.parametrize(
    ("normalization", "layer"), [("batch", nn.BatchNorm), ("layer", nn.LayerNorm), ("rms", nn.RMSNorm)]
)
def test_normalization_stands_before_the_activation(normalization: str, layer: type) -> None:
    clf = MLPClassifier((20,), normalization=normalization, max_iter=30, random_state=0)
    clf.fit(X_DIGITS, Y_DIGITS)
    assert [type(part) for part in clf.network_.layers] == [nn.Dense, layer, nn.Activate, nn.Dense]
    assert len(clf.coefs_) == 2
    assert clf.score(X_DIGITS, Y_DIGITS) > 0.9


def test_an_activation_for_each_layer_by_name_function_or_pair() -> None:
    cube = (lambda Z: Z**3, lambda Z: 3 * Z**2)
    clf = MLPClassifier((10, 10, 10), ["leaky_relu", np.sin, cube], max_iter=5, random_state=0)
    clf.fit(X_DIGITS, Y_DIGITS)
    assert [layer.f.name for layer in clf.network_.layers[:3]] == [
        "leaky_relu", "custom sin", "custom <lambda>",
    ]  # fmt: skip
    with pytest.raises(InputError, match="activation has 2 entries for 3 hidden layers"):
        MLPClassifier((10, 10, 10), ["relu", "tanh"]).fit(X_DIGITS, Y_DIGITS)
    pair = MLPClassifier((10, 10), cube, max_iter=2).fit(X_DIGITS, Y_DIGITS)
    assert [layer.f.name for layer in pair.network_.layers[:2]] == ["custom <lambda>"] * 2
    names = MLPClassifier((10, 10), ("relu", "logistic"), max_iter=2).fit(X_DIGITS, Y_DIGITS)
    assert [layer.f.name for layer in names.network_.layers] == ["relu", "sigmoid", "identity"]


def test_first_weights_come_from_the_initializer() -> None:
    clf = MLPClassifier((400,), initializer="he_normal", learning_rate_init=1e-12, max_iter=1, random_state=0)
    clf.fit(X_DIGITS, Y_DIGITS)
    assert clf.coefs_[0].std() == pytest.approx(np.sqrt(2 / 64), rel=0.05)
    assert_allclose(clf.intercepts_[0], 0, atol=1e-9)
    ones = MLPClassifier(
        (3,), initializer=lambda rng, i, o: np.ones((i, o)), learning_rate_init=1e-12, max_iter=1
    )
    assert_allclose(ones.fit(X_DIGITS, Y_DIGITS).coefs_[0], 1.0)
    gelu = MLPClassifier((400,), "gelu", learning_rate_init=1e-12, max_iter=1, random_state=0)
    assert gelu.fit(X_DIGITS, Y_DIGITS).coefs_[0].std() == pytest.approx(np.sqrt(2 / 64), rel=0.05)


@pytest.mark.parametrize("solver", sorted(nn.OPTIMIZERS))
def test_every_optimizer_of_the_engine_learns(solver: str) -> None:
    rate = {"lion": 3e-3, "sgd": 0.1, "momentum": 0.1, "nesterov": 0.1}.get(solver, 0.01)
    clf = MLPClassifier((20,), solver=solver, learning_rate_init=rate, max_iter=40, random_state=0)
    assert clf.fit(X_DIGITS, Y_DIGITS).score(X_DIGITS, Y_DIGITS) > 0.97
    assert clf._optimizer.lr == rate


def test_an_optimizer_with_its_own_settings_stays_as_it_was_made() -> None:
    adamw = nn.AdamW(lr=0.01, weight_decay=0.3)
    clf = MLPClassifier((10,), solver=adamw, max_iter=5, random_state=0).fit(X_DIGITS, Y_DIGITS)
    assert (adamw.t, clf._optimizer.t) == (0, 5 * 5)
    decayed = MLPClassifier((10,), solver="adamw", weight_decay=0.3, learning_rate_init=0.01, max_iter=5)
    assert_allclose(decayed.set_params(random_state=0).fit(X_DIGITS, Y_DIGITS).coefs_[0], clf.coefs_[0])


def test_a_schedule_multiplies_the_learning_rate_and_runs_to_the_end() -> None:
    seen = []
    clf = MLPClassifier(
        (10,), schedule="cosine", learning_rate_init=0.02, max_iter=10, tol=10.0, n_iter_no_change=1,
        callbacks=[lambda run: seen.append(run.factor)], random_state=0,
    ).fit(X_DIGITS, Y_DIGITS)  # fmt: skip
    n_steps = 10 * 5
    expected = [0.5 * (1 + np.cos(np.pi * (5 * epoch - 1) / n_steps)) for epoch in range(1, 11)]
    assert_allclose(seen, expected)
    assert_allclose(clf.history_["lr"], 0.02 * np.array(expected))
    halved = MLPClassifier((10,), schedule=lambda p: 0.5, learning_rate_init=0.02, max_iter=3, random_state=0)
    plain = MLPClassifier((10,), learning_rate_init=0.01, max_iter=3, random_state=0)
    assert_allclose(halved.fit(X_DIGITS, Y_DIGITS).coefs_[0], plain.fit(X_DIGITS, Y_DIGITS).coefs_[0])


def test_clip_norm_limits_the_step() -> None:
    clf = MLPClassifier(
        (10,), solver="sgd", momentum=0.0, learning_rate_init=1.0, clip_norm=1e-3, batch_size=10**4,
        max_iter=1, random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        clf.fit(X_DIGITS, Y_DIGITS)
    start = MLPClassifier((10,), learning_rate_init=1e-15, max_iter=1, random_state=0).fit(X_DIGITS, Y_DIGITS)
    moved = np.concatenate([(a - b).ravel() for a, b in zip(
        clf.coefs_ + clf.intercepts_, start.coefs_ + start.intercepts_, strict=True)])  # fmt: skip
    assert np.linalg.norm(moved) == pytest.approx(1e-3)


def test_label_smoothing_keeps_probabilities_from_the_ends() -> None:
    settings = {"hidden_layer_sizes": (50,), "max_iter": 150, "learning_rate_init": 0.01, "random_state": 0}
    smooth = MLPClassifier(label_smoothing=0.2, **settings).fit(X_DIGITS, Y_DIGITS).predict_proba(X_DIGITS)
    sharp = MLPClassifier(**settings).fit(X_DIGITS, Y_DIGITS).predict_proba(X_DIGITS)
    assert smooth.max(axis=1).mean() == pytest.approx(1 - 0.2 + 0.2 / 5, abs=0.03)
    assert sharp.max(axis=1).mean() > 0.99


def test_logits_probabilities_and_their_logarithms_belong_together() -> None:
    clf = MLPClassifier((10,), max_iter=30, random_state=0).fit(X_DIGITS, Y_DIGITS)
    Z = clf.decision_function(X_DIGITS)
    assert Z.shape == (len(X_DIGITS), 5)
    assert_allclose(clf.predict_log_proba(X_DIGITS), log_softmax(Z, axis=1), rtol=1e-9, atol=1e-12)
    assert_allclose(clf.predict_proba(X_DIGITS), np.exp(log_softmax(Z, axis=1)))
    assert_array_equal(clf.predict(X_DIGITS), clf.classes_[Z.argmax(axis=1)])
    two = MLPClassifier((10,), max_iter=30, random_state=0).fit(X_CANCER, Y_CANCER)
    z = two.decision_function(X_CANCER)
    assert z.shape == (len(X_CANCER),)
    assert_allclose(two.predict_proba(X_CANCER)[:, 1], expit(z))


def test_logarithms_stay_finite_where_probabilities_are_zero() -> None:
    clf = MLPClassifier((10,), max_iter=5, random_state=0).fit(X_DIGITS, Y_DIGITS)
    clf.coefs_[-1] *= 1e5
    assert (clf.predict_proba(X_DIGITS) == 0).any()
    logs = clf.predict_log_proba(X_DIGITS)
    assert np.isfinite(logs).all()
    assert_allclose(logs, log_softmax(clf.decision_function(X_DIGITS), axis=1))
    two = MLPClassifier((10,), max_iter=5, random_state=0).fit(X_CANCER, Y_CANCER)
    two.coefs_[-1] *= 1e5
    assert np.isfinite(two.predict_log_proba(X_CANCER)).all()


def test_the_threshold_is_chosen_on_validation_rows() -> None:
    X, y = rare(1500)
    settings = {"hidden_layer_sizes": (10,), "max_iter": 40, "random_state": 0}
    train, validation, test = slice(0, 700), slice(700, 1100), slice(1100, 1500)
    plain = MLPClassifier(**settings).fit(X[train], y[train], X_val=X[validation], y_val=y[validation])
    tuned = MLPClassifier(threshold="f1", **settings)
    tuned.fit(X[train], y[train], X_val=X[validation], y_val=y[validation])
    p = plain.predict_proba(X[validation])[:, 1]
    best = max(f1_score(y[validation], p >= t) for t in np.unique(p))
    assert f1_score(y[validation], p >= tuned.threshold_) == best
    assert f1_score(y[test], tuned.predict(X[test])) > f1_score(y[test], plain.predict(X[test]))
    assert_array_equal(tuned.predict_proba(X[test]), plain.predict_proba(X[test]))
    assert (plain.threshold_, plain.temperature_) == (0.5, 1.0)
    low = MLPClassifier(threshold=0.05, **settings).fit(X[train], y[train])
    p = low.predict_proba(X[test])[:, 1]
    assert_array_equal(low.predict(X[test]), (p >= 0.05).astype(int))


def test_temperature_makes_over_sure_probabilities_honest() -> None:
    X, y = make_classification(900, n_classes=3, n_informative=4, flip_y=0.3, random_state=0)
    train, validation, test = slice(0, 300), slice(300, 600), slice(600, 900)
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (50,), "random_state": 0}
    sure = MLPClassifier(**settings).fit(X[train], y[train], X_val=X[validation], y_val=y[validation])
    honest = MLPClassifier(temperature_scaling=True, **settings)
    honest.fit(X[train], y[train], X_val=X[validation], y_val=y[validation])
    assert honest.temperature_ > 1.2
    assert_array_equal(honest.predict(X[test]), sure.predict(X[test]))
    before, after = (log_loss(y[test], e.predict_proba(X[test])) for e in (sure, honest))
    assert after < before
    Z = sure.decision_function(X[validation])
    losses = [log_loss(y[validation], np.exp(log_softmax(Z / t, axis=1))) for t in (0.98, 1.0, 1.02)
              for t in (t * honest.temperature_,)]  # fmt: skip
    assert min(losses) == losses[1]
    assert_allclose(honest.decision_function(X[test]) * honest.temperature_, sure.decision_function(X[test]))


def test_the_split_of_early_stopping_keeps_the_shares_of_several_classes() -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = np.repeat([0, 1, 2], [160, 30, 10])
    held = []
    clf = MLPClassifier((5,), early_stopping=True, max_iter=2, random_state=0)
    clf.set_params(monitor=lambda e, X, y: held.append(np.bincount(y)) or 0.0).fit(X, y)
    assert_array_equal(held[0], [16, 3, 1])


def test_a_class_too_rare_to_split_is_not_stratified() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = np.repeat([0, 1, 2], [30, 29, 1])
    clf = MLPClassifier((5,), early_stopping=True, max_iter=2, random_state=0).fit(X, y)
    assert len(clf.validation_scores_) == 2
    assert_array_equal(clf.classes_, [0, 1, 2])


def test_labels_may_be_text_booleans_or_floats() -> None:
    for names in (np.array(["b", "a", "c", "e", "d"]), np.array([1.0, -2.0, 0.0, 7.0, 3.0])):
        y = names[Y_DIGITS]
        clf = MLPClassifier((20,), max_iter=60, random_state=0).fit(X_DIGITS, y)
        assert_array_equal(clf.classes_, np.sort(names))
        assert clf.score(X_DIGITS, y) > 0.95
        assert clf.predict(X_DIGITS).dtype == y.dtype
    clf = MLPClassifier((5,), max_iter=30, random_state=0).fit(X_CANCER, Y_CANCER.astype(bool))
    assert clf.predict(X_CANCER).dtype == bool


def test_several_labels_dense_and_sparse() -> None:
    from scipy import sparse

    X, Y = make_multilabel_classification(200, random_state=0)
    clf = MLPClassifier((20,), max_iter=30, random_state=0).fit(X, Y)
    assert_array_equal(clf.predict(X), (clf.predict_proba(X) > 0.5).astype(int))
    assert clf.decision_function(X).shape == Y.shape
    assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)), atol=1e-9)
    of_sparse = MLPClassifier((20,), max_iter=30, random_state=0).fit(X, sparse.csr_matrix(Y))
    assert sparse.issparse(of_sparse.predict(X))
    assert_array_equal(of_sparse.predict(X).toarray(), clf.predict(X))


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_small_numbers_need_no_copy_and_give_the_same(dtype: type, solver: str, tmp_path) -> None:
    X, y = load_digits(return_X_y=True)
    X = np.repeat(X.astype(dtype), 8, axis=1)
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    settings = {"hidden_layer_sizes": (10,), "solver": solver, "max_iter": 3, "random_state": 0}
    as_floats = MLPClassifier(**settings).fit(X.astype(np.float32 if dtype is np.float32 else float), y)
    MLPClassifier(**settings).fit(stored[:300], y[:300])  # the kernels are compiled
    tracemalloc.start()
    as_stored = MLPClassifier(**settings).fit(stored, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if solver == "adam":  # all of these rows are one piece for L-BFGS
        assert peak < X.size * 4  # bytes of a copy as float32; as float64 it would be twice that
    assert as_stored.network_.dtype == (np.float32 if dtype is np.float32 else np.float64)
    close = {"rtol": 1e-3, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-6}
    assert_allclose(as_stored.coefs_[0], as_floats.coefs_[0], **close)
    assert_allclose(as_stored.predict_proba(stored), as_floats.predict_proba(X.astype(float)), **close)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_half_floats_that_are_not_finite_are_seen(bad: float) -> None:
    X, y = load_digits(return_X_y=True)
    halves = X.astype(np.float16)
    clf = MLPClassifier((10,), max_iter=2).fit(halves, y)
    halves[7, 7] = bad
    for action in (lambda: clf.predict(halves), lambda: clf.fit(halves, y)):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            action()


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array"])
def test_sparse_half_floats_are_taken(form: str) -> None:
    from scipy import sparse

    X, y = load_digits(return_X_y=True)
    X = getattr(sparse, form)(X.astype(np.float32))
    X.data = X.data.astype(np.float16)
    clf = MLPClassifier((10,), max_iter=2, random_state=0).fit(X, y)
    assert_allclose(clf.predict_proba(X), clf.predict_proba(X.astype(np.float64)), rtol=1e-6)


def test_sparse_rows_give_the_same_as_dense() -> None:
    from scipy import sparse

    for convert in (sparse.csr_matrix, sparse.csc_array):
        X = convert(X_DIGITS)
        clf = MLPClassifier((10,), max_iter=3, random_state=0).fit(X, Y_DIGITS)
        dense = MLPClassifier((10,), max_iter=3, random_state=0).fit(X_DIGITS, Y_DIGITS)
        assert_allclose(clf.coefs_[0], dense.coefs_[0])
        assert_allclose(clf.predict_proba(X), dense.predict_proba(X_DIGITS))
        watched = MLPClassifier(
            (10,), early_stopping=True, monitor="val_f1_macro", max_iter=3, random_state=0
        )
        scores = watched.fit(X, Y_DIGITS).history_["val_f1_macro"]
        assert scores == watched.fit(X_DIGITS, Y_DIGITS).history_["val_f1_macro"]


def test_probabilities_leave_the_logits_alone() -> None:
    from glassnet.estimators.decision import log_softmax as logarithms
    from glassnet.nn.links import softmax

    for n in (1, 3):
        Z = np.random.default_rng(0).normal(size=(n, 4))
        kept = Z.copy()
        assert_allclose(softmax(Z), np.exp(log_softmax(kept, axis=1)))
        assert_allclose(logarithms(Z), log_softmax(kept, axis=1))
        assert_array_equal(Z, kept)
