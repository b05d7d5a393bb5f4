"""`glassnet check`: what is wrong with the data, before anything is trained on them."""

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
    Drop,
    Json,
    NoCache,
    OneVsRest,
    Size,
    SkipCorrupt,
    Target,
    Task,
    Transpose,
    writable,
)
from glassnet.cli.show import deliver, findings

__all__ = ["check"]


def check(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCES)],
    target: Target = None,
    drop: Drop = None,
    task: Task = None,
    size: Size = None,
    transpose: Transpose = False,
    class_names: ClassNames = None,
    one_vs_rest: OneVsRest = None,
    skip_corrupt: SkipCorrupt = False,
    no_cache: NoCache = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", callback=writable, help="Write what was found as a page."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check data before anything is trained on them.

    Each check says what it measured and what to do. Exit code 1 if one of them is an error: results on such
    data would be wrong or mean nothing.
    """
    from glassnet.findings import Severity
    from glassnet.lab.look import look

    with progress_on_stderr() as progress:
        dataset = load(
            source, target=target, drop=drop or (), task=task, size=size, transpose=transpose,
            class_names=class_names, one_vs_rest=one_vs_rest, skip_corrupt=skip_corrupt, cache=not no_cache,
            progress=progress,
        )  # fmt: skip
        study = look(dataset, progress=progress, command=context.obj.command)
    deliver(study, html, show=findings, as_json=json)
    if any(finding.severity is Severity.ERROR for finding in study.data.findings):
        raise typer.Exit(1)
