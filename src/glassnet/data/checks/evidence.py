"""What several checks need to know of a dataset, measured once, when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.similar import NearPairs, near_pairs, same_rows
from glassnet.data.columns import Moments, chunks, extremes, moments, value_counts
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.scaling import Scaling, unit_divisor
from glassnet.data.split import Split

__all__ = ["PROPERTIES", "Evidence"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Columns of Evidence.properties.
PROPERTIES = ("brightness", "contrast", "darkest", "dark", "bright", "sharpness", "colour")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
_SMALLEST = 8  # pixels on a side, for a thumbnail
_MOST_FEATURES = 64
_FIT_ROWS = 5_000


class Evidence:
    """A dataset under examination.

    Parameters
    ----------
    dataset, split : what is examined; without a split, the source's own parts are taken as one
    scaling : what the networks will read, where it is known
    """

    def __init__(self, dataset: Dataset, split: Split | None = None, scaling: Scaling | None = None) -> None:
        self.dataset = dataset
        self.X = dataset.X
        self.image: ImageShape | None = dataset.image
        self.scaling = scaling
        self.split = split if split is not None else _own_parts(dataset)

    @property
    def n(self) -> int:
        return len(self.X)

    @property
    def is_table(self) -> bool:
        return self.image is None

    def column_names(self, columns: npt.ArrayLike) -> list[str]:
        """Names of columns by number."""
        names = self.dataset.feature_names
        return [names[j] if names else f"column {j}" for j in np.asarray(columns, np.int64).ravel()]

    @cached_property
    def labels(self) -> Ints | None:
        """(n,) class codes, or None for regression and for codes outside 0..C-1."""
        d = self.dataset
        if d.task != "classification" or d.y.ndim != 1:
            return None
        codes = d.y.astype(np.int64)
        return codes if not self.n or (codes.min() >= 0 and codes.max() < d.n_classes) else None

    @cached_property
    def missing(self) -> Ints:
        """Missing values (NaN) of each column."""
        return self._count(np.isnan)

    @cached_property
    def infinite(self) -> Ints:
        """Infinite values of each column."""
        return self._count(np.isinf)

    def _count(self, test: Any) -> Ints:
        if self.X.dtype.kind != "f":
            return np.zeros(self.X.shape[1], np.int64)
        return np.asarray(sum(test(piece).sum(axis=0, dtype=np.int64) for piece in chunks(self.X)))

    def rows_where(self, test: Any, most: int = 20) -> list[int]:
        """The first rows in which some value passes a test."""
        rows: list[int] = []
        start = 0
        for piece in chunks(self.X):
            rows += (np.flatnonzero(test(piece).any(axis=1)) + start).tolist()
            start += len(piece)
            if len(rows) >= most:
                break
        return rows[:most]

    @cached_property
    def moments(self) -> Moments:
        return moments(self.X)

    @cached_property
    def extremes(self) -> tuple[Array, Array]:
        return extremes(self.X)

    @cached_property
    def counts(self) -> Ints:
        """(n_features, 256): how often each byte occurs in each column."""
        return value_counts(self.X)

    @cached_property
    def same(self) -> Ints:
        """The first row equal to each row."""
        return same_rows(self.X)

    @cached_property
    def brightness_factor(self) -> float:
        """What stored values are multiplied by to span 0..255."""
        return 255 / unit_divisor(self.X)

    def as_seen(self, piece: Array) -> npt.NDArray[np.uint8]:
        """Stored image values as they are seen, 0..255."""
        if piece.dtype == np.uint8 and self.brightness_factor == 1:
            return np.ascontiguousarray(piece)
        seen = np.clip(np.rint(np.nan_to_num(piece * self.brightness_factor)), 0, 255)
        return np.ascontiguousarray(seen.astype(np.uint8))

    @cached_property
    def properties(self) -> Floats:
        """(n, 7) in levels of 0..255: `PROPERTIES`, as `loops.reference.picture_properties` defines them."""
        from glassnet.data.loops import picture_properties

        assert self.image is not None
        out = np.empty((self.n, len(PROPERTIES)), np.float32)
        start = 0
        for piece in chunks(self.X):
            seen = self.as_seen(piece)
            part = out[start : start + len(seen)]
            picture_properties(seen, self.image.channels, self.image.height, self.image.width, part)
            start += len(seen)
        return out

    def image_property(self, name: str) -> Floats:
        return self.properties[:, PROPERTIES.index(name)]

    @property
    def has_thumbnails(self) -> bool:
        return self.image is not None and min(self.image.height, self.image.width) >= _SMALLEST

    @cached_property
    def thumbnails(self) -> Floats:
        """(n, channels, 64) block means of each image on an 8 x 8 grid, in stored values."""
        s = self.image
        assert s is not None
        top = np.arange(_SMALLEST) * s.height // _SMALLEST
        left = np.arange(_SMALLEST) * s.width // _SMALLEST
        area = np.outer(np.diff(top, append=s.height), np.diff(left, append=s.width)).astype(np.float32)
        out = np.empty((self.n, s.channels, _SMALLEST**2), np.float32)
        start = 0
        for piece in chunks(self.X, size=512):
            planes = piece.reshape(-1, s.channels, s.height, s.width)
            sums = np.add.reduceat(np.add.reduceat(planes, left, axis=3, dtype=np.float32), top, axis=2)
            out[start : start + len(piece)] = (sums / area).reshape(len(piece), s.channels, -1)
            start += len(piece)
        return out

    @cached_property
    def near(self) -> NearPairs:
        """Pairs of nearly equal images, exact copies included."""
        if self.thumbnails.shape[1] >= 3:
            grey = np.tensordot(self.thumbnails[:, :3], _LUMA, axes=(1, 0))
        else:
            grey = self.thumbnails[:, 0]
        return near_pairs(self.as_seen(self.X), grey)

    @cached_property
    def features(self) -> Floats:
        """(n, k) at most 64 standardised features for the fast linear models.

        Of images, principal components of the thumbnails; of wide tables, principal components of columns;
        else the columns. Missing values become 0, and what lies beyond 8 standard deviations is cut.
        """
        X = self.thumbnails.reshape(self.n, -1) if self.has_thumbnails else self.X
        X = _standardised(X)
        if X.shape[1] <= _MOST_FEATURES:
            return X
        from sklearn.decomposition import PCA

        rows = np.random.default_rng(0).permutation(self.n)[:_FIT_ROWS]
        n_components = min(_MOST_FEATURES, len(rows))
        pca = PCA(
            n_components, svd_solver="covariance_eigh" if X.shape[1] <= 1000 else "randomized", random_state=0
        )
        pca.fit(X[rows])
        return _standardised(np.concatenate([pca.transform(piece) for piece in chunks(X)]))


def _standardised(X: Array) -> Floats:
    m = moments(X)
    std = np.where(m.std > 1e-12 * np.abs(m.mean), m.std, np.inf)  # a constant column becomes 0
    out = np.empty(X.shape, np.float32)
    start = 0
    for piece in chunks(X):
        z = (piece - m.mean) / std
        out[start : start + len(z)] = np.clip(np.where(np.isfinite(z), z, 0), -8, 8)
        start += len(z)
    return out


def _own_parts(dataset: Dataset) -> Split | None:
    if dataset.part is None or not (dataset.part > 0).any():
        return None
    train, validation, test = (np.flatnonzero(dataset.part == code) for code in range(3))
    return Split(train, validation, test, "as given by the source")
