"""A look at data alone: what they are, what the checks say, and what a report draws of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from glassnet.data.checks import run_checks
from glassnet.data.dataset import Dataset
from glassnet.data.describe import describe, pictures_of
from glassnet.data.split import Split
from glassnet.findings import Finding, Severity
from glassnet.lab.environment import environment
from glassnet.lab.results import DataSummary, Study
from glassnet.progress import Progress

__all__ = ["look", "summarise"]

_EXAMPLES = 12  # pictures of each finding


def look(dataset: Dataset, *, progress: Progress | None = None, command: str = "") -> Study:
    """Run every check on data as they come, and describe them; nothing is split, scaled or trained.

    Parameters
    ----------
    dataset : classes or a regression target, pictures or a table
    progress : receives the name of each check
    command : how to do this again, for the report

    Returns
    -------
    Study : without parts; its findings are in `data.findings`

    Examples
    --------
    >>> import numpy as np
    >>> pets = Dataset(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 1]), ("no", "yes"), name="pets")
    >>> study = look(pets)
    >>> study.title, len(study.parts), study.data.counts
    ('A look at pets', 0, {'all': (1, 2)})
    """
    started = time.perf_counter()
    findings = run_checks(dataset, progress=progress)
    summary = summarise(dataset, None, scaling="none: as stored", findings=findings, seed=0)
    kinds = Counter(f.severity for f in findings)
    counted = ", ".join(f"{kinds[severity]} {severity.label}" for severity in sorted(kinds, reverse=True))
    return Study(
        title=f"A look at {dataset.name}",
        summary=f"{len(dataset):,} rows of {dataset.name}, {len(findings)} checks: {counted}.",
        data=summary,
        parts=(),
        environment=environment(command=command),
        seconds=time.perf_counter() - started,
    )


def summarise(
    dataset: Dataset, split: Split | None, *, scaling: str, findings: Sequence[Finding], seed: int
) -> DataSummary:
    """What a report says and draws of data; of the training rows if there is a split.

    Parameters
    ----------
    scaling : how the network reads the data, for people
    seed : of the choice of pictures
    """
    drawn, image = describe(dataset, split, seed=seed), dataset.image
    return DataSummary(
        name=dataset.name, source=dataset.source, n_rows=len(dataset), n_features=dataset.n_features,
        dtype=str(dataset.X.dtype), class_names=dataset.class_names, counts=drawn.counts, scaling=scaling,
        findings=tuple(findings),
        image_shape=None if image is None else (image.height, image.width, image.channels),
        samples=drawn.samples, mean_images=drawn.mean_images, std_images=drawn.std_images,
        distribution=dict(drawn.distribution), quantiles=drawn.quantiles,
        pictured={} if image is None else pictures_of(dataset, _example_rows(dataset, findings)),
        feature_names=dataset.feature_names,
    )  # fmt: skip


def _example_rows(dataset: Dataset, findings: Sequence[Finding]) -> list[int]:
    """Rows that findings name as examples (columns are named by text)."""
    rows = {
        example
        for finding in findings
        if finding.severity > Severity.SKIPPED
        for example in finding.examples[:_EXAMPLES]
        if isinstance(example, int) and 0 <= example < len(dataset)
    }
    return sorted(rows)
