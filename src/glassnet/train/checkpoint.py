"""Checkpoints: everything a training needs to go on bit for bit, in one file written whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np

from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.nn.save import write_whole
from glassnet.train.history import History
from glassnet.train.run import Callback, Run, has_state

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

#: what a file has in any case, also one from an earlier version
_NUMBERS = {
    "network", "optimizer", "t", "epoch", "step", "factor", "lr_factor", "history", "diverged", "callbacks",
}  # fmt: skip


def save_checkpoint(run: Run, path: str | os.PathLike[str], callbacks: Sequence[Any] = ()) -> None:
    """Write the state of a run to a .npz file (arrays and JSON text, no pickles), atomically.

    Parameters
    ----------
    callbacks : of these, the ones that have a state; it is kept
    """
    arrays: dict[str, Any] = {"theta": run.network.theta, "state": run.network.state}
    arrays |= {f"moment {name}": value for name, value in run.optimizer.state.items()}
    numbers: dict[str, Any] = {
        "network": _told(run.network), "optimizer": run.began_with or _told(run.optimizer),
        "lr": run.optimizer.lr, "t": run.optimizer.t, "settings": run.settings,
        "epoch": run.epoch, "step": run.step, "factor": run.factor, "lr_factor": run.lr_factor,
        "history": run.history.values, "diverged": run.history.diverged, "callbacks": [],
    }  # fmt: skip
    for i, callback in enumerate(_with_state(callbacks)):
        state = callback.state()
        arrays |= {f"callback {i} {k}": v for k, v in state.items() if isinstance(v, np.ndarray)}
        plain = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
        numbers["callbacks"].append({"type": type(callback).__name__, "state": plain})
    file = io.BytesIO()
    np.savez(file, json=np.array(json.dumps(numbers, default=_plain)), **arrays)
    write_whole(path, file.getvalue())


def _with_state(callbacks: Sequence[Any]) -> list[Any]:
    return [callback for callback in callbacks if has_state(callback)]


def _plain(value: Any) -> Any:
    """What JSON writes for NumPy's numbers; anything else cannot be kept."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise InputError(f"a checkpoint cannot keep {value!r}: of a callback only numbers, text, lists, arrays")


def load_checkpoint(
    path: str | os.PathLike[str], network: Network, optimizer: Optimizer, epochs: int,
    callbacks: Sequence[Any] = (),
) -> Run:  # fmt: skip
    """Put a saved state into a network, optimizer and callbacks made as they were; give the Run to `fit`.

    Parameters
    ----------
    path : file written by `Checkpoint` or `save_checkpoint`
    network, optimizer : made with the same settings as when it was saved
    callbacks : made likewise, all that `fit` will be given; those without a state do not matter
    epochs : where the training is to end, counted from its first beginning: as before, unless the schedule
        is constant

    Raises
    ------
    InputError : the file is missing, damaged, or from other settings
    """
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        numbers = json.loads(str(arrays.pop("json")))
        if missing := (_NUMBERS - set(numbers)) | ({"theta", "state"} - set(arrays)):
            raise KeyError(*sorted(missing))
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise InputError(f"{path} is no checkpoint of glassnet, or it is damaged: {error}") from error
    for kind, thing in (("network", network), ("optimizer", optimizer)):
        if numbers[kind] != _told(thing):
            raise InputError(f"the checkpoint {path} was made with {numbers[kind]}, not {_told(thing)}")
    callbacks = _with_state(callbacks)
    entries = _entries(path, numbers["callbacks"], arrays, callbacks)
    try:
        moments = {name: arrays[f"moment {name}"] for name in optimizer.moments}
    except KeyError as error:
        raise InputError(f"{path} is damaged: it lacks {error}") from None
    network.theta[:], network.state[:] = arrays["theta"], arrays["state"]
    optimizer.lr = numbers.get("lr", optimizer.lr)  # callbacks may have changed it since the first step
    optimizer.restore(network, numbers["t"], moments)
    for callback, state in zip(callbacks, entries, strict=True):
        callback.restore(state)
    run = Run(
        network, optimizer, History(numbers["history"]), epochs, epoch=numbers["epoch"], step=numbers["step"],
        factor=numbers["factor"], lr_factor=numbers["lr_factor"], settings=numbers.get("settings", {}),
        began_with=numbers["optimizer"], restored=callbacks,
    )  # fmt: skip
    if numbers["diverged"]:
        run.stop(numbers["diverged"], diverged=True)
    return run


def _told(thing: Network | Optimizer) -> str:
    return f"{thing!r} in {thing.dtype}" if isinstance(thing, Network) else repr(thing)


def _entries(
    path: str | os.PathLike[str], saved: list[dict[str, Any]], arrays: dict[str, Any], callbacks: list[Any]
) -> list[dict[str, Any]]:  # fmt: skip
    """The saved state of each of these callbacks, which must be those that were kept."""
    given = [type(callback).__name__ for callback in callbacks]
    kinds, states = [], []
    for i, entry in enumerate(saved):
        prefix = f"callback {i} "
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)} | entry["state"]
        if own or entry["type"] in given:  # older files list those without a state, too
            kinds.append(entry["type"])
            states.append(own)
    if kinds != given:
        raise InputError(
            f"the checkpoint {path} was made with the callbacks {kinds}, not {given}: give the same ones"
        )
    return states


class Checkpoint(Callback):
    """Save the run at the end of every so many epochs, after all other callbacks wherever it stands.

    Parameters
    ----------
    path : the file; its folder must exist
    keep : the callbacks whose state belongs to the run; None for all of the run that have one
    every : epochs between two saves

    Raises
    ------
    InputError : no such folder; at the start, a callback with a state that is not among those to keep
    """

    comes_last: ClassVar[bool] = True

    def __init__(
        self, path: str | os.PathLike[str], keep: Sequence[Any] | None = None, every: int = 1
    ) -> None:  # fmt: skip
        if not isinstance(every, int | np.integer) or every < 1:
            raise InputError(f"a checkpoint is made every 1 or more epochs, not every {every!r}")
        self.path, self.keep, self.every = Path(path), None if keep is None else tuple(keep), every
        if not self.path.parent.is_dir():
            raise InputError(f"the folder {self.path.parent} for the checkpoint does not exist")

    def on_start(self, run: Run) -> None:
        if self.keep is None:
            return
        for callback in _with_state(run.callbacks):
            if not any(callback is kept for kept in self.keep):
                raise InputError(
                    f"the state of {type(callback).__name__} would be lost: leave out keep, or put it in"
                )

    def on_epoch(self, run: Run) -> None:
        if run.epoch % self.every == 0:
            save_checkpoint(run, self.path, run.callbacks if self.keep is None else self.keep)
