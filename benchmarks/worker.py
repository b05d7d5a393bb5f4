"""The process of one contestant: it builds, warms up, and then waits to be told to do one repeat.

Started by `benchmarks.processes` as `python -m benchmarks.worker`; it speaks JSON, one line for each
message, and sleeps in between, so that nobody else's repeat is disturbed.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.data import Rows, load
from benchmarks.works import WORKS, loss_of

__all__ = ["main"]

N_JUDGED = 10_000  # rows on which the loss is compared


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr; the pipe is for messages only

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        _serve(json.loads(sys.stdin.readline()), answer)
    except BaseException as error:
        traceback.print_exc()
        answer(error=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300])
        raise SystemExit(1) from None


def _serve(order: dict[str, Any], answer: Any) -> None:
    work = WORKS[order["work"]]
    if order["short"]:
        work = work.shortened()
    rows = load(Path(order["folder"]), work.data)
    module = importlib.import_module(f"benchmarks.contestants.{CONTESTANTS[order['contestant']].module}")
    contestant: Contestant = module.build(work, order["settings"], rows)
    contestant.start()
    if work.kind == "sweep":  # one setting for an epoch compiles, then two find out whether they can at once
        for n in (1, 2):
            contestant.work = replace(work, lrs=work.lrs[:n], epochs=1)
            contestant.run()
    else:
        for _ in range(10 if work.kind == "predict" else 1):
            contestant.run()
    contestant.work = work
    if work.kind != "predict":  # predictions change no weights: a second network would only be more memory
        contestant.start()
    answer(ready=True, blas=_blas(), pid=os.getpid())
    for line in sys.stdin:
        told = json.loads(line)
        if told["do"] == "repeat":
            answer(seconds=_seconds(contestant))
        elif told["do"] == "finish":
            peak = _peak_megabytes()
            answer(peak_mb=peak, loss=_judge(contestant, rows))
            return


def _seconds(contestant: Contestant) -> float:
    times = []
    for _ in range(contestant.work.calls):
        begun = time.perf_counter()
        contestant.run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _judge(contestant: Contestant, rows: Rows) -> float | None:
    """The loss on the same rows by the same code, whoever trained: has it really done the work?"""
    work = contestant.work
    if work.kind == "predict":
        P = contestant.predictions()
        return float(-np.mean(np.log(P[np.arange(len(P)), rows.y[: len(P)]])))
    models = contestant.models()
    return loss_of(work, models, rows.floats(N_JUDGED), rows.y[:N_JUDGED]) if models else None


def _blas() -> str:
    """NumPy's BLAS with its core and threads (PyTorch and JAX have their own inside)."""
    from threadpoolctl import threadpool_info

    found = {
        f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')} x{lib['num_threads']}"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    }
    return "; ".join(sorted(found)) or "none"


def _peak_megabytes() -> float:
    """Peak resident memory of this process.

    `ru_maxrss` of a started process also remembers its parent's peak on Linux, so the kernel's own
    high-water mark comes first.
    """
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
