"""CSV files with one picture per line: `pixel_0 ... pixel_3071,label`, or without header, label anywhere.

The file is read in blocks that polars parses straight to uint8: 550 MB take 4 s on two cores, and no more
than one block is in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.data.sources.arrays import square_image
from glassnet.data.sources.content import Content, Request, Sink
from glassnet.data.sources.delimited import Head, blocks, head_of, open_text, refuse_odd_lines
from glassnet.data.sources.labels import CIFAR10, class_codes
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

if TYPE_CHECKING:
    import polars as pl

__all__ = ["USED", "is_pixel_csv", "pack"]

USED = frozenset({"target", "class_names", "transpose"})

_PIXEL = re.compile(r"(?:pixel|px)[ _.-]?(\d+)", re.IGNORECASE)
_ROW_BY_COLUMN = re.compile(r"(\d+)x(\d+)")  # "1x1", "1x2" ...: row, column
_BARE = re.compile(r"(\d+)")  # "0", "1" ...: pixels only if the cells look like it
_LABELS = ("label", "labels", "class", "target", "y", "category")
_FEWEST = 64  # pixels of the smallest picture, 8 x 8
_STRAY = 0.01  # share of labels outside 0..9 that are taken for mistakes rather than for further classes


@dataclass(frozen=True)
class _Layout:
    """Which column is what."""

    names: tuple[str, ...]
    pixels: tuple[int, ...]  # columns in pixel order
    label: int
    image: ImageShape
    left_out: tuple[str, ...]


def is_pixel_csv(path: Path) -> bool:
    """Whether a delimited file holds pictures.

    Its columns are called pixels; or they are numbered or nameless, make a picture, and hold 0..255.
    """
    with open_text(path) as file:
        head = head_of(file, str(path))
        if head.named:
            called = sum(not _BARE.fullmatch(c) and _pixel_number(c) is not None for c in head.cells)
            if called >= max(_FEWEST, 0.9 * len(head.cells)):
                return True
            n_pixels = sum(_pixel_number(c) is not None for c in head.cells)
        else:
            n_pixels = len(head.cells) - 1
        return square_image(n_pixels) is not None and _looks_like_pixels(file, head)


def pack(files: Sequence[tuple[Path, int]], request: Request, sink: Sink, progress: Progress) -> Content:
    """Read CSVs of pixels with their part codes; InputError for a bad cell, width or label, with its line."""
    labels: list[npt.NDArray[Any]] = []
    parts: list[npt.NDArray[np.int8]] = []
    notes: list[str] = []
    image: ImageShape | None = None
    progress.begin("reading CSV", sum(path.stat().st_size for path, _ in files))
    try:
        for path, part in files:
            if labels and _has_no_label(path):
                notes.append(f"{path.name} has no label column and was left out")
                continue
            found, layout = _pack_one(path, request, sink, progress)
            if image is not None and layout.image != image:
                raise InputError(f"{path} has pictures of {layout.image}, {files[0][0]} of {image}")
            image = layout.image
            labels.append(found)
            parts.append(np.full(len(found), part, np.int8))
            if layout.left_out:
                listed = ", ".join(layout.left_out)
                notes.append(f"columns left out, neither pixels nor label: {listed}")
    finally:
        progress.end()
    assert image is not None
    if request.transpose:
        image = replace(image, height=image.width, width=image.height)
    where = ", ".join(str(path) for path, _ in files)
    content = _content(np.concatenate(labels), image, request, where, notes)
    part_codes = np.concatenate(parts)
    return replace(content, part=part_codes) if len(np.unique(part_codes)) > 1 else content


def _pack_one(
    path: Path, request: Request, sink: Sink, progress: Progress
) -> tuple[npt.NDArray[Any], _Layout]:
    where = str(path)
    labels: list[npt.NDArray[Any]] = []
    layout: _Layout | None = None
    with open_text(path) as file:
        head = head_of(file, where)
        line = 1 + head.named
        for block in blocks(file):
            if layout is None:
                layout = _plan(head, block, request, where)
            pixels, found = _parse(block, head, layout, line, where)
            sink.write(_ordered(pixels, layout, request))
            labels.append(found)
            line += block.count(b"\n")
            progress.advance(len(block), f"line {line}")
    if layout is None:
        raise head.no_rows(where)
    return np.concatenate(labels), layout


def _content(
    text: npt.NDArray[Any], image: ImageShape, request: Request, where: str, notes: list[str]
) -> Content:
    labels = _numbers_if_all(text)
    names = request.class_names
    if names is None and image == ImageShape(32, 32, 3) and labels.dtype.kind in "if":
        inside = np.isin(labels, np.arange(10))
        if len(np.unique(labels[inside])) == 10 and (~inside).mean() <= _STRAY:
            names = CIFAR10
            notes.append("labels 0..9 of 32x32 colour pictures were taken as CIFAR-10's classes")
    target = class_codes(labels, names, where)
    return Content(target.y, target.class_names, image, None, tuple(notes))


def _numbers_if_all(text: npt.NDArray[Any]) -> npt.NDArray[Any]:
    for kind in (np.int64, np.float64):
        try:
            return text.astype(kind)
        except ValueError:
            continue
    return text


def _ordered(pixels: npt.NDArray[np.uint8], layout: _Layout, request: Request) -> npt.NDArray[np.uint8]:
    if request.transpose:
        s = layout.image
        pixels = pixels.reshape(-1, s.channels, s.height, s.width).swapaxes(2, 3).reshape(len(pixels), -1)
    return np.ascontiguousarray(pixels)


# --- which column is what


def _pixel_number(name: str) -> int | None:
    if match := _PIXEL.fullmatch(name) or _BARE.fullmatch(name):
        return int(match[1])
    if match := _ROW_BY_COLUMN.fullmatch(name):
        return int(match[1]) * 100_000 + int(match[2])  # sorts row by row
    return None


def _has_no_label(path: Path) -> bool:
    with open_text(path) as file:
        head = head_of(file, str(path))
    return head.named and all(_pixel_number(c) is not None for c in head.cells)


def _looks_like_pixels(file: BinaryIO, head: Head) -> bool:
    import polars as pl

    lines = b"".join(file.readline() for _ in range(20))
    try:
        rows = pl.read_csv(lines, has_header=False, separator=head.delimiter, infer_schema=False)
    except pl.exceptions.PolarsError:
        return False
    whole = sum(c.drop_nulls().cast(pl.UInt8, strict=False).null_count() == 0 for c in rows.get_columns())
    return whole >= len(head.cells) - 1  # one column may be a text label


def _plan(head: Head, block: bytes, request: Request, where: str) -> _Layout:
    names = head.names(where)
    if not head.named:
        label = _label_without_header(head, block, request, where)
        pixels = [k for k in range(len(names)) if k != label]
    else:
        label = _label_by_name(names, request, where)
        numbers = {
            k: n for k, name in enumerate(names) if k != label and (n := _pixel_number(name)) is not None
        }
        pixels = sorted(numbers, key=lambda k: numbers[k])
        _check_numbering(names, pixels, where)
    image = square_image(len(pixels))
    if image is None:
        raise InputError(
            f"{where} has {len(pixels)} pixel columns, which make no square picture, grey or in colour "
            "(784 is 28x28, 3072 is 32x32 in colour): a column is missing or too many"
        )
    used = {label, *pixels}
    return _Layout(
        names, tuple(pixels), label, image, tuple(n for k, n in enumerate(names) if k not in used)
    )  # fmt: skip


def _label_by_name(names: Sequence[str], request: Request, where: str) -> int:
    if isinstance(request.target, str):
        if request.target not in names:
            candidates = [n for n in names if _pixel_number(n) is None] or names[-1:]
            raise unknown_name(f"label column of {where}", request.target, candidates)
        return list(names).index(request.target)
    if request.target is not None:
        return _checked_index(request.target, len(names), where)
    others = [k for k, n in enumerate(names) if _pixel_number(n) is None]
    known = [k for k in others if names[k].lower() in _LABELS]
    if len(known or others) == 1:
        return (known or others)[0]
    if not others:
        raise InputError(
            f"{where} has no label column: all {len(names)} columns are pixels; add one named 'label'"
        )
    listed = ", ".join(names[k] for k in others)
    raise InputError(f"{where}: which column is the label, {listed}? Say target='...' (--target)")


def _checked_index(column: int, n: int, where: str) -> int:
    if not -n <= column < n:
        raise InputError(f"{where} has {n} columns: target={column} is none of them")
    return column % n


def _label_without_header(head: Head, block: bytes, request: Request, where: str) -> int:
    n = len(head.cells)
    if isinstance(request.target, str):
        raise InputError(f"{where} has no header: give the label's place instead, target=0 or target=-1")
    if request.target is not None:
        return _checked_index(request.target, n, where)
    import polars as pl

    some = b"\n".join(block.split(b"\n", 500)[:500])
    refuse_odd_lines(some, head, where, 1)
    try:
        rows = pl.read_csv(some, has_header=False, separator=head.delimiter, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise _unparsable(error, 1, where) from None
    likely = []
    for k in (0, n - 1):
        cells = rows.to_series(k).drop_nulls()
        values = cells.cast(pl.Float64, strict=False)
        if values.null_count() or ((values < 100).all() and values.n_unique() > 1):
            likely.append(k)
    if len(likely) != 1:
        raise InputError(
            f"{where} has no header: is the label first or last? Say target=0 or target=-1 (--target)"
        )
    return likely[0]


def _check_numbering(names: Sequence[str], pixels: Sequence[int], where: str) -> None:
    numbers = [int(m[1]) for k in pixels if (m := _PIXEL.fullmatch(names[k]) or _BARE.fullmatch(names[k]))]
    for a, b in pairwise(numbers):
        if b != a + 1:
            problem = f"number {a} twice" if a == b else f"no pixel {a + 1} between {a} and {b}"
            raise InputError(
                f"{where} has {len(numbers)} pixel columns with {problem}: the pictures are not whole"
            )


# --- cells


def _parse(
    block: bytes, head: Head, layout: _Layout, line: int, where: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Pixels (k, n_features) uint8 in pixel order and labels (k,) as text, of one block of lines."""
    import polars as pl

    try:
        frame = _frame(block, head, layout, pl.UInt8())
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or frame.null_count().sum_horizontal()[0]:
        # Something is wrong, or pixels are written as "12.0": read again so that it can be told where.
        frame = _with_numbers(block, head, layout, line, where)
    pixels = frame.select([layout.names[k] for k in layout.pixels]).to_numpy()
    return pixels, frame[layout.names[layout.label]].to_numpy()


def _frame(block: bytes, head: Head, layout: _Layout, kind: pl.DataType) -> pl.DataFrame:
    import polars as pl

    schema: dict[str, Any] = dict.fromkeys(layout.names, kind)
    for k, name in enumerate(layout.names):
        if k == layout.label or name in layout.left_out:
            schema[name] = pl.String()
    return pl.read_csv(block, schema=schema, has_header=False, separator=head.delimiter)


def _unparsable(error: Exception, line: int, where: str) -> InputError:
    return InputError(f"{where}: cannot be parsed from line {line} on: {str(error).splitlines()[0]}")


def _with_numbers(block: bytes, head: Head, layout: _Layout, line: int, where: str) -> pl.DataFrame:
    import polars as pl

    refuse_odd_lines(block, head, where, line)
    try:
        text = _frame(block, head, layout, pl.String())
    except pl.exceptions.PolarsError as error:
        raise _unparsable(error, line, where) from None
    numbers = text.with_columns(
        pl.col([layout.names[k] for k in layout.pixels]).cast(pl.Float64, strict=False)
    )
    filled = ~text.select(pl.all_horizontal(pl.all().is_null())).to_series()  # False: an empty line
    columns = []
    for k in (layout.label, *layout.pixels):
        name = layout.names[k]
        missing = (numbers[name].is_null() & filled).arg_true()
        if len(missing):
            row = int(missing[0])
            cell = text[name][row]
            what = (
                "is empty" if cell is None or not cell.strip() else f"holds {cell[:30]!r}, which is no number"
            )
            raise InputError(f"{where}: line {line + row}, column {name!r} {what}: correct or remove the row")
        if k == layout.label:
            columns.append(text[name].filter(filled))
            continue
        values = numbers[name].fill_null(0).to_numpy()
        wrong = ~((values >= 0) & (values <= 255) & (values == np.floor(values)))  # True for NaN too
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"{where}: line {line + row}, column {name!r} holds {text[name][row]}: "
                "pixels must be whole numbers from 0 to 255"
            )
        columns.append(pl.Series(name, values.astype(np.uint8)).filter(filled))
    return pl.DataFrame(columns)
