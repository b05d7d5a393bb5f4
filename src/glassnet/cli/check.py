"""`glassnet check`: what is wrong with the data, before anything is trained on them."""

from __future__ import annotations

from typing import Annotated

import typer

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.load import load
from glassnet.cli.options import SOURCES, Debug, Json, SkipCorrupt
from glassnet.cli.show import print_findings, print_json

__all__ = ["check"]


def check(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"{SOURCES[0].upper()}{SOURCES[1:]}.")],
    skip_corrupt: SkipCorrupt = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check data before anything is trained on them.

    Each check says what it measured and what to do. Exit code 1 if one of them is an error.
    """
    from glassnet.data.checks import run_checks
    from glassnet.findings import Severity

    with progress_on_stderr() as progress:
        dataset = load(source, skip_corrupt=skip_corrupt, progress=progress)
        found = run_checks(dataset, progress=progress)
    if json:
        print_json([finding.as_json() for finding in found])
    else:
        print_findings(found)
    if any(finding.severity is Severity.ERROR for finding in found):
        raise typer.Exit(1)
