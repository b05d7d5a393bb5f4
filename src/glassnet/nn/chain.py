"""A network of plain Dense layers in one or two compiled calls, where calls would be half of the work.

The layers say what happens (`layers.py`), and it happens in their memory; only who calls whom is different.
Whoever wants to see each layer called, or has changed one, is served: layers of another class, with another
`forward` or `backward`, activation or memory, or that somebody watches, are called one by one, and any loss
but the plain softmax's cross-entropy is called between the two calls. With GLASSNET_KERNELS=reference in the
environment all of them are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.nn.classes import no_such_class
from glassnet.nn.layers import Dense, Layer
from glassnet.nn.losses import Loss, SoftmaxCrossEntropy

if TYPE_CHECKING:
    from glassnet.nn.network import Network

__all__ = ["Chain", "chain_of"]

Array = npt.NDArray[Any]
_NETWORK = f"{__package__}.network"
_FORWARD, _BACKWARD, _LOSS = Dense.forward, Dense.backward, SoftmaxCrossEntropy.gradient


class Chain:
    """Dense layers where they are now: in the parameters' memory, and in scratch memory of some size.

    Parameters
    ----------
    layers : plain ones, ready for a batch of any size
    rows : the numbers of rows that go through in one call
    """

    def __init__(self, layers: Sequence[Dense], rows: range) -> None:
        self.layers, self.rows, self.dtype = layers, rows, layers[0].W.dtype
        self.arrays = [  # must stay alive as long as the table
            {name: getattr(layer, name) for name in ("W", "b", "dW", "db", "A")}
            | {"dX": layer.dX if layer.needs_dX else None, "f": layer.f.name}
            for layer in layers
        ]
        self.table = kernels.table_of(self.arrays)
        self.known = [(layer, vars(layer), layer.f, layer.W, layer.b, layer._full) for layer in layers]
        self.n_in, self.n_out = layers[0].n_in, layers[-1].n_out
        self.X: Array | None = None  # of the last forward pass, if it went this way

    def forward(self, X: Any, layers: Sequence[Layer]) -> Array | None:
        """The outputs (B, O) as these layers' `forward` would give them; None if they have to do it."""
        A = self._take(X, layers)
        if A is not None:
            kernels.forward_through(self.table, X)
        return A

    def gradient(self, network: Network, X: Any, y: Any, w: Any, scale: float) -> float | None:
        """Loss of these rows, and all the rest as the network's `forward`, loss and `backward` leave it.

        None if these have to be called: one of them is somebody's own, the loss is another one, or its
        targets or weights have another form.
        """
        if (smoothing := self.enter(network, X, y, w)) is None:
            return None
        try:
            return float(kernels.gradient_through(self.table, X, y, w, smoothing, float(scale), network.dZ))
        except IndexError:
            raise no_such_class(self.n_out) from None

    def serves(self, network: Network, rows: int) -> bool:
        """Whether batches of so many rows can go through, as far as can be told before there are any."""
        plain = _is_plain(network.loss) and _passes_itself(network)
        return plain and rows in self.rows and self._is_still(network.layers)

    def enter(self, network: Network, X: Any, y: Any, w: Any) -> float | None:
        """Make ready for `gradient_through`: the loss's label smoothing; None if that has to be called."""
        loss = network.loss
        if not _is_plain(loss) or not self._fit_together(y, w, len(X)) or not _passes_itself(network):
            return None
        if (A := self._take(X, network.layers)) is None:
            return None
        network.outputs = A
        return float(loss.label_smoothing)

    def _fit_together(self, y: Any, w: Any, rows: int) -> bool:
        """Whether these are codes and weights of so many rows."""
        return (
            isinstance(y, np.ndarray)
            and isinstance(w, np.ndarray)
            and y.shape == (rows,)
            and w.shape in ((1,), (rows,))
            and y.dtype == np.int64
            and w.dtype == self.dtype
        )

    def _take(self, X: Any, layers: Sequence[Layer]) -> Array | None:
        """Where the outputs of these rows will be; None if the layers have to be called."""
        self.X = None
        if not isinstance(X, np.ndarray) or len(X) not in self.rows or not self._is_still(layers):
            return None
        if not self._fits(X, (len(X), self.n_in)) or np.may_share_memory(X, self.arrays[0]["A"]):
            return None  # a product of NumPy's says what is wrong, or knows how to help
        self.X = A = X
        for layer in self.layers:
            layer.X, A = A, layer.A
        return A

    def backward(self, dZ: Array, layers: Sequence[Layer]) -> bool:
        """Do what the layers' `backward` would do; False if they have to do it, as `forward` was theirs."""
        X = self.X
        if X is None or self.layers[0].X is not X or not self._is_still(layers):
            return False
        if not self._fits(dZ, (len(X), self.n_out)) or not dZ.flags.carray:
            return False
        kernels.backward_through(self.table, X, dZ)
        return True

    def _fits(self, X: Array, shape: tuple[int, int]) -> bool:
        return X.shape == shape and X.dtype == self.dtype

    def _is_still(self, layers: Sequence[Layer]) -> bool:
        """Whether these are still those plain layers, and nobody wants to see what happens in between."""
        for layer, own, f, W, b, scratch in self.known:
            if own["f"] is not f or own["W"] is not W or own["b"] is not b or own["_full"] is not scratch:
                return False
            if type(layer) is not Dense or layer.watch is not None or "forward" in own or "backward" in own:
                return False
        return layers == self.layers and Dense.forward is _FORWARD and Dense.backward is _BACKWARD


def _is_plain(loss: Loss) -> TypeGuard[SoftmaxCrossEntropy]:
    """Whether this is the plain loss of classes, as it is in `losses.py`."""
    return (
        type(loss) is SoftmaxCrossEntropy
        and SoftmaxCrossEntropy.gradient is _LOSS
        and not loss.focal
        and "gradient" not in vars(loss)
    )


def _passes_itself(network: Network) -> bool:
    """Whether its `forward` and `backward` are those of `network.py`, and nothing wrapped around them."""
    own, kind = vars(network), type(network)
    known = kind.forward.__module__ == kind.backward.__module__ == _NETWORK
    wrapped = hasattr(kind.forward, "__wrapped__") or hasattr(kind.backward, "__wrapped__")
    return known and not wrapped and "forward" not in own and "backward" not in own


def chain_of(layers: Sequence[Layer]) -> Chain | None:
    """The chain of these layers, if they are plain ones and gain by it."""
    plain = [layer for layer in layers if type(layer) is Dense]
    if len(plain) < len(layers) or not all(layer.bias and not layer.ntk for layer in plain):
        return None
    if not all(layer.needs_dX for layer in plain[1:]):
        return None
    widths = [plain[0].n_in, *(layer.n_out for layer in plain)]
    rows = kernels.rows_of_chain(widths, [layer.f.name for layer in plain], plain[0].W.dtype)
    return Chain(plain, rows) if rows else None
