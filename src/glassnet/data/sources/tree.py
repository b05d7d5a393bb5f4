"""The files of a folder, a zip or a tar, all seen the same way. Nothing is ever extracted to disk by name."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from glassnet.errors import InputError

__all__ = ["ARCHIVES", "Folder", "Tree", "check_expansion", "decompressed", "open_tree", "walk"]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_COMPRESSIONS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)
# what zipfile raises besides: versions and methods it does not know, damaged lists and headers
_UNEXPECTED = (NotImplementedError, RuntimeError, ValueError, IndexError, struct.error)
_MAX_RATIO, _SMALL = 100, 10**9  # JPEGs expand 1:1, CSV and sparse images up to 30:1, bombs 1000:1


class Tree:
    """The regular files below one root, by their path with forward slashes."""

    def __init__(self, root: Path, sizes: dict[str, int]) -> None:
        self.root = root
        self.sizes = {p: n for p, n in sizes.items() if not _is_clutter(p)}

    def read(self, path: str) -> bytes:
        """The content of one file."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse an archive that is cut off, encrypted, hostile or absurdly large."""

    def close(self) -> None:
        """Close what was opened."""


class Folder(Tree):
    """The files of a folder, or only some that lie directly in it."""

    def __init__(self, root: Path, only: Sequence[Path] | None = None) -> None:
        some = (
            {p: s.st_size for p, s in walk(root)}
            if only is None
            else {p.name: p.stat().st_size for p in only}
        )
        super().__init__(root, some)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


class _Zip(Tree):
    def __init__(self, root: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(root)
        except (*_BROKEN, *_UNEXPECTED) as error:
            raise InputError(f"{root} is not a whole zip file ({error}): copy or download it again") from None
        self._members = [m for m in self._zip.infolist() if not m.filename.endswith("/")]
        super().__init__(root, {m.filename: m.file_size for m in self._members})

    def check(self) -> None:
        _check_paths(self.root, [m.filename for m in self._members])
        check_expansion(self.root, sum(m.file_size for m in self._members))
        if any(m.flag_bits & 1 for m in self._members):
            raise InputError(f"{self.root} is encrypted: unpack it and give the folder")

    def read(self, path: str) -> bytes:
        try:
            return self._zip.read(path)
        except (*_BROKEN, *_UNEXPECTED) as error:
            raise InputError(
                f"{self.root}: {path} cannot be unpacked ({error}): copy or download it again"
            ) from None

    def close(self) -> None:
        self._zip.close()


class _Tar(Tree):
    def __init__(self, root: Path) -> None:
        self._file = decompressed(root)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                self._members = archive.getmembers()
        except (*_BROKEN, OSError) as error:
            self._file.close()
            raise InputError(f"{root} is not a whole tar file ({error}): copy or download it again") from None
        files = [m for m in self._members if m.isreg()]
        self._place = {m.name: (m.offset_data, m.size) for m in files}
        super().__init__(root, {m.name: m.size for m in files})

    def check(self) -> None:
        _check_paths(self.root, [m.name for m in self._members])
        # tarfile takes a cut-off file for a shorter one; a whole one ends with an empty block
        last = max((m.offset_data + -(-m.size // 512) * 512 for m in self._members), default=0)
        if self._file.seek(0, os.SEEK_END) < last + 512:
            raise InputError(f"{self.root} is cut off in the middle: copy or download it again")

    def read(self, path: str) -> bytes:
        offset, size = self._place[path]
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def open_tree(root: Path) -> Iterator[Tree]:
    """The files of a folder or an archive; an unreadable archive is an InputError."""
    tree: Tree
    if root.is_dir():
        tree = Folder(root)
    elif zipfile.is_zipfile(root) or root.name.lower().endswith(".zip"):
        tree = _Zip(root)
    else:
        tree = _Tar(root)
    try:
        tree.check()
        yield tree
    finally:
        tree.close()


def decompressed(path: Path) -> BinaryIO:
    """The file as it is behind gzip, bzip2 or xz, seekable; unpacked into a nameless temporary file.

    The kind is told by the first bytes, not by the name. A file that is not compressed is opened as it is.
    """
    raw = path.open("rb")
    magic = raw.read(6)
    raw.seek(0)
    opener = next((o for start, o in _COMPRESSIONS.items() if magic.startswith(start)), None)
    if opener is None:
        return raw
    packed = cast(BinaryIO, opener(raw))
    plain = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - handed to the caller
    try:
        with raw, packed:
            total = 0
            while block := packed.read(1 << 20):
                total += len(block)
                check_expansion(path, total)
                plain.write(block)
    except (*_BROKEN, OSError) as error:
        plain.close()
        if isinstance(error, OSError) and error.errno is not None:  # not the archive's fault
            raise InputError(
                f"{path} cannot be unpacked into {tempfile.gettempdir()} ({error.strerror}): "
                "make room there, or set TMPDIR to another folder"
            ) from None
        raise InputError(f"{path} cannot be unpacked ({error}): copy or download it again") from None
    except BaseException:
        plain.close()
        raise
    plain.seek(0)
    return plain


def check_expansion(archive: Path, unpacked: int) -> None:
    """Refuse an archive whose content is absurdly larger than itself (a "zip bomb")."""
    packed = max(archive.stat().st_size, 1)
    if unpacked > _SMALL and unpacked > _MAX_RATIO * packed:
        raise InputError(
            f"{archive} would unpack to {unpacked / 1e9:.1f} GB, over {_MAX_RATIO} times its own size: "
            "refused as a zip bomb; if you trust it, unpack it and give the folder"
        )


def _check_paths(archive: Path, names: list[str]) -> None:
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if not parts[0] or parts[0].endswith(":") or ".." in parts:
            raise InputError(f"{archive}: the path {name!r} points outside the archive: refused")


def _is_clutter(path: str) -> bool:
    return any(p in _IGNORED or p.startswith(".") for p in path.split("/"))


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Paths and status of all files below a folder; links are followed, but into no folder twice."""
    waiting, known = [(str(root), "")], {os.path.realpath(root)}
    while waiting:
        here, below = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real not in known:
                        known.add(real)
                        waiting.append((entry.path, f"{below}{entry.name}/"))
                elif entry.is_file():
                    yield below + entry.name, entry.stat()
