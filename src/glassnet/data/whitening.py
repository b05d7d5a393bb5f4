"""Contrast per image, and whitening by principal components: fitted on training rows, and invertible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import chunks
from glassnet.errors import InputError

__all__ = ["Contrast", "Whitening", "fit_contrast", "fit_whitening"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer[Any]]

_CHUNK = 2048  # rows: large enough for the matrix product, small enough to stay modest


class _Apply(Protocol):
    def apply(self, X: Array, /) -> Floats: ...


@dataclass(frozen=True)
class Contrast:
    """Each image minus its own mean, divided by its own standard deviation.

    z = (x - mean(x)) / sqrt(var(x) + epsilon)

    Parameters
    ----------
    epsilon : in squared stored values; keeps flat images from being blown up (10 for pixels of 0..255:
        Coates, Ng & Lee 2011)
    level, spread : mean and standard deviation of a typical training image, which the inverse gives back

    Examples
    --------
    >>> Contrast(0.0, 100.0, 10.0).apply(np.array([[0, 2], [10, 30]])).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    epsilon: float
    level: float
    spread: float

    def apply(self, X: Array) -> Floats:
        """Normalised images (n, n_features), float32."""
        out = X.astype(np.float32)
        out -= out.mean(axis=1, keepdims=True)
        out /= np.sqrt(np.einsum("ij,ij->i", out, out) / X.shape[1] + np.float32(self.epsilon))[:, None]
        return out

    def invert(self, Z: Array) -> Floats:
        """Images with the brightness and contrast of a typical one: their own are not kept."""
        return np.asarray(Z * np.float32(self.spread) + np.float32(self.level), np.float32)


def fit_contrast(X: Array, rows: Rows | None = None, *, largest: float = 255.0) -> Contrast:
    """Contrast per image, with the brightness and contrast of a typical training image for the way back.

    Parameters
    ----------
    X : (n, n_features) stored images
    rows : (m,) the training rows' numbers, None for all
    largest : the largest stored value, white
    """
    level = spread = 0.0
    n = 0
    for piece in chunks(X, rows):
        values = piece.astype(np.float32)
        level += float(values.mean(axis=1, dtype=np.float64).sum())
        spread += float(values.std(axis=1, dtype=np.float64).sum())
        n += len(values)
    if not n:
        raise InputError("contrast needs at least one training row to be fitted on")
    return Contrast(10.0 * (largest / 255) ** 2, level / n, spread / n)


@dataclass(frozen=True)
class Whitening:
    """Rotated (and rotated back, for ZCA) so that the columns are uncorrelated with variance about 1.

    Z = (X - mean) W

    Parameters
    ----------
    mean : (n_features,) float32
    W : (n_features, k) float32; PCA: principal directions divided by their deviations; ZCA: times the
        directions again, so that the result is a picture as close to the original as whitened data can be
    back : (k, n_features) float32, the inverse (PCA of fewer components: the best approximation)

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 0.0], [1.0, 2.0]])
    >>> Z = fit_whitening(X, "zca", epsilon=0).apply(X)
    >>> np.round(Z.T @ Z / len(Z), 4).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    mean: Floats
    W: Floats
    back: Floats

    def apply(self, X: Array) -> Floats:
        """Whitened rows (n, k), float32."""
        return np.asarray((X.astype(np.float32) - self.mean) @ self.W, np.float32)

    def invert(self, Z: Array) -> Floats:
        """The rows before whitening, (n, n_features) float32."""
        return np.asarray(Z.astype(np.float32) @ self.back + self.mean, np.float32)


def fit_whitening(
    X: Array,
    method: str,
    rows: Rows | None = None,
    *,
    n_components: int | None = None,
    epsilon: float = 1e-2,
    before: _Apply | None = None,
) -> Whitening:
    """Whitening fitted on these rows, after `before` (a scaling or contrast) has been applied to them.

    The covariance matrix is summed in chunks: X is never converted as a whole.

    Parameters
    ----------
    X : (n, n_features) stored values
    method : "pca" or "zca"
    rows : (m,) the training rows' numbers, None for all
    n_components : directions to keep ("pca" only), the widest first; None keeps all
    epsilon : added to each direction's variance, as a share of the mean variance: narrow directions are noise
        for the most part and must not be blown up

    Raises
    ------
    InputError
        For an unknown method, no rows, or more components than columns.

    Notes
    -----
    Krizhevsky 2009, appendix A (ZCA). Lin, Memisevic & Konda 2015 keep 800 components of CIFAR-10.
    """
    from scipy.linalg import eigh

    width = X.shape[1]
    _refuse(method, n_components, width, len(X) if rows is None else len(rows))
    mean, covariance = _covariance(X, rows, before)
    k = width if n_components is None else n_components
    floor = epsilon * max(float(np.trace(covariance)), 1e-30) / width
    variance, directions = eigh(covariance, subset_by_index=[width - k, width - 1], overwrite_a=True)
    variance, directions = np.maximum(variance[::-1], 0), directions[:, ::-1]  # widest first
    deviation = np.sqrt(variance + max(floor, 1e-30))
    W = directions / deviation
    back = directions.T * deviation[:, None]
    if method == "zca":
        W, back = W @ directions.T, directions @ back
    return Whitening(*(np.ascontiguousarray(part, np.float32) for part in (mean, W, back)))


def _refuse(method: str, n_components: int | None, width: int, n: int) -> None:
    if method not in ("pca", "zca"):
        raise InputError(f"unknown whitening {method!r}: use 'pca' or 'zca'")
    if n < 2:
        raise InputError(f"whitening needs at least 2 training rows, not {n}")
    if n_components is not None and method == "zca":
        raise InputError("ZCA keeps the size of the pictures: leave out n_components, or use 'pca'")
    if n_components is not None and not 1 <= n_components <= width:
        raise InputError(f"n_components={n_components} must be between 1 and the {width} columns")


def _covariance(
    X: Array, rows: Rows | None, before: _Apply | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (n_features,) and covariance (n_features, n_features), divided by n."""
    total = np.zeros(X.shape[1])
    products = np.zeros((X.shape[1], X.shape[1]))
    centre: Floats | None = None
    n = 0
    for piece in chunks(X, rows, _CHUNK):
        values = piece.astype(np.float32) if before is None else before.apply(piece)
        if centre is None:
            centre = values.mean(axis=0)  # float32 sums stay exact enough around it
        values = values - centre
        total += values.sum(axis=0, dtype=np.float64)
        products += values.T @ values
        n += len(values)
    assert centre is not None
    mean = total / n
    products /= n
    products -= np.outer(mean, mean)
    return mean + centre, products
