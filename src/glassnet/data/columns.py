"""Statistics of every column of X, read in chunks: never a float copy of all of X.

Whole numbers of eight bits are counted or summed exactly; other numbers are summed in float64. A missing
value (NaN) is left out of every statistic, an infinite one of the moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Moments", "chunks", "extremes", "moments", "quantiles", "value_counts"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer[Any]]

# 256 rows of bytes are converted to float32, whose sums of squares stay exact: 256 * 255**2 < 2**24.
_BYTE_ROWS = 256
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Moments:
    """Count, mean and standard deviation of each column, arrays of shape (n_features,).

    The deviation divides by n, not n - 1. A column without a value has mean and standard deviation 0.
    """

    count: npt.NDArray[np.int64]
    mean: Floats
    std: Floats


def chunks(X: Array, rows: Rows | None = None, size: int | None = None) -> Iterator[Array]:
    """X (or these rows of it) piece by piece, a few megabytes at a time.

    >>> [len(piece) for piece in chunks(np.zeros((5, 3)), size=2)]
    [2, 2, 1]
    """
    n = len(X) if rows is None else len(rows)
    if size is None:
        size = max(1, _CHUNK_BYTES // max(1, X.shape[1] * 8))
    for start in range(0, n, size):
        yield X[start : start + size] if rows is None else X[rows[start : start + size]]


def moments(X: Array, rows: Rows | None = None) -> Moments:
    """Count, mean and standard deviation of each column.

    Parameters
    ----------
    X : (n, n_features) uint8 or float
    rows : (m,) row numbers to read, None for all

    Examples
    --------
    >>> m = moments(np.array([[0, 10], [2, 10]], np.uint8))
    >>> m.mean.tolist(), m.std.tolist()
    ([1.0, 10.0], [1.0, 0.0])
    """
    return _byte_moments(X, rows) if X.dtype == np.uint8 else _float_moments(X, rows)


def _byte_moments(X: Array, rows: Rows | None) -> Moments:
    n = len(X) if rows is None else len(rows)
    total, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    floats = np.empty((_BYTE_ROWS, X.shape[1]), np.float32)
    for piece in chunks(X, rows, _BYTE_ROWS):
        part = floats[: len(piece)]
        part[...] = piece
        total += part.sum(axis=0)
        squares += np.einsum("ij,ij->j", part, part)
    mean = total / max(n, 1)
    # Integers below 2**53: n * sum(x**2) - sum(x)**2 loses nothing up to 370,000 rows, and little beyond.
    std = np.sqrt(np.maximum(n * squares - total * total, 0)) / max(n, 1)
    return Moments(np.full(X.shape[1], n), mean, std)


def _float_moments(X: Array, rows: Rows | None) -> Moments:
    """Chunk by chunk after Chan, Golub & LeVeque (1983): the mean of squares never cancels."""
    count = np.zeros(X.shape[1], np.int64)
    mean, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for piece in chunks(X, rows):
        values = piece.astype(np.float64)
        missing = ~np.isfinite(values)
        n = len(values) - missing.sum(axis=0)
        values[missing] = 0
        piece_mean = values.sum(axis=0) / np.maximum(n, 1)
        values -= piece_mean
        values[missing] = 0
        both = np.maximum(count + n, 1)
        step = piece_mean - mean
        squares += np.einsum("ij,ij->j", values, values) + step * step * (count * n / both)
        mean += step * (n / both)
        count += n
    return Moments(count, mean, np.sqrt(squares / np.maximum(count, 1)))


def extremes(X: Array, rows: Rows | None = None) -> tuple[Array, Array]:
    """Smallest and largest value of each column, in X's dtype; NaN where a float column has no value.

    >>> low, high = extremes(np.array([[1.0, np.nan], [3.0, 2.0]]))
    >>> low.tolist(), high.tolist()
    ([1.0, 2.0], [3.0, 2.0])
    """
    low = high = X[rows[:1] if rows is not None else slice(1)][0]
    for piece in chunks(X, rows):
        low = np.fmin(low, np.fmin.reduce(piece, axis=0))
        high = np.fmax(high, np.fmax.reduce(piece, axis=0))
    return low, high


def value_counts(X: Array, rows: Rows | None = None) -> npt.NDArray[np.int64]:
    """How often each of the 256 values occurs in each column of bytes.

    Parameters
    ----------
    X : (n, n_features) uint8

    Returns
    -------
    (n_features, 256) int64

    Examples
    --------
    >>> value_counts(np.array([[7], [7], [9]], np.uint8))[0, 7:10].tolist()
    [2, 0, 1]
    """
    from glassnet.data.loops import count_bytes

    counts = np.zeros((X.shape[1], 256), np.int64)
    for piece in chunks(X, rows):
        count_bytes(np.ascontiguousarray(piece), counts)
    return counts


def quantiles(X: Array, shares: npt.ArrayLike, rows: Rows | None = None) -> Floats:
    """Quantiles of each column with linear interpolation (Hyndman & Fan 1996, type 7), NaN left out.

    Parameters
    ----------
    shares : (q,) in [0, 1]

    Returns
    -------
    (q, n_features) float64; NaN for a column without a value

    Examples
    --------
    >>> quantiles(np.array([[0.0], [np.nan], [4.0]]), [0, 0.25, 1]).ravel().tolist()
    [0.0, 1.0, 4.0]
    """
    at = np.asarray(shares, np.float64)
    if X.dtype == np.uint8:
        return _byte_quantiles(value_counts(X, rows), at)
    n = len(X) if rows is None else len(rows)
    out = np.empty((len(at), X.shape[1]))
    width = max(1, 4 * _CHUNK_BYTES // max(1, n * 8))
    for start in range(0, X.shape[1], width):
        block = X[:, start : start + width] if rows is None else X[rows, start : start + width]
        ordered = np.sort(block, axis=0)  # missing values go last
        count = (~np.isnan(ordered)).sum(axis=0)
        out[:, start : start + width] = _interpolate(at, count, lambda k, ordered=ordered: _pick(ordered, k))
    return out


def _byte_quantiles(counts: npt.NDArray[np.int64], at: Floats) -> Floats:
    below = counts.cumsum(axis=1)  # (n_features, 256)
    return _interpolate(at, below[:, -1], lambda k: (below[None] <= k[:, :, None]).sum(axis=2))


def _pick(ordered: Array, k: npt.NDArray[np.int64]) -> Array:
    return np.take_along_axis(ordered, k, axis=0)


def _interpolate(at: Floats, count: npt.NDArray[np.int64], kth: Any) -> Floats:
    """Between the two order statistics `kth(k)`, k of shape (q, n_features), that enclose each share."""
    place = np.outer(at, np.maximum(count - 1, 0))
    k = place.astype(np.int64)
    low = np.asarray(kth(k), np.float64)
    high = np.asarray(kth(np.minimum(k + 1, np.maximum(count - 1, 0))), np.float64)
    step = np.subtract(high, low, out=np.zeros_like(low), where=high != low)  # two equal infinities: no step
    return np.asarray(np.where(count > 0, low + step * (place - k), np.nan))
