"""From logits to probabilities and decisions: stable logarithms, temperature, threshold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.evaluate import best_f1_threshold
from glassnet.nn import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy

__all__ = ["best_temperature", "f1_threshold", "log_mean", "log_sigmoid", "log_softmax", "logit"]

Array = npt.NDArray[Any]


def log_softmax(Z: Array) -> Array:
    """log softmax(Z) of each row; no probability is ever rounded to 0 first.

    >>> log_softmax(np.array([[1000.0, 0.0]])).tolist()
    [[0.0, -1000.0]]
    """
    T = np.array(Z.T, order="C")  # (C, n)
    T -= T.max(axis=0)
    T -= np.log(np.exp(T).sum(axis=0))
    return np.ascontiguousarray(T.T)  # (n, C)


def log_sigmoid(Z: Array) -> Array:
    """log sigmoid(Z) = min(Z, 0) - log(1 + exp(-|Z|)).

    >>> log_sigmoid(np.array([-1000.0, 0.0])).tolist()
    [-1000.0, -0.693...]
    """
    return np.asarray(np.minimum(Z, 0) - np.log1p(np.exp(-np.abs(Z))))


def log_mean(logs: list[Array]) -> Array:
    """log of the mean of numbers given by their logarithms, element by element."""
    stack = np.stack(logs)  # (M, n, K)
    top = stack.max(axis=0)
    return np.asarray(top + np.log(np.exp(stack - top).mean(axis=0)))


def logit(p: float) -> float:
    """The log odds of a probability, ±inf at 0 and 1."""
    return math.inf if p >= 1 else -math.inf if p <= 0 else math.log(p / (1 - p))


def best_temperature(Z: Array, target: Array, weight: Array | None) -> float:
    """The T with the lowest cross-entropy of logits Z / T on validation rows (Guo et al. 2017).

    It changes no decision by argmax, only how sure the probabilities are.

    Parameters
    ----------
    Z : (m, K) logits
    target : (m,) class codes or (m, K) zeros and ones
    weight : (m,) or None
    """
    from scipy.optimize import minimize_scalar

    loss: Loss = SoftmaxCrossEntropy() if target.ndim == 1 else SigmoidCrossEntropy()
    Z = np.asarray(Z, dtype=np.float64)
    w = np.ones(1) if weight is None else np.asarray(weight, dtype=np.float64)
    total = float(w.sum()) if weight is not None else float(len(Z))
    scratch = np.empty_like(Z)

    def cross_entropy(log_temperature: float) -> float:
        return loss.gradient(Z / math.exp(log_temperature), target, w, 1.0 / total, scratch)

    found = minimize_scalar(cross_entropy, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)


def f1_threshold(Z: Array, target: Array) -> float:
    """The threshold on the probability of the second class with the highest F1 on validation rows.

    Parameters
    ----------
    Z : (m, 1) logits
    target : (m, 1) zeros and ones
    """
    y = target[:, 0].astype(np.int64)
    if len(np.unique(y)) < 2:
        raise InputError("threshold='f1' needs rows of both classes in the validation data")
    return best_f1_threshold(y, np.exp(log_sigmoid(Z[:, 0])))
