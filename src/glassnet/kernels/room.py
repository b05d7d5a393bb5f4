"""Memory that begins where a cache line does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LINE", "SAME_PLACE", "aligned", "spaced"]

LINE = 64  # bytes that a processor fetches at once
SAME_PLACE = 4096  # bytes; lines so far apart, or a multiple of it, have the same few places in a cache


def aligned(
    shape: int | tuple[int, ...], dtype: npt.DTypeLike, zeros: bool = False
) -> npt.NDArray[Any]:  # fmt: skip
    """An array to be written first, or zeros, whose first number begins a cache line.

    Vectors as wide as a line would else all lie across two of them, which takes twice as long in the first
    cache (NumPy's own large arrays begin 16 bytes behind a line; W4: a step takes 5 to 10 % less).

    Examples
    --------
    >>> aligned((2, 16), "float32").ctypes.data % 64
    0
    """
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (np.zeros if zeros else np.empty)(n_bytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


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
    (rows, columns), size = shape, np.dtype(dtype).itemsize
    row = (-(-columns * size // LINE) | 1) * LINE
    return aligned((rows, row // size), dtype)[:, :columns]
