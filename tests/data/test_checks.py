"""The parts of which the checks are made, each against its definition or a brute-force count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glassnet.data.checks import Evidence, check_names, run_checks
from glassnet.data.checks.labels import cramers_v
from glassnet.data.checks.linear import held_out_probabilities, held_out_scores
from glassnet.data.checks.order import area_under_curve
from glassnet.data.checks.outliers import Z, outliers_per_column
from glassnet.data.checks.similar import average_hash, near_pairs, same_rows
from glassnet.data.dataset import Dataset
from glassnet.errors import InputError
from glassnet.findings import Severity
from glassnet.progress import Progress

from .planted import odd_data, pictures, table

RNG = np.random.default_rng(2)


class Heard(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, task: str, total: int | None = None) -> None:
        self.said.append((task, total))

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.said.append((steps, note))

    def end(self) -> None:
        self.said.append("end")


def test_progress_names_every_check_when_it_begins() -> None:
    heard = Heard()
    run_checks(table(), progress=heard)
    told = [(steps, name) for name in check_names() for steps in (0, 1)]
    assert heard.said == [("checks", len(check_names())), *told, "end"]


def test_only_the_named_checks_run() -> None:
    found = run_checks(table(), only=("class-balance", "table-size"))
    assert [f.check for f in found] == ["table-size", "class-balance"]
    with pytest.raises(InputError, match="did you mean 'class-balance'"):
        run_checks(table(), only=("clas-balance",))


def test_the_same_data_give_the_same_findings() -> None:
    first, second = run_checks(pictures()), run_checks(pictures())
    assert [(f.check, f.severity, f.summary, f.examples) for f in first] == [
        (f.check, f.severity, f.summary, f.examples) for f in second
    ]


def test_no_rows_at_all_is_an_error_and_nothing_else() -> None:
    found = run_checks(table().take(np.zeros(0, np.int64)))
    assert [f.check for f in found if f.severity > Severity.SKIPPED] == ["table-size"]


@pytest.mark.parametrize(
    "data", [pictures(), replace(pictures(), X=pictures().X.astype(np.float32)), table()]
)
def test_outliers_are_counted_as_the_coursework_defines_them(data: Dataset) -> None:
    X = data.X.astype(np.float64)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_array_equal(outliers_per_column(Evidence(data)), (np.abs(z) > Z).sum(axis=0))


def test_same_rows_of_bytes_and_floats() -> None:
    X = RNG.integers(0, 3, (500, 3))
    expected = [next(j for j in range(i + 1) if (X[j] == X[i]).all()) for i in range(500)]
    for dtype in (np.uint8, np.float32, np.float64):
        assert same_rows(X.astype(dtype)).tolist() == expected


def test_near_pairs_are_those_that_a_comparison_of_all_pairs_finds() -> None:
    data = pictures(200)
    X = data.X.copy()
    X[100:] = np.clip(X[:100] + RNG.normal(0, np.linspace(0.5, 25, 100)[:, None], (100, X.shape[1])), 0, 255)
    e = Evidence(replace(data, X=X))
    grey = np.tensordot(e.thumbnails, np.array([0.299, 0.587, 0.114], np.float32), axes=(1, 0))
    bits = np.unpackbits(average_hash(grey).view(np.uint8).reshape(200, 8), axis=1).astype(int)
    close = (bits[:, None] != bits[None]).sum(axis=2) <= 3
    expected = np.argwhere(np.triu(close & (np.corrcoef(X) >= 0.95), 1))
    found = near_pairs(X, grey)
    assert 20 < len(expected) < 100
    assert found.complete
    assert sorted(map(tuple, found.pairs.tolist())) == sorted(map(tuple, expected.tolist()))


def test_far_too_many_look_alikes_cut_the_search_short(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(60)
    X = np.repeat(data.X[:1], 60, axis=0)
    X[:, 0] = np.arange(60)
    monkeypatch.setattr("glassnet.data.checks.similar._MOST_COMPARISONS", 500)
    verdict = run_checks(replace(data, X=X), only=("near-duplicates",))[0]
    assert verdict.severity is Severity.WARNING
    assert "the search was cut short" in verdict.summary


def test_thumbnails_are_block_means() -> None:
    data = pictures(4)  # 20 x 20: blocks of 2 and 3 pixels
    planes = data.X.reshape(4, 3, 20, 20)
    edges = [k * 20 // 8 for k in range(9)]
    got = Evidence(data).thumbnails.reshape(4, 3, 8, 8)
    for r in range(8):
        for c in range(8):
            block = planes[:, :, edges[r] : edges[r + 1], edges[c] : edges[c + 1]]
            np.testing.assert_allclose(got[:, :, r, c], block.mean(axis=(2, 3)), rtol=1e-5)


def test_wide_tables_are_reduced_to_components_that_keep_the_signal() -> None:
    y = RNG.permutation(np.arange(400) % 2)
    X = RNG.normal(size=(400, 300)) * 0.3 + np.outer(y - 0.5, RNG.normal(size=300))
    features = Evidence(Dataset(X, y, ("a", "b"))).features
    assert features.shape == (400, 64)
    assert features.dtype == np.float32
    assert abs(np.corrcoef(features[:, 0], y)[0, 1]) > 0.9


def test_cramers_v_is_corrected_for_chance() -> None:
    values = [
        cramers_v(np.stack([np.bincount(RNG.integers(0, 10, n), minlength=10) for n in (80, 20)]))
        for _ in range(50)
    ]
    assert np.mean(values) < 0.1
    assert cramers_v(np.array([[90, 10], [10, 90]])) == pytest.approx(0.8, abs=0.01)


def test_held_out_scores_equal_five_separate_fits() -> None:
    from sklearn.linear_model import Ridge

    from glassnet.data.checks.linear import _RIDGE, _folds

    X = RNG.normal(size=(83, 3))
    targets = X @ RNG.normal(size=(3, 2)) + RNG.normal(size=(83, 2))
    fold = _folds(83)
    penalty = _RIDGE * (np.sum(X**2) + 83) / 4
    expected = np.empty_like(targets)
    for f in range(5):
        model = Ridge(alpha=penalty).fit(X[fold != f], targets[fold != f])
        expected[fold == f] = model.predict(X[fold == f])
    np.testing.assert_allclose(held_out_scores(X, targets), expected, rtol=1e-8)


def test_held_out_probabilities_do_not_see_the_row_itself() -> None:
    X = RNG.normal(size=(200, 30)).astype(np.float32)
    y = RNG.integers(0, 2, 200)
    p = held_out_probabilities(X, y, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert area_under_curve(p[:, 1], y == 1) < 0.65  # a model that had seen them would reach 0.9


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_findings_hold_plain_numbers(dtype: type) -> None:
    data = pictures()
    for f in run_checks(replace(data, X=data.X.astype(dtype))):
        assert f.value is None or isinstance(f.value, int | float)
        assert all(type(example) in (int, str) for example in f.examples)
        assert len(f.examples) <= 20


@pytest.mark.parametrize("name", odd_data())
def test_no_data_break_the_checks(name: str) -> None:
    found = run_checks(odd_data()[name])
    assert [f.check for f in found] == list(check_names())
    assert all(f.summary and "nan" not in f.summary for f in found), [f.summary for f in found]
