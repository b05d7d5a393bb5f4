"""Checkpoints: everything a training needs to go on bit for bit, in one file written whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.nn.save import write_whole
from glassnet.train.callbacks import Callback, Run
from glassnet.train.history import History

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(run: Run, path: str | os.PathLike[str], callbacks: Sequence[Callback] = ()) -> None:
    """Write the state of a run to a .npz file (arrays and JSON text, no pickles), atomically."""
    arrays: dict[str, Any] = {"theta": run.network.theta, "state": run.network.state}
    arrays |= {f"moment {name}": value for name, value in run.optimizer.state.items()}
    numbers: dict[str, Any] = {
        "network": _told(run.network), "optimizer": _told(run.optimizer), "t": run.optimizer.t,
        "epoch": run.epoch, "step": run.step, "factor": run.factor, "lr_factor": run.lr_factor,
        "history": run.history.values, "diverged": run.history.diverged, "callbacks": [],
    }  # fmt: skip
    for i, callback in enumerate(callbacks):
        state = callback.state()
        arrays |= {f"callback {i} {k}": v for k, v in state.items() if isinstance(v, np.ndarray)}
        plain = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
        numbers["callbacks"].append({"type": type(callback).__name__, "state": plain})
    file = io.BytesIO()
    np.savez(file, json=np.array(json.dumps(numbers)), **arrays)
    write_whole(path, file.getvalue())


def load_checkpoint(
    path: str | os.PathLike[str], network: Network, optimizer: Optimizer, epochs: int,
    callbacks: Sequence[Callback] = (),
) -> Run:  # fmt: skip
    """Put a saved state into a network, optimizer and callbacks made as they were; give the Run to `fit`.

    Parameters
    ----------
    path : file written by `Checkpoint` or `save_checkpoint`
    network, optimizer, callbacks : made with the same settings as when it was saved
    epochs : where the training is to end, counted from its first beginning

    Raises
    ------
    InputError : the file is missing, damaged, or from other settings
    """
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        numbers = json.loads(str(arrays.pop("json")))
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise InputError(f"{path} is no checkpoint of glassnet, or it is damaged: {error}") from error
    for kind, thing in (("network", network), ("optimizer", optimizer)):
        if numbers[kind] != _told(thing):
            raise InputError(f"the checkpoint {path} was made with {numbers[kind]}, not {_told(thing)}")
    kinds = [entry["type"] for entry in numbers["callbacks"]]
    if kinds != [type(callback).__name__ for callback in callbacks]:
        raise InputError(f"the checkpoint {path} was made with callbacks {kinds}: give the same ones")
    network.theta[:], network.state[:] = arrays["theta"], arrays["state"]
    moments = {name: arrays[f"moment {name}"] for name in optimizer.moments}
    optimizer.restore(network, numbers["t"], moments)
    for i, (callback, entry) in enumerate(zip(callbacks, numbers["callbacks"], strict=True)):
        prefix = f"callback {i} "
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        callback.restore(own | entry["state"])
    run = Run(
        network, optimizer, History(numbers["history"]), epochs, epoch=numbers["epoch"], step=numbers["step"],
        factor=numbers["factor"], lr_factor=numbers["lr_factor"],
    )  # fmt: skip
    if numbers["diverged"]:
        run.stop(numbers["diverged"], diverged=True)
    return run


def _told(thing: Network | Optimizer) -> str:
    return f"{thing!r} in {thing.dtype}" if isinstance(thing, Network) else repr(thing)


class Checkpoint(Callback):
    """Save the run at the end of every so many epochs.

    Parameters
    ----------
    path : the file; its folder must exist
    keep : the callbacks whose state belongs to the run; put this one after them
    every : epochs between two saves
    """

    def __init__(self, path: str | os.PathLike[str], keep: Sequence[Callback] = (), every: int = 1) -> None:
        if every < 1:
            raise InputError(f"a checkpoint is made every 1 or more epochs, not every {every}")
        self.path, self.keep, self.every = Path(path), tuple(keep), every
        if not self.path.parent.is_dir():
            raise InputError(f"the folder {self.path.parent} for the checkpoint does not exist")

    def on_epoch(self, run: Run) -> None:
        if run.epoch % self.every == 0:
            save_checkpoint(run, self.path, self.keep)
