"""Somebody's own loss: a function or a class, checked before a network learns from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.nn.losses import Loss, column
from glassnet.nn.numbers import whole

__all__ = ["Custom", "check_loss"]

Array = npt.NDArray[Any]
_ROWS, _MOST = 5, 24  # of a check; entries of Z that are moved one by one
_H = 1e-5  # half the step of one entry
_TOGETHER = 1e-7  # and of all at once, so small that hardly ever one of them crosses a kink


class Custom(Loss):
    """Somebody's own loss: a function (Z, y) -> (loss of each row (B,), gradient (B, K)).

    It is checked when it is made, and again by each network, with as many outputs as that has.

    Parameters
    ----------
    function : Z (B, K) floats, y (B, K) floats -> losses (B,), d losses / dZ (B, K); a row's loss must not
        depend on the other rows, for large batches are cut into pieces, nor may it write into Z or y
    link : from outputs to predictions, identity if None
    n_outputs : K for the check
    example_y : (B, K) targets for the check; standard normal numbers if None

    Raises
    ------
    InputError : the function fails, writes into what it is given, gives other shapes, or a gradient that is
        not the loss's

    Examples
    --------
    >>> loss = Custom(lambda Z, y: (((Z - y) ** 4).sum(axis=1), 4 * (Z - y) ** 3))
    >>> Custom(lambda Z, y: (((Z - y) ** 4).sum(axis=1), 3 * (Z - y) ** 3))
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: the gradient of the loss is wrong: for output 0 of row 0 it gives ...
    """

    def __init__(
        self, function: Callable[[Array, Array], tuple[Array, Array]],
        link: Callable[[Array], Array] | None = None, n_outputs: int = 1, example_y: Array | None = None,
    ) -> None:  # fmt: skip
        if link is not None and not callable(link):
            raise InputError(f"link must be a function from outputs to predictions, not {link!r}")
        self.function, self._link = function, link
        self._example_y = None if example_y is None else _numbers(example_y)
        self.check(n_outputs)

    def check(self, n_outputs: int) -> None:
        """Refuse a function that is no loss, or whose gradient is not that of its losses.

        Raises
        ------
        InputError : says which entry is wrong, and for how many outputs
        """
        whole("n_outputs", n_outputs)
        Z, y = np.random.default_rng(0).normal(size=(2, _ROWS, n_outputs))
        if self._example_y is not None:
            n_rows = min(_ROWS, self._example_y.size)
            Z, y = Z[:n_rows], np.resize(self._example_y, (n_rows, n_outputs))  # repeated for a wider network
        given_back = self._of(Z, y)
        if not isinstance(given_back, tuple | list) or len(given_back) != 2:
            raise InputError(
                "a loss must return two arrays: the loss of each row, (B,), and its gradient by Z, (B, K)"
            )
        value, G = (np.asarray(part) for part in given_back)
        if value.shape != (len(Z),) or G.shape != Z.shape:
            raise InputError(
                f"a loss must return shapes {(len(Z),)} and {Z.shape}, not {value.shape} and {G.shape}"
            )
        _compare(lambda Z, y, w: float(np.sum(self._of(Z, y)[0])), G, Z, y, np.ones(len(Z)))

    def _of(self, Z: Array, y: Array) -> Any:
        given = Z.copy(), y.copy()
        try:
            found = self.function(*given)
        except Exception as error:
            raise InputError(
                f"the loss fails on outputs and targets of shape {Z.shape}: {type(error).__name__}: {error}"
            ) from error
        _refuse_changed(given, (Z, y))
        return found

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        value, G = self.function(Z, y)
        np.multiply(G, column(w, scale), out=dZ)
        return float(np.sum(value * w) * scale)

    def link(self, Z: Array) -> Array:
        return Z if self._link is None else self._link(Z)

    def settings(self) -> dict[str, Any]:
        return {k: v for k, v in super().settings().items() if k != "example_y"}


def check_loss(loss: Loss, n_outputs: int) -> None:
    """Refuse somebody's own loss whose gradient is wrong; glassnet's own are tested elsewhere.

    A class of somebody's is given made targets: class codes or a yes or no for each output if it classifies,
    else numbers, then numbers that are not negative, then 0 or 1. Those that its `targets` refuses, or with
    which its loss fails or is not finite, say nothing; if all do, it cannot be checked.

    Raises
    ------
    InputError : says which entry is wrong, and for how many outputs
    """
    if not loss.to_be_checked:
        return
    if isinstance(loss, Custom):
        loss.check(n_outputs)
    if type(loss).__module__.startswith("glassnet."):
        return
    rng = np.random.default_rng(0)
    Z, w, scale = rng.normal(size=(_ROWS, n_outputs)), rng.uniform(0.5, 2.0, _ROWS), 0.3

    def value_of(Z: Array, y: Array, w: Array) -> float:
        return float(loss.gradient(Z, y, w, scale, np.empty_like(Z)))

    for made in _made_targets(loss.classifies, n_outputs, rng):
        dZ = np.full_like(Z, np.nan)
        try:
            y = loss.targets(made, n_outputs, Z.dtype)
            given = copy.deepcopy((Z, y, w))
            value = loss.gradient(*given, scale, dZ)
        except Exception:  # other targets may do
            continue
        if np.isfinite(value):
            _refuse_changed(given, (Z, y, w))
            _compare(value_of, dZ, Z, y, w)
            twice = float(loss.gradient(Z, y, w, 2 * scale, dZ))
            if not np.isclose(twice, 2 * value, rtol=1e-6, atol=1e-6):
                raise InputError(
                    f"with twice the scale the loss is {twice:.6g}, not {2 * value:.6g}: its value and its "
                    "gradient must be multiplied by `scale`, which makes a mean of them"
                )
            return


def _made_targets(classifies: bool, K: int, rng: np.random.Generator) -> Iterator[Array]:
    yes = rng.integers(2, size=(_ROWS, K))
    if classifies:
        yield np.arange(_ROWS) % max(K, 2)
    else:
        yield rng.normal(size=(_ROWS, K))
        yield rng.integers(1, 5, size=(_ROWS, K))
    yield yes


def _compare(
    value: Callable[[Array, Array, Array], float], G: Array, Z: Array, y: Array, w: Array
) -> None:  # fmt: skip
    """Compare G (B, K) with what the value of all rows does when some entries of Z are moved a little."""
    rng, together = np.random.default_rng(1), value(Z, y, w)

    def compare(h: float, step: Array, told: Array, where: str) -> None:
        measured = (value(Z + h * step, y, w) - value(Z - h * step, y, w)) / (2 * h)
        rounding = 1e-15 * abs(together) / h
        if not abs(measured - told.sum()) <= 1e-4 * (1 + np.linalg.norm(told)) + rounding:
            raise InputError(
                f"the gradient of the loss is wrong: for {where} it gives {told.sum():.4g}, "
                f"but the loss changes by {measured:.4g} (with {Z.shape[1]} outputs)"
            )

    for entry in sorted(rng.permutation(Z.size)[:_MOST]):
        i, k = divmod(int(entry), Z.shape[1])
        step = np.zeros(Z.shape)
        step[i, k] = 1
        compare(_H, step, G[i, k], f"output {k} of row {i}")
    for step in rng.normal(size=(2, *Z.shape)):  # one wrong output of thousands might be missed once
        compare(_TOGETHER, step, G * step, "all outputs, moved at random,")
    alone = sum(w[i] * value(Z[i : i + 1], y[i : i + 1], np.ones(1)) for i in range(len(Z)))
    if not abs(alone - together) <= 1e-6 * (1 + abs(together)):
        each, rule = "each row's", ""
        if (w != 1).any():  # a function (Z, y) has no weights
            each, rule = "each row's times its weight", "rows count by their weights w, and "
        raise InputError(
            f"the loss of {len(Z)} rows together, {together:.6g}, is not the sum of {each}, {alone:.6g}: "
            f"{rule}a row's loss must not depend on other rows, as batches are cut into pieces"
        )


def _refuse_changed(given: tuple[Array, ...], before: tuple[Array, ...]) -> None:
    for a, b in zip(given, before, strict=True):  # somebody's targets may be no array of numbers
        if isinstance(a, np.ndarray) and a.dtype.kind in "fiub" and not np.array_equal(a, b, equal_nan=True):
            raise InputError(
                "a loss must not change the arrays it is given: they are the network's outputs, "
                "and your own data"
            )


def _numbers(example_y: Any) -> Array:
    try:
        values = np.asarray(example_y, float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if not values.size:
        raise InputError(f"example_y must hold targets, which are numbers, not {example_y!r}")
    return values
