"""Compiled code on disk serves as long as no module has changed that may be in it, and without a compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import glassnet
from glassnet import kernels
from glassnet.kernels.instructions import IMITATED

pytestmark = pytest.mark.skipif(
    not kernels.STEPS, reason="nothing is compiled with GLASSNET_KERNELS=reference"
)
PACKAGE = Path(glassnet.__file__).parent
#: calls a kernel; says how many pieces of code came from the disk, and whether the compiler was made ready
PROGRAM = """
import sys
import numpy as np
from glassnet.kernels.compiled import hits
print(hits(np.eye(4), np.arange(4)), sum(hits.stats.cache_hits.values()), "scipy.linalg" in sys.modules)
"""
#: a kernel from the disk is called, and compiled into another one, which is called
INTO_ANOTHER = """
import sys
import numpy as np
from glassnet.kernels import kept
from glassnet.kernels.compiled import hits
from numba import njit
kept.AT_ONCE = {at_once}
first = hits(np.eye(4), np.arange(4))
@njit
def twice(scores, codes):
    return hits(scores, codes) + hits(scores, codes)
ready = "scipy.linalg" in sys.modules
print(first, sum(hits.stats.cache_hits.values()), ready, end=" ")
print(twice(np.eye(4), np.arange(4)), hits(np.eye(4, dtype=np.float32), np.arange(4)))
"""
#: tells the module and name of everything that is compiled
NAMES = """
import gc, importlib, pkgutil
import glassnet
from numba.core.registry import CPUDispatcher
for module in pkgutil.walk_packages(glassnet.__path__, "glassnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
functions = {id(made.py_func): made.py_func for made in gc.get_objects() if type(made) is CPUDispatcher}
for function in functions.values():
    if function.__module__.startswith("glassnet."):
        print(function.__module__, function.__qualname__)
"""
TRAINING = """
import sys
import numpy as np
from glassnet.kernels import kept
from glassnet.nn import Adam, Dense, Network
from glassnet.train import Feed, fit
kept.AT_ONCE = True
X = np.random.default_rng(0).random((64, 8), np.float32)
network = Network([Dense(9, "relu"), Dense(2)], 8, seed=0)
fit(network, Feed(network, X, np.arange(64) % 2), optimizer=Adam(), epochs=1, batch_size=32)
from numba.core.runtime import rtsys
print(rtsys._init, "scipy.linalg" in sys.modules)
"""
#: leaves more kernels on the disk, called one by one, for two kinds of floats
MORE_KERNELS = """
import numpy as np
from glassnet.nn import Adam, BatchNorm, Dense, Dropout, Network, RMSNorm
from glassnet.train import Feed, fit
for dtype in ("float32", "float64"):
    X = np.random.default_rng(0).random((64, 8), dtype)
    layers = [Dense(9, "gelu"), BatchNorm(), Dropout(0.1), Dense(9, "tanh"), RMSNorm(), Dense(3)]
    network = Network(layers, 8, seed=0, dtype=dtype)
    fit(network, Feed(network, X, np.arange(64) % 3), optimizer=Adam(), epochs=1, batch_size=32)
"""
#: fetches whatever is kept of all kernels; a function in C whose address LLVM does not know ends the process
EVERYTHING = """
import gc
import glassnet.data.loops.augment_compiled, glassnet.data.loops.compiled, glassnet.data.loops.turning
from glassnet import kernels
from glassnet.kernels import kept
from numba.core.compiler_lock import global_compiler_lock
kept.AT_ONCE = True
from numba.core.registry import cpu_target
context, kept_there, found = cpu_target.target_context, 0, 0
with global_compiler_lock:
    for code in [one for one in gc.get_objects() if isinstance(one, kept.KeptCode)]:
        for types, *others in code._cache_file._load_index():
            if code._index_key(types, context.codegen()) != (types, *others):
                continue  # another function's of this name, or for another processor
            kept_there += 1
            found += code.load_overload(types, context) is not None
print(kept_there, found)
"""


def run(program: str, **more: str) -> list[str]:
    """The words printed by a new process."""
    return subprocess.check_output(
        [sys.executable, "-c", program], env=os.environ | more, text=True, timeout=120
    ).split()


def test_a_change_of_another_module_makes_it_stale(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "glassnet", ignore=shutil.ignore_patterns("__pycache__"))

    def copied(**more: str) -> list[str]:
        return run(PROGRAM, PYTHONPATH=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "cache"), **more)[:2]

    assert copied() == ["4", "0"]
    assert copied() == ["4", "1"]
    other = "native" if IMITATED else "imitated"
    assert copied(GLASSNET_INSTRUCTIONS=other) == ["4", "0"]
    assert copied() == ["4", "0"]
    with (tmp_path / "glassnet" / "kernels" / "scalars.py").open("a") as file:
        file.write("# another comment\n")
    assert copied() == ["4", "0"]
    assert copied() == ["4", "1"]


def test_the_compiler_is_made_ready_only_where_something_is_compiled(tmp_path: Path) -> None:
    cache = str(tmp_path)
    assert run(PROGRAM, NUMBA_CACHE_DIR=cache) == ["4", "0", "True"]
    at_once = "from glassnet.kernels import kept\nkept.AT_ONCE = True"
    assert run(at_once + PROGRAM, NUMBA_CACHE_DIR=cache) == ["4", "1", "False"]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_came_from_the_disk_is_compiled_into_others(at_once: bool, tmp_path: Path) -> None:
    run(PROGRAM, NUMBA_CACHE_DIR=str(tmp_path))
    assert run(INTO_ANOTHER.format(at_once=at_once), NUMBA_CACHE_DIR=str(tmp_path)) == [
        "4", "1", str(not at_once), "8", "4",
    ]  # fmt: skip


def test_a_training_and_everything_kept_are_fetched_without_the_compiler() -> None:
    """With these trainings' code at least, and what the tests before have left on the disk."""
    run(TRAINING)
    assert run(TRAINING) == ["False", "False"]
    run(MORE_KERNELS)
    there, found = map(int, run(EVERYTHING))
    assert there == found > 40


@pytest.mark.parametrize(
    ("error", "why"),
    [("RuntimeError", "neither .* can be written"), ("AttributeError", "this version of Numba")],
)
def test_where_nothing_can_be_kept_it_is_compiled_and_said_once(error: str, why: str) -> None:
    unkept = f"""
import logging
from numba.core import caching
def nowhere(self, function):
    raise {error}("not here")
caching.FunctionCache.__init__ = nowhere
logging.basicConfig()
"""
    done = subprocess.run(
        [sys.executable, "-c", unkept + PROGRAM], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split()[:2] == ["4", "0"]
    assert done.stderr.count("compiled code cannot be kept") == 1
    assert re.search(why, done.stderr)


def test_no_two_compiled_functions_have_one_name() -> None:
    """LLVM would take for both whichever it has loaded first: numbers of one activation for another's.

    Numba tells functions of one name apart by how many came before them, and another process, which has kept
    its code in the same place, counts others.
    """
    told = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True).stdout
    names = Counter(told.split("\n")[:-1])
    assert len(names) > 100
    assert [name for name, n in names.items() if n > 1] == []
