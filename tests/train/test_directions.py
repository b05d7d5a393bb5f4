"""What is better: names say it, `mode` says it, and a name that does not is asked for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.metrics import get_scorer_names

from glassnet.errors import InputError
from glassnet.train import KeepBest, ReduceOnPlateau
from glassnet.train.directions import higher_is_better

FALLS = [
    "loss", "mae", "mse", "rmse", "mape", "error", "squared_error", "absolute_error",
    "mean_poisson_deviance", "perplexity", "brier", "brier_score", "nll", "log_loss",
    "negative_log_likelihood", "cross_entropy", "RMSE", "mae_weighted", "seconds", "error_rate",
]  # fmt: skip
RISES = [
    "accuracy", "score", "auc", "roc_auc", "f1", "f1_macro", "precision", "recall", "r2", "kappa", "mcc",
    "ap", "neg_log_loss", "top_k_accuracy", "balanced_accuracy", "log_likelihood", "explained_variance",
]  # fmt: skip


@pytest.mark.parametrize("watcher", [KeepBest, ReduceOnPlateau])
@pytest.mark.parametrize(("names", "sign"), [(FALLS, 1.0), (RISES, -1.0)], ids=["fall", "rise"])
def test_names_say_what_is_better(watcher: Callable[..., Any], names: list[str], sign: float) -> None:
    told = {name: watcher(name).sign for plain in names for name in (plain, f"val_{plain}")}
    assert {name for name, found in told.items() if found != sign} == set()


def test_every_scorer_of_scikit_learn_rises() -> None:
    assert [name for name in get_scorer_names() if not higher_is_better(f"val_{name}")] == []


@pytest.mark.parametrize("watcher", [KeepBest, ReduceOnPlateau])
def test_the_mode_decides_and_is_asked_for_where_a_name_says_nothing(watcher: Callable[..., Any]) -> None:
    assert watcher("val_cost_of_errors", mode="min").sign == watcher("accuracy", mode="min").sign == 1.0
    assert watcher("val_cost_of_errors", mode="max").sign == watcher("loss", mode="max").sign == -1.0
    with pytest.raises(InputError, match=r"'val_cost_of_errors' does not say .*give mode='min' or 'max'"):
        watcher("val_cost_of_errors")
    with pytest.raises(InputError, match=r"mode must be 'min', 'max' or None.* not 'lower'"):
        watcher("loss", mode="lower")
    assert higher_is_better("val_cost_of_errors", otherwise=True)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'val_acuracy' does not say .*: did you mean 'accuracy'"):
        higher_is_better("val_acuracy")
