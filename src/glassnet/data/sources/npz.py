"""NumPy's .npz files: `X, y`, or `x_train, y_train, x_test, y_test` as Keras and MedMNIST write them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import Dataset
from glassnet.data.sources.arrays import from_arrays
from glassnet.data.sources.content import Request
from glassnet.data.sources.tree import check_expansion
from glassnet.errors import InputError

__all__ = ["read_npz"]

_X_NAMES = ("x", "data", "images", "features", "inputs")
_Y_NAMES = ("y", "labels", "label", "target", "targets", "classes")
_PARTS = ("train", "val", "test")


def read_npz(path: Path, request: Request) -> Dataset:
    """The arrays of an .npz file as a Dataset; Python objects (pickles) are refused, never loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_expansion(path, sum(m.file_size for m in archive.infolist()))
        with np.load(path, allow_pickle=False) as file:
            names = {name.lower(): name for name in file.files}
            pairs = [_load(file, *pair, path) for pair in _pairs(names, path)]
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise InputError(f"{path} is no whole .npz file ({error}): copy or download it again") from None
    return from_arrays(pairs[0] if len(pairs) == 1 else tuple(pairs), request, str(path))


def _pairs(names: dict[str, str], path: Path) -> list[tuple[str, str]]:
    """Names of X and y of each part, train first."""
    found = []
    for part in ("", *_PARTS):
        for pattern in ("{}_{}", "{1}_{0}") if part else ("{}",):
            X = next((names[n] for x in _X_NAMES if (n := pattern.format(x, part)) in names), None)
            y = next((names[n] for x in _Y_NAMES if (n := pattern.format(x, part)) in names), None)
            if X and y:
                found.append((X, y))
                break
        if found and not part:
            break
    if not found:
        there = ", ".join(names.values()) or "nothing"
        needed = "X and y, or x_train, y_train, x_test, y_test"
        raise InputError(f"{path} holds arrays named {there}; needed are {needed}")
    return found


def _load(file: Any, X: str, y: str, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    try:
        return file[X], file[y]
    except (ValueError, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path}: {X!r} or {y!r} holds Python objects (pickled code could run): save plain numbers"
            ) from None
        raise InputError(f"{path}: {X!r} or {y!r} is damaged ({error}): save it again") from None
