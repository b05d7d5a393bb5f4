"""Losses: each owns its link (softmax, sigmoid, identity), so the network's outputs stay plain logits.

`gradient(Z, y, w, scale, dZ)` writes dZ = scale * w_i * d loss_i / dZ and returns scale * sum_i w_i loss_i.
With scale = 1 / sum(w) that is the weighted mean over the batch; parts of a batch simply add up.
To add one: a class here and its name in `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.links import sigmoid, softmax
from glassnet.nn.registry import call_text, entry, refuse_settings

__all__ = [
    "LOSSES", "Absolute", "Custom", "Huber", "Loss", "Poisson", "Quantile", "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy", "Squared", "for_the_mean", "loss",
]  # fmt: skip

Array = npt.NDArray[Any]
ONE = np.ones(1)


class Loss:
    """Base of all losses."""

    classifies = False  # True: y are classes and `link` gives probabilities
    class_weight: Array | None = None

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        """y in the form `gradient` takes: here float targets of shape (n, n_outputs)."""
        T = np.asarray(y, dtype=dtype).reshape(len(y), -1)
        if T.shape[1] != n_outputs:
            raise InputError(f"y has {T.shape[1]} columns but the network has {n_outputs} outputs")
        return T

    def weights(self, y: Array, sample_weight: Array | None) -> Array | None:
        """Weight of each row, shape (n,), or None for all ones: sample weights times class weights."""
        if self.class_weight is None:
            return sample_weight
        if y.ndim == 1:  # codes
            by_class = self.class_weight[y]
        else:  # (n, 1) yes or no, or a share of yes
            by_class = self.class_weight[0] * (1 - y[:, 0]) + self.class_weight[1] * y[:, 0]
        return by_class if sample_weight is None else by_class * sample_weight

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        raise NotImplementedError

    def link(self, Z: Array) -> Array:
        """From outputs to predictions (probabilities, or values)."""
        return Z

    def settings(self) -> dict[str, Any]:
        """The arguments it was made with, without those that are None."""
        return {k.lstrip("_"): v for k, v in vars(self).items() if v is not None}

    def __repr__(self) -> str:
        return call_text(self, self.settings())


def for_the_mean(w: Array, rows: int) -> float:
    """The scale with which `gradient` gives a weighted mean: weights (B,), or (1,) for all rows alike.

    >>> for_the_mean(np.ones(1), 4), for_the_mean(np.array([1.0, 3.0]), 2)
    (0.25, 0.25)
    """
    return 1.0 / (float(w.sum()) if len(w) > 1 else rows * float(w[0]))


def _class_weight(weights: Any) -> Array | None:
    """Factors of the classes as an array, checked."""
    if weights is None:
        return None
    try:
        w = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        w = np.empty(0)
    if w.ndim != 1 or not len(w) or not (np.isfinite(w) & (w >= 0)).all() or not w.any():
        raise InputError(
            f"class_weight must be a row of factors, one per class, none negative, not all 0: {weights!r}"
        )
    return w


def _fits_classes(weights: Array | None, n_classes: int) -> None:
    if weights is not None and len(weights) != n_classes:
        raise InputError(f"class_weight has {len(weights)} factors, but there are {n_classes} classes")


def _column(w: Array, scale: float) -> Array:
    return np.asarray(w)[:, None] * scale  # (B, 1) or (1, 1)


def _class_codes(y: Array, n_classes: int) -> Array:
    """Integer classes (n,) from integer classes or from one-hot rows (n, C)."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == n_classes and n_classes > 1:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()
        if not one_hot:
            raise InputError("one-hot y must have exactly one 1 in every row and zeros elsewhere")
        return np.asarray(y.argmax(axis=1), dtype=np.int64)
    y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1:
        raise InputError(f"y must be class codes of shape (n,) or one-hot (n, {n_classes}), not {y.shape}")
    codes = y.astype(np.int64)
    if not (codes == y).all():
        raise InputError("y must hold whole numbers (class codes), but some are fractions")
    if len(codes) and (codes.min() < 0 or codes.max() >= n_classes):
        bad = int(np.flatnonzero((codes < 0) | (codes >= n_classes))[0])
        raise InputError(
            f"y[{bad}] = {codes[bad]}, but the network's {n_classes} outputs "
            f"stand for classes 0 to {n_classes - 1}"
        )
    return codes


class SoftmaxCrossEntropy(Loss):
    """-log softmax(z)_y for one of C classes, from logits (stable).

    `gradient` also takes shares (B, C) of the classes, as mixed rows have them, instead of codes (B,): the
    loss is then the mean over the classes with these weights.

    Parameters
    ----------
    label_smoothing : s in [0, 1): the target becomes (1 - s) one_hot + s / C (Szegedy et al. 2016)
    focal : gamma >= 0; the loss is weighted with (1 - p_y)^gamma (Lin et al. 2017); 0 is plain
    class_weight : (C,) factor for rows of each class

    Examples
    --------
    >>> dZ = np.empty((1, 2))
    >>> SoftmaxCrossEntropy().gradient(np.zeros((1, 2)), np.array([0]), np.ones(1), 1.0, dZ), dZ.tolist()
    (0.693..., [[-0.5, 0.5]])
    """

    classifies = True

    def __init__(
        self, label_smoothing: float = 0.0, focal: float = 0.0, class_weight: Array | None = None
    ) -> None:
        _check_smoothing(label_smoothing, focal)
        self.label_smoothing, self.focal = label_smoothing, focal
        self.class_weight = _class_weight(class_weight)

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        _fits_classes(self.class_weight, n_outputs)
        return _class_codes(y, n_outputs)

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        if self.focal == 0:
            return float(kernels.softmax_cross_entropy(Z, y, w, self.label_smoothing, scale, dZ))
        shares = y if y.ndim == 2 else y[:, None] == np.arange(Z.shape[1])
        T = (1 - self.label_smoothing) * shares + self.label_smoothing / Z.shape[1]  # (B, C)
        log_p = Z - Z.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        P = np.maximum(np.exp(log_p), np.finfo(Z.dtype).tiny)
        # loss_k = -(1-p_k)^g log p_k, dp_k/dz_j = p_k ([j = k] - p_j): d loss_k/dz_j = f_k (p_j - [j = k])
        K = T * _focal_factor(P, self.focal)
        column = _column(w, scale)
        np.multiply(P * K.sum(axis=1, keepdims=True) - K, column, out=dZ)
        return float(np.sum(-T * (1 - P) ** self.focal * log_p * column))

    def link(self, Z: Array) -> Array:
        """softmax(Z): (n, C) logits to probabilities that sum to 1."""
        return softmax(Z)


def _check_smoothing(smoothing: float, focal: float) -> None:
    if not 0 <= smoothing < 1:
        raise InputError(f"label_smoothing must be in [0, 1), not {smoothing}")
    if focal < 0:
        raise InputError(f"focal must not be negative: {focal}")
    if focal and smoothing:
        raise InputError("focal and label_smoothing exclude each other: set one of them to 0")


def _focal_factor(p: Array, gamma: float) -> Array:
    """d/dlogit factor of -(1-p)^g log p: (1-p)^g - g p (1-p)^(g-1) log p, times (p_j - target_j)."""
    q = 1 - p
    return np.asarray(q**gamma - gamma * p * np.maximum(q, 1e-12) ** (gamma - 1) * np.log(p))


class SigmoidCrossEntropy(Loss):
    """Cross-entropy of independent yes/no outputs: two classes with one output, or several labels.

    Parameters
    ----------
    label_smoothing : s in [0, 1): targets move to y (1 - s) + s / 2
    focal : gamma >= 0, as for softmax
    class_weight : (2,) factors for rows of class 0 and class 1 (one output only)
    """

    classifies = True

    def __init__(
        self, label_smoothing: float = 0.0, focal: float = 0.0, class_weight: Array | None = None
    ) -> None:
        _check_smoothing(label_smoothing, focal)
        self.label_smoothing, self.focal = label_smoothing, focal
        self.class_weight = _class_weight(class_weight)

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        if self.class_weight is not None and n_outputs > 1:
            raise InputError(f"class_weight needs one yes/no output, but the network has {n_outputs}")
        _fits_classes(self.class_weight, 2)
        T = super().targets(y, n_outputs, dtype)
        outside = (T < 0) | (T > 1) | np.isnan(T)
        if outside.any():
            row, column = np.argwhere(outside)[0].tolist()
            raise InputError(f"y[{row}, {column}] = {T[row, column]}, but yes/no targets lie between 0 and 1")
        return T

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        if self.focal == 0:
            return float(kernels.sigmoid_cross_entropy(Z, y, w, self.label_smoothing, scale, dZ))
        sign = 2 * y - 1  # p = probability of the true answer = sigmoid(sign z)
        p = np.maximum(self.link(sign * Z), np.finfo(Z.dtype).tiny)  # (B, K)
        column = _column(w, scale)
        np.multiply(-sign * (1 - p) * _focal_factor(p, self.focal), column, out=dZ)
        return float(np.sum(-((1 - p) ** self.focal) * np.log(p) * column))

    def link(self, Z: Array) -> Array:
        """sigmoid(Z): (n, K) logits to probabilities, each by itself."""
        return sigmoid(Z)


class Squared(Loss):
    """Half the squared error, summed over the outputs: 0.5 sum_k (z_k - y_k)²."""

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        column = _column(w, scale)
        np.subtract(Z, y, out=dZ)  # (B, K)
        value = 0.5 * float(np.sum(dZ * dZ * column))
        dZ *= column
        return value


class Absolute(Loss):
    """sum_k |z_k - y_k|: the median is its best constant."""

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        column = _column(w, scale)
        np.subtract(Z, y, out=dZ)
        value = float(np.sum(np.abs(dZ) * column))
        np.sign(dZ, out=dZ)
        dZ *= column
        return value


class Huber(Loss):
    """Squared near 0, absolute beyond delta: sum_k d²/2 or delta (|d| - delta/2) (Huber 1964)."""

    def __init__(self, delta: float = 1.0) -> None:
        if delta <= 0:
            raise InputError(f"delta must be positive, not {delta}")
        self.delta = delta

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        column = _column(w, scale)
        np.subtract(Z, y, out=dZ)
        size = np.abs(dZ)
        each = np.where(size <= self.delta, 0.5 * dZ * dZ, self.delta * (size - 0.5 * self.delta))
        np.clip(dZ, -self.delta, self.delta, out=dZ)
        dZ *= column
        return float(np.sum(each * column))


class Poisson(Loss):
    """Counts y >= 0 with mean exp(z): sum_k exp(z) - y z (the constant log y! left out)."""

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        T = super().targets(y, n_outputs, dtype)
        if (T < 0).any():
            row = int(np.argwhere(T < 0)[0, 0])
            raise InputError(f"y[{row}] is negative, but the Poisson loss is for counts (0, 1, 2 ...)")
        return T

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        column = _column(w, scale)
        np.exp(Z, out=dZ)
        value = float(np.sum((dZ - y * Z) * column))
        dZ -= y
        dZ *= column
        return value

    def link(self, Z: Array) -> Array:
        return np.asarray(np.exp(Z))


class Quantile(Loss):
    """The pinball loss: max(q d, (q - 1) d) with d = y - z; its best constant is the q-quantile."""

    def __init__(self, q: float = 0.5) -> None:
        if not 0 < q < 1:
            raise InputError(f"the quantile must lie between 0 and 1, not {q}")
        self.q = q

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        column = _column(w, scale)
        D = y - Z
        value = float(np.sum(np.maximum(self.q * D, (self.q - 1) * D) * column))
        dZ[...] = np.where(D > 0, -self.q, np.where(D < 0, 1 - self.q, 0.0))
        dZ *= column
        return value


class Custom(Loss):
    """Somebody's own loss: a function (Z, y) -> (loss of each row (B,), gradient (B, K)), checked when made.

    Parameters
    ----------
    function : Z (B, K) floats, y (B, K) floats -> losses (B,), d losses / dZ (B, K)
    link : from outputs to predictions, identity if None
    n_outputs : K for the check
    example_y : (B, K) targets for the check; standard normal numbers if None

    Raises
    ------
    InputError : wrong shapes, or the gradient is not the loss's

    Examples
    --------
    >>> loss = Custom(lambda Z, y: (((Z - y) ** 4).sum(axis=1), 4 * (Z - y) ** 3))
    >>> Custom(lambda Z, y: (((Z - y) ** 4).sum(axis=1), 3 * (Z - y) ** 3))
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: the gradient of the loss is wrong: for output 0 of row 0 it gives ...
    """

    def __init__(
        self, function: Callable[[Array, Array], tuple[Array, Array]],
        link: Callable[[Array], Array] | None = None, n_outputs: int = 1, example_y: Array | None = None,
    ) -> None:  # fmt: skip
        self.function, self._link = function, link
        rng = np.random.default_rng(0)
        Z = rng.normal(size=(5, n_outputs))
        y = (
            rng.normal(size=(5, n_outputs))
            if example_y is None
            else np.asarray(example_y, float).reshape(-1, n_outputs)[:5]
        )
        Z = Z[: len(y)]
        value, G = (np.asarray(part) for part in function(Z, y))
        if value.shape != (len(Z),) or G.shape != Z.shape:
            raise InputError(
                f"a loss must return shapes {(len(Z),)} and {Z.shape}, not {value.shape} and {G.shape}"
            )
        for i, k in np.ndindex(*Z.shape):
            up, down = Z.copy(), Z.copy()
            up[i, k] += 1e-5
            down[i, k] -= 1e-5
            measured = float(np.sum(function(up, y)[0]) - np.sum(function(down, y)[0])) / 2e-5
            if not abs(measured - G[i, k]) <= 1e-4 * (1 + abs(measured)):
                raise InputError(
                    f"the gradient of the loss is wrong: for output {k} of row {i} it gives {G[i, k]:.4g}, "
                    f"but the loss changes by {measured:.4g}"
                )

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        value, G = self.function(Z, y)
        np.multiply(G, _column(w, scale), out=dZ)
        return float(np.sum(value * w) * scale)

    def link(self, Z: Array) -> Array:
        return Z if self._link is None else self._link(Z)


LOSSES: dict[str, type[Loss]] = {
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "sigmoid_cross_entropy": SigmoidCrossEntropy,
    "squared": Squared,
    "absolute": Absolute,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
}


def loss(spec: str | Loss, **settings: Any) -> Loss:
    """The loss of that name with its settings, or the Loss itself.

    >>> loss("huber", delta=2.0)
    Huber(delta=2.0)
    """
    if isinstance(spec, Loss):
        refuse_settings("loss", spec, settings)
        return spec
    return entry("loss", LOSSES, spec, settings)(**settings)
