"""Compiled code on disk is used again only as long as no module has changed that may be compiled into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import glassnet
from glassnet import kernels
from glassnet.kernels.instructions import IMITATED

PACKAGE = Path(glassnet.__file__).parent
PROGRAM = """
import numpy as np
from glassnet.kernels.compiled import hits
print(hits(np.eye(4), np.arange(4)), sum(hits.stats.cache_hits.values()))
"""


@pytest.mark.skipif(not kernels.STEPS, reason="nothing is compiled with GLASSNET_KERNELS=reference")
def test_a_change_of_another_module_makes_it_stale(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "glassnet", ignore=shutil.ignore_patterns("__pycache__"))

    def run(**more: str) -> list[str]:
        env = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")} | more
        return subprocess.check_output([sys.executable, "-c", PROGRAM], env=env, text=True).split()

    assert run() == ["4", "0"]
    assert run() == ["4", "1"]
    other = "native" if IMITATED else "imitated"
    assert run(GLASSNET_INSTRUCTIONS=other) == ["4", "0"]
    assert run() == ["4", "0"]
    with (tmp_path / "glassnet" / "kernels" / "scalars.py").open("a") as file:
        file.write("# another comment\n")
    assert run() == ["4", "0"]
    assert run() == ["4", "1"]
