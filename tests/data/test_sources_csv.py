"""CSVs of pixels: every form people have them in, and every cell that can be wrong."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.data.sources import delimited
from glassnet.errors import InputError

from .made import write_tar, write_zip

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def table(n: int = 6, n_pixels: int = 64, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(n).integers(0, 256, (n, n_pixels), np.uint8)
    return X, np.arange(n) % n_classes


def csv_of(
    X: np.ndarray, y: np.ndarray, head: str | None, label_first: bool = False, between: str = ","
) -> bytes:
    lines = [] if head is None else [head.replace(",", between)]
    for x, label in zip(X, y, strict=True):
        cells = [str(v) for v in x]
        lines.append(between.join([str(label), *cells] if label_first else [*cells, str(label)]))
    return ("\n".join(lines) + "\n").encode()


def head_of(n_pixels: int = 64, name: str = "pixel_{}", first: int = 0) -> str:
    return ",".join([*(name.format(k) for k in range(first, first + n_pixels)), "label"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def test_the_courseworks_form(file: Path) -> None:
    X, y = table(120, 3072, 10)
    file.write_bytes(csv_of(X, y, head_of(3072)))
    d = read(file)
    np.testing.assert_array_equal(d.X, X)
    assert d.y.tolist() == y.tolist()
    assert d.image == ImageShape(32, 32, 3)
    assert d.class_names == CIFAR10
    assert d.notes == ("labels 0..9 of 32x32 colour pictures were taken as CIFAR-10's classes",)
    airplane = read(file, one_vs_rest="airplane")
    assert airplane.class_names == ("not airplane", "airplane")
    assert airplane.counts().tolist() == [108, 12]
    assert airplane.fingerprint != d.fingerprint


@pytest.mark.parametrize(
    "head",
    [
        head_of(),
        head_of(name="pixel{}"),  # Kaggle's digits
        head_of(name="pixel{}", first=1),  # Kaggle's Fashion-MNIST
        ",".join([*(f"{r}x{c}" for r in range(1, 9) for c in range(1, 9)), "label"]),
        head_of(name="{}"),
        '"' + head_of().replace(",", '","') + '"',
    ],
)
@pytest.mark.parametrize("label_first", [False, True])
def test_headers_of_all_kinds(file: Path, head: str, label_first: bool) -> None:
    X, y = table()
    if label_first:
        names = head.split(",")
        head = ",".join([names[-1], *names[:-1]])
    file.write_bytes(csv_of(X, y, head, label_first))
    d = read(file)
    np.testing.assert_array_equal(d.X, X)
    assert d.y.tolist() == y.tolist()
    assert d.class_names == ("0", "1", "2")
    assert d.image == ImageShape(8, 8, 1)


@pytest.mark.parametrize("label_first", [False, True])
def test_without_header_the_label_is_found_at_either_end(file: Path, label_first: bool) -> None:
    X, y = table(40)
    X[0, [0, -1]] = 255
    file.write_bytes(csv_of(X, y, None, label_first))
    d = read(file)
    np.testing.assert_array_equal(d.X, X)
    assert d.y.tolist() == y.tolist()


def test_without_header_and_in_doubt_the_label_must_be_said(file: Path) -> None:
    X, y = table(10)
    X[:, 0] = np.arange(10)  # could be labels too
    file.write_bytes(csv_of(X, y, None))
    with pytest.raises(InputError, match=r"first or last\? Say target=0 or target=-1"):
        read(file)
    np.testing.assert_array_equal(read(file, target=-1).X, X)
    assert read(file, target=0).y.tolist() == list(range(10))
    with pytest.raises(InputError, match="has 65 columns: target=65 is none of them"):
        read(file, target=65)


def test_text_labels_tabs_quotes_bom_and_compression(tmp_path: Path) -> None:
    X, y = table()
    names = np.array(["cat", "dog", "eel"])[y]
    content = b"\xef\xbb\xbf" + csv_of(X, names, head_of(), between="\t")
    (tmp_path / "a.tsv").write_bytes(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv_of(X, names, head_of()).replace(b"\n", b"\r\n")))
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside/a.csv", csv_of(X, names, None))
    for path in sorted(tmp_path.iterdir()):
        d = read(path)
        assert d.class_names == ("cat", "dog", "eel")
        np.testing.assert_array_equal(d.X, X)
    assert read(tmp_path / "a.tsv", class_names=["eel", "dog", "cat"]).y.tolist() == [2, 1, 0] * 2


def test_several_csvs_in_an_archive_must_be_unpacked(tmp_path: Path) -> None:
    content = csv_of(*table(), head_of())
    for path in (
        write_zip(tmp_path / "two.zip", {"a.csv": content, "b.csv": content}),
        write_tar(tmp_path / "one.tar", {"a.csv": content}, "w:"),
    ):
        with pytest.raises(InputError, match=r"CSV files \(a.csv ...\): unpack it and give the folder"):
            read(path)


def test_pixel_columns_in_any_order_and_others_left_out(file: Path) -> None:
    X, y = table()
    order = np.random.default_rng(0).permutation(64)
    head = ",".join([*(f"pixel_{k}" for k in order), "id", "label"])
    lines = [",".join([*(str(v) for v in x[order]), "n7", str(label)]) for x, label in zip(X, y, strict=True)]
    file.write_text("\n".join([head, *lines]))
    d = read(file)
    np.testing.assert_array_equal(d.X, X)
    assert d.notes == ("columns left out, neither pixels nor label: id",)


def test_transposed_pictures(file: Path) -> None:
    X, y = table()
    file.write_bytes(csv_of(X, y, head_of()))
    np.testing.assert_array_equal(
        read(file, transpose=True).X.reshape(-1, 8, 8), X.reshape(-1, 8, 8).swapaxes(1, 2)
    )


def test_many_blocks_give_the_same_as_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table(50)
    file.write_bytes(csv_of(X, y, head_of()))
    whole = read(file, cache=False)
    monkeypatch.setattr(delimited, "_BLOCK", 700)
    parts = read(file, cache=False)
    np.testing.assert_array_equal(whole.X, parts.X)
    assert whole.fingerprint == parts.fingerprint


def test_a_folder_of_train_and_test(tmp_path: Path) -> None:
    X, y = table()
    (tmp_path / "mnist_train.csv").write_bytes(csv_of(X, y, head_of()))
    (tmp_path / "mnist_test.csv").write_bytes(csv_of(X[:3], y[:3], head_of()))
    d = read(tmp_path)
    assert d.part is not None
    assert d.part.tolist() == [0] * 6 + [2] * 3
    unlabelled = head_of().removesuffix(",label").encode() + b"\n" + b",".join([b"1"] * 64) + b"\n"
    (tmp_path / "mnist_test.csv").write_bytes(unlabelled)
    d = read(tmp_path)
    assert d.part is None
    assert d.notes == ("mnist_test.csv has no label column and was left out",)


def test_empty_lines_are_no_rows(file: Path) -> None:
    X, y = table(12)
    lines = csv_of(X, y, head_of()).splitlines()
    file.write_bytes(b"\n".join([*lines[:4], b"", b"", *lines[4:], b"", b"", b""]))
    np.testing.assert_array_equal(read(file).X, X)
    lines[9] = lines[9].replace(b",", b",x", 1)
    file.write_bytes(b"\n".join([*lines[:4], b"", b"", *lines[4:]]))
    with pytest.raises(InputError, match="line 12, column 'pixel_1' holds 'x"):
        read(file)


def test_whole_numbers_written_with_a_point(file: Path) -> None:
    X, y = table()
    file.write_bytes(csv_of(X.astype(float), y.astype(float), head_of()))
    d = read(file)
    np.testing.assert_array_equal(d.X, X)
    assert d.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("abc", "holds 'abc', which is no number"),
        ("", "is empty"),
        ("256", "holds 256: pixels must be whole numbers from 0 to 255"),
        ("-1", "holds -1: pixels must be"),
        ("3.5", "holds 3.5: pixels must be"),
        ("nan", "holds nan: pixels must be"),
    ],
)
@pytest.mark.parametrize("block", [700, 10**6])
def test_a_bad_cell_is_named_by_line_and_column(
    file: Path, cell: str, what: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK", block)
    X, y = table(12)
    cells = X.astype(object)
    cells[7, 5] = cell
    file.write_bytes(csv_of(cells, y, head_of()))
    with pytest.raises(InputError, match=f"line 9, column 'pixel_5' {what}"):
        read(file)


def test_bad_labels(file: Path) -> None:
    X, y = table(120, 3072, 10)
    y[50] = 57
    file.write_bytes(csv_of(X, y, head_of(3072)))
    with pytest.raises(InputError, match=r"label 57 in row 50 is outside 0..9, the codes of airplane"):
        read(file)
    X, y = table()
    for bad, message in ((-1, "label -1 in row 2 is no class"), (0.5, "label 0.5 in row 2 is no class")):
        labels = y.astype(object)
        labels[2] = bad
        file.write_bytes(csv_of(X, labels, head_of()))
        with pytest.raises(InputError, match=message):
            read(file)
    file.write_bytes(csv_of(X, y, head_of()))
    with pytest.raises(InputError, match=r"label 2 in row 2 is outside 0..1, the codes of a, b"):
        read(file, class_names=["a", "b"])
    file.write_bytes(csv_of(X, [1] * 6, head_of()))
    with pytest.raises(InputError, match="has only one class, '1'"):
        read(file)
    file.write_bytes(csv_of(X, ["", *y[1:]], head_of()))
    with pytest.raises(InputError, match="line 2, column 'label' is empty"):
        read(file)


def test_bad_columns(file: Path) -> None:
    X, y = table()
    pixels = head_of().removesuffix(",label")
    file.write_bytes(pixels.encode() + b"\n" + b",".join([b"1"] * 64) + b"\n")
    with pytest.raises(
        InputError, match="has no label column: all 64 columns are pixels; add one named 'label'"
    ):
        read(file)
    file.write_bytes(csv_of(X, y, head_of()))
    with pytest.raises(InputError, match=r"unknown label column .* 'lable': did you mean 'label'"):
        read(file, target="lable")
    file.write_bytes(csv_of(X, y, pixels + ",kind"))
    assert len(read(file, target="kind")) == 6
    two = pixels + ",kind,sort"
    file.write_bytes(csv_of(np.column_stack([X, y]), y, two))
    with pytest.raises(InputError, match=r"which column is the label, kind, sort\? Say target="):
        read(file)
    file.write_bytes(csv_of(X, y, head_of().replace("pixel_7,", "pixel_6,")))
    with pytest.raises(InputError, match="has 2 columns named 'pixel_6': rename them"):
        read(file)
    wide, y = table(4, 70)
    file.write_bytes(csv_of(wide, y, head_of(70)))
    with pytest.raises(InputError, match="has 70 pixel columns, which make no square picture"):
        read(file)
    file.write_bytes(csv_of(wide[:, :64], y, head_of(65).replace("pixel_30,", "")))
    with pytest.raises(InputError, match=r"no pixel 30 between 29 and 31: the pictures are not whole"):
        read(file)


def test_a_line_with_too_many_or_too_few_cells(file: Path) -> None:
    X, y = table(12)
    lines = csv_of(X, y, head_of()).splitlines()
    lines[4] += b",9"
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="line 5 has 66 cells instead of 65"):
        read(file)
    lines[4] = b"1,2,3"
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="line 5 has 3 cells instead of 65"):
        read(file)


def test_files_that_are_no_csv(tmp_path: Path) -> None:
    for content, message in (
        (head_of().encode(), "has a header but no rows"),
        (csv_of(*table(), head_of()).decode().encode("utf-16"), "encoded as UTF-16: save it as UTF-8"),
        (b"a\0b\0c", "holds binary data, not text"),
        (b"\n\n", "the first line is empty"),
        (
            "größe,pixel".encode("latin1"),
            "line 1 is not UTF-8 .byte 0xf6 at position 2.: save the file as UTF-8",
        ),
        (b"", "is empty .0 bytes."),
    ):
        file = tmp_path / "x.csv"
        file.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read(file)
    file = tmp_path / "x.csv.gz"
    file.write_bytes(gzip.compress(csv_of(*table(1000), head_of()))[:-100])
    with pytest.raises(InputError, match=r"cannot be unpacked .*copy or download it again"):
        read(file)


def test_one_row_and_ten_thousand_classes(file: Path) -> None:
    X, y = table(1)
    file.write_bytes(csv_of(X, y, head_of()))
    with pytest.raises(InputError, match="only one class"):
        read(file)
    X = np.zeros((20_000, 64), np.uint8)
    file.write_bytes(csv_of(X, np.arange(20_000) // 2, head_of()))
    d = read(file)
    assert d.n_classes == 10_000
    assert set(d.counts().tolist()) == {2}
