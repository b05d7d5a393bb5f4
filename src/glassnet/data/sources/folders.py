"""Pictures sorted into one folder per class: `train/cat/17.jpg` or `cat/17.png`, in a folder, zip or tar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from glassnet.data.sources.content import Content, Request, Sink, natural, part_code
from glassnet.data.sources.pictures import decode, is_picture
from glassnet.data.sources.tree import Tree
from glassnet.errors import InputError
from glassnet.progress import Progress

__all__ = ["USED", "has_classes", "pack"]

USED = frozenset({"size", "skip_corrupt", "class_names"})


def pack(root: Path, tree: Tree, request: Request, sink: Sink, progress: Progress) -> Content:
    """Read class folders: rows in order of part, class and natural file order.

    A folder named train, val or test above the class folders gives the row's part. Folders below a class
    folder belong to the class. Raises InputError where there are no pictures, no classes or only one.
    """
    placed, notes = _place(root, tree)
    names = _class_names(root, request, {c for _, c in placed.values()})
    code = {name: k for k, name in enumerate(names)}
    order = sorted(placed, key=lambda p: (placed[p][0] or 0, code[placed[p][1]], natural(p)))
    size = sum(tree.sizes[p] for p in order)
    decoded = decode(order, tree.read, size, str(root), request, sink, progress)
    kept = [p for p, keep in zip(order, decoded.kept, strict=True) if keep]
    y = np.array([code[placed[p][1]] for p in kept], np.int64)
    gone = set(names) - {names[k] for k in np.unique(y)}
    if gone:
        raise InputError(f"{root}: no picture of class {sorted(gone)[0]!r} can be decoded")
    parts = {placed[p][0] for p in kept}
    part = np.array([placed[p][0] for p in kept], np.int8) if len(parts) > 1 else None
    return Content(y, names, decoded.image, part, (*notes, *decoded.notes))


def has_classes(tree: Tree) -> bool:
    """Whether pictures lie in folders that can be classes: not all in one, nor only in train and test."""
    folders = {tuple(p.split("/")[:-1]) for p in tree.sizes if is_picture(p)}
    if not folders:
        return False
    shared = _shared_start(list(folders))
    below = [f[shared:] for f in folders]
    return any(len(f) > (part_code(f[0]) is not None) for f in below if f)


def _place(root: Path, tree: Tree) -> tuple[dict[str, tuple[int | None, str]], list[str]]:
    """Part code and class name of every picture, by its path; and what was left out."""
    pictures = [p for p in tree.sizes if is_picture(p)]
    if not pictures:
        raise InputError(
            f"{root} holds no pictures ({_what_is_in(tree)}): give a folder per class with JPEG or PNG files"
        )
    folders = [tuple(p.split("/")[:-1]) for p in pictures]
    shared = _shared_start(folders)
    placed: dict[str, tuple[int | None, str]] = {}
    loose: Counter[str] = Counter()
    for path, folder in zip(pictures, folders, strict=True):
        below = folder[shared:]
        part = part_code(below[0]) if below else None
        rest = below if part is None else below[1:]
        if rest:
            placed[path] = part, rest[0]
        else:
            loose["/".join(folder) or "."] += 1
    if not placed:
        only = folders[0][-1] if folders[0] and len(loose) == 1 else ""
        if only and part_code(only) is None:
            raise InputError(f"{root} has only one class, {only!r}: give at least two class folders")
        raise InputError(
            f"{root}: its {len(pictures)} pictures are not in class folders (<class>/<picture>): sort them so"
        )
    parts = {part for part, _ in placed.values()}
    if None in parts and len(parts) > 1:  # classes beside "train": then "train" is a class like the others
        raise InputError(
            f"{root}: some class folders are inside train/val/test and others are not: use one layout"
        )
    notes = [
        f"{n} pictures in {where}/ have no class folder and were left out"
        for where, n in sorted(loose.items())
    ]
    return placed, notes


def _shared_start(folders: list[tuple[str, ...]]) -> int:
    """How many leading folders all pictures share; never a part's name that stands above classes."""
    low, high = min(folders), max(folders)
    n = 0
    while n < min(len(low), len(high)) and low[n] == high[n]:
        n += 1
    return n


def _class_names(root: Path, request: Request, found: set[str]) -> tuple[str, ...]:
    if len(found) < 2:
        raise InputError(f"{root} has only one class, {min(found)!r}: give at least two class folders")
    if request.class_names is None:
        return tuple(sorted(found, key=natural))
    missing, extra = set(request.class_names) - found, found - set(request.class_names)
    if missing or extra:
        wrong = f"no folder {min(missing)!r}" if missing else f"a folder {min(extra)!r} besides"
        raise InputError(f"{root} does not match class_names={request.class_names}: there is {wrong}")
    return request.class_names


def _what_is_in(tree: Tree) -> str:
    if not tree.sizes:
        return "it is empty"
    kinds = Counter(Path(p).suffix.lower() or "no ending" for p in tree.sizes)
    return "it holds " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(3))
