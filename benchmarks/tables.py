"""Results as a JSON file, which is the truth, and as a page made from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.document import write_whole
from benchmarks.settings import words
from benchmarks.works import WORKS

__all__ = ["load_results", "merge", "page", "write"]

Json = dict[str, Any]
SHARE_TARGETS = {32: 0.6, 128: 0.75}


def load_results(out: Path) -> Json:
    """What `write` has written, or nothing yet."""
    path = out / "engine.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": {}, "environments": [], "cold": None}


def merge(old: Json, rows: Mapping[str, Json], cold: Json | None, environment: Mapping[str, str]) -> Json:
    """Old results with these rows in place of older ones; every row names its environment by number."""
    environments = [*old["environments"], dict(environment)]
    number = len(environments) - 1
    merged = {**old["rows"], **{key: {**row, "environment": number} for key, row in rows.items()}}
    new_cold = old["cold"] if cold is None else {**cold, "environment": number}
    used = sorted({row["environment"] for row in [*merged.values(), *filter(None, [new_cold])]})

    def numbered(row: Json) -> Json:
        """A new row: the old results are merged once more, after the next row."""
        return {**row, "environment": used.index(row["environment"])}

    return {
        "environments": [environments[i] for i in used],
        "rows": {key: numbered(merged[key]) for key in WORKS if key in merged},
        "cold": new_cold and numbered(new_cold),
    }


def write(out: Path, results: Json) -> None:
    """Write engine.json and engine.md: each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("engine.json", json.dumps(results, indent=1) + "\n"), ("engine.md", page(results))):
        write_whole(out / name, text)


def page(results: Json) -> str:
    """The results in Markdown."""
    rows = results["rows"]
    present = {name for row in rows.values() for name in row["contestants"]}
    names = [name for name in CONTESTANTS if name in present and CONTESTANTS[name].peer]
    peers = [name for name in names if CONTESTANTS[name].beside]
    parts = ["# The engine beside its peers", "Made by `python -m benchmarks`; do not edit. What it means: "
             "[benchmarks.md](../benchmarks.md)."]  # fmt: skip
    if rows:
        parts += ["## Times", "Median (and minimum) of all turns; lower is better.", _times(rows, names)]
        parts += [
            "## glassnet's time as a share of each peer's",
            "Ratio of the medians in the same run (of the minima). Below 1 glassnet is faster; **bold** "
            'where it is not. "Both bf16" is of glassnet that may round factors, too, and PyTorch\'s.',
            _ratios(rows, peers),
        ]
        parts += ["## Peak memory", "MiB resident at most, of the whole process with its data."]
        parts += [_memory(rows, names)]
    if any("share" in row for row in rows.values()):
        parts += [
            "## Share of the ideal",
            "Time of the matrix products alone / time of the epoch.",
            _share(rows),
        ]
    if results["cold"]:
        parts += ["## Cold start", _cold(results["cold"])]
    if rows:
        parts += ["## Settings", "Those that were fastest and trained, for each contestant and work.",
                  _settings(rows, peers)]  # fmt: skip
        if notes := _notes(rows):
            parts += ["## Notes", notes]
    parts += ["## Machines", _environments(results)]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, body)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def _times(rows: Mapping[str, Json], names: list[str]) -> str:
    def cell(row: Json, name: str) -> str:
        c = row["contestants"].get(name)
        if c is None:
            return "-"
        if "median" not in c:
            return "failed"
        return f"{_number(c['median'])} ({_number(c['min'])}){' *' if c['note'] else ''}"

    return _table(
        ["", "work", "unit", *names],
        ([key, row["title"], row["unit"], *(cell(row, name) for name in names)] for key, row in rows.items()),
    )


def _ratios(rows: Mapping[str, Json], peers: list[str]) -> str:
    def cell(ratio: Json | None) -> str:
        if ratio is None:
            return "-"
        text = f"{ratio['median']:.2f} ({ratio['min']:.2f})"
        return f"**{text}**" if ratio["median"] >= 1 else text

    def line(row: Json) -> list[str]:
        ratios = row.get("ratios", {})
        return [*(cell(ratios.get(name)) for name in peers), cell(row.get("rounded"))]

    return _table(["", *peers, "both bf16"], ([key, *line(row)] for key, row in rows.items()))


def _memory(rows: Mapping[str, Json], names: list[str]) -> str:
    def cell(row: Json, name: str) -> str:
        peak = row["contestants"].get(name, {}).get("peak_mb")
        return "-" if peak is None else f"{peak:.0f}"

    return _table(["", *names], ([key, *(cell(row, name) for name in names)] for key, row in rows.items()))


def _share(rows: Mapping[str, Json]) -> str:
    body = []
    for key, row in rows.items():
        if "share" in row:
            products, mine = row["contestants"]["products"], row["contestants"]["glassnet"]
            target = SHARE_TARGETS[WORKS[key].batch_size]
            reached = row["share"]["median"]
            text = f"{reached:.2f}" if reached >= target else f"**{reached:.2f}**"
            text += f" ({row['share']['min']:.2f})"
            body.append([key, _number(products["median"]), _number(mine["median"]), text, str(target)])
    return _table(["", "products alone, s", "glassnet, s", "share (of the minima)", "target"], body)


def _cold(cold: Json) -> str:
    first, cached = cold["first_compile"], cold["cached"]
    return (
        "`import glassnet` and the first training step (3072-128-10, Adam, batch 32), in a new process:\n\n"
        f"- kernels cached: {cached['inside']['median']:.2f} s (at least {cached['inside']['min']:.2f}); "
        f"with the start of Python itself {cached['process']['median']:.2f} s. Target: under 1.5 s.\n"
        f"- kernels compiled for the first time ever: {first['inside']:.1f} s. Target: under 20 s."
    )


def _settings(rows: Mapping[str, Json], peers: list[str]) -> str:
    body = []
    for key, row in rows.items():
        for name in peers:
            c = row["contestants"].get(name)
            if c is not None and c["setting"]:
                body.append(
                    [key, name, words(c["setting"]), str(len(c["tried"])) if c["tried"] else "not searched"]
                )
    return _table(["", "contestant", "setting", "choices tried"], body)


def _notes(rows: Mapping[str, Json]) -> str:
    lines = []
    for key, row in rows.items():
        if row["turns"] < 5:
            lines.append(f"- {key}: {row['turns']} turn(s) only: a quick look, not a measurement.")
        lines += [f"- {key}, {name}: {c['note']}." for name, c in row["contestants"].items() if c["note"]]
    return "\n".join(lines)


def _environments(results: Json) -> str:
    parts = []
    for number, environment in enumerate(results["environments"]):
        rows = [key for key, row in results["rows"].items() if row["environment"] == number]
        blas = {
            c["blas"] for key in rows for c in results["rows"][key]["contestants"].values() if c.get("blas")
        }
        if results["cold"] and results["cold"]["environment"] == number:
            rows.append("cold start")
        lines = [f"{', '.join(rows)}:", ""]
        lines += [f"- {name}: {value}" for name, value in environment.items()]
        lines += [f"- BLAS beside the contestants' own: {text}" for text in sorted(blas)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
