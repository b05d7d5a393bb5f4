"""A team does each part of a job exactly once, whoever is awake; the results are those of one thread."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from glassnet.kernels import blas, by_blas, compiled, team, tile
from glassnet.kernels import gemm as gemm_module
from glassnet.kernels.gemm import gemm_plain
from glassnet.kernels.jit import jit
from glassnet.kernels.room import spaced
from glassnet.nn import Dense, Network
from glassnet.train import Feed, fit
from glassnet.train.threads import threads_for

Array = np.ndarray[Any, Any]


def _count(counts: Array, start: int, stop: int) -> None:
    for i in range(start, stop):
        counts[i] += 1


def _fail(counts: Array, start: int, stop: int) -> None:
    for i in range(start, stop):
        if counts[i] < 0:
            raise ValueError("this part fails")
        counts[i] += 1


gemm = jit(gemm_plain)
count_together, fail_together = team.divided(_count), team.divided(_fail)


def blas_threads() -> int:
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


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


def test_a_part_that_fails_ends_in_an_error_and_not_in_waiting() -> None:
    members, counts = team.Team(2), np.array([0, 0, -1, 0])
    parts = tuple((counts, i, i + 1) for i in range(4))
    try:
        for _ in range(200):
            with pytest.raises(RuntimeError, match="a part of the work"):
                members.do(fail_together, parts)
        counts[2] = 200
        members.do(fail_together, parts)
    finally:
        members.dismiss()
    assert counts.tolist() == [201] * 4


def test_more_parts_than_tickets_are_refused() -> None:
    members, counts = team.Team(1), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="at most 255 parts"):
        members.do(count_together, tuple((counts, 0, 1) for _ in range(256)))


@pytest.mark.parametrize("n", [*range(300), 1001, 2**20])
def test_nobody_gets_nothing_and_nothing_is_left(n: int) -> None:
    for parts in range(1, 65):
        edges = team.cut(n, parts)
        assert (edges[0][0], edges[-1][1]) == (0, n)
        assert len(edges) <= parts
        assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
        assert all(i < j and i % 16 == 0 for i, j in edges) or n == 0


def test_a_team_has_eight_members_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = ThreadpoolController
    monkeypatch.setattr(pools, "info", lambda _: [{"num_threads": 64}])
    with team.employed(products=False):
        leads = team.current()
        assert leads is not None
        assert leads.size == 8


def test_without_a_tile_the_blas_keeps_its_threads(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "BYTES", 0)
    with team.employed():
        assert blas_threads() == 2


def test_a_system_that_forbids_to_move_is_left_alone(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbid, raising=False)
    counts = np.zeros(2, np.int64)
    with team.employed():
        leads = team.current()
        assert leads is not None
        leads.do(count_together, ((counts, 0, 1), (counts, 1, 2)))
    assert counts.tolist() == [1, 1]


def test_who_works_alone_stays_where_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that train beside each other, one thread each, would all go to the same processor."""
    moves: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *to: moves.append(to), raising=False)
    with threadpool_limits(1), team.employed():
        assert team.current() is not None
    assert moves == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system places threads itself")
def test_who_leads_may_still_run_anywhere(two: None) -> None:
    before = os.sched_getaffinity(0)
    with team.employed():
        assert os.sched_getaffinity(0) == before


def test_code_for_a_team_is_found_in_the_cache_by_the_next_process(tmp_path: Path) -> None:
    """Also of a kernel that calls other compiled functions, which have another identity in every process."""
    script = (
        "import numpy as np; from glassnet.kernels import team; "
        "from glassnet.data.loops import augment_compiled as a; team._local.team = t = team.Team(2); "
        "X = np.ones((32, 1024), np.uint8); n = np.zeros(32, np.int64); "
        "a.move(X, np.arange(32), n > 0, n, n, 1, 32, 32, np.empty_like(X)); t.dismiss()"
    )
    kept = []
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", script], check=True, env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        )
        kept.append(sorted(path.name for path in tmp_path.rglob("*move_together*.nbc")))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 1


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


def test_threads_of_the_blas_come_back_whoever_is_last(two: None) -> None:
    """Two trainings at once: the second finds one thread, and must not put back that one when it ends."""
    first, second = ExitStack(), ExitStack()
    with ThreadPoolExecutor(1) as other:
        first.enter_context(blas.blas_threads())
        assert other.submit(second.enter_context, blas.blas_threads()).result() == 1
        first.close()
        assert blas_threads() == 2
        other.submit(second.close).result()
    assert blas_threads() == 2


def test_the_strictest_limit_counts(two: None) -> None:
    """A second BLAS that is loaded later has all threads; a limit set before must hold nevertheless."""
    one = ThreadpoolController().select(user_api="blas").lib_controllers[0].filepath
    with ThreadpoolController().select(filepath=one).limit(limits=1), team.employed():
        leads = team.current()
        assert leads is not None
        assert leads.size == 1


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
    alone, together = np.empty((40, 1537), np.float32), spaced((40, 1537), np.float32)
    compiled.gather(X, rows, scale, shift, alone)
    with team.employed():
        compiled.gather(X, rows, scale, shift, together)
    assert together.strides == (4 * 1552, 4)
    assert (alone == together).all()


@pytest.mark.parametrize(
    ("M", "K", "N"), [(32, 3072, 128), (3072, 32, 128), (170, 1001, 64), (1001, 170, 37), (32, 64, 128)]
)
@pytest.mark.parametrize("size", [2, 8])
def test_products_by_a_team(
    two: None, monkeypatch: pytest.MonkeyPatch, M: int, K: int, N: int, size: int
) -> None:
    monkeypatch.setattr(ThreadpoolController, "info", lambda _: [{"num_threads": size}])
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(M, K)), rng.normal(size=(K, N))
    found = np.full((2, M, N), np.nan)
    with team.employed():
        for out in found:
            compiled.product(A, B, out)
    np.testing.assert_allclose(found[0], A @ B, rtol=1e-10, atol=1e-10)
    assert (found[0] == found[1]).all()


@pytest.mark.skipif(tile.BYTES == 0, reason="there is no tile for this processor's registers")
@pytest.mark.parametrize(
    ("M", "K", "N", "ahead", "own"),
    [(512, 300, 33, False, True), (512, 300, 128, False, False), (60, 900, 128, False, True),
     (512, 300, 128, True, True), (512, 300, 129, True, False)],
)  # fmt: skip
def test_who_works_alone_does_short_and_narrow_products(
    monkeypatch: pytest.MonkeyPatch, M: int, K: int, N: int, ahead: bool, own: bool
) -> None:
    """And those of whole vectors, where the tile is ahead of the BLAS."""
    monkeypatch.setattr(gemm_module, "AHEAD", ahead)
    done: list[bool] = []
    gemm_together = compiled._gemm_together

    def share(*args: Any) -> bool:
        done.append(True)
        return bool(gemm_together(*args))

    monkeypatch.setattr(compiled, "_gemm_together", share)
    rng = np.random.default_rng(0)
    A, B, out = rng.normal(size=(M, K)), rng.normal(size=(K, N)), np.empty((M, N))
    compiled.product(A, B, out)
    assert not done
    with team.alone():
        compiled.product(A, B, out)
    assert done == [True] * own
    assert team.current() is None
    np.testing.assert_allclose(out, A @ B, rtol=1e-10, atol=1e-10)


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
    [((128, 10), 32, "all"), ((64, 10), 170, "all"), ((100, 10), 32, "all"), ((100, 10), 200, "by the BLAS"),
     ((50, 10), 200, "updates"), ((1024, 10), 32, "updates"), ((1024, 10), 128, "by the BLAS"),
     ((4, 10), 32, "nothing")],
)  # fmt: skip
@pytest.mark.parametrize(("shareable", "ahead"), [(True, False), (False, False), (True, True)])
def test_only_work_that_gains_is_shared(
    two: None, widths: tuple[int, ...], rows: int, shared: str, shareable: bool, ahead: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(by_blas, "SHAREABLE", shareable)
    monkeypatch.setattr(by_blas, "AHEAD", ahead)
    monkeypatch.setattr(team, "AHEAD", ahead)
    if shared == "by the BLAS" and not shareable:
        shared = "updates"
    if ahead and widths in ((1024, 10), (100, 10)):
        shared = "all"
    network = Network([Dense(width, "relu") for width in widths], 3072, "squared")
    with threads_for(network, rows):
        leads = team.current()
        found = blas_threads(), None if leads is None else (leads.multiplies, leads.by_blas)
    assert found == {
        "nothing": (2, None), "updates": (2, (False, False)), "all": (1, (True, False)),
        "by the BLAS": (1, (True, True)),
    }[shared]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_in_any_parts_use_only_what_is_theirs(dtype: str) -> None:
    """For odd shapes and every number of members: NaN all around the matrices is neither used nor changed."""
    rng = np.random.default_rng(0)

    def framed(rows: int, columns: int) -> tuple[Array, Array]:
        frame = np.full((rows + 8, columns + 40), np.nan, dtype)
        return frame, frame[4 : 4 + rows, 20 : 20 + columns]

    for _ in range(400):
        M, K, N = (int(n) for n in rng.integers((4, 16, 16), (200, 300, 200)))
        (_, A), (_, B), (frame, out) = framed(M, K), framed(K, N), framed(M, N)
        if rng.random() < 0.5:
            B = framed(N, K)[1].T
        A[...], B[...] = rng.normal(size=(M, K)), rng.normal(size=(K, N))
        if rng.random() < 0.3:
            A, B = A[::-1], B[:, ::-1]
        parts = int(rng.integers(1, 65))
        if rng.random() < 0.5:
            for i, j in team.cut(M, parts):
                gemm(A[i:j], B, out[i:j])
        else:
            out[...] = 0
            for i, j in team.cut(K, parts):
                term_frame, term = framed(M, N)
                gemm(A[:, i:j], B[i:j], term)
                assert np.isnan(term_frame).sum() == term_frame.size - term.size
                out += term
        atol = 1e3 * np.finfo(dtype).eps
        np.testing.assert_allclose(out, A @ B, rtol=0, atol=atol, err_msg=f"{M, K, N, parts}")
        assert np.isnan(frame).sum() == frame.size - out.size


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row_or_column(bad: float) -> None:
    A, B, out = np.ones((37, 40)), np.ones((40, 37)), np.empty((2, 37, 37))
    A[36, 39] = bad
    gemm(A, B, out[0])
    gemm(B.T.copy(), A.T, out[1])
    with np.errstate(invalid="ignore"):
        exact = A @ B, B.T @ A.T
    for found, expected in zip(out, exact, strict=True):
        np.testing.assert_array_equal(found, expected)
