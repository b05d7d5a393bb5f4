"""What people have, told apart: every kind of source has one module here and one line in `recognise`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from glassnet.data.sources import folders
from glassnet.data.sources.content import Reader
from glassnet.data.sources.tree import ARCHIVES
from glassnet.errors import InputError

__all__ = ["recognise"]


def recognise(path: Path) -> Reader:
    """The reader for an existing file or folder; InputError where no kind fits."""
    if path.is_dir() or path.name.lower().endswith(ARCHIVES):
        return Reader("pictures in class folders", folders.USED, (path,), pack=partial(folders.pack, path))
    raise InputError(f"{path} is of no kind that glassnet reads: ...")
