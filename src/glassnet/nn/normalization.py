"""Layers that normalise: over the rows of the batch (BatchNorm) or over the features of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.layers import Layer, Parameter
from glassnet.nn.numbers import checked

__all__ = ["BatchNorm", "LayerNorm", "RMSNorm"]

Array = npt.NDArray[Any]


class BatchNorm(Layer):
    """A = gamma (X - mean) / sqrt(var + eps) + beta per feature (Ioffe & Szegedy 2015).

    In training mean and variance are the batch's, and running averages of them are kept (variance with
    B / (B - 1); a batch of one row does not count); in evaluation the averages are used, unchanged.

    Parameters
    ----------
    momentum : weight of the new batch in the running averages
    eps : added to the variance
    """

    gamma: Array
    beta: Array
    dgamma: Array
    dbeta: Array
    running_mean: Array
    running_var: Array
    Xn: Array
    A: Array
    dX: Array
    couples_rows = True

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.momentum = checked("momentum", momentum, "be in [0, 1]")
        self.eps = checked("eps", eps, "not be negative")

    def parameters(self) -> list[Parameter]:
        return [
            Parameter("gamma", (self.n_in,), lambda rng: 1.0),
            Parameter("beta", (self.n_in,), lambda rng: 0.0),
        ]

    def statistics(self) -> list[Parameter]:
        return [
            Parameter("running_mean", (self.n_in,), lambda rng: 0.0),
            Parameter("running_var", (self.n_in,), lambda rng: 1.0),
        ]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"Xn": (self.n_in,), "A": (self.n_in,), "dX": (self.n_in,)}

    def use(self, rows: int) -> None:
        super().use(rows)
        self.mean, self.rstd = np.empty(self.n_in, self.A.dtype), np.empty(self.n_in, self.A.dtype)

    def forward(self, X: Array, train: bool) -> Array:
        if not train:
            np.subtract(X, self.running_mean, out=self.A)  # (B, O)
            self.A *= self.gamma / np.sqrt(self.running_var + self.eps)
            self.A += self.beta
            return self.A
        kernels.batch_norm(X, self.gamma, self.beta, self.eps, self.mean, self.rstd, self.Xn, self.A)
        B, k = len(X), self.momentum
        if B > 1:  # one row has no variance
            var = (1.0 / self.rstd**2 - self.eps) * (B / (B - 1))  # (O,)
            self.running_mean += k * (self.mean - self.running_mean)
            self.running_var += k * (var - self.running_var)
        return self.A

    def backward(self, dA: Array) -> Array:
        kernels.batch_norm_grad(dA, self.Xn, self.gamma, self.rstd, self.dgamma, self.dbeta, self.dX)
        return self.dX  # (B, O)

    def settings(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "eps": self.eps}


class RMSNorm(Layer):
    """A = gamma X / sqrt(mean(X²) + eps) + beta over each row (Zhang & Sennrich 2019, with a shift)."""

    gamma: Array
    beta: Array
    dgamma: Array
    dbeta: Array
    Xn: Array
    A: Array
    dX: Array
    rstd: Array
    centre = False

    def __init__(self, eps: float = 1e-6) -> None:
        self.eps = checked("eps", eps, "not be negative")

    def parameters(self) -> list[Parameter]:
        return [
            Parameter("gamma", (self.n_in,), lambda rng: 1.0),
            Parameter("beta", (self.n_in,), lambda rng: 0.0),
        ]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"Xn": (self.n_in,), "A": (self.n_in,), "dX": (self.n_in,), "rstd": ()}

    def forward(self, X: Array, train: bool) -> Array:
        kernels.rms_norm(X, self.gamma, self.beta, self.eps, self.centre, self.rstd, self.Xn, self.A)
        return self.A  # (B, O)

    def backward(self, dA: Array) -> Array:
        kernels.rms_norm_grad(
            dA, self.Xn, self.gamma, self.centre, self.rstd, self.dgamma, self.dbeta, self.dX
        )
        return self.dX  # (B, O)

    def settings(self) -> dict[str, Any]:
        return {"eps": self.eps}


class LayerNorm(RMSNorm):
    """A = gamma (X - mean) / sqrt(var + eps) + beta over each row's features (Ba, Kiros & Hinton 2016)."""

    centre = True

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__(eps)
