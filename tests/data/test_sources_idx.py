"""MNIST-like IDX files: plain and gzipped, whole sets and pairs, EMNIST's oddities, damaged headers."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.errors import InputError

from .made import write_folder, write_zip


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return (
        struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape)
        + values.astype(np.uint8).tobytes()
    )


def pictures(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 5, 7), np.uint8)


def mnist(zipped: bool = True, stem: str = "") -> dict[str, bytes]:
    ending = ".gz" if zipped else ""
    files = {}
    for part, n in (("train", 6), ("t10k", 4)):
        files[f"{stem}{part}-images-idx3-ubyte{ending}"] = idx(pictures(n, n))
        files[f"{stem}{part}-labels-idx1-ubyte{ending}"] = idx(np.arange(n) % 3)
    return {n: gzip.compress(c) if zipped else c for n, c in files.items()}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_whole_set(tmp_path: Path, zipped: bool) -> None:
    for path in (write_folder(tmp_path / "m", mnist(zipped)), write_zip(tmp_path / "m.zip", mnist(zipped))):
        d = read(path)
        assert d.image == ImageShape(5, 7, 1)
        np.testing.assert_array_equal(d.X, np.concatenate([pictures(6, 6), pictures(4, 4)]).reshape(10, 35))
        assert d.y.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
        assert d.part is not None
        assert d.part.tolist() == [0] * 6 + [2] * 4
        assert d.class_names == ("0", "1", "2")


@pytest.mark.parametrize("given", ["images", "labels"])
def test_one_file_finds_its_other(tmp_path: Path, given: str) -> None:
    write_folder(tmp_path, mnist())
    axes = 3 if given == "images" else 1
    d = read(tmp_path / f"t10k-{given}-idx{axes}-ubyte.gz", class_names=["a", "b", "c"])
    assert len(d) == 4
    assert d.part is None
    assert d.class_names == ("a", "b", "c")


def test_a_change_of_the_other_file_is_seen(tmp_path: Path) -> None:
    write_folder(tmp_path, mnist())
    images = tmp_path / "t10k-images-idx3-ubyte.gz"
    assert read(images).y.tolist() == [0, 1, 2, 0]
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.array([2, 1, 0, 1])))
    assert read(images).y.tolist() == [2, 1, 0, 1]


def test_emnist_has_collections_lies_on_its_side_and_names_characters(tmp_path: Path) -> None:
    files = mnist(stem="emnist-digits-") | {
        f"emnist-letters-{n.removeprefix('emnist-digits-')}": c
        for n, c in mnist(stem="emnist-digits-").items()
    }
    files["emnist-letters-mapping.txt"] = b"0 65\n1 66\n2 67\n"
    files = {n.replace("t10k", "test"): c for n, c in files.items()}
    path = write_folder(tmp_path / "e", files)
    with pytest.raises(
        InputError, match=r"several collections \(emnist-digits, emnist-letters\): choose one"
    ):
        read(path)
    side, upright = read(path, target="emnist-letters"), read(path, target="emnist-letters", transpose=True)
    assert side.class_names == ("A", "B", "C")
    assert side.notes == (
        "EMNIST's pictures lie on their side: transpose=True (--transpose) turns them upright",
    )
    assert upright.image == ImageShape(7, 5, 1)
    assert not upright.notes
    np.testing.assert_array_equal(upright.X.reshape(-1, 7, 5), side.X.reshape(-1, 5, 7).swapaxes(1, 2))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (b"\x89PNG\r\n", r"is no IDX file: it starts with 89 50 4e 47, not with 00 00"),
        (b"", "is empty|starts with nothing"),
        (idx(pictures(6, 6), 0x0D), "holds values of type 0x0d with 3 axes, not of type 0x08"),
        (idx(np.zeros(6)), "holds values of type 0x08 with 1 axes, not of type 0x08 .bytes. with 3"),
        (idx(pictures(6, 6))[:-1], "claims 210 values but holds only 209"),
        (idx(pictures(6, 6)) + b"x", "claims 210 values but holds more"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), r"claims the shape \(2147483648, 2147483648"),
        (idx(pictures(5, 5)), "has 5 pictures but train-labels-idx1-ubyte has 6 labels"),
        (gzip.compress(idx(pictures(6, 6)))[:-20], "cannot be unpacked"),
    ],
)
def test_damaged_files(tmp_path: Path, images: bytes, message: str) -> None:
    path = write_folder(tmp_path / "m", mnist(zipped=False) | {"train-images-idx3-ubyte": images})
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_file_without_its_other(tmp_path: Path) -> None:
    files = mnist()
    del files["t10k-labels-idx1-ubyte.gz"]
    path = write_folder(tmp_path / "m", files)
    with pytest.raises(InputError, match="there is no labels file beside t10k-images"):
        read(path)
    with pytest.raises(InputError, match=r"there is no labels file beside .*t10k-images"):
        read(path / "t10k-images-idx3-ubyte.gz")
