"""Many steps of a tiny network in one compiled call: gradient, update, and once more.

What a step is, `train/fit.py` says; each part of it is the kernel that is called there by itself.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels import updates
from glassnet.kernels.chain import gradient_through, outputs_of
from glassnet.kernels.compiled import hits
from glassnet.kernels.jit import jit, variant
from glassnet.kernels.scalars import const

__all__ = ["STEPS"]

Array = npt.NDArray[Any]
sgd, momentum, adagrad, rmsprop, adam, nadam, lion = (
    inspect.unwrap(getattr(updates, name))  # what one thread does by itself
    for name in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "nadam", "lion")
)
_LANES = 16  # sums at a time: one alone would wait for each addition


def update(*_: Any) -> None:
    """What happens to a stretch of theta: `STEPS` puts each optimizer's kernel in its place."""


def _steps(
    table: Array, X: Array, y: Array, w: Array, size: int, smoothing: float, dZ: Array, theta: Array,
    grad: Array, moments: Array, stretches: Array, numbers: Array, decayed: Array, l2: float, per_batch: bool,
    counts: bool,
) -> tuple[int, float, int]:  # fmt: skip
    """Steps with `size` rows each, or fewer than there are: until before a loss that is not finite.

    Parameters
    ----------
    table : of the layers (`chain.py`); dZ (size, O) is for the gradient of their outputs
    X, y, w : the rows (n, I) of these steps, their codes (n,), and weights (n,) or (1,) for all alike
    theta, grad, moments : (P,), (P,), and (M, P) for the optimizer
    stretches, numbers : start and stop (S, 2) of what is updated alike, and what the optimizer's kernel takes
        besides the vectors, (steps, S, N)
    decayed, l2, per_batch : start and stop (D, 2) of what has a penalty, its strength (0 for none), and
        whether that is to be divided by the weight of the batch
    counts : whether to count rows decided rightly

    Returns
    -------
    steps done; their losses, times rows, summed; rows decided rightly
    """
    loss, n_right = 0.0, 0
    for step in range(len(numbers)):
        start, stop = step * size, (step + 1) * size
        x, codes, weights, weight = X[start:stop], y[start:stop], w, float(size)
        if len(w) > 1:
            weights = w[start:stop]
            weight = weights.sum()
        value = gradient_through(table, x, codes, weights, smoothing, 1.0 / (weight or math.inf), dZ)
        if not math.isfinite(value):
            return step, loss, n_right
        if counts:
            n_right += hits(outputs_of(table, x), codes)
        if l2 > 0:
            k = l2 / (weight or 1.0) if per_batch else l2
            for i, j in decayed:
                value += _penalty(theta[i:j], grad[i:j], k)
        for s in range(len(stretches)):
            i, j = stretches[s]
            update(theta[i:j], grad[i:j], moments, i, j, numbers[step, s])
        loss += value * size
    return len(numbers), loss, n_right


@jit
def _penalty(theta: Array, grad: Array, k: float) -> float:
    """k / 2 * theta . theta, whose gradient is added."""
    sums, factor, whole = np.zeros(_LANES, theta.dtype), const(theta[0], k), len(theta) // _LANES * _LANES
    for start in range(0, whole, _LANES):
        for i in range(_LANES):
            t = theta[start + i]
            sums[i] += t * t
            grad[start + i] += factor * t
    total = 0.0
    for i in range(whole, len(theta)):
        total += theta[i] * theta[i]
        grad[i] += factor * theta[i]
    for i in range(_LANES):
        total += sums[i]
    return 0.5 * k * total


def _sgd(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    sgd(theta, grad, n[0], n[1])


def _momentum(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    momentum(theta, grad, m[0, i:j], n[0], n[1], n[2] != 0, n[3])


def _adagrad(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    adagrad(theta, grad, m[0, i:j], n[0], n[1], n[2])


def _rmsprop(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    rmsprop(theta, grad, m[0, i:j], n[0], n[1], n[2], n[3])


def _adam(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    adam(theta, grad, m[0, i:j], m[1, i:j], n[0], n[1], n[2], n[3], n[4], n[5], n[6])


def _nadam(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    nadam(theta, grad, m[0, i:j], m[1, i:j], n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7])


def _lion(theta: Array, grad: Array, m: Array, i: int, j: int, n: Array) -> None:
    lion(theta, grad, m[0, i:j], n[0], n[1], n[2], n[3])


#: the steps of optimizers, by the name of the kernel that updates theta
STEPS = {
    kernel.__name__[1:]: jit(variant(_steps, _steps, f"steps_by{kernel.__name__}", update=jit(kernel)))
    for kernel in (_sgd, _momentum, _adagrad, _rmsprop, _adam, _nadam, _lion)
}
