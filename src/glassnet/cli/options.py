"""Options that several verbs share, and what they must be before any long work starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["SOURCES", "Debug", "Json", "Out", "Seed", "Session", "SkipCorrupt"]


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


Debug = Annotated[
    bool, typer.Option("--debug", callback=remember_debug, help="On an error, show the whole traceback.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", callback=writable, help="Where the report goes.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same machine: same bits.")]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out images that cannot be decoded, and name them.")
]
SOURCES = (
    "A path: pictures in class folders (folder, zip or tar), pictures with a list of labels, CIFAR-10's own "
    "files, a CSV of pixels, a table (CSV, TSV, parquet), npz. Or a name: cifar10, cifar100, mnist, "
    "fashion-mnist (downloaded once), digits, iris, wine, breast_cancer, diabetes."
)
