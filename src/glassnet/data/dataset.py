"""The one form in which data travels through glassnet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError

__all__ = ["Dataset", "ImageShape"]


@dataclass(frozen=True)
class ImageShape:
    """Shape of the images whose pixels are the columns of X, stored plane by plane.

    A row of X is channel after channel (red plane, green plane, blue plane), each row by row:
    the layout of CIFAR-10's own files.
    """

    height: int
    width: int
    channels: int

    @property
    def n_features(self) -> int:
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Dataset:
    """Rows of features with their targets, and what is known of both.

    Parameters
    ----------
    X : (n, n_features) uint8 (images; may be a read-only memory map) or float32/float64
    y : (n,) integer class codes 0..C-1, or (n,) / (n, k) float targets for regression
    class_names : names of the classes, empty for regression
    feature_names : names of the columns, empty where they have none (pixels)
    image : shape of the images, None for tables
    part : (n,) int8, 0 train, 1 validation, 2 test where the source came with a split, else None
    groups : (n,) integer codes of rows that must stay together in a split, else None
    categories : number of a text column -> names of its categories; X holds codes 0, 1, ... (missing: NaN)
    name, source : for people: a short name and where the data came from
    fingerprint : hexadecimal hash of the content, "" if not computed

    Examples
    --------
    >>> import numpy as np
    >>> d = Dataset(np.zeros((4, 2), np.float32), np.array([0, 1, 1, 1]), class_names=("no", "yes"))
    >>> d.n_classes, d.task, d.counts().tolist()
    (2, 'classification', [1, 3])
    """

    X: npt.NDArray[Any]
    y: npt.NDArray[Any]
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    image: ImageShape | None = None
    part: npt.NDArray[np.int8] | None = None
    groups: npt.NDArray[np.int64] | None = None
    categories: dict[int, tuple[str, ...]] = field(default_factory=dict)
    name: str = "data"
    source: str = ""
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())  # what the reader skipped or assumed

    def __post_init__(self) -> None:
        if self.X.ndim != 2:
            raise InputError(f"X must have two dimensions (rows, features), not shape {self.X.shape}")
        if len(self.X) != len(self.y):
            raise InputError(f"X has {len(self.X)} rows but y has {len(self.y)}")
        if self.image is not None and self.image.n_features != self.X.shape[1]:
            needed = self.image.n_features
            raise InputError(f"X has {self.X.shape[1]} columns, but {self.image} needs {needed}")

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        """What it is, in one line: not its numbers."""
        size, of = self.image, f"{self.n_features} features"
        if size is not None:
            of = f"{size.height} x {size.width} x {size.channels} pixels"
        target = f"{self.n_classes} classes" if self.class_names else "numbers to predict"
        return f"<Dataset {self.name}: {len(self):,} rows of {of} ({self.X.dtype}), {target}>"

    @property
    def n_features(self) -> int:
        return int(self.X.shape[1])

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def task(self) -> str:
        """The kind of target: "classification" or "regression"."""
        return "classification" if self.class_names else "regression"

    def counts(self) -> npt.NDArray[np.int64]:
        """Rows of each class, shape (n_classes,)."""
        return np.bincount(self.y, minlength=self.n_classes).astype(np.int64)

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Dataset:
        """The same data with these rows only (copies them)."""
        return replace(
            self,
            X=self.X[rows],
            y=self.y[rows],
            part=None if self.part is None else self.part[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def one_vs_rest(self, positive: str) -> Dataset:
        """The binary task "is it `positive`?": y becomes 1 for that class and 0 for the others."""
        if positive not in self.class_names:
            from glassnet.errors import unknown_name

            raise unknown_name("class", positive, self.class_names)
        code = self.class_names.index(positive)
        return replace(
            self, y=(self.y == code).astype(np.int64), class_names=(f"not {positive}", positive),
            name=f"{self.name}: {positive} or not",
        )  # fmt: skip

    def pictures(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """The images of these rows as a person sees them, shape (len(rows), height, width, channels)."""
        if self.image is None:
            raise InputError(f"{self.name} has no images: its rows are table rows")
        s = self.image
        planes = np.asarray(self.X[rows]).reshape(len(rows), s.channels, s.height, s.width)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).astype(np.uint8)
