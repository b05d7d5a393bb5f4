"""Parquet files of pictures as Hugging Face writes them: {bytes, path}, class names in the footer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.data.sources.content import Content, Request, Sink
from glassnet.data.sources.labels import class_codes
from glassnet.data.sources.parquet import read_parquet, schema_of
from glassnet.data.sources.pictures import decode
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

__all__ = ["USED", "holds_pictures", "pack"]

USED = frozenset({"size", "skip_corrupt", "target", "class_names"})


def holds_pictures(path: Path) -> bool:
    """Whether a parquet file has a column of encoded pictures."""
    return _picture_column(path) is not None


def pack(files: Sequence[tuple[Path, int]], request: Request, sink: Sink, progress: Progress) -> Content:
    """Read parquet files with their part codes, rows in the order of the files."""

    first = files[0][0]
    column = _picture_column(first)
    assert column is not None
    label, names = _label(first, column, request)
    labels, parts = [], []
    places: dict[str, tuple[int, int]] = {}  # name of a picture for people -> file and row
    for k, (path, part_code) in enumerate(files):
        codes = read_parquet(path, [label])[label]
        if codes.null_count():
            raise InputError(f"{path}: label {label!r} is missing in {codes.null_count()} rows: remove them")
        labels.append(codes.to_numpy())
        parts.append(np.full(len(codes), part_code, np.int8))
        places |= {f"{path} row {row}": (k, row) for row in range(len(codes))}
    loaded: tuple[int, Any] = -1, None

    def read(name: str) -> bytes:
        nonlocal loaded
        k, row = places[name]
        if loaded[0] != k:
            loaded = k, read_parquet(files[k][0], [column])[column].struct.field("bytes")
        content = loaded[1][row]
        return bytes(content) if content is not None else b""

    if not places:
        raise InputError(f"{first} has no rows")
    size = sum(path.stat().st_size for path, _ in files)
    decoded = decode(list(places), read, size, str(first), request, sink, progress)
    kept = decoded.kept
    target = class_codes(np.concatenate(labels)[kept], request.class_names or names, str(first))
    split = np.concatenate(parts)[kept]
    part = split if len(np.unique(split)) > 1 else None
    return Content(
        target.y, target.class_names, decoded.image, part, decoded.notes
    )  # fmt: skip


def _picture_column(path: Path) -> str | None:
    import polars as pl

    for name, kind in schema_of(path).items():
        if isinstance(kind, pl.Struct) and {f.name for f in kind.fields} >= {"bytes", "path"}:
            return name
    return None


def _label(path: Path, picture: str, request: Request) -> tuple[str, tuple[str, ...] | None]:
    """The label column and its class names from the footer, if they are there."""
    import polars as pl

    schema = schema_of(path)
    named = _class_labels(path)
    others = [n for n, kind in schema.items() if n != picture and (kind.is_integer() or kind == pl.String)]
    if request.target is not None:
        if request.target not in others:
            raise unknown_name(f"label column of {path}", request.target, others)
        label = str(request.target)
    else:
        candidates = [n for n in others if n in named] or others
        if len(candidates) != 1:
            listed = ", ".join(candidates) or "none"
            raise InputError(
                f"{path}: which column is the label? Say target='...' (--target); there are: {listed}"
            )
        label = candidates[0]
    return label, named.get(label)


def _class_labels(path: Path) -> dict[str, tuple[str, ...]]:
    import polars as pl

    try:
        footer = json.loads(pl.read_parquet_metadata(path).get("huggingface", "{}"))
        features = footer["info"]["features"]
        return {n: tuple(f["names"]) for n, f in features.items() if isinstance(f, dict) and f.get("names")}
    except (ValueError, KeyError, TypeError, AttributeError):  # no such footer, or one of another form
        return {}
