"""The optimizers' passes over theta, compiled and fused into one each; defined in `reference`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels.jit import jit
from glassnet.kernels.scalars import ROOT, SIGNAL, const, flushed
from glassnet.kernels.team import accumulate, shared

__all__ = ["accumulate", "adagrad", "adam", "l1", "l2", "lion", "momentum", "nadam", "rmsprop", "sgd"]

Array = npt.NDArray[Any]
_LANES, _BLOCK = 16, 4096  # sums at a time, as one would wait for each addition; numbers in a float32 sum


@jit
def l1(theta: Array, grad: Array, k: float) -> float:
    sums, factor, total = np.zeros(_LANES, theta.dtype), const(theta[0], k), 0.0
    whole = len(theta) // _LANES * _LANES
    for block in range(0, whole, _BLOCK):
        sums[:] = 0
        for start in range(block, min(block + _BLOCK, whole), _LANES):
            for i in range(_LANES):
                t = theta[start + i]
                sums[i] += abs(t)
                grad[start + i] += factor * np.sign(t)
        for i in range(_LANES):
            total += sums[i]
    for i in range(whole, len(theta)):
        total += abs(theta[i])
        grad[i] += factor * np.sign(theta[i])
    return k * total


@jit
def l2(theta: Array, grad: Array, k: float) -> float:
    sums, factor, total = np.zeros(_LANES, theta.dtype), const(theta[0], k), 0.0
    whole = len(theta) // _LANES * _LANES
    for block in range(0, whole, _BLOCK):
        sums[:] = 0
        for start in range(block, min(block + _BLOCK, whole), _LANES):
            for i in range(_LANES):
                t = theta[start + i]
                sums[i] += t * t
                grad[start + i] += factor * t
        for i in range(_LANES):
            total += sums[i]
    for i in range(whole, len(theta)):
        total += theta[i] * theta[i]
        grad[i] += factor * theta[i]
    return 0.5 * k * total


@shared
def sgd(theta: Array, grad: Array, lr: float, decay: float) -> None:
    lr, keep = const(theta[0], lr), const(theta[0], 1.0 - decay)
    for i in range(len(theta)):
        theta[i] = keep * theta[i] - lr * grad[i]


@shared
def momentum(theta: Array, grad: Array, v: Array, lr: float, mu: float, nesterov: bool, decay: float) -> None:
    lr, mu, keep = const(theta[0], lr), const(theta[0], mu), const(theta[0], 1.0 - decay)
    for i in range(len(theta)):
        step = lr * grad[i]
        v[i] = flushed(mu * v[i] - step, SIGNAL)
        theta[i] = keep * theta[i] + (mu * v[i] - step if nesterov else v[i])


@shared
def adagrad(theta: Array, grad: Array, s: Array, lr: float, eps: float, decay: float) -> None:
    lr, eps, keep = const(theta[0], lr), const(theta[0], eps), const(theta[0], 1.0 - decay)
    for i in range(len(theta)):
        g = flushed(grad[i], ROOT)
        s[i] += g * g
        theta[i] = keep * theta[i] - lr * grad[i] / (np.sqrt(s[i]) + eps)


@shared
def rmsprop(theta: Array, grad: Array, s: Array, lr: float, rho: float, eps: float, decay: float) -> None:
    fresh = const(theta[0], 1.0 - rho)
    lr, rho, eps, keep = (
        const(theta[0], lr),
        const(theta[0], rho),
        const(theta[0], eps),
        const(theta[0], 1.0 - decay),
    )
    for i in range(len(theta)):
        g = flushed(grad[i], ROOT)
        s[i] = rho * s[i] + fresh * g * g
        theta[i] = keep * theta[i] - lr * grad[i] / (np.sqrt(s[i]) + eps)


@shared
def adam(
    theta: Array, grad: Array, m: Array, v: Array, lr: float, beta1: float, beta2: float, eps: float,
    c1: float, c2: float, decay: float,
) -> None:  # fmt: skip
    one = theta[0]
    rate, root, plain = const(one, lr / c1), const(one, 1.0 / math.sqrt(c2)), math.isinf(c2)
    b1, f1, b2, f2 = const(one, beta1), const(one, 1.0 - beta1), const(one, beta2), const(one, 1.0 - beta2)
    eps, keep, unit = const(one, eps), const(one, 1.0 - decay), const(one, 1.0)
    for i in range(len(theta)):
        g = flushed(grad[i], ROOT)
        mi = flushed(b1 * m[i] + f1 * g, SIGNAL)
        vi = b2 * v[i] + f2 * g * g
        m[i] = mi
        v[i] = vi
        theta[i] = keep * theta[i] - rate * mi / (unit if plain else np.sqrt(vi) * root + eps)


@shared
def nadam(
    theta: Array, grad: Array, m: Array, v: Array, lr: float, beta1: float, beta2: float, eps: float,
    cm: float, cg: float, c2: float, decay: float,
) -> None:  # fmt: skip
    one = theta[0]
    b1, f1, b2, f2 = const(one, beta1), const(one, 1.0 - beta1), const(one, beta2), const(one, 1.0 - beta2)
    cm, cg, root = const(one, lr * cm), const(one, lr * cg), const(one, 1.0 / math.sqrt(c2))
    eps, keep = const(one, eps), const(one, 1.0 - decay)
    for i in range(len(theta)):
        g = flushed(grad[i], ROOT)
        m[i] = flushed(b1 * m[i] + f1 * g, SIGNAL)
        v[i] = b2 * v[i] + f2 * g * g
        theta[i] = keep * theta[i] - (cm * m[i] + cg * g) / (np.sqrt(v[i]) * root + eps)


@shared
def lion(theta: Array, grad: Array, m: Array, lr: float, beta1: float, beta2: float, decay: float) -> None:
    one = theta[0]
    b1, f1, b2, f2 = const(one, beta1), const(one, 1.0 - beta1), const(one, beta2), const(one, 1.0 - beta2)
    lr, keep = const(one, lr), const(one, 1.0 - decay)
    for i in range(len(theta)):
        g = grad[i]
        theta[i] = keep * theta[i] - lr * np.sign(b1 * m[i] + f1 * g)
        m[i] = flushed(b2 * m[i] + f2 * g, SIGNAL)
