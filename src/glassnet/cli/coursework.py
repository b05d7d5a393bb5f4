"""`glassnet run coursework`: the coursework's five parts on images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.load import load
from glassnet.cli.options import (
    SOURCES,
    ClassNames,
    Debug,
    Json,
    NoCache,
    Out,
    Seed,
    Size,
    SkipCorrupt,
    Target,
    Transpose,
)
from glassnet.cli.show import deliver, runs

__all__ = ["coursework"]

PARTS = (0, 1, 2, 3, 4)


def positive(value: float) -> float:
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value} is not above 0: 1 is the coursework's own number of epochs")
    return value


def coursework(
    context: typer.Context,
    data: Annotated[str, typer.Option("--data", metavar="SOURCE", help=f"CIFAR-10's images. {SOURCES}")],
    part: Annotated[
        list[int] | None,
        typer.Option(
            "--part", min=PARTS[0], max=PARTS[-1], metavar="N", help="Only this part (may be repeated)."
        ),
    ] = None,
    epochs_scale: Annotated[
        float,
        typer.Option("--epochs-scale", metavar="X", callback=positive, help="0.1: a tenth of the epochs."),
    ] = 1.0,
    seed: Seed = 0,
    out: Out = Path("report-coursework.html"),
    target: Target = None,
    size: Size = None,
    transpose: Transpose = False,
    class_names: ClassNames = None,
    skip_corrupt: SkipCorrupt = False,
    no_cache: NoCache = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Do the coursework on CIFAR-10, parts 0 to 4, beside the coursework's own figures.

    Part 0 looks at the data, 1 is airplane or not without a hidden layer, 2 the same with one, 3 all ten
    classes, 4 compares activations and optimizers. Ctrl-C ends the training and reports what was done.
    """
    from glassnet.lab.coursework import run_coursework

    with progress_on_stderr() as progress:
        dataset = load(
            data, target=target, size=size, transpose=transpose, class_names=class_names,
            skip_corrupt=skip_corrupt, cache=not no_cache, progress=progress,
        )  # fmt: skip
        study = run_coursework(
            dataset,
            parts=tuple(sorted(set(part or PARTS))),
            epochs_scale=epochs_scale,
            seed=seed,
            progress=progress,
            command=context.obj.command,
        )
    deliver(study, out, show=runs, as_json=json)
