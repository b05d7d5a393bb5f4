"""The coursework's two questions on CIFAR-10 and one of precision, and their answers in the documentation.

    python benchmarks/answers.py --data cifar10-train.zip --runs runs

does what is left of `cifar10-activations`, `cifar10-optimizers` and `cifar10-precision` (5 to 20 minutes each
on two idle cores when nothing is done yet; killed at any moment, the same command goes on), puts the tables,
verdicts and limits of each into docs/answers.md, and writes its report and exports. All runs done, it takes
seconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if not __package__:  # started as a file: the folder above is where `benchmarks` is found
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.document import put
from glassnet.bar import Bar
from glassnet.lab import RunStore, export_outcome, load_experiment, run_experiment
from glassnet.lab.export import outcome_markdown
from glassnet.report import write_report

ROOT = Path(__file__).resolve().parent.parent
PLANS = ("cifar10-activations", "cifar10-optimizers", "cifar10-precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="CIFAR-10's images: zip, folder, archive or 'cifar10'")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--jobs", type=int, help="processes; one per core")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "answers.md")
    parser.add_argument("--reports", type=Path, default=Path(), help="folder for reports and exports")
    parser.add_argument("plans", nargs="*", default=PLANS, help=f"of {', '.join(PLANS)}")
    args = parser.parse_args()
    store = RunStore(args.runs)
    args.reports.mkdir(parents=True, exist_ok=True)  # before hours of runs, not after them
    for name in args.plans:
        plan = load_experiment(name)
        plan = plan.model_copy(update={"data": plan.data.model_copy(update={"source": args.data})})
        command = f"glassnet run {name} --data {Path(args.data).name}"
        outcome = run_experiment(plan, runs=store, jobs=args.jobs, progress=Bar(), command=command)
        if outcome.interrupted or outcome.missing:
            raise SystemExit(f"{name}: {outcome.missing} runs are missing; the same command goes on")
        write_report(outcome, args.reports / f"report-{name}.html")
        export_outcome(outcome, args.reports / f"report-{name}", ("csv", "md", "tex", "json"), store)
        put(args.page, name, outcome_markdown(outcome))
        print(f"{args.page}: {name}\n" + "\n".join(outcome.verdicts))


if __name__ == "__main__":
    main()
