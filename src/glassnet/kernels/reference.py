"""The definition of every kernel, in plain NumPy. Arguments that are written to come last or are named so.

Shapes: B rows of a batch, O units of a layer, C classes, P parameters.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "accumulate",
    "act_grad",
    "adagrad",
    "adam",
    "batch_norm",
    "batch_norm_grad",
    "bias_act",
    "dropout",
    "gather",
    "hits",
    "l1",
    "l2",
    "lion",
    "mixed_codes",
    "momentum",
    "nadam",
    "product",
    "rms_norm",
    "rms_norm_grad",
    "rmsprop",
    "sgd",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
]

Array = npt.NDArray[Any]


class ActivationLike(Protocol):
    """What a kernel needs to know of an activation (nn.activations.Activation has it)."""

    @property
    def name(self) -> str: ...
    def f(self, Z: Array, /) -> Array: ...
    def df(self, S: Array, /) -> Array: ...


def gather(X: Array, rows: Array, scale: Array, shift: Array, out: Array) -> None:
    """out = X[rows] * scale + shift, converted to out's type; scale and shift have shape (1,) or (I,)."""
    np.multiply(X[rows], scale, out=out, casting="unsafe")  # (B, I)
    out += shift


def product(A: Array, B: Array, out: Array, may_round: bool = False) -> None:
    """out = A @ B.

    `may_round` allows that factors are rounded to bfloat16 where a processor multiplies these faster; NumPy
    does not.
    """
    np.matmul(A, B, out=out)


def bias_act(Z: Array, b: Array, f: ActivationLike, A: Array) -> None:
    """Z += b, then A = f(Z); A may be Z itself."""
    Z += b  # (B, O)
    np.copyto(A, f.f(Z))  # (B, O)


def act_grad(dA: Array, S: Array, f: ActivationLike, db: Array) -> None:
    """dA becomes dZ = dA * f'(S), and db its sum over the rows; S is A or Z, as f' wants it."""
    dA *= f.df(S)  # (B, O)
    dA.sum(axis=0, out=db)  # (O,)


def softmax(Z: Array, out: Array) -> None:
    """out = exp(Z) / sum exp(Z) of each row, (B, C), stable as below."""
    # a transposed copy: along a row of ten NumPy is twice as slow as down the columns
    T = np.array(Z.T, out.dtype, order="C")  # (C, B)
    T -= T.max(axis=0)
    np.exp(T, out=T)
    T /= T.sum(axis=0)
    out[...] = T.T


def softmax_cross_entropy(Z: Array, y: Array, w: Array, smoothing: float, scale: float, dZ: Array) -> float:
    """Weighted cross-entropy of softmax(Z) and classes y; dZ = its gradient. Both times `scale`.

    y holds class codes (B,) or shares of the classes (B, C). With label smoothing s the target of row i is
    (1 - s) one_hot(y_i) + s / C, or (1 - s) y_i + s / C (Szegedy et al. 2016).
    Stable: only differences to the row's maximum are exponentiated. w has shape (B,) or (1,).
    """
    B, C = Z.shape
    if y.ndim == 1 and ((y < 0) | (y >= C)).any():  # a negative one would count from the end
        raise IndexError("a code is none of the classes")
    np.subtract(Z, Z.max(axis=1, keepdims=True), out=dZ)  # (B, C)
    log_p = dZ - np.log(np.exp(dZ).sum(axis=1, keepdims=True))  # (B, C)
    target = np.full_like(dZ, smoothing / C)  # (B, C)
    if y.ndim == 1:
        target[np.arange(B), y] += 1.0 - smoothing
    else:
        target += (1.0 - smoothing) * y
    loss = -(target * log_p).sum(axis=1)  # (B,)
    row_scale = w * np.ones(B) * scale  # (B,)
    dZ[...] = (np.exp(log_p) * target.sum(axis=1, keepdims=True) - target) * row_scale[:, None]
    return float((loss * row_scale).sum())


def hits(Z: Array, y: Array) -> int:
    """Rows whose largest output, the first of equals, is that of their class y (B,)."""
    return int(np.count_nonzero(Z.argmax(axis=1) == y))


def mixed_codes(y: Array, partner: Array, share: Array, out: Array) -> None:
    """Shares (B, C) of the classes: `share` (B,) of row i's class y (B,), the rest of its partner's class."""
    if len(partner) != len(y) or len(share) != len(y):
        raise IndexError("there must be a partner and a share for each row")
    if ((partner < 0) | (partner >= len(y))).any():
        raise IndexError("a partner is none of the rows")
    rows = np.arange(len(y))
    out[...] = 0
    out[rows, y] = share
    out[rows, y[partner]] += 1 - share


def sigmoid_cross_entropy(Z: Array, Y: Array, w: Array, smoothing: float, scale: float, dZ: Array) -> float:
    """Weighted cross-entropy of sigmoid(Z) and targets Y in [0, 1], summed over outputs; dZ its gradient.

    loss = max(z, 0) - z t + log(1 + exp(-|z|)) with t = y (1 - s) + s / 2, which never overflows.
    """
    T = Y * (1.0 - smoothing) + 0.5 * smoothing  # (B, K)
    loss = (np.maximum(Z, 0) - Z * T + np.log1p(np.exp(-np.abs(Z)))).sum(axis=1)  # (B,)
    row_scale = w * np.ones(len(Z)) * scale  # (B,)
    e = np.exp(-np.abs(Z))
    p = np.where(Z >= 0, 1.0, e) / (1.0 + e)  # the stable sigmoid
    dZ[...] = (p - T) * row_scale[:, None]
    return float((loss * row_scale).sum())


def dropout(X: Array, U: Array, rate: float, mask: Array, A: Array) -> None:
    """mask = (U >= rate) / (1 - rate) for uniform U in [0, 1), A = X * mask (inverted dropout)."""
    np.multiply(rate <= U, 1.0 / (1.0 - rate), out=mask, casting="unsafe")
    np.multiply(X, mask, out=A)


def batch_norm(
    X: Array, gamma: Array, beta: Array, eps: float, mean: Array, rstd: Array, Xn: Array, A: Array
) -> None:
    """A = gamma Xn + beta, Xn = (X - mean) * rstd over the rows; writes mean and rstd = 1/sqrt(var + eps)."""
    X.mean(axis=0, out=mean)  # (O,)
    rstd[...] = 1.0 / np.sqrt(((X - mean) ** 2).mean(axis=0) + eps)  # (O,)
    np.multiply(X - mean, rstd, out=Xn)  # (B, O)
    np.multiply(Xn, gamma, out=A)
    A += beta


def batch_norm_grad(
    dA: Array, Xn: Array, gamma: Array, rstd: Array, dgamma: Array, dbeta: Array, dX: Array
) -> None:
    """Gradients of batch_norm: dX = gamma rstd (dA - mean(dA) - Xn mean(dA Xn)), means over the rows."""
    dA.sum(axis=0, out=dbeta)  # (O,)
    (dA * Xn).sum(axis=0, out=dgamma)  # (O,)
    B = len(dA)
    dX[...] = gamma * rstd * (dA - dbeta / B - Xn * (dgamma / B))


def rms_norm(
    X: Array, gamma: Array, beta: Array, eps: float, centre: bool, rstd: Array, Xn: Array, A: Array
) -> None:
    """LayerNorm (centre) or RMSNorm over each row: A = gamma Xn + beta; writes rstd (B,) and Xn."""
    D = X - X.mean(axis=1, keepdims=True) if centre else X  # (B, O)
    rstd[...] = 1.0 / np.sqrt((D * D).mean(axis=1) + eps)  # (B,)
    np.multiply(D, rstd[:, None], out=Xn)  # (B, O)
    np.multiply(Xn, gamma, out=A)
    A += beta


def rms_norm_grad(
    dA: Array, Xn: Array, gamma: Array, centre: bool, rstd: Array, dgamma: Array, dbeta: Array, dX: Array
) -> None:
    """Gradients of rms_norm: dX = rstd (g - [mean(g)] - Xn mean(g Xn)), g = gamma dA, means over a row."""
    dA.sum(axis=0, out=dbeta)
    (dA * Xn).sum(axis=0, out=dgamma)
    G = dA * gamma  # (B, O)
    along = (G * Xn).mean(axis=1, keepdims=True)  # (B, 1)
    dX[...] = (G - Xn * along - (G.mean(axis=1, keepdims=True) if centre else 0.0)) * rstd[:, None]


def accumulate(total: Array, grad: Array) -> None:
    """total += grad."""
    total += grad


def l1(theta: Array, grad: Array, k: float) -> float:
    """grad += k sign(theta); returns k * sum |theta|, whose gradient that is."""
    grad += k * np.sign(theta)
    return k * float(np.abs(theta).sum())


def l2(theta: Array, grad: Array, k: float) -> float:
    """grad += k theta; returns k / 2 * theta . theta, whose gradient that is."""
    grad += k * theta
    return 0.5 * k * float(np.dot(theta, theta))


def sgd(theta: Array, grad: Array, lr: float, decay: float) -> None:
    """theta = (1 - decay) theta - lr grad."""
    theta *= 1.0 - decay
    theta -= lr * grad


def momentum(theta: Array, grad: Array, v: Array, lr: float, mu: float, nesterov: bool, decay: float) -> None:
    """v = mu v - lr grad; theta += v, or with Nesterov's look-ahead theta += mu v - lr grad."""
    theta *= 1.0 - decay
    v *= mu
    v -= lr * grad
    theta += mu * v - lr * grad if nesterov else v


def adagrad(theta: Array, grad: Array, s: Array, lr: float, eps: float, decay: float) -> None:
    """s += grad²; theta -= lr grad / (sqrt(s) + eps)."""
    theta *= 1.0 - decay
    s += grad * grad
    theta -= lr * grad / (np.sqrt(s) + eps)


def rmsprop(theta: Array, grad: Array, s: Array, lr: float, rho: float, eps: float, decay: float) -> None:
    """s = rho s + (1 - rho) grad²; theta -= lr grad / (sqrt(s) + eps)."""
    theta *= 1.0 - decay
    s *= rho
    s += (1.0 - rho) * grad * grad
    theta -= lr * grad / (np.sqrt(s) + eps)


def adam(
    theta: Array, grad: Array, m: Array, v: Array, lr: float, beta1: float, beta2: float, eps: float,
    c1: float, c2: float, decay: float,
) -> None:  # fmt: skip
    """m, v = moving means of grad and grad²; theta -= lr (m / c1) / (sqrt(v / c2) + eps).

    c1 = 1 - beta1^t and c2 = 1 - beta2^t undo the start at zero; c2 = inf leaves out the second moment
    (the denominator is then 1), as RAdam's first steps need it.
    """
    theta *= 1.0 - decay
    m *= beta1
    m += (1.0 - beta1) * grad
    v *= beta2
    v += (1.0 - beta2) * grad * grad
    theta -= (lr / c1) * m / (1.0 if np.isinf(c2) else np.sqrt(v / c2) + eps)


def nadam(
    theta: Array, grad: Array, m: Array, v: Array, lr: float, beta1: float, beta2: float, eps: float,
    cm: float, cg: float, c2: float, decay: float,
) -> None:  # fmt: skip
    """Adam whose numerator looks ahead: theta -= lr (cm m + cg grad) / (sqrt(v / c2) + eps)."""
    theta *= 1.0 - decay
    m *= beta1
    m += (1.0 - beta1) * grad
    v *= beta2
    v += (1.0 - beta2) * grad * grad
    theta -= lr * (cm * m + cg * grad) / (np.sqrt(v / c2) + eps)


def lion(theta: Array, grad: Array, m: Array, lr: float, beta1: float, beta2: float, decay: float) -> None:
    """theta -= lr sign(beta1 m + (1 - beta1) grad); then m = beta2 m + (1 - beta2) grad."""
    theta *= 1.0 - decay
    theta -= lr * np.sign(beta1 * m + (1.0 - beta1) * grad)
    m *= beta2
    m += (1.0 - beta2) * grad
