"""Arrays in memory: `(X, y)`, pictures or table, whole or already split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.sources.content import Request, check_pixels
from glassnet.data.sources.labels import interpret
from glassnet.errors import InputError

__all__ = ["USED", "from_arrays", "is_pair", "picture_rows", "square_image"]

USED = frozenset({"class_names", "task", "transpose"})

_EXACT_IN_FLOAT32 = 2**24


def is_pair(source: object) -> bool:
    """Whether an object is `(X, y)`, or a tuple of such pairs: train, (validation,) test."""
    if not isinstance(source, tuple) or not 2 <= len(source) <= 3:
        return False
    return all(isinstance(part, tuple) and len(part) == 2 for part in source) or (
        len(source) == 2 and all(hasattr(a, "__len__") and not isinstance(a, str | tuple) for a in source)
    )


def from_arrays(source: tuple[Any, ...], request: Request, where: str = "the arrays") -> Dataset:
    """A Dataset from `(X, y)`, or from `((X, y), (X, y))` = train, test, or three such pairs.

    Parameters
    ----------
    source : X (n, n_features) numbers; or pictures (n, height, width), (n, height, width, channels) or
        (n, channels, height, width), uint8 or 0..255, or floats in 0..1 which are stored as 0..255;
        y (n,) classes or numbers, or (n, C) one-hot, or (n, k) numbers

    Examples
    --------
    >>> d = from_arrays((np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 1, 0])), Request())
    >>> d.image, d.class_names
    (ImageShape(height=8, width=8, channels=1), ('0', '1'))
    """
    pairs = source if isinstance(source[0], tuple) else (source,)
    Xs = [np.asarray(X) for X, _ in pairs]
    ys = [np.asarray(y) for _, y in pairs]
    for X, y in zip(Xs, ys, strict=True):
        if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
            raise InputError(
                f"{where}: X has shape {X.shape} but y has shape {y.shape}: one target per row is needed"
            )
        if X.shape[1:] != Xs[0].shape[1:]:
            raise InputError(
                f"{where}: the parts have rows of different shape, {Xs[0].shape[1:]} and {X.shape[1:]}"
            )
    part = None
    if len(pairs) > 1:
        codes = (0, 2) if len(pairs) == 2 else (0, 1, 2)
        part = np.repeat(np.array(codes, np.int8), [len(X) for X in Xs])
    X = Xs[0] if len(Xs) == 1 else np.concatenate(Xs)
    target = interpret(ys[0] if len(ys) == 1 else np.concatenate(ys), request, where)
    rows = _rows(X, request, where)
    return Dataset(
        rows.X, target.y, class_names=target.class_names, image=rows.image, part=part, name="arrays",
        source=where, notes=(*rows.notes, *target.notes),
    )  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    X: npt.NDArray[Any]
    image: ImageShape | None
    notes: tuple[str, ...] = ()


def _rows(X: npt.NDArray[Any], request: Request, where: str) -> _Rows:
    if X.dtype.kind not in "iufb":
        raise InputError(
            f"{where}: X holds {X.dtype} values, not numbers: give a pandas or polars frame for text columns"
        )
    if len(X) == 0 or X.size == 0:
        raise InputError(f"{where}: X has no rows or no columns (shape {X.shape})")
    if X.ndim == 2:
        if X.dtype == np.uint8 and (image := square_image(X.shape[1])):
            rows = picture_rows(
                X.reshape(-1, image.channels, image.height, image.width), request, planes=True
            )
            shown = f"{image.height}x{image.width}" + (" colour" if image.channels == 3 else " grey")
            return _Rows(
                rows[0],
                image,
                (f"{X.shape[1]} uint8 columns were taken as {shown} pictures, plane by plane",),
            )
        if request.transpose:
            raise InputError(f"{where}: transpose=True needs pictures, but X is a table of shape {X.shape}")
        return _Rows(_as_floats(X), None)
    if X.ndim == 3:
        X = X[:, None]
        planes = True
    elif X.ndim == 4:
        planes = X.shape[3] not in (1, 3) and X.shape[1] in (1, 3)
        if not planes and X.shape[3] not in (1, 3):
            raise InputError(
                f"{where}: pictures of shape {X.shape[1:]} have neither 1 nor 3 channels first or last"
            )
    else:
        raise InputError(f"{where}: X has {X.ndim} dimensions: it must be (rows, columns) or pictures")
    notes: tuple[str, ...] = ()
    if X.dtype.kind == "f" and X.min() >= 0 and X.max() <= 1:
        X = np.rint(X * 255).astype(np.uint8)
        notes = ("pixels between 0 and 1 were stored as 0..255",)
    return _Rows(*picture_rows(check_pixels(X, where), request, planes), notes)


def picture_rows(
    pictures: npt.NDArray[np.uint8], request: Request, planes: bool
) -> tuple[npt.NDArray[np.uint8], ImageShape]:
    """Pictures (n, c, h, w) if `planes`, else (n, h, w, c), as rows plane by plane.

    `request.transpose` swaps rows and columns of every picture (EMNIST's files store them so).
    """
    if not planes:
        pictures = pictures.transpose(0, 3, 1, 2)
    if request.transpose:
        pictures = pictures.swapaxes(2, 3)
    n, channels, height, width = pictures.shape
    return np.ascontiguousarray(pictures).reshape(n, -1), ImageShape(height, width, channels)


def square_image(n_features: int) -> ImageShape | None:
    """The square picture of at least 8 x 8 pixels, grey or in colour, with this many values.

    >>> square_image(3072), square_image(30)
    (ImageShape(height=32, width=32, channels=3), None)
    >>> square_image(784)
    ImageShape(height=28, width=28, channels=1)
    """
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if side >= 8 and side * side * channels == n_features:
            return ImageShape(side, side, channels)
    return None


def _as_floats(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if X.dtype in (np.float32, np.float64):
        return X
    if X.dtype.kind in "iu" and max(abs(int(X.min())), abs(int(X.max()))) > _EXACT_IN_FLOAT32:
        return X.astype(np.float64)
    return X.astype(np.float64 if X.dtype.kind == "f" and X.dtype.itemsize > 8 else np.float32)
