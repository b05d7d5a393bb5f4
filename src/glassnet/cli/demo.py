"""`glassnet demo`: the main job on a data set that needs no download."""

from __future__ import annotations

from pathlib import Path

import typer

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.options import Debug, Json, Out, Seed
from glassnet.cli.show import deliver, runs

__all__ = ["demo"]


def demo(
    context: typer.Context,
    seed: Seed = 0,
    out: Out = Path("report-demo.html"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the main job on 1,797 handwritten digits, in under a minute.

    Checks the data, splits and scales them, trains the coursework's networks, compares activations and
    optimizers, and writes one HTML report.
    """
    from glassnet.lab.demo import run_demo

    with progress_on_stderr() as progress:
        study = run_demo(seed=seed, progress=progress, command=context.obj.command)
    deliver(study, out, show=runs, as_json=json)
