"""Figures of an experiment: curves with bands over the seeds, and scores against the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glassnet.lab.outcome import ArmOutcome
from glassnet.lab.tune import Tuned
from glassnet.report.figures.theme import blank, plain_text
from glassnet.report.figures.thin import significant

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["best_of_trials", "lr_sensitivity", "seed_bands"]


def seed_bands(arms: Sequence[ArmOutcome], quantity: str, colors: Mapping[str, str]) -> go.Figure:
    """Mean over the seeds of a recorded quantity, and the range from the lowest to the highest seed.

    Parameters
    ----------
    quantity : key of the arms' curves, e.g. "val_accuracy"
    colors : arm -> colour
    """
    chart = blank(360, "epoch", quantity.replace("val_", "validation ").replace("_", " "))
    for arm in arms:
        if quantity not in arm.curves:
            continue
        curve, paint, name = arm.curves[quantity], colors[arm.name], plain_text(arm.name)
        epochs = list(range(1, len(curve.mean) + 1))
        for values, fill in ((curve.low, None), (curve.high, "tonexty")):
            chart.add_scatter(
                x=epochs, y=significant(values), mode="lines", line={"width": 0, "color": paint}, fill=fill,
                fillcolor=f"{paint}33", hoverinfo="skip", showlegend=False, legendgroup=name,
            )  # fmt: skip
        chart.add_scatter(
            x=epochs, y=significant(curve.mean), mode="lines", line={"color": paint, "width": 2}, name=name,
            legendgroup=name, hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    return chart


def lr_sensitivity(tuning: Sequence[Tuned], measure: str, colors: Mapping[str, str]) -> go.Figure:
    """Validation score of every trial against its learning rate: an arm with a wide top is easy to tune."""
    chart = blank(360, "learning rate", f"{measure} on validation rows")
    for tuned in tuning:
        trials = sorted(tuned.trials, key=lambda trial: trial.values["training.lr"])
        name = plain_text(tuned.arm)
        chart.add_scatter(
            x=significant([trial.values["training.lr"] for trial in trials]),
            y=significant([trial.score for trial in trials]), mode="lines+markers", name=name,
            line={"color": colors[tuned.arm], "width": 2}, marker={"size": 7},
            hovertemplate=f"{name}, lr %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    chart.update_xaxes(type="log", showgrid=True, exponentformat="none")  # 0.0001, not 100µ
    return chart


def best_of_trials(
    expected: Mapping[str, Sequence[float]], measure: str, colors: Mapping[str, str]
) -> go.Figure:
    """Expected best validation score after k trials, arm by arm: what a smaller budget would have found."""
    chart = blank(320, "trials", f"expected best {measure}")
    for arm, values in expected.items():
        name = plain_text(arm)
        chart.add_scatter(
            x=np.arange(1, len(values) + 1).tolist(), y=significant(values), mode="lines", name=name,
            line={"color": colors[arm], "width": 2},
            hovertemplate=f"{name}, best of %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    return chart
