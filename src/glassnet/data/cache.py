"""Packed copies of image data on disk, found again by path, size and time, or else by content.

`packed/<key>.bin` holds X row by row and is memory-mapped; `packed/<key>.npz` holds the rest and is written
last: its presence means that the copy is whole. `seen/<hash of path and options>.json` remembers the size and
time of the files a copy was made from, so that a second start need not hash them. Everything is written under
a temporary name and renamed, so readers, writers and killed processes never disturb one another.

A copy that is used gets a new time of change on its record. After a copy is made, those used longest ago are
removed until all together are within GLASSNET_CACHE_GB (10 by default); downloads are never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.data.sources.content import Content
from glassnet.data.sources.tree import walk
from glassnet.errors import InputError

__all__ = ["CacheFailed", "Entry", "Stored", "content_key", "folder", "make_room", "recall", "size", "stamp"]

_FORMAT = 1  # raise it when what readers produce changes: older copies are then made anew
_MOST_GB = 10.0  # 60 times CIFAR-10
_STALE_SECONDS = 600  # a writer touches its temporary file every few seconds


class CacheFailed(Exception):
    """The cache cannot be written (no permission, disk full): the caller goes on without it."""


@dataclass(frozen=True)
class Stored:
    """One packed copy: its pixels as a read-only memory map, and all the rest."""

    X: npt.NDArray[np.uint8]  # (n, n_features)
    content: Content
    fingerprint: str


def folder() -> Path:
    """Where packed copies and downloads are kept: GLASSNET_DATA_DIR, else the user's cache folder."""
    chosen = os.environ.get("GLASSNET_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("glassnet", appauthor=False))


def limit() -> int:
    """Bytes that all packed copies together may take: GLASSNET_CACHE_GB, else 10 GB.

    Raises
    ------
    InputError
        If GLASSNET_CACHE_GB is no number above 0.
    """
    chosen = os.environ.get("GLASSNET_CACHE_GB", "") or str(_MOST_GB)
    try:
        most = float(chosen)
    except ValueError:
        most = 0.0
    if not 0 < most < float("inf"):
        raise InputError(f"GLASSNET_CACHE_GB={chosen!r} must be a number of gigabytes above 0, such as 10")
    return int(most * 1e9)


def make_room(most: int, spare: str = "") -> int:
    """Remove packed copies, those used longest ago first, until the rest takes at most so many bytes.

    Parameters
    ----------
    most : bytes; 0 removes all
    spare : key of a copy that stays

    Returns
    -------
    Bytes that were freed
    """
    copies = _copies()
    total, freed = sum(taken for _, taken, _ in copies), 0
    for _, taken, pixels in copies:
        if total - freed <= most:
            break
        if pixels.stem != spare:
            with contextlib.suppress(OSError):
                # The record first: without it nobody takes the pixels for whole. Who maps them keeps them.
                pixels.with_suffix(".npz").unlink(missing_ok=True)
                pixels.unlink()
                freed += taken
    return freed


def size() -> tuple[int, int]:
    """Number of packed copies, and the bytes they take."""
    copies = _copies()
    return len(copies), sum(taken for _, taken, _ in copies)


def _copies() -> list[tuple[float, int, Path]]:
    """Time of the last use, bytes and pixels of each copy, the one used longest ago first.

    Pixels whose record was never written are among them, as old as they are.
    """
    found = []
    for pixels in (folder() / "packed").glob("*.bin"):
        with contextlib.suppress(OSError):  # another process has removed it
            record = pixels.with_suffix(".npz")
            used = record if record.exists() else pixels
            found.append((used.stat().st_mtime, pixels.stat().st_size, pixels))
    return sorted(found)


def stamp(paths: Sequence[Path]) -> str:
    """Sizes and modification times of files, and of all files below folders, as one hash."""
    digest = hashlib.sha256()
    for path in paths:
        for name, status in _below(path):
            digest.update(
                f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape")
            )
    return digest.hexdigest()


def content_key(paths: Sequence[Path], options: str) -> str:
    """Hash of the files' contents and of the options they are read with; of names where there are several."""
    digest = hashlib.sha256(f"{_FORMAT}\0{options}\0".encode())
    alone = len(paths) == 1 and paths[0].is_file()
    for path in paths:
        for name, _ in _below(path):
            digest.update(b"" if alone else name.encode("utf-8", "surrogateescape"))
            with (path if path.is_file() else path / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _below(path: Path) -> list[tuple[str, os.stat_result]]:
    if path.is_file():
        return [(path.name, path.stat())]
    return sorted(walk(path), key=lambda found: found[0])


def recall(path: Path, options: str) -> Stored | None:
    """The packed copy of a path whose files have the size and time of last time, else None."""
    try:
        seen = json.loads(_seen_file(path, options).read_text())
        depends = [Path(p) for p in seen["depends"]]
        if seen["stamp"] != stamp(depends):
            return None
        return Entry(seen["key"]).load()
    except (OSError, ValueError, KeyError, TypeError):  # never seen, gone, or a record that is not ours
        return None


def _seen_file(path: Path, options: str) -> Path:
    where = hashlib.sha256(f"{_FORMAT}\0{path.resolve()}\0{options}".encode("utf-8", "surrogateescape"))
    return folder() / "seen" / f"{where.hexdigest()[:32]}.json"


class Entry:
    """The place of one packed copy, by its content key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._pixels = folder() / "packed" / f"{key}.bin"
        self._record = folder() / "packed" / f"{key}.npz"

    def load(self) -> Stored | None:
        """The copy if it is there and whole."""
        try:
            with self._record.open("rb") as file, np.load(file, allow_pickle=False) as record:
                meta: dict[str, Any] = json.loads(str(record["meta"]))
                y, part = record["y"], record["part"]
            image = ImageShape(*meta["image"])
            shape = (len(y), image.n_features)
            if self._pixels.stat().st_size != shape[0] * shape[1]:
                return None
            X = np.memmap(self._pixels, np.uint8, "r", shape=shape)
            with contextlib.suppress(OSError):  # a cache that can only be read serves too
                os.utime(self._record)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        content = Content(
            y, tuple(meta["class_names"]), image, part if len(part) else None, tuple(meta["notes"])
        )  # fmt: skip
        return Stored(X, content, meta["fingerprint"])

    def writer(self) -> _Writer:
        """A sink for the pixels of this copy."""
        limit()  # a wrong setting is refused now, not after the work
        return _Writer(self._pixels)

    def commit(self, writer: _Writer, content: Content, fingerprint: str) -> Stored:
        """Make the written copy whole and map it."""
        meta = {
            "class_names": content.class_names, "image": astuple(content.image), "notes": content.notes,
            "fingerprint": fingerprint,
        }  # fmt: skip
        with _as_cache_failure():
            writer.publish()
            with _temporary(self._record) as file:
                np.savez(
                    file, allow_pickle=False, y=content.y, meta=np.array(json.dumps(meta)),
                    part=np.empty(0, np.int8) if content.part is None else content.part,
                )  # fmt: skip
        stored = self.load()
        if stored is None:
            raise CacheFailed(f"{self._pixels} cannot be read back")
        make_room(limit(), spare=self.key)
        return stored

    def remember(self, path: Path, options: str, depends: Sequence[Path], now: str) -> None:
        """Note that files with this stamp gave this copy, so that `recall` finds it without hashing."""
        seen = {"key": self.key, "stamp": now, "depends": [str(p.resolve()) for p in depends]}
        with _as_cache_failure(), _temporary(_seen_file(path, options)) as file:
            file.write(json.dumps(seen).encode())


class _Writer:
    """Appends rows to a temporary file beside its target; removed unless published."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Self:
        with _as_cache_failure():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            _clean(self._target.parent)
            self._file = _open_temporary(self._target)
        return self

    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        with _as_cache_failure():
            self._file.write(np.ascontiguousarray(rows).data)

    def restart(self) -> None:
        with _as_cache_failure():
            self._file.seek(0)
            self._file.truncate()

    def publish(self) -> None:
        self._file.close()
        _replace(Path(self._file.name), self._target)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._file.name)


def _open_temporary(target: Path) -> BinaryIO:
    return cast(
        BinaryIO,
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=".tmp", delete=False),
    )


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[BinaryIO]:
    """A file that takes its final name only when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    file = _open_temporary(target)
    try:
        with file:
            yield file
        _replace(Path(file.name), target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise


def _replace(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except PermissionError:
        # Windows refuses to replace a file that another process maps. The same key means the same content,
        # so the copy that is there serves.
        if not target.exists():
            raise
        temporary.unlink()


def _clean(place: Path) -> None:
    """Remove temporary files of processes that were killed."""
    for left in place.glob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()


@contextlib.contextmanager
def _as_cache_failure() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheFailed(error.strerror or str(error)) from error
