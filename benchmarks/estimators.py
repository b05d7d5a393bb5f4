"""One command that times whole fits beside scikit-learn's MLP: `python -m benchmarks.estimators [CIFAR-10]`.

Both estimators get the same rows, default settings and seed, and so train for the same number of epochs (this
is checked); they take turns in one process, and the figures are medians. The rows are scikit-learn's bundled
data sets, standardised, and CIFAR-10 if a path is given. Everything is written to docs/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.document import write_whole
from benchmarks.environment import environment
from benchmarks.processes import ROOT

__all__ = ["main", "measure", "page"]

Json = dict[str, Any]
BUNDLED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
ONE_ROW_CALLS = 300
ALL_ROWS_CALLS = 5  # of which the median counts: the first ones find cold caches


def bundled(name: str) -> tuple[Any, Any]:
    """X and y of a bundled data set; X standardised, y too for regression."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return scale(X), scale(y) if name == "diabetes" else y


def cifar(path: str) -> tuple[Any, Any]:
    """The training images as float32 between 0 and 1, in an order that mixes the classes."""
    from glassnet import read

    dataset = read(path)
    order = np.random.default_rng(0).permutation(len(dataset))
    return dataset.X[order].astype(np.float32) / np.float32(255), dataset.y[order]


def measure(name: str, X: Any, y: Any, turns: int, max_iter: int) -> Json:
    """Both estimators on the same rows, turn by turn: seconds of fits and of predictions."""
    from sklearn import neural_network as theirs

    import glassnet as ours

    kind = "MLPRegressor" if y.dtype.kind == "f" else "MLPClassifier"
    makers = {module.__name__.split(".")[0]: getattr(module, kind) for module in (theirs, ours)}
    times: dict[str, dict[str, list[float]]] = {who: {"fit": [], "all": [], "one": []} for who in makers}
    epochs = {}
    for turn in range(turns + 1):  # the first is a rehearsal: kernels are compiled, memory is mapped
        for who, maker in makers.items():
            estimator = maker(random_state=0, max_iter=max_iter)
            method = getattr(estimator, "predict_proba", estimator.predict)
            seconds = {
                "fit": _seconds(lambda e=estimator: e.fit(X, y)),
                "all": median(_seconds(lambda m=method: m(X)) for _ in range(ALL_ROWS_CALLS)),
                "one": median(_seconds(lambda m=method: m(X[:1])) for _ in range(ONE_ROW_CALLS)),
            }
            epochs[who] = estimator.n_iter_
            for what, value in seconds.items() if turn else ():
                times[who][what].append(value)
    if len(set(epochs.values())) > 1:
        raise SystemExit(f"{name}: the two did not train for the same number of epochs: {epochs}")
    medians = {who: {what: median(each) for what, each in found.items()} for who, found in times.items()}
    return {
        "rows": X.shape[0], "features": X.shape[1], "dtype": str(X.dtype), "estimator": kind,
        "epochs": epochs["glassnet"], "turns": turns, "times": times, "medians": medians,
        "ratios": {what: value / medians["glassnet"][what] for what, value in medians["sklearn"].items()},
    }  # fmt: skip


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def page(results: Json) -> str:
    """The results in Markdown."""
    rows = [
        "| data | rows x features | epochs | fit: scikit-learn | fit: glassnet | **ratio** | predict all | "
        "predict one row: scikit-learn | one row: glassnet | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in results["data"].items():
        s, g, ratio = found["medians"]["sklearn"], found["medians"]["glassnet"], found["ratios"]
        rows.append(
            f"| {name} | {found['rows']:,} x {found['features']:,} {found['dtype']} | {found['epochs']} | "
            f"{s['fit']:.3g} s | {g['fit']:.3g} s | **{ratio['fit']:.2f}** | {ratio['all']:.2f} | "
            f"{s['one'] * 1e6:.0f} µs | {g['one'] * 1e6:.0f} µs | {ratio['one']:.2f} |"
        )
    ratios = [found["ratios"] for found in results["data"].values()]
    fits = [ratio["fit"] for ratio in ratios]
    predictions = [ratio[what] for ratio in ratios for what in ("all", "one")]
    told = "\n".join(f"- {name}: {value}" for name, value in results["environment"].items())
    return (
        "# Whole fits beside scikit-learn\n\n"
        "Made by `python -m benchmarks.estimators`; do not edit. Ratios are scikit-learn's time over "
        "glassnet's, medians of the turns that both took one after the other with default settings, the same "
        "seed and the same number of epochs.\n\n" + "\n".join(rows) + "\n\n"
        f"Fits: median ratio **{median(fits):.2f}**, lowest {min(fits):.2f}. "
        f"Predictions, all rows and one row: median ratio **{median(predictions):.2f}**, "
        f"lowest {min(predictions):.2f}.\n\n## Machine\n\n{told}\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("cifar", nargs="?", help="CIFAR-10 in any form glassnet reads")
    parser.add_argument("--turns", type=int, default=7, help="of each estimator (default 7)")
    parser.add_argument("--epochs", type=int, default=5, help="on CIFAR-10 (default 5)")
    parser.add_argument("--data", help=f"only these, e.g. digits,iris (known: {', '.join(BUNDLED)})")
    parser.add_argument("--threads", type=int, help="of BLAS, for both (default: as the machine has it)")
    parser.add_argument("--out", type=Path, help="folder of the results (default docs/benchmarks)")
    args = parser.parse_args(argv)
    names = args.data.split(",") if args.data else list(BUNDLED)
    if strange := [name for name in names if name not in BUNDLED]:
        parser.error(f"unknown data {strange[0]!r} (known: {', '.join(BUNDLED)})")
    if args.turns < 1:
        parser.error("--turns must be at least 1")
    warnings.simplefilter("ignore")  # "not converged" is no news here
    from threadpoolctl import threadpool_limits

    told = environment() | {"BLAS threads": str(args.threads or "as the machine has them")}
    for name, value in told.items():
        print(f"{name}: {value}", file=sys.stderr)
    results: Json = {"environment": told, "data": {}}
    with threadpool_limits(args.threads, "blas") if args.threads else nullcontext():
        for name in names:
            results["data"][name] = measure(name, *bundled(name), args.turns, max_iter=200)
            print(f"{name}: {results['data'][name]['ratios']}", file=sys.stderr)
        if args.cifar:
            found = measure("CIFAR-10", *cifar(args.cifar), min(args.turns, 5), max_iter=args.epochs)
            results["data"]["CIFAR-10"] = found
    print(page(results))
    complete = not args.data and args.turns >= 5
    out = args.out or (ROOT / "docs" / "benchmarks" if complete else None)
    if out is None:
        print("nothing written: a partial look (give --out to keep it)", file=sys.stderr)
        return 0
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("estimators.json", json.dumps(results, indent=1) + "\n"),
        ("estimators.md", page(results)),
    ):
        write_whole(out / name, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
