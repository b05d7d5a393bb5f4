"""How good predictions are: arrays in, numbers out. The metrics themselves are scikit-learn's.

Decisions are made once: by argmax for several classes, by a threshold for two. Never both
(thresholding ten probabilities and then taking the argmax turns every unsure row into class 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BinaryScores", "ClassScores", "Decision", "best_f1_threshold", "binary_scores", "class_scores"]

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ClassScores:
    """Scores of class decisions; arrays of shape (C,) are per class, in the order of `class_names`."""

    class_names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]  # (C, C): rows are true classes, columns decisions
    precision: Floats
    recall: Floats
    f1: Floats
    support: npt.NDArray[np.int64]
    accuracy: float
    balanced_accuracy: float
    macro: tuple[float, float, float]  # precision, recall, F1: plain mean over classes
    weighted: tuple[float, float, float]  # the same, weighted by support


@dataclass(frozen=True)
class Decision:
    """What one threshold on the positive class's probability gives."""

    threshold: float
    chosen: str  # how the threshold was chosen, for people
    scores: ClassScores

    @property
    def counts(self) -> dict[str, int]:
        (tn, fp), (fn, tp) = self.scores.confusion.tolist()
        return {"TP": tp, "FP": fp, "FN": fn, "TN": tn}


@dataclass(frozen=True)
class BinaryScores:
    """Threshold-free scores of two-class probabilities, their curve, and decisions at named thresholds."""

    prevalence: float  # share of positives: the average precision of guessing
    average_precision: float
    roc_auc: float
    brier: float
    curve_precision: Floats
    curve_recall: Floats
    decisions: tuple[Decision, ...]


def class_scores(
    y: npt.NDArray[np.integer[Any]], decided: npt.NDArray[np.integer[Any]], class_names: tuple[str, ...]
) -> ClassScores:
    """Confusion matrix and per-class, macro and weighted scores of decisions.

    Parameters
    ----------
    y, decided : (n,) integer class codes 0..C-1
    class_names : the C names; a class absent from both counts as precision = recall = F1 = 0

    Examples
    --------
    >>> s = class_scores(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("cat", "dog"))
    >>> s.confusion.tolist(), s.accuracy, round(float(s.f1[1]), 3)
    ([[1, 1], [0, 2]], 0.75, 0.8)
    """
    from sklearn import metrics  # costs 1.8 s: only when something is evaluated

    labels = np.arange(len(class_names))
    per_class = metrics.precision_recall_fscore_support(y, decided, labels=labels, zero_division=0)
    precision, recall, f1, support = per_class
    confusion = metrics.confusion_matrix(y, decided, labels=labels)

    def mean(weights: Any) -> tuple[float, float, float]:
        p, r, f = (float(np.average(v, weights=weights)) for v in (precision, recall, f1))
        return p, r, f

    present = support > 0
    return ClassScores(
        class_names=tuple(class_names), confusion=confusion, precision=precision, recall=recall, f1=f1,
        support=support, accuracy=float(np.mean(y == decided)),
        balanced_accuracy=float(recall[present].mean()),
        macro=mean(None), weighted=mean(support),
    )  # fmt: skip


def best_f1_threshold(y: npt.NDArray[np.integer[Any]], p: Floats) -> float:
    """The threshold on probabilities p with the highest F1 on these rows: choose it on validation data.

    The decision is p >= threshold. Any number between two neighbouring probabilities decides these rows
    alike; the middle is taken, for the rows to come. With calibrated probabilities the best threshold is
    half the best F1 (Lipton, Elkan & Naryanaswamy 2014).

    >>> round(best_f1_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])), 3)
    0.225
    """
    from sklearn import metrics

    precision, recall, thresholds = metrics.precision_recall_curve(y, p)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = np.flatnonzero(f1[:-1] == f1[:-1].max())  # the last point is the artificial (1, 0)
    k = int(best[len(best) // 2])
    below = thresholds[k - 1] if k else 0.0
    return float((below + thresholds[k]) / 2)


def binary_scores(
    y: npt.NDArray[np.integer[Any]],
    p: Floats,
    class_names: tuple[str, ...],
    thresholds: dict[str, float],
) -> BinaryScores:
    """Average precision, ROC-AUC, Brier score, the precision-recall curve and decisions.

    Parameters
    ----------
    y : (n,) 0 or 1
    p : (n,) probability of class 1
    class_names : names of class 0 and class 1
    thresholds : how it was chosen -> threshold, e.g. {"fixed at 0.5": 0.5}

    Examples
    --------
    >>> p = np.array([0.1, 0.4, 0.35, 0.8])
    >>> s = binary_scores(np.array([0, 0, 1, 1]), p, ("no", "yes"), {"fixed": 0.5})
    >>> round(s.average_precision, 3), s.prevalence, s.decisions[0].counts
    (0.833, 0.5, {'TP': 1, 'FP': 0, 'FN': 1, 'TN': 2})
    """
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(y, p)
    return BinaryScores(
        prevalence=float(np.mean(y)),
        average_precision=float(metrics.average_precision_score(y, p)),
        roc_auc=float(metrics.roc_auc_score(y, p)),
        brier=float(np.mean((p - y) ** 2)),
        curve_precision=precision,
        curve_recall=recall,
        decisions=tuple(
            Decision(t, chosen, class_scores(y, (p >= t).astype(np.int64), class_names))
            for chosen, t in thresholds.items()
        ),
    )
