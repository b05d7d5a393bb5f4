"""The demonstration: the coursework's five parts on the handwritten digits that ship with scikit-learn."""

from __future__ import annotations

from glassnet.data.read import read
from glassnet.lab.coursework import Plan, run_plan
from glassnet.lab.results import Study
from glassnet.progress import Progress

__all__ = ["DEMO", "run_demo"]

#: 1,797 images of 8 x 8 pixels are learned in seconds: fewer units, and rates that suit them
DEMO = Plan(
    title="glassnet on 1,797 handwritten digits", positive="8", epochs=(900, 1000, 1000, 50),
    lr=(0.5, 1.0, 1.0), hidden=64, wide=64, validation=0.2, test=0.2,
)  # fmt: skip


def run_demo(*, seed: int = 0, progress: Progress | None = None, command: str = "glassnet demo") -> Study:
    """Check, split, scale, train and compare on real data that needs no download; under a minute."""
    return run_plan(read("digits"), DEMO, seed=seed, progress=progress, command=command)
