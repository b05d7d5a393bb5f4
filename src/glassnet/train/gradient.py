"""Loss and gradient of one batch, also of one that is too large for the cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.kernels.room import aligned
from glassnet.nn.crew import over_rows, prepared
from glassnet.nn.network import Network
from glassnet.train.feed import Feed
from glassnet.train.measure import metric_sums
from glassnet.train.threads import goes_in_parts

__all__ = ["batch_gradient"]

Array = npt.NDArray[Any]


def batch_gradient(
    network: Network, train: Feed, rows: Array, metrics: Sequence[str] = (),
    draw: np.random.Generator | None = None,
) -> tuple[float, list[float]]:  # fmt: skip
    """Loss of one batch, and of each metric the sum over its rows; the gradient is in `network.grad` then.

    A batch too large for the cache goes through in parts whose gradients add up to the same thing.
    """
    scale = 1.0 / (train.total_weight(rows) or math.inf)  # rows of weight 0 teach nothing
    if goes_in_parts(network, len(rows)):
        return _in_parts(network, train, rows, metrics, draw, scale)
    return _at_once(network, train, rows, metrics, draw, scale)


def _at_once(
    network: Network, train: Feed, rows: Array, metrics: Sequence[str], draw: np.random.Generator | None,
    scale: float,
) -> tuple[float, list[float]]:  # fmt: skip
    X, y, w = train.take(rows, draw, network)
    loss = network.gradient(X, y, w, scale)
    if not metrics or not math.isfinite(loss):  # the network's memory still shows where
        return loss, []
    return loss, metric_sums(network, network.outputs, y, metrics)


def _in_parts(
    network: Network, train: Feed, rows: Array, metrics: Sequence[str], draw: np.random.Generator | None,
    scale: float,
) -> tuple[float, list[float]]:  # fmt: skip
    def learn(network: Network, stretch: slice) -> tuple[float, list[float], Array]:
        loss, sums, total = 0.0, [0.0] * len(metrics), aligned(network.grad.shape, network.dtype, zeros=True)
        for part in train.pieces(network, stretch):
            value, found = _at_once(network, train, rows[part], metrics, draw, scale)
            loss += value
            if not math.isfinite(loss):
                break
            sums = [a + b for a, b in zip(sums, found, strict=True)]
            kernels.accumulate(total, network.grad)
        return loss, sums, total

    with prepared(network, train, len(rows)):
        stretches = over_rows(network, len(rows), learn)
    loss = sum(value for value, _, _ in stretches)
    if not math.isfinite(loss) and len(stretches) > 1:  # it may be a twin's: once more, for this one to show
        return learn(network, slice(0, len(rows)))[:2]
    network.grad[:] = stretches[0][2]
    for _, _, total in stretches[1:]:
        kernels.accumulate(network.grad, total)
    return loss, [sum(column) for column in zip(*(sums for _, sums, _ in stretches), strict=True)]
