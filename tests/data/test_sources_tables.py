"""Tables: CSV, TSV, parquet and data frames; numbers, categories, missing cells and what goes wrong."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from glassnet.data.read import read
from glassnet.data.sources import parquet
from glassnet.errors import InputError

TEXT = """age,town,member,pay,kind
31,Rome,true,1.5,yes
,Oslo,false,2.5,no
45,,true,,yes
52,Rome,false,4.5,no
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def same_as_text(d: object) -> None:
    assert d.feature_names == ("age", "town", "member", "pay")
    assert d.categories == {1: ("Oslo", "Rome")}
    nan = np.nan
    expected = [[31, 1, 1, 1.5], [nan, 0, 0, 2.5], [45, nan, 1, nan], [52, 1, 0, 4.5]]
    np.testing.assert_array_equal(d.X, expected)
    assert d.class_names == ("no", "yes")
    assert d.y.tolist() == [1, 0, 1, 0]
    assert d.image is None


def test_numbers_categories_booleans_and_missing_cells(file: Path) -> None:
    file.write_text(TEXT)
    same_as_text(read(file, target="kind"))
    same_as_text(read(file, target=-1))
    file.write_text(TEXT.replace("kind", "target"))
    same_as_text(read(file))
    assert read(file).name == "people"
    assert read(file).notes == ("column 'target' is taken as the target",)
    assert read(file, target="target").notes == ()


@pytest.mark.parametrize("missing", ["NA", "nan", "?", "null", '""'])
def test_words_for_missing(file: Path, missing: str) -> None:
    file.write_text(TEXT.replace("45,,", f"45,{missing},").replace("\n,Oslo", f"\n{missing},Oslo"))
    same_as_text(read(file, target="kind"))


def test_tsv_semicolons_decimal_commas_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(TEXT.replace(",", "\t"))
    (tmp_path / "b.csv").write_text(TEXT.replace(",", ";").replace(".", ","))
    (tmp_path / "c.csv").write_text(TEXT.replace("\n", "\r\n\r\n") + "\n\n")
    for path in sorted(tmp_path.iterdir()):
        same_as_text(read(path, target="kind"))


def test_parquet_and_frames(tmp_path: Path, file: Path) -> None:
    file.write_text(TEXT)
    frame = pl.read_csv(file)
    frame.write_parquet(tmp_path / "p.parquet")
    same_as_text(read(tmp_path / "p.parquet", target="kind"))
    same_as_text(read(frame, target="kind"))
    same_as_text(read(frame.with_columns(pl.col("town").cast(pl.Categorical)), target="kind"))
    same_as_text(read(pd.read_csv(file), target="kind"))
    nullable = pd.read_csv(file).convert_dtypes().astype({"town": "category"})
    same_as_text(read(nullable, target="kind"))


def test_a_folder_of_parts(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TEXT)
    (tmp_path / "test.csv").write_text(TEXT)
    d = read(tmp_path, target="kind")
    assert d.part is not None
    assert d.part.tolist() == [0] * 4 + [2] * 4
    (tmp_path / "test.csv").write_text("age,town,member,pay\n1,Rome,true,2\n")
    d = read(tmp_path, target="kind")
    assert len(d) == 4
    assert d.notes == ("test.csv has no column 'kind', the target, and was left out",)
    (tmp_path / "test.csv").write_text("age,kind\n1,yes\n")
    with pytest.raises(InputError, match="do not have the same columns"):
        read(tmp_path, target="kind")


def test_regression_targets_and_small_numbers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": pl.Series([1, 2, 3], dtype=pl.Int16), "y": [0.5, 1.5, 2.5]})
    d = read(frame)
    assert d.task == "regression"
    assert d.X.dtype == np.float32
    one = read(frame[:1])
    assert len(one) == 1


def test_numbers_as_text_and_mistakes_among_them(file: Path) -> None:
    rows = [f"{k},{'yes' if k % 2 else 'no'}" for k in range(30)]
    file.write_text("\n".join(["age,kind", *rows]))
    assert read(file, target="kind").categories == {}
    rows[17] = "old,yes"
    file.write_text("\n".join(["age,kind", *rows]))
    with pytest.raises(InputError, match=r"column 'age' holds numbers, but 'old' in the 18th row"):
        read(file, target="kind")


@pytest.mark.parametrize("day", ["2024-01-31", "31.01.2024", "1/31/2024", "2024-01-31 10:30:00", "31-1-24"])
def test_dates_are_refused_with_advice_or_dropped(file: Path, day: str) -> None:
    file.write_text(f"when,age,kind\n{day},1,a\n{day},2,b\n")
    with pytest.raises(InputError, match=r"column 'when' holds dates: .* drop=\['when'\]"):
        read(file, target="kind")
    assert read(file, target="kind", drop=["when"]).feature_names == ("age",)


def test_dates_in_frames(file: Path) -> None:
    frame = pl.DataFrame({"when": [datetime.date(2024, 1, 1)] * 2, "y": ["a", "b"]})
    for source in (
        frame,
        pd.DataFrame({"when": pd.to_datetime(["2024-01-01"] * 2, utc=True), "y": ["a", "b"]}),
    ):
        with pytest.raises(InputError, match="column 'when' holds dates"):
            read(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT, r"which column is the target\? .*--target, one of age, town, member, pay, kind"),
        (TEXT.replace("town", "age"), "has 2 columns named 'age'"),
        ("a,target\n", "has a header but no rows: its only line is"),
        ("target\n1\n2\n", "holds no table: its first line, 'target', has no delimiter"),
        ("a,target\n1,x\n2,x\n", "has only one class, 'x'"),
        ("a,target\n1,x\n2,\n3,\n", r"target 'target' is missing in 2 of 3 rows \(first in the 2nd row"),
        ("a,target\n1,x\n2,y,3\n", "line 3 has 3 cells instead of 2"),
        ("a,b,target\n1,2,x\n2,y\n", "line 3 has 2 cells instead of 3"),
    ],
)
def test_bad_tables(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read(file)


def test_text_of_another_encoding(file: Path) -> None:
    file.write_bytes(b"a,target\n1,x\n2,caf\xe9\n")
    with pytest.raises(
        InputError, match=r"line 3 is not UTF-8 \(byte 0xe9 at position 5\): save the file as UTF-8"
    ):
        read(file)


def test_unknown_columns_and_options(file: Path) -> None:
    file.write_text(TEXT)
    with pytest.raises(InputError, match=r"unknown target column .* 'knid': did you mean 'kind'"):
        read(file, target="knid")
    with pytest.raises(InputError, match=r"unknown column .* 'twon': did you mean 'town'"):
        read(file, target="kind", drop=["twon"])
    with pytest.raises(InputError, match="has no column besides the target"):
        read(file, target="kind", drop=["age", "town", "member", "pay"])
    with pytest.raises(InputError, match="target=9 is none of them"):
        read(file, target=9)
    with pytest.raises(InputError, match="transpose=True means nothing for a table"):
        read(file, target="kind", transpose=True)


def test_damaged_parquet_is_refused_and_says_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.parquet"
    pl.DataFrame({"a": range(300), "y": ["a", "b", "b"] * 100}).write_parquet(path)
    whole, dice = path.read_bytes(), random.Random(0)
    footer = int.from_bytes(whole[-8:-4], "little")
    wrong = [whole[:-30], whole[:100], whole[:4] + bytes(len(whole) - 12) + whole[-8:], b"PAR1"]
    for _ in range(4):
        at = len(whole) - 8 - dice.randrange(footer)
        wrong.append(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    refused = 0
    for content in wrong:
        path.write_bytes(content)
        try:
            read(path, target="y")
        except InputError as error:
            refused += str(path) in str(error)
    assert refused >= 6
    assert capfd.readouterr().err == ""


def test_a_parquet_file_that_ends_the_process_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_TRIAL", "import os, sys\nprint('begun', flush=True)\nos.abort()")
    path = tmp_path / "p.parquet"
    pl.DataFrame({"a": [1, 2], "y": ["a", "b"]}).write_parquet(path)
    with pytest.raises(
        InputError, match=r"p.parquet is no whole parquet file \(its content makes no sense\)"
    ):
        read(path, target="y")
    monkeypatch.setattr(parquet, "_TRIAL", "raise SystemExit(1)")  # polars cannot even be imported there
    assert len(read(path, target="y")) == 2


def test_a_failure_inside_polars_is_an_input_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("index out of bounds")

    file.write_text(TEXT)
    monkeypatch.setattr(pl, "read_csv", panic)
    with pytest.raises(InputError, match="cannot be parsed: it is damaged, or a case that polars fails on"):
        read(file, target="kind")


def test_duplicate_and_odd_columns_of_frames() -> None:
    with pytest.raises(InputError, match="has 2 columns named 'a'"):
        read(pd.DataFrame([[1, 2, 3]], columns=["a", "a", "y"]))
    with pytest.raises(InputError, match=r"holds List.*, neither numbers nor text"):
        read(pl.DataFrame({"a": [[1], [2]], "y": ["a", "b"]}))


def test_a_target_of_ten_thousand_classes(file: Path) -> None:
    file.write_text("a,target\n" + "".join(f"{k},n{k % 10_000}\n" for k in range(20_000)))
    d = read(file)
    assert d.n_classes == 10_000
    assert d.class_names[:3] == ("n0", "n1", "n2")
