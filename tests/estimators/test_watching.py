"""Validation rows, what is measured on them, when training stops, and which weights remain."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import f1_score, log_loss, make_scorer, mean_absolute_error, r2_score

from glassnet import InputError, MLPClassifier, MLPRegressor
from glassnet.estimators.watching import Watch
from glassnet.nn import SGD, BatchNorm, Dense, Network
from glassnet.train import Average, Callback, Checkpoint, History, Run

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(n_class=4, return_X_y=True)
X = X / 16.0
TRAIN, VALIDATION = slice(0, 500), slice(500, 720)
HELD = {"X_val": X[VALIDATION], "y_val": Y[VALIDATION]}


def noisy(n: int = 300):
    """Labels half of which are wrong: a large network over-fits at once."""
    return make_classification(n, n_features=20, flip_y=0.5, random_state=0)


def test_the_history_is_equally_long_lists_measured_on_given_rows() -> None:
    clf = MLPClassifier((10,), max_iter=8, random_state=0).fit(X[TRAIN], Y[TRAIN], **HELD)
    assert {len(values) for values in clf.history_.values()} == {8}
    assert set(clf.history_) == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_score", "lr", "seconds",
    }  # fmt: skip
    assert clf.history_["loss"] == clf.loss_curve_
    assert clf.history_["val_score"] == clf.validation_scores_ == clf.history_["val_accuracy"]
    best = int(np.argmin(clf.history_["val_loss"]))
    p = clf.predict_proba(X[VALIDATION])
    assert log_loss(Y[VALIDATION], p) == pytest.approx(clf.history_["val_loss"][best])
    assert np.mean(clf.predict(X[VALIDATION]) == Y[VALIDATION]) == clf.history_["val_accuracy"][best]


def test_without_validation_rows_the_history_says_so() -> None:
    clf = MLPClassifier((10,), max_iter=3, random_state=0).fit(X, Y)
    assert set(clf.history_) == {"epoch", "loss", "lr", "seconds"}
    assert clf.validation_scores_ is clf.best_validation_score_ is None


def test_the_best_weights_remain_although_training_went_on() -> None:
    x, y = noisy()
    clf = MLPClassifier((100,), learning_rate_init=0.02, max_iter=40, random_state=0)
    clf.fit(x[:150], y[:150], X_val=x[150:], y_val=y[150:])
    losses = clf.history_["val_loss"]
    assert losses[-1] > 1.2 * min(losses)
    assert log_loss(y[150:], clf.predict_proba(x[150:])) == pytest.approx(min(losses))


def test_patience_ends_the_training_and_counts_epochs() -> None:
    x, y = noisy()
    clf = MLPClassifier((100,), learning_rate_init=0.02, patience=4, tol=0.0, max_iter=100, random_state=0)
    clf.fit(x[:150], y[:150], X_val=x[150:], y_val=y[150:])
    best = int(np.argmin(clf.history_["val_loss"]))
    assert clf.n_iter_ == best + 1 + 4 < 100
    assert clf.stop_reason_ == "val_loss did not improve more than tol=0.000000 for 4 consecutive epochs."


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_f1_macro", "val_neg_log_loss", "val_loss"])
def test_any_quantity_can_be_monitored(monitor: str) -> None:
    x, y = noisy()
    clf = MLPClassifier((50,), learning_rate_init=0.02, monitor=monitor, patience=5, random_state=0)
    clf.fit(x[:150], y[:150], X_val=x[150:], y_val=y[150:])
    values = clf.history_[monitor]
    measured = {
        "val_accuracy": lambda: clf.score(x[150:], y[150:]),
        "val_f1_macro": lambda: f1_score(y[150:], clf.predict(x[150:]), average="macro"),
        "val_neg_log_loss": lambda: -log_loss(y[150:], clf.predict_proba(x[150:])),
        "val_loss": lambda: log_loss(y[150:], clf.predict_proba(x[150:])),
    }[monitor]()
    best = min(values) if monitor == "val_loss" else max(values)
    assert measured == pytest.approx(best)
    assert values[-1] != best  # it went on, and came back


def test_a_scorer_of_ones_own_can_be_monitored_with_held_out_rows() -> None:
    def share_of_class_one(estimator, rows, labels) -> float:
        return float(np.mean(estimator.predict(rows) == 1))

    clf = MLPClassifier((10,), early_stopping=True, monitor=share_of_class_one, patience=3, random_state=0)
    clf.fit(X, Y)
    assert len(clf.history_["val_share_of_class_one"]) == clf.n_iter_


def test_the_training_loss_and_accuracy_can_be_monitored() -> None:
    clf = MLPClassifier((10,), monitor="loss", patience=2, tol=0.5, max_iter=50, random_state=0).fit(X, Y)
    assert clf.n_iter_ < 50
    clf = MLPClassifier((10,), monitor="accuracy", patience=2, max_iter=50, random_state=0).fit(X, Y)
    assert len(clf.history_["accuracy"]) == clf.n_iter_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"monitor": "val_loss"}, "monitor='val_loss' needs validation rows"),
        ({"monitor": lambda clf, x, y: 1.0}, "monitor='val_<lambda>' needs validation rows"),
        ({"monitor": "los"}, "unknown quantity to monitor 'los': did you mean 'loss'"),
        ({"monitor": "lr", "solver": "lbfgs"}, r"'lr' \(known: accuracy, epoch, loss, seconds\)"),
        ({"monitor": "val_f1_makro", "early_stopping": True}, "did you mean 'val_f1_macro'"),
        ({"threshold": "f1"}, "threshold is for two classes; here are 4"),
        ({"threshold": 0.3}, "threshold is for two classes; here are 4"),
        ({"temperature_scaling": True}, "temperature_scaling needs validation rows"),
        ({"temperature_scaling": True, "n_ensemble": 2}, "temperature_scaling needs validation rows"),
    ],
    ids=str,
)
def test_what_cannot_be_watched_is_said_before_training(
    notes, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MLPClassifier((5,), max_iter=2, progress=notes, **settings).fit(X, Y)
    assert notes.told == []


def test_a_threshold_that_nothing_can_be_chosen_on_is_refused_before_training(notes) -> None:
    with pytest.raises(InputError, match="threshold='f1' needs validation rows"):
        MLPClassifier((5,), threshold="f1", progress=notes).fit(X[Y < 2], Y[Y < 2])
    assert notes.told == []


def test_the_names_that_are_known_are_told_once() -> None:
    with pytest.raises(InputError) as caught:
        MLPClassifier((5,), monitor="val_mae").fit(X[TRAIN], Y[TRAIN], **HELD)
    known = str(caught.value).partition("known: ")[2].rstrip(")").split(", ")
    assert len(known) == len(set(known))
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_f1_macro"} < set(known)


class Records(Callback):
    """Records "val_mine" from a list, and the weights at each epoch."""

    def __init__(self, *values: float) -> None:
        self.values, self.thetas = values, [np.empty(0)]
        self.at_the_end = np.empty(0)

    def on_epoch(self, run: Run) -> None:
        run.history.add("val_mine", self.values[run.epoch - 1])
        self.thetas.append(run.network.theta.copy())

    def on_end(self, run: Run) -> None:
        self.at_the_end = run.network.theta.copy()


@pytest.mark.parametrize("held", [{}, HELD], ids=["no rows", "rows"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_what_a_callback_records_can_be_monitored(solver: str, held: dict[str, object]) -> None:
    records = Records(0.1, 0.5, math.nan, 0.3, math.nan, math.nan, 0.4, 0.9)  # only four are measured
    clf = MLPClassifier((5,), solver=solver, monitor="val_mine", patience=2, tol=0.0, callbacks=[records])
    clf.fit(X[TRAIN], Y[TRAIN], **held)
    assert clf.n_iter_ == 7  # two measured epochs after the best
    assert_array_equal(clf.network_.theta, records.thetas[2])
    assert_array_equal(records.at_the_end, records.thetas[2])
    assert clf.stop_reason_.startswith("val_mine did not improve")


@pytest.mark.parametrize(
    ("monitor", "held", "message"),
    [
        ("val_main", HELD, "unknown quantity to monitor 'val_main': did you mean 'val_mine'"),
        ("mine", {}, "unknown quantity to monitor 'mine'.*known: .*val_mine"),
        ("val_main", {}, "monitor='val_main' needs validation rows"),
        ("val_f1_makro", HELD, "unknown quantity to monitor 'val_f1_makro': did you mean 'val_f1_macro'"),
    ],
)
def test_what_no_callback_records_is_an_error_at_the_first_epoch(
    monitor: str, held: dict[str, object], message: str
) -> None:
    records = Records(1.0)  # a second epoch would be an IndexError
    with pytest.raises(InputError, match=message):
        MLPClassifier((5,), monitor=monitor, callbacks=[records]).fit(X[TRAIN], Y[TRAIN], **held)
    assert len(records.thetas) == 2


def test_scorers_without_a_name_of_their_own_can_be_monitored() -> None:
    def share(of: int, estimator, rows, labels) -> float:
        return float(np.mean(estimator.predict(rows) == of))

    for monitor, name in (
        (make_scorer(f1_score, average="macro"), "val_f1_score"),
        (make_scorer(mean_absolute_error, greater_is_better=False), "val_neg_mean_absolute_error"),
        (functools.partial(share, 1), "val_share"),
    ):
        clf = MLPClassifier((10,), learning_rate_init=0.01, monitor=monitor, max_iter=8, random_state=0)
        clf.fit(X[TRAIN], Y[TRAIN], **HELD)
        scores = clf.history_[name]
        called = functools.partial(monitor, clf) if callable(monitor) else monitor
        assert called(X[VALIDATION], Y[VALIDATION]) == max(scores) > min(scores)


def test_the_reason_of_a_callback_is_told_also_where_the_rule_ends_the_same_epoch() -> None:
    def enough(run: Run) -> bool:
        return run.epoch == 2

    settings = {"hidden_layer_sizes": (5,), "random_state": 0, "callbacks": [enough]}
    clf = MLPClassifier(monitor="loss", patience=1, tol=1e9, **settings).fit(X, Y)
    assert (clf.n_iter_, clf.stop_reason_) == (2, "enough asked for the end")


def test_early_stopping_takes_the_given_rows_in_place_of_a_share() -> None:
    settings = {"hidden_layer_sizes": (20,), "n_iter_no_change": 3, "random_state": 0, "tol": 0.01}
    given = MLPClassifier(early_stopping=True, **settings).fit(X[TRAIN], Y[TRAIN], **HELD)
    assert given.t_ == given.n_iter_ * 500  # all training rows are learned from
    assert given.best_loss_ is None
    assert given.best_validation_score_ == max(given.validation_scores_)
    assert given.score(X[VALIDATION], Y[VALIDATION]) == given.best_validation_score_


def test_validation_weights_count() -> None:
    weight = np.random.default_rng(0).uniform(size=220)
    clf = MLPClassifier((5,), max_iter=4, random_state=0)
    clf.fit(X[TRAIN], Y[TRAIN], **HELD, sample_weight_val=weight)
    best = int(np.argmin(clf.history_["val_loss"]))
    p = clf.predict_proba(X[VALIDATION])
    assert log_loss(Y[VALIDATION], p, sample_weight=weight) == pytest.approx(clf.history_["val_loss"][best])
    right = clf.predict(X[VALIDATION]) == Y[VALIDATION]
    assert clf.validation_scores_[best] == pytest.approx(np.average(right, weights=weight))


def test_the_regressor_watches_its_loss_and_r2() -> None:
    y = X @ np.linspace(-1, 1, 64)
    reg = MLPRegressor(hidden_layer_sizes=(20,), max_iter=20, monitor="val_loss", random_state=0)
    reg.fit(X[TRAIN], y[TRAIN], X_val=X[VALIDATION], y_val=y[VALIDATION])
    best = int(np.argmin(reg.history_["val_loss"]))
    predicted = reg.predict(X[VALIDATION])
    assert reg.history_["val_loss"][best] == pytest.approx(0.5 * np.mean((predicted - y[VALIDATION]) ** 2))
    assert reg.validation_scores_[best] == pytest.approx(r2_score(y[VALIDATION], predicted))
    by_error = MLPRegressor(
        hidden_layer_sizes=(20,), max_iter=20, monitor="val_neg_mean_absolute_error", early_stopping=True
    )
    assert len(by_error.fit(X, y).history_["val_neg_mean_absolute_error"]) == by_error.n_iter_


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_the_average_of_the_weights_is_measured_kept_and_returned(normalization: str | None) -> None:
    settings = {"normalization": normalization, "learning_rate_init": 0.01, "max_iter": 6, "random_state": 0}
    clf = MLPClassifier((10,), ema=0.9, **settings).fit(X[TRAIN], Y[TRAIN], **HELD)
    best = int(np.argmin(clf.history_["val_loss"]))
    p = clf.predict_proba(X[VALIDATION])
    assert log_loss(Y[VALIDATION], p) == pytest.approx(clf.history_["val_loss"][best])
    raw = MLPClassifier((10,), **settings).fit(X[TRAIN], Y[TRAIN])
    assert not np.allclose(raw.coefs_[0], clf.coefs_[0])
    assert_allclose(raw.loss_curve_, clf.loss_curve_)  # the average follows, it does not steer
    alone = MLPClassifier((10,), ema=0.9, **settings).fit(X[TRAIN], Y[TRAIN])
    assert best == 5
    assert_allclose(alone.coefs_[0], clf.coefs_[0])
    assert_allclose(alone.predict_proba(X[VALIDATION]), p)  # running statistics are averaged, too


def test_measuring_the_average_leaves_weights_and_statistics_as_they_were() -> None:
    network, average = Network([BatchNorm(), Dense(2)], 4), Average()
    average.on_start(Run(network, SGD(), History(), 1))
    network.theta += 1
    network.state += 1
    theta, state = network.theta.copy(), network.state.copy()
    with Watch(None, lambda Z, y: 0.0, average=average).averaged(network):
        assert_array_equal(network.theta, average.theta)
        assert_array_equal(network.state, average.statistics)
    assert_array_equal(network.theta, theta)
    assert_array_equal(network.state, state)


def test_a_function_to_monitor_needs_a_name_of_its_own() -> None:
    def score(clf: MLPClassifier, X: Any, y: Any) -> float:
        raise AssertionError("never asked")

    with pytest.raises(InputError, match="there is a quantity 'val_score' already: give your function"):
        MLPClassifier((5,), early_stopping=True, monitor=score).fit(X, Y)


@pytest.mark.parametrize("base", [Callback, object])
def test_callbacks_see_every_step_and_epoch(base: Any) -> None:
    class Counter(base):  # type: ignore[misc]
        steps = epochs = ends = 0

        def on_step(self, run: Run) -> None:
            self.steps += 1

        def on_epoch(self, run: Run) -> None:
            self.epochs += 1

        def on_end(self, run: Run) -> None:
            self.ends += 1

    counter = Counter()
    MLPClassifier((5,), batch_size=100, max_iter=3, callbacks=[counter], random_state=0).fit(X, Y)
    assert (counter.steps, counter.epochs, counter.ends) == (3 * 8, 3, 1)
    with pytest.raises(InputError, match="which has no on_start"):
        MLPClassifier((5,), callbacks=[3]).fit(X, Y)
    by_function = MLPClassifier((5,), max_iter=30, callbacks=[lambda run: run.epoch == 4]).fit(X, Y)
    assert by_function.n_iter_ == 4
    assert by_function.stop_reason_ == "<lambda> asked for the end"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_time_limit_ends_the_training(solver: str) -> None:
    endless = {"tol": 0.0, "n_iter_no_change": 10**6, "max_iter": 10**6}
    clf = MLPClassifier((100,), solver=solver, time_limit=1e-6, **endless)  # over before anyone converges
    clf.fit(X, Y)
    assert clf.stop_reason_ == "time limit of 1e-06 s reached"
    assert clf.n_iter_ == 1


def test_progress_is_told_when_it_is_asked_for(notes, capsys) -> None:
    MLPClassifier((5,), max_iter=2, progress=notes).fit(X, Y)
    assert notes.told == [("MLPClassifier", 2), "loss", "loss", "end"]
    assert capsys.readouterr() == ("", "")
    MLPClassifier((5,), max_iter=2, progress=True).fit(X, Y)
    out, err = capsys.readouterr()
    assert (out, "MLPClassifier" in err, "2/2" in err) == ("", True, True)


def test_ctrl_c_keeps_what_was_learned() -> None:
    def interrupt(run: Run) -> None:
        if run.epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf = MLPClassifier((5,), callbacks=[interrupt], random_state=0).fit(X, Y)
    assert clf.n_iter_ == 3
    assert clf.t_ == 3 * len(X)
    assert clf.predict(X).shape == Y.shape


def test_training_that_diverges_is_an_error_unless_good_weights_were_kept() -> None:
    wild = {"solver": "sgd", "learning_rate_init": 1e4, "activation": "identity", "random_state": 0}
    x, y = X[:150], Y[:150]  # one batch an epoch: the first epoch still ends well
    with pytest.raises(ValueError, match=r"Solver produced non-finite parameter weights.*step \d"):
        MLPRegressor(**wild).fit(x, y)
    reg = MLPRegressor(**wild, early_stopping=True).fit(x, y)
    assert math.isnan(reg.validation_scores_[-1])
    assert reg.best_validation_score_ == reg.validation_scores_[0]
    assert np.isfinite(reg.coefs_[0]).all()


@pytest.mark.parametrize(
    "setting",
    [
        {"dropout": 0.1}, {"schedule": "cosine"}, {"clip_norm": 1.0}, {"ema": 0.9}, {"weight_decay": 0.1},
        {"normalization": "batch"},
    ],
    ids=str,
)  # fmt: skip
def test_lbfgs_refuses_what_would_mislead_its_line_search(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"cannot work with {next(iter(setting))}"):
        MLPClassifier(solver="lbfgs", **setting).fit(X, Y)


def test_lbfgs_refuses_checkpoints(tmp_path) -> None:
    with pytest.raises(InputError, match=r"Checkpoint cannot work with L-BFGS.*KeepBest"):
        MLPClassifier(solver="lbfgs", callbacks=[Checkpoint(tmp_path / "run.npz")]).fit(X, Y)


def test_lbfgs_watches_validation_rows_too() -> None:
    x, y = noisy()
    clf = MLPClassifier((30,), solver="lbfgs", monitor="val_loss", patience=3, random_state=0)
    clf.fit(x[:150], y[:150], X_val=x[150:], y_val=y[150:])
    assert clf.n_iter_ < 50
    assert log_loss(y[150:], clf.predict_proba(x[150:])) == pytest.approx(min(clf.history_["val_loss"]))
    assert_array_equal(clf.history_["epoch"], np.arange(1, clf.n_iter_ + 1))
