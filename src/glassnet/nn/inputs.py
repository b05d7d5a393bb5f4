"""Rows of stored data in the form a network takes: scaled and converted piece by piece, or as bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.kernels.room import aligned, spaced
from glassnet.nn.checks import as_array, check_width
from glassnet.nn.layers import Dense

if TYPE_CHECKING:
    from glassnet.nn.network import Network

__all__ = ["AffineScaling", "Inputs"]

Array = npt.NDArray[Any]
_MORE_BYTES = 3  # times as many rows as of floats: four would leave no room for what they are multiplied with
_COMPILED_FOR = "?bhilqBHILQfd"  # type codes that the compiled kernels read; others are converted batch-wise


class AffineScaling(Protocol):
    """x * scale + shift, each of shape () or (n_features,), as `data.Scaling` has them."""

    @property
    def scale(self) -> Array: ...
    @property
    def shift(self) -> Array: ...


class Inputs:
    """Rows of X in the form a network takes; the stored data stays as it is.

    Parameters
    ----------
    network : the network that will be given them: its dtype and inputs decide the form
    X : (n, n_inputs) uint8, integers or floats, dense (also a read-only memory map) or a SciPy sparse
        matrix; only the rows of one piece at a time are ever converted
    scaling : applied to the rows of each piece; None for data that is ready

    Raises
    ------
    InputError : shapes that do not fit

    Examples
    --------
    >>> import glassnet as gn
    >>> net, pictures = gn.Network([Dense(2)], n_inputs=3, seed=0), np.full((2, 3), 255, np.uint8)
    >>> scaling = gn.fit_scaling(pictures, "unit")
    >>> bool(np.allclose(net.predict(pictures, scaling), net.predict(np.ones((2, 3)))))
    True
    """

    def __init__(self, network: Network, X: Any, scaling: AffineScaling | None = None) -> None:
        self.sparse = not isinstance(X, np.ndarray) and hasattr(X, "tocsr")
        if self.sparse and X.dtype == np.float16:  # SciPy cannot take rows of these
            X = X.astype(network.dtype)
        self.X: Any = X.tocsr() if self.sparse else as_array("X", X)
        check_width(self.X.shape, network.n_inputs)
        if self.X.dtype.kind not in "fuibO":  # complex numbers would lose a part, text be read as numbers
            raise InputError(f"X must hold numbers, not {self.X.dtype}")
        if scaling is not None and not (hasattr(scaling, "scale") and hasattr(scaling, "shift")):
            raise InputError(
                f"scaling must have a scale and a shift, as fit_scaling(X, 'unit') has, not {scaling!r}"
            )
        plain = (np.ones(1), np.zeros(1)) if scaling is None else (scaling.scale, scaling.shift)
        self.scale, self.shift = (np.atleast_1d(np.asarray(part, network.dtype)) for part in plain)
        for part in (self.scale, self.shift):
            if part.shape not in ((1,), (network.n_inputs,)):
                raise InputError(f"the scaling has shape {part.shape}, but X has {network.n_inputs} columns")
        odd = self.X.dtype.char not in _COMPILED_FOR or not self.X.dtype.isnative
        self.indirect = self.sparse or odd
        self.scaled = scaling is not None
        self.dtype, self.n_inputs = network.dtype, network.n_inputs
        self._memory = threading.local()  # rows of several batches are converted at once

    def __len__(self) -> int:
        n_rows: int = self.X.shape[0]
        return n_rows

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_memory"}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__dict__.update(saved)
        self._memory = threading.local()

    def stays_bytes(self, network: Network, n_rows: int, stored: Any = None) -> bool:
        """Whether this network can multiply so many rows (of `stored`, else X) as bytes, and gains by it."""
        stored, first = self.X if stored is None else stored, network.layers[0]
        return (
            not self.sparse
            and kernels.may_stay_bytes(stored, n_rows, first.n_out, self.scale, self.shift)
            and self.dtype == np.float32
            and _multiplies(network)
        )

    def pieces(self, network: Network, rows: slice, times: int = 1) -> Iterator[slice]:
        """Rows cut into pieces that stay in the cache from forward to backward (`times`: larger ones)."""
        bytes_too = self.stays_bytes(network, len(self))
        return network.chunks(rows, max(times, _MORE_BYTES) if bytes_too else times)

    def piece(self, network: Network, where: slice) -> Any:
        """These rows, ready for the network; not copied if they already lie row by row, of its dtype."""
        if self.scaled or self.stays_bytes(network, where.stop - where.start):
            return self.formed(*self.picked(np.arange(where.start, where.stop)), network)
        some = self.X[where]
        return np.ascontiguousarray(some.toarray() if self.sparse else some, self.dtype)

    def picked(self, rows: Array) -> tuple[Any, Array]:
        """Something that kernels can read, and the row numbers (B,) at which it holds these rows."""
        if not self.indirect:
            return self.X, rows
        some = self.X[rows].toarray() if self.sparse else self.X[rows]
        return some.astype(self.dtype, copy=False), np.arange(len(rows))

    def formed(self, stored: Any, which: Array, network: Network | None, may_stay: bool = True) -> Any:
        """Rows `which` of `stored`, (B, n_inputs), scaled: numbers, or bytes if this network gains by it."""
        if may_stay and network is not None and self.stays_bytes(network, len(which), stored):
            return kernels.StoredRows(stored, which, self.scale, self.shift)
        X = self._room(len(which), network is not None and _multiplies(network))
        kernels.gather(stored, which, self.scale, self.shift, X)
        return X

    def _room(self, n_rows: int, apart: bool) -> Array:
        """Memory for converted rows, one for each thread: what is in it is valid until its next call.

        With gaps between the rows (`apart`) it is faster to multiply, without them for all else.
        """
        name = "apart" if apart else "close"
        room: Array | None = getattr(self._memory, name, None)
        if room is None or len(room) < n_rows:
            allocate = spaced if apart else aligned
            room = allocate((n_rows, self.n_inputs), self.dtype)
            setattr(self._memory, name, room)
        return room[:n_rows]


def _multiplies(network: Network) -> bool:
    """Whether the first thing that happens to rows is a product; somebody's own layer may do anything."""
    return type(network.layers[0]) is Dense
