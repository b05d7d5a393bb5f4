"""Each figure in words, for those who cannot see it or have not drawn it yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.evaluate import BinaryScores, ClassScores
from glassnet.lab.results import Run
from glassnet.report.figures.curves import MOST_POINTS, measured
from glassnet.report.figures.thin import MOST_BINS
from glassnet.report.numbers import count, figure, share
from glassnet.report.tables import top_confusions

__all__ = [
    "binning_words",
    "confusion_words",
    "curve_words",
    "density_words",
    "quantile_words",
    "recall_words",
    "thinning_words",
]


def curve_words(runs: Sequence[Run], quantity: str) -> str:
    """From where to where the curves go.

    >>> run = Run("ReLU", {}, {"epoch": [1, 2], "loss": [2.3, 1.9], "val_loss": [2.2, 2.0]}, seconds=1.0)
    >>> curve_words([run], "loss")
    'Line chart of loss over epochs. ReLU: training from 2.3000 to 1.9000, validation from 2.2000 to 2.0000.'
    """
    sentences = [f"Line chart of {quantity} over epochs."]
    for run in runs:
        ways = []
        for key, what in ((quantity, "training"), (f"val_{quantity}", "validation")):
            values = measured(run, key)[1]
            if len(values):
                ways.append(f"{what} from {figure(float(values[0]))} to {figure(float(values[-1]))}")
        state = "diverged; " if run.diverged else "interrupted; " if run.interrupted else ""
        sentences.append(f"{run.label}: {state}{', '.join(ways) or 'nothing was measured'}.")
    return " ".join(sentences)


def thinning_words(runs: Sequence[Run], quantity: str) -> str:
    """What was left out of long curves, "" if nothing was."""
    longest = max(
        (len(measured(run, key)[0]) for run in runs for key in (quantity, f"val_{quantity}")), default=0
    )
    if longest <= MOST_POINTS:
        return ""
    return (
        f"Of {count(longest)} epochs about {MOST_POINTS} are drawn: the ends, and the lowest and highest "
        f"value of each {count(2 * longest / MOST_POINTS)} in a row."
    )


def confusion_words(scores: ClassScores) -> str:
    """How many decisions are right, and the most frequent error."""
    total, right = int(scores.confusion.sum()), int(np.trace(scores.confusion))
    n_classes = len(scores.class_names)
    text = f"Confusion matrix of {n_classes} classes: {count(right)} of {count(total)} rows are right."
    for true, decided, n, part in top_confusions(scores, most=1):
        text += (
            f" Most frequent error: {true} decided as {decided}, {count(n)} times ({share(part)} of {true})."
        )
    return text


def recall_words(binary: BinaryScores) -> str:
    """The area under the precision-recall curve and the decisions on it."""
    points = [
        f"{d.chosen}: recall {figure(d.scores.recall[1])}, precision {figure(d.scores.precision[1])}"
        for d in binary.decisions
    ]
    return (
        f"Precision over recall. Average precision {figure(binary.average_precision)}; "
        f"guessing gives {figure(binary.prevalence)}. {'; '.join(points)}."
    )


def density_words(densities: Mapping[str, npt.NDArray[Any]]) -> str:
    """The range and the mean of each density.

    >>> density_words({"edges": np.array([0.0, 1.0, 2.0]), "red": np.array([0.5, 0.5])})
    'Densities of values from 0.0000 to 2.0000. Means: red 1.0000.'
    """
    edges = np.asarray(densities["edges"], dtype=float)
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    means = [
        f"{name} {figure(float(np.nansum(middle * width * values)))}"
        for name, values in densities.items()
        if name != "edges"
    ]
    return f"Densities of values from {figure(edges[0])} to {figure(edges[-1])}. Means: {', '.join(means)}."


def binning_words(n_columns: int) -> str:
    """How neighbouring columns were put together, "" if they were not."""
    if n_columns <= MOST_BINS:
        return ""
    return (
        f"{count(n_columns)} columns in {count(MOST_BINS)} steps; of a step the lowest minimum, "
        "the highest maximum and the mean quartiles."
    )


def quantile_words(quantiles: npt.NDArray[Any]) -> str:
    """The spread of the columns' medians and their extremes."""
    q = np.asarray(quantiles, dtype=float)
    return (
        f"Minimum, quartiles, median and maximum of {count(q.shape[1])} columns. Medians lie between "
        f"{figure(float(np.nanmin(q[2])))} and {figure(float(np.nanmax(q[2])))}, all values between "
        f"{figure(float(np.nanmin(q[0])))} and {figure(float(np.nanmax(q[4])))}."
    )
