"""What cannot be learned from is refused in scikit-learn's words, or in clearer ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from glassnet import InputError, MLPClassifier, MLPRegressor, nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
BAD = X.copy()
BAD[3, 2] = np.inf
MISSING = X.copy()
MISSING[3, 2] = np.nan


def message_of(action) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which one is compared below)
        action()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("fit", (BAD, Y)),
        ("fit", (MISSING, Y)),
        ("fit", (X, Y[:-1])),
        ("fit", (X[:, 0], Y)),
        ("fit", ([["a", "b"]] * 3, [0, 1, 0])),
        ("fit", (X[:0], Y[:0])),
        ("fit", (X, np.full(150, np.nan))),
        ("fit", (X, np.r_[np.inf, np.ones(149)])),
        ("fit", (X, Y, np.zeros(150))),
        ("fit", (X, Y, np.full(150, np.inf))),
        ("fit", (X, Y, np.ones(3))),
        ("fit", (X, Y, np.full(150, np.nan))),
        ("predict", (X[:, :2],)),
        ("predict", (BAD,)),
        ("predict", (X[0],)),
        ("predict", (X[:0],)),
        ("predict", (MISSING.astype(np.float32),)),
    ],
)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_scikit_learns_words_where_it_has_some(kind: str, method: str, arguments: tuple[object, ...]) -> None:
    import sklearn.neural_network

    import glassnet

    told = []
    for module in (sklearn.neural_network, glassnet):
        estimator = getattr(module, kind)((5,), max_iter=2) if kind == "MLPClassifier" else getattr(
            module, kind)(hidden_layer_sizes=(5,), max_iter=2)  # fmt: skip
        if method == "predict":
            estimator.fit(X, Y)
        told.append(message_of(lambda e=estimator: getattr(e, method)(*arguments)))
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_unfitted_estimators_say_so(kind: type) -> None:
    with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
        kind().predict(X)


def test_labels_that_partial_fit_was_not_told_of() -> None:
    clf = MLPClassifier((5,)).partial_fit(X, Y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`.*'y' has \[7\]"):
        clf.partial_fit(X[:1], [7])
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        clf.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        MLPClassifier().partial_fit(X, Y)


def test_validation_rows_that_do_not_fit() -> None:
    clf = MLPClassifier((5,), max_iter=2)
    held = {"X_val": X[:10], "y_val": Y[:10]}
    with pytest.raises(InputError, match="give X_val and y_val together"):
        clf.fit(X, Y, X_val=X)
    with pytest.raises(InputError, match="sample_weight_val is of no use"):
        clf.fit(X, Y, sample_weight_val=np.ones(3))
    with pytest.raises(InputError, match=r"X_val, y_val: there are labels that y does not have: \[9\]"):
        clf.fit(X, Y, X_val=X[:2], y_val=[0, 9])
    with pytest.raises(InputError, match="X_val, y_val: X has 2 features, but MLPClassifier is expecting 4"):
        clf.fit(X, Y, X_val=X[:, :2], y_val=Y)
    with pytest.raises(InputError, match="X_val, y_val: Input X contains infinity"):
        clf.fit(X, Y, X_val=BAD, y_val=Y)
    with pytest.raises(ValueError, match="The validation set is too small"):
        clf.fit(X, Y, X_val=X[:1], y_val=Y[:1])
    assert clf.fit(X, Y, **held).validation_scores_  # a class without validation rows is no error
    two = MLPClassifier((5,), threshold="f1", max_iter=2)
    with pytest.raises(InputError, match="threshold='f1' needs rows of both classes in the validation data"):
        two.fit(X[:100], Y[:100], **held)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_score_that_a_class_without_validation_rows_makes_undefined() -> None:
    held = {"X_val": X[:60], "y_val": Y[:60]}  # none of class 2
    with pytest.raises(InputError, match=r"val_roc_auc_ovr cannot be computed .*which have none of: 2: N"):
        MLPClassifier((5,), monitor="val_roc_auc_ovr").fit(X, Y, **held)
    held = {"X_val": X[:30], "y_val": Y[:30]}  # of class 0 only
    with pytest.raises(InputError, match=r"val_roc_auc is not a number .*which have none of: 1: give other"):
        MLPClassifier((5,), monitor="val_roc_auc").fit(X[:100], Y[:100], **held)


def test_lbfgs_says_that_it_holds_nothing_out() -> None:
    for settings in ({"monitor": "val_loss"}, {"temperature_scaling": True}):
        clf = MLPClassifier((5,), solver="lbfgs", early_stopping=True, max_iter=2, **settings)
        with pytest.raises(InputError, match="give X_val and y_val"):
            clf.fit(X, Y)


def test_weights_that_teach_nothing() -> None:
    for kind in (MLPClassifier, MLPRegressor):
        with pytest.raises(ValueError, match=r"weights?.*zero"):
            kind(hidden_layer_sizes=(5,)).fit(X, Y, sample_weight=np.zeros(150))
        with pytest.raises(ValueError, match="weights must be finite and not negative"):
            kind(hidden_layer_sizes=(5,)).fit(X, Y, sample_weight=np.full(150, -1.0))
    with pytest.raises(InputError, match=r"class_weight has labels that y does not have: \['x'\]"):
        MLPClassifier(class_weight={"x": 2.0}).fit(X, Y)
    with pytest.raises(InputError, match="class_weight is for one label a row"):
        MLPClassifier(class_weight={0: 2.0}).fit(X, np.eye(3)[Y].astype(int))


def test_batches_without_weight_are_passed_over() -> None:
    weight = np.r_[np.zeros(50), np.ones(100)]
    clf = MLPClassifier((5,), batch_size=50, shuffle=False, max_iter=3, random_state=0)
    assert np.isfinite(clf.fit(X, Y, sample_weight=weight).loss_curve_).all()


def test_little_or_dull_data_is_learned_from_all_the_same() -> None:
    one = MLPRegressor(hidden_layer_sizes=(3,), max_iter=300, learning_rate_init=0.05, random_state=0)
    assert one.fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]])[0] == pytest.approx(3.0, abs=0.1)
    same = MLPClassifier((3,), max_iter=5, random_state=0).fit(np.ones((20, 2)), [0, 1] * 10)
    assert np.isfinite(same.predict_proba(np.ones((1, 2)))).all()
    for normalization in ("batch", "layer", "rms"):
        dull = MLPClassifier((3,), normalization=normalization, max_iter=5, random_state=0)
        assert np.isfinite(dull.fit(np.ones((20, 2)), [0, 1] * 10).predict_proba(np.ones((1, 2)))).all()
        assert np.isfinite(dull.fit(X[:1], Y[:1]).predict_proba(X)).all()
    single = MLPClassifier((3,), max_iter=5, random_state=0).fit(X, ["only"] * 150)
    assert set(single.predict(X)) == {"only"}
    assert single.predict_proba(X).shape == (150, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "adamm"}, "The 'solver' parameter of MLPClassifier must be a str among"),
        ({"activation": "rleu"}, "The 'activation' parameter"),
        ({"normalization": "instance"}, "The 'normalization' parameter"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
        ({"n_ensemble": 0}, "The 'n_ensemble' parameter"),
        ({"patience": 0}, "The 'patience' parameter"),
        ({"time_limit": 0.0}, "The 'time_limit' parameter"),
        ({"threshold": "best"}, "The 'threshold' parameter"),
        ({"ema": 1.0}, "The 'ema' parameter"),
        ({"class_weight": "even"}, "The 'class_weight' parameter"),
        ({"schedule": "cosin"}, "The 'schedule' parameter"),
        ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes must be whole numbers, got \[2.5\]"),
        ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes must be > 0, got \[5, 0\]"),
        ({"dropout": [0.1, 0.2]}, "dropout has 2 entries for 1 hidden layers"),
        ({"activation": [np.sum]}, "activation 'sum' must keep the shape"),
        ({"dropout": ["a"]}, r"dropout must be a number in \[0, 1\) for each hidden layer, not 'a'"),
        ({"dropout": [1.5]}, r"dropout must be a number in \[0, 1\) for each hidden layer, not 1.5"),
        ({"callbacks": [3]}, r"callbacks\[0\] is 3, which has no on_start"),
        ({"solver": nn.AdamW(lr=0.1), "weight_decay": 0.1}, "brings its own weight_decay"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing(settings: dict[str, object], message: str) -> None:
    settings = {"hidden_layer_sizes": (5,), **settings}
    with pytest.raises(ValueError, match=message) as caught:
        MLPClassifier(**settings).fit(X, Y)
    assert isinstance(caught.value, InvalidParameterError | InputError) or "hidden_layer" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"early_stopping": True}, "partial_fit does not support early_stopping=True"),
        ({"class_weight": "balanced"}, "class_weight 'balanced' is not supported for partial_fit"),
        ({"threshold": "f1"}, "partial_fit has no validation rows"),
        ({"temperature_scaling": True}, "partial_fit has no validation rows"),
        ({"ema": 0.9}, "partial_fit cannot average weights"),
    ],
    ids=str,
)
def test_what_one_epoch_cannot_do(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPClassifier((5,), **settings).partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(AttributeError):
        _ = MLPRegressor(solver="lbfgs").partial_fit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_activation_hides_what_is_not_finite(bad: float, activation: str, dtype: type) -> None:
    """tanh(inf) is 1 and relu(-inf) is 0: the rows are looked at before that."""
    clf = MLPClassifier((1,), activation, max_iter=2, random_state=0).fit(X.astype(dtype), Y)
    for row, column in ((0, 0), (len(X) - 1, X.shape[1] - 1)):
        rows = X.astype(dtype)
        rows[row, column] = bad
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            clf.predict(rows)
    large = X.astype(dtype)
    large[0] = np.finfo(dtype).max  # finite: no error, whatever comes of it
    with np.errstate(all="ignore"):
        assert clf.predict(large).shape == Y.shape
        assert clf.network_.predict(rows).shape[0] == len(X)  # nobody watches there


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        ({"activation": "rleu"}, "Got 'rleu' instead: did you mean 'relu'?"),
        ({"solver": "adamm"}, "Got 'adamm' instead: did you mean 'adam'?"),
        ({"schedule": "cosin"}, "Got 'cosin' instead: did you mean 'cosine'?"),
        ({"initializer": "zzz"}, "Got 'zzz' instead."),
        ({"alpha": "much"}, "Got 'much' instead."),
        ({"max_iter": 0}, "Got 0 instead."),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_nearest_name(kind: type, settings: dict[str, object], end: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        kind(**settings).fit(X, Y)
    assert str(caught.value).endswith(end)
    assert str(caught.value).startswith(f"The '{next(iter(settings))}' parameter of {kind.__name__} must be ")
