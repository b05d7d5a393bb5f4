"""First weights: their spread, and that each layer has its own stream of the seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import ACTIVATIONS, INITIALIZERS, Dense, LayerNorm, Network, initializer

VARIANCES = {  # of a matrix from 400 inputs to 100 outputs
    "he_normal": 2 / 400, "he_uniform": 2 / 400, "xavier_normal": 2 / 500, "xavier_uniform": 2 / 500,
    "lecun_normal": 1 / 400, "lecun_uniform": 1 / 400, "orthogonal": 1 / 400, "standard_normal": 1.0,
    "coursework_hidden": 2 / 400, "coursework_output": 1 / 400, "zeros": 0.0,
}  # fmt: skip


def test_every_initializer_has_a_variance_here() -> None:
    assert list(VARIANCES) == list(INITIALIZERS)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_spread(name: str) -> None:
    W = initializer(name)(np.random.default_rng(0), 400, 100)
    assert W.shape == (400, 100)
    assert W.var() == pytest.approx(VARIANCES[name], rel=0.03)
    assert abs(W.mean()) <= 4 * np.sqrt(VARIANCES[name] / W.size)
    if name.endswith("uniform"):
        assert np.abs(W).max() <= np.sqrt(3 * VARIANCES[name])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, int]) -> None:
    W = initializer("orthogonal")(np.random.default_rng(0), *shape)
    small = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-12)


def test_seeds_and_layers_have_their_own_numbers() -> None:
    layers = [Dense(5), Dense(5), LayerNorm(), Dense(5)]
    a, b, c = (Network(layers, 5, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(a.theta, b.theta)
    assert not np.array_equal(a.layers[0].W, c.layers[0].W)
    assert not np.array_equal(a.layers[0].W, a.layers[1].W)
    c.initialize(0)
    assert np.array_equal(a.theta, c.theta)


@pytest.mark.parametrize(
    "f", [name for name in ACTIVATIONS if name not in ("hard_sigmoid", "sigmoid", "softplus")]
)
def test_the_signal_keeps_its_size_through_ten_layers(f: str) -> None:
    """With the initialiser that an activation names, neither vanishes nor explodes what goes through."""
    network = Network([Dense(200, f) for _ in range(10)], 200, "squared")
    X = np.random.default_rng(0).normal(size=(100, 200)).astype(np.float32)
    out = network.forward(X)
    assert 0.02 < out.std() < 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"init": lambda rng, i, o: np.arange(i * o).reshape(o, i)},
         r"first values of W of Dense\(units=3, .* have shape \(3, 5\), but need \(5, 3\)"),
        ({"init": lambda rng, i, o: np.zeros((i, i))}, r"W of Dense.* have shape \(5, 5\), but"),
        ({"bias_init": lambda rng, i, o: np.zeros(i)}, r"b of Dense.* have shape \(5,\), but need \(3,\)"),
        ({"init": lambda rng, i, o: np.full((i, o), np.nan)}, "W of Dense.* must be finite in float32"),
        ({"init": lambda rng, i, o: np.full((i, o), 1e300)}, "W of Dense.* must be finite in float32"),
        ({"bias_init": lambda rng, i, o: np.inf}, "b of Dense.* must be finite"),
        ({"bias_init": lambda rng, i, o: "a"}, "b of Dense.* must be numbers"),
    ],
)  # fmt: skip
def test_first_values_that_do_not_fit_are_refused(wrong: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Network([Dense(3, **wrong)], 5)


def test_a_function_may_give_one_number_for_all() -> None:
    network = Network([Dense(3, bias_init=lambda rng, i, o: 0.5)], 5)  # type: ignore[arg-type, return-value]
    assert network.layers[0].b.tolist() == [0.5] * 3
