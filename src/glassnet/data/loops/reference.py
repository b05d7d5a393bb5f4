"""The definitions of the data floor's loops: plain NumPy, to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["count_bytes", "picture_properties", "similar_pairs"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def count_bytes(X: Bytes, counts: Array) -> None:
    """Add one to counts[j, X[i, j]] for every element of X (n, n_features); counts is (n_features, 256)."""
    for j in range(X.shape[1]):
        counts[j] += np.bincount(X[:, j], minlength=256)


def picture_properties(X: Bytes, channels: int, height: int, width: int, out: Floats) -> None:
    """Seven properties of each image, into out (n, 7).

    Of the grey image (Rec. 601 luma, whole numbers): mean; standard deviation; 1st, 5th and 99th percentile
    (the smallest level below which lies more than that share); variance of the Laplacian. Of the colours: the
    largest difference between two channels of one pixel.
    """
    planes = X.reshape(-1, channels, height, width).astype(np.int64)
    spread = np.ptp(planes[:, :3], axis=1).max(axis=(1, 2)) if channels >= 3 else 0
    luma = (77, 150, 29) if channels >= 3 else (256,)
    grey = np.tensordot(planes[:, : len(luma)], np.array(luma), axes=(1, 0)) >> 8  # (n, height, width)
    n_pixels = height * width
    flat = np.sort(grey.reshape(-1, n_pixels), axis=1)
    out[:, 0] = flat.mean(axis=1)
    out[:, 1] = flat.std(axis=1)
    for k, share in enumerate((0.01, 0.05, 0.99)):
        out[:, 2 + k] = flat[:, min(int(share * n_pixels), n_pixels - 1)]
    out[:, 5] = 0
    if height >= 3 and width >= 3:
        inner = grey[:, 1:-1, 1:-1]
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        out[:, 5] = (4 * inner - around).var(axis=(1, 2))
    out[:, 6] = spread


def similar_pairs(
    X: Bytes,
    hashes: npt.NDArray[np.uint64],
    order: Ints,
    ends: Ints,
    bands: Ints,
    settings: npt.NDArray[np.float64],
    out: Ints,
) -> tuple[int, int]:
    """Pairs of images whose hashes differ in few bits and whose pixels correlate, into out (most, 2).

    Parameters
    ----------
    X : (n, n_features) uint8
    hashes : (n,) 64 bits of each image
    order : (4, n) for each of the four 16-bit bands of the hash, the rows sorted by the band's value
    ends : (4, n) for each place in `order`, where the run of rows to compare it with ends
    bands : (4, n) the band's values of each row
    settings : (3,) most differing bits, smallest correlation, most comparisons by pixels before it stops

    Returns
    -------
    Number of pairs found (may exceed len(out), which then holds the first), number compared by pixels.
    """
    found = compared = 0
    values = X.astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    norm = np.sqrt((values * values).sum(axis=1))
    for band in range(4):
        for place in range(len(X)):
            i = order[band, place]
            others = order[band, place + 1 : ends[band, place]]
            for j in others:
                if any(bands[b, i] == bands[b, j] for b in range(band)):
                    continue  # an earlier band has compared them
                if int(hashes[i] ^ hashes[j]).bit_count() > settings[0]:
                    continue
                if compared == settings[2]:
                    return found, compared
                compared += 1
                if norm[i] == 0 or norm[j] == 0 or values[i] @ values[j] < settings[1] * norm[i] * norm[j]:
                    continue
                if found < len(out):
                    out[found] = min(i, j), max(i, j)
                found += 1
    return found, compared
