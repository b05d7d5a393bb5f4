"""Numba twins of the reference loops: the same names, signatures and results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_bytes"]

Bytes = npt.NDArray[np.uint8]
_jit = njit(cache=True, nogil=True)

_COLUMNS = 64  # 64 columns x 256 counters x 8 bytes stay in the second-level cache


@_jit
def count_bytes(X: Bytes, counts: npt.NDArray[Any]) -> None:
    """As `reference.count_bytes`."""
    n, width = X.shape
    for start in range(0, width, _COLUMNS):
        stop = min(width, start + _COLUMNS)
        for i in range(n):
            for j in range(start, stop):
                counts[j, X[i, j]] += 1
