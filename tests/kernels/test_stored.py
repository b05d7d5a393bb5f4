"""Products of stored bytes: as exact as those of the converted floats, and what is not finite shows."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from glassnet import kernels
from glassnet.kernels import amx, by_digits, reference, stored
from glassnet.kernels.stored import StoredRows, may_stay_bytes

digital = pytest.mark.skipif(
    not stored.AVAILABLE, reason="this processor cannot multiply bytes with digits (AVX-512 VNNI)"
)
pytestmark = pytest.mark.usefixtures("registers")
ONE, NONE = np.ones(1, np.float32), np.zeros(1, np.float32)


@pytest.fixture(autouse=True)
def _anew() -> None:
    """The same numbers in whatever order the tests run."""
    global RNG
    RNG = np.random.default_rng(7)


def rows_of_bytes(n: int, K: int, B: int, scale: float = 1 / 255, shift: float = -0.4) -> StoredRows:
    X = RNG.integers(0, 256, (n, K), dtype=np.uint8)
    X.setflags(write=False)  # as a memory map of stored pictures is
    return StoredRows(X, RNG.integers(0, n, B), np.float32([scale]), np.float32([shift]))


def both(A: StoredRows, W: Any, D: Any) -> tuple[Any, Any]:
    Z, dW = np.full((len(A), W.shape[1]), np.nan, np.float32), np.full(W.shape, np.nan, np.float32)
    kernels.product(A, W, Z)
    kernels.product(A.T, D, dW)
    return Z, dW


def columns(*numbers: int) -> Any:
    """One column is multiplied as floats everywhere, several need digits."""
    marked = [n if n == 1 else pytest.param(n, marks=digital) for n in numbers]
    return pytest.mark.parametrize("N", marked)


@pytest.mark.parametrize("shift", [0.0, -0.4])
@columns(1, 2, 10, 16, 33, 64)
@pytest.mark.parametrize(("K", "B"), [(64, 8), (65, 9), (67, 3), (128, 1), (191, 30), (1300, 341)])
def test_as_exact_as_the_product_of_floats(K: int, B: int, N: int, shift: float) -> None:
    A = rows_of_bytes(100, K, B, shift=shift)
    W = (RNG.normal(size=(K, N)) * np.geomspace(1e-3, 10, N)).astype(np.float32)
    D = (RNG.normal(size=(B, N)) * RNG.exponential(size=(B, 1))).astype(np.float32)
    exact = A.X[A.rows] * np.float64(A.scale) + np.float64(A.shift)
    for got, M, L in zip(both(A, W, D), (W, D), (exact, exact.T), strict=True):
        expected, definition = L @ M.astype(np.float64), np.empty_like(got)
        reference.product(L.astype(np.float32), M, definition)
        largest = (A.X.max() * A.scale - A.shift) * len(M) * np.abs(M).max(axis=0)  # of each column's sums
        assert (np.abs(got - expected) <= 2.0**-22 * largest).all()
        assert (np.abs(got - definition) <= 2.0**-18 * largest).all()  # whose sums are less exact


@digital
def test_whole_numbers_of_24_bits_come_out_exactly() -> None:
    A = rows_of_bytes(1, 64, 1, scale=1, shift=0)
    largest = by_digits._LARGEST  # is written as itself, and so is every whole number below
    A.X.setflags(write=True)
    A.X[...] = 0
    A.X[0, 7] = 1
    numbers = np.append(RNG.integers(-largest, largest + 1, 199), largest)
    for W in (numbers[:, None], np.tile(numbers[:, None], 20)):
        for number in (1, -1, 127, 128, -128, 32_767, 32_768, -32_769, *numbers[:20]):
            column = np.zeros((64, W.shape[1]), np.float32)
            column[7], column[8] = number, largest
            D = np.zeros((1, W.shape[1]), np.float32)
            D[0] = largest
            Z, dW = both(A, column, D)
            assert (number == Z).all()
            assert (dW[7] == largest).all()


@columns(1, 16)
def test_what_a_layer_hands_back_may_be_of_another_kind(N: int) -> None:
    A = rows_of_bytes(40, 100, 8)
    W, D = RNG.normal(size=(100, N)), RNG.normal(size=(8, N))
    expected = both(A, W.astype(np.float32), D.astype(np.float32))
    kinds = (np.asfortranarray(W), np.asfortranarray(D)), (np.asfortranarray(W, np.float32), D[::1])
    for w, d in kinds:
        for got, wanted in zip(both(A, w, d), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_numba_told_to_compile_for_less_gets_floats() -> None:
    code = "from glassnet.kernels import stored; print(stored.AVAILABLE)"
    told = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"NUMBA_CPU_NAME": "generic"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "False"


@columns(1, 2)
def test_the_largest_sums_fit(N: int) -> None:
    X = np.full((2, 65_536), 255, np.uint8)
    W = np.full((65_536, N), -1, np.float32)
    Z = np.empty((2, N), np.float32)
    kernels.product(StoredRows(X, np.arange(2), ONE, NONE), W, Z)
    np.testing.assert_allclose(Z, -255 * 65_536, rtol=1e-6)
    with pytest.raises(ValueError, match="at most 65536 terms"):
        StoredRows(X, np.zeros(65_537, np.int64), ONE, NONE)


@columns(1, 3)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_and_stays_in_its_column(bad: float, N: int) -> None:
    A = rows_of_bytes(20, 70, 20)
    W, D = np.ones((70, N), np.float32), np.ones((20, N), np.float32)
    W[5, 0] = D[5, 0] = bad
    for got in both(A, W, D):
        shown = np.isnan(got[:, 0]) if N > 1 else ~np.isfinite(got[:, 0])  # floats may stay infinite
        assert shown.all()
        assert np.isfinite(got[:, 1:]).all()


@columns(1, 2)
def test_zeros_and_the_smallest_numbers_give_zero(N: int) -> None:
    A = rows_of_bytes(20, 70, 20, shift=0)
    for small in (0.0, 1e-45, 1e-38):
        Z, dW = both(A, np.full((70, N), small, np.float32), np.full((20, N), small, np.float32))
        assert np.abs(Z).max() <= 70 * small
        assert np.abs(dW).max() <= 20 * small


@digital
@pytest.mark.parametrize(
    ("K", "B", "N"), [(1030, 70, 1100), (200, 1100, 300), (64, 150, 700), (700, 40, 400)]
)
def test_pieces_of_wide_layers_and_many_rows(K: int, B: int, N: int) -> None:
    A = rows_of_bytes(100, K, B)
    exact = A.X[A.rows] * np.float64(A.scale) + np.float64(A.shift)
    W, D = RNG.normal(size=(K, N)).astype(np.float32), RNG.normal(size=(B, N)).astype(np.float32)
    for got, expected in zip(both(A, W, D), (exact @ W, exact.T @ D), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


@digital
@pytest.mark.parametrize("N", [16, 100])
@pytest.mark.parametrize(("K", "B"), [(64, 32), (65, 32), (1536, 144), (1540, 40), (128, 41), (4096, 32)])
def test_rows_in_their_order_give_the_same_bits_as_others(K: int, B: int, N: int) -> None:
    """They may be multiplied where they lie; others are copied first."""
    X, mixed = RNG.integers(0, 256, (B + 3, K), dtype=np.uint8), RNG.permutation(B + 3)
    W, D = RNG.normal(size=(K, N)).astype(np.float32), RNG.normal(size=(B, N)).astype(np.float32)
    in_order = StoredRows(X, np.arange(3, B + 3), ONE, NONE)
    elsewhere = StoredRows(X[mixed], np.argsort(mixed)[3:], ONE, NONE)
    for got, expected in zip(both(in_order, W, D), both(elsewhere, W, D), strict=True):
        np.testing.assert_array_equal(got, expected)


@digital
@pytest.mark.skipif(sys.platform != "linux", reason="protects memory by the C library's mprotect")
@pytest.mark.parametrize(("K", "B"), [(64, 64), (66, 64), (64, 60), (4096, 32)])
def test_nothing_behind_the_last_row_is_read(K: int, B: int) -> None:
    """Such a read would end this process."""
    page, n = mmap.PAGESIZE, B * K
    memory = mmap.mmap(-1, -(-n // page) * page + page)
    whole = np.frombuffer(memory, np.uint8)
    X = whole[len(whole) - page - n : len(whole) - page].reshape(B, K)
    X[:] = RNG.integers(0, 256, X.shape)
    end = ctypes.c_void_p(X.ctypes.data + n)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    assert protect(end, ctypes.c_size_t(page), 0) == 0
    try:
        W, D = RNG.normal(size=(K, 20)).astype(np.float32), RNG.normal(size=(B, 20)).astype(np.float32)
        Z, dW = both(StoredRows(X, np.arange(B), ONE, NONE), W, D)
    finally:
        assert protect(end, ctypes.c_size_t(page), mmap.PROT_READ | mmap.PROT_WRITE) == 0
    np.testing.assert_allclose(Z, X @ W, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(dW, X.T @ D, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("size", [2, 3])
@columns(1, 33, 300)
def test_a_team_shares_out_the_columns_of_bytes(N: int, size: int) -> None:
    K = 3001
    A = rows_of_bytes(200, K, 96)
    W, D = RNG.normal(size=(K, N)).astype(np.float32), RNG.normal(size=(96, N)).astype(np.float32)
    alone = both(A, W, D)
    with threadpool_limits(size), kernels.employed():
        assert A.shares(N)[0] is not None or N == 1
        together, again = both(A, W, D), both(A, W, D)
    for one, many, same in zip(alone, together, again, strict=True):
        np.testing.assert_allclose(one, many, atol=2e-5 * np.abs(one).max())
        np.testing.assert_array_equal(many, same)


def test_what_may_stay_bytes() -> None:
    X = RNG.integers(0, 256, (10, 3000), dtype=np.uint8)
    assert may_stay_bytes(X, 64, 1, ONE, NONE)
    assert may_stay_bytes(X, 64, 2, ONE, NONE) == stored.AVAILABLE
    assert not may_stay_bytes(X, 16, 1, ONE, NONE)
    assert not may_stay_bytes(X[:, :100].copy(), 64, 1, ONE, NONE)
    assert not may_stay_bytes(X.astype(np.float32), 64, 1, ONE, NONE)
    assert not may_stay_bytes(X[:, ::2], 64, 1, ONE, NONE)
    assert not may_stay_bytes(X, 64, 1, np.ones(3000, np.float32), NONE)
    assert not may_stay_bytes(X[:, :40].copy(), 10_000, 1, ONE, NONE)


@digital
def test_more_terms_than_whole_numbers_are_added_at_a_time() -> None:
    A = rows_of_bytes(1300, 1300, 1300)
    W = np.full((1300, 16), 3.0, np.float32)  # the largest digits all over: what overflows is seen
    Z, dW = both(A, W, W)
    exact = A.X[A.rows] * np.float64(A.scale) + np.float64(A.shift)
    np.testing.assert_allclose(Z, exact @ W, rtol=1e-6)
    np.testing.assert_allclose(dW, exact.T @ W, rtol=1e-6)


@pytest.mark.parametrize("answer", [-1, 0])
def test_squares_only_where_the_system_lends_them(answer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not in a program with too little memory for its signals, or where a filter forbids the call."""

    class System:
        @staticmethod
        def syscall(*asked: int) -> int:
            assert asked == (158, 0x1023, 18)  # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA)
            return answer

    monkeypatch.setattr(amx, "AVAILABLE", True)
    monkeypatch.setattr(amx, "IMITATED", False)
    monkeypatch.setattr(amx, "FEATURES", {"amx-tile": True, "amx-int8": True})
    monkeypatch.setattr(amx.ctypes, "CDLL", lambda _: System)
    assert (amx._squares() is None) == (answer != 0 or sys.platform != "linux")
    monkeypatch.setattr(amx, "FEATURES", {})
    assert amx._squares() is None


def test_squares_are_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    squares = np.zeros(64, np.uint8)
    monkeypatch.setattr(stored, "SQUARES", squares)
    assert rows_of_bytes(100, 64, 63).registers is None
    assert rows_of_bytes(100, 64, 64).registers is squares
