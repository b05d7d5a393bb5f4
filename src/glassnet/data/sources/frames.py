"""Data frames in memory, of polars or pandas."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.data.dataset import Dataset
from glassnet.data.sources.content import Request
from glassnet.data.sources.tables import from_frame
from glassnet.errors import InputError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["from_data_frame", "is_frame"]


def is_frame(source: object) -> bool:
    """Whether an object is a polars or pandas frame, without importing either."""
    return type(source).__name__ == "DataFrame" and type(source).__module__.split(".")[0] in (
        "polars",
        "pandas",
    )


def from_data_frame(source: Any, request: Request) -> Dataset:
    """A Dataset from a polars or pandas frame; `request.target` names the target column."""
    kind = type(source).__module__.split(".")[0]
    return from_frame(source if kind == "polars" else _from_pandas(source), request, f"the {kind} frame")


def _from_pandas(source: Any) -> pl.DataFrame:
    """Column by column: polars' own conversion needs pyarrow for text."""
    import polars as pl

    names = [str(c) for c in source.columns]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(
            f"the pandas frame has {names.count(twice[0])} columns named {twice[0]!r}: rename them"
        )
    columns = []
    for name, (_, column) in zip(names, source.items(), strict=True):
        kind = getattr(column.dtype, "kind", "O")
        if isinstance(column.dtype, np.dtype) and kind in "iufbM":
            columns.append(pl.Series(name, column.to_numpy()))
        elif kind in "iufb":  # pandas' nullable numbers
            columns.append(pl.Series(name, column.to_numpy(np.float64, na_value=np.nan)))
        elif kind == "M":
            columns.append(pl.Series(name, column.dt.tz_localize(None).to_numpy()))
        else:
            missing = column.isna().to_numpy()
            cells = [None if gone else str(cell) for cell, gone in zip(column, missing, strict=True)]
            columns.append(pl.Series(name, cells, pl.String))
    return pl.DataFrame(columns)
