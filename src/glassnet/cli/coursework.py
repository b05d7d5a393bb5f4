"""`glassnet run coursework`, and `glassnet run PLAN` of a plan of that kind: the coursework's five parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.load import load
from glassnet.cli.options import (
    SOURCES,
    ClassNames,
    Debug,
    DryRun,
    Json,
    NoCache,
    Seed,
    Size,
    SkipCorrupt,
    Target,
    Transpose,
    writable,
)
from glassnet.cli.show import deliver, print_table, runs, stdout_console

if TYPE_CHECKING:
    from glassnet.lab.coursework import Work

__all__ = ["coursework"]


def positive(value: float) -> float:
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value} is not above 0: 1 is the coursework's own number of epochs")
    return value


def coursework(
    context: typer.Context,
    plan: Annotated[
        str,
        typer.Argument(metavar="[PLAN]", help="A plan with kind = 'coursework': a TOML file or built in."),
    ] = "coursework",
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="SOURCE",
            help=f"CIFAR-10's images; needed unless the plan names its data. {SOURCES}",
        ),
    ] = None,
    part: Annotated[
        list[int] | None,
        typer.Option("--part", min=0, max=4, metavar="N", help="Only this part (may be repeated)."),
    ] = None,
    epochs_scale: Annotated[
        float,
        typer.Option("--epochs-scale", metavar="X", callback=positive, help="0.1: a tenth of the epochs."),
    ] = 1.0,
    seed: Seed = 0,
    dry_run: DryRun = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            callback=writable,
            help="Where the report goes; default report-PLAN.html.",
        ),
    ] = None,
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
    `glassnet new NAME --like coursework` writes its plan to edit, `glassnet run NAME.toml` runs that.
    """
    from glassnet.lab.coursework import run_coursework, set_out
    from glassnet.lab.plan import load_coursework

    chosen = load_coursework(plan)
    source = data or chosen.data.source
    if source is None:
        raise typer.BadParameter("the plan names no data: say which", ctx=context, param_hint="'--data'")
    with progress_on_stderr() as progress:
        dataset = load(
            source, target=target, size=size, transpose=transpose, class_names=class_names,
            skip_corrupt=skip_corrupt, cache=not no_cache, progress=progress,
        )  # fmt: skip
        if not dry_run:
            study = run_coursework(
                dataset, chosen, parts=part or None, epochs_scale=epochs_scale, seed=seed, progress=progress,
                command=context.obj.command,
            )  # fmt: skip
    if dry_run:
        show_estimate(set_out(dataset, chosen, parts=part or None, epochs_scale=epochs_scale, seed=seed))
        return
    deliver(study, out or Path(f"report-{Path(plan).stem}.html"), show=runs, as_json=json)


def show_estimate(work: Work) -> None:
    """Every network that would be trained, and how long all of them take."""
    from glassnet.lab.estimate import estimate_coursework
    from glassnet.report.numbers import duration

    (found, seconds), console = estimate_coursework(work), stdout_console()
    rows = [
        [f"part {part}", job.label, type(job.optimizer).__name__, f"{job.optimizer.lr:g}",
         "all" if job.batch_size == "full" else str(job.batch_size), str(job.epochs), f"{each:.1f}"]
        for part, job, each in found
    ]  # fmt: skip
    columns = ["", "network", "optimizer", "learning rate", "batch size", "epochs", "seconds"]
    print_table(console, columns, rows, texts=3)
    r = work.rows
    console.print(
        f"{len(r.train):,} rows of {work.dataset.name} to train, {len(r.validation):,} to validate, "
        f"{len(r.test):,} scored once; parts 1 and 2 tell {work.positive} from the rest."
    )
    checks = ", and the checks of part 0" if 0 in work.parts else ""
    console.print(f"About {duration(seconds)} of training, one network on each core{checks}.")
    console.print("Each network is trained once: nothing can be claimed about differences between them.")
