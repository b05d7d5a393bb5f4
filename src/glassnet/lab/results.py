"""What a study found out: plain records that the report draws and tests read. No arithmetic here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from glassnet.evaluate import BinaryScores, ClassScores
from glassnet.findings import Finding

__all__ = ["Comparison", "DataSummary", "Part", "Reference", "Run", "Study"]


@dataclass(frozen=True)
class Reference:
    """One of our figures beside the coursework's, with one sentence on why they differ."""

    figure: str  # "F1 at 0.5"
    ours: float
    theirs: float
    why: str


@dataclass(frozen=True)
class Run:
    """One network trained once.

    `history` has equally long lists per epoch: "epoch", "loss", "accuracy", "val_loss", "val_accuracy",
    "seconds"; entries are NaN where a quantity was not measured at that epoch.
    """

    label: str  # "ReLU + SGD"
    settings: dict[str, str | int | float]
    history: dict[str, list[float]]
    seconds: float
    interrupted: bool = False
    diverged: str = ""  # layer, step and operation of the first number that was not finite
    findings: tuple[Finding, ...] = ()  # the doctor's word on this run
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in one factor, for one figure and one table."""

    question: str  # "ReLU or sigmoid, with Adam?"
    labels: tuple[str, ...]  # of runs of the same part
    limits: str  # what this comparison cannot show


@dataclass(frozen=True)
class Part:
    """One part of a study: its runs and what they scored on rows that no training saw."""

    key: str  # "part-1"
    title: str
    story: str  # what is done and what to look at, a short paragraph
    runs: tuple[Run, ...]
    scores: ClassScores | None = None  # of the decisions by argmax (several classes)
    binary: BinaryScores | None = None
    comparisons: tuple[Comparison, ...] = ()
    references: tuple[Reference, ...] = ()
    scores_of: str = ""  # label of the run that was scored, and on which rows


@dataclass(frozen=True)
class DataSummary:
    """What the data is, what the checks said, and the arrays that its figures draw."""

    name: str
    source: str
    n_rows: int
    n_features: int
    dtype: str
    class_names: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # split name ("train", "validation") -> rows per class
    scaling: str
    findings: tuple[Finding, ...]
    image_shape: tuple[int, int, int] | None = None  # height, width, channels
    samples: npt.NDArray[Any] | None = None  # (C, k, height, width, channels) uint8
    mean_images: npt.NDArray[Any] | None = None  # (C, height, width, channels) uint8
    std_images: npt.NDArray[Any] | None = None  # (C, height, width, channels) uint8, stretched to 0..255
    distribution: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    # "edges" (b + 1,), then one density (b,) per channel or column group, by name
    quantiles: npt.NDArray[Any] | None = None  # (5, n_features): min, 25 %, median, 75 %, max per column
    pictured: dict[int, tuple[str, npt.NDArray[Any]]] = field(default_factory=dict)
    # rows that findings give as examples: target, (height, width, channels) uint8
    feature_names: tuple[str, ...] = ()  # of the columns of a table


@dataclass(frozen=True)
class Study:
    """A finished (or interrupted) study: everything its report shows."""

    title: str
    summary: str  # one paragraph for someone who reads nothing else
    data: DataSummary
    parts: tuple[Part, ...]
    environment: dict[str, str]  # versions, CPU, BLAS core, threads, seed, command
    seconds: float
    interrupted: bool = False
