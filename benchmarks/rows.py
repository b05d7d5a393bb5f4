"""One row of the table: settings are chosen, then all contestants take turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, Kind, Settings
from benchmarks.processes import Failed, Process
from benchmarks.settings import Trial, agrees, search, trains, words
from benchmarks.works import Work

__all__ = ["Plan", "measure_row"]

Json = dict[str, Any]

_TRIAL_SECONDS = 4.0  # slow ones are told apart by fewer repeats


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Parameters
    ----------
    folder : of the prepared data
    n_rows : rows of each data set by its name
    repeats : turns of every contestant
    trial_repeats : repeats of each trial of settings, of which the fastest counts
    short : fewer epochs and calls, for a quick look
    pause : seconds between two turns, in which the last one's threads stop spinning
    names : the contestants
    settings : "search", "first" (no search), or "kept" (search only where none are known)
    say : takes the news
    """

    folder: Path
    n_rows: Mapping[str, int]
    repeats: int
    trial_repeats: int
    short: bool
    pause: float
    names: Sequence[str]
    settings: str
    say: Callable[[str], None]


def measure_row(work: Work, plan: Plan, known: Mapping[str, Json]) -> Json:
    """Measure one work with everybody who takes part.

    Parameters
    ----------
    known : rows measured before, by key; settings are taken from them where the plan or the work says so
    """
    shown = work.shortened() if plan.short else work
    kinds = [CONTESTANTS[name] for name in plan.names if work.key in CONTESTANTS[name].keys]
    chosen = _choose(work, kinds, plan, known)
    finalists: dict[str, Process] = {}
    contestants: dict[str, Json] = {}
    try:
        for kind in kinds:
            entry = contestants[kind.name] = chosen[kind.name] | {"times": [], "note": ""}
            if entry["setting"] is None:
                entry["note"] = "no setting works: " + entry["tried"][0]["failure"]
                continue
            try:
                finalists[kind.name] = Process(kind, work, entry["setting"], plan.folder, short=plan.short)
                entry["blas"] = finalists[kind.name].blas
            except Failed as failure:
                entry["note"] = str(failure)
        _take_turns(shown, plan, finalists, contestants)
        for name, process in list(finalists.items()):
            try:
                contestants[name] |= process.finish()
            except Failed as failure:
                contestants[name]["note"] = str(failure)
    finally:
        for process in finalists.values():
            process.stop()
    return _row(work, contestants, plan)


def _take_turns(work: Work, plan: Plan, finalists: dict[str, Process], contestants: dict[str, Json]) -> None:
    """One repeat of each in turn; another one begins every round, so that nobody always follows the same."""
    n_rows = plan.n_rows[work.data]
    for turn in range(plan.repeats):
        names = list(finalists)
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            time.sleep(plan.pause)
            try:
                seconds = finalists[name].repeat()
            except Failed as failure:
                contestants[name]["note"] = str(failure)
                finalists.pop(name).stop()
                continue
            contestants[name]["times"].append(work.in_unit(seconds, n_rows))
        latest = (f"{name} {contestants[name]['times'][-1]:.4g}" for name in finalists)
        plan.say(f"{work.key} turn {turn + 1}/{plan.repeats} ({work.unit}): {', '.join(latest)}")


def _choose(work: Work, kinds: list[Kind], plan: Plan, known: Mapping[str, Json]) -> dict[str, Json]:
    """For every contestant the setting it will run with, and what was tried; None if nothing worked."""
    chosen: dict[str, Json] = {}
    before = known.get(work.key, {}).get("contestants", {})
    borrowed = known.get(work.settings_from, {}).get("contestants", {})
    reference: float | None = None
    for kind in kinds:
        choices = kind.choices(work)
        first = {name: values[0] for name, values in choices.items()}
        old = before.get(kind.name, {}).get("setting")
        if all(len(values) == 1 for values in choices.values()) or plan.settings == "first":
            chosen[kind.name] = {"setting": first, "tried": []}
            continue
        if plan.settings == "kept" and old is not None and set(old) == set(choices):
            chosen[kind.name] = {"setting": old, "tried": before[kind.name]["tried"]}
            continue
        lent = borrowed.get(kind.name, {}).get("setting")
        start = lent or (chosen.get(kind.starts_from, {}).get("setting") or {})
        if lent:  # what the other work has found stands; only what that one does not have is varied
            choices = {k: (lent[k],) if k in lent and lent[k] in v else v for k, v in choices.items()}
        if reference is None and work.kind != "predict":
            reference = _try(CONTESTANTS["glassnet"], work, {}, plan, None).loss

        def measure(settings: Settings, kind: Kind = kind, reference: float | None = reference) -> Trial:
            return _try(kind, work, settings, plan, reference)

        best, tried = search(choices, measure, start)
        works = math.isfinite(best.time)
        chosen[kind.name] = {
            "setting": dict(best.settings) if works else None, "tried": [trial.as_json() for trial in tried]
        }  # fmt: skip
    return chosen


def _try(kind: Kind, work: Work, settings: Settings, plan: Plan, reference: float | None) -> Trial:
    """A process of its own, a few repeats, and a look at whether it trains."""
    shown = work.shortened() if plan.short else work
    label = f"{work.key} trying {kind.name} ({words(settings)})"
    try:
        process = Process(kind, work, settings, plan.folder, short=plan.short)
        try:
            times = [process.repeat()]
            while len(times) < plan.trial_repeats and sum(times) < _TRIAL_SECONDS:
                times.append(process.repeat())
            seconds = min(times)
            loss = process.finish()["loss"]
        finally:
            process.stop()
    except Failed as failure:
        plan.say(f"{label}: {failure}")
        return Trial(settings, failure=str(failure))
    told = shown.in_unit(seconds, plan.n_rows[work.data])
    if not trains(loss, reference):
        plan.say(f"{label}: {told:.4g} {work.unit}, but does not train: loss {loss:.3f}, not {reference:.3f}")
        return Trial(settings, loss=loss, failure=f"does not train: loss {loss:.3f}")
    plan.say(f"{label}: {told:.4g} {work.unit}")
    return Trial(settings, told, loss)


def _row(work: Work, contestants: dict[str, Json], plan: Plan) -> Json:
    for entry in contestants.values():
        if entry["times"]:
            entry["median"], entry["min"] = statistics.median(entry["times"]), min(entry["times"])
    losses = [entry["loss"] for entry in contestants.values() if entry.get("loss") is not None]
    usual = statistics.median(losses) if losses else None
    for entry in contestants.values():
        if not agrees(entry.get("loss"), usual):
            entry["note"] = f"its loss is {entry['loss']:.3f} where {usual:.3f} is usual"
    row: Json = {"title": work.title, "unit": work.unit, "turns": plan.repeats, "contestants": contestants}
    mine = contestants.get("glassnet", {})
    if "median" in mine:
        timed = {name: c for name, c in contestants.items() if "median" in c}
        row["ratios"] = {name: _ratio(mine, c) for name, c in timed.items() if CONTESTANTS[name].beside}
        if "glassnet bf16" in timed and "torch bf16" in timed:
            row["rounded"] = _ratio(timed["glassnet bf16"], timed["torch bf16"])
        if "products" in timed:
            row["share"] = {k: timed["products"][k] / mine[k] for k in ("median", "min")}
    return row


def _ratio(mine: Json, other: Json) -> Json:
    return {key: mine[key] / other[key] for key in ("median", "min")}
