"""Sources that cannot be read: one line, exit code 1, nothing written, whatever is wrong with them."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from glassnet.cli import main

PIXELS = ",".join(f"pixel_{k}" for k in range(64))


def png(size: tuple[int, int] = (8, 8), level: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (level, 9, 9)).save(out, "PNG")
    return out.getvalue()


def zipped(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def foldered(path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def cut_tar(path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for k in range(20):
            member = tarfile.TarInfo(f"c{k % 2}/{k}.png")
            member.size = 5000
            archive.addfile(member, io.BytesIO(os.urandom(5000)))
    path.write_bytes(out.getvalue()[:40_000])


def cut_parquet(path: Path) -> None:
    pl.DataFrame({"a": range(50), "target": ["x", "y"] * 25}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(2_000_000))
    # the size that the archive's list claims, which is believed before anything is unpacked
    content, size = path.read_bytes(), (2_000_000).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (4_000_000_000).to_bytes(4, "little")))


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch evil",)


def idx(path: Path, magic: bytes) -> None:
    counts = (100).to_bytes(4, "big")
    images = magic + b"\x08\x03" + counts + (28).to_bytes(4, "big") * 2 + bytes(1000)
    foldered(path, {"train-images-idx3-ubyte": images})
    foldered(path, {"train-labels-idx1-ubyte": b"\0\0\x08\x01" + counts + bytes(100)})


TWO = {"cat/1.png": png(), "dog/1.png": png(level=90)}
SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nowhere.zip": (lambda p: None, "there is no"),
    "empty.csv": (lambda p: p.touch(), "is empty (0 bytes)"),
    "empty.zip": (zipped, "holds no pictures (it is empty)"),
    "text.zip": (
        lambda p: zipped(p, **{"readme.txt": b"hello\n"}),
        "holds no table: its first line, 'hello'",
    ),
    "cut.zip": (
        lambda p: (zipped(p, **TWO), p.write_bytes(p.read_bytes()[:-30])),
        "is not a whole zip file",
    ),
    "cut.tar.gz": (cut_tar, "cannot be unpacked"),
    "cut.csv.gz": (lambda p: p.write_bytes(gzip.compress(os.urandom(9000))[:-50]), "cannot be unpacked"),
    "cut.parquet": (cut_parquet, "is no whole parquet file"),
    "cut-idx": (lambda p: idx(p, b"\0\0"), "claims 78400 values but holds only 1000"),
    "magic": (lambda p: idx(p, b"\7\7"), "is no IDX file: it starts with 07 07"),
    "bomb.zip": (bomb, "refused as a zip bomb"),
    "escape.zip": (lambda p: zipped(p, **{"../../a.png": png()}), "points outside the archive"),
    "cifar-10-batches-py": (
        lambda p: foldered(p, {f"data_batch_{k}": pickle.dumps(Evil()) for k in range(1, 6)}),
        "only arrays are admitted, nothing was run",
    ),
    "objects.npz": (
        lambda p: np.savez(p, X=np.array([Evil()], dtype=object), y=np.array([1])),
        "pickled code could run",
    ),
    "empty-folder": (lambda p: p.mkdir(), "holds no pictures (it is empty)"),
    "one-class": (lambda p: foldered(p, {"cat/1.png": png()}), "has only one class, 'cat'"),
    "sizes": (lambda p: foldered(p, {**TWO, "dog/2.png": png((9, 9))}), "pictures differ in size"),
    "corrupt": (
        lambda p: foldered(p, {**TWO, "dog/2.png": b"?", "dog/3.png": png()}),
        "1 of 4 pictures cannot be decoded (dog/2.png;",
    ),
    "twice.csv": (lambda p: p.write_text("a,a,target\n1,2,x\n"), "has 2 columns named 'a'"),
    "no-rows.csv": (lambda p: p.write_text("a,b,target\n"), "has a header but no rows"),
    "one-row.csv": (lambda p: p.write_text("a,b,target\n1,2,x\n"), "has only one class, 'x'"),
    "mixed.csv": (
        lambda p: p.write_bytes("a,target\n1,é\n".encode() + "2,é\n".encode("latin1")),
        "line 3 is not UTF-8",
    ),
    "wide.csv": (lambda p: p.write_bytes("a,target\n1,x\n".encode("utf-16")), "is encoded as UTF-16"),
    "no-label.csv": (lambda p: p.write_text(f"{PIXELS}\n{'1,' * 63}1\n"), "has no label column"),
    "text.csv": (
        lambda p: p.write_text(f"{PIXELS},label\n{'1,' * 64}cat\n{'x,' * 64}dog\n"),
        "line 3, column 'pixel_0' holds 'x'",
    ),
    "short.csv": (lambda p: p.write_text(f"{PIXELS},label\n{'1,' * 60}1\n"), "has 61 cells instead of 65"),
    "bright.csv": (lambda p: p.write_text(f"{PIXELS},label\n{'300,' * 64}1\n"), "pixel_0' holds 300"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_cannot_be_read_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make, said = SOURCES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(tmp_path / "cache"))
    make(Path(name))
    assert main(["check", name, "--html", "page.html"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.endswith(" s")]  # progress ends with its time
    assert line.startswith("glassnet: ")
    assert name.removesuffix("-folder") in line
    assert said in line
    left = {p.name for p in tmp_path.iterdir() if p.name != "cache"}
    assert left <= {name}
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "8y8"], "'8y8' is no size: write HEIGHTxWIDTH in pixels, such as 32x32"),
        (["--html", "nowhere/page.html"], "the folder nowhere does not exist"),
        (["--task", "clasification"], "unknown task 'clasification': did you mean 'classification'?"),
        (["--drop", "width"], "means nothing for scikit-learn's digits"),
        (["--size", "8x8"], "means nothing for scikit-learn's digits"),
        (["--one-vs-rest", "seven"], "unknown class 'seven'"),
    ],
)
def test_options_that_do_not_fit(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["check", "digits", *options]) in (1, 2)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_what_the_reader_offers_the_command_offers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resized, swapped, renamed pictures; a table without a column, with a numeric target, with one class."""
    rng = np.random.default_rng(0)
    for k in range(12):
        picture = Image.fromarray(rng.integers(0, 256, (9 + k, 7, 3), np.uint8))
        (tmp_path / "d" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "d" / "ab"[k % 2] / f"{k}.png")
    asked = ["check", str(tmp_path / "d"), "--size", "6x5", "--no-cache", "--class-names", "b,a", "--json"]
    assert main(asked) in (0, 1)
    data = capsys.readouterr().out
    assert '"class_names": [\n      "b",\n      "a"\n    ]' in data
    assert '"image_shape": [\n      6,\n      5,\n      3\n    ]' in data
    table = tmp_path / "t.csv"
    rows = [f"2020-01-{k % 27 + 1:02d},{k * 37 % 101},{k * 7 % 3}" for k in range(60)]
    table.write_text("\n".join(["when,width,grade", *rows]))
    asked = ["check", str(table), "--target", "grade", "--drop", "when", "--json"]
    assert main([*asked, "--task", "regression"]) in (0, 1)
    assert '"class_names": []' in capsys.readouterr().out
    assert main([*asked, "--one-vs-rest", "2"]) in (0, 1)
    assert '"not 2"' in capsys.readouterr().out


def test_ctrl_c_while_reading_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(tmp_path / "cache"))
    foldered(Path("d"), TWO)
    monkeypatch.setattr("glassnet.data.sources.pictures._decoded_chunks", press)
    assert main(["check", "d", "--html", "page.html"]) == 130
    assert capfd.readouterr().err.endswith("glassnet: interrupted\n")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    assert not Path("page.html").exists()
