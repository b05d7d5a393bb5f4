"""Products of factors rounded to 16 bits are those of rounded factors, and nobody gets them unasked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import glassnet
from glassnet import MLPClassifier, MLPRegressor, kernels
from glassnet.errors import InputError
from glassnet.kernels import by_halves, team
from glassnet.kernels.blas import blas_threads
from glassnet.lab import RunSpec
from glassnet.lab.train_one import set_up
from glassnet.nn import Adam, Dense, Dropout, Network, Residual, load_network, save_network
from glassnet.nn.crew import twin
from glassnet.train import Feed, History, Run, fit, fit_lbfgs, load_checkpoint
from glassnet.train.checkpoint import save_checkpoint

Array = np.ndarray[Any, Any]
ROUNDING = kernels.rounding_pays(1024, 1024, 1024)
halves = pytest.mark.skipif(
    not ROUNDING, reason="needs a processor that multiplies bfloat16 (AVX-512 BF16), and compiled kernels"
)
digital = pytest.mark.skipif(
    kernels.ROUNDED == "no products",
    reason="needs a processor that multiplies bytes with digits (AVX-512 VNNI), and compiled kernels",
)


@pytest.fixture(params=["nobody", "alone", "two"])
def members(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who multiplies: the caller, as one of a crew, or with somebody else."""
    if request.param == "two":
        two = team.Team(2)
        team._local.team = two
        yield
        team._local.team = None
        two.dismiss()
    else:
        with team.alone() if request.param == "alone" else nullcontext():
            yield


def _rounded(A: Array) -> Array:
    """To the nearest number of 8 bits, to the even one of two."""
    bits = np.ascontiguousarray(A, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32).astype(float)


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _product(A: Array, B: Array) -> Array:
    out = np.full((len(A), B.shape[1]), np.nan, np.float32)
    by_halves.product_by_halves(A, B, out)
    return out


def _check(found: Array, A: Array, B: Array) -> None:
    a, b = _rounded(A), _rounded(B)
    assert np.max(np.abs(found - a @ b) / (np.abs(a) @ np.abs(b) + 1e-30)) < 5e-7


@halves
@pytest.mark.parametrize("a_turned", [False, True])
@pytest.mark.parametrize("b_turned", [False, True])
@pytest.mark.parametrize(
    ("M", "K", "N"),
    [
        (1, 1, 1), (16, 32, 16), (32, 64, 32), (33, 65, 47), (64, 383, 20), (40, 385, 1030), (770, 31, 33),
        (130, 1200, 96), (800, 1601, 1100),
    ],
)  # fmt: skip
def test_any_shape_however_it_lies(
    M: int, K: int, N: int, a_turned: bool, b_turned: bool, members: None, registers: None
) -> None:
    A = _numbers(K, M).T if a_turned else _numbers(M, K)
    B = _numbers(N, K, seed=1).T if b_turned else _numbers(K, N, seed=1)
    _check(_product(A, B), A, B)


@halves
def test_parts_of_larger_arrays(members: None, registers: None) -> None:
    """Rows with gaps between them, and nothing is written there."""
    A, B = _numbers(50, 200)[:, 3:190], _numbers(187, 90, seed=1)[:, 5:60]
    room = np.full((50, 80), 7, np.float32)
    by_halves.product_by_halves(A, B, room[:, 10:65])
    _check(room[:, 10:65], A, B)
    assert (room[:, :10] == 7).all()
    assert (room[:, 65:] == 7).all()
    turned = np.full((60, 50), 7, np.float32)
    by_halves.product_by_halves(B.T, A.T, turned[2:57])
    _check(turned[2:57], B.T, A.T)
    assert (turned[:2] == 7).all()
    assert (turned[57:] == 7).all()


@halves
@pytest.mark.parametrize("a_turned", [False, True])
@pytest.mark.parametrize("b_turned", [False, True])
def test_only_what_is_theirs_is_read_and_written(
    a_turned: bool, b_turned: bool, members: None, registers: None
) -> None:
    """NaN around both factors does not come in, and nothing is written beside the result."""

    def within(A: Array) -> Array:
        room = np.full((A.shape[0] + 4, A.shape[1] + 40), np.nan, np.float32)
        room[2:-2, 20:-20] = A
        return room[2:-2, 20:-20]

    M, K, N = 133, 805, 119
    A = within(_numbers(K, M)).T if a_turned else within(_numbers(M, K))
    B = within(_numbers(N, K, seed=1)).T if b_turned else within(_numbers(K, N, seed=1))
    room = np.full((M + 4, N + 40), 7, np.float32)
    by_halves.product_by_halves(A, B, room[2:-2, 20:-20])
    _check(room[2:-2, 20:-20], A, B)
    room[2:-2, 20:-20] = 7
    assert (room == 7).all()


@halves
def test_rounding_is_to_the_nearest(registers: None) -> None:
    A = np.zeros((32, 32), np.float32)
    A[:4, 0] = [1 + 2**-9, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20]
    found = _product(A, np.eye(32, dtype=np.float32))
    assert found[:4, 0].tolist() == [1.0, 1.0, 1 + 2**-6, 1 + 2**-7]


@halves
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 3.4e38])
def test_what_is_not_finite_stays_in_its_row_or_column(
    strange: float, members: None, registers: None
) -> None:
    A, B = _numbers(140, 100), _numbers(100, 140, seed=1)
    A[5, 50] = strange  # the largest numbers are rounded to infinity
    found = _product(A, B)
    assert not np.isfinite(found[5]).any()
    assert np.isfinite(np.delete(found, 5, axis=0)).all()
    A[5, 50], B[60, 13] = 0, strange
    found = _product(A, B)
    assert not np.isfinite(found[:, 13]).any()
    _check(np.delete(found, 13, axis=1), A, np.delete(B, 13, axis=1))


@halves
@pytest.mark.parametrize("change", ["float64", "few rows", "few terms", "few columns", "small", "gaps"])
def test_other_products_are_of_floats(change: str) -> None:
    A, B = _numbers(128, 256), _numbers(256, 128, seed=1)
    out = np.zeros((128, 128), np.float32)
    assert by_halves.gains_by_halves(A, B, out)
    if change == "float64":
        A, B, out = A.astype(float), B.astype(float), out.astype(float)
    elif change == "few rows":
        A, out = A[:31], out[:31]
    elif change == "few terms":
        A, B = A[:, :31], B[:31]
    elif change == "few columns":
        B, out = B[:, :31], out[:, :31]
    elif change == "small":
        A, B, out = A[:40, :40], B[:40, :40], out[:40, :40]
    else:
        A, B = A[:, ::2], B[::2]
    assert not by_halves.gains_by_halves(A, B, out)
    kernels.product(A, B, out, may_round=True)
    np.testing.assert_allclose(out, A @ B, rtol=1e-4, atol=1e-4)


@halves
def test_rounding_depends_on_nobody_else() -> None:
    """A thread that finds no helpers, as others have them, rounds as much, which is what shows most."""
    X = _numbers(6000, 300)
    net = Network([Dense(600, "relu"), Dense(10)], 300, seed=0, matmul_precision="bfloat16")
    expected = net.predict(X)
    with blas_threads():  # somebody has taken them
        np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=1e-5)


@halves
def test_only_who_may_round_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three products of each large layer, in training and predictions, also inside of other layers."""
    seen: list[tuple[int, ...]] = []
    real = by_halves.product_by_halves

    def counted(A: Array, B: Array, out: Array) -> None:
        seen.append((*A.shape, B.shape[1]))
        real(A, B, out)

    monkeypatch.setattr("glassnet.kernels.compiled.product_by_halves", counted)
    layers = [Dense(256, "relu"), Residual(Dense(128, "gelu"), Dense(256)), Dropout(0.1), Dense(10)]
    X, y = _numbers(512, 300), np.arange(512) % 10
    for precision, in_prediction, in_batch in (("full", 0, 0), ("bfloat16", 3, 8)):  # no dX of the first
        seen.clear()
        net = Network(layers, 300, seed=0, matmul_precision=precision)
        net.predict(X)
        assert len(seen) == in_prediction
        assert precision == twin(net).matmul_precision
        seen.clear()
        fit(net, Feed(net, X, y), epochs=1, batch_size=128)
        assert len(seen) == 4 * in_batch


@digital
@pytest.mark.parametrize(("K", "B", "N"), [(64, 64, 16), (191, 70, 33), (1300, 341, 10)])
def test_digits_of_stored_bytes_are_fewer(K: int, B: int, N: int, members: None, registers: None) -> None:
    """Bytes stay exact; of the floats, what is below 2^-16 of their column's largest is left out."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (400, K), dtype=np.uint8)
    A = kernels.StoredRows(X, rng.integers(0, 400, B), np.float32([1 / 255]), np.float32([-0.4]))
    exact = X[A.rows] / 255 - 0.4
    for factor, whole in ((A, exact), (A.T, exact.T)):
        M = (rng.normal(size=(whole.shape[1], N)) * np.geomspace(1e-3, 10, N)).astype(np.float32)
        found = {}
        for may_round in (False, True):
            found[may_round] = np.full((len(whole), N), np.nan, np.float32)
            kernels.product(factor, M, found[may_round], may_round)
            error = np.abs(found[may_round] - whole @ M.astype(float)).max(axis=0)
            largest = len(M) * np.abs(M).max(axis=0)
            assert (error <= (2.0**-16 if may_round else 2.0**-22) * largest).all()
        assert (found[False] != found[True]).any()


@digital
def test_a_shift_counts_the_digits_that_are_there(registers: None) -> None:
    """Bytes that are all equal to what is taken off give zero, however their weights are rounded."""
    X = np.full((128, 640), 77, np.uint8)
    A = kernels.StoredRows(X, np.arange(128), np.float32([1.0]), np.float32([-77.0]))
    W = np.random.default_rng(0).normal(size=(640, 32)).astype(np.float32)
    Z = np.full((128, 32), np.nan, np.float32)
    kernels.product(A, W, Z, may_round=True)
    assert np.abs(Z).max() < 77 * 640 * 2.0**-22 * np.abs(W).max()


@halves
@pytest.mark.parametrize(("B", "K", "N"), [(32, 2100, 130), (130, 1200, 600), (800, 1601, 300)])
def test_stored_bytes_become_halves(
    B: int, K: int, N: int, members: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In vectors: scaled and rounded as if they had been floats, in both products of a layer."""
    monkeypatch.setattr(by_halves, "REGISTERS", None)
    assert by_halves.bytes_become_halves(B, K, N)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (900, K), dtype=np.uint8)
    rows = rng.permutation(900)[:B]
    stored = kernels.StoredRows(X, rows, np.float32([1 / 256]), np.float32([-0.375]))
    A = X[rows] / np.float32(256) - np.float32(0.375)  # exact: there is one rounding only
    for factor, whole in ((stored, A), (stored.T, A.T)):
        M = _numbers(whole.shape[1], N, seed=1)
        found = np.full((len(whole), N), np.nan, np.float32)
        kernels.product(factor, M, found, may_round=True)
        _check(found, whole, M)
        kernels.product(factor, M, found)
        np.testing.assert_allclose(found, whole @ M.astype(float), rtol=1e-4, atol=1e-3)


@halves
def test_bytes_before_few_units_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are at a time, which depends on who else is at work."""
    monkeypatch.setattr(by_halves, "REGISTERS", None)
    X = np.random.default_rng(0).integers(0, 256, (640, 1024), dtype=np.uint8)
    for N, become in ((127, False), (128, True)):
        W = _numbers(1024, N)
        for M in (64, 640):
            A = kernels.StoredRows(X, np.arange(M), np.float32([1 / 255]), np.float32([0]))
            assert by_halves.bytes_become_halves(M, 1024, N) == become
            found = np.full((M, N), np.nan, np.float32)
            kernels.product(A, W, found, may_round=True)
            error = np.abs(found - (X[:M] / 255) @ W.astype(float)).max()
            assert (error > 0.02) == become


@pytest.mark.skipif(ROUNDING, reason="this processor rounds")
def test_elsewhere_nothing_changes() -> None:
    A, B, found = _numbers(128, 256), _numbers(256, 128, seed=1), np.empty((2, 128, 128), np.float32)
    for may_round in (False, True):
        kernels.product(A, B, found[int(may_round)], may_round)
    np.testing.assert_array_equal(*found)


@halves
def test_the_same_bits_again() -> None:
    """Whichever thread does which part."""
    X, y = _numbers(600, 300), np.arange(600) % 10
    found = []
    for _ in range(2):
        net = Network([Dense(256, "relu"), Dense(10)], 300, seed=0, matmul_precision="bfloat16")
        fit(net, Feed(net, X, y), epochs=2, batch_size=128)
        found.append(net.theta.copy())
    np.testing.assert_array_equal(*found)


@halves
def test_it_learns_as_well(tmp_path: Any) -> None:
    """The same network, products rounded or not: nearly the same predictions, and as good ones."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 200))
    y = rng.integers(10, size=2000)
    X = (centres[y] + 2.5 * rng.normal(size=(2000, 200))).astype(np.float32)
    right = {}
    for precision in ("full", "bfloat16"):
        net = Network([Dense(256, "relu"), Dense(10)], 200, seed=0, matmul_precision=precision)
        fit(net, Feed(net, X[:1500], y[:1500]), epochs=5, batch_size=100)
        right[precision] = float(np.mean(net.predict(X[1500:]).argmax(1) == y[1500:]))
        save_network(net, tmp_path / "net.safetensors")
        again = load_network(tmp_path / "net.safetensors")
        assert again.matmul_precision == precision
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert right["full"] > 0.8
    assert abs(right["full"] - right["bfloat16"]) < 0.03


def test_unknown_precisions_and_float64_are_refused() -> None:
    with pytest.raises(InputError, match="unknown matmul_precision 'bfloat': did you mean 'bfloat16'"):
        Network([Dense(2)], 3, matmul_precision="bfloat")
    with pytest.raises(InputError, match=r"networks of float32, and this one is of float64"):
        Network([Dense(2)], 3, dtype="float64", matmul_precision="bfloat16")
    net = Network([Dense(2)], 3)
    with pytest.raises(InputError, match="unknown matmul_precision"):
        net.matmul_precision = "half"
    net.matmul_precision = "bfloat16"
    with pytest.raises(InputError, match="L-BFGS needs a loss that follows the smallest step"):
        fit_lbfgs(net, Feed(net, np.eye(3), [0, 1, 0]))
    with pytest.raises(InputError, match=r"lbfgs.*matmul_precision"):
        MLPClassifier(solver="lbfgs", matmul_precision="bfloat16").fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="matmul_precision"):
        MLPClassifier(matmul_precision="half").fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="matmul_precision"):
        RunSpec.model_validate(
            {"data": {"source": "digits"}, "training": {"matmul_precision": "half"}}
        )  # fmt: skip


def test_it_can_be_set_at_any_time_and_goes_wherever_the_network_goes(tmp_path: Any) -> None:
    net = Network([Dense(4), Residual(Dense(4)), Dense(2)], 3)
    assert "matmul_precision" not in repr(net)
    for precision in ("bfloat16", "full"):
        net.matmul_precision = precision
        for same in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net)), twin(net)):
            assert same.matmul_precision == precision
            assert {layer.may_round for layer in same.every_layer()} == {precision == "bfloat16"}
    other = Network(net.layers, 3, matmul_precision="bfloat16")
    assert repr(other).endswith("matmul_precision='bfloat16')")
    assert Network(other.layers, 3).matmul_precision == "full"  # layers are descriptions
    run = Run(other, Adam(), History(), 1)
    run.optimizer.start(other)
    save_checkpoint(run, tmp_path / "run.npz")
    with pytest.raises(InputError, match=r"was made with Network.*bfloat16"):
        load_checkpoint(tmp_path / "run.npz", net, Adam(), 1)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_estimators_hand_it_on(kind: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    y = (X[:, 0] > 0).astype(int)
    settings = {"hidden_layer_sizes": (8,), "max_iter": 20, "tol": 1.0, "random_state": 0}
    fitted = kind(**settings, matmul_precision="bfloat16").fit(X, y)
    assert fitted.network_.matmul_precision == "bfloat16"
    assert fitted.network_.dtype == np.float32
    assert clone(fitted).matmul_precision == "bfloat16"
    fitted.set_params(warm_start=True, matmul_precision="full")
    network, theta = fitted.network_, fitted.network_.theta
    assert fitted.fit(X, y).network_ is network  # it goes on as it is
    assert fitted.network_.theta is theta
    assert network.matmul_precision == "full"
    usual = kind(**settings).fit(X, y)
    assert usual.network_.matmul_precision == "full"
    assert usual.network_.dtype == np.float64


def test_the_lab_hands_it_on() -> None:
    for precision in ("full", "bfloat16"):
        spec = RunSpec.model_validate(
            {"data": {"source": "digits"}, "training": {"matmul_precision": precision}}
        )  # fmt: skip
        assert set_up(spec, glassnet.read("digits"), 0).network.matmul_precision == precision
