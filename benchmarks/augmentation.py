"""What augmentation costs: a batch alone, and how much longer an epoch of W3 takes.

python -m benchmarks.augmentation writes the table into docs/data.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import glassnet as gn
from benchmarks.document import put
from benchmarks.environment import environment
from benchmarks.processes import ROOT
from glassnet.data.augment import Augmenter, Mixer
from glassnet.data.dataset import ImageShape

SHAPE = ImageShape(32, 32, 3)
BATCH, ROWS, CALLS = 128, 40_000, 200


def kinds() -> dict[str, Any]:
    """What is measured, by the words of the table."""
    still: dict[str, Any] = {"flip": False, "shift": 0}
    return {
        "`flip=True`, `shift=4` (reflected border)": Augmenter(SHAPE),
        "`brightness=0.2`, `contrast=0.2`": Augmenter(SHAPE, brightness=0.2, contrast=0.2, **still),
        "`cutout=8`": Augmenter(SHAPE, cutout=8, **still),
        "`Mixer(mixup=0.2)` (Zhang et al. 2018)": Mixer(SHAPE, mixup=0.2),
        "`Mixer(cutmix=1.0)` (Yun et al. 2019)": Mixer(SHAPE, cutmix=1.0),
        "`rotate=15` (bilinear, reflected border)": Augmenter(SHAPE, rotate=15, **still),
    }


def microseconds(augment: Any, X: Any) -> float:
    """The shortest of many calls for one batch, on one thread."""
    rng, rows, times = np.random.default_rng(0), np.arange(BATCH), []
    with threadpool_limits(1):
        for _ in range(CALLS):
            started = time.perf_counter()
            augment.of_rows(X, rows, rng)
            times.append(time.perf_counter() - started)
    return min(times) * 1e6


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation", description=__doc__)
    parser.add_argument(
        "--turns", type=int, default=15, help="epochs with and without, by turns (default 15)"
    )
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (ROWS, SHAPE.n_features), dtype=np.uint8), rng.integers(0, 10, ROWS)
    scaling = gn.fit_scaling(X, "unit")

    def trainer(augment: Any) -> Any:
        network = gn.Network([gn.Dense(128, "relu"), gn.Dense(10)], SHAPE.n_features)
        feed = gn.Feed(network, X, y, scaling=scaling, augment=augment)
        return lambda: gn.fit(network, feed, batch_size=BATCH, epochs=1)["seconds"][0]

    plain = trainer(None)
    rows = [
        "| augmentation | µs for 128 images of 32 x 32 x 3 | an epoch of W3 is longer by |",
        "|---|---|---|",
    ]
    for name, augment in kinds().items():
        changed = trainer(augment)
        plain(), changed()  # kernels are compiled, memory is mapped
        pairs = [(plain(), changed()) for _ in range(args.turns)]
        longer = median(b for _, b in pairs) / median(a for a, _ in pairs) - 1
        rows.append(f"| {name} | {microseconds(augment, X):.0f} | {longer:.0%} |")
        print(rows[-1], file=sys.stderr)
    told = environment()
    rows.append(
        f"\nOne thread alone, the shortest of {CALLS} calls; epochs with and without by turns, medians of "
        f"{args.turns}. {told['processor']}; `python -m benchmarks.augmentation`."
    )
    put(ROOT / "docs" / "data.md", "augmentation", "\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
