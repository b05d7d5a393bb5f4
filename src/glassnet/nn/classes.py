"""Classes as losses take them: codes from 0 on, a factor for each, and what is said where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError

__all__ = ["class_codes", "class_weights", "fits_classes", "no_such_class"]

Array = npt.NDArray[Any]


def class_weights(weights: Any) -> Array | None:
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


def fits_classes(weights: Array | None, n_classes: int) -> None:
    """Refuse another number of factors than there are classes."""
    if weights is not None and len(weights) != n_classes:
        raise InputError(f"class_weight has {len(weights)} factors, but there are {n_classes} classes")


def class_codes(y: Array, n_classes: int) -> Array:
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
        raise no_such_class(n_classes, f"y[{bad}] = {codes[bad]}")
    return codes


def no_such_class(n_classes: int, what: str = "") -> InputError:
    """The error for a class code that names no output; a kernel that met one does not say which."""
    what = what or f"y has a class code below 0 or above {n_classes - 1}"
    return InputError(f"{what}, but the network's {n_classes} outputs stand for classes 0 to {n_classes - 1}")
