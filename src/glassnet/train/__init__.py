"""Training: the loop, what it eats (Feed), what it tells (History), and what may steer it (callbacks)."""

from glassnet.train.callbacks import (
    Average,
    Callback,
    KeepBest,
    MaxNorm,
    ReduceOnPlateau,
    Report,
    Run,
    TimeLimit,
)
from glassnet.train.checkpoint import Checkpoint, load_checkpoint
from glassnet.train.feed import Feed
from glassnet.train.fit import fit
from glassnet.train.history import History
from glassnet.train.lbfgs import fit_lbfgs
from glassnet.train.measure import METRICS, evaluate, outputs
from glassnet.train.treatments import L1, L2, ClipNorm, ClipValue

__all__ = [
    "L1",
    "L2",
    "METRICS",
    "Average",
    "Callback",
    "Checkpoint",
    "ClipNorm",
    "ClipValue",
    "Feed",
    "History",
    "KeepBest",
    "MaxNorm",
    "ReduceOnPlateau",
    "Report",
    "Run",
    "TimeLimit",
    "evaluate",
    "fit",
    "fit_lbfgs",
    "load_checkpoint",
    "outputs",
]
