"""What a person looks at first: samples, mean images, distributions and quantiles, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import chunks, extremes, moments, quantiles, value_counts
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.scaling import unit_divisor
from glassnet.data.split import Split
from glassnet.errors import InputError
from glassnet.seeds import stream

__all__ = [
    "Description",
    "class_images",
    "column_quantiles",
    "describe",
    "distribution",
    "pictures_of",
    "samples_per_class",
]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.integer[Any]]

MOST_CLASSES = 100  # more pictures than this are no figure
_OWN_DENSITY = 8  # up to so many columns of a table get a density each
_N_BINS = 64
_TAIL = 5.0  # standard deviations; what lies beyond is counted in the outermost bin
_CHANNELS = {1: ("gray",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


@dataclass(frozen=True)
class Description:
    """The arrays that a dataset's figures draw, of the training rows where a split is given.

    Parameters
    ----------
    counts : part of the split ("train", "validation", "test") -> rows of each class
    samples : (C, k, height, width, channels) uint8, or None for tables and regression
    mean_images, std_images : (C, height, width, channels) uint8, or None
    distribution : "edges" (b + 1,), then one density (b,) per channel or column, by name
    quantiles : (5, n_features) minimum, 25 %, median, 75 %, maximum of each column
    """

    counts: dict[str, tuple[int, ...]]
    samples: Bytes | None
    mean_images: Bytes | None
    std_images: Bytes | None
    distribution: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    quantiles: npt.NDArray[np.float64] | None = None


def describe(dataset: Dataset, split: Split | None = None, *, samples: int = 8, seed: int = 0) -> Description:
    """Everything a first look needs, in one call; the whole of CIFAR-10 takes about a second.

    Parameters
    ----------
    split : describe its training rows; None describes all rows
    samples : pictures of each class
    seed : decides which pictures

    Examples
    --------
    >>> data = Dataset(np.eye(4, dtype=np.float32), np.array([0, 1, 1, 1]), class_names=("no", "yes"))
    >>> d = describe(data)
    >>> d.counts, d.quantiles.shape, sorted(d.distribution)[:2]
    ({'all': (1, 3)}, (5, 4), ['column 0', 'column 1'])
    """
    rows = None if split is None else split.train
    has_classes = dataset.task == "classification"
    pictured = has_classes and dataset.image is not None
    mean, std = class_images(dataset, rows) if pictured else (None, None)
    if not has_classes:
        counts = {}
    elif split is None:
        counts = {"all": tuple(dataset.counts().tolist())}
    else:
        counts = split.counts(dataset)
    return Description(
        counts=counts,
        samples=samples_per_class(dataset, samples, seed, rows) if pictured else None,
        mean_images=mean,
        std_images=std,
        distribution=distribution(dataset, rows),
        quantiles=column_quantiles(dataset, rows),
    )


def samples_per_class(dataset: Dataset, k: int, seed: int = 0, rows: Rows | None = None) -> Bytes:
    """Random pictures of each class, brightened to the full range where the stored values are smaller.

    Returns
    -------
    (C, k, height, width, channels) uint8, of the first 100 classes; white where a class has fewer than k rows

    Examples
    --------
    >>> data = Dataset(np.zeros((3, 4), np.uint8), np.array([0, 0, 1]), ("a", "b"), image=ImageShape(2, 2, 1))
    >>> samples_per_class(data, 2)[:, :, 0, 0, 0].tolist()
    [[0, 0], [0, 255]]
    """
    image = _image_of(dataset)
    rng = stream(seed, "samples")
    candidates = np.arange(len(dataset)) if rows is None else np.asarray(rows)
    n_classes = min(dataset.n_classes, MOST_CLASSES)
    out = np.full((n_classes, k, image.height, image.width, image.channels), 255, np.uint8)
    factor = _brightness(dataset, rows)
    for c in range(n_classes):
        members = candidates[dataset.y[candidates] == c]
        chosen = rng.permutation(members)[:k]
        out[c, : len(chosen)] = _pictures(dataset.X[np.sort(chosen)] * factor, image)
    return out


def pictures_of(dataset: Dataset, rows: Sequence[int]) -> dict[int, tuple[str, Bytes]]:
    """Target and picture (height, width, channels) of each of these rows, brightened as samples are.

    Examples
    --------
    >>> data = Dataset(np.eye(2, dtype=np.uint8), np.array([0, 1]), ("a", "b"), image=ImageShape(1, 2, 1))
    >>> {row: (name, picture.ravel().tolist()) for row, (name, picture) in pictures_of(data, [1]).items()}
    {1: ('b', [0, 255])}
    """
    image, factor = _image_of(dataset), _brightness(dataset, None)
    shown = _pictures(np.asarray(dataset.X[list(rows)]) * factor, image)
    return {row: (_target(dataset, row), picture) for row, picture in zip(rows, shown, strict=True)}


def _target(dataset: Dataset, row: int) -> str:
    y = dataset.y[row]
    if not dataset.class_names:
        return " ".join(f"{value:.4g}" for value in np.atleast_1d(y))
    return dataset.class_names[y] if 0 <= y < dataset.n_classes else f"label {y}"


def class_images(dataset: Dataset, rows: Rows | None = None) -> tuple[Bytes, Bytes]:
    """Mean image and standard-deviation image of each class.

    Returns
    -------
    mean, std : (C, height, width, channels) uint8, of the first 100 classes
        means are brightened to the full range where the stored values are smaller; deviations are stretched,
        for all classes alike, so that the smallest is 0 and the largest 255

    Examples
    --------
    >>> X = np.array([[0], [20], [200]], np.uint8)
    >>> data = Dataset(X, np.array([0, 0, 1]), ("a", "b"), image=ImageShape(1, 1, 1))
    >>> [images.ravel().tolist() for images in class_images(data)]
    [[10, 200], [255, 0]]
    """
    image = _image_of(dataset)
    y = dataset.y if rows is None else dataset.y[rows]
    n_classes = min(dataset.n_classes, MOST_CLASSES)
    mean = np.zeros((n_classes, dataset.n_features))
    std = np.zeros_like(mean)
    for c in range(n_classes):
        members = np.flatnonzero(y == c)
        found = moments(dataset.X, members if rows is None else np.sort(rows[members]))
        mean[c], std[c] = found.mean, found.std
    low, high = std.min(), std.max()
    stretched = (std - low) * (255 / (high - low if high > low else 1))
    return _pictures(mean * _brightness(dataset, rows), image), _pictures(stretched, image)


def distribution(dataset: Dataset, rows: Rows | None = None) -> dict[str, npt.NDArray[np.float64]]:
    """Densities that fit one readable figure: one per image channel, or of a table's standardised columns.

    A table of at most 8 columns gives one density per column, a wider one a single density of all columns;
    what lies beyond the first or last bin is counted there. Categories have no density: their codes are
    names. Missing and infinite values are left out; the area of each density is 1.

    Returns
    -------
    "edges" (b + 1,) of the bins in stored values (images) or standard deviations (tables), then each density
    (b,) by name: "red", "green", "blue", "gray", the column's name, or "all columns"

    Examples
    --------
    >>> data = Dataset(np.array([[0, 255]], np.uint8), np.array([0.5]), image=ImageShape(1, 2, 1))
    >>> d = distribution(data)
    >>> list(d), float((d["gray"] * np.diff(d["edges"])).sum())
    (['edges', 'gray'], 1.0)
    """
    if dataset.image is not None and dataset.X.dtype == np.uint8:
        return _byte_densities(value_counts(dataset.X, rows), dataset.image)
    if dataset.image is not None:
        return _float_image_densities(dataset.X, rows, dataset.image)
    return _table_densities(dataset, rows)


def column_quantiles(dataset: Dataset, rows: Rows | None = None) -> npt.NDArray[np.float64]:
    """Minimum, lower quartile, median, upper quartile and maximum of each column, shape (5, n_features)."""
    return quantiles(dataset.X, [0, 0.25, 0.5, 0.75, 1], rows)


def _image_of(dataset: Dataset) -> ImageShape:
    if dataset.image is None:
        raise InputError(f"{dataset.name} has no images: its rows are table rows")
    return dataset.image


def _brightness(dataset: Dataset, rows: Rows | None) -> float:
    """What stored values are multiplied by to be seen: 255 becomes white, or the largest value does."""
    return 255 / unit_divisor(dataset.X, rows)


def _pictures(values: Array, image: ImageShape) -> Bytes:
    """Planar rows as pictures, shape (n, height, width, channels)."""
    planes = np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)
    stacked = planes.reshape(-1, image.channels, image.height, image.width)
    return np.ascontiguousarray(stacked.transpose(0, 2, 3, 1))


def _channel_names(image: ImageShape) -> tuple[str, ...]:
    return _CHANNELS.get(image.channels, tuple(f"channel {c}" for c in range(image.channels)))


def _byte_densities(counts: npt.NDArray[np.int64], image: ImageShape) -> dict[str, npt.NDArray[np.float64]]:
    per_channel = counts.reshape(image.channels, -1, 256).sum(axis=1)  # (channels, 256)
    largest = int(np.flatnonzero(per_channel.any(axis=0)).max(initial=0))
    width = 4 if largest >= 128 else 1  # one bin per grey level where there are few
    stop = 256 if largest >= 128 else largest + 1
    binned = per_channel[:, :stop].reshape(image.channels, -1, width).sum(axis=2)
    density = binned / (binned.sum(axis=1, keepdims=True) * width)
    edges = np.arange(0, stop + 1, width, dtype=np.float64)
    return {"edges": edges, **dict(zip(_channel_names(image), density, strict=True))}


def _float_image_densities(
    X: Array, rows: Rows | None, image: ImageShape
) -> dict[str, npt.NDArray[np.float64]]:
    bounds = np.array(extremes(X, rows), np.float64)
    bounds = bounds[np.isfinite(bounds)]
    low, high = (bounds.min(), bounds.max()) if len(bounds) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, _N_BINS + 1)
    counts = np.zeros((image.channels, _N_BINS))
    for piece in chunks(X, rows):
        for c, values in enumerate(np.split(piece, image.channels, axis=1)):
            counts[c] += np.histogram(values[np.isfinite(values)], edges)[0]
    return {"edges": edges, **_as_densities(_channel_names(image), counts, edges)}


def _table_densities(dataset: Dataset, rows: Rows | None) -> dict[str, npt.NDArray[np.float64]]:
    X = dataset.X
    numeric = [j for j in range(X.shape[1]) if j not in dataset.categories]
    found = moments(X, rows)
    std = np.where(found.std > 0, found.std, 1.0)
    edges = np.linspace(-_TAIL, _TAIL, _N_BINS + 1)
    counts = np.zeros((X.shape[1], _N_BINS))
    offset = np.arange(X.shape[1]) * _N_BINS
    for piece in chunks(X, rows):
        z = (piece - found.mean) / std
        finite = np.isfinite(z)
        at = np.clip((np.where(finite, z, 0) + _TAIL) * (_N_BINS / (2 * _TAIL)), 0, _N_BINS - 1).astype(
            np.int64
        )
        counts += np.bincount((at + offset)[finite], minlength=counts.size).reshape(counts.shape)
    names, counts = dataset.feature_names or tuple(f"column {j}" for j in range(X.shape[1])), counts[numeric]
    if len(numeric) <= _OWN_DENSITY:
        return {"edges": edges, **_as_densities(tuple(names[j] for j in numeric), counts, edges)}
    return {"edges": edges, **_as_densities(("all columns",), counts.sum(axis=0, keepdims=True), edges)}


def _as_densities(
    names: tuple[str, ...], counts: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64]]:
    density = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) / np.diff(edges)
    return dict(zip(names, density, strict=True))
