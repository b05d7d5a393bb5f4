"""CIFAR's own files: four versions, folder and archive, and pickles that want to run code."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.data.sources.unpickle import load_arrays
from glassnet.errors import InputError

from .made import write_folder, write_tar

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FINE, COARSE = [f"fine{k}" for k in range(4)], ["big", "small"]


def images(seed: int, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), np.uint8)


def as_bytes(strings: list[str]) -> list[bytes]:
    return [s.encode() for s in strings]


def python10(protocol: int = 2) -> dict[str, bytes]:
    files = {"batches.meta": {b"label_names": as_bytes(NAMES), b"num_vis": 3072}}
    for k, name in enumerate(
        ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
    ):
        labels = [int(v) for v in (np.arange(5) + k) % 10]
        files[name] = {b"data": images(k), b"labels": labels, b"batch_label": b"training"}
    files["test_batch"] = {b"data": images(9), b"labels": [9, 8, 7, 6, 5]}
    return {f"cifar-10-batches-py/{n}": pickle.dumps(c, protocol) for n, c in files.items()}


def binary10() -> dict[str, bytes]:
    files = {"batches.meta.txt": "\n".join([*NAMES, ""]).encode(), "readme.html": b"hello"}
    for k in range(5):
        labels = ((np.arange(5) + k) % 10).astype(np.uint8)
        files[f"data_batch_{k + 1}.bin"] = np.column_stack([labels, images(k)]).tobytes()
    files["test_batch.bin"] = np.column_stack([np.arange(9, 4, -1, np.uint8), images(9)]).tobytes()
    return {f"cifar-10-batches-bin/{n}": c for n, c in files.items()}


def python100() -> dict[str, bytes]:
    meta = {b"fine_label_names": as_bytes(FINE), b"coarse_label_names": as_bytes(COARSE)}
    files = {"meta": meta}
    for name, seed in (("train", 0), ("test", 9)):
        files[name] = {
            b"data": images(seed),
            b"fine_labels": [0, 1, 2, 3, 0],
            b"coarse_labels": [0, 0, 1, 1, 0],
        }
    return {f"cifar-100-python/{n}": pickle.dumps(c, 2) for n, c in files.items()}


def binary100() -> dict[str, bytes]:
    files = {
        "fine_label_names.txt": "\n".join(FINE).encode(),
        "coarse_label_names.txt": "\n".join(COARSE).encode(),
    }
    for name, seed in (("train.bin", 0), ("test.bin", 9)):
        labels = np.array([[0, 0], [0, 1], [1, 2], [1, 3], [0, 0]], np.uint8)
        files[name] = np.column_stack([labels, images(seed)]).tobytes()
    return {f"cifar-100-binary/{n}": c for n, c in files.items()}


@pytest.mark.parametrize(
    "files", [python10(), python10(pickle.HIGHEST_PROTOCOL), binary10()], ids=["py", "py5", "bin"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(tmp_path: Path, files: dict[str, bytes], packed: bool) -> None:
    path = write_tar(tmp_path / "c.tar.gz", files) if packed else write_folder(tmp_path / "c", files)
    d = read(path)
    assert d.image == ImageShape(32, 32, 3)
    assert d.class_names == tuple(NAMES)
    assert d.part is not None
    assert d.part.tolist() == [0] * 25 + [2] * 5
    np.testing.assert_array_equal(d.X, np.concatenate([images(k) for k in (0, 1, 2, 3, 4, 9)]))
    assert d.y.tolist() == [(j + k) % 10 for k in range(5) for j in range(5)] + [9, 8, 7, 6, 5]


@pytest.mark.parametrize("files", [python100(), binary100()], ids=["py", "bin"])
def test_cifar100_with_fine_or_coarse_labels(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_folder(tmp_path / "c", files)
    fine, coarse = read(path), read(path, target="coarse")
    assert fine.class_names == tuple(FINE)
    assert fine.y.tolist() == [0, 1, 2, 3, 0] * 2
    assert coarse.class_names == tuple(COARSE)
    assert coarse.y.tolist() == [0, 0, 1, 1, 0] * 2
    np.testing.assert_array_equal(fine.X, np.concatenate([images(0), images(9)]))
    with pytest.raises(InputError, match="did you mean 'coarse'"):
        read(path, target="coarce")


def test_missing_batches_are_noted(tmp_path: Path) -> None:
    files = python10()
    d = read(
        write_folder(
            tmp_path / "c", {n: files[n] for n in files if n.endswith(("batch_1", "batch_3", "meta"))}
        )
    )
    assert len(d) == 10
    assert d.part is None
    assert d.notes == ("not there: data_batch_2, data_batch_4, data_batch_5, test_batch",)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo hacked > hacked",)


class EvilLater:
    """A function of NumPy, from whose modules arrays are admitted."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return np.load, ("hacked.npy",)


@pytest.mark.parametrize("evil", [Evil(), EvilLater()])
def test_pickles_never_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: object) -> None:
    monkeypatch.chdir(tmp_path)
    files = python10()
    files["cifar-10-batches-py/data_batch_2"] = pickle.dumps({b"data": images(1), b"labels": evil})
    with pytest.raises(InputError, match=r"data_batch_2: this pickle asks for .*: only arrays are admitted"):
        read(write_folder(tmp_path / "c", files))
    assert not (tmp_path / "hacked").exists()


def test_pickles_as_python_2_wrote_them() -> None:
    # opcode by opcode as in the published files: U and T are Python 2's strings, which are bytes today
    data = images(0, 2)
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    values = b"T" + struct.pack("<I", data.size) + data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    state = b"(K\x01K\x02M\x00\x0c\x86" + dtype + b"\x89" + values + b"tb"
    batch = load_arrays(b"\x80\x02}(U\x04data" + array + state + b"U\x06labels](K\x07K\x08eu.", "old")
    np.testing.assert_array_equal(batch["data"], data)
    assert batch["labels"] == [7, 8]


def test_a_pickle_cannot_claim_memory_it_does_not_bring() -> None:
    # numpy.core.multiarray._reconstruct(numpy.ndarray, (10**15,), b"b")
    claim = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000000\ntU\x01btR"
    content = b"(dU\x04data" + claim + b"s."
    assert load_arrays(content, "claim")["data"].size == 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (b"not a pickle", "is no CIFAR batch, or a damaged one"),
        (pickle.dumps([1, 2]), "it holds a list, not a dictionary"),
        (pickle.dumps({b"data": 1, b"labels": []}), "holds no array of pixels"),
        (pickle.dumps({b"data": images(0)[:, :3071], b"labels": [0] * 5}), "has 3071 pixel values per image"),
        (
            pickle.dumps({b"data": images(0), b"labels": [0] * 4}),
            "does not have one label for each of its 5 images",
        ),
        (
            pickle.dumps({b"data": images(0), b"labels": [0, 1, 2, 3, 10]}),
            r"label 10 in row 4 is outside 0..9",
        ),
        (pickle.dumps({b"data": images(0), b"labels": [b"x"] * 5}), "has labels that are no numbers"),
    ],
)
def test_bad_python_batches(tmp_path: Path, batch: bytes, message: str) -> None:
    files = python10() | {"cifar-10-batches-py/data_batch_4": batch}
    with pytest.raises(InputError, match=rf"data_batch_4.* {message}|data_batch_4: {message}"):
        read(write_folder(tmp_path / "c", files))


def test_bad_binary_batches(tmp_path: Path) -> None:
    files = binary10()
    cut = {"cifar-10-batches-bin/data_batch_2.bin": files["cifar-10-batches-bin/data_batch_2.bin"][:-1]}
    with pytest.raises(InputError, match=r"has 15364 bytes, not a multiple of 3073 .*: it is cut off"):
        read(write_folder(tmp_path / "cut", files | cut))
    wrong = {"cifar-10-batches-bin/test_batch.bin": b"\x0a" * 3073}
    with pytest.raises(InputError, match=r"test_batch.bin: label 10 in row 0 is outside 0..9"):
        read(write_folder(tmp_path / "wrong", files | wrong))
