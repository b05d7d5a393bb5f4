"""A small finished study, for tests of what the command does with one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from glassnet.evaluate import class_scores
from glassnet.findings import Finding, Severity
from glassnet.lab.results import DataSummary, Part, Reference, Run, Study


@pytest.fixture
def study() -> Study:
    history = {
        "epoch": [1.0, 2.0],
        "loss": [0.9, 0.5],
        "accuracy": [0.6, 0.8],
        "val_loss": [1.0, 0.625],
        "val_accuracy": [0.55, math.nan],  # not measured at the last epoch
        "seconds": [0.1, 0.1],
    }
    y = np.array([0, 1, 1, 0])
    part = Part(
        key="part-3",
        title="Ten classes",
        story="One hidden layer.",
        runs=(Run(label="[64, 10] sigmoid", settings={"lr": 0.1}, history=history, seconds=0.2),),
        scores=class_scores(y, y, ("cat", "dog")),
        references=(Reference("accuracy", 0.424, 0.2, "their decision rule"),),
        scores_of="[64, 10] sigmoid, validation rows",
    )
    data = DataSummary(
        name="pets", source="made by hand", n_rows=4, n_features=2, dtype="float32",
        class_names=("cat", "dog"), counts={"train": (2, 2)}, scaling="none",
        findings=(Finding("balance", Severity.OK, "The classes are balanced."),),
    )  # fmt: skip
    return Study("Pets", "A network told cats from dogs.", data, (part,), {"seed": "0"}, seconds=0.3)


@pytest.fixture
def interrupted(study: Study) -> Study:
    return replace(study, interrupted=True)
