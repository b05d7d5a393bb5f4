"""Pictures whose labels stand in a list beside them, as on Kaggle: `train/1.png` and `trainLabels.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glassnet.data.sources.content import Content, Request, Sink, natural
from glassnet.data.sources.labels import class_codes
from glassnet.data.sources.pictures import decode, is_picture
from glassnet.data.sources.tree import Tree
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

__all__ = ["USED", "find_list", "pack"]

USED = frozenset({"size", "skip_corrupt", "target", "class_names"})

_SMALL = 200_000_000  # bytes of a list
_FORMS = ("sample", "submission")  # empty answer sheets look like lists of labels


def find_list(tree: Tree) -> str | None:
    """The CSV file of the tree whose first column names its pictures, if there is one."""
    stems = {_stem(p) for p in tree.sizes if is_picture(p)}
    for path in sorted(tree.sizes, key=lambda p: (p.count("/"), p)):
        form = any(word in path.lower() for word in _FORMS)
        if path.lower().endswith(".csv") and not form and tree.sizes[path] < _SMALL and stems:
            rows = _rows(tree, path)
            next(rows, None)
            some = [row for row, _ in zip(rows, range(20), strict=False) if row]
            if some and any(_stem(row[0]) in stems for row in some):
                return path
    return None


def pack(tree: Tree, listing: str, request: Request, sink: Sink, progress: Progress) -> Content:
    """Read the listed pictures in the natural order of their names; the others are left out and counted."""
    where = f"{tree.root}: {listing}"
    rows = _rows(tree, listing)
    header = next(rows)
    column = 1
    if request.target is not None:
        if request.target not in header[1:]:
            raise unknown_name(f"label column of {where}", request.target, header[1:])
        column = header.index(str(request.target))
    elif len(header) != 2:
        listed = ", ".join(header[1:]) or "none"
        raise InputError(
            f"{where}: which column is the label? Say target='...' (--target); there are: {listed}"
        )
    label_of: dict[str, str] = {}
    for k, row in enumerate(rows):
        if len(row) <= column or not row[column].strip():
            raise InputError(f"{where}: line {k + 2} has no label: correct it")
        label_of[_stem(row[0])] = row[column].strip()
    chosen = _pictures(tree, label_of)
    order = [chosen[stem] for stem in sorted(chosen, key=natural)]
    size = sum(tree.sizes[p] for p in order)
    decoded = decode(order, tree.read, size, str(tree.root), request, sink, progress)
    labels = np.array([label_of[_stem(p)] for p in order])[decoded.kept]
    if all(label.isdecimal() for label in labels):
        target = class_codes(labels.astype(np.int64), request.class_names, where)
    else:
        target = class_codes(labels, request.class_names, where)
    notes = list(decoded.notes)
    without = sum(is_picture(p) for p in tree.sizes) - len(order)
    if without:
        notes.append(f"{without} pictures have no label in {listing} and were left out")
    if len(label_of) > len(order):
        notes.append(f"{len(label_of) - len(order)} lines of {listing} name pictures that are not there")
    return Content(target.y, target.class_names, decoded.image, None, tuple(notes))


def _pictures(tree: Tree, label_of: dict[str, str]) -> dict[str, str]:
    """Path of the picture of each listed stem; a folder named test holds others of the same names."""
    folders: dict[str, dict[str, str]] = {}
    for path in tree.sizes:
        if is_picture(path) and (stem := _stem(path)) in label_of:
            folders.setdefault(path.rpartition("/")[0], {})[stem] = path
    train = {f: found for f, found in folders.items() if Path(f).name.lower() not in ("test", "testing")}
    return max((train or folders).values(), key=len)


def _rows(tree: Tree, path: str) -> Iterator[list[str]]:
    try:
        text = tree.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{tree.root}: {path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    return csv.reader(io.StringIO(text))


def _stem(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] if is_picture(name) else name
