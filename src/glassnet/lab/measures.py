"""What a finished run is scored by: arrays in, one number out, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError

__all__ = ["MEASURES", "Measure", "constant_outputs", "measure_all", "require", "task_of"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Measure:
    """One score: f(y, P, decided) of targets, predictions and decisions."""

    f: Callable[[Array, Array, Array], float]
    higher_is_better: bool
    tasks: tuple[str, ...]  # of "classes", "binary", "regression"
    words: str


def _per_class(y: Array, decided: Array) -> tuple[Array, Array, Array]:
    """Right decisions, rows and decisions of each class."""
    n = int(max(y.max(initial=0), decided.max(initial=0))) + 1
    hits = np.bincount(y[y == decided], minlength=n)
    return hits, np.bincount(y, minlength=n), np.bincount(decided, minlength=n)


def _balanced(y: Array, P: Array, decided: Array) -> float:
    hits, rows, _ = _per_class(y, decided)
    return float((hits[rows > 0] / rows[rows > 0]).mean())


def _f1(y: Array, decided: Array) -> Array:
    hits, rows, said = _per_class(y, decided)
    f1: Array = np.divide(2.0 * hits, rows + said, out=np.zeros(len(hits)), where=rows + said > 0)
    return f1


def _log_loss(y: Array, P: Array, decided: Array) -> float:
    p = P[np.arange(len(y)), y].astype(np.float64)
    return float(-np.log(np.maximum(p, 1e-15)).mean())


def _average_precision(y: Array, P: Array, decided: Array) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, P[:, 1]))


def _roc_auc(y: Array, P: Array, decided: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, P[:, 1]))


def _r2(y: Array, P: Array, decided: Array) -> float:
    spread = np.square(y - y.mean(axis=0)).sum()
    return float(1.0 - np.square(y - P).sum() / spread) if spread else 0.0


_ALL, _TWO, _REAL = ("classes", "binary"), ("binary",), ("regression",)
MEASURES: dict[str, Measure] = {
    "accuracy": Measure(lambda y, P, d: float((y == d).mean()), True, _ALL, "accuracy"),
    "balanced_accuracy": Measure(_balanced, True, _ALL, "balanced accuracy"),
    "macro_f1": Measure(lambda y, P, d: float(_f1(y, d).mean()), True, _ALL, "macro F1"),
    "log_loss": Measure(_log_loss, False, _ALL, "cross-entropy"),
    "f1": Measure(lambda y, P, d: float(_f1(y, d)[1:2].sum()), True, _TWO, "F1"),
    "average_precision": Measure(_average_precision, True, _TWO, "average precision"),
    "roc_auc": Measure(_roc_auc, True, _TWO, "ROC-AUC"),
    "brier": Measure(lambda y, P, d: float(np.square(P[:, 1] - y).mean()), False, _TWO, "Brier score"),
    "squared_error": Measure(lambda y, P, d: float(np.square(y - P).mean()), False, _REAL, "squared error"),
    "absolute_error": Measure(lambda y, P, d: float(np.abs(y - P).mean()), False, _REAL, "absolute error"),
    "r2": Measure(_r2, True, _REAL, "R²"),
}


def task_of(n_classes: int) -> str:
    """Which of "regression", "binary" and "classes" a target with so many classes is."""
    return "regression" if n_classes == 0 else "binary" if n_classes == 2 else "classes"


def measure_all(task: str, y: Array, P: Array, decided: Array) -> dict[str, float]:
    """Every score that this task has.

    Parameters
    ----------
    y : (n,) class codes, or (n, k) targets
    P : (n, C) probabilities, or (n, k) predictions
    decided : (n,) class codes (ignored for regression)

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> scores = measure_all("binary", np.array([0, 1]), P, np.array([0, 1]))
    >>> scores["accuracy"], scores["f1"], round(scores["brier"], 3)
    (1.0, 1.0, 0.085)
    """
    return {name: m.f(y, P, decided) for name, m in MEASURES.items() if task in m.tasks}


def constant_outputs(y_train: Array, n_classes: int, n: int) -> Array:
    """What predicts without looking: class shares of the training rows, or their mean, (n, C) or (n, k)."""
    if n_classes:
        shares = np.bincount(y_train, minlength=n_classes) / len(y_train)
        return np.tile(shares, (n, 1))
    return np.tile(y_train.mean(axis=0), (n, 1))


def require(metric: str, task: str) -> Measure:
    """The measure of that name, if this task has it."""
    measure = MEASURES[metric]
    if task not in measure.tasks:
        fit = ", ".join(name for name, m in MEASURES.items() if task in m.tasks)
        kind = {"regression": "numbers", "binary": "two classes", "classes": "more than two classes"}[task]
        raise InputError(f"metric {metric!r} does not fit a target of {kind} (fitting: {fit})")
    return measure
