"""Figures of the data before any training: how its values are distributed, over all columns and in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glassnet.report.figures.theme import MUTED, RAMP, SERIES, blank, color, plain_text
from glassnet.report.figures.thin import MOST_BINS, bin_columns, significant

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["distribution", "quantile_bands"]

_FEW_NAMES = 12  # columns whose names fit below a figure
_CHANNEL_COLORS = {
    "red": SERIES[1],
    "green": SERIES[2],
    "blue": SERIES[0],
}  # the palette's own red, green, blue


def distribution(densities: Mapping[str, npt.NDArray[Any]], x: str = "value", most: int = 64) -> go.Figure:
    """Densities of values, one outlined step per channel or group of columns.

    Parameters
    ----------
    densities : "edges" (b + 1,), and by name one density (b,) per channel or group of columns
    x : what the values are
    most : bins that are drawn at most; neighbours are put together beyond that

    Examples
    --------
    >>> chart = distribution({"edges": np.arange(4.0), "red": np.array([0.2, 0.5, 0.3])})
    >>> chart.data[0].name, chart.data[0].y
    ('red', (0.2, 0.5, 0.3, 0.3))
    """
    edges = np.asarray(densities["edges"], dtype=float)
    chart = blank(320, x, "density")
    for slot, (name, values) in enumerate((k, v) for k, v in densities.items() if k != "edges"):
        paint = _CHANNEL_COLORS.get(name.lower(), color(slot))
        ends, heights = _merge(edges, np.asarray(values, dtype=float), most)
        chart.add_scatter(
            x=significant(ends), y=significant(np.append(heights, heights[-1])), mode="lines",
            name=plain_text(name), line={"color": paint, "width": 1.6, "shape": "hv"},
            fill="tozeroy", fillcolor=paint + "1c", hovertemplate="%{y:.3g}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    chart.update_yaxes(rangemode="tozero")
    chart.update_layout(hovermode="x unified", showlegend=True)
    return chart


def _merge(
    edges: npt.NDArray[np.float64], density: npt.NDArray[np.float64], most: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The same density over at most `most` wider bins: the areas add up."""
    n = len(density)
    if n <= most:
        return edges, density
    first = np.unique(np.linspace(0, n, most, endpoint=False).astype(int))
    ends = np.append(edges[first], edges[-1])
    area = np.add.reduceat(np.nan_to_num(density) * np.diff(edges), first)
    return ends, area / np.diff(ends)


def quantile_bands(
    quantiles: npt.NDArray[Any], x: str = "column", planes: tuple[str, ...] = (),
    names: tuple[str, ...] = (), most: int = MOST_BINS,
) -> go.Figure:  # fmt: skip
    """Minimum to maximum, the middle half and the median of every column, side by side.

    Parameters
    ----------
    quantiles : (5, n_features) minimum, 25 %, median, 75 %, maximum of each column
    x : what a column is
    planes : names of equally wide groups of columns, e.g. ("red", "green", "blue"); marked in the figure
    names : of the columns, shown where there are few
    most : bins of columns that are drawn at most

    Examples
    --------
    >>> chart = quantile_bands(np.array([[0, 0], [1, 2], [2, 3], [4, 5], [9, 9]]))
    >>> [t.name for t in chart.data if t.showlegend is not False]
    ['minimum to maximum', 'middle half (25 % to 75 %)', 'median']
    """
    first, bands = bin_columns(np.asarray(quantiles, dtype=float), most)
    n = np.shape(quantiles)[1]
    chart = blank(320, x, "value")
    edges = np.append(first, n) - 0.5  # a step from edge to edge, its column in the middle
    bands = np.append(bands, bands[:, -1:], axis=1)
    steps: dict[str, Any] = {"x": significant(edges, 7), "mode": "lines"}
    few = _FEW_NAMES >= n == len(names)
    shown = [plain_text(name) for name in names] if few else [f"{plain_text(x)} {k:.0f}" for k in first]
    for low, high, shade, name in (
        (0, 4, RAMP[1], "minimum to maximum"), (1, 3, RAMP[2], "middle half (25 % to 75 %)"),
    ):  # fmt: skip
        for row, fill in ((low, None), (high, "tonexty")):
            chart.add_scatter(
                **steps, y=significant(bands[row], 4), line={"width": 0, "shape": "hv"}, fill=fill,
                fillcolor=shade, name=name, showlegend=fill is not None, legendgroup=name, hoverinfo="skip",
            )  # fmt: skip
    chart.add_scatter(
        **steps, y=significant(bands[2], 4), line={"color": RAMP[4], "width": 1.2, "shape": "hv"},
        name="median", text=[*shown, shown[-1]], hovertemplate="%{text}: median %{y:.4g}<extra></extra>",
    )  # fmt: skip
    for i, name in enumerate(planes):
        chart.add_annotation(
            x=(i + 0.5) * n / len(planes) - 0.5, y=1, yref="paper", yanchor="top", text=plain_text(name),
            showarrow=False, font={"size": 12, "color": MUTED}, bgcolor="rgba(0,0,0,0)",
        )  # fmt: skip
        if i:
            chart.add_vline(x=i * n / len(planes) - 0.5, line={"color": MUTED, "width": 1, "dash": "dot"})
    chart.update_xaxes(range=[-0.5, n - 0.5])
    if few:
        chart.update_xaxes(tickvals=list(range(n)), ticktext=shown, title=None)
    chart.update_layout(showlegend=True)
    return chart
