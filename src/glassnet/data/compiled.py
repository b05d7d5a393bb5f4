"""Loops of the data floor that NumPy cannot do without large temporary arrays, compiled by Numba.

Compiled at first use and cached on disk. Import this module inside the function that needs it: Numba takes
0.7 s to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_bytes"]

_COLUMNS = 64  # 64 columns x 256 counters x 8 bytes stay in the second-level cache


@njit(cache=True, nogil=True)
def count_bytes(X: npt.NDArray[np.uint8], counts: npt.NDArray[Any]) -> None:
    """Add one to counts[j, X[i, j]] for every element of X."""
    n, width = X.shape
    for start in range(0, width, _COLUMNS):
        stop = min(width, start + _COLUMNS)
        for i in range(n):
            for j in range(start, stop):
                counts[j, X[i, j]] += 1
