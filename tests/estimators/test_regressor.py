"""What the regressor can do beyond scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from glassnet import InputError, MLPRegressor, nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_diabetes(return_X_y=True)
X, Y = scale(X), scale(Y)
RNG = np.random.default_rng(0)
FLAT = np.zeros((400, 1))  # no feature: the best prediction is the loss's best constant
SKEWED = RNG.exponential(size=400)


@pytest.mark.parametrize(
    ("settings", "best"),
    [
        ({"loss": "squared_error"}, SKEWED.mean()),
        ({"loss": "squared"}, SKEWED.mean()),
        ({"loss": "absolute_error"}, np.median(SKEWED)),
        ({"loss": "absolute"}, np.median(SKEWED)),
        ({"loss": "quantile", "quantile": 0.9}, np.quantile(SKEWED, 0.9)),
        ({"loss": "quantile", "quantile": 0.1}, np.quantile(SKEWED, 0.1)),
        ({"loss": "huber", "huber_delta": 1e-3}, np.median(SKEWED)),
        ({"loss": "huber", "huber_delta": 100.0}, SKEWED.mean()),
        ({"loss": "poisson"}, SKEWED.mean()),
        ({"loss": nn.Quantile(0.9)}, np.quantile(SKEWED, 0.9)),
    ],
    ids=str,
)
def test_each_loss_finds_its_best_constant(settings: dict[str, object], best: float) -> None:
    reg = MLPRegressor(
        hidden_layer_sizes=(), alpha=0.0, learning_rate_init=0.02, schedule="linear", max_iter=400,
        random_state=0, **settings,
    ).fit(FLAT, SKEWED)  # fmt: skip
    assert reg.predict(FLAT[:1])[0] == pytest.approx(best, abs=0.03)


def test_quantiles_enclose_their_share_of_the_rows() -> None:
    settings = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "max_iter": 150, "random_state": 0}
    low, high = (MLPRegressor("quantile", quantile=q, **settings).fit(X, Y).predict(X) for q in (0.1, 0.9))
    assert np.mean((low <= Y) & (high >= Y)) == pytest.approx(0.8, abs=0.08)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(InputError, match=r"y\[\d+\] is negative, but the Poisson loss is for counts"):
        MLPRegressor("poisson").fit(X, Y)


def test_several_columns_with_lbfgs_report_scikit_learns_loss() -> None:
    Y2 = np.column_stack([Y, -Y])
    both = MLPRegressor(solver="lbfgs", hidden_layer_sizes=(5,), alpha=0.5, random_state=0).fit(X, Y2)
    error = 0.5 * np.mean((both.predict(X) - Y2) ** 2)
    penalty = 0.5 * 0.5 * sum((W**2).sum() for W in both.coefs_) / len(X)
    assert both.loss_ == pytest.approx(error + penalty, rel=1e-6)
    assert both.predict(X).shape == Y2.shape


def test_networks_of_other_settings_learn() -> None:
    reg = MLPRegressor(
        "huber", (30, 15), ["mish", "tanh"], solver="adamw", weight_decay=0.01, dropout=0.05,
        normalization="layer", clip_norm=1.0, schedule="one_cycle", learning_rate_init=0.02, ema=0.99,
        max_iter=60, random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert reg.score(X, Y) > 0.6
    assert {W.dtype for W in reg.coefs_} == {np.dtype(np.float64)}


def test_a_mean_of_networks_is_better_than_its_members() -> None:
    train, test = slice(0, 300), slice(300, 442)
    many = MLPRegressor(
        hidden_layer_sizes=(30,), n_ensemble=5, learning_rate_init=0.01, max_iter=150, random_state=0
    )
    many.fit(X[train], Y[train])
    single = [member.score(X[test], Y[test]) for member in many.estimators_]
    assert_allclose(many.predict(X), np.mean([m.predict(X) for m in many.estimators_], axis=0))
    assert many.score(X[test], Y[test]) > max(single)
    assert len({m.random_state for m in many.estimators_}) == 5
