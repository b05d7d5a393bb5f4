"""Fewer points with the same shape, so that a page of long curves stays small."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_BINS", "bin_columns", "significant", "thin"]

MOST_BINS = 1024  # of columns side by side: about one per pixel of the figure

Floats = npt.NDArray[np.floating[Any]]


def significant(values: npt.ArrayLike, digits: int = 5) -> list[float | None]:
    """Values rounded to significant digits; what is not finite becomes None (JSON's null).

    Parameters
    ----------
    values : (n,) numbers
    digits : significant digits that remain

    Examples
    --------
    >>> significant([1.23456789, 0.000123456, float("nan")], 3)
    [1.23, 0.000123, None]
    """
    array = np.asarray(values, dtype=float).ravel()
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in array.tolist()]


def thin(x: Floats, y: Floats, most: int = 400) -> npt.NDArray[np.intp]:
    """Which points to draw: the lowest and the highest of each of most/2 equal stretches of x, and both ends.

    Nothing is averaged, so every spike stays; points that are not finite are left out.

    Parameters
    ----------
    x, y : (n,) a curve
    most : how many points are drawn at most, about

    Returns
    -------
    (m,) indices in their order, m <= most + 2

    Examples
    --------
    >>> y = np.ones(1000); y[333] = 9.0
    >>> kept = thin(np.arange(1000.0), y, most=10)
    >>> len(kept) <= 12, 333 in kept, kept[0], kept[-1]
    (True, True, np.int64(0), np.int64(999))
    """
    finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(finite) <= most:
        return finite
    across = x[finite]
    low, span = across.min(), np.ptp(across) or 1.0
    stretch = np.minimum((across - low) / span * (most // 2), most // 2 - 1).astype(int)
    order = np.lexsort((y[finite], stretch))  # by stretch, and from low to high within each
    edge = np.flatnonzero(np.diff(stretch[order])) + 1
    lowest, highest = order[np.r_[0, edge]], order[np.r_[edge, len(order)] - 1]
    drawn: npt.NDArray[np.intp] = finite[np.unique(np.r_[0, lowest, highest, len(finite) - 1])]
    return drawn


def bin_columns(quantiles: Floats, most: int = MOST_BINS) -> tuple[Floats, Floats]:
    """Column quantiles with neighbouring columns put together where there are more than `most`.

    Of the columns in one bin the lowest minimum, the highest maximum and the mean of the quartiles remain.

    Parameters
    ----------
    quantiles : (5, n_features) minimum, 25 %, median, 75 %, maximum of each column
    most : how many bins are drawn at most

    Returns
    -------
    first column of each bin (m,), and quantiles (5, m)

    Examples
    --------
    >>> q = np.array([[0, 1], [2, 4], [3, 5], [4, 6], [9, 8]], float)
    >>> first, binned = bin_columns(q, most=1)
    >>> first.tolist(), binned.ravel().tolist()
    ([0.0], [0.0, 3.0, 4.0, 5.0, 9.0])
    """
    n = quantiles.shape[1]
    if n <= most:
        return np.arange(n, dtype=float), np.asarray(quantiles, dtype=float)
    first = np.linspace(0, n, most, endpoint=False).astype(int)
    size = np.diff(np.r_[first, n])
    binned = np.empty((5, most))
    binned[0] = np.fmin.reduceat(quantiles[0], first)
    binned[1:4] = np.add.reduceat(quantiles[1:4], first, axis=1, dtype=float) / size
    binned[4] = np.fmax.reduceat(quantiles[4], first)
    return first.astype(float), binned
