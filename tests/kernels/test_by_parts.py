"""Products of floats in three parts are as good as those of floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.kernels import by_parts, team
from glassnet.kernels.amx import HALVES_TOO
from glassnet.nn import Dense, Network

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(not HALVES_TOO, reason="needs a processor with AMX, and Linux")


@pytest.fixture(params=[1, 2], ids=["alone", "two"])
def members(request: pytest.FixtureRequest) -> Iterator[team.Team]:
    found = team.Team(request.param)
    yield found
    found.dismiss()


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _product(A: Array, B: Array, members: team.Team) -> Array:
    out = np.full((len(A), B.shape[1]), np.nan, np.float32)
    by_parts.product_by_parts(A, B, out, members)
    return out


def _error(found: Array, A: Array, B: Array) -> float:
    """The largest error, as a share of the sum of the magnitudes of what was added up."""
    A, B = A.astype(float), B.astype(float)
    return float(np.max(np.abs(found - A @ B) / (np.abs(A) @ np.abs(B) + 1e-30)))


@pytest.mark.parametrize(
    ("M", "K", "N"),
    [(1, 1, 1), (16, 64, 16), (17, 65, 31), (33, 447, 20), (40, 449, 530), (2060, 70, 33), (130, 3072, 48)],
)
def test_any_shape(M: int, K: int, N: int, members: team.Team) -> None:
    A, B = _numbers(M, K), _numbers(K, N, seed=1)
    assert _error(_product(A, B, members), A, B) < 5e-7


def test_it_loses_about_as_much_as_sums_of_floats(members: team.Team) -> None:
    A, B = np.maximum(_numbers(300, 1000), 0), _numbers(1000, 200, seed=1)
    assert _error(_product(A, B, members), A, B) < 3 * _error(A @ B, A, B)


def test_parts_of_larger_arrays(members: team.Team) -> None:
    """Rows with gaps between them, and nothing is written there."""
    A, B = _numbers(50, 200)[:, 3:190], _numbers(187, 90, seed=1)[:, 5:60]
    room = np.full((50, 80), 7, np.float32)
    by_parts.product_by_parts(A, B, room[:, 10:65], members)
    assert _error(room[:, 10:65], A, B) < 5e-7
    assert (room[:, :10] == 7).all()
    assert (room[:, 65:] == 7).all()


@pytest.mark.parametrize("kind", ["units", "columns", "identity", "blocks", "outlier", "lognormal"])
def test_large_numbers_do_not_hide_small_ones(kind: str, members: team.Team) -> None:
    """As with floats, only what is added to a sum can disturb it."""
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((64, 300)), rng.standard_normal((300, 96))
    if kind == "units":
        unit = 10.0 ** rng.uniform(-12, 12, 300)
        A, B = A * unit, B / unit[:, None]
    elif kind == "columns":
        A, B = A * 10.0 ** rng.uniform(-12, 12, (64, 1)), B * 10.0 ** rng.uniform(-12, 12, 96)
    elif kind == "identity":
        A[:, 0] *= 1e6
        B = np.eye(300, 96)
    elif kind == "blocks":
        A[:, :150] *= 1e6
        B[:150, 48:] = 0
    elif kind == "outlier":
        A[7, 100] = 1e9
        B[100, ::2] = 0
    else:
        A = np.exp(3 * A)
    single, other = A.astype(np.float32), B.astype(np.float32)
    assert _error(_product(single, other, members), single, other) < 5e-7


def test_zeros_and_the_smallest_numbers(members: team.Team) -> None:
    A, B = _numbers(40, 100), _numbers(100, 40, seed=1)
    A[3], A[:, 7], B[9], B[:, 11] = 0, 0, 0, 0
    B[20] = 1e-42  # below the smallest normal number
    found = _product(A, B, members)
    assert _error(found, A, B) < 5e-7
    assert (found[3] == 0).all()
    assert (found[:, 11] == 0).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_row_or_column(strange: float, members: team.Team) -> None:
    A, B = _numbers(40, 100), _numbers(100, 40, seed=1)
    A[5, 50] = strange
    found = _product(A, B, members)
    assert not np.isfinite(found[5]).any()
    assert np.isfinite(np.delete(found, 5, axis=0)).all()
    A[5, 50], B[60, 13] = 0, strange
    found = _product(A, B, members)
    assert not np.isfinite(found[:, 13]).any()
    others = np.delete(found, 13, axis=1)
    assert _error(others, A, np.delete(B, 13, axis=1)) < 5e-7


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """Each has the same bits, whoever stands beside it."""
    alone = team.Team(1)
    A, B = _numbers(64, 500), _numbers(500, 48, seed=1)
    usual = _product(A, B, alone)
    A[0] *= 1e6
    np.testing.assert_array_equal(_product(A, B, alone)[1:], usual[1:])
    np.testing.assert_array_equal(_product(A[8:24], B, alone), usual[8:24])


def test_predictions_of_many_rows_go_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    real = by_parts.product_by_parts

    def counted(A: Array, B: Array, out: Array, members: team.Team) -> None:
        seen.append((*A.shape, B.shape[1]))
        real(A, B, out, members)

    monkeypatch.setattr("glassnet.kernels.compiled.product_by_parts", counted)
    network = Network([Dense(512, "relu"), Dense(10)], 1024, seed=0)
    X = np.random.default_rng(0).random((2100, 1024), np.float32)
    found = network.predict(X)
    assert sum(rows for rows, *_ in seen) == 2048  # the last 52 are too few
    assert {tuple(rest) for _, *rest in seen} == {(1024, 512)}  # not the narrow last layer
    monkeypatch.setattr("glassnet.kernels.compiled.gains_by_parts", lambda *_: False)
    np.testing.assert_allclose(found, network.predict(X), atol=2e-6)


@pytest.mark.parametrize("change", ["float64", "narrow", "short", "transposed", "nobody"])
def test_other_products_do_not(change: str) -> None:
    A, B = _numbers(1024, 1024), _numbers(1024, 512)
    out = np.zeros((1024, 512), np.float32)
    assert by_parts.gains_by_parts(A, B, out)
    if change == "float64":
        A, B, out = A.astype(float), B.astype(float), out.astype(float)
    elif change == "narrow":
        B, out = B[:, :100], out[:, :100]
    elif change == "short":
        A, out = A[:100], out[:100]
    elif change == "transposed":
        A = np.asfortranarray(A)
    else:
        kernels.product(A, B, out)  # no team: the BLAS has threads of its own
        np.testing.assert_array_equal(out, A @ B)
        return
    assert not by_parts.gains_by_parts(A, B, out)
