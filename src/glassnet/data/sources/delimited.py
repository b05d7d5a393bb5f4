"""The outside of a CSV or TSV file: compression, encoding, delimiter, header, blocks of whole lines."""

from __future__ import annotations

import contextlib
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from glassnet.data.sources.tree import decompressed, open_tree
from glassnet.errors import InputError

__all__ = ["TEXT", "Head", "blocks", "head_of", "open_text", "refuse_odd_lines"]

TEXT = (".csv", ".tsv", ".data", ".txt", ".tab")

_BLOCK = 12_000_000  # bytes: 4 MB parse half as fast, 32 MB cost 100 MB more memory
_LONGEST_LINE = 50_000_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Head:
    """The first line of a delimited file: its cells, and whether they are names or already data."""

    delimiter: str
    cells: tuple[str, ...]
    named: bool

    def names(self, where: str) -> tuple[str, ...]:
        """Names of the columns ("column 0" ... without a header); refused if two are the same."""
        if not self.named:
            return tuple(f"column {k}" for k in range(len(self.cells)))
        twice = [name for name, n in Counter(self.cells).items() if n > 1]
        if twice:
            raise InputError(
                f"{where} has {self.cells.count(twice[0])} columns named {twice[0]!r}: rename them"
            )
        return self.cells

    def no_rows(self, where: str) -> InputError:
        """The error for a file that ends after this line."""
        shown = self.delimiter.join(self.cells)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
        return InputError(f"{where} has a header but no rows: its only line is {shown!r}")


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a delimited file, plain, compressed, or alone in a zip."""
    if path.name.lower().endswith(".zip"):
        with open_tree(path) as tree:
            inside = [p for p in tree.sizes if p.lower().endswith(TEXT)]
            with zipfile.ZipFile(path) as archive, archive.open(inside[0]) as file:
                yield cast(BinaryIO, file)
        return
    with decompressed(path) as file:
        yield file


def head_of(file: BinaryIO, where: str) -> Head:
    """Look at the first line of a file and leave the position behind it if it is a header.

    A first line that holds a number is data, unless its numbers count up as names do ("label,0,1,2 ...").
    """
    start = file.tell() if file.seekable() else 0
    line = file.readline(_LONGEST_LINE)
    if len(line) >= _LONGEST_LINE:
        raise InputError(
            f"{where}: the first line is over {_LONGEST_LINE // 10**6} MB long: this is no CSV file"
        )
    if line[:2] in _UTF16:
        raise InputError(f"{where} is encoded as UTF-16: save it as UTF-8")
    if b"\0" in line:
        raise InputError(f"{where} holds binary data, not text: this is no CSV file")
    try:
        text = line.removeprefix(_UTF8_MARK).decode()
    except UnicodeDecodeError as error:
        bad = f"byte 0x{line[error.start]:02x} at position {error.start}"
        raise InputError(f"{where}: line 1 is not UTF-8 ({bad}): save the file as UTF-8") from None
    if not text.strip():
        raise InputError(f"{where}: the first line is empty: the first line must be the header or data")
    delimiter = max(",;\t|", key=text.count)
    try:
        cells = tuple(c.strip() for c in next(csv.reader(io.StringIO(text), delimiter=delimiter)))
    except csv.Error as error:
        raise InputError(f"{where}: line 1 cannot be read as CSV ({error}): correct it") from None
    if len(cells) < 2:
        shown = cells[0] if len(cells[0]) <= 40 else f"{cells[0][:40]}..."
        raise InputError(
            f"{where} holds no table: its first line, {shown!r}, has no delimiter (, ; | or tab)"
        )
    numbers = [c for c in cells if _is_number(c)]
    counting = len(numbers) < len(cells) and numbers in (_count_from(0, numbers), _count_from(1, numbers))
    named = not numbers or (counting and len(numbers) > 1)
    if not named:
        file.seek(start + (len(_UTF8_MARK) if line.startswith(_UTF8_MARK) else 0))
    return Head(delimiter, cells, named)


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file in blocks of whole lines, about 12 MB each."""
    while block := file.read(_BLOCK):
        yield block + file.readline(_LONGEST_LINE)


def refuse_odd_lines(content: bytes, head: Head, where: str, first: int) -> None:
    """Raise for the first line that is not UTF-8 or has too few or too many cells, which polars would fill.

    `first` is the number of the first line of `content`. Cells are not counted where there are quotes.
    """
    delimiter, quoted = head.delimiter.encode(), b'"' in content
    for k, line in enumerate(content.split(b"\n")):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            bad = f"byte 0x{line[error.start]:02x} at position {error.start}"
            raise InputError(
                f"{where}: line {first + k} is not UTF-8 ({bad}): save the file as UTF-8"
            ) from None
        cells = line.count(delimiter) + 1
        if not quoted and line.strip() and cells != len(head.cells):
            wrong = f"line {first + k} has {cells} cells instead of {len(head.cells)}"
            raise InputError(f"{where}: {wrong}: correct it")


def _count_from(first: int, numbers: list[str]) -> list[str]:
    return [str(first + k) for k in range(len(numbers))]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.lower().lstrip("+-") not in ("nan", "inf", "infinity")
