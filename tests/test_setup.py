"""Set-up on machines that lack something: a clear word, and nothing half-made."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "tools" / "setup.sh"


def set_up(folder: Path, python_says: str) -> str:
    """Run the set-up where the only Python is a script with this body; what it said when it gave up."""
    python = folder / "a python"
    python.write_text(f"#!/bin/sh\n{python_says}\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", SCRIPT], cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert list(folder.iterdir()) == [python]
    return done.stderr


def test_an_old_python_is_named(tmp_path) -> None:
    said = set_up(tmp_path, 'case "$2" in *print*) echo 3.9.18;; *) exit 1;; esac')
    assert "needs Python 3.11 or newer with pip" in said
    assert "a python is 3.9.18" in said


def test_a_missing_pip_is_named(tmp_path) -> None:
    said = set_up(tmp_path, 'case "$*" in *print*) echo 3.11.2;; *pip*) exit 1;; esac')
    assert "a python (3.11.2) has no pip" in said


def test_a_missing_network_is_named(tmp_path) -> None:
    said = set_up(
        tmp_path,
        'case "$*" in *print*) echo 3.11.2;; *install*) mkdir .bootstrap; echo no route >&2; exit 1;; esac',
    )
    assert "no route" in said
    assert "needs the network" in said
