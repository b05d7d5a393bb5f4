"""The feed: rows of stored data on their way into a network, scaled and converted batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.data.augment import Mixed, changed_rows, first_rows
from glassnet.errors import InputError
from glassnet.nn.checks import as_array
from glassnet.nn.inputs import AffineScaling, Inputs
from glassnet.nn.losses import ONE
from glassnet.nn.network import Network

__all__ = ["AffineScaling", "Augment", "Feed"]

Array = npt.NDArray[Any]
#: (stored rows (B, I) of X's dtype, generator) -> as many rows to train on instead, perhaps mixed; one with
#: a method of_rows(X, row numbers, generator) for the same is spared a copy
Augment = Callable[[Array, np.random.Generator], Array | Mixed]


class Feed(Inputs):
    """Rows of X, y and weights in the form a network takes; the stored data stays as it is.

    Parameters
    ----------
    network : the network that will be fed: its dtype, inputs and loss decide the form
    X : (n, n_inputs) uint8, integers or floats, dense (also a read-only memory map) or a SciPy sparse
        matrix; only the rows of one batch at a time are ever converted
    y : targets as the network's loss takes them: class codes (n,), one-hot (n, C), or values
    sample_weight : (n,) non-negative weights, or None
    scaling : applied to the rows of each batch; None for data that is ready
    augment : changes the stored rows of each batch before the scaling (training only); one that returns
        `Mixed` rows has their targets and weights mixed likewise
    rows : (m,) the row numbers that take part; None for all

    Raises
    ------
    InputError : shapes that do not fit, NaN or infinity (row and column named), no rows
    """

    def __init__(
        self, network: Network, X: Array, y: Array, *, sample_weight: Array | None = None,
        scaling: AffineScaling | None = None, augment: Augment | None = None, rows: Array | None = None,
    ) -> None:  # fmt: skip
        super().__init__(network, X, scaling)
        if augment is not None and not callable(augment):
            raise InputError(
                "augment must be a function of rows and a random generator that gives as many rows, "
                f"not {augment!r}"
            )
        self.augment = augment
        self.ready = not (self.scaled or self.sparse) and augment is None and self.X.dtype == network.dtype
        y = as_array("y", y)
        if y.ndim == 0 or len(y) != self.X.shape[0]:
            raise InputError(f"X has {self.X.shape[0]} rows but y has shape {y.shape}")
        self.rows = row_numbers(rows, len(y))
        refuse_not_finite("y", y.reshape(len(y), -1))
        refuse_not_finite("X", self.X)
        self.y = network.loss.targets(y, network.n_outputs, network.dtype)
        w = network.loss.weights(self.y, _weights(sample_weight, len(y)))
        self.w = ONE.astype(network.dtype) if w is None else np.asarray(w, dtype=network.dtype)
        if not self.total_weight(self.rows) > 0:
            raise InputError("the weights of all rows are zero: there is nothing to train on")
        self.made_for, self.n_outputs = _form(network), network.n_outputs

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Feed of {len(self):,} rows of {self.n_inputs} {self.X.dtype} for a network of {self.dtype}>"

    @property
    def n_rows(self) -> int:
        """Stored rows, whether they take part or not."""
        return len(self.y)

    def check(self, name: str, network: Network) -> None:
        """Refuse a network of another form than the one these rows were prepared for."""
        if self.made_for != _form(network):
            raise InputError(
                f"the {name} rows were prepared for a network with {self.made_for}, not for {_form(network)}"
            )

    @property
    def weighted(self) -> bool:
        return len(self.w) > 1

    def total_weight(self, rows: Array) -> float:
        """Sum of the weights of these rows."""
        return float(self.w[rows].sum()) if self.weighted else float(len(rows))

    def take(
        self, rows: Array, rng: np.random.Generator | None = None, network: Network | None = None,
        may_stay: bool = True,
    ) -> tuple[Any, Array, Array]:  # fmt: skip
        """X, y and weights of these rows, ready for the network; X is valid until the next call.

        Parameters
        ----------
        rows : (B,) row numbers
        rng : draws the augmentation; None leaves it out (evaluation). Mixed class codes (B,) come back as
            shares (B, C)
        network : who takes them: if its first layer can multiply them as the bytes they are, and if there
            are enough of them, X is `StoredRows`; None for numbers in any case
        may_stay : False if X has to be numbers, also of so many rows that they could stay bytes
        """
        mixed = None
        stored, which = self.picked(rows)
        if self.augment is not None and rng is not None:
            changed = changed_rows(self.augment, stored, which, rng)
            mixed = changed if isinstance(changed, Mixed) else None
            stored, which = changed.X if isinstance(changed, Mixed) else changed, first_rows(len(rows))
            if stored.shape != (len(rows), self.n_inputs):
                raise InputError(
                    f"augment must keep the shape {len(rows), self.n_inputs}: it gave {stored.shape}"
                )
        X = self.formed(stored, which, network, may_stay)
        y, w = self.y[rows], self.w[rows] if self.weighted else self.w
        return (X, y, w) if mixed is None else (X, *self._mixed(y, w, mixed))

    def _mixed(self, y: Array, w: Array, mixed: Mixed) -> tuple[Array, Array]:
        """Targets and weights of mixed rows, which teach lam w loss(y) + (1 - lam) w' loss(y') of partners.

        Every cross-entropy is linear in its target, so one target of the mean and one weight of the sum give
        exactly that; the squared error gives it but for a constant, with the same gradient.
        """
        lam = mixed.lam.astype(self.dtype)
        weight, share = w, lam
        if self.weighted:
            own, other = lam * w, (1 - lam) * w[mixed.partner]  # (B,)
            weight = own + other
            share = np.divide(own, weight, out=np.ones_like(weight), where=weight > 0)
        if y.ndim == 2:
            return share[:, None] * y + (1 - share)[:, None] * y[mixed.partner], weight
        shares = np.empty((len(y), self.n_outputs), self.dtype)  # (B, C)
        try:
            kernels.mixed_codes(y, mixed.partner, share, shares)
        except IndexError as error:
            raise InputError(f"augment must mix rows of the batch: {error}") from None
        return shares, weight

    def piece(self, network: Network, where: slice) -> Any:
        """X of these rows in this feed's own order, ready for the network, or not even copied."""
        return self._piece_at(self._stored_at(where), network)

    def stretch(self, network: Network, where: slice) -> tuple[Any, Array, Array]:
        """X, y and weights of these rows in this feed's own order, as `piece` gives them."""
        at = self._stored_at(where)
        return self._piece_at(at, network), self.y[at], self.w[at] if self.weighted else self.w

    def _stored_at(self, where: slice) -> slice | Array:
        """Where these rows are stored: a slice, if they can be used as they lie there, or their numbers."""
        rows = self.rows[where]
        if self.ready and len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            return slice(int(rows[0]), int(rows[-1]) + 1)
        return rows

    def _piece_at(self, at: slice | Array, network: Network) -> Any:
        return self.X[at] if isinstance(at, slice) else self.formed(*self.picked(at), network)


def _weights(sample_weight: Array | None, n: int) -> Array | None:
    if sample_weight is None:
        return None
    try:
        w = np.asarray(sample_weight, dtype=float)
    except (TypeError, ValueError):
        raise InputError("sample_weight must hold numbers, one weight for each row") from None
    if w.shape != (n,):
        raise InputError(f"sample_weight must have shape ({n},), one weight for each row, not {w.shape}")
    if not np.isfinite(w).all() or (w < 0).any():
        bad = int(np.flatnonzero(~np.isfinite(w) | (w < 0))[0])
        raise InputError(f"sample_weight[{bad}] = {w[bad]}: weights must be finite and not negative")
    return w


def row_numbers(rows: Array | None, n: int) -> Array:
    numbers = np.arange(n) if rows is None else as_array("rows", rows)
    if numbers.ndim and not len(numbers):
        raise InputError(f"there are no rows to train on: {'X' if rows is None else 'rows'} is empty")
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        given = f"{numbers.dtype} of shape {numbers.shape}" if numbers.ndim else repr(rows)
        raise InputError(f"rows must be row numbers, not {given}: give an array such as np.arange(3)")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= n:
        raise InputError(f"rows has numbers from {low} to {high}, but X has rows 0 to {n - 1}")
    return numbers.astype(np.int64)


def _form(network: Network) -> str:
    """What the form of targets and weights depends on, in words."""
    loss = network.loss
    weights = "" if loss.class_weight is None else f"class_weight={np.asarray(loss.class_weight).tolist()}"
    return (
        f"{network.n_inputs} inputs, {network.n_outputs} outputs, {network.dtype} "
        f"and the loss {type(loss).__name__}({weights})"
    )


def refuse_not_finite(name: str, values: Any) -> None:
    """Look for NaN and infinity, in pieces: never a mask as large as the data."""
    if values.dtype.kind not in "fuib":
        hint = ": number the classes 0, 1, 2 ... first" if name == "y" and values.dtype.kind in "UOST" else ""
        raise InputError(f"{name} must hold numbers, not {values.dtype}{hint}")
    if values.dtype.kind != "f":
        return
    sparse = not isinstance(values, np.ndarray)
    step = max(1, 2**20 // max(1, values.shape[1]))
    for start in range(0, values.shape[0], step):
        piece = values[start : start + step]
        fine = np.isfinite(piece.data if sparse else piece)
        if not fine.all():
            piece = piece.toarray() if sparse else piece
            row, column = np.argwhere(~np.isfinite(piece))[0].tolist()
            raise InputError(
                f"{name} has {piece[row, column]} in row {start + row}, column {column}: "
                "fill in or remove missing and infinite values first"
            )
