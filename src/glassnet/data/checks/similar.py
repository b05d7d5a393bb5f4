"""Rows that are the same and images that are nearly the same, without comparing every pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import chunks

__all__ = ["CORRELATION", "HASH_BITS", "NearPairs", "average_hash", "near_pairs", "same_rows"]

Ints = npt.NDArray[np.int64]

HASH_BITS = 3  # with four bands, two hashes at most 3 bits apart agree in one band (pigeonhole)
CORRELATION = (
    0.95  # on CIFAR-10's training images every pair above it is one picture, a third below 0.92 is not
)
_MOST_PAIRS = 1_000_000
_MOST_COMPARISONS = 5_000_000  # by pixels: about 6 s for 32 x 32 colour images
_MOST_HASH_TESTS = 1_000_000_000  # about 10 s


def same_rows(X: npt.NDArray[Any]) -> Ints:
    """The first row equal to each row (its own number if there is none before), shape (n,).

    Rows are hashed (BLAKE2b, 128 bits: equal hashes are taken as equal rows). Two missing values are equal.

    >>> same_rows(np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [2.0, -0.0]])).tolist()
    [0, 1, 0, 1]
    """
    first: dict[bytes, int] = {}
    out = np.empty(len(X), np.int64)
    row = 0
    for piece in chunks(X):
        if piece.dtype.kind == "f":
            piece = piece + 0.0  # -0.0 becomes 0.0
            piece[np.isnan(piece)] = np.nan  # one bit pattern for all
        for values in np.ascontiguousarray(piece):
            key = hashlib.blake2b(values.data, digest_size=16).digest()
            out[row] = first.setdefault(key, row)
            row += 1
    return out


def average_hash(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 bits of each 8 x 8 thumbnail: is the pixel brighter than the mean? (Krawetz 2011)

    Parameters
    ----------
    grey : (n, 64) brightness of the thumbnails

    >>> hex(int(average_hash(np.repeat([[0, 255]], 32, axis=1))[0]))
    '0xffffffff'
    """
    bits = np.packbits(grey > grey.mean(axis=1, keepdims=True), axis=1)
    return bits.view(">u8").ravel().astype(np.uint64)


@dataclass(frozen=True)
class NearPairs:
    """Pairs of nearly equal images.

    Parameters
    ----------
    pairs : (p, 2) int64 row numbers, the smaller first
    n_found : number of pairs, more than p if there were too many to keep
    complete : False if the search was cut short because far too many images look alike
    """

    pairs: Ints
    n_found: int
    complete: bool


def near_pairs(X: npt.NDArray[np.uint8], grey: npt.NDArray[Any]) -> NearPairs:
    """Images whose average hashes differ in at most 3 of 64 bits and whose pixels correlate by at least 0.95.

    The hash is cut into four bands of 16 bits; only images that agree in one are compared (Norouzi, Punjani
    & Fleet 2012), so 50,000 images take half a second instead of an hour.

    Parameters
    ----------
    X : (n, n_features) uint8
    grey : (n, 64) brightness of the 8 x 8 thumbnails
    """
    from glassnet.data.loops import similar_pairs

    hashes = average_hash(grey)
    brightness = grey.mean(axis=1)
    bands = np.stack([((hashes >> np.uint64(16 * b)) & np.uint64(0xFFFF)).astype(np.int64) for b in range(4)])
    order = np.stack([np.lexsort((brightness, band)) for band in bands])
    ends = np.stack(
        [
            np.searchsorted(values := band[at], values, side="right")
            for band, at in zip(bands, order, strict=True)
        ]
    )
    places = np.arange(len(X))
    complete = True
    if (ends - places).sum() > _MOST_HASH_TESTS:
        complete = False  # within a band's bucket, compare only neighbours in brightness
        ends = np.minimum(ends, places + _MOST_HASH_TESTS // (4 * len(X)))
    out = np.empty((min(_MOST_PAIRS, len(X) * 20), 2), np.int64)
    settings = np.array([HASH_BITS, CORRELATION, _MOST_COMPARISONS], np.float64)
    found, compared = similar_pairs(X, hashes, order, ends, bands, settings, out)
    complete = complete and compared < _MOST_COMPARISONS
    return NearPairs(out[: min(found, len(out))].copy(), int(found), complete)
