"""MNIST's IDX files and all that imitate them (Fashion-MNIST, EMNIST, KMNIST), plain or gzipped."""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.data.sources.content import Content, Request, Sink, part_code
from glassnet.data.sources.labels import class_codes
from glassnet.data.sources.tree import Tree
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

__all__ = ["USED", "idx_pairs", "is_idx_name", "pack", "sibling"]

USED = frozenset({"target", "transpose", "class_names"})

_NAME = re.compile(r"(?P<stem>.*?)(?P<kind>images|labels)[-._]idx[13][-._]ubyte(?:\.gz)?", re.IGNORECASE)
_UBYTE = 8  # the only type of these files' values that pictures and labels come in
_MOST = 10**9  # bytes that a file may claim to hold, unless it is not much smaller itself
_ROWS = 2000  # pictures passed on at a time


@dataclass(frozen=True)
class _Pair:
    images: str
    labels: str
    collection: str  # "" or for example "emnist-balanced"
    part: int


def is_idx_name(name: str) -> bool:
    """Whether a file name is that of IDX images or labels ("train-images-idx3-ubyte.gz")."""
    return _NAME.fullmatch(name) is not None


def idx_pairs(tree: Tree) -> list[_Pair]:
    """Image files with their label files, in order of collection and part."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(tree.sizes):
        match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
        if match:
            found.setdefault((match["stem"], match["kind"].lower()), path)
    pairs = []
    for (stem, kind), path in found.items():
        if kind != "images":
            continue
        labels = found.get((stem, "labels"))
        if labels is None:
            raise InputError(
                f"{tree.root}: there is no labels file beside {path}: it should have the same name"
            )
        words = [w for w in re.split(r"[-._ ]", stem) if w]
        part = 2 if words and words[-1] == "t10k" else part_code(words[-1] if words else "")
        pairs.append(_Pair(path, labels, "-".join(words if part is None else words[:-1]), part or 0))
    return sorted(pairs, key=lambda p: (p.collection, p.part))


def pack(tree: Tree, request: Request, sink: Sink, progress: Progress) -> Content:
    """Read pairs of images and labels; `request.target` chooses among collections (EMNIST has six)."""
    pairs = _chosen(tree, request)
    labels: list[npt.NDArray[np.int64]] = []
    parts: list[npt.NDArray[np.int8]] = []
    image: ImageShape | None = None
    notes: list[str] = []
    if "emnist" in pairs[0].collection.lower() and not request.transpose:
        notes.append("EMNIST's pictures lie on their side: transpose=True (--transpose) turns them upright")
    progress.begin("reading IDX files", len(pairs))
    try:
        for pair in pairs:
            pictures, where = _values(tree, pair.images, 3), f"{tree.root}: {pair.images}"
            codes = _values(tree, pair.labels, 1).astype(np.int64)
            if len(codes) != len(pictures):
                raise InputError(
                    f"{where} has {len(pictures)} pictures but {pair.labels} has {len(codes)} labels"
                )
            shape = ImageShape(pictures.shape[1], pictures.shape[2], 1)
            if image is not None and shape != image:
                raise InputError(f"{where} has pictures of {shape}, the files before it of {image}")
            image = shape
            for start in range(0, len(pictures), _ROWS):
                some = pictures[start : start + _ROWS]
                sink.write((some.swapaxes(1, 2) if request.transpose else some).reshape(len(some), -1))
            labels.append(codes)
            parts.append(np.full(len(codes), pair.part, np.int8))
            progress.advance()
    finally:
        progress.end()
    assert image is not None
    if request.transpose:
        image = replace(image, height=image.width, width=image.height)
    codes, part = np.concatenate(labels), np.concatenate(parts)
    if request.class_names is None:
        codes, names = _named(tree, pairs[0].collection, codes)
    else:
        names = request.class_names
    target = class_codes(codes, names, str(tree.root))
    return Content(
        target.y, target.class_names, image, part if len(np.unique(part)) > 1 else None, tuple(notes)
    )  # fmt: skip


def _chosen(tree: Tree, request: Request) -> list[_Pair]:
    pairs = idx_pairs(tree)
    if not pairs:
        raise InputError(f"{tree.root} has IDX labels but no images: both files are needed")
    collections = sorted({p.collection for p in pairs})
    if request.target is not None:
        if request.target not in collections:
            raise unknown_name(f"collection in {tree.root}", request.target, collections)
        return [p for p in pairs if p.collection == request.target]
    if len(collections) > 1:
        listed = ", ".join(collections)
        raise InputError(
            f"{tree.root} holds several collections ({listed}): choose one with target='...' (--target)"
        )
    return pairs


def _named(
    tree: Tree, collection: str, codes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
    """Names from EMNIST's "<collection>-mapping.txt": a line for each code, with the character's number."""
    path = next((p for p in tree.sizes if p.rsplit("/", 1)[-1] == f"{collection}-mapping.txt"), None)
    if path is None or not collection:
        return codes, None
    rows = [line.split() for line in tree.read(path).decode("ascii", "replace").splitlines() if line.strip()]
    try:
        names = {int(row[0]): chr(int(row[1])) for row in rows}
        found, codes = np.unique(codes, return_inverse=True)
        return codes.astype(np.int64), tuple(names[int(f)] for f in found)
    except (IndexError, ValueError, KeyError):
        raise InputError(f"{tree.root}: {path} does not name every label: remove or replace it") from None


def _values(tree: Tree, path: str, n_axes: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file: two zero bytes, type, number of axes, their lengths, values (big-endian)."""
    where = f"{tree.root}: {path}"
    packed = tree.read(path)
    raw = io.BytesIO(packed)
    file = gzip.GzipFile(fileobj=raw) if packed.startswith(b"\x1f\x8b") else raw
    try:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0":
            raise InputError(
                f"{where} is no IDX file: it starts with {head.hex(' ') or 'nothing'}, not with 00 00"
            )
        if head[2] != _UBYTE or head[3] != n_axes:
            form = f"type 0x{head[2]:02x} with {head[3]} axes"
            raise InputError(f"{where} holds values of {form}, not of type 0x08 (bytes) with {n_axes}")
        lengths = np.frombuffer(file.read(4 * n_axes), ">u4")
        shape = tuple(int(n) for n in lengths)
        claimed = math.prod(shape)
        if len(shape) < n_axes or claimed == 0 or claimed > max(_MOST, 100 * len(packed)):
            raise InputError(f"{where} claims the shape {shape}: the file is damaged, download it again")
        content = file.read(claimed + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{where} cannot be unpacked ({error}): download it again") from None
    if len(content) != claimed:
        more = "more" if len(content) > claimed else f"only {len(content)}"
        raise InputError(
            f"{where} claims {claimed} values but holds {more}: it is damaged, download it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def sibling(path: Path) -> Path:
    """The labels file of an images file, or the other way round."""
    match = _NAME.fullmatch(path.name)
    assert match is not None
    other, axes = ("labels", "1") if match["kind"].lower() == "images" else ("images", "3")
    near = re.compile(rf"{re.escape(match['stem'])}{other}[-._]idx{axes}[-._]ubyte(?:\.gz)?", re.IGNORECASE)
    found = sorted(p for p in path.parent.iterdir() if near.fullmatch(p.name))
    if not found:
        raise InputError(f"there is no {other} file beside {path}: both are needed")
    return found[0]
