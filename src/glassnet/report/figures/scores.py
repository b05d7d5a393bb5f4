"""Figures of decisions: the confusion matrix and the precision-recall curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glassnet.evaluate import BinaryScores, ClassScores
from glassnet.report.figures.theme import INK, MUTED, PAPER, RAMP, SERIES, blank, plain_text
from glassnet.report.figures.thin import significant, thin
from glassnet.report.numbers import count, figure, share

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MOST_LETTERED", "confusion", "precision_recall"]

MOST_LETTERED = 20  # classes up to which every cell carries its count
_MOST_SHARES = 4  # classes up to which every cell carries its share of the row too
_MOST_NAMED = 30  # names that fit along a side
_LEVEL = 40  # letters that fit side by side below a matrix on a telephone
_SYMBOLS = ("circle", "diamond", "square", "cross")


def confusion(scores: ClassScores) -> go.Figure:
    """Confusion matrix: true classes down, decided classes across; the colour is the share of the row.

    Up to 20 classes every cell shows its count; beyond that the pointer shows it. The row of a class without
    any example stays empty.

    Parameters
    ----------
    scores : with `confusion` (C, C) int64 and the C class names

    Examples
    --------
    >>> from glassnet.evaluate import class_scores
    >>> s = class_scores(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("cat", "dog"))
    >>> confusion(s).data[0].z
    ([0.5, 0.5], [0.0, 1.0])
    """
    counts = scores.confusion
    n = len(scores.class_names)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)
    names = [plain_text(name, 14) for name in scores.class_names]
    step = -(-n // _MOST_NAMED)
    gap = 1 if n <= _MOST_NAMED else 0
    small = {"size": 11, "color": MUTED}
    chart = blank(int(np.clip(110 + 46 * n, 230, 560 if n <= MOST_LETTERED else 760)), "decided", "true")
    chart.add_heatmap(
        z=[significant(row, 4) for row in shares],
        text=_letters(counts, shares) if n <= MOST_LETTERED else None,
        customdata=_hovers(scores, shares),
        texttemplate="%{text}" if n <= MOST_LETTERED else None,
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=[[i / (len(RAMP) - 1), shade] for i, shade in enumerate(RAMP)],
        zmin=0, zmax=1, xgap=gap, ygap=gap, hoverongaps=False,
        showscale=n > MOST_LETTERED,
        colorbar={
            "title": {"text": "share of the true class", "side": "right", "font": small},
            "tickformat": ".0%", "thickness": 8, "outlinewidth": 0, "tickfont": small,
        },
    )  # fmt: skip
    ticks = {"tickmode": "array", "tickvals": list(range(0, n, step)), "ticktext": names[::step]}
    level = n <= 3 or n * max(map(len, names)) <= _LEVEL
    angle = 0 if level else -45 if n <= MOST_LETTERED else -90
    chart.update_xaxes(**ticks, showline=False, tickangle=angle)
    chart.update_yaxes(**ticks, showgrid=False, autorange="reversed")
    return chart


def _letters(counts: np.ndarray, shares: np.ndarray) -> list[list[str]]:
    """What stands in each cell: its count, and its share where there is room for both."""
    room = len(counts) <= _MOST_SHARES
    return [
        [
            count(n) + (f"<br>{share(s)}" if room and np.isfinite(s) else "")
            for n, s in zip(row, part, strict=True)
        ]
        for row, part in zip(counts.tolist(), shares.tolist(), strict=True)
    ]


def _hovers(scores: ClassScores, shares: np.ndarray) -> list[list[str]]:
    """One sentence per cell; short words only where the matrix is large, since each is in the file."""
    names = [plain_text(name, 24) for name in scores.class_names]
    verb = " decided " if len(names) <= _MOST_NAMED else " → "
    return [
        [f"{true}{verb}{decided}: {count(n)}" + (f" ({share(s)})" if n else "")
         for decided, n, s in zip(names, row, part, strict=True)]
        for true, row, part in zip(names, scores.confusion.tolist(), shares.tolist(), strict=True)
    ]  # fmt: skip


def precision_recall(binary: BinaryScores, paint: str = SERIES[0]) -> go.Figure:
    """Precision-recall curve with the level of guessing and the decision thresholds on it.

    Parameters
    ----------
    binary : its curve, prevalence (the precision of guessing) and decisions
    paint : colour of the curve

    Examples
    --------
    >>> from glassnet.evaluate import binary_scores
    >>> y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> chart = precision_recall(binary_scores(y, p, ("no", "yes"), {"fixed at 0.5": 0.5}))
    >>> chart.data[1].name
    'fixed at 0.5: F1 0.667 at 0.5'
    """
    recall, precision = np.asarray(binary.curve_recall), np.asarray(binary.curve_precision)
    kept = thin(recall, precision)
    chart = blank(
        400, "recall: share of the positives that are found", "precision: share of the found that are right"
    )
    chart.add_scatter(
        x=significant(recall[kept]), y=significant(precision[kept]), mode="lines",
        line={"color": paint, "width": 2, "shape": "hv"},
        name=f"average precision {figure(binary.average_precision)}",
        hovertemplate="recall %{x:.3f}, precision %{y:.3f}<extra></extra>",
    )  # fmt: skip
    for i, decision in enumerate(binary.decisions):
        scores = decision.scores
        reached = f"F1 {scores.f1[1]:.3f} at {decision.threshold:.3g}"
        chart.add_scatter(
            x=significant([scores.recall[1]]), y=significant([scores.precision[1]]), mode="markers",
            marker={
                "symbol": _SYMBOLS[i % len(_SYMBOLS)], "size": 12, "color": SERIES[1 + i % (len(SERIES) - 1)],
                "line": {"color": PAPER, "width": 2},
            },
            name=f"{plain_text(decision.chosen)}: {reached}",
            hovertemplate="recall %{x:.3f}, precision %{y:.3f}<extra></extra>",
            cliponaxis=False,
        )  # fmt: skip
    chart.add_hline(
        y=binary.prevalence, line={"color": MUTED, "width": 1, "dash": "dot"},
        annotation={
            "text": f"guessing: {figure(binary.prevalence)}", "font": {"color": INK, "size": 11},
            "bgcolor": PAPER, "borderpad": 1,
        },
        annotation_position="top left",
    )  # fmt: skip
    chart.update_xaxes(range=[0, 1.01], showgrid=True)
    chart.update_yaxes(range=[0, 1.02])
    chart.update_layout(legend={"orientation": "v"})
    return chart
