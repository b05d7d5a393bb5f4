"""Where a network produced the first number that is not finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.nn.layers import Layer
from glassnet.nn.network import Network

__all__ = ["locate_gradient", "locate_not_finite"]

Array = npt.NDArray[Any]
LARGE = 50.0  # outputs from which on a loss may overflow: exp(89) does in float32


def locate_not_finite(network: Network, step: int, gradients: Sequence[Array] = ()) -> str:
    """Name the layer, the step and the operation behind a loss that is not finite.

    Looks at the network as the forward pass left it: parameters first (a too large step of the
    optimizer shows there), then each layer's output in order, then the network's, then the loss itself.

    Parameters
    ----------
    gradients : vectors (P,) that show whether the latest update had a gradient that was finite: that
        gradient, unless a forward pass came after the update, and the optimizer's moments (SGD has none)
    """
    named = list(_named(network.layers))
    names, order = {id(layer): name for layer, name in named}, [id(layer) for layer, _ in named]
    bad = ~np.isfinite(network.theta)
    for gradient in gradients:
        if (taken := bad & ~np.isfinite(gradient)).any():
            return locate_gradient(network, step - 1, taken)
    for layer, parameter, where in sorted(network.slots, key=lambda s: order.index(id(s.layer))):
        if bad[where].any():
            return (
                f"{names[id(layer)]}, step {step}: the optimizer's update made {parameter.name} not finite; "
                "lower the learning rate, or clip the gradient"
            )
    for layer, name in named:
        idle = layer.draws and not getattr(layer, "rate", 1)  # dropout of 0 passes its inputs on
        for scratch in () if idle else ("Z", "A", "Y", "Xn"):
            if scratch in layer.scratch() and not np.isfinite(getattr(layer, scratch)).all():
                return _of_the_forward_pass(name, step, scratch)
    return _of_the_loss(network, step, names[id(network.layers[-1])])


def locate_gradient(network: Network, step: int, bad: Array) -> str:
    """Name the gradient that is not finite, of several the first on the way back through the layers.

    Parameters
    ----------
    bad : (P,) where it is not finite
    """
    name, parameter = next(
        (name, parameter.name)
        for layer, name in reversed(list(_named(network.layers)))
        for owner, parameter, where in network.slots
        if owner is layer and bad[where].any()
    )
    return (
        f"{name}, step {step}: the gradient d{parameter}, or its running mean, was not finite, though the "
        "loss was: look at the derivatives of the loss and of the layers from here on; lower the learning "
        "rate if they are right"
    )


def _named(layers: Sequence[Layer], of: str = "") -> Iterator[tuple[Layer, str]]:
    """All layers with their names, in the order in which they finish: inner ones before their block."""
    for i, layer in enumerate(layers, 1):
        name = f"{of}layer {i} ({type(layer).__name__})"
        yield from _named(layer.children(), f"{name}, its ")
        yield layer, name


def _of_the_forward_pass(name: str, step: int, what: str) -> str:
    return (
        f"{name}, step {step}: the forward pass gave {what} that is not finite; "
        "lower the learning rate, or scale the inputs"
    )


def _of_the_loss(network: Network, step: int, last: str) -> str:
    outputs = getattr(network, "outputs", np.empty(0))  # somebody's own layer may keep them elsewhere
    if not np.isfinite(outputs).all():
        return _of_the_forward_pass(last, step, "an output")
    largest = float(np.abs(outputs).max(initial=0.0))
    if largest > LARGE:
        of, advice = f"outputs as large as {largest:.3g}", "lower the learning rate, or scale the targets"
    else:
        of, advice = "finite outputs", "check the targets"
    return f"loss, step {step}: {network.loss!r} of {of} is not finite; {advice}"
