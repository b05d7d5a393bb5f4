"""The command's verbs, and what becomes of an error: one line and an exit code."""

from __future__ import annotations

import io
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from glassnet import __version__
from glassnet.cli import cache, check, coursework, demo, experiment, runs
from glassnet.cli.options import Session
from glassnet.cli.say import one_line, say
from glassnet.errors import GlassnetError

__all__ = ["app", "main"]

OK, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    # Plain help: drawing it with rich would more than double the start of `glassnet --help`.
    rich_markup_mode=None,
    add_completion=False,
    help="Plain neural networks you can see through: check data, train, compare, report.",
    epilog="Exit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.",
)
run = typer.Typer(cls=experiment.PlanGroup, rich_markup_mode=None, help=experiment.HELP)
run.command("coursework")(coursework.coursework)
run.command("plan")(experiment.plan)
app.command("demo")(demo.demo)
app.add_typer(run, name="run")
app.command("new")(experiment.new)
app.add_typer(runs.runs, name="runs")
app.command("check")(check.check)
app.command("cache")(cache.cache)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"glassnet {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


class StderrLog(logging.Handler):
    """Log lines go to whatever sys.stderr is now: a progress bar replaces it while it draws."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        print(f"{kind}{one_line(record.getMessage())}", file=sys.stderr)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the process's own) and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the sign still gets the results
    logging.captureWarnings(True)
    log = StderrLog(logging.INFO)
    logging.getLogger("glassnet").setLevel(logging.INFO)
    sources = [logging.getLogger("glassnet"), logging.getLogger("py.warnings")]
    for source in sources:
        source.addHandler(log)
    args = list(sys.argv[1:] if args is None else args)
    session = Session(command=shlex.join(["glassnet", *args]))
    try:
        return carry_out(args, session)
    except Exception as error:
        if session.debug:
            traceback.print_exc()
        return complain(error)
    finally:
        logging.captureWarnings(False)
        for source in sources:
            source.removeHandler(log)


def carry_out(args: list[str], session: Session) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("glassnet", args, obj=session) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as wanted:
        return wanted.exit_code
    except BrokenPipeError:
        # The reader went away (`glassnet check ... | head`). Nobody is left to tell, and Python's own
        # flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    return OK


def complain(error: Exception) -> int:
    """Say in one line what failed; return the exit code."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "glassnet"
        say(f"{error.format_message()} (see: {command} --help)")
        return error.exit_code
    if isinstance(error, GlassnetError):
        say(str(error))
    elif isinstance(error, OSError) and error.filename:
        say(f"{error.strerror}: {error.filename}")
    elif isinstance(error, MemoryError):
        say("out of memory: close other programs, or use fewer rows")
    else:
        say(f"internal error: {type(error).__name__}: {error} (a bug: --debug shows where, please report it)")
    return FAILURE
