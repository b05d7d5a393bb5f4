"""Every compiled loop of the data floor gives what its definition in NumPy gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from glassnet.data import loops
from glassnet.data.checks.similar import average_hash
from glassnet.data.loops import augment_compiled, augment_reference, compiled, reference
from glassnet.kernels import team

RNG = np.random.default_rng(11)


def test_both_modules_hold_the_same_names() -> None:
    assert sorted(compiled.__all__) == sorted(reference.__all__)
    assert sorted(augment_compiled.__all__) == sorted(augment_reference.__all__)
    assert sorted(loops.__all__) == sorted([*reference.__all__, *augment_reference.__all__])


def test_count_bytes() -> None:
    X = RNG.integers(0, 256, (50, 130), dtype=np.uint8)
    first, second = (np.ones((130, 256), np.int64) for _ in range(2))
    reference.count_bytes(X, first)
    compiled.count_bytes(X, second)
    np.testing.assert_array_equal(first, second)
    assert first.sum() == 130 * 256 + X.size


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 9, 7), (1, 16, 16), (4, 5, 4), (1, 2, 2)])
def test_picture_properties(channels: int, height: int, width: int) -> None:
    X = RNG.integers(0, 256, (30, channels * height * width), dtype=np.uint8)
    X[0] = 77
    X[1:9] //= 9
    first, second = (np.full((30, 7), np.nan, np.float32) for _ in range(2))
    reference.picture_properties(X, channels, height, width, first)
    compiled.picture_properties(X, channels, height, width, second)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(second[0, [1, 5]], 0)


def test_similar_pairs() -> None:
    X = RNG.integers(0, 256, (60, 256), dtype=np.uint8)
    X[30:] = np.clip(X[:30] + RNG.normal(0, np.linspace(1, 30, 30)[:, None], (30, 256)), 0, 255)
    X[5] = 9
    thumbnails = X.reshape(-1, 64, 4).mean(axis=2)
    hashes = average_hash(thumbnails)
    bands = np.stack([((hashes >> np.uint64(16 * b)) & np.uint64(0xFFFF)).astype(np.int64) for b in range(4)])
    order = np.argsort(bands, axis=1, kind="stable")
    ends = np.stack([np.searchsorted(v[o], v[o], side="right") for v, o in zip(bands, order, strict=True)])
    for most in (5, 1000):
        settings = np.array([3, 0.95, most])
        results = []
        for module in (reference, compiled):
            out = np.zeros((100, 2), np.int64)
            results.append(
                (*module.similar_pairs(X, hashes, order, ends, bands, settings, out), out.tolist())
            )
        assert results[0] == results[1]
    assert 5 < results[0][0] < 30


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Alone, and in teams that share out whatever they are given: within a plane, and where planes meet."""
    with threadpool_limits(request.param), team.employed():
        leader = team.current()
        assert leader is not None
        leader.shortest = 0
        yield leader.size


SHAPES = [(3, 32, 24), (1, 9, 7), (4, 5, 8), (2, 12, 12)]


def batch(channels: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Random images and settings for the loops that change them."""
    n, reach = 40, (min(height, width) - 1) // 2
    angle = RNG.uniform(-np.pi, np.pi, n)
    return {
        "X": RNG.integers(0, 256, (n, channels * height * width), dtype=np.uint8),
        "rows": RNG.integers(0, n, n),
        "flip": RNG.random(n) < 0.5,
        "down": RNG.integers(-reach, reach + 1, n),
        "right": RNG.integers(-reach, reach + 1, n),
        "cosine": np.rint(65536 * np.cos(angle)).astype(np.int64),
        "sine": np.rint(65536 * np.sin(angle)).astype(np.int64),
        "top": RNG.integers(-4, height, n),
        "left": RNG.integers(-4, width, n),
        "gain": RNG.integers(0, 257, n),
        "offset": RNG.integers(-49_000, 49_000, n),
        "partner": RNG.permutation(n),
        "share": RNG.integers(0, 257, n),
        "boxes": np.sort(RNG.integers(0, min(height, width) + 1, (n, 2, 2)), axis=2).reshape(n, 4),
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("move", ("rows", "flip", "down", "right")),
        ("turn", ("rows", "flip", "down", "right", "cosine", "sine")),
        ("blend", ("rows", "partner", "share")),
        ("paste", ("rows", "partner", "boxes")),
    ],
)
def test_loops_that_write_changed_pictures(
    shape: tuple[int, ...],
    name: str,
    settings: tuple[str, ...],
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(team, "LONG", 0)
    given = batch(*shape)
    size = () if name == "blend" else shape
    first, second = np.zeros_like(given["X"]), np.ones_like(given["X"])
    before = given["X"].copy()
    given["X"].setflags(write=shape[0] != 1)  # a memory map of stored pictures is read-only
    getattr(augment_reference, name)(given["X"], *(given[s] for s in settings), *size, first)
    getattr(augment_compiled, name)(given["X"], *(given[s] for s in settings), *size, second)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(given["X"], before)


@pytest.mark.parametrize("shape", SHAPES)
def test_loops_that_change_pictures_in_place(
    shape: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "LONG", 0)
    given = batch(*shape)
    first, second = given["X"].copy(), given["X"].copy()
    augment_reference.cut(first, given["top"], given["left"], 3, 99, *shape)
    augment_compiled.cut(second, given["top"], given["left"], 3, 99, *shape)
    np.testing.assert_array_equal(first, second)
    for rows, in_place in ((given["rows"], False), (np.arange(len(first)), True)):
        settings = (rows, given["gain"], given["offset"], 200)
        expected, got = (first, second) if in_place else (np.empty_like(first), np.empty_like(first))
        augment_reference.adjust(first, *settings, expected)
        augment_compiled.adjust(second, *settings, got)
        np.testing.assert_array_equal(expected, got)
    assert first.max() == 200
