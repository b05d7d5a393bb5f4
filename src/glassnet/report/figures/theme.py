"""Colours and lettering of every figure: one palette for light paper, its twin for dark screens."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "ALARM", "DARK", "FAINT", "GRID", "INK", "MUTED", "PAPER", "RAMP", "SERIES", "blank", "color",
    "plain_text",
]  # fmt: skip

# Eight hues found by maximising the smallest OKLab distance under normal, protanopic and deuteranopic
# sight (Machado et al. 2009) with at least 3:1 contrast to the paper; a test measures both again.
SERIES = ("#126ee6", "#d26700", "#019b8b", "#780e44", "#694c00", "#4b3fa6", "#2296cf", "#a63a5e")
_SERIES_DARK = ("#448efc", "#fc8116", "#4ee6d1", "#d54d88", "#fec234", "#8081bd", "#34b1f1", "#d68ea0")

PAPER, INK, MUTED, FAINT, GRID, ALARM = "#ffffff", "#1b2026", "#59636f", "#a9b2bc", "#e4e8ec", "#b3261e"
RAMP = ("#f4f7fb", "#bcd4f5", "#6ea3ea", "#2b6fd0", "#0b3d91")  # a share from 0 to 1

# What each light colour becomes on a dark screen: the page swaps them, exactly these and no others.
DARK = {
    **dict(zip(SERIES, _SERIES_DARK, strict=True)),
    **dict(zip(RAMP, ("#1b2129", "#1f3a63", "#2a5ea8", "#5590e4", "#a3c8ff"), strict=True)),
    PAPER: "#14171b",
    INK: "#e7eaee",
    MUTED: "#9aa5b1",
    FAINT: "#5f6a76",
    GRID: "#2a3038",
    ALARM: "#ff8a80",
}

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'


def color(slot: int) -> str:
    """The colour of the slot-th run; after eight runs the colours begin again."""
    return SERIES[slot % len(SERIES)]


def plain_text(text: str, most: int = 60) -> str:
    """A name that plotly shows as it is: its pseudo-HTML (<b>, <a href>, &lt;) means nothing.

    Long names keep their beginning and their end, which often tells them apart.

    >>> plain_text("<b>cat</b>"), plain_text("class number 12", most=9)
    ('&lt;b&gt;cat&lt;/b&gt;', 'clas…r 12')
    """
    if len(text) > most:
        half = most // 2
        text = f"{text[: most - 1 - half]}…{text[len(text) - half :]}"
    return html.escape(text, quote=False)


@cache
def template() -> go.layout.Template:
    """Thin grid, no box, quiet letters, the legend above: the house style as a plotly template."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID, "linecolor": FAINT, "zeroline": False, "automargin": True, "ticks": "",
        "title": {"font": {"color": MUTED, "size": 12}, "standoff": 10},
        "tickfont": {"color": MUTED, "size": 12},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "color": INK, "size": 13},
            "colorway": list(SERIES),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8, "pad": 2},
            "hoverlabel": {"bgcolor": PAPER, "bordercolor": FAINT, "font": {"color": INK, "size": 12}},
            "legend": {
                "orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
                "font": {"size": 12, "color": INK}, "itemwidth": 30,
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": FAINT, "activecolor": INK},
            "xaxis": axis | {"showgrid": False, "showline": True},
            "yaxis": axis,
        }
    )  # fmt: skip


def blank(height: int, x: str, y: str) -> go.Figure:
    """An empty figure in the house style with titled axes.

    Parameters
    ----------
    height : in CSS pixels; the width follows the page
    x, y : titles of the axes
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": template(), "height": height})
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure
