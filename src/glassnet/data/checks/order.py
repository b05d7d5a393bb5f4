"""Checks of order and of place: sorted files, and parts that differ from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.linear import held_out_scores
from glassnet.data.checks.rule import Rule
from glassnet.findings import Finding, Severity, finding

__all__ = ["order_dependence", "part_drift"]

ORDER = Rule(
    "order-dependence",
    "changes of class between neighbouring rows, divided by the number expected in random order, where they "
    "are more than 4 standard deviations too few; for numeric targets 1 - the correlation of neighbours",
    "shuffle before splitting and before every epoch (glassnet does both)",
    threshold=0.5,
    source="Wald & Wolfowitz 1940, for several classes",
)


@finding("data", ORDER.name)
def order_dependence(e: Evidence) -> Finding:
    if e.labels is None and (e.dataset.task == "classification" or not np.isfinite(e.dataset.y).all()):
        return ORDER.skipped("the target has values outside its range")
    targets = e.labels if e.labels is not None else e.dataset.y.reshape(e.n, -1)[:, 0].astype(np.float64)
    ratio, sorted_file = _order(targets)
    what = "class" if e.labels is not None else "target"
    if not sorted_file:
        return ORDER.ok(f"rows are in no order of {what}: {ratio:.2f} of what chance gives", ratio)
    said = f"the rows are sorted or blocked by {what}: it changes {ratio:.2g} times as often as by chance"
    if e.split is not None and not _order(targets[e.split.train])[1]:
        return ORDER.found(Severity.INFO, f"{said}; the split's training rows are shuffled", value=ratio)
    in_folders = e.dataset.image is not None and e.labels is not None  # a numeric target is in none
    if in_folders and np.count_nonzero(np.diff(targets) < 0) < _parts(e):
        return ORDER.found(Severity.INFO, f"{said}; pictures in class folders are read so", value=ratio)
    return ORDER.found(Severity.WARNING, said, _first_changes(targets), value=ratio, n_affected=e.n)


def _parts(e: Evidence) -> int:
    return 1 if e.dataset.part is None else len(np.unique(e.dataset.part))


def _order(targets: npt.NDArray[Any]) -> tuple[float, bool]:
    """Changes between neighbours against their expectation, and whether they are too few."""
    n = len(targets)
    if targets.dtype.kind == "f":
        if n < 20 or np.ptp(targets) == 0:
            return 1.0, False
        r = float(np.corrcoef(targets[:-1], targets[1:])[0, 1])
        return 1 - r, r > 0.5 and r * np.sqrt(n) > 4
    share = np.bincount(targets) / n
    expected = n * (1 - (share**2).sum())
    changes = int(np.count_nonzero(targets[1:] != targets[:-1]))
    if expected <= 0:
        return 1.0, False
    # Each pair of neighbours changes with probability p; the pairs are nearly independent for large n.
    p = min(expected / max(n - 1, 1), 1.0)
    deviation = np.sqrt(max((n - 1) * p * (1 - p), 1e-12))
    return changes / expected, changes < 0.5 * expected and (expected - changes) / deviation > 4


def _first_changes(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Rows at which the class changes: where the blocks begin."""
    if targets.dtype.kind == "f":
        return np.zeros(0, np.int64)
    return np.flatnonzero(targets[1:] != targets[:-1]) + 1


DRIFT = Rule(
    "part-drift",
    "area under the ROC curve with which a linear model (on at most 64 standardised features and squares, "
    "5-fold cross-validated) tells training rows from validation or test rows; 0.5 is chance",
    "find out how the parts were drawn; split again at random if nothing speaks against it",
    threshold=0.65,
    source="Lopez-Paz & Oquab 2017, classifier two-sample tests",
)


@finding("data", DRIFT.name)
def part_drift(e: Evidence) -> Finding:
    parts = dict(e.split.items()) if e.split is not None else {}
    if "train" not in parts or len(parts) < 2:
        return DRIFT.skipped("the data are not split")
    train = parts.pop("train")
    found: dict[str, float] = {}
    surest = 0.0
    for name, rows in parts.items():
        if min(len(train), len(rows)) < 20:
            continue
        both = np.concatenate([train, rows])
        is_held_out = np.arange(len(both)) >= len(train)
        scores = held_out_scores(_with_squares(e.features[both]), is_held_out[:, None].astype(np.float64))[
            :, 0
        ]
        auc = area_under_curve(scores, is_held_out)
        # Standard error of the Mann-Whitney statistic when both parts are drawn alike.
        error = np.sqrt((len(both) + 1) / (12 * len(train) * len(rows)))
        found[name] = auc
        if auc > 0.65:
            surest = max(surest, (auc - 0.5) / error)
    if not found:
        return DRIFT.skipped("a part has fewer than 20 rows")
    worst = max(found, key=lambda name: found[name])
    said = f"training and {worst} rows are told apart with an area under the curve of {found[worst]:.2f}"
    if surest > 4:
        return DRIFT.found(Severity.WARNING, said, [worst], value=found[worst], per_part=found)
    return DRIFT.ok(said, found[worst], per_part=found)


def _with_squares(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.concatenate([features, features**2], axis=1)


def area_under_curve(scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann & Whitney 1947); ties count half.

    >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    u = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * (len(scores) - n_positive)))
