"""Checks of data before anything is trained on them; each says what it measured, where, and what to do."""

from __future__ import annotations

# Importing a module registers its checks, in this order.
# isort: off
from glassnet.data.checks import (
    form,
    labels,
    duplicates,
    outliers,
    table,
    pictures,
    shortcuts,
    order,
    label_errors,
)

# isort: on
from glassnet.data.checks.evidence import Evidence
from glassnet.data.dataset import Dataset
from glassnet.data.scaling import Scaling
from glassnet.data.split import Split
from glassnet.errors import unknown_name
from glassnet.findings import Finding, Severity, registered
from glassnet.progress import Progress

__all__ = ["Evidence", "check_names", "run_checks"]

_SUBJECTS = (form, labels, duplicates, outliers, table, pictures, shortcuts, order, label_errors)


def check_names() -> tuple[str, ...]:
    """Names of all checks, in the order in which they run.

    >>> check_names()[:3]
    ('table-size', 'missing-values', 'infinite-values')
    """
    return tuple(registered("data"))


def run_checks(
    dataset: Dataset,
    split: Split | None = None,
    *,
    scaling: Scaling | None = None,
    only: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Examine a dataset: one finding for each check, also where it found nothing or does not apply.

    Parameters
    ----------
    split : which rows train and which are held out; None takes the source's own parts, if it has any
    scaling : what the network will read, for the scaling audit
    only : names of the checks to run, None for all
    progress : receives the name of each check

    Raises
    ------
    InputError
        If `only` names an unknown check.

    Examples
    --------
    >>> import numpy as np
    >>> data = Dataset(np.array([[1.0], [np.nan], [3.0]]), np.array([0, 1, 1]), ("no", "yes"), ("age",))
    >>> found = run_checks(data, only=("missing-values",))[0]
    >>> found.severity.label, found.examples, found.n_affected
    ('warning', ('age',), 1)
    """
    checks = registered("data")
    for name in only or ():
        if name not in checks:
            raise unknown_name("check", name, checks)
    chosen = [name for name in checks if only is None or name in only]
    evidence = Evidence(dataset, split, scaling)
    too_small = len(dataset) < 2 or not dataset.n_features or dataset.X.dtype.kind not in "uifb"
    progress = progress or Progress()
    progress.begin("checks", len(chosen))
    try:
        found = []
        for name in chosen:
            progress.advance(0, name)  # what is going on now
            if too_small and name != form.SIZE.name:
                finding = Finding(name, Severity.SKIPPED, "does not apply: there is nothing to examine")
            else:
                finding = checks[name](evidence)
            found.append(finding)
            progress.advance(1, name)
        return found
    finally:
        progress.end()
