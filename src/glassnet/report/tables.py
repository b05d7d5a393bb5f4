"""What the report's tables hold: rows of plain numbers, chosen and ordered, not yet lettered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassnet.evaluate import ClassScores
from glassnet.findings import Finding
from glassnet.lab.results import Part, Run, Study
from glassnet.report.figures.curves import measured
from glassnet.report.numbers import figure, share

__all__ = [
    "CurveEnds", "KeyFigure", "curve_ends", "key_figures", "leaders", "split_settings", "top_confusions",
    "worst_first",
]  # fmt: skip

_LOWER_IS_BETTER = ("loss", "val_loss")


@dataclass(frozen=True)
class CurveEnds:
    """Where one run's curves end, and their best points; NaN where nothing was measured."""

    run: Run
    color: str
    epochs: int
    last: dict[str, float]  # by history key
    best: dict[str, tuple[float, int]]  # by history key: value and epoch


@dataclass(frozen=True)
class KeyFigure:
    """One number for the head of the report, and what makes it readable."""

    part: Part
    name: str
    value: str
    note: str


def curve_ends(run: Run, color: str) -> CurveEnds:
    """The last and the best figures of a run.

    Of a run that trained the last measured value counts, of a diverged one the last recorded, finite or not.

    Examples
    --------
    >>> run = Run("a", {}, {"epoch": [1, 2, 3], "val_loss": [2.0, 1.5, 1.7]}, seconds=1.0)
    >>> ends = curve_ends(run, "#000")
    >>> ends.epochs, ends.last["val_loss"], ends.best["val_loss"], ends.last["loss"]
    (3, 1.7, (1.5, 2), nan)
    """
    last, best = {}, {}
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        epochs, values = measured(run, key)
        recorded = run.history.get(key, [])
        last[key], best[key] = math.nan, (math.nan, 0)
        if len(values):
            at = int(np.argmin(values) if key in _LOWER_IS_BETTER else np.argmax(values))
            last[key], best[key] = float(values[-1]), (float(values[at]), int(epochs[at]))
        if run.diverged and recorded:
            last[key] = float(recorded[-1])
    return CurveEnds(run, color, len(run.history.get("epoch", [])), last, best)


def leaders(rows: Sequence[CurveEnds]) -> dict[str, float]:
    """The best last value of each column among the runs that did not diverge; none of fewer than two."""
    found = {}
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        values = [r.last[key] for r in rows if not r.run.diverged and math.isfinite(r.last[key])]
        if len(values) > 1:
            found[key] = min(values) if key in _LOWER_IS_BETTER else max(values)
    return found


def split_settings(
    runs: Sequence[Run],
) -> tuple[dict[str, str | int | float], list[str]]:
    """Settings that all runs share, and the names of those in which they differ.

    >>> a, b = (Run(f, {"lr": 0.1, "activation": f}, {}, seconds=0.0) for f in ("relu", "tanh"))
    >>> split_settings([a, b])
    ({'lr': 0.1}, ['activation'])
    """
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    shared, differing = {}, []
    for name in names:
        values = [run.settings.get(name) for run in runs]
        first = values[0]
        if first is not None and all(v == first for v in values):
            shared[name] = first
        else:
            differing.append(name)
    return shared, differing


def top_confusions(scores: ClassScores, most: int = 10) -> list[tuple[str, str, int, float]]:
    """The most frequent errors: true class, decided class, how often, and the share of the true class.

    >>> from glassnet.evaluate import class_scores
    >>> top_confusions(class_scores(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), ("cat", "dog")))
    [('cat', 'dog', 2, 0.6666666666666666)]
    """
    errors = scores.confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:most]
    totals = scores.confusion.sum(axis=1)
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, errors.shape), strict=True)]
    return [
        (scores.class_names[i], scores.class_names[j], int(errors[i, j]), float(errors[i, j] / totals[i]))
        for i, j in pairs
        if errors[i, j] > 0
    ]


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Findings by severity, the worst first, else in their order."""
    return sorted(findings, key=lambda f: -f.severity)


def key_figures(study: Study) -> list[KeyFigure]:
    """One or two numbers of each part, each beside what guessing gives."""
    found: list[KeyFigure] = []
    for part in study.parts:
        if part.binary is not None:
            found += _binary_figures(part)
        elif part.scores is not None:
            most = part.scores.support.max(initial=0) / max(int(part.scores.support.sum()), 1)
            note = f"always the largest class: {share(float(most))}"
            found.append(KeyFigure(part, "accuracy", share(part.scores.accuracy), note))
        else:
            best = _best_run(part)
            if best is not None:
                found.append(best)
    return found


def _binary_figures(part: Part) -> list[KeyFigure]:
    binary = part.binary
    assert binary is not None
    guess = f"guessing: {figure(binary.prevalence)}"
    found = [KeyFigure(part, "average precision", figure(binary.average_precision), guess)]
    if binary.decisions:
        last = binary.decisions[-1]  # thresholds come fixed first, chosen last
        at = f"at threshold {figure(last.threshold)} ({last.chosen})"
        found.append(KeyFigure(part, "F1", figure(float(last.scores.f1[1])), at))
    return found


def _best_run(part: Part) -> KeyFigure | None:
    rows = [curve_ends(run, "") for run in part.runs if not run.diverged]
    rows = [r for r in rows if math.isfinite(r.last["val_accuracy"])]
    if not rows:
        return None
    best = max(rows, key=lambda r: r.last["val_accuracy"])
    note = f"{best.run.label}, last epoch; best of {len(part.runs)} runs"
    return KeyFigure(part, "validation accuracy", share(best.last["val_accuracy"]), note)
