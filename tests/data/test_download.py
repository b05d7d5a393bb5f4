"""Known sets by name, from a server on this machine that behaves as badly as real ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from glassnet.data import download
from glassnet.data.download import KNOWN, Download, KnownSet, fetch
from glassnet.data.read import read
from glassnet.errors import InputError
from glassnet.progress import Progress

from .made import two_classes, write_tar
from .test_sources_idx import idx, pictures


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: list[int] = []  # bytes after which the next answers break off
        self.errors: list[int] = []  # codes with which the next requests fail
        self.ranges: list[str] = []  # what was asked for
        self.resumes = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        if self.server.errors:
            self.send_error(self.server.errors.pop(0))
            return
        content = self.server.files.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0) if self.server.resumes else 0
        if start >= len(content):
            self.send_error(416)
            return
        rest = content[start:]
        self.send_response(206 if self.server.resumes else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cut.pop(0)] if self.server.cut else rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_WAIT_SECONDS", 0.001)
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def pets(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A set called "pets" whose one archive the server has."""
    content = write_tar(tmp_path / "made.tar.gz", two_classes()).read_bytes()
    server.files["pets.tar.gz"] = content
    file = Download("pets.tar.gz", hashlib.sha256(content).hexdigest(), (server.url("pets.tar.gz"),))
    monkeypatch.setitem(KNOWN, "pets", KnownSet((file,)))
    return content


def left(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache" / "downloads").iterdir())


def test_a_set_is_downloaded_once_and_read_by_name(server: Server, pets: bytes, tmp_path: Path) -> None:
    d = read("pets")
    assert (d.name, d.source, len(d)) == ("pets", server.url("pets.tar.gz"), 6)
    again = read("pets")
    assert again.fingerprint == d.fingerprint
    assert again.source == d.source
    assert server.ranges == ["bytes=0-"]
    assert left(tmp_path) == ["pets.tar.gz"]


def test_a_cut_connection_is_continued(server: Server, pets: bytes, tmp_path: Path) -> None:
    server.cut = [100, 50]

    class Told(Progress):
        steps = 0

        def begin(self, task: str, total: int | None = None) -> None:
            assert task == "downloading pets.tar.gz"
            assert total == len(pets)
            self.steps = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.steps += steps

    told = Told()
    assert fetch("pets", told).read_bytes() == pets
    assert server.ranges == ["bytes=0-", "bytes=100-", "bytes=150-"]
    assert told.steps == len(pets)
    assert left(tmp_path) == ["pets.tar.gz"]


def test_what_a_failed_download_brought_is_continued_the_next_time(
    server: Server, pets: bytes, tmp_path: Path
) -> None:
    server.cut = [10, 20, 30]
    with pytest.raises(InputError, match="the connection ended after 60 of"):
        fetch("pets", Progress())
    assert left(tmp_path) == [".pets.tar.gz.free.part"]
    assert fetch("pets", Progress()).read_bytes() == pets
    assert server.ranges[-1] == "bytes=60-"
    assert left(tmp_path) == ["pets.tar.gz"]


def test_ctrl_c_keeps_what_came(
    server: Server, pets: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(Progress):
        def advance(self, steps: int = 1, note: str = "") -> None:
            if steps:
                raise KeyboardInterrupt

    monkeypatch.setattr(download, "_BLOCK", 64)
    with pytest.raises(KeyboardInterrupt):
        fetch("pets", Impatient())
    assert left(tmp_path) == [".pets.tar.gz.free.part"]
    fetch("pets", Progress())
    assert server.ranges == ["bytes=0-", "bytes=64-"]


def test_a_killed_download_is_taken_over_but_not_a_living_one(
    server: Server, pets: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    killed, living = folder / ".pets.tar.gz.a1.part", folder / ".pets.tar.gz.b2.part"
    for part in (killed, living):
        part.write_bytes(pets[:40])
    os.utime(killed, (time.time() - 3600,) * 2)
    fetch("pets", Progress())
    assert server.ranges == ["bytes=40-"]
    assert left(tmp_path) == [".pets.tar.gz.b2.part", "pets.tar.gz"]


def test_a_server_that_cannot_continue_starts_again(server: Server, pets: bytes) -> None:
    server.cut, server.resumes = [100], False
    assert fetch("pets", Progress()).read_bytes() == pets


def test_busy_servers_are_asked_again_and_missing_files_are_not(
    server: Server, pets: bytes, tmp_path: Path
) -> None:
    server.errors = [503, 500]
    fetch("pets", Progress())
    assert len(server.ranges) == 3
    (tmp_path / "cache" / "downloads" / "pets.tar.gz").unlink()
    server.files.clear()
    with pytest.raises(InputError, match="HTTP 404 Not Found"):
        fetch("pets", Progress())
    assert len(server.ranges) == 4


def test_a_wrong_file_is_refused_and_thrown_away(server: Server, pets: bytes, tmp_path: Path) -> None:
    server.files["pets.tar.gz"] = b"evil" * 100
    with pytest.raises(InputError, match="the hash of what came is not the published one"):
        fetch("pets", Progress())
    assert left(tmp_path) == []
    server.files["pets.tar.gz"] = pets
    fetch("pets", Progress())


def test_a_damaged_file_that_is_already_there_is_replaced(
    server: Server, pets: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / "pets.tar.gz").write_bytes(b"half")
    assert fetch("pets", Progress()).read_bytes() == pets


def test_offline_it_says_what_to_put_where(server: Server, pets: bytes, tmp_path: Path) -> None:
    file = KNOWN["pets"].files[0]
    server.shutdown()
    server.server_close()
    place = tmp_path / "cache" / "downloads" / "pets.tar.gz"
    with pytest.raises(InputError, match=r"cannot download pets \(.*Connection refused\): get ") as error:
        read("pets")
    assert f"get {file.urls[0]} by other means and put it at {place}" in str(error.value)
    place.write_bytes(pets)
    assert len(read("pets")) == 6


def test_a_mirror_helps_and_names_of_classes_come_along(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name, content in (
        ("train-images-idx3-ubyte.gz", idx(pictures(6, 6))),
        ("train-labels-idx1-ubyte.gz", idx(np.arange(6) % 3)),
    ):  # fmt: skip
        packed = gzip.compress(content)
        server.files[f"mirror/{name}"] = packed
        urls = (server.url(f"gone/{name}"), server.url(f"mirror/{name}"))
        files.append(Download(name, hashlib.sha256(packed).hexdigest(), urls))
    monkeypatch.setitem(KNOWN, "clothes", KnownSet(tuple(files), ("shirt", "coat", "bag")))
    d = read("clothes")
    assert d.class_names == ("shirt", "coat", "bag")
    assert d.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert left(tmp_path) == ["clothes"]


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion-mnist"])
def test_the_published_sets_have_addresses_and_hashes(name: str) -> None:
    for file in KNOWN[name].files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(url.startswith("http") and url.endswith(file.name) for url in file.urls)
