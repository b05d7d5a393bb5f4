"""Memory for the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LINE", "SAME_PLACE", "spaced"]

LINE = 64  # bytes that a processor fetches at once
SAME_PLACE = 4096  # bytes; lines so far apart, or a multiple of it, have the same few places in a cache


def spaced(shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array to be written first, whose rows begin with cache lines, an odd number of lines apart.

    A cache puts lines that are a multiple of 4096 bytes apart into the same few places: of a column of a
    batch with 1024 or 3072 inputs no more than eight rows would stay (the gradient of 32 x 3072 x 128: 65 in
    place of 87 GFLOP/s).

    Returns
    -------
    An array of which only the rows are without gaps

    Examples
    --------
    >>> X = spaced((2, 1024), "float32")
    >>> X.shape, X.strides, X.ctypes.data % 64
    ((2, 1024), (4160, 4), 0)
    """
    (rows, columns), dtype = shape, np.dtype(dtype)
    row = (-(-columns * dtype.itemsize // LINE) | 1) * LINE
    memory = np.empty(rows * row + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    cells = memory[start : start + rows * row].view(dtype).reshape(rows, row // dtype.itemsize)
    return cells[:, :columns]
