"""The coursework: look at the data, then four networks from one sigmoid unit to a modular comparison."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.checks import run_checks
from glassnet.data.dataset import Dataset
from glassnet.data.scaling import Scaling, fit_scaling
from glassnet.data.split import Split, split
from glassnet.errors import InputError, unknown_name
from glassnet.evaluate import best_f1_threshold, binary_scores, class_scores
from glassnet.lab.coursework_plan import Coursework
from glassnet.lab.environment import environment
from glassnet.lab.look import summarise
from glassnet.lab.parallel import Job, Trained, train_all
from glassnet.lab.plan import load_coursework
from glassnet.lab.references import (
    CIFAR10,
    LastEpoch,
    after_other_epochs,
    binary_references,
    part_3_references,
    part_4_references,
)
from glassnet.lab.results import Comparison, DataSummary, Part, Reference, Run, Study
from glassnet.lab.stories import LIMITS, STORIES, TITLES, settings_words, summary_words
from glassnet.nn import SGD, Dense
from glassnet.progress import Progress
from glassnet.train import Feed, outputs

__all__ = ["PARTS", "Work", "run_coursework", "set_out"]

Array = npt.NDArray[Any]
PARTS = (0, 1, 2, 3, 4)


def run_coursework(
    dataset: Dataset, plan: Coursework | None = None, *, parts: Sequence[int] | None = None,
    epochs_scale: float = 1.0, seed: int = 0, progress: Progress | None = None, command: str = "",
) -> Study:  # fmt: skip
    """Do the coursework, and put its own figures beside what was done with its own settings.

    Parameters
    ----------
    dataset : CIFAR-10's images; other classes work too (the first class then takes the airplane's place,
        and there are no figures to compare with)
    plan : None for the coursework's own settings, the file `lab/experiments/coursework.toml`; else what
        `lab.plan.load_coursework` gives
    parts : which of 0 (data), 1 (airplane or not, no hidden layer), 2 (the same with sigmoid units),
        3 (all classes), 4 (a modular network: activations and optimizers compared); None: the plan's
    epochs_scale : 0.1 for a tenth of the epochs
    seed : of split, first weights and order
    command : how to do this again, for the report

    Returns
    -------
    Study : also after Ctrl-C, with what was done until then and interrupted=True

    Raises
    ------
    InputError : a part that does not exist, a scale that is not positive, too few rows or classes, a positive
        class that is not in the data
    """
    started = time.perf_counter()
    progress = progress or Progress()
    work = set_out(dataset, plan, parts=parts, epochs_scale=epochs_scale, seed=seed)
    dataset, rows = work.dataset, work.rows
    data, interrupted = work.look_at(progress)
    jobs = {} if interrupted else work.all_jobs()
    flat = [job for group in jobs.values() for job in group]
    trained = iter(train_all(
        flat, dataset.X, rows.train, rows.validation, work.scaling, seed=seed, progress=progress
    ) if flat else [])  # fmt: skip
    finished = [work.report(part, [next(trained) for _ in group]) for part, group in jobs.items()]
    shown = tuple(part for part in finished if part.runs)
    interrupted |= any(run.interrupted for part in finished for run in part.runs) or len(shown) < len(
        finished
    )
    return Study(
        title=work.plan.title, summary=summary_words(dataset, rows, shown, interrupted), data=data,
        parts=shown, environment=environment(seed=seed, command=command),
        seconds=time.perf_counter() - started, interrupted=interrupted,
    )  # fmt: skip


def set_out(
    dataset: Dataset, plan: Coursework | None = None, *, parts: Sequence[int] | None = None,
    epochs_scale: float = 1.0, seed: int = 0,
) -> Work:  # fmt: skip
    """What `run_coursework` of the same arguments will do; nothing is trained yet."""
    plan = plan or load_coursework()
    chosen = sorted(set(plan.parts if parts is None else parts))
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        raise InputError(f"the coursework has parts 0 to 4, not {', '.join(map(str, unknown))}")
    if not epochs_scale > 0:
        raise InputError(f"epochs_scale must be above 0, not {epochs_scale}")
    if dataset.n_classes < 2:
        raise InputError(
            f"{dataset.name} has {dataset.n_classes} class(es): the coursework tells classes apart, "
            "so it needs at least 2 with their labels"
        )
    dataset = _with_names(dataset)
    rows = _divide(dataset, plan, seed)
    scaling = fit_scaling(dataset.X, plan.data.prepare, dataset.image, rows=rows.train)
    return Work(dataset, plan, tuple(chosen), _positive(dataset, plan), rows, scaling, epochs_scale, seed)


def _with_names(dataset: Dataset) -> Dataset:
    """The coursework's CSV file has codes 0 to 9 for labels: give them CIFAR-10's names."""
    codes = tuple(str(code) for code in range(len(CIFAR10)))
    if dataset.n_features == 3072 and dataset.class_names == codes:
        return replace(dataset, class_names=CIFAR10)
    return dataset


def _positive(dataset: Dataset, plan: Coursework) -> str:
    """The class of parts 1 and 2; the airplane's place is taken by the first class where there is none."""
    names = dataset.class_names
    if plan.data.positive in names:
        return plan.data.positive
    if plan.data.positive == CIFAR10[0]:
        return names[0]
    raise InputError(f"data.positive: {unknown_name('class', plan.data.positive, names)}")


def _divide(dataset: Dataset, plan: Coursework, seed: int) -> Split:
    """Of the held-out rows one half chooses thresholds and draws curves, the other is scored once.

    Test rows that came with the source stay test rows; a fifth of its training rows then validates.
    """
    if dataset.part is not None and (dataset.part == 2).any():
        return split(dataset, validation=0.2, seed=seed)
    return split(dataset, validation=plan.data.validation, test=plan.data.test, seed=seed)


@dataclass(frozen=True)
class Work:
    """One data set under one plan: which jobs there are, and what their results mean."""

    dataset: Dataset
    plan: Coursework
    parts: tuple[int, ...]
    positive: str
    rows: Split
    scaling: Scaling
    epochs_scale: float
    seed: int

    @property
    def yes_no(self) -> Dataset:
        return self.dataset.one_vs_rest(self.positive)

    def section(self, part: int) -> Any:
        return getattr(self.plan, f"part_{part}")

    def has_figures(self, part: int) -> bool:
        """The coursework's own figures stand beside its own data and settings only."""
        if self.dataset.class_names != CIFAR10 or self.dataset.n_features != 3072:
            return False
        own = load_coursework()
        data = self.plan.data.model_copy(update={"source": None})
        return bool(data == own.data and self.section(part) == getattr(own, f"part_{part}"))

    def epochs(self, part: int) -> int:
        planned: int = self.section(part).epochs
        return max(1, round(planned * self.epochs_scale))

    def look_at(self, progress: Progress) -> tuple[DataSummary, bool]:
        """Part 0, if it is wanted; True beside it if it was interrupted."""
        interrupted = False
        findings: tuple[Any, ...] = ()
        try:
            if 0 in self.parts:
                findings = tuple(run_checks(self.dataset, self.rows, progress=progress))
        except KeyboardInterrupt:
            interrupted = True
        return summarise(
            self.dataset, self.rows, scaling=self.scaling.words, findings=findings, seed=self.seed
        ), interrupted

    def all_jobs(self) -> dict[int, list[Job]]:
        """Part -> the networks that it trains."""
        return {part: self._jobs(part) for part in self.parts if part}

    def _jobs(self, part: int) -> list[Job]:
        spec, n_classes, y = self.section(part), self.dataset.n_classes, self.dataset.y
        if part == 4:
            return [
                Job(network.name, (Dense(spec.hidden, network.activation), Dense(n_classes)),
                    "softmax_cross_entropy", network.stepper(), spec.batch_size, self.epochs(4), y)
                for network in spec.network
            ]  # fmt: skip
        layers = [Dense(n_classes if part == 3 else 1, init="coursework_output")]
        label = "one sigmoid unit"
        if part > 1:
            layers.insert(0, Dense(spec.hidden, "sigmoid", init="coursework_hidden"))
            label = f"{spec.hidden} sigmoid units, {'softmax' if part == 3 else 'one output'}"
        return [
            Job(
                label=label, layers=tuple(layers),
                loss="softmax_cross_entropy" if part == 3 else "sigmoid_cross_entropy",
                optimizer=SGD(spec.lr), batch_size=spec.batch_size, epochs=self.epochs(part),
                y=y if part == 3 else self.yes_no.y,
            )
        ]  # fmt: skip

    def report(self, part: int, trained: list[Trained]) -> Part:
        """What a part found: its runs and the scores of rows that no training saw."""
        done = [t for t in trained if t.started and len(t.history)]
        runs = tuple(self._run(t) for t in done)
        empty = Part(f"part-{part}", TITLES[part].format(positive=self.positive), STORIES[part], runs)
        if not done:
            return empty
        if part == 4:
            reported = self._part_4(empty, done)
        else:
            reported = self._part_3(empty, done[0]) if part == 3 else self._binary(empty, done[0], part)
        fewest, planned = min(len(t.history) for t in done), self.section(part).epochs
        return reported if fewest == planned else replace(
            reported, references=after_other_epochs(reported.references, fewest, planned)
        )  # fmt: skip

    def _run(self, t: Trained) -> Run:
        job = t.job
        return Run(
            label=job.label,
            settings=settings_words(job, self.dataset.n_features, len(self.rows.train)) | {
                "parameters": t.network.n_parameters, "seed": self.seed,
            },
            history=dict(t.history.values), seconds=t.seconds, interrupted=t.history.interrupted,
            diverged=t.history.diverged,
        )  # fmt: skip

    def _logits(self, t: Trained, rows: Array) -> Array:
        return outputs(t.network, Feed(t.network, self.dataset.X, t.job.y, scaling=self.scaling, rows=rows))

    def _scored(self, label: str) -> str:
        return f"{label}, on {len(self.rows.test):,} test rows that no training or choice has seen"

    def _binary(self, part: Part, t: Trained, number: int) -> Part:
        p_validation, p_test = (
            t.network.loss.link(self._logits(t, rows))[:, 0].astype(np.float64)
            for rows in (self.rows.validation, self.rows.test)
        )
        if not (np.isfinite(p_validation).all() and np.isfinite(p_test).all()):
            return part  # diverged: the run says so; there is nothing to score
        threshold = best_f1_threshold(t.job.y[self.rows.validation], p_validation)
        scores = binary_scores(
            t.job.y[self.rows.test], p_test, self.yes_no.class_names,
            {"fixed at 0.5": 0.5, "best F1 on validation": threshold},
        )  # fmt: skip
        references = binary_references(number, scores) if self.has_figures(number) else ()
        return replace(part, binary=scores, references=references, scores_of=self._scored(t.job.label))

    def _part_3(self, part: Part, t: Trained) -> Part:
        Z, y = self._logits(t, self.rows.test), t.job.y[self.rows.test]
        if not np.isfinite(Z).all():
            return part
        scores = class_scores(y, Z.argmax(axis=1), self.dataset.class_names)
        references: tuple[Reference, ...] = ()
        if self.has_figures(3):
            by_their_rule = (t.network.loss.link(Z) > 0.5).argmax(axis=1)
            under_their_rule = class_scores(y, by_their_rule, self.dataset.class_names)
            losses = t.history["loss"]
            references = part_3_references(scores, under_their_rule, losses[0], losses[-1])
        return replace(part, scores=scores, references=references, scores_of=self._scored(t.job.label))

    def _last_epoch(self, t: Trained) -> LastEpoch:
        last = t.history.last
        return LastEpoch(last("loss"), last("accuracy"), last("val_loss"), last("val_accuracy"))

    def _part_4(self, part: Part, done: list[Trained]) -> Part:
        labels = tuple(t.job.label for t in done)
        asked = [
            (q.question, tuple(x for x in q.networks if x in labels)) for q in self.plan.part_4.comparison
        ]
        comparisons = tuple(Comparison(question, x, LIMITS) for question, x in asked if len(x) > 1)
        best = max(done, key=lambda t: t.history.last("val_accuracy"))  # NaN never wins: see `last`
        Z = self._logits(best, self.rows.test)
        scores = None
        if np.isfinite(Z).all():
            scores = class_scores(best.job.y[self.rows.test], Z.argmax(axis=1), self.dataset.class_names)
        compared = done if self.has_figures(4) else []
        references = tuple(
            reference for t in compared for reference in part_4_references(t.job.label, self._last_epoch(t))
        )
        return replace(
            part, scores=scores, comparisons=comparisons, references=references,
            scores_of=self._scored(f"{best.job.label} (best on validation)") if scores else "",
        )  # fmt: skip
