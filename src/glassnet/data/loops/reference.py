"""The definitions of the data floor's loops: plain NumPy, to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["count_bytes"]

Bytes = npt.NDArray[np.uint8]


def count_bytes(X: Bytes, counts: npt.NDArray[Any]) -> None:
    """Add one to counts[j, X[i, j]] for every element of X (n, n_features); counts is (n_features, 256)."""
    for j in range(X.shape[1]):
        counts[j] += np.bincount(X[:, j], minlength=256)
