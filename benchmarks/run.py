"""One command that measures glassnet beside its peers: `python -m benchmarks [W1 W3 ...]`.

Every contestant works in a process of its own, at the best settings that a search finds, and all take turns;
results are medians, and ratios within one run. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:  # started as a file: the folder above is where `benchmarks` is found
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "src"))  # this checkout's glassnet

from benchmarks.cold import measure_cold
from benchmarks.contestants import CONTESTANTS
from benchmarks.data import N_IMAGES, load, prepare
from benchmarks.environment import environment
from benchmarks.processes import ROOT
from benchmarks.rows import Plan, measure_row
from benchmarks.tables import load_results, merge, page, write
from benchmarks.works import WORKS

__all__ = ["main"]

ENOUGH_TURNS = 5


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    keys = _keys(args.works)
    wanted = args.contestants.split(",") if args.contestants else list(CONTESTANTS)
    missing = [name for name in wanted if not CONTESTANTS[name].installed()]
    names = [name for name in wanted if name not in missing]
    if missing:
        _say(f"not installed, so left out: {', '.join(missing)}")
    repeats = args.repeats or (1 if args.quick else ENOUGH_TURNS)
    out = args.out
    if out is None and not args.quick and not args.contestants and repeats >= ENOUGH_TURNS:
        out = ROOT / "docs" / "benchmarks"
    results = load_results(out or ROOT / "docs" / "benchmarks")
    told = environment()
    for name, value in told.items():
        _say(f"{name}: {value}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that contestants' processes end too

    with tempfile.TemporaryDirectory(prefix="glassnet-benchmarks-") as folder:
        rows: dict[str, dict[str, Any]] = {}
        if keys - {"cold"}:
            told["data"] = prepare(Path(folder), args.data, 1000 if args.quick else N_IMAGES)
            _say(f"data: {told['data']}")
            plan = Plan(
                folder=Path(folder), repeats=repeats, trial_repeats=1 if args.quick else 3, short=args.quick,
                n_rows={name: load(Path(folder), name).shape[0] for name in ("images", "digits")},
                pause=0.05 if args.quick else 0.3, names=names, settings=args.settings, say=_say,
            )  # fmt: skip
            for key, work in WORKS.items():
                if key in keys:
                    rows[key] = measure_row(work, plan, {**results["rows"], **rows})
                    if out:  # after every row, so that an interrupted run keeps what it has measured
                        write(out, merge(results, rows, None, told))
        cold = measure_cold(repeats, _say) if "cold" in keys else None
    only_these = merge({"rows": {}, "environments": [], "cold": None}, rows, cold, told)
    print(page(only_these))
    if out:
        write(out, merge(results, rows, cold, told))
        _say(f"written: {out / 'engine.md'}, {out / 'engine.json'}")
    else:
        _say("nothing written: give --out for a quick or partial look (a full run writes docs/benchmarks)")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure glassnet beside its peers, each at its best settings.",
        epilog="Works: " + "; ".join(f"{w.key} {w.title}" for w in WORKS.values()) + "; cold (start).",
    )  # fmt: skip
    parser.add_argument("works", nargs="*", metavar="W", help="W1 ... W9 and cold; all if none is named")
    parser.add_argument("--repeats", type=int, help=f"turns of each contestant (default {ENOUGH_TURNS})")
    parser.add_argument(
        "--data", default=os.environ.get("GLASSNET_CIFAR10"),
        help="CIFAR-10 in any form glassnet reads (default: $GLASSNET_CIFAR10, else synthetic images)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of engine.md and engine.json")
    parser.add_argument(
        "--quick", action="store_true", help="a look: 1,000 images, one turn, nothing written"
    )
    parser.add_argument("--contestants", help="only these, e.g. glassnet,jax; nothing written without --out")
    parser.add_argument(
        "--settings", choices=("search", "kept", "first"), default="search",
        help="of the peers: search the best, keep those of the last results, or take the first untried",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.repeats is not None and args.repeats < 1:
        parser.error("--repeats must be at least 1")
    known = {*WORKS, "W9", "cold"}
    if strange := [name for name in args.works if name not in known]:
        parser.error(f"unknown work {strange[0]!r} (known: {', '.join(sorted(known))})")
    named = args.contestants.split(",") if args.contestants else []
    if strange := [name for name in named if name not in CONTESTANTS]:
        parser.error(f"unknown contestant {strange[0]!r} (known: {', '.join(CONTESTANTS)})")
    return args


def _keys(works: Sequence[str]) -> set[str]:
    keys = set(works) or {*WORKS, "cold"}
    return keys - {"W9"} | ({"W9a", "W9b"} if "W9" in keys else set())


def _say(news: str) -> None:
    print(news, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
