"""The command as a person or a script meets it: exit codes, one-line errors, clean streams."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
from rich.console import Console

import glassnet
from glassnet.cli import main
from glassnet.cli.show import print_findings
from glassnet.errors import InputError
from glassnet.findings import Finding, Severity


def one_line(captured: pytest.CaptureFixture[str]) -> str:
    out, err = captured.readouterr()
    assert out == ""
    assert err.startswith("glassnet: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def demo_gives(monkeypatch):
    """Let `glassnet demo` come by its study in another way than by training."""

    def install(outcome):
        def run_demo(*, seed, progress, command):
            if isinstance(outcome, BaseException):
                raise outcome
            progress.begin("training", 2)
            progress.advance(1, "loss 0.9")
            progress.advance(1, "loss 0.5")
            progress.end()
            return outcome

        monkeypatch.setattr("glassnet.lab.demo.run_demo", run_demo)

    return install


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"glassnet {glassnet.__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["demo", "--help"], ["run", "--help"], ["check", "--help"]])
def test_help_goes_to_stdout(args, capsys) -> None:
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: glassnet")
    assert err == ""


def test_without_a_verb_the_help_goes_to_stderr(capsys) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["dmo"], "No such command 'dmo'. Did you mean 'demo'? (see: glassnet --help)"),
        (["check"], "Missing argument 'SOURCE'"),
        (["run", "coursework"], "Invalid value for '--data': the plan names no data"),
        (["run", "coursework", "--data", "x", "--part", "5"], "--part"),
        (["run", "coursework", "--data", "x", "--epochs-scale", "0"], "0.0 is not above 0"),
        (["run", "coursework", "--data", "x", "--epochs-scale", "nan"], "nan is not above 0"),
        (["demo", "--seed", "-1"], "--seed"),
        (["demo", "--out", "no/such/folder/r.html"], "the folder no/such/folder does not exist"),
        (["demo", "--out", "."], "is a folder: name a file in it"),
        (["demo", "--sed", "1"], "--sed"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args, said, capsys) -> None:
    assert main(args) == 2
    err = one_line(capsys)
    assert said in err
    assert "--help)" in err


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # root may write anywhere
    assert main(["demo", "--out", str(tmp_path / "r.html")]) == 2
    assert "cannot be written" in one_line(capsys)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("digits.csv, row 7:\n  no label"), "glassnet: digits.csv, row 7: no label\n"),
        (FileNotFoundError(2, "No such file or directory", "a.zip"), "No such file or directory: a.zip\n"),
        (MemoryError(), "out of memory"),
        (ZeroDivisionError("division by zero"), "internal error: ZeroDivisionError: division by zero (a bug"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(error, said, demo_gives, tmp_path, capsys) -> None:
    demo_gives(error)
    assert main(["demo", "--out", str(tmp_path / "r.html")]) == 1
    assert said in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback_too(demo_gives, tmp_path, capsys) -> None:
    demo_gives(InputError("no rows"))
    assert main(["demo", "--debug", "--out", str(tmp_path / "r.html")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("glassnet: no rows\n")


def test_a_missing_source_is_one_line_and_exit_code_1(tmp_path, capsys) -> None:
    missing = tmp_path / "nowhere.zip"
    assert main(["check", str(missing)]) == 1
    assert "nowhere.zip" in one_line(capsys)


def test_results_go_to_stdout_and_progress_to_stderr(study, demo_gives, tmp_path, capsys) -> None:
    demo_gives(study)
    report = tmp_path / "r.html"
    assert main(["demo", "--out", str(report)]) == 0
    out, err = capsys.readouterr()
    row = next(line for line in out.splitlines() if "sigmoid" in line)
    assert " ".join(row.split()) == "part-3 [64, 10] sigmoid 0.5000 0.8000 0.6250 0.5500 0.2"
    assert "0.4240" in out
    assert "0.2000" in out
    assert out.endswith(f"{study.summary}\nReport: {report}\n")
    assert err.startswith("training  2/2  loss 0.5  ")
    assert "Ten classes" in report.read_text()


def test_json_is_all_that_stdout_holds(study, demo_gives, tmp_path, capsys) -> None:
    demo_gives(study)
    assert main(["demo", "--json", "--out", str(tmp_path / "r.html")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["parts"][0]["key"] == "part-3"
    assert "Report: " in err


def test_an_interrupted_study_is_still_reported(interrupted, demo_gives, tmp_path, capsys) -> None:
    demo_gives(interrupted)
    report = tmp_path / "r.html"
    assert main(["demo", "--out", str(report)]) == 130
    assert "interrupted: the report shows what was done" in capsys.readouterr().err
    assert report.exists()


def test_an_interrupt_without_results_leaves_nothing(demo_gives, tmp_path, capsys) -> None:
    demo_gives(KeyboardInterrupt())
    assert main(["demo", "--out", str(tmp_path / "r.html")]) == 130
    assert one_line(capsys) == "glassnet: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_warnings_of_libraries_become_one_line_each(study, monkeypatch, tmp_path, capsys) -> None:
    def run_demo(*, seed, progress, command):
        warnings.warn("an old\nsetting", FutureWarning, stacklevel=1)
        return study

    monkeypatch.setattr("glassnet.lab.demo.run_demo", run_demo)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["demo", "--out", str(tmp_path / "r.html")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert "an old setting" in line


def table(path: Path, first_cell: str = "0.5") -> str:
    """A small table of two columns and a label, in no order."""
    rows = [f"{i * 37 % 101},{i * i % 89},{'yes' if i * 7 % 5 < 2 else 'no'}" for i in range(60)]
    path.write_text("\n".join(["width,height,label", f"{first_cell},3,no", *rows]))
    return str(path)


def test_check_prints_a_table_and_writes_a_page(tmp_path, capsys) -> None:
    source, page = table(tmp_path / "leaves.csv"), tmp_path / "look.html"
    assert main(["check", source, "--target", "label", "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "no missing value in 2 columns" in out
    assert "Does not apply here: " in out
    assert out.endswith(f"Report: {page}\n")
    assert "A look at leaves" in page.read_text()


def test_check_fails_on_data_that_make_results_meaningless(tmp_path, capsys) -> None:
    assert main(["check", table(tmp_path / "leaves.csv", first_cell="inf"), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["data"]["findings"]
    assert [f["check"] for f in findings if f["severity"] == "error"] == ["infinite-values"]


def test_the_cache_is_shown_and_cleared(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GLASSNET_DATA_DIR", str(tmp_path))
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "abc.bin").write_bytes(bytes(3_000_000))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 1 packed copies, 3 of at most 10,000 MB\n"
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.startswith("3 MB removed\n")
    assert list((tmp_path / "packed").iterdir()) == []


def test_the_page_shows_pictures_of_classes_and_of_examples(tmp_path, capsys) -> None:
    """Mean and spread of each class, one figure of the distribution, and the rows that a finding names."""
    page = tmp_path / "look.html"
    assert main(["check", "digits", "--html", str(page)]) == 0
    html = page.read_text()
    for k in range(10):
        assert f'alt="mean image of {k}"' in html
        assert f'alt="standard deviation image of {k}"' in html
    assert html.count("How the values are distributed; the area under each outline is 1.") == 1
    named = re.search(r"suspected-label-errors.*?<dt>Examples</dt><dd>(\d+)", html, re.DOTALL)
    assert named
    assert re.search(f'<img src="data:image/png;base64,[^"]+" alt="row {named[1]}">{named[1]}: \\d', html)


@pytest.mark.parametrize("width", [80, 119, 120])
def test_findings_stand_side_by_side_only_where_there_is_room(width, capsys) -> None:
    found = [
        Finding("table-size", Severity.OK, "60 rows of 3 columns"),
        Finding("constant-columns", Severity.WARNING, "1 of 3 columns is constant", advice="drop it " * 12),
    ]
    print_findings(Console(width=width, markup=False, highlight=False, emoji=False), found)
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    assert all(len(line) <= width for line in lines)
    assert ("what to do" in out) == (width >= 120)
    if width < 120:
        assert lines[:2] == ["warning: constant-columns", "1 of 3 columns is constant"]
        assert lines[2].startswith("To do: drop it")
        assert lines[-1] == "ok: table-size: 60 rows of 3 columns"
