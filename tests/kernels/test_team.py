"""A team does each part of a job exactly once, whoever is awake; the results are those of one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.kernels import compiled, team
from glassnet.nn import Dense, Network
from glassnet.train import Feed, fit
from glassnet.train.threads import threads_for

Array = np.ndarray[Any, Any]


def _count(counts: Array, start: int, stop: int) -> None:
    for i in range(start, stop):
        counts[i] += 1


count_together = team.divided(_count)


def blas_threads() -> int:
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.fixture
def two() -> Iterator[None]:
    """What the BLAS may use, on any machine."""
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() < 2:
            pytest.skip("this BLAS cannot use two threads")
        yield


@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_part_of_every_job_is_done_once(size: int) -> None:
    members, counts = team.Team(size), np.zeros(7, np.int64)
    parts = tuple((counts, i, i + 1) for i in range(7))
    try:
        for _ in range(3000):
            members.do(count_together, parts)
    finally:
        members.dismiss()
    assert counts.tolist() == [3000] * 7


def test_a_team_whose_members_sleep_is_as_right() -> None:
    members, counts = team.Team(3), np.zeros(4, np.int64)
    members.dismiss()
    members.do(count_together, tuple((counts, i, i + 1) for i in range(4)))
    assert counts.tolist() == [1] * 4


def test_a_team_is_employed_in_place_of_the_threads_of_the_blas(two: None) -> None:
    before = threading.active_count()
    with team.employed():
        leads = team.current()
        assert leads is not None
        assert (leads.size, blas_threads(), threading.active_count()) == (2, 1, before + 1)
        with team.employed():
            assert team.current() is leads
    assert (team.current(), blas_threads(), threading.active_count()) == (None, 2, before)
    with team.employed(products=False):
        leads = team.current()
        assert leads is not None
        assert (leads.size, blas_threads(), leads.multiplies) == (2, 2, False)
    with threadpool_limits(1), team.employed():
        leads = team.current()
        assert leads is not None
        assert (leads.size, threading.active_count()) == (1, before)


def test_the_team_leaves_when_something_fails(two: None) -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), team.employed():
        1 / 0  # noqa: B018
    assert (team.current(), blas_threads(), threading.active_count()) == (None, 2, before)


@pytest.mark.parametrize(
    ("update", "moments", "numbers"),
    [("sgd", 0, (0.1, 0.01)), ("momentum", 1, (0.1, 0.9, True, 0.0)),
     ("adam", 2, (0.1, 0.9, 0.99, 1e-8, 0.2, 0.05, 0.0))],
)  # fmt: skip
def test_updates_by_a_team_are_the_same_bits(
    two: None, update: str, moments: int, numbers: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=100_003).astype(np.float32) for _ in range(2)]
    arrays += [np.zeros(100_003, np.float32) for _ in range(moments)]
    alone, together = [a.copy() for a in arrays], [a.copy() for a in arrays]
    getattr(compiled, update)(*alone, *numbers)
    with team.employed():
        getattr(compiled, update)(*together, *numbers)
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("per_column", [False, True])
def test_rows_gathered_by_a_team_are_the_same_bits(two: None, per_column: bool) -> None:
    rng = np.random.default_rng(0)
    X, rows = rng.integers(256, size=(50, 1537)).astype(np.uint8), rng.integers(50, size=40)
    scale, shift = rng.normal(size=(2, 1537 if per_column else 1)).astype(np.float32)
    alone, together = np.empty((2, 40, 1537), np.float32)
    compiled.gather(X, rows, scale, shift, alone)
    with team.employed():
        compiled.gather(X, rows, scale, shift, together)
    assert (alone == together).all()


@pytest.mark.parametrize(
    ("M", "K", "N"), [(32, 3072, 128), (3072, 32, 128), (170, 1001, 64), (1001, 170, 37)]
)
def test_products_by_a_team(two: None, M: int, K: int, N: int) -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(M, K)), rng.normal(size=(K, N))
    found = np.full((2, M, N), np.nan)
    with team.employed():
        for out in found:
            compiled.product(A, B, out)
    np.testing.assert_allclose(found[0], A @ B, rtol=1e-10, atol=1e-10)
    assert (found[0] == found[1]).all()


def test_a_training_with_a_team_can_be_repeated_bit_for_bit(two: None) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(300, 400)).astype(np.uint8), rng.integers(10, size=300)
    thetas = []
    for size in (2, 2, 1):
        network = Network([Dense(128, "relu"), Dense(10)], 400)
        with threadpool_limits(size), threads_for(network, 64):
            assert getattr(team.current(), "size", None) == size
        with threadpool_limits(size):
            fit(network, Feed(network, X, y), epochs=3, batch_size=64)
        thetas.append(network.theta.copy())
    assert (thetas[0] == thetas[1]).all()
    np.testing.assert_allclose(thetas[0], thetas[2], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("widths", "rows", "shared"),
    [((128, 10), 32, "all"), ((64, 10), 170, "all"), ((100, 10), 32, "all"), ((100, 10), 200, "updates"),
     ((1024, 10), 32, "updates"), ((4, 10), 32, "nothing")],
)  # fmt: skip
def test_only_work_that_gains_is_shared(two: None, widths: tuple[int, ...], rows: int, shared: str) -> None:
    network = Network([Dense(width, "relu") for width in widths], 3072)
    with threads_for(network, rows):
        leads = team.current()
        found = "nothing" if leads is None else "all" if leads.multiplies else "updates"
        assert (found, blas_threads()) == (shared, 1 if shared == "all" else 2)
