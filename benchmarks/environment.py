"""What the figures depend on besides the code: the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.processes import ROOT

__all__ = ["environment"]

PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "jaxlib")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def environment() -> dict[str, str]:
    """Processor, system, versions, and how busy the machine was at the start."""
    told = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "glassnet": _commit(),
    }
    for name in PACKAGES:
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            told[name] = "not installed"
    told["load at the start"] = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return told


def _processor() -> str:
    cores = f"{os.cpu_count()} cores"
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return f"{platform.processor() or platform.machine()}, {cores}"
    found = {key.strip(): value.strip() for key, _, value in lines}
    flags = [flag for flag in FLAGS if flag in found.get("flags", "").split()]
    return f"{found.get('model name', platform.machine())}, {cores} ({', '.join(flags)})"


def _commit() -> str:
    from glassnet import __version__

    try:
        asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        return f"{__version__} ({done.stdout.strip()})"
    except (OSError, subprocess.CalledProcessError):
        return __version__
