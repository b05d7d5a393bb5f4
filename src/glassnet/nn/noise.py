"""Layers that disturb their inputs in training and pass them on in evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.layers import Layer
from glassnet.nn.numbers import checked
from glassnet.seeds import stream

__all__ = ["Dropout", "Noise", "seed_noise"]

Array = npt.NDArray[Any]


class Dropout(Layer):
    """Set a share of the inputs to 0 in training and scale the rest up; do nothing in evaluation.

    Inverted dropout (Srivastava et al. 2014): A = X * mask, mask = (U >= rate) / (1 - rate).
    """

    U: Array
    mask: Array
    A: Array
    draws = True

    def __init__(self, rate: float) -> None:
        self.rate = checked("dropout rate", rate, "be in [0, 1)")

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"U": (self.n_in,), "mask": (self.n_in,), "A": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        if not train or self.rate == 0:
            return X
        self.rng.random(dtype=self.U.dtype, out=self.U)  # (B, I) uniform in [0, 1)
        kernels.dropout(X, self.U, self.rate, self.mask, self.A)
        return self.A

    def backward(self, dA: Array) -> Array:
        if self.rate > 0:
            dA *= self.mask
        return dA

    def settings(self) -> dict[str, Any]:
        return {"rate": self.rate}


class Noise(Layer):
    """Add N(0, std²) to every input in training; do nothing in evaluation (Bishop 1995)."""

    N: Array
    draws = True

    def __init__(self, std: float) -> None:
        self.std = checked("the standard deviation of noise", std, "not be negative")

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"N": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        if not train or self.std == 0:
            return X
        self.rng.standard_normal(dtype=self.N.dtype, out=self.N)  # (B, I)
        self.N *= self.std
        self.N += X
        return self.N

    def backward(self, dA: Array) -> Array:
        return dA

    def settings(self) -> dict[str, Any]:
        return {"std": self.std}


def seed_noise(layers: Iterable[Layer], seed: int, epoch: int) -> None:
    """Give every layer that draws its own stream for this epoch: a resumed run draws the same numbers."""
    for i, layer in enumerate(layers):
        if layer.draws:
            layer.rng = stream(seed, "dropout", i, epoch)
