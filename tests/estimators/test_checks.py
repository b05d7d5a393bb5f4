"""scikit-learn's common checks of estimators."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from glassnet import MLPClassifier, MLPRegressor

# Rows that are repeated instead of weighted meet other masks of dropout and other statistics of the batch.
# (scikit-learn declares no expected failure for its MLP, and has neither of the two.)
NOT_EQUIVALENT = {
    f"check_sample_weight_equivalence_on_{kind}_data": "dropout and batch statistics depend on the rows"
    for kind in ("dense", "sparse")
}
DROP_IN = [
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    # alpha: with exploding logits the checks expect log(0) = -inf where ours is exact
    MLPClassifier(solver="lbfgs", alpha=0.1),
    MLPClassifier(n_ensemble=2, hidden_layer_sizes=(20,), max_iter=60),
    MLPRegressor(solver="lbfgs"),
    MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.1, max_iter=60),
    MLPClassifier(
        (20, 10),
        "selu",
        solver="adamw",
        normalization="layer",
        clip_norm=1.0,
        label_smoothing=0.05,
        learning_rate_init=0.01,
        max_iter=60,
        random_state=0,
    ),
    MLPRegressor("huber", (30,), ["gelu"], solver="nadam", learning_rate_init=0.01, schedule="cosine"),
]
BEYOND = [
    MLPClassifier(
        (20, 10), "selu", solver="adamw", dropout=0.1, normalization="batch", clip_norm=1.0,
        label_smoothing=0.05, learning_rate_init=0.01, max_iter=60, random_state=0,
    ),
]  # fmt: skip

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.SkipTestWarning",
)


@parametrize_with_checks(DROP_IN)
def test_drop_in(estimator, check) -> None:
    check(estimator)


@parametrize_with_checks(BEYOND, expected_failed_checks=lambda estimator: NOT_EQUIVALENT)
def test_beyond(estimator, check) -> None:
    check(estimator)
