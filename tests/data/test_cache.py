"""The packed cache: fast the second time, right after every change, safe against anything that happens."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glassnet.data import cache
from glassnet.data.read import read
from glassnet.data.sources import folders, pictures
from glassnet.errors import InputError
from glassnet.progress import Progress

from .made import encoded, pixels, two_classes, write_folder, write_zip


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(place))
    return place


@pytest.fixture
def count_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    calls = []
    decode = folders.decode
    monkeypatch.setattr(folders, "decode", lambda *a: calls.append(1) or decode(*a))
    return lambda: len(calls)


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_the_second_read_decodes_nothing(
    tmp_path: Path, fresh: Path, count_decoding: Callable[[], int], write: Callable[..., Path]
) -> None:
    path = write(
        tmp_path / "pets.zip", {f"{p}/{n}": c for p in ("train", "test") for n, c in two_classes().items()}
    )
    first = read(path, one_vs_rest="dog", name="pets!")
    second = read(path, one_vs_rest="dog", name="pets!")
    assert count_decoding() == 1
    assert isinstance(second.X, np.memmap)
    assert not second.X.flags.writeable
    for field in ("class_names", "image", "name", "source", "fingerprint", "notes"):
        assert getattr(first, field) == getattr(second, field)
    for field in ("X", "y", "part"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert getattr(first, field).dtype == getattr(second, field).dtype
    without = read(path, cache=False, one_vs_rest="dog")
    assert without.fingerprint == first.fingerprint
    np.testing.assert_array_equal(without.X, first.X)
    assert not without.X.flags.writeable


def test_a_copy_is_found_by_content_wherever_it_moved(
    tmp_path: Path, fresh: Path, count_decoding: Callable[[], int]
) -> None:
    path = write_zip(tmp_path / "pets.zip", two_classes())
    read(path)
    os.utime(path, (1, 1))
    read(path)
    read(shutil.copy(path, tmp_path / "same.zip"))
    assert count_decoding() == 1


def test_any_change_is_seen(tmp_path: Path, fresh: Path, count_decoding: Callable[[], int]) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    before = read(path)
    (path / "cat" / "1.png").write_bytes(encoded(pixels(77)))
    changed = read(path)
    assert changed.fingerprint != before.fingerprint
    (path / "cat" / "1.png").rename(path / "dog" / "9.png")
    assert read(path).counts().tolist() == [2, 4]
    assert read(path, size=(9, 9)).X.shape == (6, 243)
    assert count_decoding() == 4
    assert read(path).X.shape == (6, 72)
    assert count_decoding() == 4


@pytest.mark.parametrize("damage", ["truncate", "garbage record", "no pixels", "garbage memory"])
def test_a_damaged_copy_is_made_anew(
    tmp_path: Path, fresh: Path, count_decoding: Callable[[], int], damage: str
) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    first = read(path, cache=False)
    read(path)
    (pixel_file,) = (fresh / "packed").glob("*.bin")
    (record,) = (fresh / "packed").glob("*.npz")
    (seen,) = (fresh / "seen").iterdir()
    match damage:
        case "truncate":
            pixel_file.write_bytes(pixel_file.read_bytes()[:-1])
        case "garbage record":
            record.write_bytes(b"PK\x03\x04 this is no npz file")
        case "no pixels":
            pixel_file.unlink()
        case "garbage memory":
            seen.write_text('{"key": 3')
    again = read(path)
    np.testing.assert_array_equal(again.X, first.X)
    assert count_decoding() == (2 if damage == "garbage memory" else 3)


def test_bad_input_leaves_nothing_behind(tmp_path: Path, fresh: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes() | {"dog/2.png": b"broken"})
    with pytest.raises(InputError):
        read(path)
    assert [p for p in fresh.rglob("*") if p.is_file()] == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(Progress):
        ended = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

        def end(self) -> None:
            self.ended += 1

    path = write_folder(tmp_path / "d", two_classes(20))
    monkeypatch.setattr(pictures, "_CHUNK", 3)
    for several in (False, True):
        monkeypatch.setattr(pictures, "_PARALLEL_FROM", 1 if several else 10**6)
        user = Impatient()
        with pytest.raises(KeyboardInterrupt):
            read(path, progress=user)
        assert user.ended == 1
        assert [p for p in fresh.rglob("*") if p.is_file()] == []


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, fresh: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes())

    class Writer(Progress):
        def advance(self, steps: int = 1, note: str = "") -> None:
            (path / "cat" / "7.png").write_bytes(encoded(pixels(7)))

    for use_cache in (True, False):
        with pytest.raises(InputError, match="changed while it was being read: wait until it is complete"):
            read(path, progress=Writer(), cache=use_cache)
        (path / "cat" / "7.png").unlink()
    assert not list(fresh.rglob("*.npz"))


def test_without_permission_to_write_it_works_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    (tmp_path / "file").write_text("a file where the cache folder should be")
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(tmp_path / "file"))
    d = read(path)
    assert len(d) == 6
    assert d.notes[-1].startswith(f"nothing is kept for the next time: {tmp_path / 'file'} cannot be written")


@pytest.mark.parametrize("at", [0, 1])
def test_with_a_full_disk_it_works_and_says_so(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path = write_folder(tmp_path / "d", two_classes(20))
    expected = read(path, cache=False)
    monkeypatch.setattr(pictures, "_CHUNK", 15)
    opened = cache._open_temporary

    class Full:
        def __init__(self, file: object) -> None:
            self.file, self.writes = file, 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

        def write(self, content: bytes) -> None:
            self.writes += 1
            if self.writes > at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.file.write(content)

    monkeypatch.setattr(cache, "_open_temporary", lambda target: Full(opened(target)))
    d = read(path)
    np.testing.assert_array_equal(d.X, expected.X)
    assert "cannot be written (No space left on device)" in d.notes[-1]
    assert [p for p in fresh.rglob("*") if p.is_file()] == []


def test_temporary_files_of_killed_processes_are_ignored_and_cleaned(tmp_path: Path, fresh: Path) -> None:
    packed = fresh / "packed"
    packed.mkdir(parents=True)
    old, young = packed / "x.bin.abc.tmp", packed / "y.bin.abc.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 3600,) * 2)
    read(write_folder(tmp_path / "d", two_classes()))
    assert not old.exists()
    assert young.exists()  # another process may still be writing it


READER = """
import sys
from glassnet.data.read import read
from glassnet.progress import Progress

class Slow(Progress):
    def advance(self, steps=1, note=""):
        print("busy", flush=True)
        sys.stdin.readline()

print(read(sys.argv[1], progress=Slow()).fingerprint, flush=True)
"""


def start(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"  # it has opened its temporary file and is decoding
    return process


def test_a_process_killed_halfway_disturbs_nobody(tmp_path: Path, fresh: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    with start(path) as process:
        process.send_signal(signal.SIGKILL)
    assert list(fresh.rglob("*.tmp"))
    assert not list(fresh.rglob("*.npz"))
    assert len(read(path)) == 6


def test_two_processes_at_once_make_the_same_copy(tmp_path: Path, fresh: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    with start(path) as one, start(path) as other:
        prints = [process.communicate("\n")[0].strip() for process in (one, other)]
    assert prints == [read(path, cache=False).fingerprint] * 2
    assert len(list((fresh / "packed").iterdir())) == 2
    assert read(path).fingerprint == prints[0]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLASSNET_DATA_DIR", "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "somewhere"
    monkeypatch.delenv("GLASSNET_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform.startswith("linux"):
        assert cache.folder() == tmp_path / "xdg" / "glassnet"


def test_linked_folders_are_read_and_loops_are_not_followed(tmp_path: Path, fresh: Path) -> None:
    write_folder(tmp_path / "elsewhere", two_classes())
    (tmp_path / "d").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "d" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "d" / "cat" / "loop").symlink_to(tmp_path / "d")
    assert len(read(tmp_path / "d")) == 6


def test_files_that_cannot_be_opened(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "pets.zip", two_classes())
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    monkeypatch.setattr(cache, "content_key", lambda *_: (_ for _ in ()).throw(denied))
    with pytest.raises(InputError, match=r"pets.zip cannot be read: permission denied"):
        read(path)
    with pytest.raises(InputError, match="cannot be read: file name too long"):
        read("x" * 5000)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("petz", r"there is no '.*petz': did you mean '.*pets'\?"),
        ("zzzz", r"there is no '.*zzzz': '.*' has nothing like it"),
        ("pest/train", r"there is no '.*pest': did you mean '.*pets'\?"),
        ("notes.docx", r"notes.docx is of no kind that glassnet reads"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, given: str, message: str) -> None:
    write_folder(tmp_path / "pets", two_classes())
    (tmp_path / "notes.docx").write_text("hello")
    with pytest.raises(InputError, match=message):
        read(tmp_path / given)


def test_a_name_that_nearly_is_a_data_set_comes_before_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no 'cifar-10': did you mean 'cifar10'\?$"):
        read("cifar-10")
    (tmp_path / "digit.csv").write_text("a,target\n1,x\n")
    with pytest.raises(InputError, match=r"there is no 'digit': did you mean 'digits' or 'digit.csv'\?$"):
        read("digit")


def test_copies_used_longest_ago_make_room(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, count_decoding: Callable[[], int]
) -> None:
    monkeypatch.setenv("GLASSNET_CACHE_GB", "1000e-9")  # room for two copies of 432 bytes
    paths = [write_folder(tmp_path / f"d{k}", two_classes()) for k in range(3)]
    for k, path in enumerate(paths):
        (path / "cat" / "0.png").write_bytes(encoded(pixels(900 + k)))
    first = read(paths[0])
    read(paths[1])
    for k, record in enumerate(sorted((fresh / "packed").glob("*.npz"), key=os.path.getmtime)):
        os.utime(record, (k, k))
    read(paths[0])  # used again: now the second is the older one
    read(paths[2])
    assert cache.size() == (2, 864)
    assert count_decoding() == 3
    read(paths[0])
    read(paths[2])
    assert count_decoding() == 3
    np.testing.assert_array_equal(read(paths[1]).X, read(paths[1], cache=False).X)
    assert count_decoding() == 5
    np.testing.assert_array_equal(first.X, read(paths[0], cache=False).X)  # its map outlives the file


def test_a_copy_larger_than_the_limit_stays_alone(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSNET_CACHE_GB", "1e-9")
    read(write_folder(tmp_path / "d", two_classes()))
    assert cache.size() == (1, 432)
    assert cache.make_room(0) == 432
    assert list((fresh / "packed").iterdir()) == []


@pytest.mark.parametrize("wrong", ["ten", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none(
    wrong: str, tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSNET_CACHE_GB", wrong)
    with pytest.raises(InputError, match="must be a number of gigabytes above 0"):
        read(write_folder(tmp_path / "d", two_classes()))
    assert [p for p in fresh.rglob("*") if p.is_file()] == []
