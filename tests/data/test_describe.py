"""The first look at data: arrays of the promised shapes that say what is in the data."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.describe import class_images, describe, distribution, samples_per_class
from glassnet.data.split import split
from glassnet.errors import InputError

from .planted import odd_data

RNG = np.random.default_rng(3)


def pictures(dtype: type = np.uint8, scale: float = 1.0) -> Dataset:
    """Class 0 is dark, class 1 is bright; red planes differ from the others."""
    y = np.arange(60) % 2
    X = RNG.integers(0, 50, (60, 48)) + 200 * y[:, None]
    X[:, :16] //= 2
    return Dataset((X * scale).astype(dtype), y, ("dark", "bright"), image=ImageShape(4, 4, 3))


def test_description_of_images() -> None:
    data = pictures()
    parts = split(data, validation=0.2)
    d = describe(data, parts, samples=5)
    assert d.counts == {"train": (24, 24), "validation": (6, 6)}
    assert d.samples is not None
    assert d.samples.shape == (2, 5, 4, 4, 3)
    assert d.mean_images is not None
    assert d.std_images is not None
    assert d.mean_images.shape == d.std_images.shape == (2, 4, 4, 3)
    assert list(d.distribution) == ["edges", "red", "green", "blue"]
    assert d.quantiles is not None
    train = data.X[parts.train]
    np.testing.assert_allclose(d.quantiles, np.quantile(train, [0, 0.25, 0.5, 0.75, 1], axis=0))
    expected = np.rint(train[data.y[parts.train] == 1].mean(axis=0)).reshape(3, 4, 4).transpose(1, 2, 0)
    np.testing.assert_array_equal(d.mean_images[1], expected)


def test_samples_come_from_their_class_and_from_the_given_rows() -> None:
    data = pictures()
    dark, bright = samples_per_class(data, 6, seed=1)
    assert dark.max() < 50 < bright.max()
    rows = np.array([0, 2, 1])
    few = samples_per_class(data, 4, rows=rows)
    assert (few[0, 2:] == 255).all()
    np.testing.assert_array_equal(few[1, 0], data.pictures(np.array([1]))[0])


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1 / 255), (np.uint8, 16 / 249)])
def test_values_of_another_range_are_made_visible(dtype: type, scale: float) -> None:
    mean, _ = class_images(pictures(dtype, scale))
    assert mean[1].max() > 200


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint8, 16 / 249), (np.float32, 0.01)])
def test_image_densities_have_area_one_and_the_right_mean(dtype: type, scale: float) -> None:
    data = pictures(dtype, scale)
    d = distribution(data)
    edges = d.pop("edges")
    width = np.diff(edges)
    step = 1 if dtype is np.uint8 else 0
    for name, plane in zip(("red", "green", "blue"), np.split(data.X, 3, axis=1), strict=True):
        assert (d[name] * width).sum() == pytest.approx(1)
        centre = (edges[:-1] + edges[1:] - step) / 2
        assert (d[name] * width * centre).sum() == pytest.approx(plane.mean(), abs=width[0] / 2 + 1e-6)


def test_a_narrow_table_has_a_density_per_column_a_wide_one_a_pooled_density() -> None:
    X = RNG.normal(5, 3, (4000, 3))
    X[::7, 1] = np.nan
    X[3, 2] = np.inf
    data = Dataset(X, X[:, 0], feature_names=("a", "b", "c"))
    d = distribution(data)
    assert list(d) == ["edges", "a", "b", "c"]
    centre = (d["edges"][1:] + d["edges"][:-1]) / 2
    for name in "abc":
        area = d[name] * np.diff(d["edges"])
        assert area.sum() == pytest.approx(1)
        assert (area * centre**2).sum() == pytest.approx(1, abs=0.05)
    wide = Dataset(RNG.normal(size=(50, 9)), np.zeros(50))
    assert list(distribution(wide)) == ["edges", "all columns"]


def test_categories_have_no_density() -> None:
    X = RNG.normal(size=(50, 3))
    X[:, 1] = RNG.integers(0, 2, 50)
    data = Dataset(X, X[:, 0], feature_names=("a", "colour", "c"), categories={1: ("blue", "red")})
    assert list(distribution(data)) == ["edges", "a", "c"]
    only = Dataset(X[:, 1:2], X[:, 0], feature_names=("colour",), categories={0: ("blue", "red")})
    assert list(distribution(only)) == ["edges"]


def test_a_table_for_regression_has_no_pictures() -> None:
    d = describe(Dataset(RNG.normal(size=(20, 2)), np.arange(20.0)))
    assert (d.samples, d.mean_images, d.std_images, d.counts) == (None, None, None, {})
    with pytest.raises(InputError, match="no images"):
        samples_per_class(Dataset(np.zeros((2, 1)), np.zeros(2)), 1)


@pytest.mark.parametrize("name", odd_data())
def test_no_data_break_the_description(name: str) -> None:
    data = odd_data()[name]
    d = describe(data)
    edges = d.distribution["edges"]
    for density in (value for key, value in d.distribution.items() if key != "edges"):
        assert len(density) == len(edges) - 1
        assert (density * np.diff(edges)).sum() == pytest.approx(1) or not density.any()
    assert d.quantiles is not None
    assert d.quantiles.shape == (5, data.n_features)
