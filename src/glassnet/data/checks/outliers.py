"""Checks of distributions: values far from their column's mean, and images far from the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import PROPERTIES, Evidence
from glassnet.data.checks.rule import Rule
from glassnet.data.columns import chunks, quantiles
from glassnet.findings import Finding, Severity, counted, finding

__all__ = ["distributions", "extreme_values", "outlier_values", "property_outliers"]

Z = 3.29  # a normal column has one value in a thousand beyond it

OUTLIERS = Rule(
    "outlier-values",
    "values with |z| > 3.29, where z = (value - column mean) / column standard deviation",
    "look at the columns with many, and scale robustly if they are heavy-tailed",
    threshold=Z,
    source="the coursework, part 0",
)


@finding("data", OUTLIERS.name)
def outlier_values(e: Evidence) -> Finding:
    per_column = outliers_per_column(e)
    total = int(per_column.sum())
    share = total / max(1, int(e.moments.count.sum()))
    worst = np.argsort(-per_column, kind="stable")
    worst = worst[per_column[worst] > 0]
    said = (
        f"{total:,} values beyond |z| = {Z} ({share:.3%} of all; a normal distribution has 0.1 %), "
        f"in {len(worst):,} of {e.X.shape[1]:,} columns"
    )
    if share <= 0.001:
        return OUTLIERS.ok(said, share, outliers_per_column=per_column)
    return OUTLIERS.found(
        Severity.INFO, said, e.column_names(worst), value=share, outliers_per_column=per_column
    )


def outliers_per_column(e: Evidence) -> npt.NDArray[np.int64]:
    """Values of each column with |z| > 3.29, from its 256 counts where it holds bytes."""
    mean, reach = e.moments.mean, Z * e.moments.std
    if e.X.dtype == np.uint8:
        levels = np.arange(256)
        beyond = np.abs(levels - mean[:, None]) > reach[:, None]
        return np.asarray((e.counts * beyond).sum(axis=1))
    found = np.zeros(e.X.shape[1], np.int64)
    for piece in chunks(e.X):
        found += (np.abs(piece - mean) > reach + 1e-9 * np.abs(mean)).sum(axis=0)
    return found


EXTREME = Rule(
    "extreme-values",
    "values of a table more than 50 inter-quartile ranges from their column's median",
    "check the unit and the decimal point of these cells",
    threshold=50,
)


@finding("data", EXTREME.name)
def extreme_values(e: Evidence) -> Finding:
    if not e.is_table or e.X.dtype == np.uint8:
        return EXTREME.skipped("bytes cannot lie far outside their range")
    first, median, third = quantiles(e.X, [0.25, 0.5, 0.75])
    spread = np.where(third > first, third - first, np.inf)
    centre = np.where(np.isfinite(median), median, 0)
    found = np.zeros(e.X.shape[1], np.int64)
    rows: list[int] = []
    largest, start = 0.0, 0
    for piece in chunks(e.X):
        away = np.abs(np.where(np.isfinite(piece), piece, centre) - centre) / spread
        far = away > 50
        found += far.sum(axis=0)
        largest = max(largest, float(away.max(initial=0)))
        rows += (np.flatnonzero(far.any(axis=1)) + start).tolist()
        start += len(piece)
    columns = np.flatnonzero(found)
    if not len(columns):
        return EXTREME.ok(f"the farthest value lies {largest:.1f} inter-quartile ranges away", largest)
    names = e.column_names(columns)
    return EXTREME.found(
        Severity.WARNING,
        f"{counted(found.sum(), 'value', 'values')} in "
        f"{counted(len(columns), 'column', 'columns')} ({', '.join(names[:5])}) lie up to "
        f"{largest:.0f} inter-quartile ranges from the median",
        rows,
        value=largest,
        columns=names,
    )


SHAPES = Rule(
    "distributions",
    "mean and standard deviation of all values, skewness (third standardised moment) of columns, share of "
    "the values at either end of the range",
    "look at the figure; clipped ends have lost information, strong skew asks for a logarithm",
    threshold=2.0,
    source="the coursework, part 0",
)


@finding("data", SHAPES.name)
def distributions(e: Evidence) -> Finding:
    skew = _skewness(e)
    if e.image is not None:
        low, high = (np.nan_to_num(bound.astype(np.float64)) for bound in e.extremes)
        mean = float(e.moments.mean.mean())
        spread = float(np.sqrt((e.moments.std**2 + (e.moments.mean - mean) ** 2).mean()))
        said = f"pixels {low.min():g} to {high.max():g}, mean {mean:.4g}, standard deviation {spread:.4g}"
        ends = _share_at_ends(e) if e.X.dtype == np.uint8 else (0.0, 0.0)
        if e.X.dtype == np.uint8:
            said += f"; {ends[0]:.1%} of them black, {ends[1]:.1%} white"
        return SHAPES.ok(said, float(np.abs(skew).max(initial=0)), skewness=skew, mean=mean, std=spread)
    skewed = np.flatnonzero(np.abs(skew) > 2)
    skewed = skewed[np.argsort(-np.abs(skew[skewed]), kind="stable")]
    largest = float(np.abs(skew).max(initial=0))
    said = f"{len(skewed):,} of {len(skew):,} columns are strongly skewed (the most: {largest:.1f})"
    if len(skewed):
        return SHAPES.found(Severity.INFO, said, e.column_names(skewed), value=largest, skewness=skew)
    return SHAPES.ok(said, largest, skewness=skew)


def _skewness(e: Evidence) -> npt.NDArray[np.float64]:
    m = e.moments
    std = np.where(m.std > 1e-12 * np.abs(m.mean), m.std, np.inf)
    if e.X.dtype == np.uint8:
        z = (np.arange(256) - m.mean[:, None]) / std[:, None]
        return np.asarray((e.counts * z**3).sum(axis=1) / np.maximum(m.count, 1))
    total = np.zeros(e.X.shape[1])
    for piece in chunks(e.X):
        z = np.where(np.isfinite(piece), (piece - m.mean) / std, 0)
        total += (z**3).sum(axis=0)
    return total / np.maximum(m.count, 1)


def _share_at_ends(e: Evidence) -> tuple[float, float]:
    levels = e.counts.sum(axis=0)
    highest = int(np.flatnonzero(levels).max(initial=0))
    return float(levels[0] / levels.sum()), float(levels[highest] / levels.sum())


PROPERTY = Rule(
    "property-outliers",
    "images with a property (brightness, contrast, sharpness) more than 6 robust standard deviations "
    "(inter-quartile range / 1.349) from the median of all images; sharpness on a logarithmic scale",
    "look at these images: another camera, a frame, a file that went wrong?",
    threshold=6,
    source="the idea of CleanVision's and Deepchecks' property outliers",
)


@finding("data", PROPERTY.name)
def property_outliers(e: Evidence) -> Finding:
    if e.is_table:
        return PROPERTY.skipped("the rows are not images")
    names = ("brightness", "contrast", "sharpness")
    values = e.properties[:, [PROPERTIES.index(name) for name in names]].astype(np.float64)
    values[:, 2] = np.log1p(values[:, 2])
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    away = np.abs(values - median) / np.maximum((third - first) / 1.349, 1e-6 * 255)
    far = np.flatnonzero((away > 6).any(axis=1))
    if not len(far):
        return PROPERTY.ok(
            f"no image is further than {away.max():.1f} deviations from the others", away.max()
        )
    far = far[np.argsort(-away[far].max(axis=1), kind="stable")]
    share = len(far) / e.n
    which = names[int(np.argmax(away[far[0]]))]
    return PROPERTY.found(
        Severity.WARNING if share > 0.01 else Severity.INFO,
        f"{len(far):,} images stand apart ({share:.2%}), the first by its {which}",
        far,
        value=away[far[0]].max(),
    )
