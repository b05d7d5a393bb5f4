"""Weights made ready for many products: the same sums come of them, and nobody else finds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.data.scaling import Scaling
from glassnet.kernels import by_halves, prepared, stored
from glassnet.nn import Dense, Network, Residual

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("registers")
ROUNDING = kernels.rounding_pays(1024, 1024, 1024)
halves = pytest.mark.skipif(
    not ROUNDING, reason="needs a processor that multiplies bfloat16 (AVX-512 BF16), and compiled kernels"
)
digital = pytest.mark.skipif(
    not stored.AVAILABLE, reason="this processor cannot multiply bytes with digits (AVX-512 VNNI)"
)


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _bytes(B: int, K: int, scale: float = 0.01, shift: float = -0.4) -> Any:
    X = np.random.default_rng(0).integers(0, 256, (B, K), dtype=np.uint8)
    return kernels.StoredRows(X, np.arange(B), np.float32([scale]), np.float32([shift]))


def _product(A: Any, W: Array, may_round: bool) -> Array:
    out = np.full((len(A), W.shape[1]), np.nan, np.float32)
    kernels.product(A, W, out, may_round)
    return out


@halves
@pytest.mark.parametrize(("M", "K", "N"), [(64, 3500, 1100), (800, 256, 256)])
def test_halves_are_ready(M: int, K: int, N: int, registers: str) -> None:
    """Long sums may have another order; of other products nothing is different."""
    A, W, D, stored_rows = _numbers(M, K), _numbers(K, N, seed=1), _numbers(M, N, seed=2), _bytes(M, K)
    ways: list[tuple[Any, Any]] = [(A, W), (D, W.T), (A[:40], W[:, :200])]
    if registers == "vectors":
        ways.append((stored_rows, W))
    expected = [_product(*way, may_round=True) for way in ways]
    with kernels.prepared_weights([(W, True)], M):
        found = [_product(*way, may_round=True) for way in ways]
        W *= 2  # nobody may do that: it shows who looks at W itself
        again = [_product(*way, may_round=True) for way in ways]
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        if K > by_halves._DEEP:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-3)
        else:
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(again[i], 2 * one if i in (1, 2) else one)
    for way, other in zip(ways, expected, strict=True):
        np.testing.assert_array_equal(_product(*way, may_round=True), 2 * other)


@digital
@pytest.mark.parametrize("may_round", [False, True])
@pytest.mark.parametrize(("B", "K", "N"), [(70, 1000, 100), (300, 513, 1100), (64, 100, 48)])
def test_digits_are_ready(
    B: int, K: int, N: int, may_round: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The same bits, for rows as those that were shown; not for others."""
    monkeypatch.setattr(stored, "bytes_become_halves", lambda M, K, N: False)
    A, W = _bytes(B, K), _numbers(K, N)
    others = [_bytes(B, K, scale=0.02), _bytes(B, K, shift=0.0)]
    expected, *of_others = [_product(rows, W, may_round) for rows in (A, *others)]
    other_precision, D = _product(A, W, not may_round), _numbers(B, N, seed=2)
    gradient, again = np.full_like(W, np.nan), np.full_like(W, np.nan)
    kernels.product(A.T, D, gradient, may_round)
    with kernels.prepared_weights([(W, may_round)], B, A):
        np.testing.assert_array_equal(_product(A, W, may_round), expected)
        for rows, wanted in zip(others, of_others, strict=True):
            np.testing.assert_array_equal(_product(rows, W, may_round), wanted)
        kernels.product(A.T, D, again, may_round)
        W *= 2  # nobody may do that: it shows who looks at W itself
        np.testing.assert_array_equal(_product(A, W, may_round), expected)
        np.testing.assert_array_equal(_product(A, W, not may_round), 2 * other_precision)
        np.testing.assert_array_equal(
            _product(A, W[:, :1].copy(), may_round), 2 * _product(A, W[:, :1] / 2, False)
        )
    np.testing.assert_array_equal(again, gradient)
    np.testing.assert_array_equal(_product(A, W, may_round), 2 * expected)


@pytest.mark.parametrize(
    ("precision", "form"),
    [
        pytest.param("full", "bytes", marks=digital),
        pytest.param("bfloat16", "bytes", marks=digital),
        pytest.param("bfloat16", "floats", marks=halves),
    ],
)
def test_predictions_make_weights_ready_and_follow_them(
    precision: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all threads, for no longer than they take."""
    found: list[bool] = []

    def seen(factor: Array, *how: Any, real: Any = stored.as_prepared) -> Array:
        found.append(real(factor, *how) is not factor)
        return real(factor, *how)

    monkeypatch.setattr(stored if form == "bytes" else by_halves, "as_prepared", seen)
    X = np.random.default_rng(0).integers(0, 256, (6000, 300), dtype=np.uint8)
    scaling = Scaling(np.float32(1 / 255), np.float32(0))
    rows: Any = (X, scaling) if form == "bytes" else ((X / 255).astype(np.float32),)
    net = Network([Dense(600), Dense(10)], 300, "squared", seed=0, matmul_precision=precision)
    before = net.predict(*rows)
    net.theta *= 2
    np.testing.assert_array_equal(net.predict(*rows), 4 * before)  # biases are zero
    assert len(found) > 2
    assert all(found)
    assert not prepared._prepared.get({})


def test_only_usual_weights_are_made_ready() -> None:
    """Their memory is read by address: float32, row after row."""
    W = _numbers(1024, 1024)
    for odd in (W.astype(float), W.T, W[:, :512]):
        with kernels.prepared_weights([(odd, True)], 640):
            assert not prepared._prepared.get({})


@pytest.mark.parametrize("kind", ["residual", "ntk", "own", "float64"])
def test_any_network_predicts_many_rows(kind: str) -> None:
    class LowRank(Dense):
        """Somebody's layer that calls something else its weights."""

        def forward(self, X: Array, train: bool) -> Array:
            half = self.W[:, :100]
            return X @ half @ half.T[:, : self.n_out]

    X = np.random.default_rng(0).integers(0, 256, (3000, 400), dtype=np.uint8)
    scaling = Scaling(np.float32(1 / 255), np.float32(0))
    first = {
        "residual": Residual(Dense(512, "relu"), Dense(400)), "ntk": Dense(512, "relu", ntk=True),
        "own": LowRank(400), "float64": Dense(512, "relu"),
    }[kind]  # fmt: skip
    dtype = "float64" if kind == "float64" else "float32"
    net = Network([first, Dense(512, "relu"), Dense(10)], 400, seed=0, dtype=dtype)
    few = np.concatenate([net.logits(X[i : i + 100], scaling) for i in range(0, 3000, 100)])
    assert len(X) * net.n_parameters >= 2**30  # many
    np.testing.assert_allclose(net.logits(X, scaling), few, rtol=1e-4, atol=1e-4)
