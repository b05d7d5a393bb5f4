"""Find each contestant's best settings: vary one after the other, keep what is fastest and still trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Trial", "agrees", "search", "trains", "words"]

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One choice of settings, tried: the time of a repeat in the row's unit, or why there is none."""

    settings: Settings
    time: float = math.inf
    loss: float | None = None
    failure: str = ""

    def as_json(self) -> dict[str, Any]:
        time = self.time if math.isfinite(self.time) else None
        return {"settings": dict(self.settings), "time": time, "loss": self.loss, "failure": self.failure}


def search(
    choices: Mapping[str, tuple[Any, ...]], measure: Callable[[Settings], Trial], start: Settings
) -> tuple[Trial, list[Trial]]:
    """The best trial, and all of them.

    Every setting is varied with all others at the best seen so far; what fails or does not train has an
    infinite time. `start` gives better first values for settings that are among the choices.
    """
    current = {name: values[0] for name, values in choices.items()}
    current |= {name: value for name, value in start.items() if value in choices.get(name, ())}
    best = measure(current)
    tried = [best]
    for name, values in choices.items():
        # A choice without effect while another has its present value ("compiled" while eager) is not tried
        # twice over: `relevant` names those.
        for value in values:
            if value == best.settings[name] or not relevant(name, best.settings):
                continue
            trial = measure({**best.settings, name: value})
            tried.append(trial)
            if trial.time < best.time:
                best = trial
    return best, tried


def relevant(name: str, settings: Settings) -> bool:
    """Whether a setting has an effect beside the others.

    What to compile has none if nothing is compiled; nor has the number of threads of one training if
    several run at a time, with one each.
    """
    without = (name == "compiled" and settings.get("mode") == "eager") or (
        name == "threads" and settings.get("workers", 1) > 1
    )
    return not without


def trains(loss: float | None, reference: float | None) -> bool:
    """Whether a loss is as low as another's after the same epochs, give or take chance."""
    if loss is None or reference is None:
        return True
    return math.isfinite(loss) and loss <= 1.15 * reference + 0.05


def agrees(loss: float | None, reference: float | None) -> bool:
    """Whether two losses after the same epochs are near enough to come from the same work."""
    return trains(loss, reference) and trains(reference, loss)


def words(settings: Settings) -> str:
    """Settings in one line, those without effect left out.

    >>> words({"data": "uint8", "threads": 2})
    'uint8, threads 2'
    """
    shown = {k: v for k, v in settings.items() if relevant(k, settings)}
    return ", ".join(f"{k} {v}" if isinstance(v, int) else str(v) for k, v in shown.items()) or "defaults"
