"""Recipes from stored rows to network inputs: fitted on training rows, kept as plain arrays, invertible."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import chunks
from glassnet.data.dataset import Dataset
from glassnet.data.encoding import SmoothClip, TableEncoding, fit_table
from glassnet.data.scaling import SCALINGS, Scaling, fit_scaling, unit_divisor
from glassnet.data.whitening import Contrast, Whitening, fit_contrast, fit_whitening
from glassnet.errors import InputError, unknown_name

__all__ = [
    "FILLING_IN",
    "PREPARATIONS",
    "Preparation",
    "prepare",
    "prepare_contrast",
    "prepare_realmlp",
    "prepare_scaling",
    "prepare_table",
    "prepare_whitening",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer[Any]]


class Step(Protocol):
    """One part of a recipe: a frozen dataclass of arrays, numbers, texts and tuples of texts."""

    def apply(self, X: Array, /) -> Array: ...
    def invert(self, Z: Array, /) -> Array: ...


_STEPS: dict[str, type[Any]] = {
    "scaling": Scaling,
    "contrast": Contrast,
    "whitening": Whitening,
    "table": TableEncoding,
    "clip": SmoothClip,
}


@dataclass(frozen=True)
class Preparation:
    """A fitted recipe: its steps one after the other, and the names of the classes.

    Parameters
    ----------
    steps : what is done to a row, in order
    class_names : names of the classes, so that a stored model can name what it decides
    feature_names : names of the network's inputs, empty where they have none

    Examples
    --------
    >>> data = Dataset(np.array([[0, 16], [8, 4]], np.uint8), np.array([0, 1]), ("no", "yes"))
    >>> recipe = prepare_scaling(data, "unit")
    >>> recipe.apply(data.X).tolist()
    [[0.0, 1.0], [0.5, 0.25]]
    >>> again = Preparation.from_arrays(recipe.to_arrays())
    >>> again.class_names, again.invert(again.apply(data.X)).tolist()
    (('no', 'yes'), [[0.0, 16.0], [8.0, 4.0]])
    """

    steps: tuple[Step, ...]
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()

    @property
    def scaling(self) -> Scaling | None:
        """The scaling, if the recipe is nothing else: then rows can stay as stored until they are used."""
        only = self.steps[0] if len(self.steps) == 1 else None
        return only if isinstance(only, Scaling) else None

    def apply(self, X: Array, rows: Rows | None = None) -> Floats:
        """Network inputs of (these rows of) X, (n, n_inputs) float32, converted in chunks.

        Parameters
        ----------
        X : (n, n_features) stored values
        rows : (m,) row numbers, None for all
        """
        done = [self._apply(piece) for piece in chunks(X, rows, 2048)] or [self._apply(X[:0])]
        return np.concatenate(done)

    def _apply(self, piece: Array) -> Floats:
        for step in self.steps:
            piece = step.apply(piece)
        return np.asarray(piece, np.float32)

    def invert(self, Z: Array) -> Floats:
        """Stored values of network inputs, as nearly as the recipe allows: pictures of what a network reads.

        Raises
        ------
        InputError
            For recipes of tables.
        """
        for step in reversed(self.steps):
            Z = step.invert(Z)
        return np.asarray(Z, np.float32)

    def to_arrays(self) -> dict[str, Array]:
        """The recipe as arrays by name, ready for safetensors or npz; "recipe" is JSON in UTF-8 bytes."""
        arrays: dict[str, Array] = {}
        listed: list[dict[str, Any]] = []
        name_of = {kind: name for name, kind in _STEPS.items()}
        for number, step in enumerate(self.steps):
            plain: dict[str, Any] = {"step": name_of[type(step)]}
            for field in fields(step):  # type: ignore[arg-type]
                value = getattr(step, field.name)
                if isinstance(value, np.ndarray):
                    arrays[f"{number}.{field.name}"] = value
                else:
                    plain[field.name] = value
            listed.append(plain)
        written = {"steps": listed, "class_names": self.class_names, "feature_names": self.feature_names}
        arrays["recipe"] = np.frombuffer(json.dumps(written).encode(), np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Preparation:
        """The recipe that `to_arrays` stored.

        Raises
        ------
        InputError
            If the arrays hold no recipe, or one of a newer version.
        """
        if "recipe" not in arrays:
            raise InputError("these arrays hold no preparation: the array 'recipe' is missing")
        written = json.loads(np.asarray(arrays["recipe"], np.uint8).tobytes().decode())
        steps: list[Step] = []
        for number, plain in enumerate(written["steps"]):
            name = plain.pop("step")
            if name not in _STEPS:
                raise InputError(f"unknown step {name!r}: a newer glassnet has stored this preparation")
            prefix = f"{number}."
            own = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
            texts = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
            steps.append(_STEPS[name](**own, **texts))
        return cls(tuple(steps), tuple(written["class_names"]), tuple(written["feature_names"]))


def prepare_scaling(dataset: Dataset, kind: str = "standard", rows: Rows | None = None) -> Preparation:
    """One scaling of `scaling.fit_scaling`, fitted on these rows; kind "unit", "standard", "channel" ..."""
    scaling = fit_scaling(dataset.X, kind, dataset.image, rows=rows)
    return Preparation((scaling,), dataset.class_names, dataset.feature_names)


def prepare_contrast(dataset: Dataset, rows: Rows | None = None) -> Preparation:
    """Each image minus its mean, divided by its standard deviation."""
    return Preparation((_contrast(dataset, rows, "contrast"),), dataset.class_names)


def prepare_whitening(
    dataset: Dataset,
    method: str = "pca",
    rows: Rows | None = None,
    *,
    n_components: int | None = None,
    epsilon: float = 1e-2,
) -> Preparation:
    """PCA or ZCA whitening: of contrast-normalised images, or of a table's standardised columns.

    Parameters
    ----------
    method : "pca" or "zca"
    rows : (m,) the training rows' numbers, None for all
    n_components, epsilon : see `whitening.fit_whitening`
    """
    if dataset.image is not None:
        before: Contrast | Scaling = _contrast(dataset, rows, method)
    else:
        before = fit_scaling(dataset.X, "standard", rows=rows)
    whitening = fit_whitening(
        dataset.X, method, rows, n_components=n_components, epsilon=epsilon, before=before
    )
    return Preparation((before, whitening), dataset.class_names)


def _contrast(dataset: Dataset, rows: Rows | None, wanted: str) -> Contrast:
    if dataset.image is None:
        raise InputError(f"the preparation {wanted!r} needs images: use 'standard' or 'table' for tables")
    return fit_contrast(dataset.X, rows, largest=unit_divisor(dataset.X, rows))


def prepare_table(
    dataset: Dataset,
    rows: Rows | None = None,
    *,
    coding: str = "one-hot",
    fill: str = "median",
    indicator: bool = True,
    scaling: str = "standard",
) -> Preparation:
    """A table without gaps: missing numbers filled in and flagged, text columns coded, numbers scaled.

    Parameters
    ----------
    coding, fill, indicator : see `encoding.fit_table`
    scaling : of the numbers, one of `SCALINGS`; flags and one-hot columns stay 0 and 1
    """
    encoding = fit_table(dataset, rows, coding=coding, fill=fill, indicator=indicator)
    fitted = fit_scaling(_encoded(dataset, encoding, rows), scaling)
    ones = np.ones(len(encoding.names), np.float32)
    numbers = encoding.is_number
    scale = np.where(numbers, fitted.scale, ones)
    shift = np.where(numbers, fitted.shift, 0 * ones)
    step = Scaling(scale, shift, fitted.kind, fitted.words)
    return Preparation((encoding, step), dataset.class_names, encoding.names)


def prepare_realmlp(dataset: Dataset, rows: Rows | None = None) -> Preparation:
    """RealMLP-TD-S's preprocessing (Holzmueller et al. 2024).

    One-hot columns, two categories as one column of +1 and -1 (0 where unknown); then of every column the
    median to 0 and the inter-quartile range to 1 (where that is 0, half the range); then
    x / sqrt(1 + (x / 3)^2). Missing numbers, which the original refuses, become the median; constant columns,
    which it sets to 0, are left out.
    """
    encoding = fit_table(dataset, rows, coding="signed", fill="median", indicator=False)
    scaling = fit_scaling(_encoded(dataset, encoding, rows), "robust")
    return Preparation((encoding, scaling, SmoothClip(3.0)), dataset.class_names, encoding.names)


def _encoded(dataset: Dataset, encoding: TableEncoding, rows: Rows | None) -> Array:
    return encoding.apply(dataset.X if rows is None else dataset.X[rows])


_RECIPES: dict[str, Callable[[Dataset, Rows | None], Preparation]] = {
    "contrast": prepare_contrast,
    "pca": lambda dataset, rows: prepare_whitening(dataset, "pca", rows),
    "zca": lambda dataset, rows: prepare_whitening(dataset, "zca", rows),
    "table": prepare_table,
    "realmlp": prepare_realmlp,
}
PREPARATIONS: tuple[str, ...] = (*SCALINGS, *_RECIPES)
FILLING_IN = frozenset({"table", "realmlp"})  # those that take missing values


def prepare(dataset: Dataset, recipe: str, rows: Rows | None = None) -> Preparation:
    """Fit a recipe by name, with its usual settings, on these rows.

    Parameters
    ----------
    recipe : one of `PREPARATIONS`: a scaling ("unit", "standard", "min-max", "robust", "channel", "none"),
        "contrast", "pca", "zca", "table" or "realmlp"
    rows : (m,) the training rows' numbers: give them, or the held-out rows leak into the recipe

    Raises
    ------
    InputError
        If the name is unknown or the recipe does not fit the data.
    """
    if recipe in _RECIPES:
        return _RECIPES[recipe](dataset, rows)
    if recipe in SCALINGS:
        return prepare_scaling(dataset, recipe, rows)
    raise unknown_name("preparation", recipe, PREPARATIONS)
