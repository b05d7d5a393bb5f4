"""Many steps of a tiny network in one compiled call: gradient, update, and once more.

What a step is, `train/fit.py` says; each part of it is the kernel that is called there by itself.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy.typing as npt

from glassnet.kernels import updates
from glassnet.kernels.chain import gradient_through, outputs_of
from glassnet.kernels.compiled import hits
from glassnet.kernels.jit import jit, variant
from glassnet.kernels.updates import l2

__all__ = ["STEPS", "TAKEN"]

Array = npt.NDArray[Any]
sgd, momentum, adagrad, rmsprop, adam, nadam, lion = (
    inspect.unwrap(getattr(updates, name))  # what one thread does by itself
    for name in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "nadam", "lion")
)


def update(*_: Any) -> None:
    """What happens to a stretch of theta: `STEPS` puts each optimizer's kernel in its place."""


def _steps(
    table: Array, X: Array, y: Array, w: Array, size: int, weights: Array, smoothing: float, dZ: Array,
    theta: Array, grad: Array, moments: Array, stretches: Array, numbers: Array, decayed: Array,
    strength: float, per_batch: bool, counts: bool, done: Array,
) -> tuple[float, int]:  # fmt: skip
    """Steps with `size` rows each; one whose loss or penalty is not finite is not done, and ends them.

    Parameters
    ----------
    table : of the layers (`chain.py`); dZ (size, O) is for the gradient of their outputs
    X, y, w : the rows (n, I) of these steps, their codes (n,), and weights (n,) or (1,) for all alike
    weights : (steps,) sum of each batch's weights
    theta, grad, moments : (P,), (P,), and (M, P) for the optimizer
    stretches, numbers : start and stop (S, 2) of what is updated alike, and what the optimizer's kernel takes
        besides the vectors, (steps, S, N)
    decayed, strength, per_batch : start and stop (D, 2) of what has an L2 penalty, its strength (none for 0),
        and whether that is to be divided by the weight of the batch
    counts : whether to count rows decided rightly
    done : (1,) counts the steps done, also for whoever does not see what is returned

    Returns
    -------
    losses of the steps done, times rows, summed; rows decided rightly
    """
    loss, n_right = 0.0, 0
    for step in range(len(numbers)):
        start, stop = step * size, (step + 1) * size
        x, codes, weight = X[start:stop], y[start:stop], weights[step]
        scale = 1.0 / (weight or math.inf)
        value = gradient_through(table, x, codes, w[start:stop] if len(w) > 1 else w, smoothing, scale, dZ)
        right = hits(outputs_of(table, x), codes) if counts else 0
        if strength > 0:
            for i, j in decayed:
                value += l2(theta[i:j], grad[i:j], strength / (weight or 1.0) if per_batch else strength)
        if not math.isfinite(value):
            break
        for s in range(len(stretches)):
            i, j = stretches[s]
            update(theta[i:j], grad[i:j], moments, i, j, numbers[step, s])
        done[0] += 1
        loss += value * size
        n_right += right
    return loss, n_right


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


def _taken(name: str) -> tuple[int, int]:
    """How many moments and how many numbers a kernel takes after theta and grad."""
    kinds = [p.annotation for p in inspect.signature(getattr(updates, name)).parameters.values()]
    vectors = kinds.count("Array")
    return vectors - 2, len(kinds) - vectors


_KERNELS = (_sgd, _momentum, _adagrad, _rmsprop, _adam, _nadam, _lion)
#: the steps of optimizers, by the name of the kernel that updates theta
STEPS = {
    kernel.__name__[1:]: jit(variant(_steps, _steps, f"steps_by{kernel.__name__}", update=jit(kernel)))
    for kernel in _KERNELS
}
#: how many moments and numbers they take
TAKEN = {name: _taken(name) for name in STEPS}
