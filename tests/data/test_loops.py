"""Every compiled loop of the data floor gives what its definition in NumPy gives."""

from __future__ import annotations

import numpy as np

from glassnet.data.loops import compiled, reference

RNG = np.random.default_rng(11)


def test_both_modules_hold_the_same_names() -> None:
    assert sorted(compiled.__all__) == sorted(reference.__all__)


def test_count_bytes() -> None:
    X = RNG.integers(0, 256, (50, 130), dtype=np.uint8)
    first, second = (np.ones((130, 256), np.int64) for _ in range(2))
    reference.count_bytes(X, first)
    compiled.count_bytes(X, second)
    np.testing.assert_array_equal(first, second)
    assert first.sum() == 130 * 256 + X.size
