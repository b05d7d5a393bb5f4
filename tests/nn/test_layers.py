"""What a layer keeps: arrays that somebody gave it, in copies, pickles, files and twins; and nothing else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import (
    BatchNorm,
    Dense,
    Layer,
    LayerNorm,
    Network,
    Residual,
    RMSNorm,
    SoftmaxCrossEntropy,
    activation,
    gradient_check,
    load_network,
    save_network,
)
from glassnet.nn.crew import twin
from glassnet.train import ClipNorm

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)
Y = np.array([0, 1, 1, 0, 1])


class Fixed(Layer):
    """A = X R with an R that is given and never trained; and a table that `build` makes."""

    def __init__(self, R: Array) -> None:
        self.R = R

    def build(self, n_in: int) -> int:
        self.n_in, self.n_out = self.R.shape
        self.factors = np.linspace(1.0, 2.0, self.n_out)
        return self.n_out

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"A": (self.n_out,), "dX": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        self.last = X
        return np.multiply(X @ self.R, self.factors, out=self.A)

    def backward(self, dA: Array) -> Array:
        return np.matmul(dA * self.factors, self.R.T, out=self.dX)


def with_given_arrays(dtype: str = "float64") -> Network:
    layers: list[Layer] = [
        Dense(4, "tanh", bias=False),
        Residual(Fixed(np.eye(4)[::-1]), Dense(4)), Fixed(np.random.default_rng(1).normal(size=(4, 3))),
        Dense(2, init=np.arange(6.0).reshape(3, 2), bias_init=np.array([1.0, 2.0])),
    ]  # fmt: skip
    return Network(layers, 4, dtype=dtype)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n)), twin], ids=["copy", "pickle", "twin"]
)
def test_arrays_that_a_layer_was_given_survive(again: Callable[[Network], Network], used: bool) -> None:
    network = with_given_arrays()
    if used:
        network.gradient(X, Y)
    other = again(network)
    np.testing.assert_array_equal(other.predict(X), network.predict(X))
    other.gradient(X, Y)
    network.gradient(X, Y)
    np.testing.assert_array_equal(other.grad, network.grad)
    assert np.shares_memory(other.layers[-1].W, other.theta)  # type: ignore[attr-defined]


def test_layers_with_arrays_serve_another_network_and_are_right() -> None:
    old = with_given_arrays()
    old.gradient(X, Y)
    new = Network(old.layers, 4, dtype="float64", seed=3)
    assert max(e.error for e in gradient_check(new, X, Y)) < 1e-6
    assert new.layers[-1].W.tolist() == [[0, 1], [2, 3], [4, 5]]  # type: ignore[attr-defined]
    assert new.layers[-1].b.tolist() == [1, 2]  # type: ignore[attr-defined]


def test_scratch_views_and_the_last_batch_are_not_kept() -> None:
    network = with_given_arrays()
    small = len(pickle.dumps(network))
    network.gradient(np.ones((10_000, 4)), np.zeros(10_000, np.int64))
    assert len(pickle.dumps(network)) < small + 1000
    kept = {k for k, v in copy.deepcopy(network.layers[2]).__dict__.items() if isinstance(v, np.ndarray)}
    assert kept == {"R", "factors"}


def test_first_values_given_as_arrays_are_saved(tmp_path: Path) -> None:
    W, b = RNG.normal(size=(4, 2)), [0.5, -0.5]
    network = Network([Dense(2, init=W, bias_init=b)], 4, dtype="float64")
    np.testing.assert_array_equal(network.layers[0].W, W)  # type: ignore[attr-defined]
    first = network.theta.copy()
    network.theta += 1
    save_network(network, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.theta, network.theta)
    again.initialize(1)
    np.testing.assert_array_equal(again.theta, first)
    assert repr(again) == repr(network)
    assert "init=<array of shape (40, 30)>" in repr(Dense(30, init=np.zeros((40, 30))))
    W[:] = 7  # it has its own
    network.initialize(0)
    assert not (network.layers[0].W == 7).any()  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["by hand", "an older pickle"])
def test_a_layer_that_was_at_work_before_keeps_nothing_of_it(way: str) -> None:
    """Else a twin would share its gradient with the network, and two threads write into one array."""
    used = Network([Dense(3, "tanh"), BatchNorm(), Dense(2)], 4)
    used.gradient(X, Y)
    if way == "by hand":
        for layer in used.every_layer():
            layer.given = None
        network = Network(used.layers, 4)
    else:
        states = [vars(layer) for layer in used.every_layer()]
        for state in states:
            del state["given"]
        network = copy.deepcopy(used)
    network.gradient(X, Y)
    other = twin(network)
    other.grad[:] = 7
    for layer in other.every_layer():
        for name, value in vars(layer).items():
            if name.startswith("d") and isinstance(value, np.ndarray) and name != "dX":
                assert np.shares_memory(value, other.grad), name
    assert not (network.grad == 7).any()
    assert len(pickle.dumps(network)) < 5000


def test_first_values_given_as_arrays_are_tensors_of_the_file(tmp_path: Path) -> None:
    network = Network([Dense(300, init=RNG.normal(size=(200, 300))), Dense(2)], 200)
    save_network(network, tmp_path / "net.safetensors")
    assert (tmp_path / "net.safetensors").stat().st_size < 60_000 * (8 + 4) + 10_000
    again = copy.deepcopy(load_network(tmp_path / "net.safetensors"))
    again.initialize(5)
    np.testing.assert_array_equal(again.layers[0].W, network.layers[0].W)  # type: ignore[attr-defined]


def test_a_trained_network_is_loaded_whatever_its_end(tmp_path: Path) -> None:
    """An earlier version let it begin so; it may still predict."""
    network = Network([Dense(2, "tanh")], 4, "squared")
    network.loss = SoftmaxCrossEntropy()
    save_network(network, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict(X), network.predict(X))
    with pytest.raises(InputError, match="leave out the last activation"):
        Network(again.layers, 4)


def test_an_own_layer_with_an_array_cannot_be_saved_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is your own layer: a file cannot hold its code"):
        save_network(with_given_arrays(), tmp_path / "net.safetensors")


@pytest.mark.parametrize("name", ["theta", "grad", "state"])
def test_assigning_to_a_vector_writes_into_it(name: str) -> None:
    network = Network([Dense(3, "relu"), BatchNorm(), LayerNorm(), Dense(2)], 4)
    vector = getattr(network, name)
    given = RNG.normal(size=len(vector))
    setattr(network, name, given)
    assert getattr(network, name) is vector
    np.testing.assert_array_equal(vector, given.astype(np.float32))
    assert np.shares_memory(network.layers[0].W, network.theta)  # type: ignore[attr-defined]
    network.theta += 1
    network.theta = network.theta * 2
    np.testing.assert_array_equal(network.layers[0].W.ravel(), network.theta[:12])  # type: ignore[attr-defined]
    for wrong in (given[:-1], 3.0, given[None]):
        with pytest.raises(InputError, match=rf"{name} has shape \({len(vector)},\), not \("):
            setattr(network, name, wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e18, 1e30, 3e38, 1e300])
@pytest.mark.parametrize("limit", [1.0, 1e35])
def test_a_gradient_is_clipped_to_its_norm_however_long_it_is(size: float, limit: float, dtype: str) -> None:
    if size > 1e38 and dtype == "float32":
        size = 3e38
    network = Network([Dense(10)], 50, "squared", dtype=dtype)
    network.grad = size * np.tile([1.0, -0.5, 0.1, 0.0, 1.0], 102)
    before = network.grad.astype(np.longdouble)
    norm = np.sqrt(np.sum(before**2))
    ClipNorm(limit)(network, 1.0)
    expected = before * min(1.0, limit / norm)
    np.testing.assert_allclose(network.grad.astype(np.longdouble), expected, rtol=1e-5)


def test_clipping_leaves_what_is_not_finite_where_it_is() -> None:
    network = Network([Dense(2)], 4, "squared")
    network.grad[:] = given = [np.inf, *[1.0] * 9]
    ClipNorm(1.0)(network, 1.0)
    assert network.grad.tolist() == given


@pytest.mark.parametrize(
    "own",
    [
        lambda Z: Z**3, lambda Z: np.clip(Z, -30, 30), lambda Z: np.exp(Z * Z), lambda Z: np.sin(Z * Z),
        (lambda Z: Z / (1 + np.exp(-Z)), lambda Z: (1 + np.exp(-Z) * (1 + Z)) / (1 + np.exp(-Z)) ** 2),
    ],
)  # fmt: skip
def test_far_from_zero_a_right_derivative_is_right(own: Any) -> None:
    with np.errstate(all="raise"):
        activation(own)


@pytest.mark.parametrize("wrong", [[RMSNorm(), Dense(5)], "relu", RMSNorm])
def test_a_residual_block_takes_layers_one_by_one(wrong: Any) -> None:
    with pytest.raises(
        InputError, match=r"one by one, Residual\(RMSNorm\(\), Dense\(5\)\), not .*(RMS|relu)"
    ):
        Residual(wrong)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_numpys_whole_numbers_serve_as_widths_and_seed(kind: type[Any], tmp_path: Path) -> None:
    network = Network([Dense(kind(200), "relu"), Dense(kind(2))], kind(5), seed=kind(3))
    plain = Network([Dense(200, "relu"), Dense(2)], 5, seed=3)
    np.testing.assert_array_equal(network.predict(np.ones((7, 5))), plain.predict(np.ones((7, 5))))
    save_network(network, tmp_path / "net.safetensors")
    assert repr(load_network(tmp_path / "net.safetensors")) == repr(plain)


@pytest.mark.parametrize("first", [2.0, [0.0, 1.0], lambda rng, i, o: np.ones(o)])
def test_without_a_bias_there_is_nothing_to_begin_with(first: Any) -> None:
    with pytest.raises(InputError, match="with bias=False there is no b"):
        Dense(2, bias=False, bias_init=first)


def test_a_layer_without_bias_is_saved_and_told(tmp_path: Path) -> None:
    network = Network([Dense(2, bias=False)], 4)
    save_network(network, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert repr(again.layers[0]) == "Dense(units=2, activation='identity', bias=False)"
    np.testing.assert_array_equal(again.predict(X), network.predict(X))


@pytest.mark.parametrize(
    ("coarse", "said"),
    [
        (lambda Z: np.tanh(Z.astype(np.float32)), "must keep the type .* turned float64 into float32"),
        (lambda Z: np.tanh(Z.astype(np.float32)).astype(Z.dtype), "no certain derivative.* keep the type"),
    ],
)
def test_an_activation_must_keep_the_type(coarse: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        activation(coarse)
