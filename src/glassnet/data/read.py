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
from glassnet.data.download import KNOWN, fetch
from glassnet.data.sources import recognise
from glassnet.data.sources.arrays import USED as ARRAYS_USE
from glassnet.data.sources.arrays import from_arrays, is_pair
from glassnet.data.sources.bundled import BUNDLED, load_bundled
from glassnet.data.sources.content import Content, Reader, Request, Sink
from glassnet.data.sources.frames import from_data_frame, is_frame
from glassnet.data.sources.tables import USED as TABLES_USE
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

__all__ = ["read"]

_LARGEST_SIDE = 4096


def read(
    source: Any,
    *,
    size: tuple[int, int] | None = None,
    target: str | int | None = None,
    transpose: bool = False,
    skip_corrupt: bool = False,
    class_names: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    task: str | None = None,
    one_vs_rest: str | None = None,
    cache: bool = True,
    name: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Turn any reasonable source into a Dataset: a path, a name, arrays or a data frame.

    A path may lead to pictures in class folders (plain, zip or tar; also below train, val and test), pictures
    with a list of labels beside them, CIFAR-10/100 or MNIST-like files, a CSV of pixels, a table (CSV, TSV,
    parquet), parquet of pictures, or npz. A name is one of cifar10, cifar100, mnist, fashion-mnist
    (downloaded once), or one of scikit-learn's bundled sets: breast_cancer, diabetes, digits, iris, linnerud,
    wine; write "./digits" for a folder of such a name. Rows keep the order of the source, files in natural
    order; they are not shuffled.

    Parameters
    ----------
    source : path, name, `(X, y)`, `((X, y), (X, y))` = train and test, or a pandas or polars frame
    size : (height, width) in pixels to which pictures are resized; without it they must be equally large
    target : name or place of the target column; "fine" or "coarse" for CIFAR-100; the collection of EMNIST
    transpose : swap rows and columns of every picture (EMNIST's files need it)
    skip_corrupt : leave out pictures that cannot be decoded, and count them in the notes, instead of refusing
    class_names : names of the classes 0, 1, ...; for text labels and class folders, their order
    drop : names of columns of a table to leave out
    task : "classification" or "regression", for a numeric target that could mean either
    one_vs_rest : name of the class that becomes 1 while all others become 0
    cache : keep pictures packed on disk, so that the second start is instant; tables are never kept
    name : short name of the data for people
    progress : receives news of long work

    Returns
    -------
    Dataset
        pictures as (n, channels * height * width) uint8, plane by plane, a read-only memory map if cached;
        tables as (n, columns) float with NaN where a cell is missing

    Raises
    ------
    InputError
        what is wrong with the source, where in it, and what to do

    Examples
    --------
    >>> d = read("digits")
    >>> len(d), d.image, d.class_names[:3]
    (1797, ImageShape(height=8, width=8, channels=1), ('0', '1', '2'))
    """
    if task not in (None, "classification", "regression"):
        raise unknown_name("task", task, ("classification", "regression"))
    if size is not None and not (len(size) == 2 and all(0 < side <= _LARGEST_SIDE for side in size)):
        raise InputError(f"size={size!r} must be (height, width), each from 1 to {_LARGEST_SIDE} pixels")
    request = Request(
        size=None if size is None else (int(size[0]), int(size[1])), target=target, transpose=transpose,
        skip_corrupt=skip_corrupt, class_names=None if class_names is None else tuple(class_names),
        drop=tuple(drop), task=task,
    )  # fmt: skip
    data = _read_any(source, request, cache, progress or Progress())
    if not data.fingerprint:
        data = replace(data, fingerprint=_fingerprint(data))
    if name is not None:
        data = replace(data, name=name)
    if one_vs_rest is None:
        return data
    binary = data.one_vs_rest(one_vs_rest)
    return replace(
        binary, fingerprint=hashlib.sha256(f"{data.fingerprint}{one_vs_rest}".encode()).hexdigest()
    )


def _read_any(source: Any, request: Request, use_cache: bool, progress: Progress) -> Dataset:
    if isinstance(source, str) and source in BUNDLED:
        return load_bundled(source, request)
    if isinstance(source, str) and source in KNOWN:
        return _read_known(source, request, use_cache, progress)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        try:
            return _read_path(path, request, use_cache, progress)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{error.filename or path} cannot be read: {reason.lower()}") from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # polars' own failure, which is no Exception
                raise
            raise InputError(
                f"{path} cannot be parsed: it is damaged, or a case that polars fails on"
            ) from error
    if is_pair(source):
        request.refuse_unused(ARRAYS_USE, "arrays")
        return from_arrays(source, request)
    if is_frame(source):
        request.refuse_unused(TABLES_USE, "a data frame")
        return from_data_frame(source, request)
    raise InputError(f"cannot read a {type(source).__name__}: give a path, a name, (X, y) or a data frame")


def _read_known(name: str, request: Request, use_cache: bool, progress: Progress) -> Dataset:
    known = KNOWN[name]
    if request.class_names is None:
        request = replace(request, class_names=known.class_names)
    path = known.place(name)
    stored = cached.recall(path, _options(request)) if use_cache else None
    if stored is None:
        data = _read_path(fetch(name, progress), request, use_cache, progress)
    else:
        data = _dataset(path, stored)
    return replace(data, name=name, source=known.files[0].urls[0])


def _read_path(path: Path, request: Request, use_cache: bool, progress: Progress) -> Dataset:
    _must_exist(path)
    options = _options(request)
    if use_cache and (stored := cached.recall(path, options)):
        return _dataset(path, stored)
    with ExitStack() as opened:
        reader = recognise(path, opened)
        request.refuse_unused(reader.used, reader.kind)
        before = cached.stamp(reader.depends)
        if reader.table is not None:
            data = reader.table(request, progress)
            _unchanged(path, reader, before)
            return replace(data, name=_short_name(path))
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


def _options(request: Request) -> str:
    return json.dumps(asdict(request), sort_keys=True)


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
    names = difflib.get_close_matches(str(path), (*BUNDLED, *KNOWN), n=1)
    parent = path.parent
    while not parent.exists():
        path, parent = parent, parent.parent
    near = difflib.get_close_matches(path.name, [p.name for p in parent.iterdir()], n=1, cutoff=0.5)
    likely = [repr(name) for name in names] + [repr(str(parent / name)) for name in near]
    if likely:
        hint = f": did you mean {' or '.join(likely)}?"
    else:
        hint = f": {str(parent.resolve())!r} has nothing like it"
    raise InputError(f"there is no {str(path)!r}{hint}")


def _unchanged(path: Path, reader: Reader, before: str) -> None:
    if cached.stamp(reader.depends) != before:
        raise InputError(
            f"{path} changed while it was being read: wait until it is complete and read it again"
        )
