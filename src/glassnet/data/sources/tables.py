"""Tables: numbers, text categories and missing cells, from CSV, TSV, parquet or a data frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import Dataset
from glassnet.data.sources.content import Request, natural
from glassnet.data.sources.delimited import head_of, open_text, refuse_odd_lines
from glassnet.data.sources.labels import interpret
from glassnet.data.sources.parquet import read_parquet
from glassnet.errors import InputError, unknown_name

if TYPE_CHECKING:
    import polars as pl

__all__ = ["USED", "from_frame", "read_delimited", "read_tables"]

USED = frozenset({"target", "drop", "class_names", "task"})

_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", "#N/A"]
_TARGETS = ("target", "label", "labels", "class", "y")
_DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([ T]\d{1,2}:\d{2}.*)?\s*$"
_MOSTLY = 0.9  # share of numbers in a text column from which the other cells are mistakes, not categories
# polars would take empty lines for rows without values
_EMPTY_LINES = re.compile(rb"(?:\r?\n[ \t]*)+(?:\r?\n|\Z)")
_DECIMAL_COMMA = re.compile(rb"\d,\d")


def from_frame(frame: pl.DataFrame, request: Request, where: str, part: Any = None) -> Dataset:
    """A Dataset from a polars frame.

    Numbers and booleans become columns of float64 (float32 if every column fits in it), missing cells NaN.
    Text becomes codes 0, 1, ... of its sorted categories, whose names are in `Dataset.categories`. Dates are
    refused: what a network should see of one (its month, its weekday ...) is the user's decision.

    Raises
    ------
    InputError
        for an unknown target, a missing target cell, a date, or a cell of text among numbers
    """
    import polars as pl

    if frame.height == 0:
        raise InputError(f"{where} has no rows")
    for name in request.drop:
        if name not in frame.columns:
            raise unknown_name(f"column of {where}", name, frame.columns)
    frame = frame.drop(request.drop)
    target = _target(frame.columns, request, where)
    labels = frame[target]
    if labels.dtype.is_float():
        labels = labels.fill_nan(None)
    if labels.null_count():
        row = int(labels.is_null().arg_true()[0])
        missing = f"missing in {labels.null_count()} of {frame.height} rows (first in {_th(row)})"
        raise InputError(f"{where}: target {target!r} is {missing}: remove them")
    _refuse_dates(labels, where)
    if labels.dtype in (pl.Categorical, pl.Enum):
        labels = labels.cast(pl.String)
    meaning = interpret(labels.to_numpy(), request, f"{where}, target {target!r}")
    columns = [frame[name] for name in frame.columns if name != target]
    if not columns:
        raise InputError(f"{where} has no column besides the target {target!r}")
    notes = meaning.notes
    if request.target is None:
        notes = (*notes, f"column {target!r} is taken as the target")
    small = all(c.dtype in (pl.Float32, pl.Int8, pl.Int16, pl.UInt8, pl.UInt16, pl.Boolean) for c in columns)
    X = np.empty((frame.height, len(columns)), np.float32 if small else np.float64)
    categories: dict[int, tuple[str, ...]] = {}
    for k, column in enumerate(columns):
        X[:, k], names = _numbers(column, where)
        if names is not None:
            categories[k] = names
    return Dataset(
        X, meaning.y, class_names=meaning.class_names, part=part, categories=categories,
        feature_names=tuple(c.name for c in columns), name="table", source=where, notes=notes,
    )  # fmt: skip


def _target(columns: Sequence[str], request: Request, where: str) -> str:
    wanted = request.target
    if isinstance(wanted, int):
        if not -len(columns) <= wanted < len(columns):
            raise InputError(f"{where} has {len(columns)} columns: target={wanted} is none of them")
        return columns[wanted]
    if wanted is not None:
        if wanted not in columns:
            raise unknown_name(f"target column of {where}", wanted, columns)
        return wanted
    known = [c for c in columns if c.lower() in _TARGETS]
    if len(known) != 1:
        there = ", ".join(columns[:12]) + (" ..." if len(columns) > 12 else "")
        raise InputError(f"{where}: which column is the target? target = '...' or --target, one of {there}")
    return known[0]


def _th(row: int) -> str:
    """Where a row is, for whoever looks at the file.

    >>> _th(0)
    'the 1st row, header apart'
    """
    n = row + 1
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"the {n:,}{ending} row, header apart"


def _numbers(column: pl.Series, where: str) -> tuple[npt.NDArray[Any], tuple[str, ...] | None]:
    """Values (n,) with NaN where missing, and the names of the categories if the column is text."""
    import polars as pl

    _refuse_dates(column, where)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).to_numpy(), None
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise InputError(
            f"{where}: column {column.name!r} holds {column.dtype}, neither numbers nor text: drop it"
        )
    text = column.cast(pl.String)
    numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
    n_cells, n_numbers = len(text) - text.null_count(), len(text) - numbers.null_count()
    if _MOSTLY * n_cells <= n_numbers:
        wrong = (numbers.is_null() & text.is_not_null()).arg_true()
        if len(wrong):
            raise InputError(
                f"{where}: column {column.name!r} holds numbers, but {text[int(wrong[0])]!r} in "
                f"{_th(int(wrong[0]))} ({len(wrong)} of {len(text)} cells): correct, or empty if missing"
            )
        return numbers.to_numpy(), None
    names = tuple(sorted(text.drop_nulls().unique().to_list(), key=natural))
    codes = text.replace_strict(list(names), np.arange(len(names), dtype=np.float64), default=None)
    return codes.to_numpy(), names


def _refuse_dates(column: pl.Series, where: str) -> None:
    import polars as pl

    dates = column.dtype.is_temporal()
    if column.dtype == pl.String and (cells := column.drop_nulls()).len():
        dates = bool(cells.str.contains(_DATE).all())
    if dates:
        raise InputError(
            f"{where}: column {column.name!r} holds dates: replace it by numbers (year, month, "
            f"day of the week, days since a day) or leave it out with drop=[{column.name!r}] (--drop)"
        )


# --- files


def read_tables(files: Sequence[tuple[Path, int]], request: Request, where: str) -> Dataset:
    """One table from files with their part codes; several must have the same columns."""
    import polars as pl

    frames: list[pl.DataFrame] = []
    parts, notes = [], []
    for path, code in files:
        frame = read_parquet(path) if path.name.lower().endswith(".parquet") else read_delimited(path)
        if frames and set(frame.columns) != set(frames[0].columns):
            odd = sorted(set(frame.columns) ^ set(frames[0].columns))
            if odd == [_target(frames[0].columns, request, where)]:
                notes.append(f"{path.name} has no column {odd[0]!r}, the target, and was left out")
                continue
            raise InputError(
                f"{path} and {files[0][0]} do not have the same columns ({odd[0]!r} is in one only)"
            )
        frames.append(frame.select(frames[0].columns) if frames else frame)
        parts.append(np.full(frame.height, code, np.int8))
    part = np.concatenate(parts)
    whole = frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")
    data = from_frame(whole, request, where, part if len(np.unique(part)) > 1 else None)
    return replace(data, notes=(*data.notes, *notes))


def read_delimited(path: Path) -> pl.DataFrame:
    """A CSV or TSV file as a frame; InputError names a line that is not UTF-8 or not as long as the head."""
    import polars as pl

    where = str(path)
    with open_text(path) as file:
        head = head_of(file, where)
        names = head.names(where)
        content = file.read()
    comma = head.delimiter == ";" and _DECIMAL_COMMA.search(content[:100_000]) is not None
    first = 1 + head.named
    if not content.strip():
        raise head.no_rows(where)
    try:
        frame = pl.read_csv(
            _EMPTY_LINES.sub(b"\n", content.strip(b"\r\n")), has_header=False, new_columns=list(names),
            separator=head.delimiter, null_values=_MISSING, try_parse_dates=True, infer_schema_length=None,
            decimal_comma=comma,
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        refuse_odd_lines(content, head, where, first)
        raise InputError(f"{where} cannot be parsed as CSV: {_first_line(error)}") from None
    if frame.width != len(names) or frame[names[-1]].null_count():
        refuse_odd_lines(content, head, where, first)
    return frame


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
