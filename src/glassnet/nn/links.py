"""Links: from a network's linear outputs to probabilities, without overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels

__all__ = ["sigmoid", "softmax"]

Array = npt.NDArray[Any]


def softmax(Z: Array) -> Array:
    """Probabilities exp(z) / sum exp(z) of each row of Z (n, C); numbers but float32 become float64.

    >>> softmax(np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    if Z.dtype.char not in "fd" or not Z.dtype.isnative:
        Z = Z.astype(np.float64)
    P = np.empty(Z.shape, Z.dtype)  # (n, C)
    kernels.softmax(Z, P)
    return P


def sigmoid(Z: Array) -> Array:
    """1 / (1 + exp(-z)) of each number, stable for large |z|.

    >>> sigmoid(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    e = np.exp(-np.abs(Z))
    return np.asarray(np.where(Z >= 0, e.dtype.type(1), e) / (1 + e))
