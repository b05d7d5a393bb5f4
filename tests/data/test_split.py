"""The split: exact class shares, no row twice, groups together, given parts respected, clear refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.data.dataset import Dataset
from glassnet.data.split import split
from glassnet.errors import InputError


def table(counts: list[int], **fields: object) -> Dataset:
    y = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {c}" for c in range(len(counts)))
    return Dataset(np.arange(len(y), dtype=np.float32)[:, None], y, class_names=names, **fields)  # type: ignore[arg-type]


@given(
    counts=st.lists(st.integers(30, 90), min_size=2, max_size=6),
    validation=st.sampled_from([0.1, 0.2, 0.33]),
    test=st.sampled_from([0.0, 0.15, 0.4]),
    seed=st.integers(0, 5),
)
def test_shares_are_exact_to_one_row_and_no_row_is_lost(
    counts: list[int], validation: float, test: float, seed: int
) -> None:
    data = table(counts)
    n = len(data)
    parts = split(data, validation=validation, test=test, seed=seed)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(n))
    assert len(parts.validation) == round(validation * n)
    assert len(parts.test) == round(test * n)
    for name, rows in parts.items():
        share = len(rows) / n
        got = np.bincount(data.y[rows], minlength=len(counts))
        wide = 2 if name == "train" else 1  # train takes what the rounding of two parts leaves
        assert (np.abs(got - np.array(counts) * share) <= wide).all()
        assert (got > 0).all()


def test_ten_equal_classes_are_divided_without_remainder() -> None:
    parts = split(table([50] * 10))
    data = table([50] * 10)
    assert parts.counts(data) == {"train": (40,) * 10, "validation": (10,) * 10}
    assert parts.train.dtype == np.int64
    assert not np.array_equal(parts.train, np.sort(parts.train)), "the rows must be shuffled"


def test_same_seed_same_rows_other_seed_other_rows() -> None:
    data = table([40, 40])
    first, again, other = (split(data, seed=s).train.tolist() for s in (3, 3, 4))
    assert first == again
    assert sorted(first) != sorted(other)


def test_without_stratify_the_sizes_still_hold() -> None:
    parts = split(table([90, 10]), validation=0.3, test=0.1, stratify=False)
    assert [len(rows) for _, rows in parts.items()] == [60, 30, 10]


def test_regression_needs_no_classes() -> None:
    data = Dataset(np.zeros((10, 1), np.float32), np.linspace(0, 1, 10))
    assert len(split(data, validation=0.2).validation) == 2


@pytest.mark.parametrize("stratify", [True, False])
def test_groups_stay_together(stratify: bool) -> None:
    groups = np.arange(600) // 6
    data = table([200, 400], groups=np.random.default_rng(0).permutation(groups))
    parts = split(data, validation=0.2, test=0.2, stratify=stratify)
    assert data.groups is not None
    seen = [set(data.groups[rows].tolist()) for _, rows in parts.items()]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert len(parts.validation) == pytest.approx(120, abs=12)
    if stratify:
        assert parts.counts(data)["validation"][0] == pytest.approx(40, abs=8)


def test_given_parts_stand_and_the_rest_is_drawn_from_the_given_training_rows() -> None:
    part = np.array([0] * 80 + [2] * 20, np.int8)
    data = table([50, 50], part=part)
    parts = split(data, validation=0.25, stratify=False)
    assert sorted(parts.test.tolist()) == list(range(80, 100))
    assert len(parts.validation) == 20
    assert parts.validation.max() < 80
    assert "test as given by the source" in parts.rule


def test_a_given_validation_part_is_not_drawn_again() -> None:
    part = np.array([0, 1] * 50, np.int8)
    parts = split(table([50, 50], part=part), validation=0.1)
    assert sorted(parts.validation.tolist()) == list(range(1, 100, 2))


@pytest.mark.parametrize(
    ("counts", "settings", "words"),
    [
        ([10, 10], {"validation": 1.2}, "validation=1.2 is not a fraction"),
        ([10, 10], {"test": -0.1}, "test=-0.1 is not a fraction"),
        ([10, 10], {"validation": "0.2"}, "validation='0.2' is not a fraction"),
        ([10, 10], {"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ([10, 10], {"seed": 1.5}, "seed must be a whole number of at least 0, not 1.5"),
        ([10, 10], {"validation": 0.6, "test": 0.4}, "nothing to train on"),
        ([10, 10], {"validation": 0.01}, "is 0 rows"),
        ([20], {}, "one class only"),
        ([20, 2], {"validation": 0.2, "test": 0.2}, "'class 1' has 2 rows, fewer than the 3 parts"),
        ([3] * 10, {"validation": 0.1}, "cannot hold all 10 classes"),
    ],
)
def test_what_cannot_be_divided_is_refused_in_words(
    counts: list[int], settings: dict[str, float], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        split(table(counts), **settings)  # type: ignore[arg-type]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match="1 groups cannot fill 2 parts"):
        split(table([10, 10], groups=np.zeros(20, np.int64)))


def test_a_source_of_test_rows_only_is_refused() -> None:
    with pytest.raises(InputError, match="no row is left to train on"):
        split(table([5, 5], part=np.full(10, 2, np.int8)), validation=0.0)
