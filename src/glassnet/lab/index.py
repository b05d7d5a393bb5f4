"""A table of all runs in SQLite, so that listing thousands is quick. Only a cache: folders are the truth."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from glassnet.errors import InputError, unknown_name
from glassnet.lab.store import RunStore

__all__ = ["COLUMNS", "find_runs", "matching_keys", "rebuild_index"]

#: what can be listed, filtered and sorted by
COLUMNS = (
    "key", "status", "data", "purpose", "seed", "hidden", "activation", "initializer", "optimizer", "lr",
    "batch_size", "epochs", "imbalance", "metric", "score", "seconds", "why",
)  # fmt: skip


def rebuild_index(store: RunStore) -> int:
    """Write the index anew from the run folders; returns how many runs it holds."""
    place = store.root / "index.sqlite"
    if not store.root.is_dir():
        raise InputError(f"there is no folder of runs {str(store.root)!r}: name it with --runs")
    place.unlink(missing_ok=True)
    with closing(_opened(store)) as base:
        return len(_refreshed(base, store))


def find_runs(
    store: RunStore, where: Sequence[str] = (), *, sort: str = "key", descending: bool = False
) -> list[dict[str, Any]]:
    """Runs that meet all conditions.

    Parameters
    ----------
    where : "column=value", also with != < > <= >=, e.g. "status=done", "lr>0.01"
    sort : name of a column

    Raises
    ------
    InputError : no such folder or column, a condition that cannot be read, a folder edited by hand
    """
    if not store.root.is_dir():
        raise InputError(f"there is no folder of runs {str(store.root)!r}: name it with --runs")
    tests, values = [], []
    for condition in where:
        column, sign, value = _condition(condition)
        tests.append(f"{column} {sign} ?")  # both from fixed lists: see _condition
        values.append(value)
    if sort not in COLUMNS:
        raise unknown_name("column", sort, COLUMNS)
    with closing(_opened(store)) as base:
        _refreshed(base, store)
        chosen = f"where {' and '.join(tests)}" if tests else ""
        order = f"order by {sort} {'desc' if descending else 'asc'}, key"
        rows = base.execute(f"select {', '.join(COLUMNS)} from runs {chosen} {order}", values)
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def matching_keys(store: RunStore, beginning: str) -> str:
    """The one key that begins like this."""
    folders = [p.name for p in store.root.iterdir() if p.is_dir()] if store.root.is_dir() else []
    found = [name for name in folders if name.startswith(beginning) and len(name) == 20]
    if len(found) != 1:
        many = f"{len(found)} runs begin" if found else "no run begins"
        raise InputError(f"{many} with {beginning!r} in {store.root}: `glassnet runs list` shows the keys")
    return found[0]


def _condition(text: str) -> tuple[str, str, Any]:
    for sign in ("!=", "<=", ">=", "=", "<", ">"):
        column, found, value = text.partition(sign)
        if found:
            if column.strip() not in COLUMNS:
                raise unknown_name("column", column.strip(), COLUMNS)
            try:
                return column.strip(), sign, float(value)
            except ValueError:
                return column.strip(), sign, value.strip()
    raise InputError(f"{text!r} is no condition: write column=value, e.g. status=done or 'lr>0.01'")


def _opened(store: RunStore) -> sqlite3.Connection:
    place = store.root / "index.sqlite"
    make = f"create table if not exists runs ({', '.join(COLUMNS)}, unique (key))"
    try:
        base = sqlite3.connect(place)
        base.execute(make)
        base.execute("select " + ", ".join(COLUMNS) + " from runs limit 1")
    except sqlite3.DatabaseError:  # damaged, or of another version: it is only a cache
        place.unlink(missing_ok=True)
        base = sqlite3.connect(place)
        base.execute(make)
    return base


def _refreshed(base: sqlite3.Connection, store: RunStore) -> set[str]:
    """Bring the index up to date with the folders."""
    present = set(store.keys())
    known = {key for (key,) in base.execute("select key from runs")}
    with base:
        base.executemany("delete from runs where key = ?", [(key,) for key in known - present])
        for key in sorted(present - known):
            base.execute(f"insert into runs values ({', '.join('?' * len(COLUMNS))})", _row(store, key))
    return present


def _row(store: RunStore, key: str) -> tuple[Any, ...]:
    result = store.load(key)
    assert result is not None
    spec, part = result.spec, "test" if result.spec.purpose == "final" else "validation"
    scores = (result.scores or result.chance).get(part, {})
    metric = next(iter(scores), "")
    model, training = spec.model, spec.training
    return (
        key, result.status, spec.data.source, spec.purpose, spec.seed, json.dumps(list(model.hidden)),
        model.activation, model.initializer, training.optimizer, training.lr, str(training.batch_size),
        result.epochs, training.imbalance, metric, result.score(metric, part), result.seconds, result.why,
    )  # fmt: skip
