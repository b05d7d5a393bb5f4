"""Divide the rows of a dataset into training, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import Dataset
from glassnet.errors import InputError
from glassnet.seeds import stream

__all__ = ["Split", "split"]

Rows = npt.NDArray[np.int64]
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which rows train, which choose (validation) and which are scored once at the end (test).

    Parameters
    ----------
    train, validation, test : (n_part,) int64 row numbers of the dataset, shuffled; no row is in two parts
    rule : how the rows were divided, for people
    """

    train: Rows
    validation: Rows
    test: Rows
    rule: str = ""

    def __repr__(self) -> str:
        """How many rows each part has: not their numbers."""
        return f"<Split {', '.join(f'{name}: {len(rows):,}' for name, rows in self.items())} rows>"

    def items(self) -> tuple[tuple[str, Rows], ...]:
        """The parts that hold rows, by name, in the order train, validation, test."""
        return tuple((name, rows) for name in _PARTS if len(rows := getattr(self, name)))

    def counts(self, dataset: Dataset) -> dict[str, tuple[int, ...]]:
        """Rows of each class in each part that holds rows."""
        n_classes = dataset.n_classes
        return {
            name: tuple(np.bincount(dataset.y[rows], minlength=n_classes).tolist())
            for name, rows in self.items()
        }


def split(
    dataset: Dataset, *, validation: float = 0.2, test: float = 0.0, seed: int = 0, stratify: bool = True
) -> Split:
    """Divide a dataset's rows into training, validation and test rows.

    A split that came with the source (`dataset.part`) stands: its validation rows and its test rows are used
    as they are, and the fraction of such a part does not apply. A part that the source does not have is drawn
    from the source's training rows; `validation=0.2` of CIFAR-10 with its official test images is a fifth of
    the 50,000 training images. Rows of one group (`dataset.groups`) always stay together, so the sizes are
    then met only as closely as whole groups allow.

    Parameters
    ----------
    validation, test : fraction of the rows to be divided, >= 0 (0: no such part), validation + test < 1
    seed : the stream `seeds.stream(seed, "split")` decides which rows
    stratify : give every part the class shares of the whole, exact to one row (largest remainder),
        but with at least one row of every class; regression targets have no classes to balance

    Raises
    ------
    InputError
        If a fraction is out of range or rounds to no row, there is one class only, or a class has fewer rows
        than there are parts.

    Examples
    --------
    >>> data = Dataset(np.zeros((10, 1), np.float32), np.array([0] * 5 + [1] * 5), class_names=("no", "yes"))
    >>> parts = split(data, validation=0.4)
    >>> len(parts.train), parts.counts(data)["validation"]
    (6, (2, 2))
    """
    _check_fractions(validation, test)
    rng = stream(seed, "split")
    part = np.zeros(len(dataset), np.int8) if dataset.part is None else dataset.part
    given = {name: rng.permutation(np.flatnonzero(part == code)) for code, name in enumerate(_PARTS)}
    free = given["train"]
    wanted = {
        name: fraction
        for name, fraction in (("test", test), ("validation", validation))
        if fraction > 0 and not len(given[name])
    }
    sizes = {name: _part_size(name, fraction, len(free)) for name, fraction in wanted.items()}
    by_class = stratify and dataset.task == "classification"
    classes = dataset.y[free].astype(np.int64) if by_class else np.zeros(len(free), np.int64)
    names = dataset.class_names if by_class else ("all rows",)
    if sizes and by_class and np.count_nonzero(np.bincount(classes)) < 2:
        raise InputError(
            f"{dataset.name} has rows of one class only: nothing can be told apart; add rows of other classes"
        )
    if sizes and dataset.groups is not None:
        drawn = _draw_groups(sizes, classes, dataset.groups[free], rng)
    else:
        drawn = _draw_rows(sizes, classes, names)
    taken = np.concatenate([np.zeros(0, np.int64), *drawn.values()])
    rows = {name: free[at] for name, at in drawn.items()}
    rows["train"] = np.delete(free, taken)
    if not len(rows["train"]):
        raise InputError(f"{dataset.name}: no row is left to train on; make validation and test smaller")
    return Split(
        **{name: np.asarray(rows.get(name, given[name]), np.int64) for name in _PARTS},
        rule=_describe(wanted, given, by_class, dataset.groups is not None),
    )


def _check_fractions(validation: float, test: float) -> None:
    for name, fraction in (("validation", validation), ("test", test)):
        if not isinstance(fraction, Real) or not 0 <= fraction < 1:
            raise InputError(f"{name}={fraction!r} is not a fraction: give 0 <= {name} < 1, e.g. 0.2")
    if validation + test >= 1:
        raise InputError(
            f"validation={validation} and test={test} leave nothing to train on: their sum must be < 1"
        )


def _part_size(name: str, fraction: float, n: int) -> int:
    size = round(fraction * n)
    if not 0 < size < n:
        raise InputError(
            f"{name}={fraction} of {n} rows is {size} rows: choose another fraction or bring more rows"
        )
    return size


def _draw_rows(
    sizes: dict[str, int], classes: npt.NDArray[np.int64], names: tuple[str, ...]
) -> dict[str, Rows]:
    """Positions in `classes` (whose rows are shuffled already) for each part, by exact class quotas."""
    counts = np.bincount(classes, minlength=len(names))
    short = np.flatnonzero((counts > 0) & (counts <= len(sizes)))
    if sizes and len(short):
        c = int(short[0])
        raise InputError(
            f"class {names[c]!r} has {counts[c]} rows, fewer than the {len(sizes) + 1} parts of the split "
            f"({len(short)} such classes): bring more rows, drop the class, or split with stratify=False"
        )
    members = np.argsort(classes, kind="stable")
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])  # of each class within `members`
    used = np.zeros_like(counts)
    drawn: dict[str, Rows] = {}
    for i, (name, size) in enumerate(sizes.items()):
        parts_after = len(sizes) - i  # including train: each needs a row of every class
        take = _quotas(name, size, counts, counts - used - parts_after)
        at = [members[s : s + t] for s, t in zip(start + used, take, strict=True)]
        drawn[name] = np.sort(np.concatenate(at))  # in the shuffled order of the rows
        used += take
    return drawn


def _quotas(
    part: str, size: int, counts: npt.NDArray[np.int64], available: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Rows of each class in a part of `size` rows: proportional, by largest remainder, at least one each."""
    present = counts > 0
    if size < np.count_nonzero(present):
        raise InputError(
            f"the {part} part of {size} rows cannot hold all {np.count_nonzero(present)} classes: "
            "make it larger, or split with stratify=False"
        )
    exact = counts * (size / counts.sum())
    low = present.astype(np.int64)
    take: Rows = np.clip(np.floor(exact).astype(np.int64), low, np.maximum(available, low))
    while take.sum() < size:
        take[np.argmax(np.where(take < available, exact - take, -np.inf))] += 1
    while take.sum() > size:
        take[np.argmax(np.where(take > low, take - exact, -np.inf))] -= 1
    return take


def _draw_groups(
    sizes: dict[str, int],
    classes: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, Rows]:
    """Positions for each part, whole groups at a time: large groups first, each where it lacks most.

    The greedy rule of scikit-learn's StratifiedGroupKFold, for parts of unequal size.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    n_groups = int(group_of.max()) + 1
    if n_groups <= len(sizes):
        raise InputError(f"{n_groups} groups cannot fill {len(sizes) + 1} parts: bring more groups")
    n = len(classes)
    table = np.zeros((n_groups, int(classes.max()) + 1))  # rows of each group and class
    np.add.at(table, (group_of, classes), 1)
    share = np.array([n - sum(sizes.values()), *sizes.values()]) / n
    lacking = np.outer(share, table.sum(axis=0))  # (parts, classes)
    target = share * n
    order = rng.permutation(n_groups)
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    home = np.zeros(n_groups, np.int64)
    for g in order:
        # Lacking rows of the group's own classes, relative to the part's size, so that small parts fill too.
        gain = (lacking * (table[g] > 0)).sum(axis=1) / target
        home[g] = np.argmax(gain)
        lacking[home[g]] -= table[g]
    drawn = {name: np.flatnonzero(home[group_of] == i + 1) for i, name in enumerate(sizes)}
    empty = [name for name, rows in drawn.items() if not len(rows)]
    if empty:
        raise InputError(f"the groups are too large to fill the {empty[0]} part: bring more groups")
    return drawn


def _describe(
    wanted: dict[str, float], given: dict[str, npt.NDArray[np.int64]], by_class: bool, grouped: bool
) -> str:
    words = [f"{name} {fraction:.0%} of {len(given['train'])} rows" for name, fraction in wanted.items()]
    words += [f"{name} as given by the source" for name in _PARTS[1:] if len(given[name])]
    if wanted:
        words += ["stratified by class"] * by_class + ["groups kept together"] * grouped
    return ", ".join(words) or "all rows train"
