"""Scalings: each kind against its definition, fitted on training rows only, in chunks, and invertible."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn import preprocessing

from glassnet.data.columns import chunks, extremes, moments, quantiles, value_counts
from glassnet.data.dataset import ImageShape
from glassnet.data.scaling import SCALINGS, Scaling, fit_scaling
from glassnet.errors import InputError

RNG = np.random.default_rng(7)
BYTES = RNG.integers(0, 256, (700, 12), dtype=np.uint8)
FLOATS = RNG.normal([0, 100, -3], [1, 20, 1e-3], (900, 3))
SMALL = ImageShape(2, 2, 3)


def with_missing(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X[RNG.random(X.shape) < 0.2] = np.nan
    return X


@pytest.mark.parametrize("X", [BYTES, FLOATS, FLOATS.astype(np.float32), with_missing(FLOATS)])
@pytest.mark.parametrize("rows", [None, RNG.permutation(700)[:300]])
def test_column_statistics_against_numpy(X: np.ndarray, rows: np.ndarray | None) -> None:
    whole = (X if rows is None else X[rows]).astype(np.float64)
    m = moments(X, rows)
    np.testing.assert_array_equal(m.count, (~np.isnan(whole)).sum(axis=0))
    np.testing.assert_allclose(m.mean, np.nanmean(whole, axis=0), rtol=1e-10)
    np.testing.assert_allclose(m.std, np.nanstd(whole, axis=0), rtol=1e-8)
    low, high = extremes(X, rows)
    np.testing.assert_array_equal(low, np.nanmin(whole, axis=0))
    np.testing.assert_array_equal(high, np.nanmax(whole, axis=0))
    shares = [0, 0.1, 0.5, 0.77, 1]
    np.testing.assert_allclose(quantiles(X, shares, rows), np.nanquantile(whole, shares, axis=0), rtol=1e-10)


def test_statistics_do_not_depend_on_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = moments(FLOATS), quantiles(FLOATS, [0.3])
    monkeypatch.setattr("glassnet.data.columns._CHUNK_BYTES", 100)
    assert len(list(chunks(FLOATS))) > 100
    pieces = moments(FLOATS), quantiles(FLOATS, [0.3])
    np.testing.assert_allclose(pieces[0].std, whole[0].std, rtol=1e-12)
    np.testing.assert_array_equal(pieces[1], whole[1])


def test_byte_counts() -> None:
    counts = value_counts(BYTES, np.arange(100))
    for j in range(BYTES.shape[1]):
        np.testing.assert_array_equal(counts[j], np.bincount(BYTES[:100, j], minlength=256))


def test_a_column_without_a_value_has_no_quantile_and_moments_zero() -> None:
    X = np.full((4, 1), np.nan)
    m = moments(X)
    assert (m.count[0], m.mean[0], m.std[0]) == (0, 0, 0)
    assert np.isnan(quantiles(X, [0.5])[0, 0])


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("standard", preprocessing.StandardScaler()),
        ("min-max", preprocessing.MinMaxScaler()),
        ("robust", preprocessing.RobustScaler()),
    ],
)
@pytest.mark.parametrize("X", [BYTES.astype(np.float64), BYTES, FLOATS])
def test_column_scalings_equal_scikit_learns(kind: str, theirs: object, X: np.ndarray) -> None:
    train = np.arange(500)
    expected = theirs.fit(X[train]).transform(X)  # type: ignore[attr-defined]
    got = fit_scaling(X, kind, rows=train).apply(X)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-3)


def test_channel_scaling_gives_each_plane_mean_0_and_deviation_1() -> None:
    X = np.repeat(np.array([10, 100, 200], np.uint8), 4) + BYTES % 40
    s = fit_scaling(X, "channel", SMALL)
    planes = s.apply(X).reshape(-1, 3, 4)
    np.testing.assert_allclose(planes.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(planes.std(axis=(0, 2)), 1, atol=1e-5)
    assert len(np.unique(s.scale)) == 3
    gray = fit_scaling(X, "channel", ImageShape(3, 4, 1))
    assert gray.scale.shape == ()
    np.testing.assert_allclose(gray.apply(X).std(), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("X", "divisor"),
    [
        (np.array([[0, 255]], np.uint8), 255),
        (np.array([[0, 200]], np.uint8), 255),
        (np.array([[0, 16]], np.uint8), 16),
        (np.array([[0.0, 16.0]]), 16),
        (np.array([[0.0, 0.7]]), 1),
        (np.array([[-4.0, 0.7]]), 4),
        (np.array([[np.nan, 8.0]]), 8),
        (np.array([[0, 0]], np.uint8), 1),
    ],
)
def test_unit_divides_by_the_stated_number(X: np.ndarray, divisor: float) -> None:
    s = fit_scaling(X, "unit")
    assert s.scale.shape == ()
    assert float(1 / s.scale) == pytest.approx(divisor)
    assert s.words == f"divided by {divisor}"


@pytest.mark.parametrize("kind", SCALINGS)
@pytest.mark.parametrize("X", [BYTES, FLOATS.astype(np.float32)])
def test_every_kind_inverts_and_comes_in_the_promised_form(kind: str, X: np.ndarray) -> None:
    image = SMALL if X is BYTES else ImageShape(1, 1, 3)
    s = fit_scaling(X, kind, image)
    for value in (s.scale, s.shift):
        assert value.dtype == np.float32
        assert value.shape in ((), (X.shape[1],))
    np.testing.assert_allclose(s.invert(s.apply(X)), X, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", SCALINGS)
def test_rows_outside_training_leave_no_trace(kind: str) -> None:
    X = FLOATS.copy()
    before = fit_scaling(X, kind, ImageShape(1, 1, 3), rows=np.arange(600))
    X[600:] = 1e6
    after = fit_scaling(X, kind, ImageShape(1, 1, 3), rows=np.arange(600))
    np.testing.assert_array_equal(before.scale, after.scale)
    np.testing.assert_array_equal(before.shift, after.shift)


@pytest.mark.parametrize("kind", ["standard", "min-max", "robust"])
def test_a_constant_column_is_centred_with_scale_one(kind: str) -> None:
    X = np.full((50, 1), 0.1)
    s = fit_scaling(X, kind)
    assert s.scale[0] == 1
    np.testing.assert_allclose(s.apply(X), 0, atol=1e-7)


def test_robust_without_inter_quartile_range_uses_half_the_range() -> None:
    X = np.array([0.0] * 9 + [10.0])[:, None]
    assert fit_scaling(X, "robust").scale[0] == pytest.approx(2 / 10)


def test_fitting_never_holds_a_float_copy() -> None:
    X = np.zeros((20_000, 1000), np.uint8)  # 20 MB; as float32 80 MB
    X[::2] = 3
    rows = np.arange(0, 20_000, 2)
    fit_scaling(X[:100], "robust")  # compiled before the measurement
    for kind in SCALINGS:
        tracemalloc.start()
        fit_scaling(X, kind, ImageShape(10, 100, 1), rows=rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6, kind


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fit_scaling(BYTES, "standart"), "did you mean 'standard'"),
        (lambda: fit_scaling(BYTES[:0], "unit"), "at least one training row"),
        (lambda: fit_scaling(BYTES, "unit", rows=np.zeros(0, int)), "at least one training row"),
        (lambda: fit_scaling(FLOATS, "channel"), "needs images"),
        (lambda: fit_scaling(np.array([[1.0, np.inf]]), "standard"), "the first is column 1"),
        (lambda: Scaling(np.float32(0), np.float32(0)), "must not be zero"),
        (lambda: Scaling(np.ones((2, 2)), np.float32(0)), "shape"),
    ],
)
def test_what_cannot_be_scaled_is_refused_in_words(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()  # type: ignore[operator]
