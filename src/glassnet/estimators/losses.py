"""The regressor's losses by scikit-learn's names, with the values that scikit-learn reports."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from glassnet.nn import Absolute, Huber, Loss, Network, Poisson, Quantile, Squared

__all__ = [
    "REGRESSION_LOSSES", "HalfPoissonDeviance", "HalfSquaredError", "regression_loss", "reported_share",
]  # fmt: skip

Array = npt.NDArray[Any]
#: name -> what it is; "squared" and "absolute" are the engine's own names
REGRESSION_LOSSES = frozenset(
    {"squared_error", "squared", "absolute_error", "absolute", "huber", "poisson", "quantile"}
)


class HalfSquaredError(Squared):
    """Half the squared error; its *value* is the mean over the outputs, its gradient that of the sum.

    So it is in scikit-learn; with one output there is no difference.
    """

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        return super().gradient(Z, y, w, scale, dZ) / int(Z.shape[1])


class HalfPoissonDeviance(Poisson):
    """sum_k y log(y / mu) - y + mu, mu = exp(z): the Poisson loss and the constant that makes 0 its best."""

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        from scipy.special import xlogy

        constant = (xlogy(y, y) - y).sum(axis=1)  # (B,)
        return super().gradient(Z, y, w, scale, dZ) + float((constant * w).sum() * scale)


def regression_loss(spec: str | Loss, quantile: float, huber_delta: float, lbfgs: bool) -> Loss:
    """The loss of that name.

    L-BFGS needs a value and a gradient that belong together, so it gets the sum over the outputs.
    """
    if isinstance(spec, Loss):
        return spec
    if spec in ("squared_error", "squared"):
        return Squared() if lbfgs else HalfSquaredError()
    if spec == "poisson":
        return HalfPoissonDeviance()
    if spec == "huber":
        return Huber(huber_delta)
    return Quantile(quantile) if spec == "quantile" else Absolute()


def reported_share(network: Network) -> int:
    """By what to divide a mean loss for the value that scikit-learn reports: see HalfSquaredError."""
    return network.n_outputs if type(network.loss) is Squared else 1
