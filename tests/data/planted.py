"""Small generated data sets without a fault, into which the tests plant one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from glassnet.data.dataset import Dataset, ImageShape

PLACES = ("left", "right", "below")
CENTRES = np.array([[0.3, 0.3], [0.3, 0.7], [0.7, 0.5]])


@cache
def pictures(n: int = 300, channels: int = 3, size: int = 20, seed: int = 0) -> Dataset:
    """Noisy pictures of a disc in one of three places before clouds, in random colours: no two are alike."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    row, column = np.mgrid[:size, :size] / size
    X = np.empty((n, channels, size, size))
    for i in range(n):
        down, right = CENTRES[y[i]] + rng.normal(0, 0.03, 2)
        disc = np.exp(-((row - down) ** 2 + (column - right) ** 2) / 0.03)
        clouds = sum(
            rng.normal(0, 0.5 / k)
            * np.sin(6 * k * (row * np.cos(t) + column * np.sin(t)) + rng.uniform(0, 6))
            for k, t in zip((1, 1, 2, 2, 3), rng.uniform(0, 6.3, 5), strict=True)
        )
        colour = rng.uniform(0.4, 1, channels)
        X[i] = (1.5 * disc + 0.5 * clouds) * colour[:, None, None] * 110 + rng.normal(110, 20)
    X += rng.normal(0, 12, X.shape)
    return Dataset(
        np.clip(X, 0, 255).astype(np.uint8).reshape(n, -1), y, PLACES, image=ImageShape(size, size, channels)
    )


@cache
def table(n: int = 300, seed: int = 0) -> Dataset:
    """Four numeric columns and a text column; two classes that a linear model tells apart fairly well."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2)
    X = rng.normal(size=(n, 5))
    X[:, 0] += 2 * y
    X[:, 1] -= 2 * y
    X[:, 2] = np.exp(0.4 * X[:, 2]) * 10
    X[:, 4] = rng.integers(0, 4, n)
    names = ("height", "weight", "income", "age", "colour")
    return Dataset(X, y, ("no", "yes"), names, categories={4: ("blue", "green", "red", "white")})


@cache
def regression(n: int = 300, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1, 10, 0.1, 5] + [0, 50, 1, 20]
    y = X @ [1.0, 0.1, 10.0, 0.2] + rng.normal(size=n)
    return Dataset(X, y, feature_names=("a", "b", "c", "d"))


def with_rows(data: Dataset, rows: list[int], values: Any) -> Dataset:
    """The same data with other values in some rows of X."""
    X = data.X.copy()
    X[rows] = values
    return replace(data, X=X)


def with_cells(data: Dataset, rows: list[int], column: int, values: Any) -> Dataset:
    """The same data with other values in some cells of one column."""
    X = data.X.copy()
    X[rows, column] = values
    return replace(data, X=X)


def with_column(data: Dataset, name: str, values: Any) -> Dataset:
    """The same data with one more column."""
    X = np.concatenate([data.X, np.asarray(values, data.X.dtype)[:, None]], axis=1)
    return replace(data, X=X, feature_names=(*data.feature_names, name))


@cache
def odd_data() -> dict[str, Dataset]:
    """Data of every kind with what is rare and awkward in them."""
    rng = np.random.default_rng(0)
    odd: dict[str, Dataset] = {}
    for n in (2, 7, 40):
        labels = np.arange(n) % 2
        for dtype in (np.uint8, np.float32, np.float64):
            values = rng.integers(0, 256, (n, 300)).astype(dtype)
            odd[f"{n} pictures of {dtype.__name__}"] = Dataset(
                values, labels, ("a", "b"), image=ImageShape(10, 10, 3)
            )
            odd[f"{n} rows of {dtype.__name__}"] = Dataset(values[:, :4], labels, ("a", "b"))
            odd[f"{n} targets of {dtype.__name__}"] = Dataset(values[:, :4], labels * 1.5)
            odd[f"{n} equal pictures of {dtype.__name__}"] = Dataset(
                np.full((n, 256), 7, dtype), labels, ("a", "b"), image=ImageShape(16, 16, 1)
            )
    for name in (
        "40 pictures of float32",
        "40 rows of float64",
        "40 targets of float32",
        "7 pictures of float64",
    ):
        for what, value in (("missing", np.nan), ("infinite", np.inf), ("huge", 1e30)):
            X = odd[name].X.copy()
            X[::3, 0] = value
            X[1] = value
            odd[f"{name}, {what}"] = replace(odd[name], X=X)
    data = odd["40 rows of float32"]
    odd["an empty column"] = replace(data, X=np.where(np.arange(4) == 1, np.nan, data.X))
    odd["nothing but missing"] = replace(data, X=np.full_like(data.X, np.nan))
    odd["many targets"] = replace(data, y=data.X[:, :2], class_names=())
    odd["as many classes as rows"] = replace(data, y=np.arange(40), class_names=tuple(map(str, range(40))))
    odd["ten thousand classes"] = replace(data, class_names=tuple(map(str, range(10_000))))
    odd["flat pictures"] = replace(odd["40 pictures of uint8"], image=ImageShape(1, 300, 1))
    odd["two channels"] = replace(odd["40 pictures of uint8"], image=ImageShape(10, 15, 2))
    odd["split by the source"] = replace(data, part=np.array([0, 1, 2, 0] * 10, np.int8))
    odd["test rows only"] = replace(data, part=np.full(40, 2, np.int8))
    return odd
