"""What a training begins with: settings that make sense, and a Run, a new one or one to go on with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.numbers import whole
from glassnet.nn.optimizers import Optimizer
from glassnet.nn.optimizers import optimizer as resolve_optimizer
from glassnet.nn.registry import in_words
from glassnet.nn.schedules import Schedule
from glassnet.train.feed import Feed
from glassnet.train.history import History
from glassnet.train.run import Run, has_state
from glassnet.train.treatments import check_treatments

__all__ = ["begin", "check_feeds", "pace_of", "settings_of", "steps_of"]

EPOCHS = 10  # of a training that says nothing of them
PROBES = 8  # looks at a schedule before the first step


def check_feeds(network: Network, train: Feed, validation: Feed | None) -> None:
    """Refuse rows in no form, or in that of another network."""
    for name, feed in (("train", train), ("validation", validation)):
        if feed is not None or name == "train":
            if not isinstance(feed, Feed):
                raise InputError(
                    f"{name} must be a Feed, not {type(feed).__name__}: make one, Feed(network, X, y)"
                )
            feed.check(name, network)


def steps_of(batch_size: int | str, train: Feed, drop_last: bool) -> tuple[int, int]:
    """Rows per step and steps per epoch."""
    if batch_size == "full":
        size = len(train)
    elif isinstance(batch_size, int | np.integer) and batch_size >= 1:
        size = min(int(batch_size), len(train))
    else:
        raise InputError(f"batch_size must be a whole number of at least 1, or 'full', not {batch_size!r}")
    return size, len(train) // size if drop_last else -(-len(train) // size)


def settings_of(
    train: Feed, size: int, drop_last: bool, shuffle: Any, schedule: Schedule, treatments: Sequence[Any],
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What decides on the steps besides network and optimizer, in words and numbers that can be kept."""
    check_treatments(treatments)
    if not isinstance(shuffle, bool | np.bool_) and not callable(shuffle):
        raise InputError(
            f"shuffle must be True, False, or a function from row numbers to their order, not {shuffle!r}"
        )
    return {
        "training rows": len(train), "rows per step": size, "drop_last": bool(drop_last),
        "shuffle": in_words(shuffle), "seed": whole("seed", seed, least=0), "schedule": in_words(schedule),
        "treatments": f"[{', '.join(map(in_words, treatments))}]", "augmentation": in_words(train.augment),
    }  # fmt: skip


def begin(
    network: Network, optimizer: str | Optimizer | None, epochs: int | None, validate_every: int,
    settings: dict[str, Any], callbacks: Sequence[Any], recorded: Sequence[str], resume: Run | None,
) -> Run:  # fmt: skip
    """A new run, or the one to resume if it is to go on as it began."""
    if resume is not None and not isinstance(resume, Run):
        raise InputError(f"resume must be a Run, as load_checkpoint gives one, not {resume!r}")
    asked = (resume.epochs if resume else EPOCHS) if epochs is None else epochs
    whole("epochs", asked)
    whole("validate_every", validate_every)
    if resume is None:
        made = resolve_optimizer("adam" if optimizer is None else optimizer)
        run = Run(network, made, History(), asked)
        made.start(network)
    else:
        run = resume
        _check_resumed(run, network, optimizer, asked, settings, callbacks)
    run.settings = settings | {"epochs": asked}
    run.callbacks, run.recorded = tuple(callbacks), tuple(recorded)
    run.began_with = run.began_with or repr(run.optimizer)
    return run


def _check_resumed(
    run: Run, network: Network, optimizer: str | Optimizer | None, epochs: int, settings: dict[str, Any],
    callbacks: Sequence[Any],
) -> None:  # fmt: skip
    """Refuse to go on in another way than it began."""
    if run.network is not network:
        raise InputError("the run to resume belongs to another network: pass the one it was loaded into")
    if optimizer is not None and optimizer is not run.optimizer:
        raise InputError("the run to resume has its own optimizer, with its moments: leave optimizer out")
    if epochs != run.epochs:
        raise InputError(
            f"the run to resume is to end after {run.epochs} epochs, not {epochs}: leave epochs out, "
            f"or load the checkpoint for {epochs}"
        )
    constant = settings["schedule"] == "constant"  # then it does not matter where the end is
    new = settings if constant else settings | {"epochs": epochs}
    other = [f"{k} {run.settings[k]}, not {v}" for k, v in new.items() if run.settings.get(k, v) != v]
    if other:
        raise InputError(
            f"the run to resume was trained with {'; '.join(other)}: give the same, to go on bit for bit"
        )
    if run.restored is None:  # it comes from no file
        return
    for callback in callbacks:
        if has_state(callback) and not any(callback is known for known in run.restored):
            raise InputError(
                f"{type(callback).__name__} has no state of the earlier epochs: give this very object to "
                "load_checkpoint, too, or leave it out"
            )


def pace_of(run: Run, factor_at: Schedule, n_steps: int) -> Callable[[int], float]:
    """The factor on the learning rate in each step, after some looks at those to come.

    Raises
    ------
    InputError : the schedule gives something that is no number of at least 0
    """

    def pace(step: int) -> float:
        p = min(step / n_steps, 1.0)
        factor = factor_at(p)
        try:
            fine = 0 <= factor < math.inf
        except (TypeError, ValueError):  # no number, or several
            fine = False
        if not fine:
            raise InputError(
                f"the schedule {in_words(factor_at)} gives {factor!r} at progress {p:g}: "
                "a factor on the learning rate must be a number of at least 0"
            )
        return float(factor) * run.lr_factor

    for step in (*range(0, n_steps, -(-n_steps // PROBES)), n_steps - 1):
        pace(step)
    return pace
