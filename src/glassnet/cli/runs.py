"""`glassnet runs`: what lies in the folder of runs: list, filter, compare, remove."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli.experiment import Runs
from glassnet.cli.options import Debug, Json
from glassnet.cli.show import print_table, stdout_console
from glassnet.errors import InputError

__all__ = ["runs"]

runs = typer.Typer(rich_markup_mode=None, help="List, filter, compare and remove finished runs.")
Where = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", metavar="CONDITION", help="status=done, 'lr>0.01' (may be repeated)."),
]
SHOWN = (
    "key", "status", "data", "purpose", "seed", "hidden", "activation", "optimizer", "lr", "score", "seconds",
)  # fmt: skip


@runs.command("list")
def list_runs(
    where: Where = None,
    sort: Annotated[str, typer.Option("--sort", metavar="COLUMN")] = "key",
    descending: Annotated[bool, typer.Option("--descending")] = False,
    folder: Runs = Path("runs"),
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index anew from the folders.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the finished runs that meet all conditions."""
    from glassnet.lab.index import find_runs, rebuild_index
    from glassnet.lab.store import RunStore

    store = RunStore(folder)
    if rebuild:
        rebuild_index(store)
    found = find_runs(store, where or (), sort=sort, descending=descending)
    if json:
        json_module.dump(found, sys.stdout, indent=2)
        print()
        return
    rows = [[cell(run[name]) for name in SHOWN] for run in found]
    print_table(stdout_console(), SHOWN, rows, texts=4)
    print(f"{len(found)} runs, {len(store.unfinished())} unfinished")


@runs.command("compare")
def compare_runs(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Two or more keys, or beginnings.")],
    folder: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Show where runs differ: in their settings and in their scores."""
    from glassnet.lab.index import matching_keys
    from glassnet.lab.spec import flat
    from glassnet.lab.store import RunStore

    store = RunStore(folder)
    loaded = [store.load(matching_keys(store, key)) for key in keys]
    results = [result for result in loaded if result is not None]
    if len(results) < 2:
        raise InputError("a comparison needs two finished runs")
    columns = [
        {**flat(r.spec.model_dump(mode="json")), "status": r.status, **flat(r.scores), "epochs": r.epochs,
         "seconds": r.seconds}
        for r in results
    ]  # fmt: skip
    names = dict.fromkeys(name for column in columns for name in column)
    differing = [name for name in names if len({cell(column.get(name)) for column in columns}) > 1]
    rows = [[name, *(cell(column.get(name)) for column in columns)] for name in differing]
    print_table(stdout_console(), ["", *(r.key[:8] for r in results)], rows, texts=1)


@runs.command("remove")
def remove_runs(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY...]")] = None,
    where: Where = None,
    folder: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Remove runs by their keys, or all that meet the conditions; the next experiment does them again."""
    from glassnet.lab.index import find_runs, matching_keys
    from glassnet.lab.store import RunStore

    if bool(keys) == bool(where):
        raise InputError("name the runs to remove: either keys, or conditions with --where")
    store = RunStore(folder)
    chosen = [matching_keys(store, key) for key in keys or ()]
    chosen += [run["key"] for run in find_runs(store, where)] if where else []
    for key in chosen:
        store.remove(key)
    print(f"{len(chosen)} runs removed")


def cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
