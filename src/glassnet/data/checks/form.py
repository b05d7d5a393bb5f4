"""Checks of form: how many rows, which numbers, which are missing, in which order the pixels lie."""

from __future__ import annotations

import numpy as np

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.rule import Rule
from glassnet.data.columns import chunks
from glassnet.findings import Finding, Severity, counted, finding

__all__ = ["channel_layout", "infinite_values", "missing_values", "table_size", "value_range"]

SIZE = Rule(
    "table-size",
    "rows per class (per data set for regression), and the type in which values are stored",
    "bring more rows; keep pixels as 8-bit whole numbers and other values as float32",
    threshold=10,
)


@finding("data", SIZE.name)
def table_size(e: Evidence) -> Finding:
    n, width = e.X.shape
    per_class = n / max(e.dataset.n_classes, 1)
    said = f"{n:,} rows of {width:,} columns, {e.X.dtype}"
    if n < 2 or width == 0:
        return SIZE.found(Severity.ERROR, f"{said}: nothing can be learned", value=n)
    if e.X.dtype not in (np.uint8, np.float32, np.float64):
        return SIZE.found(Severity.ERROR, f"{said}: networks read uint8, float32 or float64", value=n)
    if per_class < 10:
        return SIZE.found(Severity.WARNING, f"{said}: {per_class:.1f} rows per class", value=per_class)
    return SIZE.ok(said, per_class)


MISSING = Rule(
    "missing-values",
    "cells without a number (NaN) per column",
    "impute them (median, with an indicator column), or drop columns that are mostly missing",
    threshold=0,
    source="the coursework, part 0",
)


@finding("data", MISSING.name)
def missing_values(e: Evidence) -> Finding:
    columns = np.flatnonzero(e.missing)
    if not len(columns):
        return MISSING.ok(f"no missing value in {e.X.shape[1]:,} columns", 0)
    worst = columns[np.argsort(-e.missing[columns], kind="stable")]
    share = e.missing[worst] / e.n
    return MISSING.found(
        Severity.ERROR if share[0] == 1 else Severity.WARNING,
        f"{counted(e.missing.sum(), 'cell is', 'cells are')} missing, "
        f"in {len(columns):,} of {e.X.shape[1]:,} columns "
        f"(the worst, {e.column_names(worst[0])[0]}: {share[0]:.1%})",
        e.column_names(worst),
        value=e.missing.sum(),
        share_per_column=dict(zip(e.column_names(worst[:20]), share[:20].tolist(), strict=True)),
        rows=e.rows_where(np.isnan),
    )


INFINITE = Rule(
    "infinite-values",
    "cells that hold +infinity or -infinity",
    "find the division by zero or the overflow that made them; replace them by missing values",
    threshold=0,
)


@finding("data", INFINITE.name)
def infinite_values(e: Evidence) -> Finding:
    columns = np.flatnonzero(e.infinite)
    if not len(columns):
        return INFINITE.ok("no infinite value", 0)
    return INFINITE.found(
        Severity.ERROR,
        f"{counted(e.infinite.sum(), 'cell is', 'cells are')} infinite, "
        f"in {len(columns):,} of {e.X.shape[1]:,} columns",
        e.column_names(columns),
        value=e.infinite.sum(),
        rows=e.rows_where(np.isinf),
    )


RANGE = Rule(
    "value-range",
    "smallest and largest pixel value; images whose values all lie in 0..1 among images of 0..255",
    "bring all images to one range before they are stored: either 0..255 or 0..1, never both",
    threshold=255,
)


@finding("data", RANGE.name)
def value_range(e: Evidence) -> Finding:
    if e.is_table:
        return RANGE.skipped("table columns have no common range")
    if e.infinite.any():
        return RANGE.skipped("some pixels are infinite")
    bounds = np.nan_to_num(np.array(e.extremes, np.float64))
    low, high = float(bounds.min()), float(bounds.max())
    said = f"pixels from {low:g} to {high:g}"
    if e.X.dtype == np.uint8 and high <= 1:
        return RANGE.found(
            Severity.WARNING,
            f"{said}: black and white only, or fractions that lost their digits when stored as whole numbers",
            value=high,
        )
    if low < 0 or high > 255:
        return RANGE.found(Severity.WARNING, f"{said}, outside 0..255", value=low if low < 0 else high)
    if e.X.dtype != np.uint8 and high > 1:
        small = np.concatenate([_fractions_only(piece) for piece in chunks(e.X)])
        if 0 < small.sum() < e.n:
            return RANGE.found(
                Severity.ERROR,
                f"{said}, but {small.sum():,} of {e.n:,} images lie in 0..1: two scales are mixed",
                np.flatnonzero(small),
                value=high,
            )
    return RANGE.ok(said, high)


def _fractions_only(piece: np.ndarray) -> np.ndarray:
    inside = np.nanmax(piece, axis=1, initial=0) <= 1
    return np.asarray(inside & (piece != np.rint(piece)).any(axis=1))


LAYOUT = Rule(
    "channel-layout",
    "mean squared difference of vertical neighbours if rows are channel planes (as glassnet stores them), "
    "divided by the same if they were interleaved (red, green, blue of one pixel, then the next)",
    "give images as arrays (rows, height, width, channels), or transpose to planes before flattening",
    threshold=1.2,
)


@finding("data", LAYOUT.name)
def channel_layout(e: Evidence) -> Finding:
    s = e.image
    if s is None or s.channels < 2:
        return LAYOUT.skipped("only images of several channels have a layout")
    if s.height < 4:
        return LAYOUT.skipped("images of fewer than 4 rows of pixels are too small to tell")
    rows = np.linspace(0, e.n - 1, min(e.n, 500)).astype(np.int64)
    X = e.X[np.unique(rows)].astype(np.float64)
    X[~np.isfinite(X)] = 0
    planar = np.diff(X.reshape(-1, s.channels, s.height, s.width), axis=2)
    interleaved = np.diff(X.reshape(-1, s.height, s.width, s.channels), axis=1)
    if not interleaved.any():
        return LAYOUT.skipped("the images are uniform")
    ratio = float((planar**2).mean() / (interleaved**2).mean())
    if ratio > 1.2:
        return LAYOUT.found(
            Severity.WARNING,
            f"the pixels look interleaved: as channel planes, neighbours differ {ratio:.1f} times as much",
            value=ratio,
        )
    return LAYOUT.ok(f"channel planes: neighbours differ {ratio:.2f} times as much as if interleaved", ratio)
