"""The demonstration: the coursework's five parts on the handwritten digits that ship with scikit-learn."""

from __future__ import annotations

from glassnet.data.read import read
from glassnet.lab.coursework import run_coursework
from glassnet.lab.plan import load_coursework
from glassnet.lab.results import Study
from glassnet.progress import Progress

__all__ = ["run_demo"]


def run_demo(*, seed: int = 0, progress: Progress | None = None, command: str = "glassnet demo") -> Study:
    """Check, split, scale, train and compare on real data that needs no download; under a minute.

    The settings are those of `lab/experiments/demo.toml`.
    """
    return run_coursework(
        read("digits"), load_coursework("demo"), seed=seed, progress=progress, command=command
    )
