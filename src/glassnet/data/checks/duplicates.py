"""Checks for rows that occur more than once: inside a part, across parts, and with conflicting labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.rule import Rule
from glassnet.data.checks.similar import CORRELATION, HASH_BITS
from glassnet.findings import Finding, Severity, finding

__all__ = ["conflicting_labels", "exact_duplicates", "group_leakage", "leakage_share", "near_duplicates"]

_SIDE = 16  # pixels; smaller pictures of different things look alike
_NOT_SPLIT = "the data are not split"

EXACT = Rule(
    "exact-duplicates",
    "share of rows that repeat an earlier row in every column (the target aside)",
    "drop the copies before splitting, or keep copies of one row in one part (groups)",
    threshold=0.01,
)


@finding("data", EXACT.name)
def exact_duplicates(e: Evidence) -> Finding:
    copies = np.flatnonzero(e.same != np.arange(e.n))
    share = len(copies) / e.n
    if not len(copies):
        return EXACT.ok("no row occurs twice", 0.0)
    return EXACT.found(
        Severity.WARNING if share > 0.01 else Severity.INFO,
        f"{len(copies):,} of {e.n:,} rows repeat an earlier row ({share:.2%})",
        copies,
        value=share,
        pairs=[[int(e.same[row]), int(row)] for row in copies[:20]],
    )


CONFLICT = Rule(
    "conflicting-labels",
    "equal rows that carry different classes",
    "look at these rows and correct or drop them: no model can learn both labels",
    threshold=0,
)


@finding("data", CONFLICT.name)
def conflicting_labels(e: Evidence) -> Finding:
    if e.labels is None:
        return CONFLICT.skipped("the target is not a valid class")
    differs = e.labels != e.labels[e.same]
    groups = np.unique(e.same[differs])
    rows = np.flatnonzero(np.isin(e.same, groups))
    if not len(rows):
        return CONFLICT.ok("equal rows have equal labels", 0)
    share = len(rows) / e.n
    return CONFLICT.found(
        Severity.ERROR if share > 0.05 else Severity.WARNING,
        f"{len(rows):,} rows are equal to a row with another label ({len(groups):,} different rows)",
        rows,
        value=len(rows),
    )


NEAR = Rule(
    "near-duplicates",
    f"share of images whose 8 x 8 average hash is at most {HASH_BITS} bits from another's, confirmed by "
    f"a correlation of the pixels of at least {CORRELATION}; exact copies are counted elsewhere",
    "look at the pairs; keep pictures of one scene in one part (groups)",
    threshold=0.01,
    source="Krawetz 2011 (average hash); Barz & Denzler 2020 (3.3 % of CIFAR-10's test images)",
)


@finding("data", NEAR.name)
def near_duplicates(e: Evidence) -> Finding:
    reason = _too_small(e)
    if reason:
        return NEAR.skipped(reason)
    pairs = _inexact(e)
    rows = np.unique(pairs)
    share = len(rows) / e.n
    if not len(rows):
        return NEAR.ok("no two images are nearly the same", 0.0)
    labels = e.labels
    conflicts = int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum()) if labels is not None else 0
    return NEAR.found(
        Severity.WARNING if share > 0.01 else Severity.INFO,
        f"{len(rows):,} of {e.n:,} images have a near duplicate ({share:.2%}, {len(pairs):,} pairs, "
        f"{conflicts:,} of them with different labels)"
        + ("" if e.near.complete else "; the search was cut short"),
        rows,
        value=share,
        pairs=pairs[:20].tolist(),
    )


def _too_small(e: Evidence) -> str:
    if e.image is None:
        return "only images have near duplicates"
    if min(e.image.height, e.image.width) < _SIDE:
        return f"images under {_SIDE} x {_SIDE} pixels are too small to tell near duplicates from look-alikes"
    return ""


def _inexact(e: Evidence) -> npt.NDArray[np.int64]:
    pairs = e.near.pairs
    return np.asarray(pairs[e.same[pairs[:, 0]] != e.same[pairs[:, 1]]])


LEAK = Rule(
    "leakage-share",
    "share of validation and test rows of which training holds an exact copy or (images) near duplicate; in "
    "tables, where equal rows are natural, ten times the threshold is allowed",
    "drop these rows from training, or split by groups: scores on them measure memory",
    threshold=0.005,
    source="Barz & Denzler 2020, Do we train on test data?",
)


@finding("data", LEAK.name)
def leakage_share(e: Evidence) -> Finding:
    parts = dict(e.split.items()) if e.split is not None else {}
    if "train" not in parts or len(parts) < 2:
        return LEAK.skipped(_NOT_SPLIT)
    train = np.zeros(e.n, bool)
    train[parts.pop("train")] = True
    first_rows_in_train = np.zeros(e.n, bool)
    first_rows_in_train[e.same[train]] = True
    leaked = first_rows_in_train[e.same] & ~train
    kinds = "copies"
    if not _too_small(e):
        kinds = "copies or near duplicates"
        for a, b in (e.near.pairs.T, e.near.pairs.T[::-1]):
            leaked[a[train[b] & ~train[a]]] = True
    held_out = np.concatenate(list(parts.values()))
    rows = np.sort(held_out[leaked[held_out]])
    share = len(rows) / len(held_out)
    if not len(rows):
        return LEAK.ok(f"no held-out row has {kinds} in training", 0.0)
    few = 0.05 if e.is_table else 0.005
    severity = Severity.INFO if share <= few else Severity.WARNING if share <= 0.1 else Severity.ERROR
    return LEAK.found(
        severity,
        f"{len(rows):,} of {len(held_out):,} validation and test rows have {kinds} in training ({share:.2%})",
        rows,
        value=share,
        share_per_part={name: float(leaked[r].mean()) for name, r in parts.items()},
    )


GROUPS = Rule(
    "group-leakage",
    "groups (rows that belong together) with rows in more than one part",
    "split again: glassnet's split keeps groups together",
    threshold=0,
)


@finding("data", GROUPS.name)
def group_leakage(e: Evidence) -> Finding:
    groups = e.dataset.groups
    if groups is None:
        return GROUPS.skipped("the rows have no groups")
    if e.split is None:
        return GROUPS.skipped(_NOT_SPLIT)
    _, code = np.unique(groups, return_inverse=True)
    parts_of = np.zeros(int(code.max()) + 1, np.int64)
    for k, (_, rows) in enumerate(e.split.items()):
        parts_of[np.unique(code[rows])] |= 1 << k
    torn = (parts_of & (parts_of - 1)) != 0  # more than one bit
    if not torn.any():
        return GROUPS.ok(f"each of {len(torn):,} groups is in one part", 0)
    return GROUPS.found(
        Severity.ERROR,
        f"{torn.sum():,} of {len(torn):,} groups have rows in more than one part",
        np.flatnonzero(torn[code]),
        value=int(torn.sum()),
        n_affected=int(torn[code].sum()),
    )
