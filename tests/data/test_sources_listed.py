"""Pictures with labels in a list (Kaggle), and in parquet (Hugging Face)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glassnet.data.dataset import ImageShape
from glassnet.data.read import read
from glassnet.errors import InputError

from .made import encoded, pixels, row, write_folder, write_zip


def kaggle() -> dict[str, bytes]:
    files = {f"train/{k}.png": encoded(pixels(k)) for k in range(1, 12)}
    files |= {f"test/{k}.png": encoded(pixels(500 + k)) for k in range(1, 4)}
    lines = ["id,label", *(f"{k},{'frog' if k % 2 else 'cat'}" for k in reversed(range(1, 12)))]
    files["trainLabels.csv"] = "\n".join(lines).encode()
    files["sampleSubmission.csv"] = b"id,label\n1,cat\n2,cat\n3,cat\n"
    return files


def test_kaggles_pictures_and_list(tmp_path: Path) -> None:
    for path in (write_folder(tmp_path / "k", kaggle()), write_zip(tmp_path / "k.zip", kaggle())):
        d = read(path)
        assert d.class_names == ("cat", "frog")
        assert d.y.tolist() == [k % 2 for k in range(1, 12)]
        for k in range(11):
            np.testing.assert_array_equal(d.X[k], row(pixels(k + 1)))
        assert d.notes == ("3 pictures have no label in trainLabels.csv and were left out",)


def test_lists_with_endings_numbers_and_more_columns(tmp_path: Path) -> None:
    files = {f"images/{k}.png": encoded(pixels(k)) for k in range(4)}
    files["labels.csv"] = b"file,size,kind\n0.png,7,3\n1.png,7,12\n2.png,7,3\n3.png,7,12\n9.png,7,12\n"
    path = write_folder(tmp_path / "k", files)
    with pytest.raises(InputError, match=r"which column is the label\? .*size, kind"):
        read(path)
    d = read(path, target="kind")
    assert d.class_names == ("3", "12")
    assert d.y.tolist() == [0, 1, 0, 1]
    assert d.notes == ("1 lines of labels.csv name pictures that are not there",)
    with pytest.raises(InputError, match=r"unknown label column of .* 'kin': did you mean 'kind'"):
        read(path, target="kin")


def test_bad_lists(tmp_path: Path) -> None:
    files = kaggle()
    files["trainLabels.csv"] = files["trainLabels.csv"].replace(b"\n7,frog", b"\n7,")
    with pytest.raises(InputError, match=r"trainLabels.csv: line 6 has no label"):
        read(write_folder(tmp_path / "a", files))
    files["trainLabels.csv"] = b"id,label\n1,caf\xe9\n"
    with pytest.raises(InputError, match=r"trainLabels.csv is not UTF-8"):
        read(write_folder(tmp_path / "b", files))


def shard(
    path: Path, seeds: range, *, names: tuple[str, ...] | None = ("cat", "dog"), coarse: bool = False
) -> None:
    pictures = [{"bytes": encoded(pixels(s)), "path": f"{s}.png"} for s in seeds]
    frame = pl.DataFrame({"img": pictures, "label": [s % 2 for s in seeds]})
    features: dict[str, object] = {"img": {"_type": "Image"}}
    if names:
        features["label"] = {"names": names, "_type": "ClassLabel"}
    if coarse:
        frame = frame.with_columns(pl.Series("coarse_label", [s // 2 % 3 for s in seeds]))
        features["coarse_label"] = {"names": ["x", "y", "z"], "_type": "ClassLabel"}
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def test_a_parquet_file_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    shard(path, range(6))
    d = read(path)
    assert d.image == ImageShape(4, 6, 3)
    assert d.class_names == ("cat", "dog")
    assert d.y.tolist() == [0, 1] * 3
    for k in range(6):
        np.testing.assert_array_equal(d.X[k], row(pixels(k)))
    assert read(path, size=(8, 8)).image == ImageShape(8, 8, 3)


def test_shards_give_parts_and_order(tmp_path: Path) -> None:
    shard(tmp_path / "d" / "data" / "test-00000-of-00001.parquet", range(10, 13))
    shard(tmp_path / "d" / "data" / "train-00001-of-00002.parquet", range(3, 6))
    shard(tmp_path / "d" / "data" / "train-00000-of-00002.parquet", range(3))
    d = read(tmp_path / "d")
    assert d.part is not None
    assert d.part.tolist() == [0] * 6 + [2] * 3
    for k, seed in enumerate([*range(6), *range(10, 13)]):
        np.testing.assert_array_equal(d.X[k], row(pixels(seed)))


def test_several_labels_no_names_and_corrupt_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    shard(path, range(6), coarse=True)
    with pytest.raises(InputError, match=r"which column is the label\? .*label, coarse_label"):
        read(path)
    assert read(path, target="coarse_label").class_names == ("x", "y", "z")
    with pytest.raises(InputError, match=r"unknown label column .* 'coarse'"):
        read(path, target="coarse")
    shard(path, range(6), names=None)
    assert read(path).class_names == ("0", "1")
    frame = pl.read_parquet(path)
    pictures = frame["img"].to_list()
    pictures[2] = {"bytes": b"broken", "path": None}
    frame.with_columns(pl.Series("img", pictures)).write_parquet(path)
    with pytest.raises(
        InputError, match=r"1 of 6 pictures cannot be decoded \(.*a.parquet row 2; the first: it is in no"
    ):
        read(path)
    assert read(path, skip_corrupt=True).y.tolist() == [0, 1, 1, 0, 1]
    frame.with_columns(pl.Series("label", [0, None, 1, 0, 1, 0])).write_parquet(path)
    with pytest.raises(InputError, match="label 'label' is missing in 1 rows"):
        read(path)
    frame[:0].write_parquet(path)
    with pytest.raises(InputError, match="has no rows"):
        read(path)
