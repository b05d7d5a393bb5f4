"""The page of an experiment: verdict first, then arms, curves, tuning, and the plan with its hash."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glassnet.lab.measures import MEASURES
from glassnet.lab.outcome import Family, Outcome
from glassnet.lab.plan import plan_text
from glassnet.lab.statistics import best_of_k
from glassnet.report.figures.arms import best_of_trials, lr_sensitivity, seed_bands
from glassnet.report.figures.theme import color
from glassnet.report.numbers import figure
from glassnet.report.page import Drawing, drawing, fill

__all__ = ["render_experiment"]


def render_experiment(outcome: Outcome) -> str:
    """The whole page as a string."""
    colors = {name: color(i) for i, (name, _) in enumerate(outcome.experiment.arms())}
    return fill(
        "experiment.html.j2",
        outcome=outcome,
        measure=MEASURES[outcome.experiment.metric].words,
        families=[_family(family, colors) for family in outcome.families],
        tuning=_tuning(outcome, colors),
        plan=plan_text(outcome.experiment),
    )


def _family(family: Family, colors: dict[str, str]) -> dict[str, Any]:
    key = "tuned" if family.tuned else "as-planned"
    drawings = []
    for quantity in ("val_loss", "val_accuracy"):
        drawn = [arm for arm in family.arms if quantity in arm.curves]
        if drawn:
            label = quantity.replace("val_", "validation ")
            ends = ", ".join(f"{arm.name} {figure(float(arm.curves[quantity].mean[-1]))}" for arm in drawn)
            drawings.append(drawing(
                f"{key}-{quantity}", seed_bands(drawn, quantity, colors),
                f"Mean {label} at the last epoch: {ends}.",
                f"{label.capitalize()}: mean over the seeds, and the range from the lowest to the highest.",
            ))  # fmt: skip
    return {
        "key": key,
        "family": family,
        "arms": [(arm, colors[arm.name]) for arm in family.arms],
        "settings": {
            arm.name: ", ".join(f"{path.rsplit('.', 1)[-1]} = {value}" for path, value in arm.values.items())
            for arm in family.arms
        },
        "epochs": {
            arm.name: float(np.median(arm.to_target)) if len(arm.to_target) else math.nan
            for arm in family.arms
        },
        "reached": {arm.name: int(np.isfinite(arm.to_target).sum()) for arm in family.arms},
        "drawings": drawings,
    }


def _tuning(outcome: Outcome, colors: dict[str, str]) -> list[Drawing]:
    if not outcome.tuning:
        return []
    measure, metric = MEASURES[outcome.experiment.metric], outcome.experiment.metric
    drawings = []
    if "training.lr" in outcome.tuning[0].best:
        told = ", ".join(f"{t.arm} {figure(t.best['training.lr'])}" for t in outcome.tuning)
        drawings.append(drawing(
            "lr-sensitivity", lr_sensitivity(outcome.tuning, measure.words, colors),
            f"Best learning rate: {told}.",
            "Every trial: a wide top is easy to tune, a narrow one needs a search.",
        ))  # fmt: skip
    sign = 1.0 if measure.higher_is_better else -1.0
    expected = {}
    for tuned in outcome.tuning:
        scores = np.array([t.score for t in tuned.trials if not math.isnan(t.score)])
        expected[tuned.arm] = [sign * v for v in best_of_k(sign * scores)]
    drawings.append(drawing(
        "best-of-k", best_of_trials(expected, measure.words, colors),
        f"Expected best {metric} on validation rows after all trials: "
        + ", ".join(f"{arm} {figure(values[-1])}" for arm, values in expected.items() if values) + ".",
        "Expected best of k trials drawn from those made (Dodge et al. 2019).",
    ))  # fmt: skip
    return drawings
