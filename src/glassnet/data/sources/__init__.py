"""What people have, told apart: every kind of source has one module here and one case in `recognise`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from glassnet.data.dataset import Dataset
from glassnet.data.sources import (
    arrays,
    cifar,
    folders,
    hugging_face,
    idx,
    listed,
    npz,
    parquet,
    pixel_csv,
    tables,
)
from glassnet.data.sources.content import Reader, Request, natural, part_of_file
from glassnet.data.sources.delimited import TEXT
from glassnet.data.sources.pictures import is_picture
from glassnet.data.sources.tree import ARCHIVES, Folder, Tree, open_tree
from glassnet.errors import InputError
from glassnet.progress import Progress

__all__ = ["recognise"]

_COMPRESSED = (".gz", ".bz2", ".xz")
_KINDS = "pictures in class folders (or zip, tar), CIFAR's or MNIST's own files, CSV, TSV, parquet or npz"


def recognise(path: Path, opened: ExitStack) -> Reader:
    """The reader for an existing file or folder; what it needs open is closed with `opened`.

    Raises InputError where no kind of source fits.
    """
    name = path.name.lower()
    if path.is_dir() or name.endswith(ARCHIVES):
        return _in_tree(path, opened.enter_context(open_tree(path)))
    if idx.is_idx_name(name):
        pair = (path, idx.sibling(path))
        return Reader(
            "IDX files", idx.USED, pair, pack=partial(idx.pack, Folder(path.parent, only=pair))
        )  # fmt: skip
    if is_picture(name):
        raise InputError(f"{path} is a single picture: give the folder that holds a folder per class")
    reader = _data_files(path, [path])
    if reader is None:
        raise InputError(f"{path} is of no kind that glassnet reads: {_KINDS}")
    return reader


def _in_tree(path: Path, tree: Tree) -> Reader:
    if cifar.is_cifar(tree):
        return Reader("CIFAR's files", cifar.USED, (path,), pack=partial(cifar.pack, tree))
    if any(idx.is_idx_name(p.rsplit("/", 1)[-1]) for p in tree.sizes):
        return Reader("IDX files", idx.USED, (path,), pack=partial(idx.pack, tree))
    if any(is_picture(p) for p in tree.sizes):
        listing = None if folders.has_classes(tree) else listed.find_list(tree)
        if listing is not None:
            return Reader("listed pictures", listed.USED, (path,), pack=partial(listed.pack, tree, listing))
    elif path.is_dir():
        found = sorted(tree.sizes, key=lambda p: (part_of_file(p), natural(p)))
        for endings in ((".parquet",), (".npz",), (*TEXT, *(t + c for t in TEXT for c in _COMPRESSED))):
            some = [path / p for p in found if p.lower().endswith(endings)]
            if some and (reader := _data_files(path, some)):
                return reader
    elif texts := [p for p in tree.sizes if p.lower().endswith(TEXT)]:
        if len(texts) > 1 or not path.name.lower().endswith(".zip"):
            raise InputError(
                f"{path} holds {len(texts)} CSV files ({texts[0]} ...): unpack it and give the folder"
            )
        return _delimited((path,), [(path, 0)])
    return Reader(
        "pictures in class folders", folders.USED, (path,), pack=partial(folders.pack, path, tree)
    )  # fmt: skip


def _data_files(path: Path, files: Sequence[Path]) -> Reader | None:
    """The reader for files of one kind; None if it is no known kind."""
    name = files[0].name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    parted = [(f, part_of_file(f.name) if len(files) > 1 else 0) for f in files]
    if name.endswith(".parquet"):
        parquet.refuse_damaged(files)
        if hugging_face.holds_pictures(files[0]):
            pack = partial(hugging_face.pack, parted)
            return Reader("parquet of pictures", hugging_face.USED, (path,), pack=pack)
        return _table("a parquet table", (path,), parted)
    if name.endswith(".npz") and len(files) == 1:
        return Reader("an npz file", arrays.USED, (path,), table=lambda r, _: npz.read_npz(files[0], r))
    if name.endswith(TEXT):
        return _delimited((path,), parted)
    return None


def _delimited(depends: tuple[Path, ...], parted: Sequence[tuple[Path, int]]) -> Reader:
    if pixel_csv.is_pixel_csv(parted[0][0]):
        return Reader("a CSV of pixels", pixel_csv.USED, depends, pack=partial(pixel_csv.pack, parted))
    return _table("a table", depends, parted)


def _table(kind: str, depends: tuple[Path, ...], parted: Sequence[tuple[Path, int]]) -> Reader:
    def table(request: Request, progress: Progress) -> Dataset:
        progress.begin(f"reading {kind}")
        try:
            return tables.read_tables(parted, request, str(depends[0]))
        finally:
            progress.end()

    return Reader(kind, tables.USED, depends, table=table)
