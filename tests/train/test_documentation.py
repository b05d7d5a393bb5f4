"""docs/engine.md: its examples run and print what they say, and its tables are complete."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from glassnet import train
from glassnet.nn import ACTIVATIONS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
from glassnet.train.callbacks import Callback

TEXT = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()


def test_the_examples_run_and_print_what_they_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(train.METRICS, "top_3", None)  # an example's, not there any more afterwards
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        exec(compile(block, "engine.md", "exec"), names)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert re.match(r"<History of \d+ epochs, at last loss", lines[1])
    assert 0.95 < float(lines[2]) < 1
    assert 0.5 < float(lines[3]) < 1
    right, among_three = map(float, lines[4].split())
    assert 0.8 < right < among_three <= 1
    assert lines[5] == "True"
    assert float(lines[6].split()[0]) > 0.9
    assert "the derivative of activation 'bent' is wrong: at z = " in printed
    assert "layer 1 (Shift): w right" in printed
    assert "right" in lines[-2]
    assert lines[-1] == "(1797, 10)"


def test_everything_there_is_has_its_place_in_the_tables() -> None:
    steering = [name for name in train.__all__ if inspect.isclass(getattr(train, name))]
    steering = [
        name
        for name in steering
        if issubclass(getattr(train, name), Callback) and name not in ("Callback", "Report")
    ]
    kinds = [*LAYERS.values(), *LOSSES.values(), *OPTIMIZERS.values()]
    wanted = [*ACTIVATIONS, *SCHEDULES, *(kind.__name__ for kind in kinds), *steering]
    wanted += ["L1", "L2", "ClipNorm", "ClipValue"]
    shown = re.findall(r"`([A-Za-z0-9_]+)(?:\(.*?\))?`", TEXT)
    assert [name for name in wanted if name not in shown] == []
