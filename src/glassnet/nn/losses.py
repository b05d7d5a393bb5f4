"""Losses: each owns its link (softmax, sigmoid, identity), so the network's outputs stay plain logits.

`gradient(Z, y, w, scale, dZ)` writes dZ = scale * w_i * d loss_i / dZ and returns scale * sum_i w_i loss_i.
With scale = 1 / sum(w) that is the weighted mean over the batch; parts of a batch simply add up.
What NumPy needs on the way is of the size of a piece of a large batch, not of the batch (`_in_pieces`).
To add one: a class here and its name in `LOSSES`. Somebody's own loss, outside: `own_loss.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.classes import class_codes, class_weights, fits_classes, no_such_class
from glassnet.nn.links import sigmoid, softmax
from glassnet.nn.numbers import checked
from glassnet.nn.registry import call_text, entry, refuse_class, refuse_settings

__all__ = [
    "LOSSES", "Absolute", "Huber", "Loss", "Poisson", "Quantile", "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy", "Squared", "column", "for_the_mean", "loss",
]  # fmt: skip

Array = npt.NDArray[Any]
ONE = np.ones(1)
_PIECE = 2**15  # numbers of an array that is made on the way: it stays in the cache


class Loss:
    """Base of all losses."""

    classifies = False  # True: y are classes and `link` gives probabilities
    to_be_checked = True  # False in a class of your own: take its gradient on trust
    class_weight: Array | None = None

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        """y in the form `gradient` takes: here float targets of shape (n, n_outputs)."""
        T = np.asarray(y)
        T = T[:, None] if T.ndim == 1 else T
        if T.shape != (len(y), n_outputs):
            raise InputError(
                f"y has shape {np.shape(y)}, but the network has {n_outputs} outputs: "
                f"give y of shape {len(y), n_outputs}"
            )
        if T.dtype.kind == "c":
            raise InputError("y holds complex numbers: a loss is for real ones")
        return T.astype(dtype, copy=False)

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
    try:
        return 1.0 / (float(w.sum()) if len(w) > 1 else rows * float(w[0]))
    except ZeroDivisionError:
        raise InputError(f"the weights of these {rows} rows add up to 0: there is no mean of them") from None


Gradient = Callable[[Any, Array, Array, Array, float, Array], float]


def _in_pieces(gradient: Gradient) -> Gradient:
    """The same gradient, of many rows in pieces, so that no array on the way grows with the batch."""

    @wraps(gradient)
    def by_pieces(self: Any, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        _refuse_other_shape(y, Z.shape)
        return _piece_by_piece(gradient, self, Z, y, w, scale, dZ)

    return by_pieces


def _piece_by_piece(
    gradient: Gradient, loss: Any, Z: Array, y: Array, w: Array, scale: float, dZ: Array
) -> float:  # fmt: skip
    step = max(1, _PIECE // Z.shape[1])  # rows
    if len(Z) <= step:
        return gradient(loss, Z, y, w, scale, dZ)
    value = 0.0
    for start in range(0, len(Z), step):
        rows = slice(start, start + step)
        value += gradient(loss, Z[rows], y[rows], w[rows] if len(w) > 1 else w, scale, dZ[rows])
    return value


def _refuse_other_shape(y: Array, *shapes: tuple[int, ...]) -> None:
    if y.shape not in shapes:
        raise InputError(
            f"targets of shape {y.shape} do not fit outputs of shape {shapes[0]}: "
            "give them as `loss.targets` makes them"
        )


def column(w: Array, scale: float) -> Array:
    """The weights times a scale, (B, 1) or (1, 1), to be multiplied with one number for each output."""
    return np.asarray(w)[:, None] * scale


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
        self.class_weight = class_weights(class_weight)

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        fits_classes(self.class_weight, n_outputs)
        return class_codes(y, n_outputs)

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        _refuse_other_shape(y, Z.shape, Z.shape[:1])
        if self.focal > 0:
            if y.ndim == 1 and ((y < 0) | (y >= Z.shape[1])).any():
                raise no_such_class(Z.shape[1])
            return _piece_by_piece(SoftmaxCrossEntropy._focal_gradient, self, Z, y, w, scale, dZ)
        try:
            return float(kernels.softmax_cross_entropy(Z, y, w, self.label_smoothing, scale, dZ))
        except IndexError:
            raise no_such_class(Z.shape[1]) from None

    def _focal_gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        T = y if y.ndim == 2 else y[:, None] == np.arange(Z.shape[1])  # (B, C) shares of the classes
        log_p = Z - Z.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        P = np.maximum(np.exp(log_p), np.finfo(Z.dtype).tiny)
        # loss_k = -(1-p_k)^g log p_k, dp_k/dz_j = p_k ([j = k] - p_j): d loss_k/dz_j = f_k (p_j - [j = k])
        K = T * _focal_factor(P, self.focal)
        each = column(w, scale)
        np.multiply(P * K.sum(axis=1, keepdims=True) - K, each, out=dZ)
        return -float(np.sum(T * (1 - P) ** self.focal * log_p * each))

    def link(self, Z: Array) -> Array:
        """softmax(Z): (n, C) logits to probabilities that sum to 1."""
        return softmax(Z)


def _check_smoothing(smoothing: float, focal: float) -> None:
    checked("label_smoothing", smoothing, "be in [0, 1)")
    checked("focal", focal, "not be negative")
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
        self.class_weight = class_weights(class_weight)

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        if self.class_weight is not None and n_outputs > 1:
            raise InputError(f"class_weight needs one yes/no output, but the network has {n_outputs}")
        fits_classes(self.class_weight, 2)
        T = super().targets(y, n_outputs, dtype)
        outside = (T < 0) | (T > 1) | np.isnan(T)
        if outside.any():
            row, column = np.argwhere(outside)[0].tolist()
            raise InputError(f"y[{row}, {column}] = {T[row, column]}, but yes/no targets lie between 0 and 1")
        return T

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        if self.focal > 0:
            return self._focal_gradient(Z, y, w, scale, dZ)
        _refuse_other_shape(y, Z.shape)
        return float(kernels.sigmoid_cross_entropy(Z, y, w, self.label_smoothing, scale, dZ))

    @_in_pieces
    def _focal_gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        """y times the focal loss of a yes, and 1 - y times that of a no: it is linear in y.

        With p = sigmoid(z), q = 1 - p, dp/dz = p q: the loss of a yes is -q^g log p, its slope
        -q^g (q - g p log p); those of a no are the same with p and q exchanged, and the slope's sign.
        """
        g, each = self.focal, column(w, scale)
        P, Q = self.link(Z), self.link(-Z)  # (B, K); 1 - P would be 0 for a large z
        log_p, log_q = -np.logaddexp(0, -Z), -np.logaddexp(0, Z)
        Pg, Qg = P**g, Q**g
        value = -float(np.sum((y * Qg * log_p + (1 - y) * Pg * log_q) * each))
        slope = (1 - y) * Pg * (P - g * Q * log_q) - y * Qg * (Q - g * P * log_p)
        np.multiply(slope, each, out=dZ)
        return value

    def link(self, Z: Array) -> Array:
        """sigmoid(Z): (n, K) logits to probabilities, each by itself."""
        return sigmoid(Z)


class Squared(Loss):
    """Half the squared error, summed over the outputs: 0.5 sum_k (z_k - y_k)²."""

    @_in_pieces
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        each = column(w, scale)
        np.subtract(Z, y, out=dZ)  # (B, K)
        value = 0.5 * float(np.sum(dZ * dZ * each))
        dZ *= each
        return value


class Absolute(Loss):
    """sum_k |z_k - y_k|: the median is its best constant."""

    @_in_pieces
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        each = column(w, scale)
        np.subtract(Z, y, out=dZ)
        value = float(np.sum(np.abs(dZ) * each))
        np.sign(dZ, out=dZ)
        dZ *= each
        return value


class Huber(Loss):
    """Squared near 0, absolute beyond delta: sum_k d²/2 or delta (|d| - delta/2) (Huber 1964)."""

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = checked("delta", delta, "be positive")

    @_in_pieces
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        each = column(w, scale)
        np.subtract(Z, y, out=dZ)
        size = np.abs(dZ)
        losses = np.where(size <= self.delta, 0.5 * dZ * dZ, self.delta * (size - 0.5 * self.delta))
        np.clip(dZ, -self.delta, self.delta, out=dZ)
        dZ *= each
        return float(np.sum(losses * each))


class Poisson(Loss):
    """Counts y >= 0 with mean exp(z): sum_k exp(z) - y z (the constant log y! left out)."""

    def targets(self, y: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
        T = super().targets(y, n_outputs, dtype)
        if (T < 0).any():
            row = int(np.argwhere(T < 0)[0, 0])
            raise InputError(f"y[{row}] is negative, but the Poisson loss is for counts (0, 1, 2 ...)")
        return T

    @_in_pieces
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        each = column(w, scale)
        np.exp(Z, out=dZ)
        value = float(np.sum((dZ - y * Z) * each))
        dZ -= y
        dZ *= each
        return value

    def link(self, Z: Array) -> Array:
        return np.asarray(np.exp(Z))


class Quantile(Loss):
    """The pinball loss: max(q d, (q - 1) d) with d = y - z; its best constant is the q-quantile."""

    def __init__(self, q: float = 0.5) -> None:
        self.q = checked("the quantile", q, "lie between 0 and 1")

    @_in_pieces
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        each = column(w, scale)
        D = y - Z
        value = float(np.sum(np.maximum(self.q * D, (self.q - 1) * D) * each))
        dZ[...] = np.where(D > 0, -self.q, np.where(D < 0, 1 - self.q, 0.0))
        dZ *= each
        return value


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
    refuse_class("loss", spec, Loss)
    if callable(spec):
        raise InputError(
            f"{spec!r} is no loss: Custom(...) makes one of a function, and says what it must return"
        )
    return entry("loss", LOSSES, spec, settings)(**settings)
