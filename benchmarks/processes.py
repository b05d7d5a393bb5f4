"""Contestants' processes as the organiser sees them: start, ask for one repeat, finish, stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.contestants import Kind, Settings
from benchmarks.works import Work

__all__ = ["ROOT", "Failed", "Process", "clean_environment"]

ROOT = Path(__file__).parent.parent
# Choices of BLAS, of its threads and of kernels belong to nobody's defaults: every contestant starts without
# them. And pip keeps the bytecode of what it installs, so Python may keep it here.
UNSET = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS", "GLASSNET_KERNELS", "GLASSNET_INSTRUCTIONS", "XLA_FLAGS", "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip
READY_WITHIN, REPEAT_WITHIN = 300.0, 120.0  # seconds; what is slower is of no interest


class Failed(Exception):
    """A contestant's process could not do what it was asked; the message is one line."""


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The present environment without settings of BLAS, with this checkout to import from."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    path = [str(ROOT), str(ROOT / "src"), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(path)} | dict(more or {})


class Process:
    """One contestant with one choice of settings, built and warmed up when the constructor returns."""

    def __init__(self, kind: Kind, work: Work, settings: Settings, folder: Path, *, short: bool) -> None:
        self.name, self.settings = kind.name, dict(settings)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `stop`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, env=clean_environment(kind.environment(settings)),
            start_new_session=True,  # Ctrl-C is the organiser's business
        )  # fmt: skip
        order = {"contestant": kind.name, "work": work.key, "settings": self.settings, "folder": str(folder)}
        try:
            self.blas: str = self._ask(order | {"short": short}, READY_WITHIN)["blas"]
        except BaseException:
            self.stop()
            raise

    def repeat(self) -> float:
        """Do one repeat; its seconds."""
        return float(self._ask({"do": "repeat"}, REPEAT_WITHIN)["seconds"])

    def finish(self) -> dict[str, Any]:
        """peak_mb and loss; the process ends."""
        try:
            return self._ask({"do": "finish"}, REPEAT_WITHIN)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _ask(self, message: dict[str, Any], within: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        alarm = threading.Timer(within, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            raise Failed(f"ended without an answer ({self._last_words()})")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise Failed(told["error"])
        return told

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"exit code {code}" + (f": {lines[-1][:200]}" if lines else "")
