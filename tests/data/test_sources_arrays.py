"""Arrays in memory, npz files, scikit-learn's bundled sets."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.data.sources import tree
from glassnet.data.sources.bundled import BUNDLED
from glassnet.errors import InputError

rng = np.random.default_rng(0)
COLOUR = rng.integers(0, 256, (6, 4, 5, 3), np.uint8)
PLANES = COLOUR.transpose(0, 3, 1, 2).reshape(6, -1)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "X",
    [COLOUR, COLOUR.transpose(0, 3, 1, 2), COLOUR.astype(np.int64), COLOUR.astype(float), COLOUR / 255],
    ids=["channels last", "channels first", "int64", "float", "unit"],
)
def test_pictures_in_every_layout_become_planes(X: np.ndarray) -> None:
    d = read((X, Y))
    assert d.X.dtype == np.uint8
    np.testing.assert_array_equal(d.X, PLANES)
    assert d.image == ImageShape(4, 5, 3)
    np.testing.assert_array_equal(d.pictures(np.arange(6)), COLOUR)


def test_grey_pictures_tables_and_flat_pictures() -> None:
    grey = COLOUR[..., 0]
    assert read((grey, Y)).image == ImageShape(4, 5, 1)
    np.testing.assert_array_equal(read((grey, Y), transpose=True).X.reshape(6, 5, 4), grey.swapaxes(1, 2))
    flat = read((np.zeros((6, 3072), np.uint8), Y))
    assert flat.image == ImageShape(32, 32, 3)
    assert flat.notes == ("3072 uint8 columns were taken as 32x32 colour pictures, plane by plane",)
    for kind in (np.float32, np.float64):
        d = read((np.zeros((6, 4), kind), Y))
        assert d.image is None
        assert d.X.dtype == kind
    assert read((np.full((6, 4), 3, np.int16), Y)).X.dtype == np.float32
    big = read((np.full((6, 4), 2**24 + 1), Y))
    assert big.X[0, 0] == 2**24 + 1


def test_given_splits() -> None:
    d = read(((COLOUR, Y), (COLOUR[:2], Y[:2])))
    assert d.part is not None
    assert d.part.tolist() == [0] * 6 + [2] * 2
    three = read(((COLOUR, Y), (COLOUR[:1], Y[:1]), (COLOUR[:2], Y[:2])))
    assert three.part is not None
    assert three.part.tolist() == [0] * 6 + [1] + [2] * 2
    with pytest.raises(InputError, match=r"rows of different shape, \(4, 5, 3\) and \(4, 5\)"):
        read(((COLOUR, Y), (COLOUR[..., 0], Y)))


@pytest.mark.parametrize(
    ("y", "codes", "names"),
    [
        (["b", "a", "b", "a10", "a9", "a"], [3, 0, 3, 2, 1, 0], ("a", "a9", "a10", "b")),
        ([5, 3, 5, 3, 5, 3], [1, 0, 1, 0, 1, 0], ("3", "5")),
        ([True, False] * 3, [1, 0] * 3, ("False", "True")),
        ([1.0, 2.0] * 3, [0, 1] * 3, ("1", "2")),
        (np.eye(3)[Y], Y.tolist(), ("0", "1", "2")),
        (Y[:, None], Y.tolist(), ("0", "1", "2")),
    ],
)
def test_targets_that_mean_classes(y: object, codes: list[int], names: tuple[str, ...]) -> None:
    d = read((np.zeros((6, 2)), np.asarray(y)))
    assert d.task == "classification"
    assert d.y.tolist() == codes
    assert d.y.dtype == np.int64
    assert d.class_names == names


def test_targets_that_mean_numbers() -> None:
    X = np.zeros((60, 2))
    assert read((X, np.linspace(0, 1, 60))).task == "regression"
    counts = read((X, np.arange(60.0)))
    assert counts.task == "regression"
    assert counts.notes == ("the target has 60 different whole numbers: taken as regression, not as classes",)
    assert read((X, np.arange(60.0)), task="classification").n_classes == 60
    assert read((X, np.arange(60) - 30)).task == "regression"
    assert read((X, np.arange(60) % 2), task="regression").y.tolist() == [0.0, 1.0] * 30
    assert read((X, np.ones((60, 3)))).y.shape == (60, 3)
    assert (
        read((np.zeros((20_000, 1)), np.arange(20_000) % 10_000), task="classification").n_classes == 10_000
    )


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2), r"X has shape \(3, 2\) but y has shape \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0), "no rows|has no rows"),
        (np.zeros((3, 0)), Y[:3], "X has no rows or no columns"),
        (np.array([["a"], ["b"]]), Y[:2], "X holds <U1 values, not numbers"),
        (np.zeros((3, 2)), np.array([1, np.nan, 2]), "the target of row 1 is missing or infinite"),
        (np.zeros((3, 2)), np.array([1, 1, 1]), "has only one class, '1'"),
        (np.zeros((1, 2)), np.array(["a"]), "has only one class, 'a'"),
        (np.full((3, 4, 4), 300), Y[:3], r"value 300 at \(0, 0, 0, 0\) is outside 0..255"),
        (np.full((3, 4, 4), 1.5), Y[:3], "value 1.5 .* is not a whole number"),
        (np.zeros((3, 4, 4, 2)), Y[:3], "neither 1 nor 3 channels"),
        (np.zeros((3, 4, 4, 1, 1)), Y[:3], "X has 5 dimensions"),
        (np.zeros(3), Y[:3], "X has 1 dimensions"),
    ],
)
def test_bad_arrays(X: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read((X, y))


def test_labels_outside_the_given_names_and_options_without_meaning() -> None:
    X = np.zeros((6, 2))
    with pytest.raises(InputError, match=r"label 2 in row 2 is outside 0..1, the codes of a, b"):
        read((X, Y), class_names=["a", "b"])
    with pytest.raises(InputError, match="'c' in row 1 is not one of a, b"):
        read((X[:2], np.array(["a", "c"])), class_names=["a", "b"])
    with pytest.raises(InputError, match=r"size=.* means nothing for arrays"):
        read((X, Y), size=(2, 2))
    with pytest.raises(InputError, match="transpose=True needs pictures"):
        read((X, Y), transpose=True)
    with pytest.raises(InputError, match="regression needs numbers"):
        read((X[:2], np.array(["a", "c"])), task="regression")
    with pytest.raises(InputError, match="unknown task 'rank'"):
        read((X, Y), task="rank")
    with pytest.raises(InputError, match="cannot read a dict"):
        read({"X": X})
    with pytest.raises(InputError, match="unknown class 'd'"):
        read((X, Y), one_vs_rest="d")


def test_the_fingerprint_depends_on_content_only() -> None:
    X = rng.normal(size=(6, 2))
    first = read((X, Y)).fingerprint
    assert first == read((X.copy(), Y.copy()), name="other").fingerprint
    assert first != read((X + 1, Y)).fingerprint
    assert first != read((X, Y[::-1])).fingerprint


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets(name: str) -> None:
    d = read(name)
    assert d.name == name
    assert d.task == ("regression" if name in ("diabetes", "linnerud") else "classification")
    assert np.isfinite(d.X).all()
    if name == "digits":
        assert np.unique(d.X).tolist() == [round(v * 255 / 16) for v in range(17)]
        assert d.class_names == tuple("0123456789")


# --- npz


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_npz_with_parts(tmp_path: Path, names: tuple[str, str]) -> None:
    path = tmp_path / "d.npz"
    arrays = {}
    for part, n in (("train", 6), ("test", 3)):
        arrays |= {names[0].format(part): COLOUR[:n], names[1].format(part): Y[:n]}
    np.savez_compressed(path, **arrays)
    d = read(path)
    assert d.name == "d"
    assert d.part is not None
    assert d.part.tolist() == [0] * 6 + [2] * 3
    np.testing.assert_array_equal(d.X[:6], PLANES)


def test_npz_without_parts(tmp_path: Path) -> None:
    for names in (("X", "y"), ("images", "labels"), ("data", "target")):
        np.savez(tmp_path / "d.npz", **dict(zip(names, (COLOUR, Y), strict=True)))
        assert read(tmp_path / "d.npz").y.tolist() == Y.tolist()


def test_npz_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, X=COLOUR, z=Y)
    with pytest.raises(InputError, match="holds arrays named X, z; needed are X and y"):
        read(path)
    np.savez(path, X=np.array([{"evil": 1}] * 6), y=Y)
    with pytest.raises(InputError, match="holds Python objects"):
        read(path)
    np.savez(path, X=COLOUR, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(InputError, match=r"is no whole .npz file"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00garbage")
        archive.writestr("y.npy", b"")
    with pytest.raises(InputError, match=r"damaged|no whole"):
        read(path)
    monkeypatch.setattr(tree, "_SMALL", 10**6)
    np.savez_compressed(path, X=np.zeros((10_000, 2000), np.uint8), y=np.arange(10_000) % 2)
    with pytest.raises(InputError, match="refused as a zip bomb"):
        read(path)
