"""Tables as a network reads them: missing cells filled in, categories as columns, names kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import extremes, moments, quantiles
from glassnet.data.dataset import Dataset
from glassnet.errors import InputError, unknown_name

__all__ = ["FILLS", "LabelEncoding", "SmoothClip", "TableEncoding", "fit_table"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer[Any]]

FILLS = ("median", "mean", "zero")
CODINGS = ("one-hot", "signed", "ordinal")


@dataclass(frozen=True)
class TableEncoding:
    """Columns of a table as columns of numbers without a gap.

    First the numeric columns with missing cells filled in, then an indicator (1 where the cell was missing)
    for each numeric column that had missing cells in training, then the text columns.

    Parameters
    ----------
    numeric : (a,) columns of the table that are taken as numbers
    fill : (a,) what a missing cell becomes
    flagged : (b,) columns with an indicator
    text : (c,) text columns
    codes, ends : (all categories,) codes of the categories seen in training, column after column, and (c,)
        where the codes of each column end
    coding : of text columns; what is missing or was not seen in training is "unknown"
        "one-hot": a column of 0 and 1 for each category, all 0 for the unknown
        "signed": the same, but two categories become one column of +1 and -1, 0 for the unknown
        "ordinal": one column with the category's place 0, 1, ..., -1 for the unknown
    names : names of the new columns
    """

    numeric: npt.NDArray[np.int64]
    fill: npt.NDArray[np.float64]
    flagged: npt.NDArray[np.int64]
    text: npt.NDArray[np.int64]
    codes: npt.NDArray[np.float64]
    ends: npt.NDArray[np.int64]
    coding: str
    names: tuple[str, ...]

    @property
    def is_number(self) -> npt.NDArray[np.bool_]:
        """Which of the new columns hold numbers that want scaling, and not flags of 0, 1 and -1."""
        ordinal = self.coding == "ordinal"
        at = np.arange(len(self.names))
        first_text = len(self.numeric) + len(self.flagged)
        return np.asarray((at < len(self.numeric)) | ((at >= first_text) & ordinal))

    def apply(self, X: Array) -> npt.NDArray[np.float64]:
        """The encoded table, (n, len(names)) float64."""
        out = np.zeros((len(X), len(self.names)))
        numbers = X[:, self.numeric]
        out[:, : len(self.numeric)] = np.where(np.isnan(numbers), self.fill, numbers)
        at = len(self.numeric)
        out[:, at : at + len(self.flagged)] = np.isnan(X[:, self.flagged])
        at += len(self.flagged)
        start = 0
        for column, end in zip(self.text, self.ends, strict=True):
            hit = X[:, column, None] == self.codes[start:end]  # (n, categories); a missing cell equals none
            part = self._coded(hit)
            out[:, at : at + part.shape[1]] = part
            at += part.shape[1]
            start = end
        return out

    def _coded(self, hit: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        if self.coding == "ordinal":
            return np.where(hit.any(axis=1), hit.argmax(axis=1), -1)[:, None]
        if self.coding == "signed" and hit.shape[1] == 2:
            return hit[:, :1].astype(np.int64) - hit[:, 1:]
        return hit

    def invert(self, Z: Array) -> Floats:
        """A table's encoding has no inverse."""
        raise InputError("an encoded table cannot be turned back: filled-in and grouped cells are not kept")


def fit_table(
    dataset: Dataset,
    rows: Rows | None = None,
    *,
    coding: str = "one-hot",
    fill: str = "median",
    indicator: bool = True,
) -> TableEncoding:
    """Learn from the training rows which categories there are and what missing cells become.

    A column with one value only, or none, in the training rows is dropped.

    Parameters
    ----------
    rows : (m,) the training rows' numbers, None for all
    coding : of text columns: "one-hot", "signed" or "ordinal", see `TableEncoding`
    fill : of missing numbers: "median", "mean" or "zero"
    indicator : add a column that tells where a number was missing

    Raises
    ------
    InputError
        If a name is unknown, there is no row, or no column varies.

    Examples
    --------
    >>> X = np.array([[1.0, 0], [np.nan, 1], [3.0, 2], [9.0, 3]])
    >>> data = Dataset(X, np.arange(4.0), feature_names=("age", "town"), categories={1: ("A", "B", "C", "D")})
    >>> encoding = fit_table(data, np.array([0, 1, 2]))
    >>> encoding.names
    ('age', 'age missing', 'town=A', 'town=B', 'town=C')
    >>> encoding.apply(X).tolist()[1:]
    [[2.0, 1.0, 0.0, 1.0, 0.0], [3.0, 0.0, 0.0, 0.0, 1.0], [9.0, 0.0, 0.0, 0.0, 0.0]]
    """
    if coding not in CODINGS:
        raise unknown_name("coding of categories", coding, CODINGS)
    if fill not in FILLS:
        raise unknown_name("way to fill missing cells", fill, FILLS)
    X = dataset.X
    rows = np.arange(len(X)) if rows is None else np.asarray(rows)
    if not len(rows):
        raise InputError("a table's encoding needs at least one training row to be fitted on")
    count = moments(X, rows).count
    low, high = extremes(X, rows)
    has_gap = count < len(rows)
    is_text = np.isin(np.arange(X.shape[1]), list(dataset.categories))
    numeric = np.flatnonzero(~is_text & (low < high))
    flagged = np.flatnonzero(~is_text & has_gap & (count > 0)) if indicator else np.zeros(0, np.int64)
    names = dataset.feature_names or tuple(f"column {j}" for j in range(X.shape[1]))
    new_names = [names[j] for j in numeric] + [f"{names[j]} missing" for j in flagged]
    text: list[int] = []
    codes: list[npt.NDArray[Any]] = []
    for j in np.flatnonzero(is_text):
        cells = X[rows, j]
        seen = np.unique(cells[~np.isnan(cells)])
        if len(seen) > 1 or (len(seen) == 1 and has_gap[j]):
            text.append(int(j))
            codes.append(seen)
            new_names += _names_of(names[j], dataset.categories[int(j)], seen, coding)
    if not new_names:
        raise InputError(
            f"{dataset.name}: no column varies in the training rows, there is nothing to learn from"
        )
    return TableEncoding(
        numeric=numeric,
        fill=_fills(X, rows, fill)[numeric],
        flagged=flagged,
        text=np.array(text, np.int64),
        codes=np.concatenate([np.zeros(0), *codes]),
        ends=np.cumsum([len(c) for c in codes], dtype=np.int64),
        coding=coding,
        names=tuple(new_names),
    )


def _fills(X: Array, rows: Rows, fill: str) -> npt.NDArray[np.float64]:
    if fill == "median":
        return np.asarray(np.nan_to_num(quantiles(X, [0.5], rows)[0]))
    return np.asarray(moments(X, rows).mean if fill == "mean" else np.zeros(X.shape[1]))


def _names_of(column: str, categories: tuple[str, ...], seen: Array, coding: str) -> list[str]:
    if coding == "ordinal" or (coding == "signed" and len(seen) == 2):
        return [column]
    return [f"{column}={categories[int(code)]}" for code in seen]


@dataclass(frozen=True)
class SmoothClip:
    """z = x / sqrt(1 + (x / limit)^2): small values stay, large ones bend towards +-limit.

    RealMLP-TD-S's preprocessing (Holzmueller et al. 2024), limit 3.

    >>> SmoothClip(3.0).apply(np.array([[0.1, 100.0]])).round(2).tolist()
    [[0.1, 3.0]]
    """

    limit: float

    def apply(self, X: Array) -> npt.NDArray[np.floating[Any]]:
        """Values within +-limit, of X's shape and type."""
        return np.asarray(X / np.sqrt(1 + (X / self.limit) ** 2))

    def invert(self, Z: Array) -> npt.NDArray[np.floating[Any]]:
        """Values before clipping; what was rounded to the limit itself comes back as a large number."""
        inside = np.minimum(np.square(Z.astype(np.float64) / self.limit), 1 - 1e-12)
        return np.asarray(Z / np.sqrt(1 - inside), Z.dtype)


@dataclass(frozen=True)
class LabelEncoding:
    """Names of classes to codes 0..C-1 and back.

    Examples
    --------
    >>> labels = LabelEncoding.fit(["dog", "cat", "dog"])
    >>> labels.names, labels.encode(["cat", "dog"]).tolist(), labels.decode([1, 1])
    (('cat', 'dog'), [0, 1], ['dog', 'dog'])
    """

    names: tuple[str, ...]

    @classmethod
    def fit(cls, labels: Sequence[Any]) -> LabelEncoding:
        """The names in sorted order, as scikit-learn's LabelEncoder has them."""
        return cls(tuple(str(name) for name in np.unique(np.asarray(labels))))

    def encode(self, labels: Sequence[Any]) -> npt.NDArray[np.int64]:
        """Codes (n,) int64 of labels; an unknown label is an error that names it."""
        code_of = {name: code for code, name in enumerate(self.names)}
        codes = np.empty(len(labels), np.int64)
        for row, label in enumerate(labels):
            if str(label) not in code_of:
                raise unknown_name("class", str(label), self.names)
            codes[row] = code_of[str(label)]
        return codes

    def decode(self, codes: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[str]:
        """Names of codes."""
        return [self.names[code] for code in np.asarray(codes, np.int64)]
