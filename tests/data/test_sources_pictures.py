"""Pictures in class folders: every layout, every kind of picture, everything that can be wrong with them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.data.sources import pictures, tree
from glassnet.errors import InputError

from .made import encoded, pixels, row, two_classes, write_folder, write_tar, write_zip


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("prefix", ["", "train/", "a/b/"])
def test_class_folders_in_every_container(tmp_path: Path, form: str, prefix: str) -> None:
    files = {prefix + name: content for name, content in two_classes().items()}
    files = dict(reversed(files.items()))  # the order of an archive's members must not matter
    if form == "folder":
        path = write_folder(tmp_path / "pets", files)
    elif form == "zip":
        path = write_zip(tmp_path / "pets.zip", files)
    else:
        path = write_tar(tmp_path / f"pets.{form}", files, "w:" + form[4:])
    d = read(path)
    assert d.class_names == ("cat", "dog")
    assert d.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert d.y.dtype == np.int64
    assert d.image == ImageShape(4, 6, 3)
    assert d.part is None
    assert d.name == "pets"
    for k, seed in enumerate((0, 1, 2, 100, 101, 102)):
        np.testing.assert_array_equal(d.X[k], row(pixels(seed)))
    np.testing.assert_array_equal(d.pictures(np.array([4]))[0], pixels(101))


def test_rows_are_in_natural_order_of_classes_and_files(tmp_path: Path) -> None:
    names = ["10/2.png", "9/10.png", "9/9.png", "10/1.png"]
    path = write_folder(tmp_path / "d", {n: encoded(pixels(k)) for k, n in enumerate(names)})
    d = read(path)
    assert d.class_names == ("9", "10")
    for place, seed in enumerate((2, 1, 3, 0)):
        np.testing.assert_array_equal(d.X[place], row(pixels(seed)))


def test_train_val_test_folders_give_the_part(tmp_path: Path) -> None:
    files = {f"{p}/{n}": c for p in ("Test", "train", "val") for n, c in two_classes(1).items()}
    d = read(write_folder(tmp_path / "d", files))
    assert d.part is not None
    assert d.part.tolist() == [0, 0, 1, 1, 2, 2]
    assert d.y.tolist() == [0, 1] * 3


def test_unlabelled_test_pictures_and_clutter_are_left_out_and_counted(tmp_path: Path) -> None:
    files = {f"train/{n}": c for n, c in two_classes().items()}
    files |= {"test/1.png": encoded(pixels(7)), "test/2.png": encoded(pixels(8))}
    files |= {
        "__MACOSX/train/cat/._0.png": b"junk",
        "train/cat/.DS_Store": b"junk",
        "train/cat/notes.txt": b"hi",
    }
    d = read(write_zip(tmp_path / "d.zip", files))
    assert len(d) == 6
    assert d.notes == ("2 pictures in test/ have no class folder and were left out",)


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    files = {
        "cat/indoor/1.png": encoded(pixels(1)),
        "cat/2.png": encoded(pixels(2)),
        "dog/1.png": encoded(pixels(3)),
    }
    assert read(write_folder(tmp_path / "d", files)).counts().tolist() == [2, 1]


def test_class_names_give_the_order_and_must_match(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    assert read(path, class_names=["dog", "cat"]).y.tolist() == [0, 0, 0, 1, 1, 1]
    assert read(path, class_names=["dog", "cat"]).class_names == ("dog", "cat")
    with pytest.raises(InputError, match="there is no folder 'cow'"):
        read(path, class_names=["dog", "cat", "cow"])


def _with(tmp_path: Path, picture: bytes, **options: object) -> np.ndarray:
    """The picture read as the first of class "a", beside a grey one of class "b"; as it looks."""
    with Image.open(io.BytesIO(picture)) as p:
        size = p.size
    files = {"a/1.png": picture, "b/1.png": encoded(np.zeros(size[::-1], np.uint8))}
    d = read(write_folder(tmp_path / "d", files), **options)
    return d.pictures(np.array([0]))[0]


def test_grey_pictures_stay_one_plane(tmp_path: Path) -> None:
    grey = pixels(1, channels=1)
    np.testing.assert_array_equal(_with(tmp_path, encoded(grey))[:, :, 0], grey)
    assert _with(tmp_path, encoded(grey)).shape == (4, 6, 1)


def test_a_colour_picture_among_grey_ones_gives_all_of_them_three_planes(tmp_path: Path) -> None:
    grey, colour = pixels(1, channels=1), pixels(2)
    d = read(write_folder(tmp_path / "d", {"a/1.png": encoded(grey), "b/1.png": encoded(colour)}))
    assert d.image == ImageShape(4, 6, 3)
    np.testing.assert_array_equal(d.X[0], np.tile(grey.reshape(-1), 3))
    np.testing.assert_array_equal(d.X[1], row(colour))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 4), np.uint8)
    picture[:, :3] = (10, 20, 30, 255)
    picture[:, 3:] = (10, 20, 30, 0)
    seen = _with(tmp_path, encoded(picture))
    assert seen[0, 0].tolist() == [10, 20, 30]
    assert seen[0, 5].tolist() == [255, 255, 255]
    d = read(tmp_path / "d")
    assert d.notes == ("1 pictures with transparency were laid on white",)


def test_palette_sixteen_bit_and_one_bit_pictures(tmp_path: Path) -> None:
    colour = pixels(3)
    palette = Image.fromarray(colour).quantize(24)  # 24 pixels: no colour is lost
    np.testing.assert_array_equal(_with(tmp_path / "p", encoded(palette)), colour)
    deep = np.array([[0, 255, 256, 65535]] * 4, np.uint16)
    assert _with(tmp_path / "d", encoded(Image.fromarray(deep)))[0, :, 0].tolist() == [0, 0, 1, 255]
    bits = np.array([[True, False]] * 3)
    assert _with(tmp_path / "b", encoded(Image.fromarray(bits)))[0, :, 0].tolist() == [255, 0]


def test_camera_orientation_is_undone(tmp_path: Path) -> None:
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # "the camera was turned": show it rotated by 90 degrees clockwise
    out = io.BytesIO()
    Image.fromarray(np.rot90(upright)).save(out, "PNG", exif=exif)
    files = {"a/1.png": out.getvalue(), "b/1.png": encoded(upright)}
    d = read(write_folder(tmp_path / "d", files))
    np.testing.assert_array_equal(d.X[0], d.X[1])


def test_unequal_sizes_are_refused_by_name_or_resized(tmp_path: Path) -> None:
    files = two_classes() | {"dog/1.png": encoded(pixels(5, 8, 9))}
    path = write_folder(tmp_path / "d", files)
    with pytest.raises(InputError, match=r"cat/0.png is 6x4, dog/1.png is 9x8, .*size="):
        read(path)
    d = read(path, size=(5, 7))
    assert d.image == ImageShape(5, 7, 3)
    flat = write_folder(
        tmp_path / "flat", {"a/1.png": encoded(np.full((40, 30, 3), 77, np.uint8))} | two_classes()
    )
    assert set(read(flat, size=(8, 8)).X[0].tolist()) == {77}


def test_corrupt_pictures_are_named_and_counted_or_skipped(tmp_path: Path) -> None:
    files = two_classes(5)
    files["cat/1.png"] = files["cat/1.png"][:50]
    files["dog/2.png"] = b"this is no picture"
    path = write_folder(tmp_path / "d", files)
    with pytest.raises(
        InputError, match=r"2 of 10 pictures cannot be decoded \(cat/1.png, dog/2.png; .*skip_corrupt"
    ):
        read(path)
    d = read(path, skip_corrupt=True)
    assert d.counts().tolist() == [4, 4]
    assert d.notes == ("2 of 10 pictures are corrupt and were skipped (cat/1.png, dog/2.png)",)
    np.testing.assert_array_equal(d.X[1], row(pixels(2)))


def test_a_cut_off_jpeg_is_corrupt_too(tmp_path: Path) -> None:
    whole = encoded(pixels(1, 32, 32), "JPEG")
    files = {f"{c}/{k}.jpg": whole for c in "ab" for k in range(3)} | {"a/0.jpg": whole[: len(whole) // 2]}
    with pytest.raises(InputError, match=r"1 of 6 pictures cannot be decoded \(a/0.jpg"):
        read(write_folder(tmp_path / "d", files))


def test_all_pictures_of_a_class_corrupt(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes(1) | {"dog/0.png": b"x"})
    with pytest.raises(InputError, match="no picture of class 'dog' can be decoded"):
        read(path, skip_corrupt=True)
    nothing = write_folder(tmp_path / "e", {"cat/0.png": b"x", "dog/0.png": b"x"})
    with pytest.raises(InputError, match="none of its 2 pictures can be decoded"):
        read(nothing, skip_corrupt=True)


def test_several_processes_give_the_same_rows_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "d", two_classes(20))
    one = read(path, cache=False)
    monkeypatch.setattr(pictures, "_PARALLEL_FROM", 1)
    monkeypatch.setattr(pictures, "_CHUNK", 3)
    several = read(path, cache=False)
    np.testing.assert_array_equal(one.X, several.X)
    assert one.fingerprint == several.fingerprint


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no pictures .it is empty."),
        ({"a/readme.md": b"hello", "b/x.md": b""}, r"holds no pictures \(it holds 2 .md\)"),
        ({"cat/1.png": b"", "cat/2.png": b""}, "only one class, 'cat'"),
        ({"train/cat/1.png": b"", "test/cat/2.png": b""}, "only one class, 'cat'"),
        ({"1.png": b"", "2.png": b""}, "2 pictures are not in class folders"),
        ({"train/cat/1.png": b"", "dog/1.png": b""}, "use one layout"),
    ],
)
def test_layouts_that_give_no_classes(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    (tmp_path / "d").mkdir()
    for path in (write_folder(tmp_path / "d", files), write_zip(tmp_path / "d.zip", files)):
        with pytest.raises(InputError, match=message):
            read(path)


def test_a_single_picture_is_no_data_set(tmp_path: Path) -> None:
    path = write_folder(tmp_path, {"cat.png": encoded(pixels(1))}) / "cat.png"
    with pytest.raises(InputError, match="single picture: give the folder"):
        read(path)


def test_an_absurdly_large_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_MAX_PIXELS", 1000)
    path = write_folder(tmp_path / "d", two_classes() | {"cat/1.png": encoded(pixels(1, 100, 100))})
    with pytest.raises(InputError, match=r"cat/1.png has 100x100 pixels: refused"):
        read(path, skip_corrupt=True)


def test_absurdly_many_pixels_are_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_MOST_BYTES", 6 * 4 * 6 * 3 - 1)
    path = write_folder(tmp_path / "d", two_classes())
    with pytest.raises(InputError, match=r"6 pictures of 6x4 .* make them smaller with size="):
        read(path, cache=False)
    assert len(read(path, cache=False, size=(2, 2))) == 6


# --- archives


def test_truncated_archives(tmp_path: Path) -> None:
    for path in (
        write_zip(tmp_path / "d.zip", two_classes()),
        write_tar(tmp_path / "d.tar.gz", two_classes()),
        write_tar(tmp_path / "d.tar", two_classes(), "w:"),
    ):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match="copy or download it again"):
            read(path)


def test_damage_inside_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", two_classes())
    content = bytearray(path.read_bytes())
    content[60:70] = b"0123456789"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cat/0.png cannot be unpacked"):
        read(path)


def test_paths_that_leave_the_archive_are_refused(tmp_path: Path) -> None:
    for name in ("../evil/1.png", "/etc/1.png", "C:/x/1.png", "a\\..\\..\\1.png"):
        with pytest.raises(InputError, match="points outside the archive"):
            read(write_zip(tmp_path / "d.zip", two_classes() | {name: b""}))
        with pytest.raises(InputError, match="points outside the archive"):
            read(write_tar(tmp_path / "d.tar", two_classes() | {name: b""}, "w:"))


def test_links_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "d.tar", two_classes(), "w:")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("cat/9.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert len(read(path)) == 6


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(tree, "_SMALL", 10**6)
    bomb = two_classes() | {"cat/9.png": bytes(20_000_000)}
    path = tmp_path / f"d.{form}"
    write_zip(path, bomb) if form == "zip" else write_tar(path, bomb)
    with pytest.raises(InputError, match="refused as a zip bomb"):
        read(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", two_classes(1))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1  # the flag "encrypted" of the first member
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].flag_bits & 1
    with pytest.raises(InputError, match="is encrypted: unpack it"):
        read(path)


def test_options_that_mean_nothing_here_are_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "d", two_classes())
    with pytest.raises(InputError, match=r"target='label' means nothing for pictures in class folders"):
        read(path, target="label")
    with pytest.raises(InputError, match=r"size=.* must be"):
        read(path, size=(0, 3))


def test_all_pictures_of_cifar10(cifar10_zip: Path) -> None:
    d = read(cifar10_zip)
    assert d.X.shape == (50_000, 3072)
    assert d.counts().tolist() == [5000] * 10
    assert d.class_names == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    with zipfile.ZipFile(cifar10_zip) as archive:
        for at, name in ((0, "airplane/0000"), (5000 * 3 + 17, "cat/0017"), (49_999, "truck/4999")):
            with Image.open(io.BytesIO(archive.read(f"train/{name}.jpg"))) as picture:
                np.testing.assert_array_equal(d.pictures(np.array([at]))[0], np.asarray(picture))
