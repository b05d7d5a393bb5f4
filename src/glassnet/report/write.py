"""One study, one HTML file that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from glassnet.errors import InputError
from glassnet.lab.outcome import Outcome
from glassnet.lab.results import Study
from glassnet.report.experiment import render_experiment
from glassnet.report.page import render

__all__ = ["write_report"]


def write_report(study: Study | Outcome, path: str | os.PathLike[str]) -> Path:
    """Write the report of a study or of an experiment as one self-contained HTML file.

    The file asks for nothing from outside; figures, images, style and script are in it. It appears whole or
    not at all: it is written beside its place and then renamed.

    Parameters
    ----------
    study : finished or interrupted
    path : of the file; its folder must exist

    Returns
    -------
    the file's path

    Raises
    ------
    InputError
        if the folder is missing or cannot be written to, or `path` is a folder
    """
    target = Path(path)
    if os.path.isdir(target):
        raise InputError(
            f"cannot write the report to {target}: it is a folder; give the name of a file in it"
        )
    if not os.path.isdir(target.parent):
        raise InputError(f"cannot write the report {target}: no folder {target.parent}; create it first")
    page = render(study) if isinstance(study, Study) else render_experiment(study)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_text(page, encoding="utf-8", newline="\n")
        os.replace(partial, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write the report {target}: {reason}; choose another path") from error
    finally:  # after an interrupt too; a name that cannot be written cannot be there either
        if os.path.lexists(partial):
            partial.unlink()
    return target
