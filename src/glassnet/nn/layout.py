"""Where each parameter lives in the flat vectors: alike ones side by side, decayed ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.nn.layers import Layer, Parameter
from glassnet.seeds import stream

__all__ = [
    "FlatVector", "Segment", "Slot", "bind", "build", "draw", "family", "lay_out", "segments", "total",
]  # fmt: skip

Array = npt.NDArray[Any]


class Slot(NamedTuple):
    """One parameter of one layer and its place in the flat vector."""

    layer: Layer
    parameter: Parameter
    where: slice


class Segment(NamedTuple):
    """A stretch of theta whose parameters are treated alike."""

    where: slice
    decay: bool
    lr_factor: float


class FlatVector:
    """A vector of a network's: assigning to it writes into it, so that the layers' views still see it."""

    def __set_name__(self, network: type, name: str) -> None:
        self.name = name

    def __get__(self, network: Any, _: type | None = None) -> Any:
        if network is None:  # asked of the class
            return self
        try:
            return network.__dict__[self.name]
        except KeyError:
            raise AttributeError(f"this network has no {self.name} yet") from None

    def __set__(self, network: Any, values: Array) -> None:
        vector = network.__dict__.setdefault(self.name, values)
        if values is not vector:
            if np.shape(values) != vector.shape:
                raise InputError(f"{self.name} has shape {vector.shape}, not {np.shape(values)}")
            vector[:] = values


def family(layer: Layer) -> Iterator[Layer]:
    """The layer itself and all layers inside it."""
    yield layer
    for child in layer.children():
        yield from family(child)


def build(layers: Sequence[Layer], n_inputs: int) -> tuple[int, int]:
    """Tell layers how wide they are and what they will be asked for.

    Returns
    -------
    number of outputs of the last one; place of the first one that is trained
    """
    width = n_inputs
    for layer in layers:
        width = layer.build(width)
    trained = [i for i, layer in enumerate(layers) if any(one.parameters() for one in family(layer))]
    first = trained[0] if trained else len(layers)
    for layer in chain.from_iterable(map(family, layers)):
        # copies of another network's layers may say otherwise
        layer.needs_dX = not trained or layer is not layers[first]
        layer.given = _given(layer)
    return width, first


def _given(layer: Layer) -> frozenset[str]:
    """The arrays that somebody gave a layer; one that was in use before also has those of its work."""
    parameters, statistics = ([p.name for p in kept()] for kept in (layer.parameters, layer.statistics))
    of_work = {*parameters, *(f"d{name}" for name in parameters), *statistics, *layer.scratch()}
    arrays = {name for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    return frozenset(arrays - of_work)


def lay_out(wanted: list[tuple[Layer, Parameter]]) -> list[Slot]:
    """Places for these parameters: decayed first, then by learning rate factor, else in their order."""
    slots: list[Slot] = []
    start = 0
    for layer, p in sorted(wanted, key=lambda item: (not item[1].decay, item[1].lr_factor)):
        size = int(np.prod(p.shape))
        slots.append(Slot(layer, p, slice(start, start + size)))
        start += size
    return slots


def total(slots: list[Slot]) -> int:
    """Length of the flat vector."""
    return slots[-1].where.stop if slots else 0


def bind(slots: Sequence[Slot], vector: Array, prefix: str = "") -> None:
    """Give the layers their views of a flat vector."""
    for layer, p, where in slots:
        setattr(layer, prefix + p.name, vector[where].reshape(p.shape))


def draw(
    layers: Sequence[Layer], slots: Sequence[Slot], theta: Array, statistics: Sequence[Slot], state: Array,
    seed: int,
) -> None:  # fmt: skip
    """First values of all parameters and statistics: each layer that has some draws from its own stream.

    And each gets the stream that it will draw from in training (dropout), from its beginning.
    """
    with_some = [layer for layer in layers if layer.parameters() or layer.statistics()]
    rngs = {id(layer): stream(seed, "init", i) for i, layer in enumerate(with_some)}
    for places, vector in ((slots, theta), (statistics, state)):
        for layer, p, where in places:
            vector[where] = _drawn(layer, p, rngs[id(layer)], vector.dtype)
    for layer, p, where in slots:
        if not np.isfinite(theta[where]).all():
            raise InputError(f"the first values of {p.name} of {layer!r} must be finite in {theta.dtype}")
    for i, layer in enumerate(layers):
        layer.rng = stream(seed, "dropout", i)


def _drawn(layer: Layer, p: Parameter, rng: np.random.Generator, dtype: np.dtype[Any]) -> Array:
    """What a parameter begins with, one number or one for each: it may come from somebody's function."""
    given = p.start(rng)
    try:
        with np.errstate(over="ignore"):  # what is too large is infinite then, which `draw` refuses
            values = np.asarray(given, dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"the first values of {p.name} of {layer!r} must be numbers: {error}") from error
    if values.shape not in ((), p.shape):
        raise InputError(
            f"the first values of {p.name} of {layer!r} have shape {values.shape}, but need {p.shape}"
        )
    return values.ravel()


def segments(slots: list[Slot]) -> list[Segment]:
    """Neighbours that are treated alike, joined."""
    joined: list[Segment] = []
    for _, p, where in slots:
        if joined and (joined[-1].decay, joined[-1].lr_factor) == (p.decay, p.lr_factor):
            joined[-1] = joined[-1]._replace(where=slice(joined[-1].where.start, where.stop))
        else:
            joined.append(Segment(where, p.decay, p.lr_factor))
    return joined
