"""`glassnet check`: what is wrong with the data, before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.load import load
from glassnet.cli.options import SOURCES, Debug, Json, SkipCorrupt, writable
from glassnet.cli.show import deliver, findings

__all__ = ["check"]


def check(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCES)],
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="The target column of a table.")
    ] = None,
    skip_corrupt: SkipCorrupt = False,
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
        dataset = load(source, target=target, skip_corrupt=skip_corrupt, progress=progress)
        study = look(dataset, progress=progress, command=context.obj.command)
    deliver(study, html, show=findings, as_json=json)
    if any(finding.severity is Severity.ERROR for finding in study.data.findings):
        raise typer.Exit(1)
