"""The gradient check: what backward claims, beside what the loss does when a number is moved a little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.nn.losses import ONE, Squared, for_the_mean
from glassnet.nn.network import Network
from glassnet.seeds import stream

__all__ = ["GradientError", "gradient_check"]

Array = npt.NDArray[Any]
#: changes network.grad, returns what it adds to the loss (the penalties of `train` are such functions)
Penalty = Callable[[Network, int], float]
FLOOR = 1e-4  # of the largest gradient or the loss: below it a difference quotient is rounding noise


@dataclass(frozen=True)
class GradientError:
    """How far backward and the difference quotient are apart, for one parameter (or for X).

    `error` is the largest difference over the checked entries, divided by the largest gradient among them:
    max |claimed - measured| / max(|claimed|, |measured|). The entry named is the one that differs most.
    """

    where: str  # "layer 1 (Dense): W", or "X"
    error: float
    entry: tuple[int, ...]
    claimed: float  # by backward, at that entry
    measured: float  # by centred differences, at that entry
    n_checked: int  # entries

    @property
    def verdict(self) -> str:
        """ "wrong" above 1e-2, "doubtful" above 1e-4, "right but for kinks" above 1e-7, else "right".

        The bands are those of the course CS231n (notes "Neural Networks 3"); NaN is wrong. An entry that
        crosses the kink of a ReLU by its step may show 1e-4 and be right: take fewer rows or another seed.
        """
        for band, word in ((1e-7, "right"), (1e-4, "right but for kinks"), (1e-2, "doubtful")):
            if self.error <= band:
                return word
        return "wrong"


def gradient_check(
    network: Network, X: Array, y: Array, *, sample_weight: Array | None = None, h: float = 1e-5,
    max_parameters: int = 500, seed: int = 0, penalties: Sequence[Penalty] = (),
) -> list[GradientError]:  # fmt: skip
    """Compare the gradient of a network's loss with centred differences (f(+h) - f(-h)) / 2h, in float64.

    Works on a float64 copy; the network stays as it is. Layers run as in training: BatchNorm with the
    statistics of these rows, Dropout and Noise with one draw that is held fixed.

    Parameters
    ----------
    X : (B, n_inputs) rows, as the first layer sees them; ten or so are enough
    y : targets as the network's loss takes them
    sample_weight : (B,) weights of the rows
    h : half the step
    max_parameters : most entries to be moved, spread evenly over the parameters and X, drawn at random
    seed : of that choice and of the held draw
    penalties : added to the loss and to the gradient, e.g. `train.L2`

    Returns
    -------
    list of GradientError : one for each parameter in the order of the layers, then one for X

    Raises
    ------
    InputError : shapes that do not fit

    Examples
    --------
    >>> from glassnet.nn import Dense, Network
    >>> net = Network([Dense(3, "tanh"), Dense(2)], n_inputs=4)
    >>> found = gradient_check(net, np.eye(4), np.array([0, 1, 0, 1]))
    >>> [f"{e.where} {e.verdict}" for e in found][:2], max(e.error for e in found) < 1e-7
    (['layer 1 (Dense): W right', 'layer 1 (Dense): b right'], True)
    """
    X = np.array(X, dtype=np.float64, ndmin=2)  # (B, I), a copy: its entries will be moved
    y = np.asarray(y)
    if X.shape[1:] != (network.n_inputs,) or X.shape[:1] != y.shape[:1] or len(X) == 0:
        raise InputError(
            f"X has shape {X.shape} and y {y.shape}: need (B, {network.n_inputs}) and B rows, at least one"
        )
    if sample_weight is not None and np.shape(sample_weight) != (len(X),):
        raise InputError(
            f"sample_weight has shape {np.shape(sample_weight)}, but needs {(len(X),)}: one for each row of X"
        )
    twin = _in_double(network)
    targets = network.loss.targets(y, network.n_outputs, twin.dtype)
    w = network.loss.weights(targets, None if sample_weight is None else np.asarray(sample_weight, float))
    w = ONE if w is None else w
    scale = for_the_mean(w, len(X))

    def value() -> float:
        _hold_draws(twin, seed)
        Z = twin.forward(X, train=True)
        loss = twin.loss.gradient(Z, targets, w, scale, twin.dZ)
        twin.grad[:] = 0
        return loss + sum(penalty(twin, len(X)) for penalty in penalties)

    loss = value()
    of_penalties = twin.grad.copy()
    dA = twin.dZ
    for layer in reversed(twin.layers):
        dA = layer.backward(dA)
    claimed = {"theta": twin.grad + of_penalties, "X": dA.ravel().copy()}
    moved = {"theta": twin.theta, "X": X.reshape(-1)}
    floor = FLOOR * max(abs(loss), *(float(np.abs(part).max(initial=0.0)) for part in claimed.values()))

    found = []
    named = list(_named_entries(twin, X))
    rng = stream(seed, "gradient check")
    for where, kind, start, shape in named:
        size = int(np.prod(shape))
        entries = rng.permutation(size)[: max(1, max_parameters // len(named))]
        measured = np.array([_difference(value, moved[kind], start + i, h) for i in entries])
        found.append(_compare(where, claimed[kind][start + entries], measured, entries, shape, floor))
    return found


def _in_double(network: Network) -> Network:
    """A float64 copy of a network in which also the first layers give the gradient of their inputs."""
    twin = Network(network.layers, network.n_inputs, Squared(), dtype="float64", seed=network.seed)
    twin.loss = network.loss  # only now: a new network would refuse a wrong one, which is to be shown here
    twin.theta[:], twin.state[:] = network.theta, network.state
    for layer in twin.every_layer():
        layer.needs_dX = True
    return twin


def _hold_draws(network: Network, seed: int) -> None:
    """Give the layers that draw their generators from the beginning: each forward pass draws the same."""
    for i, layer in enumerate(network.every_layer()):
        if layer.draws:
            layer.rng = stream(seed, "dropout", i)


def _named_entries(network: Network, X: Array) -> Iterator[tuple[str, str, int, tuple[int, ...]]]:
    """Name, vector, first place in it and shape of each parameter in the order of the layers, then of X."""
    for number, layer in enumerate(network.every_layer(), 1):
        for slot in network.slots:
            if slot.layer is layer:
                name = f"layer {number} ({type(layer).__name__}): {slot.parameter.name}"
                yield name, "theta", slot.where.start, slot.parameter.shape
    yield "X", "X", 0, X.shape


def _difference(value: Callable[[], float], vector: Array, i: int, h: float) -> float:
    kept = vector[i]
    vector[i] = kept + h
    up = value()
    vector[i] = kept - h
    down = value()
    vector[i] = kept
    return (up - down) / (2 * h)


def _compare(
    where: str, claimed: Array, measured: Array, entries: Array, shape: tuple[int, ...], floor: float
) -> GradientError:
    apart = np.abs(claimed - measured)
    worst = int(np.argmax(apart))  # the first NaN if there is one
    largest = max(float(np.abs(claimed).max()), float(np.abs(measured).max()), floor)
    entry = tuple(int(i) for i in np.unravel_index(entries[worst], shape))
    return GradientError(
        where, float(apart[worst] / largest) if largest else 0.0, entry, float(claimed[worst]),
        float(measured[worst]), len(entries),
    )  # fmt: skip
