"""The lab: declare the arms of a comparison, get a verdict that can be believed.

A plan (TOML text or file, or the name of one that comes with the package) becomes an `Experiment`;
`run_experiment` tunes and trains every arm with the same seeds, keeps each run in a folder of its own, and
says what was shown; `export_outcome` writes tables. Started again, it does only what is left.

Examples
--------
>>> import tempfile
>>> from glassnet.lab import load_experiment, parse_experiment, plan_text, run_experiment
>>> small = parse_experiment('''
... title = "Does a learning rate of 0.000001 teach anything?"
... seeds = 6
... [data]
... source = "iris"
... prepare = "standard"
... [training]
... epochs = 15
... [vary]
... "training.lr" = [0.000001, 0.05]
... ''')
>>> folder = tempfile.mkdtemp()
>>> outcome = run_experiment(small, runs=folder, jobs=1)
>>> outcome.families[0].best, outcome.n_runs, outcome.missing
(('lr 0.05',), 12, 0)
>>> print(outcome.verdicts[1])
lr 0.05 is better than lr 1e-06: accuracy higher by ... on average over 6 seeds (...), better in 6 of 6.
>>> again = run_experiment(small, runs=folder, jobs=1)  # finished runs are read, not done again
>>> again.verdicts == outcome.verdicts
True
>>> [name for name, _ in load_experiment("activations").arms()]
['relu', 'sigmoid', 'tanh']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# The public names and the modules they live in, imported at their first use: whoever needs one record of
# this floor does not wait for all of it.
_HOME = {
    "Experiment": "spec",
    "Outcome": "outcome",
    "RunSpec": "spec",
    "RunStore": "store",
    "built_in": "plan",
    "compare_paired": "statistics",
    "export_outcome": "export",
    "load_coursework": "plan",
    "load_experiment": "plan",
    "new_plan": "plan",
    "parse_experiment": "plan",
    "plan_text": "plan",
    "run_experiment": "compare",
}

__all__ = [*_HOME]

if TYPE_CHECKING:  # the same names for type checkers and editors; a test compares the two lists
    from glassnet.lab.compare import run_experiment as run_experiment
    from glassnet.lab.export import export_outcome as export_outcome
    from glassnet.lab.outcome import Outcome as Outcome
    from glassnet.lab.plan import built_in as built_in
    from glassnet.lab.plan import load_coursework as load_coursework
    from glassnet.lab.plan import load_experiment as load_experiment
    from glassnet.lab.plan import new_plan as new_plan
    from glassnet.lab.plan import parse_experiment as parse_experiment
    from glassnet.lab.plan import plan_text as plan_text
    from glassnet.lab.spec import Experiment as Experiment
    from glassnet.lab.spec import RunSpec as RunSpec
    from glassnet.lab.statistics import compare_paired as compare_paired
    from glassnet.lab.store import RunStore as RunStore


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"glassnet.lab.{_HOME[name]}"), name)
    globals()[name] = value  # the next use finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
