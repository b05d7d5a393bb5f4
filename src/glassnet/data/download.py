"""The well-known data sets by name: official addresses, known hashes, kept once, resumed when cut off."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassnet.data import cache
from glassnet.errors import InputError
from glassnet.progress import Progress

__all__ = ["KNOWN", "Download", "KnownSet", "fetch"]

_TRIES = 3  # for each address
_WAIT_SECONDS = 1.0  # before the second try; doubled before each further one
_TIMEOUT_SECONDS = 30
_BLOCK = 1 << 18
_STALE_SECONDS = 600  # a part that has not grown for so long belongs to nobody any more


@dataclass(frozen=True)
class Download:
    """One file: where it is published (mirrors after the first), and its SHA-256."""

    name: str
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class KnownSet:
    """A data set with a name: its files, and the names of its classes where the files do not hold them."""

    files: tuple[Download, ...]
    class_names: tuple[str, ...] | None = None

    def place(self, name: str) -> Path:
        """The file to read, or the folder of the files, once they are there."""
        folder = cache.folder() / "downloads"
        return folder / self.files[0].name if len(self.files) == 1 else folder / name


def _mnist_like(addresses: tuple[str, ...], hashes: tuple[str, ...]) -> tuple[Download, ...]:
    names = (
        "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
    )  # fmt: skip
    return tuple(
        Download(n, h, tuple(f"{a}/{n}" for a in addresses)) for n, h in zip(names, hashes, strict=True)
    )


_TORONTO = "https://www.cs.toronto.edu/~kriz"

KNOWN: dict[str, KnownSet] = {
    "cifar10": KnownSet((
        Download(
            "cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            (f"{_TORONTO}/cifar-10-python.tar.gz",),
        ),
    )),
    "cifar100": KnownSet((
        Download(
            "cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            (f"{_TORONTO}/cifar-100-python.tar.gz",),
        ),
    )),
    "mnist": KnownSet(_mnist_like(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    )),
    "fashion-mnist": KnownSet(
        _mnist_like(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        (
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
}  # fmt: skip


def fetch(name: str, progress: Progress) -> Path:
    """The file or folder of a known data set, downloaded if it is not there yet.

    A file is taken only if its SHA-256 is the published one. What an interrupted download has brought is
    kept and continued. Raises InputError that says what to put where if nothing can be downloaded.

    Parameters
    ----------
    name : a key of `KNOWN`
    """
    known = KNOWN[name]
    place = known.place(name)
    folder = place if len(known.files) > 1 else place.parent
    for file in known.files:
        _fetch_file(name, file, folder, progress)
    return place


def _fetch_file(name: str, file: Download, folder: Path, progress: Progress) -> None:
    import pooch

    logging.getLogger("pooch").setLevel(logging.ERROR)  # the library is silent; Progress tells what happens
    reasons = []
    for url in file.urls:
        try:
            pooch.retrieve(
                url, f"sha256:{file.sha256}", file.name, folder,
                downloader=_Resuming(folder / file.name, progress),
            )  # fmt: skip
        except (OSError, ValueError) as error:  # urllib's errors are OSErrors, a wrong hash is a ValueError
            wrong = "the hash of what came is not the published one"
            reasons.append(f"{url}: {wrong if isinstance(error, ValueError) else _reason(error)}")
        else:
            return
    raise InputError(
        f"cannot download {name} ({'; '.join(reasons)}): get {file.urls[0]} by other means and put it at "
        f"{folder / file.name} (SHA-256 {file.sha256[:12]}...)"
    )


def _reason(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return error.strerror or str(error)


class _Resuming:
    """A downloader for pooch that continues where an earlier one was cut off, also one of another process."""

    def __init__(self, target: Path, progress: Progress) -> None:
        self._target = target
        self._progress = progress

    def __call__(self, url: str, output_file: str, _pooch: Any, check_only: bool = False) -> None:
        with self._part() as part:
            for attempt in range(_TRIES):
                try:
                    self._continue(url, part)
                    break
                except OSError as error:
                    final = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
                    if final or attempt + 1 == _TRIES:
                        raise
                    time.sleep(_WAIT_SECONDS * 2**attempt)
            os.replace(part, output_file)

    @contextlib.contextmanager
    def _part(self) -> Iterator[Path]:
        """A file of this download's own; what an abandoned one has brought so far is taken over."""
        pattern = f".{self._target.name}.*.part"
        handle, own = tempfile.mkstemp(dir=self._target.parent, prefix=pattern[:-6], suffix=".part")
        os.close(handle)
        part = Path(own)
        for left in self._target.parent.glob(pattern):
            with contextlib.suppress(OSError):  # another process may take it first
                mine = left.name.endswith(".free.part")
                if mine or time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    os.replace(left, part)
                    break
        try:
            yield part
        except BaseException:  # also Ctrl-C: keep what came, free for the next one
            with contextlib.suppress(OSError):
                os.replace(part, self._target.parent / f".{self._target.name}.free.part")
            raise

    def _continue(self, url: str, part: Path) -> None:
        done = part.stat().st_size
        request = urllib.request.Request(url, headers={"User-Agent": "glassnet", "Range": f"bytes={done}-"})
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing left to send: it was all there, and the hash will tell
                return
            raise
        with response:
            resumed = response.status == 206
            rest = response.headers.get("Content-Length")
            total = None if rest is None else int(rest) + (done if resumed else 0)
            self._progress.begin(f"downloading {self._target.name}", total)
            try:
                with part.open("ab" if resumed else "wb") as file:
                    if resumed:
                        self._progress.advance(done)
                    while block := response.read(_BLOCK):
                        file.write(block)
                        self._progress.advance(len(block))
            finally:
                self._progress.end()
        if total is not None and part.stat().st_size < total:
            raise ConnectionError(f"the connection ended after {part.stat().st_size} of {total} bytes")
