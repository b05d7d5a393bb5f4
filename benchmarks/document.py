"""Put measured text into a page of the documentation, between two marks: no figure is copied by hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["put"]


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(old)) != 1:
        raise SystemExit(f"{page} does not have {begin} ... {end} exactly once")
    new = pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", old)
    temporary = page.with_name(f".{page.name}.tmp")
    temporary.write_text(new, encoding="utf-8")
    os.replace(temporary, page)
