"""A small plan and small data for the tests of the lab: a whole experiment in a second or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassnet.lab.plan import parse_experiment
from glassnet.lab.spec import Experiment

PLAN = """
title = "Small"
seeds = 6
[data]
source = "iris"
prepare = "standard"
[model]
hidden = [4]
[training]
epochs = 3
[vary]
"model.activation" = ["relu", "sigmoid"]
"""


@pytest.fixture
def plan_text() -> str:
    return PLAN


@pytest.fixture
def small() -> Experiment:
    return parse_experiment(PLAN)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"
