"""One RunSpec -> one run folder."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from glassnet import __version__
from glassnet.data.dataset import Dataset
from glassnet.errors import InputError
from glassnet.lab.environment import environment
from glassnet.lab.spec import FORMAT, RunSpec
from glassnet.lab.store import CHECKPOINT, Result, RunStore, disk, replaced
from glassnet.lab.train_one import Trained, chance_scores, divide, train_one
from glassnet.nn.save import save_network
from glassnet.train import Callback, Run

__all__ = ["run_one"]


class _HistoryFile(Callback):
    """One line of JSON for every epoch, flushed: what happened is readable while it happens."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def on_start(self, run: Run) -> None:
        for epoch in range(len(run.history)):  # it goes on from a checkpoint
            self._write(run, epoch)

    def on_epoch(self, run: Run) -> None:
        self._write(run, -1)

    def _write(self, run: Run, epoch: int) -> None:
        line = {name: column[epoch] for name, column in run.history.values.items()}
        plain = {name: value if math.isfinite(value) else None for name, value in line.items()}
        self.file.write(json.dumps(plain) + "\n")
        self.file.flush()


def run_one(spec: RunSpec, dataset: Dataset, store: RunStore, *, wait: bool = True) -> Result | None:
    """Do a run unless it is done, and leave its folder; two processes never do the same one.

    Parameters
    ----------
    dataset : with its fingerprint; `select_rows` has been applied
    wait : while another process is at this run, wait for it; else return None at once

    Returns
    -------
    Result : also of a run that diverged or failed; those count as a constant prediction

    Raises
    ------
    InputError : the disk is full or cannot be written
    MemoryError, KeyboardInterrupt : nothing is recorded, the run is unfinished
    """
    key = spec.key(dataset.fingerprint)
    done = store.load(key)
    if done is not None:
        return done
    with disk(store.folder(key)):
        lock = store.lock(key)
        with lock.tried() as mine:
            if mine:
                return store.load(key) or _do(spec, dataset, store, key)
        if not wait:
            return None
        with lock.held():
            return store.load(key) or _do(spec, dataset, store, key)


def _do(spec: RunSpec, dataset: Dataset, store: RunStore, key: str) -> Result:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the bits of a product depend on the number of threads
        env = {**environment(seed=spec.seed), "data": dataset.fingerprint, "rows": str(len(dataset))}
        folder = store.begin(key, spec.identity(dataset.fingerprint), env)
        plain: dict[str, Any] = {
            "format": FORMAT, "glassnet": __version__, "fingerprint": dataset.fingerprint, "scores": {},
            "threshold": None, "epochs": 0, "seconds": 0.0, "n_parameters": 0,
        }  # fmt: skip
        try:
            with (folder / "history.jsonl").open("w", encoding="utf-8") as file:
                trained = train_one(spec, dataset, [_HistoryFile(file)], folder / CHECKPOINT)
                os.fsync(file.fileno())
        except (MemoryError, OSError):
            raise  # the machine's trouble, not the setting's: nothing is recorded
        except Exception as error:
            why = f"{type(error).__name__}: {error}" if not isinstance(error, InputError) else str(error)
            chance = chance_scores(spec, dataset, divide(dataset, spec.data, spec.seed))
            plain |= {"status": "failed", "why": why, "chance": chance, "rows": {}}
        else:
            if trained.history.interrupted:
                raise KeyboardInterrupt
            plain |= _record(folder, trained)
        store.finish(key, plain)
    result = store.load(key)
    assert result is not None
    return result


def _record(folder: Path, trained: Trained) -> dict[str, Any]:
    """Write weights and predictions; the rest of what result.json will say."""
    history, network = trained.history, trained.network
    model = folder / "model.safetensors"
    save_network(network, model)
    with model.open("rb") as written:
        os.fsync(written.fileno())
    with replaced(folder / "predictions.npz") as file:
        np.savez(file, allow_pickle=False, **trained.predictions)
    finite = all(math.isfinite(v) for scores in trained.scores.values() for v in scores.values())
    broken = bool(history.diverged) or not finite or len(trained.scores) < len(trained.chance)
    return {
        "status": "diverged" if broken else "done",
        "why": history.diverged or history.stopped or ("outputs are not finite" if broken else ""),
        "scores": {} if broken else trained.scores,
        "chance": trained.chance, "threshold": trained.threshold, "epochs": len(history),
        "seconds": trained.seconds, "rows": trained.rows, "n_parameters": network.n_parameters,
    }  # fmt: skip
