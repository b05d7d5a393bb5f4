"""Checks of the labels: which classes there are, how many rows each has, and whether the parts agree."""

from __future__ import annotations

import numpy as np

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.rule import Rule
from glassnet.findings import Finding, Severity, counted, finding

__all__ = ["class_balance", "class_names", "label_set", "split_label_drift", "target_values"]

_REGRESSION = "the target is a number, not a class"
_OUTSIDE = "some labels are outside the label set"

SET = Rule(
    "label-set",
    "class codes are 0..C-1, every class has rows, and every class is in every part",
    "drop unused class names; make every part hold every class (a stratified split does)",
    threshold=0,
)


@finding("data", SET.name)
def label_set(e: Evidence) -> Finding:
    d = e.dataset
    if d.task != "classification":
        return SET.skipped(_REGRESSION)
    if e.labels is None:
        wrong = np.flatnonzero((d.y < 0) | (d.y >= d.n_classes) | (d.y != np.floor(d.y)))
        return SET.found(
            Severity.ERROR,
            f"{len(wrong):,} labels are not codes 0..{d.n_classes - 1} of the {d.n_classes} classes",
            wrong,
            value=len(wrong),
        )
    counts = np.bincount(e.labels, minlength=d.n_classes)
    empty = [d.class_names[c] for c in np.flatnonzero(counts == 0)]
    if np.count_nonzero(counts) < 2:
        return SET.found(
            Severity.ERROR, "all rows are of one class: nothing can be told apart", empty, value=1
        )
    if e.split is not None:
        per_part = {
            name: np.bincount(e.labels[rows], minlength=d.n_classes) for name, rows in e.split.items()
        }
        train = per_part.pop("train", counts)
        for part, found in per_part.items():
            unseen = [d.class_names[c] for c in np.flatnonzero((found > 0) & (train == 0))]
            if unseen:
                return SET.found(
                    Severity.ERROR,
                    f"{counted(len(unseen), 'class', 'classes')} of the {part} part without any training row",
                    unseen,
                    value=len(unseen),
                )
            absent = [d.class_names[c] for c in np.flatnonzero((found == 0) & (train > 0))]
            if absent:
                return SET.found(
                    Severity.WARNING,
                    f"{len(absent)} of {d.n_classes} classes are absent from the {part} part",
                    absent,
                    value=len(absent),
                )
    if empty:
        said = f"{counted(len(empty), 'class has', 'classes have')} no row"
        return SET.found(Severity.WARNING, said, empty, value=len(empty))
    return SET.ok(f"{d.n_classes} classes, all with rows", 0)


NAMES = Rule(
    "class-names",
    "class names that are equal but for capitals, spaces, hyphens and underscores",
    "merge the classes, or rename them",
    threshold=0,
)


@finding("data", NAMES.name)
def class_names(e: Evidence) -> Finding:
    if e.dataset.task != "classification":
        return NAMES.skipped(_REGRESSION)
    alike: dict[str, list[str]] = {}
    for name in e.dataset.class_names:
        alike.setdefault("".join(c for c in name.casefold() if c not in " -_"), []).append(name)
    doubtful = [name for names in alike.values() if len(names) > 1 for name in names]
    if doubtful:
        return NAMES.found(
            Severity.WARNING,
            f"{len(doubtful)} class names may mean the same class",
            doubtful,
            value=len(doubtful),
        )
    return NAMES.ok("all class names differ", 0)


BALANCE_LEVELS = (3.0, 10.0)  # info, warning

BALANCE = Rule(
    "class-balance",
    "rows of the largest class divided by rows of the smallest",
    "score by macro averages or average precision, not by accuracy; choose the threshold on validation data",
    threshold=10,
    source="van den Goorbergh et al. 2022: re-weighting barely changes the ranking",
)


@finding("data", BALANCE.name)
def class_balance(e: Evidence) -> Finding:
    if e.labels is None:
        return BALANCE.skipped(_REGRESSION if e.dataset.task != "classification" else _OUTSIDE)
    names = e.dataset.class_names
    counts = np.bincount(e.labels, minlength=len(names))
    few, many = int(np.argmin(np.where(counts > 0, counts, counts.max()))), int(np.argmax(counts))
    ratio = float(counts[many] / counts[few])
    said = f"largest class {names[many]!r} {counts[many]:,} rows, smallest {names[few]!r} {counts[few]:,}"
    if ratio == 1:
        said = f"each class has {counts[many]:,} rows"
    rows_of = dict(zip(names, counts.tolist(), strict=True)) if len(names) <= 100 else {}
    if ratio > BALANCE_LEVELS[0]:
        severity = Severity.WARNING if ratio > BALANCE_LEVELS[1] else Severity.INFO
        minor = np.argsort(counts, kind="stable")
        rare = [names[c] for c in minor if 0 < counts[c] * BALANCE_LEVELS[0] < counts[many]]
        return BALANCE.found(
            severity, f"{said}: {ratio:.1f} times as many", rare, value=ratio, rows_of_class=rows_of
        )
    return BALANCE.ok(said, ratio, rows_of_class=rows_of)


DRIFT = Rule(
    "split-label-drift",
    "Cramer's V between part and class, corrected for bias",
    "split again, stratified by class",
    threshold=0.15,
    source="Bergsma 2013, A bias-correction for Cramer's V",
)


@finding("data", DRIFT.name)
def split_label_drift(e: Evidence) -> Finding:
    if e.labels is None:
        return DRIFT.skipped(_REGRESSION if e.dataset.task != "classification" else _OUTSIDE)
    parts = e.split.items() if e.split is not None else ()
    if len(parts) < 2:
        return DRIFT.skipped("the data are not split")
    table = np.stack([np.bincount(e.labels[rows], minlength=e.dataset.n_classes) for _, rows in parts])
    v = cramers_v(table)
    if v > 0.15:
        shares = table / table.sum(axis=1, keepdims=True)
        drifted = np.argsort(-np.ptp(shares, axis=0), kind="stable")[:5]
        c = int(drifted[0])
        per_part = ", ".join(f"{s:.1%} of {name}" for (name, _), s in zip(parts, shares[:, c], strict=True))
        return DRIFT.found(
            Severity.WARNING,
            f"class shares differ between parts (V = {v:.2f}); {e.dataset.class_names[c]!r} is {per_part}",
            [e.dataset.class_names[k] for k in drifted],
            value=v,
        )
    return DRIFT.ok(f"class shares agree between the parts (V = {v:.3f})", v)


def cramers_v(table: np.ndarray) -> float:
    """Bias-corrected Cramer's V of a table of counts: 0 independent, 1 one determines the other.

    >>> round(cramers_v(np.array([[50, 0], [0, 50]])), 6), cramers_v(np.array([[50, 50], [5, 5]]))
    (1.0, 0.0)
    """
    table = table[:, table.sum(axis=0) > 0].astype(np.float64)
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = float(((table - expected) ** 2 / expected).sum() / n)
    r, k = table.shape
    corrected = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(corrected / smaller)) if smaller > 0 else 0.0


TARGET = Rule(
    "target-values",
    "missing, infinite or constant targets; targets more than 50 inter-quartile ranges from the median",
    "drop rows without a target; check the units of the extreme ones",
    threshold=50,
)


@finding("data", TARGET.name)
def target_values(e: Evidence) -> Finding:
    if e.dataset.task == "classification":
        return TARGET.skipped("the target is a class")
    y = e.dataset.y.reshape(e.n, -1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(y).all(axis=1))
    if len(bad):
        said = f"{counted(len(bad), 'row has', 'rows have')} no finite target"
        return TARGET.found(Severity.ERROR, said, bad, value=len(bad))
    if (np.ptp(y, axis=0) == 0).any():
        return TARGET.found(Severity.ERROR, "the target is constant: there is nothing to predict", value=0)
    first, median, third = np.quantile(y, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(third > first, third - first, np.inf)
    away = (np.abs(y - median) / spread).max(axis=1)
    far = np.flatnonzero(away > 50)
    if len(far):
        far = far[np.argsort(-away[far], kind="stable")]
        return TARGET.found(
            Severity.WARNING,
            f"{len(far):,} targets lie more than 50 inter-quartile ranges from the median",
            far,
            value=away[far[0]],
        )
    return TARGET.ok(f"targets from {y.min():g} to {y.max():g}", float(away.max()))
