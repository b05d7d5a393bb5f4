"""Results as a person or a program reads them on stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glassnet.cli.say import say

if TYPE_CHECKING:
    from rich.console import Console

    from glassnet.findings import Finding
    from glassnet.lab.results import Study

__all__ = ["figures", "finish", "print_findings", "print_json", "print_study"]

STYLES = {"error": "bold red", "warning": "yellow"}


def finish(study: Study, out: Path, *, as_json: bool) -> None:
    """Write the report, print the key figures, and say so if the study was interrupted."""
    from glassnet.report import study_json, write_report

    written = write_report(study, out)
    if as_json:
        print_json(study_json(study))
    else:
        print_study(study)
    # With --json stdout holds the JSON alone.
    print(f"Report: {written}", file=sys.stderr if as_json else sys.stdout)
    if study.interrupted:
        say("interrupted: the report shows what was done until then")
        raise typer.Exit(130)


def print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    print()


def print_study(study: Study) -> None:
    """The last epoch of every run, then our figures beside the coursework's."""
    runs = [
        [part.title, run.label, *figures(run.history), f"{run.seconds:.1f}"]
        for part in study.parts
        for run in part.runs
    ]
    references = [
        [part.title, reference.figure, number(reference.ours), number(reference.theirs)]
        for part in study.parts
        for reference in part.references
    ]
    console = stdout_console()
    if runs:
        columns = ["part", "run", "loss", "accuracy", "val. loss", "val. accuracy", "seconds"]
        print_table(console, columns, runs, texts=2)
    if references:
        print_table(console, ["part", "figure", "here", "coursework"], references, texts=2)
    console.print(study.summary)


def print_findings(found: Sequence[Finding]) -> None:
    """The worst first, with what to do; then how many of each."""
    console = stdout_console()
    worst_first = sorted(found, key=lambda f: -f.severity)
    rows = [[f.severity.label, f.check, " ".join(filter(None, [f.summary, f.advice]))] for f in worst_first]
    print_table(console, ["", "check", "what was found"], rows, texts=3)
    labels = [f.severity.label for f in worst_first]
    console.print(", ".join(f"{labels.count(label)} {label}" for label in dict.fromkeys(labels)))


def figures(history: dict[str, list[float]]) -> list[str]:
    """The last measured value of each curve."""
    names = ["loss", "accuracy", "val_loss", "val_accuracy"]
    return [number(last([v for v in history.get(name, []) if not math.isnan(v)])) for name in names]


def last(values: Sequence[float]) -> float:
    return values[-1] if values else math.nan


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
