"""Targets of any form to class codes with names, or to numbers for regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.sources.content import Request, natural
from glassnet.errors import InputError

__all__ = ["CIFAR10", "Target", "class_codes", "interpret"]

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_FEW = 20  # different whole numbers among floats that still look like classes
_MANY = 1000  # different integers that still look like classes in any number of rows
_ROWS_PER_CLASS = 10  # beyond _MANY, classes need this many rows each on average


@dataclass(frozen=True)
class Target:
    """An interpreted target: codes and names, or numbers with no names."""

    y: npt.NDArray[Any]  # (n,) int64 codes, or (n,) or (n, k) float64
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def class_codes(labels: npt.NDArray[Any], names: Sequence[str] | None, where: str) -> Target:
    """Codes of labels that are known to be classes.

    Parameters
    ----------
    labels : (n,) text, or whole numbers >= 0
    names : names of the codes 0, 1, ... where the labels are numbers; the order of the classes where they are
        text; None sorts the labels that occur (numbers by size)

    Raises
    ------
    InputError
        for a label below 0, not whole, or outside the names, with its row

    Examples
    --------
    >>> class_codes(np.array(["dog", "cat", "dog"]), None, "pets.csv")
    Target(y=array([1, 0, 1]), class_names=('cat', 'dog'), notes=())
    """
    if len(labels) == 0:
        raise InputError(f"{where} has no rows")
    if labels.dtype.kind in "OSU":
        text = labels.astype(str)
        found = np.unique(text)
        order = list(names) if names is not None else sorted(found.tolist(), key=natural)
        _check_count(where, found)
        extra = np.setdiff1d(found, order)
        if len(extra):
            row = int(np.flatnonzero(text == extra[0])[0])
            raise InputError(f"{where}: label {str(extra[0])!r} in row {row} is not one of {_short(order)}")
        place = {str(n): k for k, n in enumerate(order)}
        return Target(
            np.array([place[str(f)] for f in found], np.int64)[np.searchsorted(found, text)], tuple(order)
        )
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
        names = names or ("False", "True")
    wrong = ~(labels == np.floor(labels)) | (labels < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{where}: label {labels[row]} in row {row} is no class: classes are 0, 1, 2 ... or text"
        )
    codes = labels.astype(np.int64)
    if names is None:
        found, codes = np.unique(codes, return_inverse=True)
        _check_count(where, found)
        return Target(codes.astype(np.int64), tuple(str(f) for f in found))
    if codes.max() >= len(names):
        row = int(np.argmax(codes >= len(names)))
        known = f"0..{len(names) - 1}, the codes of {_short(names)}"
        raise InputError(f"{where}: label {codes[row]} in row {row} is outside {known}")
    _check_count(where, np.unique(codes))
    return Target(codes, tuple(names))


def interpret(y: npt.NDArray[Any], request: Request, where: str) -> Target:
    """Decide whether a target means classes or numbers, and say so in a note where it is not plain.

    Text and booleans are classes; numbers with fractions are regression; whole numbers are classes unless
    they take too many different values for the number of rows. `request.task` overrides.
    """
    notes: tuple[str, ...] = ()
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind in "fc" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise InputError(f"{where}: the target of row {row} is missing or infinite: remove such rows")
    if y.ndim == 2:
        if y.dtype.kind in "iufb" and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
            names = request.class_names or tuple(str(k) for k in range(y.shape[1]))
            target = class_codes(y.argmax(axis=1), names, where)
            return Target(
                target.y, target.class_names, ("the target was one-hot: its columns are the classes",)
            )
        if request.task == "classification":
            raise InputError(
                f"{where}: a target of shape {y.shape} is neither one column nor one-hot: no classes"
            )
        return Target(y.astype(np.float64), ())
    if y.ndim != 1:
        raise InputError(f"{where}: the target has shape {y.shape}: it must be (rows,) or (rows, outputs)")
    numeric = y.dtype.kind in "iuf"
    if request.task == "regression" and not numeric:
        raise InputError(f"{where}: the target is text: regression needs numbers")
    if request.task is None and numeric and request.class_names is None:
        whole = bool((y == np.floor(y)).all())
        different = len(np.unique(y))
        few = different <= _FEW if y.dtype.kind == "f" else different <= max(_MANY, len(y) / _ROWS_PER_CLASS)
        regression = not whole or not few or bool(y.min(initial=0) < 0)
        if regression and whole:
            notes = (
                f"the target has {different} different whole numbers: taken as regression, not as classes",
            )
    else:
        regression = request.task == "regression"
    if regression:
        return Target(y.astype(np.float64), (), notes)
    return class_codes(y, request.class_names, where)


def _check_count(where: str, found: npt.NDArray[Any]) -> None:
    if len(found) < 2:
        raise InputError(f"{where} has only one class, {str(found[0])!r}: at least two are needed")


def _short(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" ... ({len(names)} in all)" if len(names) > 10 else "")
