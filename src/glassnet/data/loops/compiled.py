"""Numba twins of the reference loops: the same names, signatures and results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels.jit import compiler

__all__ = ["count_bytes", "picture_properties", "similar_pairs"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_jit = compiler(nogil=True)

_COLUMNS = 64  # 64 columns x 256 counters x 8 bytes stay in the second-level cache


@_jit
def count_bytes(X: Bytes, counts: npt.NDArray[Any]) -> None:
    """As `reference.count_bytes`."""
    n, width = X.shape
    for start in range(0, width, _COLUMNS):
        stop = min(width, start + _COLUMNS)
        for i in range(n):
            for j in range(start, stop):
                counts[j, X[i, j]] += 1


@_jit
def picture_properties(X: Bytes, channels: int, height: int, width: int, out: Floats) -> None:
    """As `reference.picture_properties`."""
    n_pixels = height * width
    grey = np.empty(n_pixels, np.int32)
    for i in range(len(X)):
        row = X[i]
        spread = 0
        if channels >= 3:
            for p in range(n_pixels):
                r, g, b = np.int32(row[p]), np.int32(row[n_pixels + p]), np.int32(row[2 * n_pixels + p])
                grey[p] = (77 * r + 150 * g + 29 * b) >> 8
                spread = max(spread, int(max(r, g, b) - min(r, g, b)))
        else:
            for p in range(n_pixels):
                grey[p] = row[p]
        histogram = np.zeros(256, np.int64)
        total, squares = np.int64(0), np.int64(0)
        for p in range(n_pixels):
            histogram[grey[p]] += 1
            total += grey[p]
            squares += grey[p] * grey[p]
        mean = total / n_pixels
        out[i, 0] = mean
        out[i, 1] = np.sqrt(max(squares / n_pixels - mean * mean, 0.0))
        for k, share in enumerate((0.01, 0.05, 0.99)):
            rank, level = min(int(share * n_pixels), n_pixels - 1), 0
            below = histogram[0]
            while below <= rank:
                level += 1
                below += histogram[level]
            out[i, 2 + k] = level
        out[i, 5] = _laplacian_variance(grey, height, width)
        out[i, 6] = spread


@_jit
def _laplacian_variance(grey: npt.NDArray[np.int32], height: int, width: int) -> float:
    if height < 3 or width < 3:
        return 0.0
    total, squares = np.int64(0), np.int64(0)
    for r in range(1, height - 1):
        for c in range(1, width - 1):
            p = r * width + c
            value = np.int64(4 * grey[p] - grey[p - 1] - grey[p + 1] - grey[p - width] - grey[p + width])
            total += value
            squares += value * value
    n = (height - 2) * (width - 2)
    mean = total / n
    return float(max(squares / n - mean * mean, 0.0))


@_jit
def _bit_count(x: np.uint64) -> int:
    """Number of ones, by adding neighbours (Warren, Hacker's Delight, 5-1)."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@_jit
def _correlation(a: Bytes, b: Bytes) -> float:
    """Pearson's correlation of two rows of bytes, by whole numbers; 0 if one of them is constant."""
    sa, sb, saa, sbb, sab = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for k in range(len(a)):
        x, y = np.int32(a[k]), np.int32(b[k])
        sa += x
        sb += y
        saa += x * x
        sbb += y * y
        sab += x * y
    n = len(a)
    va, vb = float(n * saa - sa * sa), float(n * sbb - sb * sb)
    if va <= 0.0 or vb <= 0.0:
        return 0.0
    return float((n * sab - sa * sb) / np.sqrt(va * vb))


@_jit
def similar_pairs(
    X: Bytes,
    hashes: npt.NDArray[np.uint64],
    order: Ints,
    ends: Ints,
    bands: Ints,
    settings: npt.NDArray[np.float64],
    out: Ints,
) -> tuple[int, int]:
    """As `reference.similar_pairs`."""
    found, compared = 0, 0
    for band in range(4):
        for place in range(len(X)):
            i = order[band, place]
            for other in range(place + 1, ends[band, place]):
                j = order[band, other]
                if _bit_count(hashes[i] ^ hashes[j]) > settings[0]:
                    continue
                earlier = False
                for b in range(band):
                    earlier = earlier or bands[b, i] == bands[b, j]
                if earlier:
                    continue
                if compared == settings[2]:
                    return found, compared
                compared += 1
                if _correlation(X[i], X[j]) < settings[1]:
                    continue
                if found < len(out):
                    out[found, 0], out[found, 1] = min(i, j), max(i, j)
                found += 1
    return found, compared
