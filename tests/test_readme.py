"""The README's Python examples, run one after the other as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_examples_run_and_print_what_they_say(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert float(printed.split()[0]) > 0.95
    assert "(64, 64) (64, 64)" in printed
    assert "layer 1 (Dense): W right" in printed
    assert "wrong" not in printed
    right = re.search(r"([\d.]+) of all rows", printed)
    assert right
    assert float(right[1]) > 0.95


def test_every_link_into_the_repository_leads_somewhere() -> None:
    root = Path(__file__).parent.parent
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
