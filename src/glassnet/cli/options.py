"""Options that several verbs share, and what they must be before any long work starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "SOURCES",
    "ClassNames",
    "Debug",
    "Drop",
    "DryRun",
    "Json",
    "NoCache",
    "OneVsRest",
    "Out",
    "Seed",
    "Session",
    "Size",
    "SkipCorrupt",
    "Target",
    "Task",
    "Transpose",
    "picture_size",
]


@dataclass
class Session:
    """What one call of the command keeps in mind, in the context's `obj`."""

    command: str  # what was typed, for the report
    debug: bool = False


def remember_debug(context: typer.Context, wanted: bool) -> bool:
    context.find_root().obj.debug = wanted
    return wanted


def writable(path: Path | None) -> Path | None:
    """The path, if a file can be written there: found out now, not after twelve minutes of training."""
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"the folder {path.parent} does not exist: make it, or name another")
    if not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"the folder {path.parent} cannot be written to: name another")
    return path


def picture_size(text: str | None) -> tuple[int, int] | None:
    """(height, width) from "32x48", or from "32" for squares."""
    if text is None:
        return None
    sides = [int(side) if side.isdecimal() else 0 for side in text.lower().split("x")]
    if len(sides) > 2 or not all(sides):
        raise typer.BadParameter(f"{text!r} is no size: write HEIGHTxWIDTH in pixels, such as 32x32")
    return sides[0], sides[-1]


def checked_size(text: str | None) -> str | None:
    picture_size(text)
    return text


Debug = Annotated[
    bool, typer.Option("--debug", callback=remember_debug, help="On an error, show the whole traceback.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show the runs, their cost, and what they could show.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", callback=writable, help="Where the report goes.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same machine: same bits.")]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out images that cannot be decoded, and name them.")
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="COLUMN",
        help="The target column of a table ('column 4' where there is no header); fine or coarse for "
        "CIFAR-100; the collection of EMNIST.",
    ),
]  # fmt: skip
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="HxW", callback=checked_size,
        help="Resize every picture, e.g. 32x32 (height x width).",
    ),
]  # fmt: skip
Transpose = Annotated[
    bool, typer.Option("--transpose", help="Swap rows and columns of every picture: EMNIST's files need it.")
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COLUMN", help="A column of a table to leave out (may be repeated)."),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK",
        help="classification or regression, for a numeric target that could mean either.",
    ),
]  # fmt: skip
ClassNames = Annotated[
    str | None,
    typer.Option("--class-names", metavar="A,B,...", help="Names of the classes 0, 1, ... in this order."),
]
OneVsRest = Annotated[
    str | None,
    typer.Option("--one-vs-rest", metavar="CLASS", help="Make it a yes-or-no task: is it this class?"),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither use nor keep a packed copy of the pictures.")
]
SOURCES = (
    "A path: pictures in class folders (folder, zip or tar), pictures with a list of labels, CIFAR-10's own "
    "files, a CSV of pixels, a table (CSV, TSV, parquet), npz. Or a name: cifar10, cifar100, mnist, "
    "fashion-mnist (downloaded once), digits, iris, wine, breast_cancer, diabetes."
)
