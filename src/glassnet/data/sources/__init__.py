"""What people have, told apart: every kind of source has one module here and one line in `recognise`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from glassnet.data.sources import cifar, folders, pixel_csv
from glassnet.data.sources.content import Reader
from glassnet.data.sources.delimited import TEXT
from glassnet.data.sources.tree import ARCHIVES, open_tree
from glassnet.errors import InputError

__all__ = ["recognise"]

_COMPRESSED = (".gz", ".bz2", ".xz")


def recognise(path: Path, opened: ExitStack) -> Reader:
    """The reader for an existing file or folder; what it needs open is closed with `opened`."""
    name = path.name.lower()
    if path.is_dir() or name.endswith(ARCHIVES):
        tree = opened.enter_context(open_tree(path))
        if cifar.is_cifar(tree):
            return Reader("CIFAR", cifar.USED, (path,), pack=partial(cifar.pack, tree))
        return Reader(
            "pictures in class folders", folders.USED, (path,), pack=partial(folders.pack, path, tree)
        )  # fmt: skip
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    if name.endswith(TEXT) and pixel_csv.is_pixel_csv(path):
        return Reader("a CSV of pixels", pixel_csv.USED, (path,), pack=partial(pixel_csv.pack, path))
    raise InputError(f"{path} is of no kind that glassnet reads: ...")
