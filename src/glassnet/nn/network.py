"""The network: layers in a row over one flat vector of parameters and one flat gradient."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.kernels.room import aligned
from glassnet.nn import crew
from glassnet.nn.chain import Chain, chain_of
from glassnet.nn.checks import check_batch, check_end, check_network, check_precision, check_width
from glassnet.nn.inputs import AffineScaling
from glassnet.nn.layers import Layer
from glassnet.nn.layout import FlatVector, bind, build, draw, family, lay_out, segments, total
from glassnet.nn.losses import ONE, Loss, for_the_mean
from glassnet.nn.losses import loss as resolve_loss

__all__ = ["Network"]

Array = npt.NDArray[Any]
CHUNK_VALUES = 2**19  # input values at a time: 2 MiB of float32 stay in the cache from forward to backward


class Network:
    """Layers in a row, their parameters as one flat vector, and a loss at the end.

    Parameters
    ----------
    layers : descriptions of the layers (copied); the last one is linear, the loss owns the link
    n_inputs : features of a row
    loss : name in `LOSSES` or a Loss
    dtype : "float32" or "float64"
    seed : of the first weights and of dropout
    matmul_precision : "full", or "bfloat16": both factors of a large product (two million multiplications on,
        rows * inputs * units) are rounded to 8 bits, 2 to 3 digits, where the processor multiplies such
        numbers faster (it has AVX-512 BF16 or AMX; elsewhere nothing changes); sums and parameters stay
        float32. Data stored as bytes stays exact (with AVX-512 BF16 alone: before less than 128 units); what
        it is multiplied with keeps 16 bits of the largest number in its column, so that results depend
        slightly on how many rows go through at a time

    Attributes
    ----------
    theta, grad : (P,) all parameters and their gradient; W, b, dW, db of the layers are views of them.
        `net.theta = values` copies into it; a layer's part is set by `layer.W[:] = values`, never without [:]
    state : numbers that are kept but not trained (BatchNorm's running averages)
    segments : stretches of theta with equal treatment, decayed parameters first

    Examples
    --------
    >>> from glassnet.nn import Dense
    >>> net = Network([Dense(3, "relu"), Dense(2)], n_inputs=4)
    >>> net.n_parameters, net.predict(np.zeros((1, 4))).tolist()
    (23, [[0.5, 0.5]])
    """

    theta, grad, state = FlatVector(), FlatVector(), FlatVector()
    crew: crew.Crew | None = None  # threads that share out many rows, as long as somebody has hired them
    chain: Chain | None = None  # of all the layers in one call, where that is faster

    def __init__(
        self, layers: Sequence[Layer], n_inputs: int, loss: str | Loss = "softmax_cross_entropy", *,
        dtype: npt.DTypeLike = "float32", seed: int = 0, matmul_precision: str = "full",
    ) -> None:  # fmt: skip
        n_inputs, seed = check_network(layers, n_inputs, dtype, seed)
        self.layers = [copy.deepcopy(layer) for layer in layers]
        self.n_inputs, self.loss, self.dtype, self.seed = n_inputs, resolve_loss(loss), np.dtype(dtype), seed
        self.n_outputs, self.first = build(self.layers, n_inputs)  # backward stops at the first one trained
        check_end(self.layers[-1], self.loss, self.n_outputs)
        self.matmul_precision = matmul_precision
        self.couples_rows = any(layer.couples_rows for layer in self.layers)
        self._lay_out()
        self.theta, self.grad = (aligned(total(self.slots), self.dtype, zeros=True) for _ in range(2))
        self.state = np.zeros(total(self.statistics), self.dtype)
        self._bind()
        self.initialize(seed)

    @property
    def matmul_precision(self) -> str:
        """Whether the layers may round factors of products; it can be set at any time."""
        return "bfloat16" if any(layer.may_round for layer in self.every_layer()) else "full"

    @matmul_precision.setter
    def matmul_precision(self, precision: str) -> None:
        check_precision(precision, self.dtype)
        for layer in self.every_layer():
            layer.may_round = precision == "bfloat16"

    def every_layer(self) -> Iterator[Layer]:
        """All layers, also those inside residual blocks."""
        for layer in self.layers:
            yield from family(layer)

    def _lay_out(self) -> None:
        """Decide where each parameter lives in theta, and each statistic in state."""
        layers = list(self.every_layer())
        self.slots = lay_out([(lay, p) for lay in layers for p in lay.parameters()])
        self.statistics = lay_out([(lay, p) for lay in layers for p in lay.statistics()])
        self.segments = segments(self.slots)
        self.widest = max(self.n_inputs, *(layer.n_out for layer in layers))
        self.chunk_rows = max(32, CHUNK_VALUES // self.widest // 32 * 32)  # blocks of products
        self.capacity = self.rows = 0

    def _bind(self) -> None:
        """Give the layers their views of theta, grad and state."""
        bind(self.slots, self.theta)
        bind(self.slots, self.grad, "d")
        bind(self.statistics, self.state)

    def initialize(self, seed: int) -> None:
        """Draw the first weights again: each layer that has some from its own stream, whatever is between."""
        draw(list(self.every_layer()), self.slots, self.theta, self.statistics, self.state, seed)

    def reserve(self, rows: int) -> None:
        """Make room for batches of up to `rows` rows; only a larger one makes more."""
        if rows > self.capacity:
            for layer in self.layers:
                layer.reserve(rows, self.dtype)
            self._dZ = aligned((rows, self.n_outputs), self.dtype)
            self.capacity, self.rows, self.chain = rows, 0, None

    def use(self, rows: int) -> None:
        """Scratch memory of batches of exactly `rows` rows."""
        if rows != self.rows:
            self.reserve(rows)
            for layer in self.layers:
                layer.use(rows)
            self.rows, self.dZ, self.chain = rows, self._dZ[:rows], self.chain or chain_of(self.layers)

    def forward(self, X: Array, train: bool = False) -> Array:
        """Outputs (logits) of one batch, (B, n_outputs): valid until the next call."""
        self.use(len(X))
        if self.chain is None or (A := self.chain.forward(X, self.layers)) is None:
            if isinstance(X, np.ndarray):  # stored rows have been looked at
                check_width(X.shape, self.n_inputs)
            A = X
            for layer in self.layers:
                A = layer.forward(A, train)
        self.outputs = A
        return A

    def gradient(self, X: Array, y: Array, w: Array = ONE, scale: float | None = None) -> float:
        """Loss of one batch; `grad` becomes its gradient by theta.

        Parameters
        ----------
        X : (B, n_inputs) of the network's dtype
        y : targets as `loss.targets` gives them
        w : (B,) weights or (1,) for all alike
        scale : factor on loss and gradient; None takes 1 / sum of the weights
        """
        scale = for_the_mean(w, len(X)) if scale is None else scale
        self.use(len(X))
        value = None if self.chain is None else self.chain.gradient(self, X, y, w, scale)
        if value is None:  # a chain looks by itself
            check_batch(X, y, w)
            value = self.loss.gradient(self.forward(X, train=True), y, w, scale, self.dZ)
            self.backward(self.dZ)
        return value

    def chunks(self, rows: slice, times: int = 1) -> Iterator[slice]:
        """Cut rows into pieces that fit the scratch memory worth keeping (`times`: larger ones)."""
        for start in range(rows.start, rows.stop, times * self.chunk_rows):
            yield slice(start, min(start + times * self.chunk_rows, rows.stop))

    def backward(self, dZ: Array) -> None:
        """Send the gradient of the outputs back through the layers; fills `grad`."""
        if self.chain is None or not self.chain.backward(dZ, self.layers):
            for layer in reversed(self.layers[self.first :]):
                dZ = layer.backward(dZ)

    def logits(self, X: Array, scaling: AffineScaling | None = None) -> Array:
        """Outputs before the link, (n, n_outputs), of any number of rows; X, scaling: what `Inputs` takes."""
        return crew.logits(self, X, scaling)

    def predict(self, X: Array, scaling: AffineScaling | None = None) -> Array:
        """Probabilities or values, by the loss's link, (n, n_outputs); X, scaling: what `Inputs` takes."""
        return self.loss.link(self.logits(X, scaling))

    @property
    def n_parameters(self) -> int:
        return len(self.theta)

    def __repr__(self) -> str:
        rounded = "" if self.matmul_precision == "full" else f", matmul_precision={self.matmul_precision!r}"
        return f"Network({self.layers}, n_inputs={self.n_inputs}, loss={self.loss!r}{rounded})"

    def __getstate__(self) -> dict[str, Any]:
        """What makes the network: not its scratch memory, nor what can be derived."""
        laid_out = ("slots", "statistics", "segments", "widest", "capacity", "rows")
        derived = ("chain", "crew", "dZ", "_dZ", "outputs", *laid_out)
        return {k: v for k, v in self.__dict__.items() if k not in derived}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__dict__.update(saved)
        self._lay_out()
        self._bind()
