"""A training on its way, and whoever is told of it: the Run, the hooks, and calling them to the very end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.optimizers import Optimizer
from glassnet.train.history import History

__all__ = ["HOOKS", "Callback", "Run", "as_callbacks", "check_objects", "has_state", "told_of"]

HOOKS = ("on_start", "on_step", "on_epoch", "on_end")


@dataclass
class Run:
    """A training on its way: what callbacks see."""

    network: Network
    optimizer: Optimizer
    history: History
    epochs: int
    epoch: int = 0  # epochs done
    step: int = 0  # updates done
    factor: float = 1.0  # of the latest step's learning rate
    lr_factor: float = 1.0  # may be changed by callbacks; multiplies the schedule
    stopped: bool = False
    # What `fit` knows of it, and a checkpoint keeps:
    callbacks: Sequence[Any] = field(default=(), repr=False)  # all that are told of it, in their order
    recorded: Sequence[str] = field(default=(), repr=False)  # what the loop itself puts into the history
    settings: dict[str, Any] = field(default_factory=dict, repr=False)  # to be equal when it is resumed
    began_with: str = field(default="", repr=False)  # the optimizer: callbacks may change its lr later
    restored: Sequence[Any] | None = field(default=None, repr=False)  # callbacks that got their state back

    def stop(self, reason: str, *, interrupted: bool = False, diverged: bool = False) -> None:
        """Ask for the end after the present epoch; the reason goes into the history."""
        self.stopped = True
        self.history.stopped = reason
        self.history.interrupted |= interrupted
        if diverged:
            self.history.diverged = reason


class Callback:
    """Base of all callbacks: does nothing."""

    comes_last: ClassVar[bool] = False  # True for one that has to see what all others did in this epoch

    def on_start(self, run: Run) -> None:
        """Training begins, or goes on from a checkpoint."""

    def on_step(self, run: Run) -> None:
        """One update is done."""

    def on_epoch(self, run: Run) -> None:
        """One epoch is recorded in run.history."""

    def on_end(self, run: Run) -> None:
        """Training is over, for whatever reason."""

    def state(self) -> dict[str, Any]:
        """Arrays and numbers that a checkpoint must keep."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


class _Hooked(Callback):
    """Somebody's own object with some of the hooks, as a callback with all of them."""

    def __init__(self, thing: Any) -> None:
        for hook in HOOKS:
            if callable(getattr(thing, hook, None)):
                setattr(self, hook, getattr(thing, hook))  # its own: an on_step wants to be called


def check_objects(name: str, things: Any) -> None:
    """Refuse what is no list, or has a class in it where an object of that belongs."""
    if not isinstance(things, Sequence) or isinstance(things, str):
        raise InputError(f"{name} is a list, also of one: {name}=[...], not {things!r}")
    for i, thing in enumerate(things):
        if isinstance(thing, type):
            raise InputError(f"{name}[{i}] is the class {thing.__name__}: give an object of it, made with ()")


def as_callbacks(things: Sequence[Any]) -> list[Callback]:
    """What a loop calls for these objects, those that come last behind all others.

    Raises
    ------
    InputError : an object without any hook, a class in place of an object, no list

    Examples
    --------
    >>> as_callbacks([3])
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: callbacks[0] is 3, which has no on_start, on_step, on_epoch or on_end: ...
    """
    check_objects("callbacks", things)
    callbacks = [_as_callback(i, thing) for i, thing in enumerate(things)]
    return sorted(callbacks, key=lambda callback: callback.comes_last)


def _as_callback(i: int, thing: Any) -> Callback:
    if isinstance(thing, Callback):
        return thing
    if not any(callable(getattr(thing, hook, None)) for hook in HOOKS):
        raise InputError(
            f"callbacks[{i}] is {thing!r}, which has no {', '.join(HOOKS[:-1])} or {HOOKS[-1]}: "
            "give an object with at least one of these methods"
        )
    return _Hooked(thing)


def has_state(thing: Any) -> bool:
    """Whether a checkpoint has something to keep of this callback."""
    own = getattr(thing, "state", None)
    both = callable(own) and callable(getattr(thing, "restore", None))
    return both and getattr(own, "__func__", own) is not Callback.state


@contextmanager
def told_of(run: Run, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Tell callbacks of the start and of the end of what happens inside; Ctrl-C there only ends it.

    Whoever was told of the start is told of the end, whatever happens; the first error is raised after that.
    """
    started: list[Callback] = []
    errors: list[BaseException] = []
    try:
        try:
            for callback in callbacks:
                callback.on_start(run)
                started.append(callback)
        except KeyboardInterrupt:  # what is inside then sees a run that has stopped
            _interrupted(run)
        yield
    except KeyboardInterrupt:
        _interrupted(run)
    except BaseException as error:
        errors.append(error)
    for callback in started:
        try:
            callback.on_end(run)
        except BaseException as error:
            errors.append(error)
    for other in errors[1:]:
        errors[0].add_note(f"And then, at the end of the training: {other!r}")
    if errors:
        raise errors[0]


def _interrupted(run: Run) -> None:
    run.stop("interrupted by the user", interrupted=True)
