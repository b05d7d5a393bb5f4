"""What the figures draw: true points, few of them, in colours that everyone can tell apart."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glassnet.lab.results import Run
from glassnet.report.figures import (
    confusion,
    curves,
    distribution,
    precision_recall,
    quantile_bands,
    run_colors,
)  # fmt: skip
from glassnet.report.figures.theme import ALARM, DARK, PAPER, SERIES
from glassnet.report.figures.thin import bin_columns, significant, thin

NAN = float("nan")


def lines(figure: go.Figure) -> list[go.Scatter]:
    """The traces that draw something."""
    return [t for t in figure.data if t.x is not None and any(x is not None for x in t.x)]


@given(
    y=arrays(float, st.integers(1, 3000), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    most=st.integers(2, 60).map(lambda half: 2 * half),
)
@settings(deadline=None)
def test_thinning_keeps_ends_and_extremes_and_draws_no_more_than_asked(y, most):
    kept = thin(np.arange(len(y), dtype=float), y, most)
    finite = np.flatnonzero(np.isfinite(y))
    assert len(kept) <= most + 2
    assert np.all(np.diff(kept) > 0)
    assert np.isfinite(y[kept]).all()
    if len(finite):
        assert {finite[0], finite[-1]} <= set(kept)
        assert y[kept].min() == np.nanmin(y)
        assert y[kept].max() == np.nanmax(y)
    else:
        assert len(kept) == 0


def test_a_short_curve_is_drawn_whole(make):
    run = make.run(np.random.default_rng(0), "a", 50, 2.0, 1.0)
    train, validation = curves([run]).data
    assert train.y == tuple(significant(run.history["loss"]))
    assert validation.y == tuple(significant(run.history["val_loss"]))
    assert (train.line.dash, validation.line.dash) == ("solid", "dash")


def test_a_run_has_one_colour_in_every_figure(make):
    rng = np.random.default_rng(0)
    runs = [make.run(rng, label, 5, 2.0, 1.0) for label in "abc"]
    colors = run_colors(runs)
    for quantity in ("loss", "accuracy"):
        drawn = lines(curves(runs[1:], quantity, colors))
        assert [(t.name, t.line.color) for t in drawn] == [
            ("b", SERIES[1]), ("b", SERIES[1]), ("c", SERIES[2]), ("c", SERIES[2]),
        ]  # fmt: skip


def test_more_runs_than_colours_are_still_told_apart(make):
    rng = np.random.default_rng(0)
    drawn = lines(curves([make.run(rng, str(i), 60, 2.0, 1.0) for i in range(20)]))
    looks = {t.name: (t.line.color, t.marker.symbol if "markers" in t.mode else None) for t in drawn}
    assert len(looks) == len(set(looks.values())) == 20


def test_values_not_measured_leave_no_gap_and_no_nan():
    history = {"epoch": [1, 2, 3, 4], "loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [NAN, 3.5, NAN, 1.5]}
    _, validation = curves([Run("a", {}, history, seconds=1.0)]).data
    assert (validation.x, validation.y) == ((2.0, 4.0), (3.5, 1.5))


def test_one_epoch_is_a_visible_point():
    (trace,) = curves([Run("a", {}, {"epoch": [1], "loss": [2.0]}, seconds=1.0)]).data
    assert "markers" in trace.mode


@pytest.mark.parametrize(
    ("losses", "cross"),
    [
        ([2.3, 2.4, 9e8, NAN], (2, "ceiling")),  # leaves the picture after epoch 2
        ([9e8, NAN], (1, "ceiling")),  # never was in it
        ([2.3, 2.0, NAN], (2, 2.0)),  # its last finite value
        ([NAN], (None, None)),
        ([], (None, None)),
    ],
)
def test_a_diverged_run_ends_in_a_cross_and_squeezes_nobody(make, losses, cross):
    healthy = make.run(np.random.default_rng(0), "healthy", 20, 2.2, 1.0)
    history = {"epoch": list(range(1, len(losses) + 1)), "loss": losses}
    lost = Run("lost", {}, history, seconds=1.0, diverged="layer 1, step 7")
    figure = curves([healthy, lost])
    low, high = figure.layout.yaxis.range
    trained = healthy.history["loss"] + healthy.history["val_loss"]
    assert low < min(trained)
    assert max(trained) < high < 1.7 * max(trained)
    mark = next(t for t in figure.data if t.marker.symbol == "x")
    x, y = (high if v == "ceiling" else v for v in cross)
    assert mark.x[0] == (None if x is None else pytest.approx(x, abs=1e-3))
    assert mark.y[0] == y
    assert mark.marker.color == ALARM
    named = [t.name for t in figure.data if t.showlegend and "lost" in t.name]
    assert len(named) == 1
    assert "diverged" in named[0]


def test_when_all_runs_diverged_the_start_is_still_readable():
    history = {"epoch": [1, 2, 3], "loss": [2.0, 5.0, 1e12]}
    figure = curves([Run("a", {}, history, seconds=1.0, diverged="step 3")])
    assert figure.layout.yaxis.range[1] == pytest.approx(1.08 * 5.0)


@pytest.mark.parametrize(
    ("names", "angle"),
    [
        (tuple("0123456789"), 0),
        (("airplane", "automobile", "truck"), 0),
        (tuple(f"kind of thing {i}" for i in range(10)), -45),
        (tuple(f"kind {i}" for i in range(25)), -90),
    ],
    ids=["digits", "three", "ten", "many"],
)
def test_names_below_a_matrix_are_level_where_they_fit(make, names, angle):
    figure = confusion(make.scores(np.random.default_rng(0), names, 500))
    assert figure.layout.xaxis.tickangle == angle


def test_confusion_shows_counts_and_row_shares_and_leaves_absent_classes_empty(make):
    scores = make.scores(np.random.default_rng(0), ("a", "b", "c", "d", "e"), 400, absent=2)
    (heat,) = confusion(scores).data
    assert [[int(v.replace(",", "")) for v in row] for row in heat.text] == scores.confusion.tolist()
    shares = [[NAN if v is None else v for v in row] for row in heat.z]
    np.testing.assert_allclose(np.sum(shares, axis=1), [1, 1, NAN, 1, 1], atol=1e-3)


def test_a_hundred_classes_stay_small_and_readable(make):
    names = tuple(f"class number {i}" for i in range(100))
    figure = confusion(make.scores(np.random.default_rng(0), names, 20_000))
    assert figure.data[0].text is None
    assert len(figure.layout.xaxis.ticktext) <= 30
    assert len(json.dumps(figure.to_plotly_json())) < 800_000


def test_the_precision_recall_curve_is_thinned_to_its_own_shape(make):
    binary = make.binary(np.random.default_rng(0))
    curve, *decisions = precision_recall(binary).data
    drawn = np.array([curve.x, curve.y], dtype=float)
    whole = np.array([binary.curve_recall, binary.curve_precision])
    assert drawn.shape[1] <= 402 < whole.shape[1]
    # The area under the drawn steps is the average precision, as it is under all of them.
    assert -np.sum(np.diff(drawn[0]) * drawn[1, :-1]) == pytest.approx(binary.average_precision, abs=0.01)
    for trace, decision in zip(decisions, binary.decisions, strict=True):
        scores = decision.scores
        assert (trace.x[0], trace.y[0]) == pytest.approx((scores.recall[1], scores.precision[1]), rel=1e-4)
    assert [s.y0 for s in precision_recall(binary).layout.shapes] == [binary.prevalence]


def test_densities_with_many_bins_are_merged_without_losing_area():
    rng = np.random.default_rng(0)
    edges = np.sort(rng.normal(size=1001))
    density = rng.random(1000) / np.diff(edges)
    density /= np.sum(density * np.diff(edges))
    (trace,) = distribution({"edges": edges, "gray": density}).data
    assert len(trace.x) == 65
    assert np.sum(np.diff(trace.x) * trace.y[:-1]) == pytest.approx(1.0, abs=1e-3)


def test_many_columns_are_put_together_between_their_true_extremes():
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.normal(size=(5, 100_000)), axis=0)
    first, bands = bin_columns(quantiles)
    assert bands.shape == (5, len(first)) == (5, 1024)
    assert bands[0].min() == quantiles[0].min()
    assert bands[4].max() == quantiles[4].max()
    assert np.all(np.diff(bands, axis=0) >= 0)
    figure = quantile_bands(quantiles, planes=("red", "green", "blue"))
    assert len(json.dumps(figure.to_plotly_json())) < 150_000
    assert [a.text for a in figure.layout.annotations] == ["red", "green", "blue"]


def test_one_column_still_has_a_band():
    figure = quantile_bands(np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]))
    assert all(tuple(t.x) == (-0.5, 0.5) for t in figure.data)


def test_few_columns_are_named_and_equally_wide():
    quantiles = np.sort(np.random.default_rng(0).normal(size=(5, 3)), axis=0)
    figure = quantile_bands(quantiles, names=("a", "b", "c"))
    assert tuple(figure.layout.xaxis.ticktext) == ("a", "b", "c")
    assert tuple(figure.layout.xaxis.tickvals) == (0, 1, 2)
    assert all(tuple(t.x) == (-0.5, 0.5, 1.5, 2.5) for t in figure.data)


def test_names_with_markup_are_shown_as_they_are(make):
    evil = '<b>x</b><a href="javascript:alert(1)">y</a>'
    scores = make.scores(np.random.default_rng(0), (evil, "b"), 40)
    binary = make.binary(np.random.default_rng(0), 400, names=("b", evil))
    decision = replace(binary.decisions[0], chosen=evil)
    run = Run(evil, {}, {"epoch": [1], "loss": [1.0]}, seconds=1.0, diverged=f"{evil} %{{x}}")
    figures = [
        confusion(scores),
        precision_recall(replace(binary, decisions=(decision,))),
        curves([run, replace(run, label="b")]),
        distribution({"edges": np.arange(3.0), evil: np.array([0.5, 0.5])}),
    ]
    for figure in figures:
        told = figure.to_plotly_json()
        for trace in told["data"]:
            trace.pop("legendgroup", None)  # a key, never shown
        text = json.dumps(told)
        assert "<a" not in text
        assert "<b>" not in text
        assert "&lt;b&gt;x" in text
        assert "step %{x}" not in text


# Colour vision: Machado, Oliveira & Fernandes 2009, severity 1.0; OKLab: Ottosson 2020; contrast: WCAG 2.

PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TO_LMS = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def linear(color: str) -> np.ndarray:
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("sight", [np.eye(3), PROTAN, DEUTAN], ids=["normal", "protanopia", "deuteranopia"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_palette_can_be_told_apart_by_everyone(sight, dark):
    palette = np.array([linear(DARK[c] if dark else c) for c in SERIES])
    lab = np.cbrt(np.clip(palette @ np.transpose(sight), 0, 1) @ np.transpose(TO_LMS)) @ np.transpose(TO_LAB)
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + np.eye(len(lab))
    assert apart.min() > 0.09  # just noticeable is about 0.02
    assert apart[:4, :4].min() > 0.14  # most figures have at most four runs
    paper = linear(DARK[PAPER] if dark else PAPER)
    b = [colors @ [0.2126, 0.7152, 0.0722] + 0.05 for colors in (palette, paper)]
    assert (np.maximum(*b) / np.minimum(*b)).min() >= 3


def test_a_short_run_has_one_mark_per_epoch() -> None:
    def ticks(n: int):
        history = {"epoch": list(range(1, n + 1)), "loss": [1.0] * n}
        return curves([Run("a", {}, history, seconds=1.0)]).layout.xaxis.dtick

    assert (ticks(1), ticks(5), ticks(50)) == (1, 1, None)
