"""Results as a person or a program reads them on stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glassnet.cli.say import say

if TYPE_CHECKING:
    from rich.console import Console

    from glassnet.findings import Finding
    from glassnet.lab.results import Study

__all__ = ["deliver", "findings", "runs"]

STYLES = {"error": "bold red", "warning": "yellow"}
_WIDE = 120  # columns of a terminal from which on the words of four columns can be read side by side


def deliver(study: Study, report: Path | None, *, show: Callable[[Study], None], as_json: bool) -> None:
    """Write the report if there is a place for it, then print the study; exit 130 if it was interrupted.

    Parameters
    ----------
    show : prints the study for people
    as_json : print it for programs instead; stdout then holds the JSON alone
    """
    from glassnet.report import study_json, write_report

    written = None if report is None else write_report(study, report)
    if as_json:
        json.dump(study_json(study), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        show(study)
    if written is not None:
        print(f"Report: {written}", file=sys.stderr if as_json else sys.stdout)
    if study.interrupted:
        say("interrupted: the report shows what was done until then")
        raise typer.Exit(130)


def runs(study: Study) -> None:
    """Alarms about the data, the last epoch of every run, and our figures beside the coursework's."""
    from glassnet.findings import Severity

    console = stdout_console()
    alarms = [finding for finding in study.data.findings if finding.severity >= Severity.WARNING]
    if alarms:
        print_findings(console, alarms)
    trained = [
        [part.key, run.label, *last_values(run.history), f"{run.seconds:.1f}"]
        for part in study.parts
        for run in part.runs
    ]
    if trained:
        columns = ["part", "run", "loss", "accuracy", "val. loss", "val. accuracy", "seconds"]
        print_table(console, columns, trained, texts=2)
    beside = [
        [part.key, reference.figure, number(reference.ours), number(reference.theirs)]
        for part in study.parts
        for reference in part.references
    ]
    if beside:
        print_table(console, ["part", "figure", "here", "coursework"], beside, texts=2)
    console.print(study.summary)


def findings(study: Study) -> None:
    """What the checks found, the worst first, with what to do; then which did not apply."""
    from glassnet.findings import Severity

    console = stdout_console()
    found = [finding for finding in study.data.findings if finding.severity is not Severity.SKIPPED]
    print_findings(console, found)
    console.print(study.summary)
    skipped = [finding.check for finding in study.data.findings if finding.severity is Severity.SKIPPED]
    if skipped:
        console.print(f"Does not apply here: {', '.join(skipped)}.")


def print_findings(console: Console, found: Iterable[Finding]) -> None:
    """The worst first: a table where there is room for its four columns, else one below the other."""
    ordered = sorted(found, key=lambda f: -f.severity)
    if console.width >= _WIDE:
        rows = [[f.severity.label, f.check, f.summary, f.advice] for f in ordered]
        print_table(console, ["", "check", "what was found", "what to do"], rows, texts=4)
        return
    from rich.padding import Padding

    for f in ordered:
        style = STYLES.get(f.severity.label)
        if not f.advice:
            console.print(f"{f.severity.label}: {f.check}: {f.summary}", style=style)
            continue
        console.print(f"{f.severity.label}: {f.check}", style=style or "bold")
        console.print(Padding(f.summary, (0, 0, 0, 4)))
        console.print(Padding(f"To do: {f.advice}", (0, 0, 0, 4)))


def last_values(history: dict[str, list[float]]) -> list[str]:
    """The last measured value of each curve (some are measured at a few epochs only)."""
    shown = []
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        measured = [value for value in history.get(name, []) if not math.isnan(value)]
        shown.append(number(measured[-1] if measured else math.nan))
    return shown


def number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def stdout_console() -> Console:
    from rich.console import Console

    # Into a file or a pipe there is no width to fit: each row stays on one line, for grep.
    width = None if sys.stdout.isatty() else 2000
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int
) -> None:
    """A table whose first `texts` columns are words and the others numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < texts else "right", no_wrap=i >= texts)
    for row in rows:
        table.add_row(*row, style=STYLES.get(row[0]))
    console.print(table)
