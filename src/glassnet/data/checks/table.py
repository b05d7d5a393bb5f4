"""Checks of single columns: constant, all unique, repeated, of very many categories; and of their scale."""

from __future__ import annotations

import hashlib

import numpy as np

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.rule import Rule
from glassnet.data.columns import chunks
from glassnet.findings import Finding, Severity, counted, finding

__all__ = [
    "all_unique_columns",
    "constant_columns",
    "duplicate_columns",
    "high_cardinality_columns",
    "scaling_audit",
]

_PIXELS = "pixels are not columns with a meaning of their own"

CONSTANT = Rule(
    "constant-columns",
    "columns with one value only (missing cells aside)",
    "drop them: they carry no information",
    threshold=0,
)


@finding("data", CONSTANT.name)
def constant_columns(e: Evidence) -> Finding:
    low, high = e.extremes
    constant = np.flatnonzero((low == high) & (e.missing == 0))
    if not len(constant):
        return CONSTANT.ok(f"all {e.X.shape[1]:,} columns vary", 0)
    # Borders of pictures are often constant and do no harm.
    severity = Severity.WARNING if e.is_table else Severity.INFO
    return CONSTANT.found(
        severity,
        f"{len(constant):,} of {e.X.shape[1]:,} columns are constant",
        e.column_names(constant),
        value=len(constant),
    )


UNIQUE = Rule(
    "all-unique-columns",
    "columns of whole numbers or categories in which no value occurs twice, in 20 rows or more",
    "drop them: they number the rows (an identifier), and a network can only learn them by heart",
    threshold=20,
)


@finding("data", UNIQUE.name)
def all_unique_columns(e: Evidence) -> Finding:
    if not e.is_table:
        return UNIQUE.skipped(_PIXELS)
    if e.n < 20:
        return UNIQUE.skipped("fewer than 20 rows")
    whole = np.flatnonzero(_whole(e))
    unique = [j for j in whole if len(np.unique(e.X[:, j])) == e.n]
    if not unique:
        return UNIQUE.ok("no column numbers the rows", 0)
    names = e.column_names(unique)
    return UNIQUE.found(
        Severity.WARNING,
        f"{counted(len(unique), 'column looks like an identifier', 'columns look like identifiers')}: "
        f"{', '.join(names[:3])}",
        names, value=len(unique),
    )  # fmt: skip


def _whole(e: Evidence) -> np.ndarray:
    """Which columns hold whole numbers only."""
    whole = np.ones(e.X.shape[1], bool)
    for piece in chunks(e.X):
        whole &= (piece == np.floor(piece)).all(axis=0)
    return whole


CARDINALITY = Rule(
    "high-cardinality-columns",
    "text columns of more than 50 categories",
    "group rare categories, or encode them as ordered codes: one-hot coding makes a column of each",
    threshold=50,
)


@finding("data", CARDINALITY.name)
def high_cardinality_columns(e: Evidence) -> Finding:
    sizes = {j: len(names) for j, names in e.dataset.categories.items()}
    if not sizes:
        return CARDINALITY.skipped("there are no text columns")
    many = sorted((j for j in sizes if sizes[j] > 50), key=lambda j: -sizes[j])
    largest = max(sizes.values())
    if not many:
        return CARDINALITY.ok(f"text columns have at most {largest} categories", largest)
    names = e.column_names(many)
    return CARDINALITY.found(
        Severity.WARNING,
        f"{len(many)} text columns have more than 50 categories; {names[0]}: {largest:,}",
        names,
        value=largest,
    )


COPIES = Rule(
    "duplicate-columns",
    "columns that equal an earlier column in every row",
    "drop the copies",
    threshold=0,
)


@finding("data", COPIES.name)
def duplicate_columns(e: Evidence) -> Finding:
    if not e.is_table:
        return COPIES.skipped(_PIXELS)
    low, high = e.extremes
    first: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for j in np.flatnonzero(low != high):  # constant columns have a check of their own
        key = hashlib.blake2b(np.ascontiguousarray(e.X[:, j]).data, digest_size=16).digest()
        if (earlier := first.setdefault(key, int(j))) != j:
            pairs.append((earlier, int(j)))
    if not pairs:
        return COPIES.ok("no column repeats another", 0)
    names = e.column_names([j for _, j in pairs])
    return COPIES.found(
        Severity.WARNING,
        f"{counted(len(pairs), 'column repeats', 'columns repeat')} an earlier column: "
        f"{names[0]} is {e.column_names(pairs[0][0])[0]}",
        names,
        value=len(pairs),
    )


AUDIT = Rule(
    "scaling-audit",
    "mean and standard deviation of all inputs as a network reads them: |mean| at most 0.5, deviation 0.25 "
    "to 2; and columns whose mean is more than 10,000 deviations, where float32 loses the variation",
    "scale the inputs: 'unit' or 'channel' for images, 'standard' or 'robust' for tables",
    threshold=0.5,
    source="Amazon SageMaker Debugger's rule for inputs, widened",
)


@finding("data", AUDIT.name)
def scaling_audit(e: Evidence) -> Finding:
    m = e.moments
    drowned = np.flatnonzero((m.std > 0) & (np.abs(m.mean) > 1e4 * m.std) & (e.extremes[0] != e.extremes[1]))
    if len(drowned):
        names = e.column_names(drowned)
        return AUDIT.found(
            Severity.WARNING,
            f"{counted(len(drowned), 'column varies', 'columns vary')} by less than 1/10,000 of "
            "the mean, which float32 can hardly hold "
            f"({', '.join(names[:3])}): subtract the mean before storing",
            names,
            value=len(drowned),
        )
    scale, shift = (1.0, 0.0) if e.scaling is None else (e.scaling.scale, e.scaling.shift)
    means, stds = m.mean * scale + shift, m.std * np.abs(scale)
    mean = float(means.mean())
    std = float(np.sqrt((stds**2 + (means - mean) ** 2).mean()))
    said = f"inputs have mean {mean:.3g} and standard deviation {std:.3g}"
    fine = abs(mean) <= 0.5 and 0.25 <= round(std, 2) <= 2
    if e.scaling is None:
        said = f"as stored, {said}"
        return AUDIT.ok(said, mean) if fine else AUDIT.found(Severity.INFO, f"{said}: scale them", value=mean)
    return AUDIT.ok(said, mean) if fine else AUDIT.found(Severity.WARNING, said, value=mean)
