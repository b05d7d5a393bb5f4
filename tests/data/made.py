"""Small files of every kind, made for one test."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def pixels(seed: int, height: int = 4, width: int = 6, channels: int = 3) -> Pixels:
    """A random picture (height, width, channels), or (height, width) for one channel."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(picture: Pixels | Image.Image, form: str = "PNG") -> bytes:
    """A picture as the bytes of a file; PNG keeps every pixel."""
    out = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(out, form)
    return out.getvalue()


def row(picture: Pixels) -> Pixels:
    """A picture as a row of X: plane by plane."""
    return picture.reshape(-1) if picture.ndim == 2 else picture.transpose(2, 0, 1).reshape(-1)


def two_classes(n: int = 3, **shape: int) -> dict[str, bytes]:
    """Files `cat/0.png` ... and `dog/0.png` ..., pictures of seeds 0, 1, ... and 100, 101, ..."""
    cats = {f"cat/{k}.png": encoded(pixels(k, **shape)) for k in range(n)}
    return cats | {f"dog/{k}.png": encoded(pixels(100 + k, **shape)) for k in range(n)}


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
