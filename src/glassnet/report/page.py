"""A study laid out as one HTML page: figures, tables and words put where the templates show them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet import __version__
from glassnet.evaluate import BinaryScores, ClassScores
from glassnet.lab.results import Comparison, DataSummary, Part, Run, Study
from glassnet.report import figures, numbers, tables, words
from glassnet.report.figures.curves import measured
from glassnet.report.figures.scores import MOST_LETTERED
from glassnet.report.figures.theme import DARK, SERIES, template
from glassnet.report.pictures import png_address, samples_shown

if TYPE_CHECKING:
    import jinja2
    import plotly.graph_objects as go

__all__ = ["Drawing", "drawing", "fill", "render"]

_PLANES = {3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


@dataclass(frozen=True)
class Drawing:
    """A figure ready for the page."""

    name: str  # unique in the page, the name of its saved picture
    json: str  # safe inside a <script> element
    height: int  # CSS pixels
    words: str  # the figure in words
    caption: str


@dataclass(frozen=True)
class Scored:
    """One set of class decisions: what was decided how, its scores and their confusion matrix."""

    title: str
    scores: ClassScores
    matrix: Drawing
    errors: list[tuple[str, str, int, float]]  # the most frequent
    many: bool  # too many classes for a table beside the matrix


@dataclass(frozen=True)
class Compared:
    """A comparison with the runs of it that exist."""

    comparison: Comparison
    rows: list[tables.CurveEnds]
    leaders: dict[str, float]
    drawings: list[Drawing]


@dataclass(frozen=True)
class ClassRow:
    """One class of the data: how many rows, what they look like (addresses of pictures)."""

    name: str
    counts: tuple[int, ...]
    mean: str
    std: str
    samples: list[str]


def render(study: Study) -> str:
    """The whole page as a string."""
    return fill(
        "page.html.j2", study=study, keys=tables.key_figures(study), data=_data(study.data),
        parts=[_part(part) for part in study.parts],
    )  # fmt: skip


def fill(template_name: str, **parts: Any) -> str:
    """A template of the page or one that extends it, with what every page needs besides its parts."""
    script = _text("page.js")
    return _templates().get_template(template_name).render(
        **parts,
        version=__version__,
        style=_text("style.css"),
        series=[(light, DARK[light]) for light in SERIES],
        script=script,
        script_hashes=[_hash(script), _hash(_plotly())],
        plotly=_packed_plotly(),
        twins=_script_json(DARK),
        template=_script_json(template().to_plotly_json()),
    )  # fmt: skip


def drawing(name: str, figure: go.Figure, told: str, caption: str) -> Drawing:
    """A plotly figure without its template, which the page holds once for all of them."""
    plain = figure.to_plotly_json()
    plain["layout"].pop("template")
    return Drawing(name, _script_json(plain), int(figure.layout.height), told, caption)


def _data(data: DataSummary) -> dict[str, Any]:
    drawings = []
    image = data.image_shape
    if len(data.distribution) > 1:
        unit = "pixel value" if image else "standard deviations from the column's mean"
        drawings.append(drawing(
            "distribution", figures.distribution(data.distribution, unit),
            words.density_words(data.distribution),
            "How the values are distributed; the area under each outline is 1.",
        ))  # fmt: skip
    if data.quantiles is not None and np.size(data.quantiles):
        planes = _PLANES.get(image[2], ()) if image else ()
        drawings.append(drawing(
            "columns", figures.quantile_bands(
                data.quantiles, "pixel" if image else "column", planes, data.feature_names
            ),
            words.quantile_words(data.quantiles),
            " ".join(filter(None, [
                "Every column at once: all its values, their middle half, and the median.",
                words.binning_words(data.n_features),
            ])),
        ))  # fmt: skip
    return {
        "facts": _facts(data),
        "classes": _class_rows(data),
        "most": max((n for split in data.counts.values() for n in split), default=0),
        "drawings": drawings,
        "findings": tables.worst_first(data.findings),
        "pictured": {row: (name, png_address(image)) for row, (name, image) in data.pictured.items()},
    }


def _facts(data: DataSummary) -> dict[str, str]:
    facts = {
        "Name": data.name,
        "Source": data.source,
        "Rows": numbers.count(data.n_rows),
        "Columns": f"{numbers.count(data.n_features)}, {data.dtype}",
        "Images": " × ".join(map(str, data.image_shape or ())),
        "Classes": numbers.count(len(data.class_names)) if data.class_names else "none (regression)",
        "Scaling": data.scaling,
    }
    return {name: value for name, value in facts.items() if value}


def _class_rows(data: DataSummary) -> list[ClassRow]:
    rows = []
    available = 0 if data.samples is None else data.samples.shape[1]
    shown = samples_shown(len(data.class_names), available)
    for c, name in enumerate(data.class_names):
        counts = tuple(split[c] for split in data.counts.values())
        drawn_from = counts[0] if counts else 0  # the samples are of the first part of the split
        seen = any(counts)  # of an absent class there is nothing to see

        def picture(images: Any, c: int = c, seen: bool = seen) -> str:
            return png_address(images[c]) if seen and images is not None and c < len(images) else ""

        samples = []
        if seen and data.samples is not None and c < len(data.samples):
            samples = [png_address(image) for image in data.samples[c, : min(shown, drawn_from)]]
        rows.append(ClassRow(name, counts, picture(data.mean_images), picture(data.std_images), samples))
    return rows


def _part(part: Part) -> dict[str, Any]:
    colors = figures.run_colors(part.runs)
    compared = [_compared(part, comparison, colors, i) for i, comparison in enumerate(part.comparisons, 1)]
    elsewhere = {label for comparison in part.comparisons for label in comparison.labels}
    rest = [run for run in part.runs if run.label not in elsewhere]
    shared, differing = tables.split_settings(part.runs)
    scored, precision_recall = [], None
    if part.scores is not None:
        scored.append(_scored(part.key, "the largest probability (argmax)", part.scores))
    if part.binary is not None:
        precision_recall = _precision_recall(part, part.binary, colors)
        scored += [
            _scored(f"{part.key}-{i}", f"{d.chosen} (threshold {numbers.figure(d.threshold)})", d.scores)
            for i, d in enumerate(part.binary.decisions, 1)
        ]
    return {
        "part": part,
        "colors": colors,
        "shared": {name: numbers.setting(value) for name, value in shared.items()},
        "differing": differing,
        "rows": [tables.curve_ends(run, colors[run.label]) for run in rest],
        "curves": _curves(part, rest, colors, f"{part.key}-curves"),
        "scored": scored,
        "precision_recall": precision_recall,
        "compared": compared,
        "references": [(why, list(alike)) for why, alike in groupby(part.references, lambda r: r.why)],
        "findings": [(run, tables.worst_first(run.findings)) for run in part.runs if run.findings],
        "broken": [run for run in part.runs if run.diverged or run.interrupted],
    }


def _compared(part: Part, comparison: Comparison, colors: Mapping[str, str], number: int) -> Compared:
    runs = [run for run in part.runs if run.label in comparison.labels]
    rows = [tables.curve_ends(run, colors[run.label]) for run in runs]
    drawn = _curves(part, runs, colors, f"{part.key}-comparison-{number}")
    return Compared(comparison, rows, tables.leaders(rows), drawn)


def _curves(part: Part, runs: Sequence[Run], colors: Mapping[str, str], name: str) -> list[Drawing]:
    drawn = []
    for quantity in ("loss", "accuracy"):
        values = [measured(run, key)[1] for run in runs for key in (quantity, f"val_{quantity}")]
        values = [v for v in values if len(v)]
        if not values:
            continue
        level = _guessing(part) if quantity == "accuracy" else None
        low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
        near = level is not None and level > low - max(0.5 * (high - low), 0.02)
        said = [f"{quantity.capitalize()}; training solid, validation dashed."]
        if level is not None:
            said.append(f"Always saying the largest class gives {numbers.figure(level)}.")
        said.append(words.thinning_words(runs, quantity))
        chart = figures.curves(
            runs, quantity, colors, level if near else None, f"largest class {numbers.figure(level)}"
        )
        told = words.curve_words(runs, quantity)
        drawn.append(drawing(f"{name}-{quantity}", chart, told, " ".join(filter(None, said))))
    return drawn


def _guessing(part: Part) -> float | None:
    """The accuracy of always deciding for the largest class, where the scored rows tell it."""
    if part.binary is not None:
        return max(part.binary.prevalence, 1 - part.binary.prevalence)
    if part.scores is not None and part.scores.support.sum():
        return float(part.scores.support.max() / part.scores.support.sum())
    return None


def _scored(name: str, title: str, scores: ClassScores) -> Scored:
    many = len(scores.class_names) > MOST_LETTERED
    caption = "Rows are true classes, columns decisions; the colour is the share of the true class."
    matrix = drawing(f"{name}-confusion", figures.confusion(scores), words.confusion_words(scores), caption)
    return Scored(title, scores, matrix, tables.top_confusions(scores, 20 if many else 5), many)


def _precision_recall(part: Part, binary: BinaryScores, colors: Mapping[str, str]) -> Drawing:
    scored = [color for label, color in colors.items() if label in part.scores_of]
    chart = figures.precision_recall(binary, scored[0] if scored else SERIES[0])
    caption = "The whole choice of thresholds, and the ones that were taken; dotted: guessing."
    return drawing(f"{part.key}-precision-recall", chart, words.recall_words(binary), caption)


def _script_json(value: Any) -> str:
    """JSON that cannot end the <script> element around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    """The name by which the page's content security policy admits a script."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source


@cache
def _packed_plotly() -> str:
    """plotly.js as base64 of gzip, which the browser unpacks: 2 MB instead of 4.8."""
    return base64.b64encode(gzip.compress(_plotly().encode("utf-8"), 9, mtime=0)).decode("ascii")


def _text(name: str) -> str:
    from importlib.resources import files

    return files("glassnet.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "figure": numbers.figure, "count": numbers.count, "share": numbers.share,
        "duration": numbers.duration, "setting": numbers.setting, "slot": SERIES.index,
    }  # fmt: skip
    return environment
