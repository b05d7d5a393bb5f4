"""The command as a process of its own: pipes, signals, terminals."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading

import pytest

import glassnet

GLASSNET = [sys.executable, "-m", "glassnet"]


def test_python_m_glassnet_is_the_command() -> None:
    done = subprocess.run([*GLASSNET, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"glassnet {glassnet.__version__}\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen([*GLASSNET, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == b""


def test_a_narrow_encoding_does_not_break_the_output() -> None:
    code = "from glassnet.cli import main; main(['--version']); print('\\u2192')"
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environ, check=True, timeout=60
    )
    assert done.stdout.splitlines()[1] == b"?"


TWO_STEPS = """
from glassnet.cli.bar import progress_on_stderr
with progress_on_stderr() as progress:
    progress.begin("part 3", 2)
    progress.advance(1, "loss 2.3  accuracy [0.10]")
    progress.advance(1, "loss 1.6  accuracy [0.42]")
    {last}
"""


def in_terminal(args: list[str], interrupt_at: str = "", **environ: str) -> tuple[int, str]:
    """Run Python with stderr on a terminal of 120 columns; its exit code and what was drawn.

    As soon as something drawn matches `interrupt_at`, Ctrl-C is pressed, once.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *args],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environ},
    ) as process:
        os.close(theirs)
        give_up = threading.Timer(120, process.kill)
        give_up.start()
        drawn, pressed = "", not interrupt_at
        while True:
            try:
                drawn += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # Linux's word for "the other side has closed"
                break
            if not pressed and re.search(interrupt_at, drawn):
                pressed = True
                process.send_signal(signal.SIGINT)
        give_up.cancel()
    os.close(ours)
    return process.returncode, drawn


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
CURSOR_BACK = "\x1b[?25h"


def test_the_bar_shows_steps_note_and_time_left() -> None:
    code, drawn = in_terminal(["-c", TWO_STEPS.format(last="progress.end()")], NO_COLOR="")
    assert code == 0
    for shown in ("part 3", "2/2", "loss 1.6  accuracy [0.42]", "left", CURSOR_BACK):
        assert shown in drawn
    assert COLOUR.search(drawn)


def test_no_color_is_respected() -> None:
    _, drawn = in_terminal(["-c", TWO_STEPS.format(last="progress.end()")], NO_COLOR="1")
    assert "2/2" in drawn
    assert not COLOUR.search(drawn)


def test_a_failure_under_the_bar_leaves_the_terminal_in_order() -> None:
    code, drawn = in_terminal(["-c", TWO_STEPS.format(last="raise SystemExit(3)")])
    assert code == 3
    assert drawn.rstrip().endswith(CURSOR_BACK) or CURSOR_BACK in drawn[-80:]


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}])
def test_a_dumb_terminal_gets_lines(environ) -> None:
    _, drawn = in_terminal(["-c", TWO_STEPS.format(last="progress.end()")], **environ)
    assert re.fullmatch(r"part 3  2/2  loss 1\.6  accuracy \[0\.42\]  \d+\.\d s\s*", drawn)


def test_a_pipe_gets_one_line_per_task() -> None:
    code = TWO_STEPS.format(last="progress.begin('part 4'); progress.advance(5)")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("part 3  2/2  loss 1.6  accuracy [0.42]  ")
    assert second.startswith("part 4  5  ")


def test_ctrl_c_ends_a_training_and_reports_what_was_done(tmp_path) -> None:
    report = tmp_path / "r.html"
    never_done = ["run", "coursework", "--data", "digits", "--part", "1", "--epochs-scale", "10000"]
    code, drawn = in_terminal(
        ["-m", "glassnet", *never_done, "--out", str(report)],
        interrupt_at=r"loss 0\.\d",
        GLASSNET_DATA_DIR=str(tmp_path),
    )
    assert code == 130
    assert CURSOR_BACK in drawn
    assert "Traceback" not in drawn
    assert "interrupted: the report shows what was done until then" in drawn
    assert "interrupted" in report.read_text()
