"""Checks for ways to know the target without learning the task: one column, or one property of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import PROPERTIES, Evidence
from glassnet.data.checks.rule import Rule
from glassnet.data.columns import chunks
from glassnet.findings import Finding, Severity, counted, finding

__all__ = ["property_label_shortcut", "target_leaking_columns"]

Floats = npt.NDArray[np.float64]

LEAKING = Rule(
    "target-leaking-columns",
    "columns (or their missing cells) with |correlation| > 0.95 with a numeric target or one class against "
    "the rest, or whose variance is explained by the classes to more than 95 % (correlation ratio)",
    "ask whether the column is known before the target is; if not, drop it",
    threshold=0.95,
    source="correlation ratio: Fisher 1925",
)


@finding("data", LEAKING.name)
def target_leaking_columns(e: Evidence) -> Finding:
    if e.labels is not None:
        targets = e.labels
    elif e.dataset.task == "regression" and np.isfinite(e.dataset.y).all():
        targets = e.dataset.y.reshape(e.n, -1).astype(np.float64)
    else:
        return LEAKING.skipped("the target has values outside its range")
    strength = _association(e, targets, missing=False)
    if e.missing.any():
        strength = np.maximum(strength, _association(e, targets, missing=True))
    leaking = np.flatnonzero(strength > 0.95)
    strongest = float(strength.max(initial=0))
    if not len(leaking):
        return LEAKING.ok(f"no column tells the target: at most {strongest:.2f}", strongest)
    leaking = leaking[np.argsort(-strength[leaking], kind="stable")]
    names = e.column_names(leaking)
    return LEAKING.found(
        Severity.WARNING,
        f"{counted(len(leaking), 'column nearly gives', 'columns nearly give')} the target away; "
        f"{names[0]}: {strongest:.3f}",
        names,
        value=strongest,
    )


def _association(e: Evidence, targets: npt.NDArray[Any], missing: bool) -> Floats:
    """Largest |correlation| with a target or class; for classes also the correlation ratio (eta squared)."""
    classes = targets.dtype.kind == "i"
    width = e.dataset.n_classes if classes else targets.shape[1]
    sums = np.zeros((width, e.X.shape[1]))
    total, squares = np.zeros(e.X.shape[1]), np.zeros(e.X.shape[1])
    centre = np.zeros(e.X.shape[1]) if missing else e.moments.mean
    t = None if classes else targets - targets.mean(axis=0)
    start = 0
    for piece in chunks(e.X):
        x = np.isnan(piece).astype(np.float64) if missing else np.where(np.isfinite(piece), piece - centre, 0)
        at = slice(start, start + len(piece))
        weights = np.eye(width)[targets[at]] if t is None else t[at]
        sums += weights.T @ x
        total += x.sum(axis=0)
        squares += np.einsum("ij,ij->j", x, x)
        start += len(piece)
    spread = squares - total**2 / e.n  # n times the variance
    spread = np.where(spread > 1e-9 * np.maximum(squares, 1e-300), spread, np.inf)
    if t is not None:
        target_spread = np.maximum((t**2).sum(axis=0), 1e-300)
        return np.asarray(np.abs(sums / np.sqrt(spread * target_spread[:, None])).max(axis=0))
    counts = np.bincount(targets, minlength=width).astype(np.float64)[:, None]
    present = np.maximum(counts, 1)
    between = (sums**2 / present).sum(axis=0) - total**2 / e.n
    with_class = np.abs(sums - total * counts / e.n) / np.sqrt(
        np.maximum(counts * (1 - counts / e.n), 1e-300)
    )
    with_class = np.where(counts * (e.n - counts) > 0, with_class / np.sqrt(spread), 0).max(axis=0)
    return np.asarray(np.maximum(with_class, between / spread))


SHORTCUT = Rule(
    "property-label-shortcut",
    "how well one property of an image (brightness, contrast, sharpness, colour ...) alone tells its class: "
    "balanced accuracy on held-out rows of the likeliest class in each of 32 bins, 0 guessing, 1 perfect",
    "normalise the property per image, or collect images that break its link with the class",
    threshold=0.5,
    source="the idea of Deepchecks' image-property shortcut; Geirhos et al. 2020, Shortcut learning",
)


@finding("data", SHORTCUT.name)
def property_label_shortcut(e: Evidence) -> Finding:
    if e.is_table:
        return SHORTCUT.skipped("the rows are not images")
    if e.labels is None:
        return SHORTCUT.skipped("the target is not a valid class")
    if e.n < 100:
        return SHORTCUT.skipped("fewer than 100 images are too few to tell")
    scores = {name: _power(e.image_property(name), e.labels) for name in PROPERTIES}
    best = max(scores, key=lambda name: scores[name])
    said = f"{best} alone tells the class with a score of {scores[best]:.2f}"
    if scores[best] > 0.2:
        severity = Severity.WARNING if scores[best] > 0.5 else Severity.INFO
        telling = sorted((p for p in scores if scores[p] > 0.2), key=lambda p: -scores[p])
        return SHORTCUT.found(severity, said, telling, value=scores[best], scores=scores)
    return SHORTCUT.ok(f"at most {said}", scores[best], scores=scores)


def _power(values: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Balanced accuracy of binned values on rows that did not choose the bins' classes, rescaled to 0..1."""
    n_bins = min(32, len(values) // 20)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="right")
    half = np.random.default_rng(0).permutation(len(values)) % 2 == 0
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return 0.0
    table = np.zeros((n_bins + 1, len(counts)))
    np.add.at(table, (bins[half], labels[half]), 1)
    table /= np.maximum(table.sum(axis=0), 1)  # every class weighs the same
    decided = table.argmax(axis=1)[bins[~half]]
    right = np.bincount(labels[~half], weights=decided == labels[~half], minlength=len(counts))
    of_class = np.bincount(labels[~half], minlength=len(counts))
    recall = right[present] / np.maximum(of_class[present], 1)
    chance = 1 / len(present)
    return float(max(0.0, (recall.mean() - chance) / (1 - chance)))
