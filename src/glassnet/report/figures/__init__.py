"""Figures: numbers in, a plotly figure out. Usable in a notebook as well as in the report."""

from glassnet.report.figures.curves import curves, run_colors
from glassnet.report.figures.data import distribution, quantile_bands
from glassnet.report.figures.scores import confusion, precision_recall

__all__ = ["confusion", "curves", "distribution", "precision_recall", "quantile_bands", "run_colors"]
