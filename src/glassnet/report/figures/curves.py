"""Curves over the epochs: a run's training line solid, its validation line dashed, in one colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glassnet.lab.results import Run
from glassnet.report.figures.theme import ALARM, FAINT, MUTED, PAPER, blank, color, plain_text
from glassnet.report.figures.thin import significant, thin

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MOST_POINTS", "curves", "loss_ceiling", "measured", "run_colors"]

MOST_POINTS = 400  # per curve; at 2,000 epochs five in a row share two points
_FEW_EPOCHS = 8
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star")
_EXPLODED = 3.0  # a loss above this multiple of its first value counts as exploding (diagnosis uses the same)
_ROOM = 1.5  # diverged runs are followed up to this multiple of the highest loss of the others


def run_colors(runs: Sequence[Run]) -> dict[str, str]:
    """The colour of each run by its label: the same in every figure and table of a part."""
    return {run.label: color(slot) for slot, run in enumerate(runs)}


def measured(run: Run, key: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Epochs and values of one recorded quantity where it was measured and finite.

    Parameters
    ----------
    run : its `history`
    key : "loss", "accuracy", "val_loss" or "val_accuracy"

    Examples
    --------
    >>> run = Run("a", {}, {"epoch": [1, 2, 3], "loss": [2.0, 1.0, float("nan")]}, seconds=1.0)
    >>> [v.tolist() for v in measured(run, "loss")]
    [[1.0, 2.0], [2.0, 1.0]]
    """
    values = np.asarray(run.history.get(key, []), dtype=float)
    epochs = np.asarray(run.history.get("epoch", np.arange(1, len(values) + 1)), dtype=float)
    finite = np.isfinite(values)
    return epochs[: len(values)][finite], values[finite]


def loss_ceiling(runs: Sequence[Run]) -> float | None:
    """The highest loss worth showing when a run diverged, None when none did.

    Half as much again as the runs that trained; where none did, three times the first loss.

    Examples
    --------
    >>> lost = Run("a", {}, {"epoch": [1, 2, 3], "loss": [2.0, 4.0, 1e9]}, seconds=1.0, diverged="step 3")
    >>> round(loss_ceiling([lost]), 2)
    4.32
    """
    if not any(run.diverged for run in runs):
        return None

    def losses(diverged: bool) -> list[npt.NDArray[np.float64]]:
        chosen = [run for run in runs if bool(run.diverged) == diverged]
        found = [measured(run, key)[1] for run in chosen for key in ("loss", "val_loss")]
        return [values for values in found if len(values)]

    trained, lost = losses(diverged=False), losses(diverged=True)
    if trained:
        limit = _ROOM * max(float(values.max()) for values in trained)
    else:
        limit = _EXPLODED * min((float(values[0]) for values in lost), default=0.0)
    shown = np.concatenate([*trained, *lost]) if trained or lost else np.array([])
    shown = shown[shown <= limit]
    return 1.08 * float(shown.max()) if len(shown) else None


def curves(
    runs: Sequence[Run],
    quantity: str = "loss",
    colors: Mapping[str, str] | None = None,
    baseline: float | None = None,
    baseline_name: str = "guessing",
) -> go.Figure:
    """Training (solid) and validation (dashed) curves of runs over the epochs.

    A run that diverged ends in a cross and says so in the legend; its exploding values never squeeze the
    other curves. Long curves are thinned to about 400 points that keep every spike.

    Parameters
    ----------
    runs : one or more, overlaid
    quantity : "loss" or "accuracy"
    colors : colour by label, by default the order of `runs`
    baseline : a dotted level for comparison, e.g. the share of the largest class
    baseline_name : what the level is

    Examples
    --------
    >>> history = {"epoch": [1, 2], "loss": [2.3, 1.9], "val_loss": [2.2, 2.0]}
    >>> [trace.name for trace in curves([Run("ReLU", {}, history, seconds=1.0)]).data]
    ['training', 'validation']
    """
    colors = colors or run_colors(runs)
    chart = blank(340, "epoch", quantity)
    ceiling = loss_ceiling(runs) if quantity == "loss" else None
    if len(runs) > 1:
        for name, dash in (("training", "solid"), ("validation", "dash")):
            chart.add_scatter(
                x=[None], y=[None], mode="lines", name=name, line={"color": FAINT, "dash": dash}
            )
    seen: Counter[str] = Counter()
    for run in runs:
        paint = colors[run.label]
        for trace in _pair(run, quantity, paint, alone=len(runs) == 1, again=seen[paint]):
            chart.add_scatter(**trace)
        seen[paint] += 1
        if run.diverged:
            chart.add_scatter(**_cross(run, quantity, ceiling))
    if baseline is not None:
        chart.add_hline(
            y=baseline, line={"color": MUTED, "width": 1, "dash": "dot"},
            annotation={
                "text": plain_text(baseline_name), "font": {"color": MUTED, "size": 11},
                "bgcolor": f"{PAPER}cc",  # readable where a curve passes behind it
            },
            annotation_position="bottom right",
        )  # fmt: skip
    if ceiling is not None:
        chart.update_yaxes(range=[_floor(runs, ceiling), ceiling])
    longest = max((len(run.history.get("epoch", [])) for run in runs), default=0)
    chart.update_xaxes(tickformat="d", dtick=1 if longest < _FEW_EPOCHS else None)  # never 0.5 epochs
    chart.update_layout(hovermode="x unified")
    return chart


def _pair(run: Run, quantity: str, paint: str, alone: bool, again: int) -> list[dict[str, Any]]:
    """The two lines of one run, ready for `add_scatter`; a colour used again carries marks of its own."""
    name = plain_text(run.label) + (" (diverged)" if run.diverged else "")
    name += " (interrupted)" if run.interrupted else ""
    lines: list[dict[str, Any]] = []
    for key, what, dash in ((quantity, "training", "solid"), (f"val_{quantity}", "validation", "dash")):
        epochs, values = measured(run, key)
        kept = thin(epochs, values, MOST_POINTS)
        if not len(kept):
            continue
        lines.append({
            "x": significant(epochs[kept], 7),
            "y": significant(values[kept]),
            "name": what if alone else name,
            "legendgroup": None if alone else run.label,
            "showlegend": alone or not lines,
            "mode": "lines+markers" if len(kept) <= 25 or again else "lines",
            "line": {"color": paint, "dash": dash, "width": 2 if len(kept) < 200 else 1.5},
            "marker": {"color": paint, "symbol": _SYMBOLS[again % len(_SYMBOLS)], **_size(again)},
            "opacity": 0.55 if run.diverged else 1,
            "hovertemplate": f"%{{y:.4g}} {what}" + ("" if alone else " <extra>%{fullData.name}</extra>"),
        })  # fmt: skip
        if alone:
            lines[-1]["hovertemplate"] += "<extra></extra>"
    return lines


def _size(again: int) -> dict[str, int]:
    return {"size": 8, "maxdisplayed": 10} if again else {"size": 5}


def _cross(run: Run, quantity: str, ceiling: float | None) -> dict[str, Any]:
    """The mark where a diverged run ends or leaves the picture; a word in the legend if it never began."""
    epochs, values = measured(run, quantity)
    x, y = None, None
    if len(values):
        x, y = float(epochs[-1]), float(values[-1])
    if ceiling is not None and np.any(values > ceiling):  # where the line crosses the upper edge
        beyond = int(np.argmax(values > ceiling))
        around = slice(max(beyond - 1, 0), beyond + 1)
        x, y = float(np.interp(ceiling, values[around], epochs[around])), ceiling
    return {
        "x": [x], "y": [y], "mode": "markers+text", "text": ["diverged"], "textposition": "middle right",
        "textfont": {"color": ALARM, "size": 12}, "name": f"{plain_text(run.label)} (diverged at once)",
        "showlegend": x is None, "legendgroup": run.label, "cliponaxis": False,
        "marker": {"symbol": "x", "size": 10, "color": ALARM},
        "hovertemplate": f"diverged: {plain_text(run.diverged, 80).replace('%', '&#37;')}<extra></extra>",
    }  # fmt: skip


def _floor(runs: Sequence[Run], ceiling: float) -> float:
    """The lower end of a loss axis whose upper end is set."""
    lows = [v.min() for run in runs for key in ("loss", "val_loss") if len(v := measured(run, key)[1])]
    low = min((float(v) for v in lows if v < ceiling), default=0.0)
    return low - 0.05 * (ceiling - low)
