"""The data of the benchmarks: prepared once into plain files, read by every contestant in its own form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "load", "prepare"]

Array = npt.NDArray[Any]
N_IMAGES = 40_000
N_PIXELS = 3072


def prepare(folder: Path, source: str | None, n_images: int = N_IMAGES) -> str:
    """Write images and digits into a folder; returns in words what they are.

    Parameters
    ----------
    source : anything `glassnet.read` takes that gives 32 x 32 colour images of ten classes; None makes
        images of the same shape instead
    n_images : at most as many training rows
    """
    if source is None:
        X, y = _made(n_images)
        words = f"{len(X):,} synthetic uint8 images of CIFAR-10's shape"
    else:
        from glassnet import read, split

        dataset = read(source)
        if dataset.n_features != N_PIXELS or dataset.n_classes != 10 or dataset.X.dtype != np.uint8:
            raise SystemExit(
                f"{source}: {dataset.n_features} columns of {dataset.X.dtype}, {dataset.n_classes} classes; "
                f"the benchmarks need 32 x 32 colour images ({N_PIXELS} columns of uint8) in ten classes"
            )
        rows = split(dataset, validation=0.2, seed=0).train[:n_images]
        X, y = dataset.X[rows], dataset.y[rows]
        words = f"{len(X):,} training images of {Path(source).name}"
    _write(folder, "images", X, y, 255.0)

    from sklearn.datasets import load_digits

    digits = load_digits()
    _write(folder, "digits", digits.data.astype(np.uint8), digits.target, 16.0)
    return words


def _made(n: int) -> tuple[Array, Array]:
    """Ten smooth prototypes, blended with another class's and drowned in noise: learnable, not at once."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (10, 3, 4, 4))
    prototypes = np.kron(coarse, np.ones((8, 8))).reshape(10, N_PIXELS).astype(np.float32)
    y = rng.integers(0, 10, n)
    X = np.empty((n, N_PIXELS), np.uint8)
    for start in range(0, n, 1000):
        which = y[start : start + 1000]
        share = rng.uniform(0.3, 0.8, (len(which), 1)).astype(np.float32)
        other = prototypes[rng.integers(0, 10, len(which))]
        noise = rng.standard_normal((len(which), N_PIXELS), np.float32) * np.float32(60)
        X[start : start + 1000] = np.clip(share * prototypes[which] + (1 - share) * other + noise, 0, 255)
    return X, y


def _write(folder: Path, name: str, X: Array, y: Array, largest: float) -> None:
    X.astype(np.uint8).tofile(folder / f"{name}.bytes")
    np.save(folder / f"{name}.y.npy", y.astype(np.int64))
    (folder / f"{name}.json").write_text(json.dumps({"shape": X.shape, "largest": largest}))


@dataclass(frozen=True)
class Rows:
    """Stored rows, read in the form a contestant wants; nothing but that form stays in memory."""

    folder: Path
    name: str
    shape: tuple[int, int]
    largest: float  # the value that becomes 1
    y: Array

    @property
    def scale(self) -> float:
        return 1.0 / self.largest

    def bytes(self, n: int | None = None) -> Array:
        """(n, columns) uint8 as stored."""
        return self._read(np.dtype(np.uint8), n)

    def floats(self, n: int | None = None, dtype: npt.DTypeLike = np.float32) -> Array:
        """(n, columns) scaled to 0 ... 1."""
        return self._read(np.dtype(dtype), n)

    def _read(self, dtype: np.dtype[Any], n: int | None) -> Array:
        n = self.shape[0] if n is None else min(n, self.shape[0])
        X = _aligned((n, self.shape[1]), dtype)
        step = max(1, 2**20 // self.shape[1])
        with open(self.folder / f"{self.name}.bytes", "rb") as file:
            for start in range(0, n, step):
                rows = min(step, n - start)
                piece = np.frombuffer(file.read(rows * self.shape[1]), np.uint8).reshape(rows, -1)
                X[start : start + rows] = (
                    piece if dtype == np.uint8 else np.multiply(piece, self.scale, dtype=np.float32)
                )
        return X


def _aligned(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    """Memory at a multiple of 64 bytes: JAX takes that over without a copy."""
    size = shape[0] * shape[1] * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def load(folder: Path, name: str) -> Rows:
    """What `prepare` has written; only the classes are read at once."""
    told = json.loads((folder / f"{name}.json").read_text())
    return Rows(
        folder, name, (told["shape"][0], told["shape"][1]), told["largest"], np.load(folder / f"{name}.y.npy")
    )
