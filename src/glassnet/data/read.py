"""One call that turns what people have into a Dataset."""

from __future__ import annotations

import difflib
import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data import cache as cached
from glassnet.data.dataset import Dataset
from glassnet.data.sources import recognise
from glassnet.data.sources.arrays import from_arrays, is_pair
from glassnet.data.sources.bundled import BUNDLED, load_bundled
from glassnet.data.sources.content import Content, Reader, Request, Sink
from glassnet.errors import InputError
from glassnet.progress import Progress

__all__ = ["read"]


def read(
    source: Any,
    *,
    size: tuple[int, int] | None = None,
    target: str | int | None = None,
    transpose: bool = False,
    skip_corrupt: bool = False,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    one_vs_rest: str | None = None,
    cache: bool = True,
    name: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read data from a file, a folder or a name into a Dataset."""
    request = Request(
        size=None if size is None else (int(size[0]), int(size[1])), target=target, transpose=transpose,
        skip_corrupt=skip_corrupt, class_names=None if class_names is None else tuple(class_names), task=task,
    )  # fmt: skip
    if isinstance(source, str) and source in BUNDLED:
        data = load_bundled(source, request)
    elif is_pair(source):
        data = from_arrays(source, request)
    elif isinstance(source, str | Path):
        data = _read_path(Path(source).expanduser(), request, cache, progress or Progress())
    else:
        raise InputError(f"cannot read a {type(source).__name__}: give a path, a name, (X, y) or a frame")
    if not data.fingerprint:
        data = replace(data, fingerprint=_fingerprint(data))
    if name is not None:
        data = replace(data, name=name)
    return data if one_vs_rest is None else data.one_vs_rest(one_vs_rest)


def _read_path(path: Path, request: Request, use_cache: bool, progress: Progress) -> Dataset:
    _must_exist(path)
    options = json.dumps(asdict(request), sort_keys=True)
    if use_cache and (stored := cached.recall(path, options)):
        return _dataset(path, stored)
    with ExitStack() as opened:
        reader = recognise(path, opened)
        request.refuse_unused(reader.used, reader.kind)
        before = cached.stamp(reader.depends)
        if reader.table is not None:
            data = reader.table(request, progress)
            _unchanged(path, reader, before)
            return data
        note = ""
        if use_cache:
            try:
                return _dataset(path, _through_cache(path, reader, request, options, before, progress))
            except cached.CacheFailed as error:
                note = f"nothing is kept for the next time: {cached.folder()} cannot be written ({error})"
        stored = _in_memory(reader, request, progress)
        _unchanged(path, reader, before)
    data = _dataset(path, stored)
    return replace(data, notes=(*data.notes, note)) if note else data


def _through_cache(
    path: Path, reader: Reader, request: Request, options: str, before: str, progress: Progress
) -> cached.Stored:
    """The packed copy with this content, made if there is none yet."""
    assert reader.pack is not None
    entry = cached.Entry(cached.content_key(reader.depends, options))
    stored = entry.load()
    if stored is None:
        with entry.writer() as writer:
            sink = _Hashing(writer)
            content = reader.pack(request, sink, progress)
            _unchanged(path, reader, before)
            stored = entry.commit(writer, content, sink.fingerprint(content))
    entry.remember(path, options, reader.depends, before)
    return stored


def _in_memory(reader: Reader, request: Request, progress: Progress) -> cached.Stored:
    assert reader.pack is not None
    memory = _Memory()
    sink = _Hashing(memory)
    content = reader.pack(request, sink, progress)
    return cached.Stored(memory.rows(len(content.y)), content, sink.fingerprint(content))


class _Memory:
    """Grows without ever holding two copies, unlike a list of chunks that is joined at the end."""

    def __init__(self) -> None:
        self._file = io.BytesIO()

    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        self._file.write(np.ascontiguousarray(rows).data)

    def restart(self) -> None:
        self._file = io.BytesIO()

    def rows(self, n: int) -> npt.NDArray[np.uint8]:
        X = np.frombuffer(self._file.getbuffer(), np.uint8).reshape(n, -1)
        X.flags.writeable = False
        return X


class _Hashing:
    """Passes rows on and hashes them on the way."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()

    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        self._sink.write(rows)
        self._digest.update(np.ascontiguousarray(rows).data)

    def restart(self) -> None:
        self._sink.restart()
        self._digest = hashlib.sha256()

    def fingerprint(self, content: Content) -> str:
        self._digest.update(content.y.astype("<i8").data)
        self._digest.update("\0".join(content.class_names).encode("utf-8", "surrogateescape"))
        return self._digest.hexdigest()


def _dataset(path: Path, stored: cached.Stored) -> Dataset:
    content = stored.content
    return Dataset(
        stored.X, content.y, class_names=content.class_names, image=content.image, part=content.part,
        name=_short_name(path), source=str(path), fingerprint=stored.fingerprint, notes=content.notes,
    )  # fmt: skip


def _fingerprint(data: Dataset) -> str:
    digest = hashlib.sha256(f"{data.X.dtype}{data.X.shape}{data.y.dtype}{data.class_names}".encode())
    digest.update(np.ascontiguousarray(data.X).data)
    digest.update(np.ascontiguousarray(data.y).data)
    return digest.hexdigest()


def _short_name(path: Path) -> str:
    name = path.resolve().name
    for ending in (".gz", ".bz2", ".xz", ".tar", ".tgz", ".zip", ".csv", ".tsv", ".npz", ".parquet"):
        name = name[: -len(ending)] if name.lower().endswith(ending) and len(name) > len(ending) else name
    return name


def _must_exist(path: Path) -> None:
    if path.exists():
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes): copy or download it again")
        return
    parent = path.parent
    while not parent.exists():
        path, parent = parent, parent.parent
    near = difflib.get_close_matches(path.name, [p.name for p in parent.iterdir()], n=1, cutoff=0.5)
    hint = (
        f": did you mean {str(parent / near[0])!r}?"
        if near
        else f": {str(parent.resolve())!r} has nothing like it"
    )
    raise InputError(f"there is no {str(path)!r}{hint}")


def _unchanged(path: Path, reader: Reader, before: str) -> None:
    if cached.stamp(reader.depends) != before:
        raise InputError(
            f"{path} changed while it was being read: wait until it is complete and read it again"
        )
