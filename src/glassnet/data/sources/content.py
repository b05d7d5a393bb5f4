"""What a reader is asked for, and what it hands back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import Dataset, ImageShape
from glassnet.errors import InputError
from glassnet.progress import Progress

__all__ = ["Content", "Reader", "Request", "Sink", "check_pixels", "natural", "part_code", "part_of_file"]


class Sink(Protocol):
    """Where a reader puts the rows of X as they come, in their final order."""

    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        """Append rows, shape (k, n_features) uint8."""

    def restart(self) -> None:
        """Forget all rows written so far."""


@dataclass(frozen=True)
class Request:
    """The options of one call to `read` that change what comes out of a source."""

    size: tuple[int, int] | None = None  # height, width in pixels
    target: str | int | None = None
    transpose: bool = False
    skip_corrupt: bool = False
    class_names: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()  # columns to leave out
    task: str | None = None  # "classification" or "regression"; None: told from the target

    def refuse_unused(self, used: frozenset[str], what: str) -> None:
        """Refuse an option that means nothing for a source, instead of ignoring it."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value != option.default and option.name not in used:
                raise InputError(f"{option.name}={value!r} means nothing for {what}: leave it out")


@dataclass(frozen=True)
class Content:
    """All of an image data set but its pixels, which the reader has written to the sink."""

    y: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    image: ImageShape
    part: npt.NDArray[np.int8] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """One recognised source, ready to be read.

    Parameters
    ----------
    kind : what it is, for people ("images in class folders")
    used : names of the options of `Request` that this kind of source understands
    depends : the files (or the one folder) whose change makes a cached copy stale
    pack : writes the pixels and returns the rest (image sources; these are cached)
    table : returns the finished data (tables; polars reads them as fast as a cache would)
    """

    kind: str
    used: frozenset[str]
    depends: tuple[Path, ...]
    pack: Callable[[Request, Sink, Progress], Content] | None = None
    table: Callable[[Request, Progress], Dataset] | None = None


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts "img2" before "img10".

    >>> sorted(["img10", "img2", "a"], key=natural)
    ['a', 'img2', 'img10']
    """
    return [(0, int(s), "") if s.isdigit() else (1, 0, s) for s in re.split(r"([0-9]+)", text) if s]


_PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}


def part_code(name: str) -> int | None:
    """0, 1, 2 for names that mean the training, validation or test part, else None.

    >>> part_code("Train"), part_code("valid"), part_code("cat")
    (0, 1, None)
    """
    return _PARTS.get(name.lower())


def part_of_file(path: str) -> int:
    """Part code that a word of a file's name gives; 0, training, where none does.

    >>> part_of_file("data/validation-00000-of-00001.parquet"), part_of_file("mnist_test.csv")
    (1, 2)
    """
    words = re.split(r"[-_. ]", path.rsplit("/", 1)[-1])
    return next((code for word in words if (code := part_code(word)) is not None), 0)


def check_pixels(values: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """Pixels as uint8, refused where they are not whole numbers from 0 to 255.

    >>> check_pixels(np.array([[0.0, 255.0]]), "X")
    array([[  0, 255]], dtype=uint8)
    """
    if values.dtype == np.uint8:
        return values
    inside = (values >= 0) & (values <= 255)  # False for NaN too
    if not inside.all():
        at = tuple(int(i) for i in np.argwhere(~inside)[0])
        raise InputError(f"{where}: value {values[at]} at {at} is outside 0..255: pixels must be 0..255")
    pixels = values.astype(np.uint8)
    if values.dtype.kind == "f" and not np.array_equal(pixels, values):
        at = tuple(int(i) for i in np.argwhere(pixels != values)[0])
        raise InputError(f"{where}: value {values[at]} at {at} is not a whole number: pixels must be 0..255")
    return pixels
