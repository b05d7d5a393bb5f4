"""glassnet: plain neural networks you can see through."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The public names and the modules they live in. Each module is imported when its name is first used:
# `import glassnet` costs nothing, and the command starts at once.
_HOME = {
    "Adam": "glassnet.nn",
    "BatchNorm": "glassnet.nn",
    "Dataset": "glassnet.data.dataset",
    "Dense": "glassnet.nn",
    "Diverged": "glassnet.errors",
    "Dropout": "glassnet.nn",
    "Feed": "glassnet.train",
    "Finding": "glassnet.findings",
    "GlassnetError": "glassnet.errors",
    "History": "glassnet.train",
    "ImageShape": "glassnet.data.dataset",
    "InputError": "glassnet.errors",
    "LayerNorm": "glassnet.nn",
    "MLPClassifier": "glassnet.estimators",
    "MLPRegressor": "glassnet.estimators",
    "MissingExtra": "glassnet.errors",
    "Momentum": "glassnet.nn",
    "Network": "glassnet.nn",
    "Progress": "glassnet.progress",
    "SGD": "glassnet.nn",
    "Severity": "glassnet.findings",
    "fit": "glassnet.train.fit",
    "fit_scaling": "glassnet.data.scaling",
    "gradient_check": "glassnet.nn.gradient_check",
    "load_network": "glassnet.nn",
    "look": "glassnet.lab.look",
    "read": "glassnet.data.read",
    "run_checks": "glassnet.data.checks",
    "run_coursework": "glassnet.lab.coursework",
    "run_demo": "glassnet.lab.demo",
    "save_network": "glassnet.nn",
    "split": "glassnet.data.split",
    "study_json": "glassnet.report",
    "write_report": "glassnet.report",
}

__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:  # the same names for type checkers and editors; a test compares the two lists
    from glassnet.data.checks import run_checks as run_checks
    from glassnet.data.dataset import Dataset as Dataset
    from glassnet.data.dataset import ImageShape as ImageShape
    from glassnet.data.read import read as read
    from glassnet.data.scaling import fit_scaling as fit_scaling
    from glassnet.data.split import split as split
    from glassnet.errors import Diverged as Diverged
    from glassnet.errors import GlassnetError as GlassnetError
    from glassnet.errors import InputError as InputError
    from glassnet.errors import MissingExtra as MissingExtra
    from glassnet.estimators import MLPClassifier as MLPClassifier
    from glassnet.estimators import MLPRegressor as MLPRegressor
    from glassnet.findings import Finding as Finding
    from glassnet.findings import Severity as Severity
    from glassnet.lab.coursework import run_coursework as run_coursework
    from glassnet.lab.demo import run_demo as run_demo
    from glassnet.lab.look import look as look
    from glassnet.nn import SGD as SGD
    from glassnet.nn import Adam as Adam
    from glassnet.nn import BatchNorm as BatchNorm
    from glassnet.nn import Dense as Dense
    from glassnet.nn import Dropout as Dropout
    from glassnet.nn import LayerNorm as LayerNorm
    from glassnet.nn import Momentum as Momentum
    from glassnet.nn import Network as Network
    from glassnet.nn import load_network as load_network
    from glassnet.nn import save_network as save_network
    from glassnet.nn.gradient_check import gradient_check as gradient_check
    from glassnet.progress import Progress as Progress
    from glassnet.report import study_json as study_json
    from glassnet.report import write_report as write_report
    from glassnet.train import Feed as Feed
    from glassnet.train import History as History
    from glassnet.train.fit import fit as fit

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next use finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
