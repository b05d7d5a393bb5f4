"""Layers with one trained number per unit: scales, slopes and mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.activations import activation as resolve
from glassnet.nn.layers import ActivationSpec, Layer, Parameter
from glassnet.nn.numbers import checked

__all__ = ["PReLU", "ParametricActivation", "Scale"]

Array = npt.NDArray[Any]


class Scale(Layer):
    """A = X * s with one trained factor per feature, s = 1 at the start (RealMLP: Holzmüller et al. 2024)."""

    s: Array
    ds: Array
    A: Array
    dX: Array

    def __init__(self, lr_factor: float = 6.0) -> None:
        self.lr_factor = checked("lr_factor", lr_factor, "not be negative")

    def parameters(self) -> list[Parameter]:
        return [Parameter("s", (self.n_in,), lambda rng: 1.0, False, self.lr_factor)]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"A": (self.n_in,), "dX": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        self.X = X
        return np.multiply(X, self.s, out=self.A)  # (B, I)

    def backward(self, dA: Array) -> Array:
        np.multiply(dA, self.X, out=self.dX)
        self.dX.sum(axis=0, out=self.ds)  # (I,)
        return np.multiply(dA, self.s, out=self.dX)  # (B, I)

    def settings(self) -> dict[str, Any]:
        return {"lr_factor": self.lr_factor}


class ParametricActivation(Layer):
    """A = X + w (f(X) - X): each unit mixes f with the identity, w trained from 1 (RealMLP)."""

    w: Array
    dw: Array
    Z: Array
    F: Array
    A: Array
    dX: Array

    def __init__(
        self, activation: ActivationSpec = "mish", start: float = 1.0, lr_factor: float = 0.1
    ) -> None:
        self.f, self.start = resolve(activation), checked("start", start)
        self.lr_factor = checked("lr_factor", lr_factor, "not be negative")

    def parameters(self) -> list[Parameter]:
        return [Parameter("w", (self.n_in,), lambda rng: self.start, False, self.lr_factor)]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"Z": (self.n_in,), "F": (self.n_in,), "A": (self.n_in,), "dX": (self.n_in,)}

    def use(self, rows: int) -> None:
        super().use(rows)
        self.none, self.unused = np.zeros(self.n_in, self.Z.dtype), np.empty(self.n_in, self.Z.dtype)

    def forward(self, X: Array, train: bool) -> Array:
        np.copyto(self.Z, X)  # (B, O)
        kernels.bias_act(self.Z, self.none, self.f, self.F)  # F = f(X)
        np.subtract(self.F, X, out=self.A)
        self.A *= self.w
        self.A += X
        return self.A

    def backward(self, dA: Array) -> Array:
        np.subtract(self.F, self.Z, out=self.dX)
        self.dX *= dA
        self.dX.sum(axis=0, out=self.dw)  # (O,)
        np.multiply(dA, self.w, out=self.dX)
        dA -= self.dX  # (1 - w) dA
        kernels.act_grad(self.dX, self.F if self.f.from_output else self.Z, self.f, self.unused)
        self.dX += dA  # (1 - w + w f') dA
        return self.dX

    def settings(self) -> dict[str, Any]:
        return {"activation": self.f.name, "start": self.start, "lr_factor": self.lr_factor}


class PReLU(Layer):
    """A = max(X, 0) + w min(X, 0) with one trained slope per unit (He et al. 2015), w = 0.25 at the start."""

    w: Array
    dw: Array
    N: Array
    A: Array
    dX: Array

    def __init__(self, start: float = 0.25) -> None:
        self.start = checked("start", start)

    def parameters(self) -> list[Parameter]:
        return [Parameter("w", (self.n_in,), lambda rng: self.start)]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"N": (self.n_in,), "A": (self.n_in,), "dX": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        np.minimum(X, 0, out=self.N)  # (B, O) the negative part
        np.multiply(self.N, self.w, out=self.A)
        self.A += np.maximum(X, 0, out=self.dX)  # dX is free in the forward pass
        return self.A

    def backward(self, dA: Array) -> Array:
        np.multiply(dA, self.N, out=self.dX)
        self.dX.sum(axis=0, out=self.dw)  # (O,)
        np.less(self.N, 0, out=self.dX)  # 1 where X is negative
        self.dX *= self.w - 1.0
        self.dX += 1.0  # the slope: w or 1
        self.dX *= dA
        return self.dX  # (B, O)

    def settings(self) -> dict[str, Any]:
        return {"start": self.start}
