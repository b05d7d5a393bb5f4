"""One seed, many independent streams of random numbers: one for each use."""

from __future__ import annotations

import zlib

import numpy as np

from glassnet.errors import InputError

__all__ = ["stream"]


def stream(seed: int, use: str, *path: int) -> np.random.Generator:
    """An independent generator for one use of a seed, e.g. "split", "init", "order", "dropout".

    Each use has its own stream, so adding dropout never changes the order of the batches.
    `path` opens sub-streams (an epoch, a layer). The global NumPy state is never touched. A seed that is no
    whole number of at least 0 is an InputError.

    >>> stream(0, "init").integers(100) == stream(0, "init").integers(100)
    np.True_
    >>> stream(0, "init").integers(10**9) == stream(0, "order").integers(10**9)
    np.False_
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, not {seed!r}")
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(use.encode()), *path]))
