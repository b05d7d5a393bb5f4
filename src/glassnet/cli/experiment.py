"""`glassnet run PLAN` and `glassnet new NAME`: experiments from plans, and plans to edit."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from glassnet.cli.bar import progress_on_stderr
from glassnet.cli.options import Debug, DryRun, Json, Target, writable
from glassnet.cli.say import say
from glassnet.cli.show import print_table, stdout_console
from glassnet.findings import counted

if TYPE_CHECKING:
    from glassnet.lab.outcome import Outcome
    from glassnet.lab.spec import Experiment
    from glassnet.lab.store import RunStore

__all__ = ["PlanGroup", "Runs", "new", "plan"]

Runs = Annotated[Path, typer.Option("--runs", metavar="FOLDER", help="Where the runs lie.")]
HELP = (
    "Run an experiment and write its report: `glassnet run PLAN`. PLAN is a TOML file or a built-in plan: "
    "activations, optimizers, initializers, learning-rates, batch-sizes, imbalance, depth-width, "
    "regularisers, cifar10-activations, cifar10-optimizers, cifar10-precision; coursework and demo train "
    "each network once. `glassnet run plan --help` and `glassnet run coursework --help` show the options."
)


class PlanGroup(TyperGroup):
    """What is no verb of its own is the name of a plan, and its kind says which verb runs it.

    `run activations` is `run plan activations`; `run mine.toml` with kind = "coursework" is
    `run coursework mine.toml`.
    """

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]
        if args and args[0] not in self.commands:
            from glassnet.lab.plan import plan_kind

            args = ["coursework" if plan_kind(args[0]) == "coursework" else "plan", *args]
        return super().resolve_command(ctx, args)


def plan(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(metavar="PLAN", help="A TOML file or a built-in plan.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="SOURCE", help="Other data than the plan's.")
    ] = None,
    target: Target = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Other number of seeds than the plan's.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes; default one per core.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="A Dask scheduler: tcp://host:8786.")
    ] = None,
    runs: Runs = Path("runs"),
    dry_run: DryRun = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", callback=writable, help="The report.")
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", metavar="KIND", help="Also write csv, parquet, md, tex, json, tensorboard."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the arms of a plan, and say what was shown and what was not.

    Finished runs are kept in the folder of runs: the same command goes on where it was ended, by Ctrl-C, a
    full disk or a power cut.
    """
    from glassnet.lab.plan import load_experiment
    from glassnet.lab.store import RunStore

    chosen, store = load_experiment(experiment), RunStore(runs)
    chosen = changed(chosen, data, seeds, target)
    if dry_run:
        show_estimate(chosen, store, jobs)
        return
    from glassnet.lab.compare import run_experiment

    with progress_on_stderr() as progress:
        outcome = run_experiment(
            chosen, runs=store, jobs=jobs, cluster=cluster, progress=progress, command=context.obj.command
        )
    deliver(outcome, out or Path(f"report-{Path(experiment).stem}.html"), tuple(export or ()), store, json)


def changed(plan: Experiment, data: str | None, seeds: int | None, target: str | None) -> Experiment:
    """The plan with other data, target or seeds: another plan, with another hash."""
    plain = plan.model_dump()
    if data is not None:
        plain["data"]["source"] = data
    if target is not None:
        plain["data"]["target"] = target
    if seeds is not None:
        plain["seeds"] = seeds
    return type(plan).model_validate(plain)


def deliver(outcome: Outcome, out: Path, kinds: tuple[str, ...], store: RunStore, as_json: bool) -> None:
    from glassnet.lab.export import export_outcome, outcome_json
    from glassnet.report import write_report

    written = [write_report(outcome, out)]
    if kinds:
        written += export_outcome(outcome, out.with_suffix(""), kinds, store)
    if as_json:
        json_module.dump(outcome_json(outcome), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        show(outcome)
    for path in written:
        print(f"Written: {path}", file=sys.stderr if as_json else sys.stdout)
    missing = counted(outcome.missing, "run is missing", "runs are missing")
    if outcome.interrupted:
        say(f"interrupted: {missing}; the same command goes on")
        raise typer.Exit(130)
    if outcome.missing:
        say(f"the plan's budget is used up: {missing}; the same command goes on")


def show(outcome: Outcome) -> None:
    """Each family's arms, then the sentences."""
    console = stdout_console()
    for family in (family for family in outcome.families if family.seeds):
        seeds = counted(len(family.seeds), "seed", "seeds")
        console.print(f"Arms {family.title} ({outcome.experiment.metric}, {seeds})")
        rows = [
            [arm.name, f"{arm.mean:.4f}", f"{arm.low:.4f}", f"{arm.high:.4f}", str(arm.failed),
             "-" if not family.best else "yes" if arm.name in family.best else "no", f"{arm.seconds:.2f}"]
            for arm in family.arms
        ]  # fmt: skip
        columns = ["arm", "mean", "95 % low", "95 % high", "failed", "among the best", "seconds"]
        print_table(console, columns, rows, texts=1)
    for sentence in (*outcome.verdicts, *outcome.limits):
        console.print(sentence)
    console.print(f"Plan {outcome.hash}: {outcome.n_runs} runs.")


def show_estimate(plan: Experiment, store: RunStore, jobs: int | None) -> None:
    from glassnet.lab.compare import read_data
    from glassnet.lab.estimate import estimate
    from glassnet.report.numbers import duration

    with progress_on_stderr() as progress:
        dataset = read_data(plan, progress)
    found, console = estimate(plan, dataset, store, jobs), stdout_console()
    rows = [
        [name, str(final), str(done), str(trials), f"{each:.2f}"]
        for name, (final, done, trials, each) in found.arms.items()
    ]
    print_table(console, ["arm", "final runs", "done", "tuning runs", "seconds each"], rows, texts=1)
    processes = counted(found.workers, "process", "processes")
    console.print(f"About {duration(found.seconds)} on {processes}.")
    for sentence in found.sentences:
        console.print(sentence)
    if plan.budget_minutes is not None and found.seconds > 60 * plan.budget_minutes:
        say(f"that is over the plan's budget of {plan.budget_minutes:g} minutes: it will end unfinished")


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plan and of its file.")],
    like: Annotated[
        str, typer.Option("--like", metavar="PLAN", help="The built-in plan to start from.")
    ] = "activations",
    debug: Debug = False,
) -> None:
    """Write a plan to edit: NAME.toml in this folder, a copy of a built-in one."""
    from glassnet.lab.plan import new_plan

    target = Path(name if name.endswith(".toml") else f"{name}.toml")
    print(new_plan(target.stem, target, like=like))
    say(f"edit it, then: glassnet run {target}")
