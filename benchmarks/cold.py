"""From nothing to the first training step: a new process, with and without kernels compiled before."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.processes import clean_environment

__all__ = ["measure_cold"]

FIRST_STEP = """
import time
begun = time.perf_counter()
import numpy as np
import glassnet as gn
from glassnet.data.scaling import Scaling
X = np.random.default_rng(0).integers(0, 256, (32, 3072), np.uint8)
net = gn.Network([gn.Dense(128, "relu"), gn.Dense(10)], n_inputs=3072)
feed = gn.Feed(net, X, np.arange(32) % 10, scaling=Scaling(np.float32(1 / 255), np.float32(0)))
gn.fit(net, feed, optimizer="adam", epochs=1, batch_size=32)
print(time.perf_counter() - begun)
"""


def measure_cold(repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of import and first step: the first compile once, then `repeats` processes that find its cache.

    "inside" is counted from the interpreter's first line on, "process" from its start to its end.
    """
    with tempfile.TemporaryDirectory(prefix="glassnet-kernels-") as cache:
        first = _run(cache)
        say(f"cold start, kernels compiled for the first time: {first['inside']:.2f} s")
        cached = [_run(cache) for _ in range(repeats)]
    told = {key: [run[key] for run in cached] for key in ("inside", "process")}
    say(f"cold start, kernels cached: {json.dumps(told)}")
    return {
        "first_compile": first,
        "cached": {
            key: {"median": statistics.median(times), "min": min(times), "times": times}
            for key, times in told.items()
        },
    }


def _run(cache: str) -> dict[str, float]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP], env=clean_environment({"NUMBA_CACHE_DIR": cache}), check=True,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return {"inside": float(done.stdout.split()[-1]), "process": time.perf_counter() - begun}
