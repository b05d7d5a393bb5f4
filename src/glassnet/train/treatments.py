"""What may happen to a gradient between backward and step: penalties and clipping.

A treatment is called as treat(network, weight), changes `network.grad`, and returns what it adds to the loss.
`weight` is the sum of the batch's sample weights: its number of rows where there are no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.numbers import checked
from glassnet.nn.registry import in_words
from glassnet.train.feed import Feed
from glassnet.train.run import Run, check_objects

__all__ = ["L1", "L2", "ClipNorm", "ClipValue", "Treatment", "check_treatments", "treated"]

Array = npt.NDArray[Any]


class Treatment(Protocol):
    def __call__(self, network: Network, weight: float) -> float: ...


def check_treatments(treatments: Sequence[Any]) -> None:
    """Refuse what is no list, or has something in it that cannot be called."""
    check_objects("treatments", treatments)
    for i, treat in enumerate(treatments):
        if not callable(treat):
            raise InputError(
                f"treatments[{i}] is {treat!r}: give L2(1e-3), ClipNorm(1.0) or the like, or a function of "
                "the network and the batch's weight that returns what it adds to the loss"
            )


def treated(
    run: Run, train: Feed, rows: Array, treatments: Sequence[Treatment], value: float
) -> tuple[float, str]:  # fmt: skip
    """The loss of a batch with all that treatments add, and which of them made it not finite, if one did."""
    for treat in treatments:
        added = treat(run.network, train.total_weight(rows) or 1.0)
        try:
            value += float(added)
        except (TypeError, ValueError):
            raise InputError(
                f"the treatment {in_words(treat)} must return what it adds to the loss, a number "
                f"(0.0 for nothing), not {added!r}"
            ) from None
        if not math.isfinite(value):
            return value, (
                f"treatment {in_words(treat)}, step {run.step}: it added {float(added):g} to the loss; "
                "make it weaker, or the steps and the first weights smaller"
            )
    return value, ""


@dataclass(frozen=True)
class L2:
    """Adds strength / 2 * sum of squared weights to the loss (biases and norms are left alone).

    `per_batch` divides the strength by the batch's weight (its rows), as scikit-learn's `alpha` is.
    """

    strength: float
    per_batch: bool = False

    def __post_init__(self) -> None:
        checked("l2", self.strength, "not be negative")

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
        checked("l1", self.strength, "not be negative")

    def __call__(self, network: Network, weight: float) -> float:
        value = 0.0
        for where, decays, _ in network.segments:
            if decays:
                value += kernels.l1(network.theta[where], network.grad[where], self.strength)
        return value


@dataclass(frozen=True)
class ClipNorm:
    """Scales the whole gradient down to this Euclidean norm if it is longer (Pascanu et al. 2013).

    The whole is that of the parameters that are trained: that of frozen ones is set to zero.
    """

    limit: float

    def __post_init__(self) -> None:
        checked("clip_norm", self.limit, "be positive")

    def __call__(self, network: Network, weight: float) -> float:
        grad, unit = network.grad, 1.0
        for where, _, lr_factor in network.segments:
            if not lr_factor:
                grad[where] = 0.0
        with np.errstate(over="ignore"):
            square = np.dot(grad, grad)
        if np.isinf(square) and np.isfinite(largest := float(max(grad.max(), -grad.min()))):
            unit = largest  # only the sum is too large for its type: all in units of the largest then
            grad /= unit
            square = np.dot(grad, grad)
        norm = float(np.sqrt(square))
        if self.limit < norm * unit < np.inf:  # what is not finite stays, for the loop to find
            grad *= self.limit / norm
        elif unit != 1.0:
            grad *= unit
        return 0.0


@dataclass(frozen=True)
class ClipValue:
    """Limits every entry of the gradient to ±limit."""

    limit: float

    def __post_init__(self) -> None:
        checked("clip_value", self.limit, "be positive")

    def __call__(self, network: Network, weight: float) -> float:
        np.clip(network.grad, -self.limit, self.limit, out=network.grad)
        return 0.0
