"""Shares of a product that members of a team let the BLAS do: NumPy's results, and nothing else touched."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from glassnet.kernels import blas, by_blas, compiled, team
from glassnet.kernels.blas import allowed_threads, blas_threads
from glassnet.kernels.room import spaced
from glassnet.nn import Dense, Network
from glassnet.train import Feed, fit
from glassnet.train.threads import threads_for

pytestmark = [
    pytest.mark.usefixtures("behind"),
    pytest.mark.skipif(
        not by_blas.SHAREABLE,
        reason="this BLAS is not known to serve several threads (NumPy's wheels bring one)",
    ),
]
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
SHAPES = (
    (128, 300, 101),
    (129, 1000, 37),
    (500, 128, 513),
    (97, 1000, 16),
    (1100, 960, 1),
    (96, 1100, 10),
    (5, 2100, 100),
    (300, 18, 200),
    (1, 1100, 1000),
    (1100, 1, 1000),
)


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors on which the team's own tile is not ahead of the BLAS."""
    monkeypatch.setattr(team, "AHEAD", False)
    monkeypatch.setattr(by_blas, "AHEAD", False)


def rows_apart(X: Array) -> Array:
    apart = spaced(X.shape, X.dtype)
    apart[:] = X
    return apart


LAID_OUT = {"by rows": np.ascontiguousarray, "by columns": np.asfortranarray, "with gaps": rows_apart,
            "turned, with gaps": lambda X: rows_apart(X.T).T}  # fmt: skip


@pytest.mark.parametrize(("size", "dtype"), [(2, "float32"), (2, "float64"), (3, "float32"), (8, "float32")])
@pytest.mark.parametrize("b", LAID_OUT)
@pytest.mark.parametrize("a", LAID_OUT)
def test_every_share_is_what_numpy_gives(a: str, b: str, size: int, dtype: str) -> None:
    with blas_threads():
        members = team.Team(size, by_blas=True)
        for M, K, N in SHAPES:
            A = LAID_OUT[a](RNG.normal(size=(M, K)).astype(dtype))
            B = LAID_OUT[b](RNG.normal(size=(K, N)).astype(dtype))
            frame = np.full((M, N + 7), np.nan, dtype)
            out = frame[:, 3:-4]
            assert by_blas.gains_by_blas(A, B, out)
            by_blas.product_by_blas(A, B, out, members)
            exact, sizes = (
                A.astype(float) @ B.astype(float),
                np.abs(A).astype(float) @ np.abs(B).astype(float),
            )
            assert (np.abs(out - exact) <= np.sqrt(K) * np.finfo(dtype).eps * sizes).all(), (M, K, N)
            assert np.isnan(frame[:, :3]).all()
            assert np.isnan(frame[:, -4:]).all()
        members.dismiss()


@pytest.mark.parametrize(
    ("members", "rows", "shares"),
    [(1, 10, 1), (2, 127, 1), (2, 128, 2), (3, 128, 1), (4, 128, 2), (6, 200, 3), (8, 512, 8), (8, 511, 4)],
)
def test_shares_are_as_tall_as_pays(members: int, rows: int, shares: int) -> None:
    assert by_blas._down(members, rows) == shares


def refused() -> dict[str, tuple[Array, Array, Array]]:
    A, B, out = np.ones((128, 256)), np.ones((256, 64)), np.zeros((128, 64))
    odd = np.zeros(128, [("row", float, 256), ("mark", "u1")])["row"]
    return {
        "backwards": (A[::-1], B, out), "columns backwards": (A, B[:, ::-1], out),
        "every second": (np.ones((128, 512))[:, ::2], B, out), "one row again and again": (
            np.broadcast_to(A[:1], A.shape), B, out
        ),
        "odd distances": (odd, B, out), "two types": (A, B.astype("float32"), out),
        "other bytes": (A.astype(">f8"), B.astype(">f8"), out.astype(">f8")),
        "float16": (A.astype("f2"), B.astype("f2"), out.astype("f2")),
        "to columns": (A, B, np.asfortranarray(out)),
        "little to do": (A, B[:, :8], out[:, :8]),
    }  # fmt: skip


@pytest.mark.parametrize("what", refused())
def test_what_the_blas_does_not_take_goes_another_way(what: str) -> None:
    A, B, out = refused()[what]
    assert not by_blas.gains_by_blas(A, B, out)
    with threadpool_limits(2), team.employed(large=True):
        compiled.product(A, B, out)
    np.testing.assert_allclose(out, np.asarray(A, float) @ np.asarray(B, float))


def trained(size: int) -> Network:
    X, y = np.random.default_rng(0).integers(256, size=(500, 200)).astype(np.uint8), np.arange(500) % 10
    network = Network([Dense(500, "relu"), Dense(400, "relu"), Dense(10)], 200, seed=0)
    with threadpool_limits(size), threads_for(network, 128):
        fit(network, Feed(network, X / 255, y), epochs=3, batch_size=128)
    return network


def test_wide_networks_train_so_and_can_be_repeated_bit_for_bit(
    two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def counted(*arguments: Any) -> None:
        done.append(allowed_threads())
        by_blas.product_by_blas(*arguments)

    monkeypatch.setattr(compiled, "product_by_blas", counted)
    first = trained(2)
    assert len(done) == 3 * 4 * 5  # steps, and products of the wide layers in each
    assert set(done) == {1}
    np.testing.assert_array_equal(trained(2).theta, first.theta)
    done.clear()
    others = [trained(1)]
    monkeypatch.setattr(by_blas, "SHAREABLE", False)
    others.append(trained(2))
    assert not done
    for other in others:
        np.testing.assert_allclose(other.theta, first.theta, rtol=1e-2, atol=1e-3)


def test_short_batches_narrow_and_small_networks_are_not_for_the_blas(two: None) -> None:
    wide, narrow, small = (
        Network([Dense(units), Dense(10)], n) for units, n in ((512, 784), (128, 3072), (300, 500))
    )
    for network, rows in ((wide, 64), (narrow, 128), (small, 128)):
        with threads_for(network, rows):
            leads = team.current()
            assert leads is not None
            assert not leads.by_blas


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 8, 9])
def test_a_team_that_is_smaller_than_the_blas_leaves_it_the_products(
    threads: int, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is alone, and whose own tile is not ahead of the BLAS."""
    monkeypatch.setattr(team, "AHEAD", ahead)
    pools = SimpleNamespace(info=lambda: [{"num_threads": threads}], limit=lambda limits: nullcontext())
    monkeypatch.setattr(blas, "_pools", lambda: pools)
    multiplies = {1: ahead, 2: True, 8: True, 9: False}[threads]
    with team.employed(products=False, large=True):
        leads = team.current()
        assert leads is not None
        found = leads.size, leads.multiplies, leads.by_blas
        assert found == (min(8, threads), multiplies, multiplies and not ahead)


def test_a_blas_that_comes_with_another_module_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking through all libraries takes a millisecond: it is not done again for the same modules."""
    looks: list[int] = []

    def look(self: ThreadpoolController, real: Any = ThreadpoolController.__init__) -> None:
        looks.append(1)
        real(self)

    monkeypatch.setattr(ThreadpoolController, "__init__", look)
    blas._pools_of.cache_clear()
    for _ in range(3):
        allowed_threads()
    assert len(looks) == 1
    monkeypatch.setitem(sys.modules, "a_module_with_a_blas", ModuleType("a_module_with_a_blas"))
    allowed_threads()
    assert len(looks) == 2
    blas._pools_of.cache_clear()


@pytest.mark.parametrize(
    ("told", "shareable"),
    [({}, True), ({"threading_layer": "openmp"}, False), ({"internal_api": "blis"}, False)],
)
def test_only_a_blas_of_known_manners_is_called(
    told: dict[str, str], shareable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has a number of threads for each of its callers would have many in each member."""
    pools = ThreadpoolController()
    pools.lib_controllers = [pool for pool in pools.lib_controllers if "numpy" in pool.filepath]
    for name, value in told.items():
        setattr(pools.lib_controllers[0], name, value)
    monkeypatch.setattr(by_blas, "ThreadpoolController", lambda: pools)
    assert by_blas._made_known() == shareable
