"""Parquet files, tried in a process of their own before they are read in this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glassnet.errors import InputError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_parquet", "refuse_damaged", "schema_of"]

# Column by column, so that it never holds the whole of a large file.
_TRIAL = """
import sys
import polars as pl
print("begun", flush=True)
for path in sys.argv[1:]:
    print(path, flush=True)
    for column in pl.read_parquet_schema(path):
        pl.read_parquet(path, columns=[column])
"""


def refuse_damaged(paths: Sequence[Path]) -> None:
    """Read every column of the files in a child process, and refuse the file with which it fails.

    Damage that claims an absurd length makes polars abort the whole process, which no caller can catch, and
    other damage makes it print a backtrace. A whole file costs 0.5 s more, which polars takes to start.
    """
    trial = subprocess.run(
        [sys.executable, "-P", "-c", _TRIAL, *map(str, paths)],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    said = trial.stdout.splitlines()
    if trial.returncode and said:  # an interpreter that cannot even import polars tells nothing of the file
        failed = said[-1] if len(said) > 1 else paths[0]
        lines = [line for line in trial.stderr.splitlines() if line.startswith(("polars.", "OSError"))]
        reason = lines[-1].partition(": ")[2] if lines else "its content makes no sense"
        raise InputError(f"{failed} is no whole parquet file ({reason}): download it again")


def schema_of(path: Path) -> dict[str, pl.DataType]:
    """Names and types of the columns; a damaged file is an InputError."""
    import polars as pl

    try:
        return pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _no_parquet(path, error) from None


def read_parquet(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A parquet file, or some of its columns, as a frame; a damaged one is an InputError."""
    import polars as pl

    try:
        return pl.read_parquet(path, columns=columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _no_parquet(path, error) from None


def _no_parquet(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0]
    return InputError(f"{path} is no whole parquet file ({reason}): download it again")
