"""Put measured text into a page of the documentation, between two marks: no figure is copied by hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["put", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Write a file, all of it or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(old)) != 1:
        raise SystemExit(f"{page} does not have {begin} ... {end} exactly once")
    new = pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", old)
    write_whole(page, new)
