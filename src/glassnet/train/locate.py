"""Where a network produced the first number that is not finite."""

from __future__ import annotations

import numpy as np

from glassnet.nn.network import Network

__all__ = ["locate_not_finite"]


def locate_not_finite(network: Network, step: int) -> str:
    """Name the layer, the step and the operation behind a loss that is not finite.

    Looks at the network as the forward pass left it: parameters first (a too large step of the
    optimizer shows there), then each layer's output in order, then the loss itself.
    """
    names = {
        id(layer): f"layer {i} ({type(layer).__name__})" for i, layer in enumerate(network.every_layer(), 1)
    }
    for layer, parameter, where in sorted(network.slots, key=lambda s: list(names).index(id(s.layer))):
        if not np.isfinite(network.theta[where]).all():
            return (
                f"{names[id(layer)]}, step {step}: the optimizer's update made {parameter.name} not finite; "
                "lower the learning rate, or clip the gradient"
            )
    for layer in network.every_layer():
        idle = layer.draws and not getattr(layer, "rate", 1)  # dropout of 0 passes its inputs on
        for scratch in () if idle else ("Z", "A", "Y", "Xn"):
            if scratch in layer.scratch() and not np.isfinite(getattr(layer, scratch)).all():
                return (
                    f"{names[id(layer)]}, step {step}: the forward pass gave {scratch} that is not finite; "
                    "lower the learning rate, or scale the inputs"
                )
    return f"loss, step {step}: {network.loss!r} of finite outputs is not finite; check the targets"
