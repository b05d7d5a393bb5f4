"""Eight learning rates of W1 through the lab: one process against two, and beside JAX or PyTorch.

    python benchmarks/sweep.py --data cifar10-train.zip --write docs/lab.md     on an idle machine

Each turn runs the same plan twice in empty folders of runs, with one process and with as many as cores, in
alternating order; every process has one BLAS thread, and results are compared bit by bit. The lab's whole
work is timed: dividing, training, validation, test rows, predictions, weights, run folders. Start-up of the
worker processes is not: they live as long as the program and are warm after the first turn, not counted.
The peers train the same eight settings one after the other, as a script would, at their usual settings
(float32 inputs, all threads): `python -m benchmarks W8` searches for better ones.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

if not __package__:  # started as a file: the folder above is where `benchmarks` is found
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.contestants import CONTESTANTS
from benchmarks.data import N_IMAGES, load, prepare
from benchmarks.document import put
from benchmarks.processes import Failed, Process
from benchmarks.works import WORKS
from glassnet.data.dataset import Dataset, ImageShape
from glassnet.lab.execute import cores, execute
from glassnet.lab.plan import parse_experiment
from glassnet.lab.store import RunStore

WORK = WORKS["W8"]
PEERS = ("jax", "torch eager")
PLAN = f"""
title = "W8: eight learning rates"
claim = false
seeds = 1
[data]
source = "images"
prepare = "unit"
validation = 0.01
test = 0.01
[model]
hidden = [{WORK.widths[1]}]
[training]
optimizer = "sgd"
epochs = {WORK.epochs}
batch_size = {WORK.batch_size}
[vary]
"training.lr" = {list(WORK.lrs)}
"""


def lab_seconds(dataset: Dataset, jobs: int, epochs: int) -> tuple[float, list[float]]:
    """Seconds of the whole sweep in an empty folder, and the losses that it ended with."""
    plan = parse_experiment(PLAN.replace(f"epochs = {WORK.epochs}", f"epochs = {epochs}"))
    specs = [plan.run(arm, 0) for arm, _ in plan.arms()]
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        begun = time.perf_counter()
        results = execute(specs, dataset, store, jobs=jobs)
        seconds = time.perf_counter() - begun
        return seconds, [result.scores["test"]["log_loss"] for result in results if result is not None]


def peer_seconds(name: str, folder: Path, turns: int) -> list[float]:
    kind = CONTESTANTS[name]
    usual = {key: values[0] for key, values in kind.choices(WORK).items()}
    process = Process(
        kind, WORK, {**usual, **({"workers": 1} if "workers" in usual else {})}, folder, short=False
    )
    try:
        return [process.repeat() for _ in range(turns)]
    finally:
        process.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="CIFAR-10's images; made images without it")
    parser.add_argument("--rows", type=int, default=N_IMAGES)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    args = parser.parse_args()
    n = cores()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        told = prepare(folder, args.data, args.rows)
        rows = load(folder, "images")
        # mapped, not copied: the processes share one
        stored = np.memmap(folder / "images.bytes", np.uint8, "r", shape=rows.shape)
        dataset = Dataset(stored, rows.y, tuple("0123456789"), image=ImageShape(32, 32, 3), name="images")
        times: dict[str, list[float]] = {"1 process": [], f"{n} processes": []}
        for turn in range(args.turns + 1):
            order = [(1, "1 process"), (n, f"{n} processes")][:: 1 if turn % 2 else -1]
            losses = {}
            for jobs, name in order:
                seconds, losses[name] = lab_seconds(dataset, jobs, WORK.epochs if turn else 1)
                if turn:
                    times[name].append(seconds)
                print(f"turn {turn} {name}: {seconds:.1f} s", file=sys.stderr, flush=True)
            if len({tuple(values) for values in losses.values()}) != 1:
                raise SystemExit("the results depend on the number of processes")
        for name in PEERS:
            if not CONTESTANTS[name].installed():
                print(f"{name}: not installed, left out", file=sys.stderr)
                continue
            try:
                times[f"{name}, one after the other"] = peer_seconds(name, folder, args.turns)
            except Failed as failure:
                print(f"{name}: {failure}", file=sys.stderr)
    fastest = times[f"{n} processes"]
    lines = [f"W8 ({WORK.title}), {told}, {args.turns} turns, seconds in all, median (fastest):", "",
             f"| who | seconds | {n} processes are faster by |", "|---|---|---|"]  # fmt: skip
    for name, found in times.items():
        ratio = (
            f"{statistics.median(found) / statistics.median(fastest):.2f} ({min(found) / min(fastest):.2f})"
        )
        lines.append(f"| {name} | {statistics.median(found):.1f} ({min(found):.1f}) | {ratio} |")
    print("\n".join(lines))
    if args.write is not None:
        put(args.write, "sweep", "\n".join(lines))


if __name__ == "__main__":
    main()
