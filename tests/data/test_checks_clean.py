"""Data without a fault: no check finds more than a piece of information."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from glassnet.data.checks import run_checks
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.scaling import fit_scaling
from glassnet.data.split import split
from glassnet.findings import Severity

from .planted import pictures, regression, table


def bundled(name: str) -> Dataset:
    found = getattr(datasets, f"load_{name}")()
    names = () if name == "diabetes" else tuple(str(n) for n in found.target_names)
    if name == "digits":
        return Dataset(found.data.astype(np.uint8), found.target, names, image=ImageShape(8, 8, 1), name=name)
    return Dataset(found.data, found.target, names, tuple(found.feature_names), name=name)


CLEAN = {
    "colour pictures": pictures,
    "grey pictures": lambda: pictures(channels=1, seed=1),
    "table": table,
    "regression": regression,
    **{
        name: lambda name=name: bundled(name)
        for name in ("digits", "iris", "wine", "breast_cancer", "diabetes")
    },
}


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("seed", [0, 1])
def test_clean_data_raise_no_warning(name: str, seed: int) -> None:
    data = CLEAN[name]()
    parts = split(data, validation=0.2, test=0.2, seed=seed)
    kind = "channel" if data.image else "standard"
    found = run_checks(data, parts, scaling=fit_scaling(data.X, kind, data.image, rows=parts.train))
    raised = [(f.check, f.summary) for f in found if f.severity > Severity.INFO]
    assert raised == []


@pytest.mark.parametrize("make", [pictures, table, regression])
def test_clean_data_without_a_split_raise_no_warning(make: object) -> None:
    found = run_checks(make())  # type: ignore[operator]
    assert [f.check for f in found if f.severity > Severity.INFO] == []
