"""Results for other programs: tables of runs (CSV, parquet), of arms (LaTeX, markdown), JSON, TensorBoard."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glassnet.errors import InputError, MissingExtra, unknown_name
from glassnet.lab.measures import MEASURES
from glassnet.lab.outcome import Family, Outcome
from glassnet.lab.store import RunStore

__all__ = [
    "KINDS",
    "arms_latex",
    "arms_markdown",
    "export_outcome",
    "outcome_json",
    "outcome_markdown",
    "run_rows",
]

KINDS = ("csv", "parquet", "md", "tex", "json", "tensorboard")


def run_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """One row for every run of an experiment, trials included: arm, settings, seed, scores, time."""
    rows = []
    for family in outcome.families:
        stage = "tuned" if family.tuned else "as planned"
        rows += [_row(stage, arm.name, result) for arm in family.arms for result in arm.results]
    for tuned in outcome.tuning:
        rows += [_row("trial", tuned.arm, r) for trial in tuned.trials for r in trial.results]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _row(stage: str, arm: str, result: Any) -> dict[str, Any]:
    spec = result.spec
    flat = {f"model.{k}": v for k, v in spec.model.model_dump(mode="json").items()}
    flat |= {f"training.{k}": v for k, v in spec.training.model_dump(mode="json").items()}
    flat = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in flat.items()}
    flat["training.batch_size"] = str(spec.training.batch_size)
    scores = {f"{part}.{k}": v for part, all_ in result.scores.items() for k, v in all_.items()}
    return {
        "stage": stage, "arm": arm, "key": result.key, "seed": spec.seed, "status": result.status,
        "why": result.why, **flat, "threshold": spec.decision.threshold, **scores, "epochs": result.epochs,
        "seconds": result.seconds,
    }  # fmt: skip


def arms_markdown(family: Family, metric: str) -> str:
    """The arms as a markdown table."""
    lines = [f"| arm | {MEASURES[metric].words} | 95 % interval | seeds | failed |", "|---|---|---|---|---|"]
    for arm in family.arms:
        name = arm.name.replace("|", "\\|")
        shown = f"**{arm.mean:.4f}**" if arm.name in family.best else f"{arm.mean:.4f}"
        interval = f"{arm.low:.4f} to {arm.high:.4f}"
        lines.append(f"| {name} | {shown} | {interval} | {len(arm.results)} | {arm.failed} |")
    return "\n".join(lines) + "\n"


def outcome_markdown(outcome: Outcome) -> str:
    """Tables, verdicts and their limits as they can stand in a document: nothing has to be copied by hand."""
    blocks = []
    for family in outcome.families:
        table = arms_markdown(family, outcome.experiment.metric)
        said = "\n".join(f"- {sentence}" for sentence in family.sentences)
        title = family.title[0].upper() + family.title[1:]
        bold = "; bold: among the best" if family.best else ""
        blocks.append(f"**{title}** ({len(family.seeds)} seeds{bold})\n\n{table}\n{said}\n")
    chosen = [
        f"- {t.arm}: {', '.join(f'{path} {value:g}' for path, value in t.best.items())} "
        f"(best of {len(t.trials)} trials)"
        for t in outcome.tuning
    ]
    if chosen:
        blocks.append("Chosen on validation rows:\n\n" + "\n".join(chosen) + "\n")
    blocks.append("Limits:\n\n" + "\n".join(f"- {limit}" for limit in outcome.limits) + "\n")
    env = outcome.environment
    blocks.append(
        f"Plan {outcome.hash}: {outcome.n_runs} runs, {outcome.compute:,.0f} seconds of training in all, one "
        f"BLAS thread each; {env['processor']}; glassnet {env['glassnet']}, numpy {env['numpy']}.\n"
    )
    return "\n".join(blocks)


def arms_latex(family: Family, metric: str) -> str:
    """The arms as a LaTeX table (booktabs); bold: not distinguishable from the best."""
    lines = [r"\begin{tabular}{lrrrr}", r"\toprule"]
    lines.append(rf"arm & {_tex(MEASURES[metric].words)} & 95\,\% interval & seeds & failed \\ \midrule")
    for arm in family.arms:
        mean = rf"\textbf{{{arm.mean:.4f}}}" if arm.name in family.best else f"{arm.mean:.4f}"
        cells = [
            _tex(arm.name),
            mean,
            f"{arm.low:.4f}--{arm.high:.4f}",
            str(len(arm.results)),
            str(arm.failed),
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _tex(text: str) -> str:
    """Text with LaTeX's signs made harmless.

    >>> print(_tex("a_b & 5 %"))
    a\\_b \\& 5 \\%
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "²": "$^2$"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in text)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Everything that was found as plain JSON; what is not finite becomes null."""
    families = [
        {
            "title": family.title, "seeds": list(family.seeds), "best": list(family.best),
            "target": family.target, "sentences": list(family.sentences),
            "arms": [
                {"name": a.name, "values": a.values, "mean": a.mean, "low": a.low, "high": a.high,
                 "scores": a.scores.tolist(), "failed": a.failed, "seconds": a.seconds,
                 "epochs_to_target": a.to_target.tolist(), "at_edge": list(a.at_edge)}
                for a in family.arms
            ],
            "comparisons": [{**asdict(pair), "shown": pair.shown} for pair in family.comparisons],
        }
        for family in outcome.families
    ]  # fmt: skip
    tuning = [
        {"arm": t.arm, "best": t.best, "score": t.score, "at_edge": list(t.at_edge), "seconds": t.seconds,
         "trials": [{"values": trial.values, "score": trial.score} for trial in t.trials]}
        for t in outcome.tuning
    ]  # fmt: skip
    plain: dict[str, Any] = _finite({
        "title": outcome.experiment.title, "hash": outcome.hash, "data": outcome.data,
        "metric": outcome.experiment.metric, "verdicts": list(outcome.verdicts),
        "limits": list(outcome.limits), "families": families, "tuning": tuning, "runs": outcome.n_runs,
        "missing": outcome.missing, "interrupted": outcome.interrupted, "compute_seconds": outcome.compute,
        "environment": outcome.environment,
    })  # fmt: skip
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def export_outcome(
    outcome: Outcome, folder: str | Path, kinds: tuple[str, ...], store: RunStore
) -> list[Path]:
    """Write an experiment into a folder in each of these kinds; returns what was written.

    Parameters
    ----------
    kinds : of `KINDS`: "csv" and "parquet" have one row per run, "tex" the arms, "md" the arms with the
        verdicts, "json" all results, "tensorboard" the curves of every final run (needs the extra)
    """
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind of export", kind, KINDS)
    target = Path(folder)
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            path = target / (kind if kind == "tensorboard" else f"runs.{kind}")
            if kind in ("md", "tex"):
                path = target / f"arms.{kind}"
                metric = outcome.experiment.metric
                text = (
                    outcome_markdown(outcome) if kind == "md"
                    else "\n".join(arms_latex(family, metric) for family in outcome.families)
                )  # fmt: skip
                path.write_text(text, encoding="utf-8")
            elif kind == "json":
                path = target / "outcome.json"
                path.write_text(
                    json.dumps(outcome_json(outcome), indent=1, allow_nan=False), encoding="utf-8"
                )
            elif kind == "tensorboard":
                _tensorboard(outcome, path, store)
            else:
                import polars

                frame = polars.DataFrame(run_rows(outcome), infer_schema_length=None)
                (frame.write_csv if kind == "csv" else frame.write_parquet)(path)
            written.append(path)
    except OSError as error:
        raise InputError(f"cannot write the export to {target}: {error.strerror or error}") from None
    return written


def _tensorboard(outcome: Outcome, folder: Path, store: RunStore) -> None:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise MissingExtra("export to TensorBoard", "tensorboard") from None
    for family in outcome.families:
        for arm in family.arms:
            for result in arm.results:
                stage = "tuned" if family.tuned else "as-planned"
                writer = SummaryWriter(
                    str(folder / stage / arm.name.replace("/", "-") / str(result.spec.seed))
                )
                for name, values in store.history(result.key).items() if result.epochs else ():
                    for epoch, value in enumerate(values, 1):
                        if name != "epoch" and math.isfinite(value):
                            writer.add_scalar(name, value, epoch)
                writer.close()
