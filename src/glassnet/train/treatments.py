"""What may happen to a gradient between backward and step: penalties and clipping.

A treatment is called as treat(network, weight), changes `network.grad`, and returns what it adds to the loss.
`weight` is the sum of the batch's sample weights: its number of rows where there are no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.network import Network

__all__ = ["L1", "L2", "ClipNorm", "ClipValue", "Treatment"]


class Treatment(Protocol):
    def __call__(self, network: Network, weight: float) -> float: ...


@dataclass(frozen=True)
class L2:
    """Adds strength / 2 * sum of squared weights to the loss (biases and norms are left alone).

    `per_batch` divides the strength by the batch's weight (its rows), as scikit-learn's `alpha` is.
    """

    strength: float
    per_batch: bool = False

    def __post_init__(self) -> None:
        _not_negative("l2", self.strength)

    def __call__(self, network: Network, weight: float) -> float:
        k = self.strength / weight if self.per_batch else self.strength
        value = 0.0
        for where, decays, _ in network.segments:
            if decays:
                value += kernels.l2(network.theta[where], network.grad[where], k)
        return value


@dataclass(frozen=True)
class L1:
    """Adds strength * sum of |weights| to the loss; its gradient is strength * sign(weight)."""

    strength: float

    def __post_init__(self) -> None:
        _not_negative("l1", self.strength)

    def __call__(self, network: Network, weight: float) -> float:
        value = 0.0
        for where, decays, _ in network.segments:
            if decays:
                weights = network.theta[where]
                network.grad[where] += self.strength * np.sign(weights)
                value += self.strength * float(np.abs(weights).sum())
        return value


@dataclass(frozen=True)
class ClipNorm:
    """Scales the whole gradient down to this Euclidean norm if it is longer (Pascanu et al. 2013)."""

    limit: float

    def __post_init__(self) -> None:
        _positive("clip_norm", self.limit)

    def __call__(self, network: Network, weight: float) -> float:
        norm = float(np.sqrt(np.dot(network.grad, network.grad)))
        if norm > self.limit:
            network.grad *= self.limit / norm
        return 0.0


@dataclass(frozen=True)
class ClipValue:
    """Limits every entry of the gradient to ±limit."""

    limit: float

    def __post_init__(self) -> None:
        _positive("clip_value", self.limit)

    def __call__(self, network: Network, weight: float) -> float:
        np.clip(network.grad, -self.limit, self.limit, out=network.grad)
        return 0.0


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise InputError(f"{name} must not be negative: {value}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{name} must be positive, not {value}")
