"""CIFAR-10 and CIFAR-100 as their authors publish them: Python or binary version, folder or archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.data.sources.content import Content, Request, Sink
from glassnet.data.sources.labels import CIFAR10, class_codes
from glassnet.data.sources.tree import Tree
from glassnet.data.sources.unpickle import load_arrays
from glassnet.errors import InputError, unknown_name
from glassnet.progress import Progress

__all__ = ["USED", "is_cifar", "pack"]

USED = frozenset({"target"})

_IMAGE = ImageShape(32, 32, 3)
_BATCHES = tuple(f"data_batch_{k}" for k in range(1, 6))


@dataclass(frozen=True)
class _Version:
    """One of the four published forms."""

    train: tuple[str, ...]  # file names
    test: str
    binary: bool
    label_bytes: tuple[str, ...]  # kinds of labels, in the order of a binary record


_VERSIONS = (
    _Version(_BATCHES, "test_batch", False, ("fine",)),
    _Version(tuple(f"{b}.bin" for b in _BATCHES), "test_batch.bin", True, ("fine",)),
    _Version(("train",), "test", False, ("coarse", "fine")),
    _Version(("train.bin",), "test.bin", True, ("coarse", "fine")),
)


def is_cifar(tree: Tree) -> bool:
    """Whether the files are those of CIFAR-10 or CIFAR-100 (some batches may be missing)."""
    return _version(tree) is not None


def pack(tree: Tree, request: Request, sink: Sink, progress: Progress) -> Content:
    """Read the batches: training images first, then test images, each in the order of their files.

    `request.target` is "fine" (default) or "coarse", the two labels of CIFAR-100.
    """
    version = _version(tree)
    assert version is not None
    target = request.target or "fine"
    if target not in version.label_bytes:
        raise unknown_name("label of this CIFAR version", target, version.label_bytes)
    paths = {p.rsplit("/", 1)[-1]: p for p in tree.sizes}
    wanted = (*version.train, version.test)
    there = [name for name in wanted if name in paths]
    names = _class_names(tree, paths, version, str(target))
    labels: list[npt.NDArray[np.int64]] = []
    parts: list[npt.NDArray[np.int8]] = []
    progress.begin("reading CIFAR", len(there))
    try:
        for name in there:
            where = f"{tree.root}: {name}"
            read = _binary if version.binary else _pickled
            for pixels, codes in read(tree.read(paths[name]), version, str(target), where):
                labels.append(class_codes(codes, names, where).y)
                parts.append(np.full(len(codes), 2 if name == version.test else 0, np.int8))
                sink.write(pixels)
            progress.advance()
    finally:
        progress.end()
    missing = [name for name in wanted if name not in paths]
    notes = (f"not there: {', '.join(missing)}",) if missing else ()
    part = np.concatenate(parts)
    return Content(np.concatenate(labels), names, _IMAGE, part if len(np.unique(part)) > 1 else None, notes)


def _version(tree: Tree) -> _Version | None:
    names = {p.rsplit("/", 1)[-1] for p in tree.sizes}
    for version in _VERSIONS[:2]:
        if names & {*version.train, version.test}:
            return version
    if {"train", "meta"} <= names or {"test", "meta"} <= names:
        return _VERSIONS[2]
    if {"train.bin", "fine_label_names.txt"} <= names or {"test.bin", "fine_label_names.txt"} <= names:
        return _VERSIONS[3]
    return None


def _class_names(tree: Tree, paths: dict[str, str], version: _Version, target: str) -> tuple[str, ...]:
    ten = len(version.label_bytes) == 1
    listed = "batches.meta" if ten else "meta"
    if version.binary:
        listed = "batches.meta.txt" if ten else f"{target}_label_names.txt"
    if listed not in paths:
        return CIFAR10  # only the ten-class version is recognised without its list of names
    content = tree.read(paths[listed])
    if version.binary:
        return tuple(line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip())
    meta = load_arrays(content, f"{tree.root}: {listed}")
    names = meta.get("label_names" if ten else f"{target}_label_names")
    if not isinstance(names, list) or not names:
        raise InputError(f"{tree.root}: {listed} holds no list of class names: download it again")
    return tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names)


Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def _pickled(content: bytes, version: _Version, target: str, where: str) -> Iterator[Batch]:
    batch = load_arrays(content, where)
    pixels: Any = batch.get("data")
    labels: Any = batch.get("labels" if len(version.label_bytes) == 1 else f"{target}_labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise InputError(f"{where} holds no array of pixels: download it again")
    if pixels.shape[1] != _IMAGE.n_features:
        raise InputError(
            f"{where} has {pixels.shape[1]} pixel values per image instead of {_IMAGE.n_features}"
        )
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(pixels):
        raise InputError(f"{where} does not have one label for each of its {len(pixels)} images")
    try:
        yield pixels, np.array(labels, np.int64)
    except (TypeError, ValueError):
        raise InputError(f"{where} has labels that are no numbers: download it again") from None


def _binary(content: bytes, version: _Version, target: str, where: str) -> Iterator[Batch]:
    heads = len(version.label_bytes)
    record = heads + _IMAGE.n_features
    if not content or len(content) % record:
        raise InputError(
            f"{where} has {len(content)} bytes, not a multiple of {record} (label and pixels): it is cut off"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    yield records[:, heads:], records[:, version.label_bytes.index(target)].astype(np.int64)
