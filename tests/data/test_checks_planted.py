"""Every planted fault is found by the check of that name, as serious as it is and where it was planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glassnet.data.checks import check_names, run_checks
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.scaling import Scaling
from glassnet.data.split import Split, split
from glassnet.findings import Finding, Severity

from .planted import pictures, regression, table, with_cells, with_column, with_rows

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR
RNG = np.random.default_rng(5)
WRONG = list(range(5, 600, 20))  # rows with wrong labels
ROWS = [3, 70, 120, 200, 201]  # where faults of rows are planted: more than 1 % of 300


@dataclass(frozen=True)
class Planted:
    """A data set with one fault, and what must be said of it."""

    check: str
    severity: Severity
    data: Dataset
    where: tuple[int | str, ...] = ()  # all of these must be among the examples
    parts: Split | None = None
    scaling: Scaling | None = None
    also: tuple[str, ...] = ()  # other checks that may rightly raise a warning


FAULTS: dict[str, Callable[[], Planted]] = {}


def fault(make: Callable[[], Planted]) -> Callable[[], Planted]:
    FAULTS[make.__name__] = cache(make)
    return make


@fault
def one_row() -> Planted:
    return Planted("table-size", ERROR, table().take(np.array([0])))


@fault
def whole_numbers_of_eight_bytes() -> Planted:
    data = table()
    return Planted(
        "table-size",
        ERROR,
        replace(data, X=data.X.astype(np.int64)),
        also=("exact-duplicates", "conflicting-labels"),
    )


@fault
def few_rows_per_class() -> Planted:
    return Planted("table-size", WARNING, table().take(np.arange(12)))


@fault
def missing_cells() -> Planted:
    return Planted("missing-values", WARNING, with_cells(table(), ROWS, 2, np.nan), ("income",))


@fault
def a_column_without_a_value() -> Planted:
    return Planted("missing-values", ERROR, with_cells(table(), list(range(300)), 3, np.nan), ("age",))


@fault
def infinite_cells() -> Planted:
    return Planted("infinite-values", ERROR, with_cells(table(), [7], 1, -np.inf), ("weight",))


@fault
def two_scales_mixed() -> Planted:
    data = pictures()
    X = data.X.astype(np.float32)
    X[ROWS] /= 255
    also = ("uniform-images", "dark-images", "low-contrast-images", "property-outliers")
    return Planted("value-range", ERROR, replace(data, X=X), tuple(ROWS), also=also)


@fault
def fractions_stored_as_bytes() -> Planted:
    data = pictures()
    return Planted("value-range", WARNING, replace(data, X=(data.X / 255 > 0.6).astype(np.uint8)))


@fault
def negative_pixels() -> Planted:
    data = pictures()
    return Planted(
        "value-range", WARNING, replace(data, X=data.X.astype(np.float32) - 128), also=("dark-images",)
    )


@fault
def interleaved_channels() -> Planted:
    data = pictures()
    X = data.X.reshape(300, 3, 20, 20).transpose(0, 2, 3, 1).reshape(300, -1)
    also = ("near-duplicates", "property-label-shortcut")
    return Planted("channel-layout", WARNING, replace(data, X=np.ascontiguousarray(X)), also=also)


@fault
def labels_outside_the_set() -> Planted:
    data = pictures()
    y = data.y.copy()
    y[[3, 70]] = 7, -1
    return Planted("label-set", ERROR, replace(data, y=y), (3, 70))


@fault
def one_class_only() -> Planted:
    data = table()
    return Planted("label-set", ERROR, replace(data, y=np.zeros(300, np.int64)), ("yes",))


@fault
def a_class_without_rows() -> Planted:
    data = table()
    return Planted("label-set", WARNING, replace(data, class_names=("no", "yes", "perhaps")), ("perhaps",))


@fault
def a_class_unseen_in_training() -> Planted:
    data = pictures()
    order = np.argsort(data.y, kind="stable")
    parts = Split(RNG.permutation(order[:200]), np.zeros(0, np.int64), RNG.permutation(order[200:]))
    also = ("split-label-drift", "part-drift")
    return Planted("label-set", ERROR, data, ("below",), parts, also=also)


@fault
def a_class_absent_from_validation() -> Planted:
    data = pictures()
    order = np.argsort(data.y, kind="stable")
    parts = Split(np.delete(order, np.s_[0:200:4]), order[0:200:4], np.zeros(0, np.int64))
    parts = replace(parts, train=RNG.permutation(parts.train))
    also = ("split-label-drift", "part-drift")
    return Planted("label-set", WARNING, data, ("below",), parts, also=also)


@fault
def class_names_that_differ_by_a_capital() -> Planted:
    return Planted(
        "class-names", WARNING, replace(pictures(), class_names=("Left", "left ", "below")), ("Left", "left ")
    )


@fault
def a_rare_class() -> Planted:
    data = table()
    no, yes = (np.flatnonzero(data.y == c) for c in (0, 1))
    rows = RNG.permutation(np.concatenate([no, yes[:12]]))
    return Planted("class-balance", WARNING, data.take(rows), ("yes",))


@fault
def parts_with_other_class_shares() -> Planted:
    data = table(600)
    no, yes = (RNG.permutation(np.flatnonzero(data.y == c)) for c in (0, 1))
    parts = Split(
        RNG.permutation(np.concatenate([no[:250], yes[:150]])),
        RNG.permutation(np.concatenate([no[250:], yes[150:]])),
        np.zeros(0, np.int64),
    )
    return Planted("split-label-drift", WARNING, data, ("no",), parts, also=("part-drift",))


@fault
def targets_that_are_missing() -> Planted:
    data = regression()
    y = data.y.copy()
    y[[11, 12]] = np.nan
    return Planted("target-values", ERROR, replace(data, y=y), (11, 12))


@fault
def a_constant_target() -> Planted:
    return Planted("target-values", ERROR, replace(regression(), y=np.ones(300)))


@fault
def a_target_in_another_unit() -> Planted:
    data = regression()
    y = data.y.copy()
    y[40] *= 1000
    return Planted("target-values", WARNING, replace(data, y=y), (40,))


@fault
def copied_rows() -> Planted:
    data = table()
    data = replace(
        with_rows(data, ROWS, data.X[0]), y=np.where(np.isin(np.arange(300), ROWS), data.y[0], data.y)
    )
    return Planted("exact-duplicates", WARNING, data, tuple(ROWS))


@fault
def copies_with_another_label() -> Planted:
    data = table()
    other = int(np.flatnonzero(data.y != data.y[0])[0])
    return Planted("conflicting-labels", WARNING, with_rows(data, [other], data.X[0]), (0, other))


@fault
def pictures_saved_again() -> Planted:
    data = pictures()
    again = data.X[[r + 10 for r in ROWS]].astype(int) + RNG.integers(-6, 7, (5, data.n_features)) + 4
    y = data.y.copy()
    y[ROWS] = y[[r + 10 for r in ROWS]]
    planted = tuple(sorted({*ROWS, *(r + 10 for r in ROWS)}))
    data = replace(with_rows(data, ROWS, np.clip(again, 0, 255)), y=y)
    return Planted("near-duplicates", WARNING, data, planted)


@fault
def copies_across_parts() -> Planted:
    data = pictures()
    parts = split(data, validation=0.2)
    held_out, source = parts.validation[:6], parts.train[:6]
    y = data.y.copy()
    y[held_out] = y[source]
    data = replace(with_rows(data, held_out.tolist(), data.X[source]), y=y)
    return Planted(
        "leakage-share", WARNING, data, tuple(held_out.tolist()), parts, also=("exact-duplicates",)
    )


@fault
def near_copies_across_parts() -> Planted:
    data = pictures()
    parts = split(data, validation=0.2)
    held_out, source = parts.validation[:9], parts.train[:9]
    y = data.y.copy()
    y[held_out] = y[source]
    data = replace(with_rows(data, held_out.tolist(), np.maximum(data.X[source], 5) - 5), y=y)
    return Planted("leakage-share", ERROR, data, tuple(held_out.tolist()), parts, also=("near-duplicates",))


@fault
def a_group_in_two_parts() -> Planted:
    data = replace(table(), groups=np.arange(300) // 3)
    parts = split(data, validation=0.2)
    torn = int(parts.validation[0])
    mates = tuple(range(torn // 3 * 3, torn // 3 * 3 + 3))
    parts = replace(
        parts, validation=parts.validation[parts.validation != torn], train=np.append(parts.train, torn)
    )
    return Planted("group-leakage", ERROR, data, mates, parts)


@fault
def heavy_tails() -> Planted:
    data = table()
    X = data.X.copy()
    X[:, 3] = np.where(np.arange(300) % 40 == 0, 9 * np.sign(X[:, 3]), X[:, 3])
    return Planted("outlier-values", INFO, replace(data, X=X), ("age",))


@fault
def a_slipped_decimal_point() -> Planted:
    data = table()
    return Planted("extreme-values", WARNING, with_cells(data, [91], 2, data.X[91, 2] * 1000), (91,))


@fault
def a_skewed_column() -> Planted:
    data = table()
    return Planted(
        "distributions", INFO, with_cells(data, list(range(300)), 3, np.exp(1.3 * data.X[:, 3])), ("age",)
    )


@fault
def pictures_of_another_camera() -> Planted:
    data = pictures()
    calm = replace(data, X=(data.X.reshape(300, -1) * 0.2 + 100).astype(np.uint8))
    harsh = np.where(RNG.random((5, data.n_features)) < 0.5, 0, 255)
    return Planted("property-outliers", WARNING, with_rows(calm, ROWS, harsh), tuple(ROWS))


@fault
def a_constant_column() -> Planted:
    return Planted(
        "constant-columns", WARNING, with_column(table(), "version", np.full(300, 3.0)), ("version",)
    )


@fault
def a_column_of_row_numbers() -> Planted:
    numbers = RNG.permutation(300) + 1000.0
    return Planted("all-unique-columns", WARNING, with_column(table(), "customer", numbers), ("customer",))


@fault
def a_text_column_of_many_categories() -> Planted:
    data = with_column(table(), "city", RNG.integers(0, 80, 300))
    data = replace(data, categories={**data.categories, 5: tuple(f"city {k}" for k in range(80))})
    return Planted("high-cardinality-columns", WARNING, data, ("city",))


@fault
def a_copied_column() -> Planted:
    data = table()
    return Planted(
        "duplicate-columns", WARNING, with_column(data, "height in m", data.X[:, 0]), ("height in m",)
    )


@fault
def inputs_not_scaled() -> Planted:
    raw = Scaling(np.float32(1), np.float32(0))
    return Planted("scaling-audit", WARNING, pictures(), scaling=raw)


@fault
def a_column_float32_cannot_hold() -> Planted:
    stamps = 1.6e9 + 3600 * RNG.normal(size=300)
    return Planted("scaling-audit", WARNING, with_column(table(), "time", stamps), ("time",))


@fault
def empty_pictures() -> Planted:
    also = ("exact-duplicates", "conflicting-labels", "property-outliers")
    return Planted("uniform-images", WARNING, with_rows(pictures(), ROWS, 128), tuple(ROWS), also=also)


@fault
def dark_pictures() -> Planted:
    data = pictures()
    dark = with_rows(data, ROWS, data.X[ROWS] // 5)
    return Planted("dark-images", WARNING, dark, tuple(ROWS), also=("property-outliers",))


@fault
def light_pictures() -> Planted:
    data = pictures()
    light = with_rows(data, ROWS, np.maximum(data.X[ROWS] // 20 + 243, 243))
    also = ("property-outliers", "low-contrast-images")
    return Planted("light-images", WARNING, light, tuple(ROWS), also=also)


@fault
def pale_pictures() -> Planted:
    data = pictures()
    pale = with_rows(data, ROWS, data.X[ROWS] // 30 + 120)
    also = ("property-outliers", "grayscale-images")
    return Planted("low-contrast-images", WARNING, pale, tuple(ROWS), also=also)


@fault
def blurred_pictures() -> Planted:
    data = pictures()
    planes = data.X[ROWS].reshape(-1, 20, 20).astype(float)
    soft = np.stack([gaussian_filter(p, 3) for p in planes]).reshape(len(ROWS), -1)
    soft = 128 + (soft - soft.mean(axis=1, keepdims=True)) * 2
    also = ("property-outliers",)
    return Planted(
        "blurred-images", WARNING, with_rows(data, ROWS, np.clip(soft, 0, 255)), tuple(ROWS), also=also
    )


@fault
def grey_among_colour() -> Planted:
    data = pictures()
    rows = list(range(0, 300, 15))
    return Planted(
        "grayscale-images",
        WARNING,
        with_rows(data, rows, np.tile(data.X[rows][:, :400], 3)),
        tuple(rows),
        also=("property-outliers",),
    )


@fault
def grey_stored_as_colour() -> Planted:
    data = pictures()
    return Planted("grayscale-images", INFO, replace(data, X=np.tile(data.X[:, :400], 3)))


@fault
def brightness_tells_the_class() -> Planted:
    data = pictures()
    X = data.X * np.array([0.35, 0.6, 1.0])[data.y][:, None]
    also = ("dark-images", "target-leaking-columns")
    return Planted(
        "property-label-shortcut", WARNING, replace(data, X=X.astype(np.uint8)), ("brightness",), also=also
    )


@fault
def a_column_that_is_the_target() -> Planted:
    data = table()
    outcome = 10 * data.y + RNG.normal(0, 0.5, 300)
    return Planted("target-leaking-columns", WARNING, with_column(data, "outcome", outcome), ("outcome",))


@fault
def a_column_that_is_the_code_of_the_class() -> Planted:
    rng = np.random.default_rng(1)
    y = rng.permutation(np.arange(300) % 6)
    X = rng.normal(size=(300, 3))
    X[:, 1] = y
    data = Dataset(X, y, tuple("abcdef"), ("p", "q", "r"))
    return Planted("target-leaking-columns", WARNING, data, ("q",))


@fault
def a_column_missing_where_the_target_is_no() -> Planted:
    data = table()
    X = data.X.copy()
    X[data.y == 0, 3] = np.nan
    return Planted("target-leaking-columns", WARNING, replace(data, X=X), ("age",), also=("missing-values",))


@fault
def a_column_that_is_a_numeric_target() -> Planted:
    data = regression()
    return Planted("target-leaking-columns", WARNING, with_column(data, "price", -3 * data.y), ("price",))


@fault
def a_file_sorted_by_class() -> Planted:
    data = table()
    return Planted("order-dependence", WARNING, data.take(np.argsort(data.y, kind="stable")), (150,))


@fault
def pictures_read_folder_by_folder() -> Planted:
    data = pictures()
    return Planted("order-dependence", INFO, data.take(np.argsort(data.y, kind="stable")))


@fault
def pictures_in_blocks_that_no_folder_makes() -> Planted:
    data = pictures()
    rows = np.argsort(data.y, kind="stable")
    blocks = np.concatenate([part[k::3] for k in range(3) for part in [rows]])
    return Planted("order-dependence", WARNING, data.take(blocks))


@fault
def a_sorted_file_that_the_split_has_shuffled() -> Planted:
    data = table()
    data = data.take(np.argsort(data.y, kind="stable"))
    return Planted("order-dependence", INFO, data, parts=split(data))


@fault
def a_file_sorted_by_a_numeric_target() -> Planted:
    data = regression()
    return Planted("order-dependence", WARNING, data.take(np.argsort(data.y)))


@fault
def held_out_rows_from_elsewhere() -> Planted:
    data = regression(400)
    part = RNG.permutation(np.array([0] * 300 + [2] * 100)).astype(np.int8)
    X = data.X.copy()
    X[part == 2, 1] += 15
    return Planted("part-drift", WARNING, replace(data, X=X, part=part), ("test",))


@fault
def held_out_rows_of_other_spread() -> Planted:
    data = table(600)
    part = np.where(np.arange(600) < 400, 0, 2).astype(np.int8)
    X = data.X.copy()
    X[part == 2, 3] *= 4
    return Planted("part-drift", WARNING, replace(data, X=X, part=part), ("test",))


@fault
def wrong_labels() -> Planted:
    data = pictures(600)
    y = data.y.copy()
    y[WRONG] = (y[WRONG] + 1) % 3
    return Planted("suspected-label-errors", WARNING, replace(data, y=y))


def findings_of(planted: Planted) -> dict[str, Finding]:
    return {f.check: f for f in run_checks(planted.data, planted.parts, scaling=planted.scaling)}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found_named_and_located(name: str) -> None:
    planted = FAULTS[name]()
    found = findings_of(planted)
    verdict = found[planted.check]
    assert verdict.severity == planted.severity, verdict.summary
    assert set(planted.where) <= set(verdict.examples), verdict.examples
    assert verdict.n_affected >= len(planted.where)
    assert verdict.definition
    assert verdict.advice
    assert verdict.threshold is not None
    raised = {f.check for f in found.values() if f.severity > INFO} - {planted.check}
    assert raised <= set(planted.also), [found[check].summary for check in raised]


def test_most_wrong_labels_are_named_and_most_named_labels_are_wrong() -> None:
    verdict = findings_of(wrong_labels())["suspected-label-errors"]
    assert verdict.n_affected > 0.6 * len(WRONG)
    assert np.isin(verdict.examples, WRONG).mean() > 0.8
    row, given, likely = verdict.details["suggestions"][0]
    assert row in WRONG
    assert given == ("right", "below", "left")[("left", "right", "below").index(likely)]


def test_every_check_has_a_planted_fault() -> None:
    assert {make().check for make in FAULTS.values()} == set(check_names())
    assert len(FAULTS) >= 25


@pytest.mark.parametrize("data", [pictures(), table(), regression(), replace(pictures(), image=None)])
def test_every_check_answers_whatever_the_data(data: Dataset) -> None:
    found = run_checks(data)
    assert [f.check for f in found] == list(check_names())
    for f in found:
        assert f.summary
        if f.severity is Severity.SKIPPED:
            assert f.summary.startswith("does not apply: ")


def test_tiny_pictures_are_examined_as_far_as_possible() -> None:
    X = np.random.default_rng(0).integers(150, 255, (40, 12), dtype=np.uint8)
    X[:, ::2] //= 2  # contrast
    data = Dataset(X, np.arange(40) % 2, ("a", "b"), image=ImageShape(2, 2, 3))
    assert {f.check for f in run_checks(data) if f.severity > INFO} == set()
