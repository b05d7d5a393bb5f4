"""docs/data.md: its examples run, and its tables are complete."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from glassnet.cli import main
from glassnet.data.checks import run_checks
from glassnet.data.download import KNOWN
from glassnet.data.prepare import PREPARATIONS
from glassnet.data.read import read
from glassnet.data.sources.bundled import BUNDLED

from .planted import table

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def rows_below(head: str) -> list[list[str]]:
    """The cells of the table under the line that begins with `head`."""
    lines = TEXT[TEXT.index(head) :].splitlines()[2:]
    stop = next(k for k, line in enumerate([*lines, ""]) if not line.startswith("|"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[:stop]]


def test_every_check_is_in_the_table_with_its_definition_and_threshold() -> None:
    found = [
        [f"`{f.check}`", f.definition, "" if f.threshold is None else f"{f.threshold:g}"]
        for f in run_checks(table())
    ]
    shown = [[cell.replace(r"\|", "|") for cell in cells] for cells in rows_below("| check |")]
    assert shown == found


def test_every_option_of_read_is_in_the_table_and_the_command_has_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = rows_below("| `glassnet.read` |")
    options = [cells[0].strip("`").partition("=")[0] for cells in rows]
    assert sorted(options) == sorted(set(inspect.signature(read).parameters) - {"source"})
    assert main(["check", "--help"]) == 0
    told = capsys.readouterr().out
    for _, command, _ in rows:
        assert command.strip("`").partition(" ")[0] in told


def test_every_name_and_recipe_is_there() -> None:
    (names,) = [cells[1] for cells in rows_below("| source |") if cells[0] == "a name"]
    assert set(re.findall(r"`([^`]+)`", names)) == {*BUNDLED, *KNOWN}
    recipes = {name for cells in rows_below("| recipe |") for name in re.findall(r"`([^`]+)`", cells[0])}
    assert recipes == set(PREPARATIONS)


def test_the_examples_run_and_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/data.md", "exec"), names)
    first, *_, close, last = capsys.readouterr().out.splitlines()
    assert first == "(1797, 64) uint8 ('0', '1', '2')"
    assert close == "True"
    assert float(last.split()[0]) > 0.93
