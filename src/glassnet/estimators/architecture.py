"""From an estimator's parameters to a network: layers, and first weights as scikit-learn draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.nn import Activate, BatchNorm, Dense, Dropout, Layer, LayerNorm, Loss, Network, RMSNorm
from glassnet.nn.activations import Activation, activation

__all__ = ["NORMALIZATIONS", "GlorotUniform", "build_network", "dense_layers", "draw_first_weights", "widths"]

Array = npt.NDArray[Any]
NORMALIZATIONS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm, "rms": RMSNorm}
#: scikit-learn's factors in the bound of the first weights, for the activations that it has
FACTORS = {"identity": 6.0, "tanh": 6.0, "relu": 6.0, "sigmoid": 2.0}


@dataclass(frozen=True)
class GlorotUniform:
    """Uniform in ±sqrt(factor / (fan_in + fan_out)) (Glorot & Bengio 2010), for weights or for biases."""

    factor: float
    bias: bool = False

    def __call__(self, rng: Any, fan_in: int, fan_out: int) -> Array:
        bound = np.sqrt(self.factor / (fan_in + fan_out))
        return np.asarray(rng.uniform(-bound, bound, fan_out if self.bias else (fan_in, fan_out)))


def widths(hidden_layer_sizes: Any) -> list[int]:
    """The hidden layers' numbers of units as a list."""
    sizes = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if not all(isinstance(size, Integral) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {sizes}.")
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def _one_for_each_layer(name: str, spec: Any, n: int) -> list[Any]:
    """A setting of every hidden layer: a list has one entry for each, anything else holds for all."""
    # (f, f') is one activation; a tuple of names is a list of layers
    several = isinstance(spec, list) or (isinstance(spec, tuple) and not all(map(callable, spec)))
    if not several:
        return [spec] * n
    if len(spec) != n:
        raise InputError(f"{name} has {len(spec)} entries for {n} hidden layers: give one for each layer")
    return list(spec)


def _rates(spec: Any, n: int) -> list[float]:
    """The dropout rate of every hidden layer."""
    rates = _one_for_each_layer("dropout", spec, n)
    for rate in rates:
        if not (isinstance(rate, Real) and 0 <= float(rate) < 1):
            raise InputError(f"dropout must be a number in [0, 1) for each hidden layer, not {rate!r}")
    return rates


def _activation(spec: Any) -> Activation:
    return activation("sigmoid" if isinstance(spec, str) and spec == "logistic" else spec)


def _dense(units: int, f: Activation, neighbour: Activation, initializer: Any, linear: bool = False) -> Dense:
    """A layer whose first weights suit the activation `neighbour`: its own, or the one before the output."""
    shown = "identity" if linear else f
    if initializer is not None:
        return Dense(units, shown, init=initializer)
    factor = FACTORS.get(neighbour.name)
    if factor is None:  # an activation that scikit-learn does not have: what suits it
        return Dense(units, shown, init=f.init)
    return Dense(units, shown, init=GlorotUniform(factor), bias_init=GlorotUniform(factor, bias=True))


def build_network(
    estimator: Any, n_features: int, n_outputs: int, loss: Loss, data_type: np.dtype[Any], seed: int
) -> Network:
    """The network of an estimator: Dense, [normalisation,] activation, [dropout,] ..., Dense.

    It computes in the type of the data if that is float32, else in float64 (float32 if products may be
    rounded to less).
    """
    hidden = widths(estimator.hidden_layer_sizes)
    specs = _one_for_each_layer("activation", estimator.activation, len(hidden))
    activations = [_activation(spec) for spec in specs]
    rates = _rates(estimator.dropout, len(hidden))
    norm = NORMALIZATIONS[estimator.normalization] if estimator.normalization is not None else None
    layers: list[Layer] = []
    for units, f, rate in zip(hidden, activations, rates, strict=True):
        layers.append(_dense(units, f, f, estimator.initializer, linear=norm is not None))
        if norm is not None:
            layers += [norm(), Activate(f)]
        if rate:
            layers.append(Dropout(rate))
    last = activations[-1] if activations else _activation(estimator.activation)
    layers.append(_dense(n_outputs, activation("identity"), last, estimator.initializer))
    rounded = estimator.matmul_precision == "bfloat16"
    dtype = np.float32 if rounded else data_type if data_type == np.float32 else np.float64
    return Network(
        layers, n_features, loss, dtype=dtype, seed=seed, matmul_precision=estimator.matmul_precision
    )


def dense_layers(network: Network) -> Sequence[Dense]:
    """The layers whose W and b are the estimator's `coefs_` and `intercepts_`."""
    return [layer for layer in network.layers if isinstance(layer, Dense)]


def draw_first_weights(network: Network, rng: np.random.RandomState) -> None:
    """Draw again what scikit-learn would draw, in its order (W, b, W, b ...) from its kind of generator."""
    for layer in dense_layers(network):
        if isinstance(layer.init, GlorotUniform) and isinstance(layer.bias_init, GlorotUniform):
            layer.W[...] = layer.init(rng, layer.n_in, layer.n_out)
            layer.b[...] = layer.bias_init(rng, layer.n_in, layer.n_out)
