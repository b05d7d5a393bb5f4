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
from glassnet.errors import InputError
from glassnet.evaluate import best_f1_threshold, binary_scores, class_scores
from glassnet.lab.environment import environment
from glassnet.lab.look import summarise
from glassnet.lab.parallel import Job, Trained, train_all
from glassnet.lab.references import (
    CIFAR10,
    LastEpoch,
    after_fewer_epochs,
    binary_references,
    part_3_references,
    part_4_references,
)
from glassnet.lab.results import Comparison, DataSummary, Part, Reference, Run, Study
from glassnet.lab.stories import LIMITS, STORIES, TITLES, settings_words, summary_words
from glassnet.nn import SGD, Adam, Dense, Momentum, Optimizer
from glassnet.progress import Progress
from glassnet.train import Feed, outputs

__all__ = ["COURSEWORK", "Plan", "run_coursework", "run_plan"]

Array = npt.NDArray[Any]
PARTS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Plan:
    """The settings of the parts; the defaults are the coursework's own."""

    title: str = "The coursework on CIFAR-10"
    positive: str = "airplane"
    epochs: tuple[int, int, int, int] = (900, 1000, 2000, 50)  # of parts 1 to 4
    lr: tuple[float, float, float] = (0.01, 0.1, 0.1)  # of parts 1 to 3
    hidden: int = 64  # sigmoid units of parts 2 and 3
    wide: int = 128  # units of part 4
    batch_size: int = 32  # of part 4
    validation: float = 0.1  # shares of the rows: together the coursework's held-out 20 %
    test: float = 0.1
    part_4_lr: float = 0.01
    part_4_small_lr: float = 0.001


COURSEWORK = Plan()


def run_coursework(
    dataset: Dataset, *, parts: Sequence[int] = PARTS, epochs_scale: float = 1.0, seed: int = 0,
    progress: Progress | None = None, command: str = "",
) -> Study:  # fmt: skip
    """Do the coursework, with its own settings, and put its own figures beside the results.

    Parameters
    ----------
    dataset : CIFAR-10's images; other classes work too (the first class then takes the airplane's place,
        and there are no figures to compare with)
    parts : which of 0 (data), 1 (airplane or not, no hidden layer), 2 (the same with 64 sigmoid units),
        3 (ten classes), 4 (a modular network: activations and optimizers compared)
    epochs_scale : 0.1 for a tenth of the epochs
    seed : of split, first weights and order
    command : how to do this again, for the report

    Returns
    -------
    Study : also after Ctrl-C, with what was done until then and interrupted=True

    Raises
    ------
    InputError : a part that does not exist, a scale that is not positive, too few rows or classes
    """
    return run_plan(
        _with_names(dataset), COURSEWORK, parts=parts, epochs_scale=epochs_scale, seed=seed,
        progress=progress, command=command,
    )  # fmt: skip


def _with_names(dataset: Dataset) -> Dataset:
    """The coursework's CSV file has codes 0 to 9 for labels: give them CIFAR-10's names."""
    codes = tuple(str(code) for code in range(len(CIFAR10)))
    if dataset.n_features == 3072 and dataset.class_names == codes:
        return replace(dataset, class_names=CIFAR10)
    return dataset


def run_plan(
    dataset: Dataset, plan: Plan, *, parts: Sequence[int] = PARTS, epochs_scale: float = 1.0, seed: int = 0,
    progress: Progress | None = None, command: str = "",
) -> Study:  # fmt: skip
    """The coursework's five parts on any classes, with a plan of one's own; see `run_coursework`."""
    started = time.perf_counter()
    progress = progress or Progress()
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise InputError(f"the coursework has parts 0 to 4, not {', '.join(map(str, unknown))}")
    if not epochs_scale > 0:
        raise InputError(f"epochs_scale must be above 0, not {epochs_scale}")
    if dataset.n_classes < 2:
        raise InputError(
            f"{dataset.name} has {dataset.n_classes} class(es): the coursework tells classes apart, "
            "so it needs at least 2 with their labels"
        )
    rows = _divide(dataset, plan, seed)
    scaling = fit_scaling(dataset.X, "unit", dataset.image, rows=rows.train)
    work = _Work(dataset, plan, rows, scaling, epochs_scale, seed)
    data, interrupted = work.look_at(progress, checks=0 in parts)
    jobs = {part: work.jobs(part) for part in sorted(parts) if part and not interrupted}
    flat = [job for group in jobs.values() for job in group]
    trained = iter(train_all(
        flat, dataset.X, rows.train, rows.validation, scaling, seed=seed, progress=progress
    ) if flat else [])  # fmt: skip
    finished = [work.report(part, [next(trained) for _ in group]) for part, group in jobs.items()]
    shown = tuple(part for part in finished if part.runs)
    interrupted |= any(run.interrupted for part in finished for run in part.runs) or len(shown) < len(
        finished
    )
    return Study(
        title=plan.title, summary=summary_words(dataset, rows, shown, interrupted), data=data, parts=shown,
        environment=environment(seed=seed, command=command), seconds=time.perf_counter() - started,
        interrupted=interrupted,
    )  # fmt: skip


def _divide(dataset: Dataset, plan: Plan, seed: int) -> Split:
    """Of the held-out rows one half chooses thresholds and draws curves, the other is scored once.

    Test rows that came with the source stay test rows; a fifth of its training rows then validates.
    """
    if dataset.part is not None and (dataset.part == 2).any():
        return split(dataset, validation=0.2, seed=seed)
    return split(dataset, validation=plan.validation, test=plan.test, seed=seed)


@dataclass(frozen=True)
class _Work:
    """One data set under one plan: which jobs there are, and what their results mean."""

    dataset: Dataset
    plan: Plan
    rows: Split
    scaling: Scaling
    epochs_scale: float
    seed: int

    @property
    def positive(self) -> str:
        names = self.dataset.class_names
        return self.plan.positive if self.plan.positive in names else names[0]

    @property
    def is_cifar10(self) -> bool:
        return self.dataset.class_names == CIFAR10 and self.dataset.n_features == 3072

    @property
    def yes_no(self) -> Dataset:
        return self.dataset.one_vs_rest(self.positive)

    def epochs(self, part: int) -> int:
        return max(1, round(self.plan.epochs[part - 1] * self.epochs_scale))

    def look_at(self, progress: Progress, *, checks: bool) -> tuple[DataSummary, bool]:
        """Part 0; True beside it if it was interrupted."""
        interrupted = False
        findings: tuple[Any, ...] = ()
        try:
            if checks:
                findings = tuple(run_checks(self.dataset, self.rows, progress=progress))
        except KeyboardInterrupt:
            interrupted = True
        return summarise(
            self.dataset, self.rows, scaling=self.scaling.words, findings=findings, seed=self.seed
        ), interrupted

    def jobs(self, part: int) -> list[Job]:
        plan, y = self.plan, self.dataset.y
        if part == 4:
            return [
                Job(label, (Dense(plan.wide, f), Dense(self.dataset.n_classes)), "softmax_cross_entropy",
                    optimizer, plan.batch_size, self.epochs(4), y)
                for label, f, optimizer in self._part_4_settings()
            ]  # fmt: skip
        output = Dense(self.dataset.n_classes if part == 3 else 1, init="coursework_output")
        hidden = Dense(plan.hidden, "sigmoid", init="coursework_hidden")
        return [
            Job(
                label=("one sigmoid unit", f"{plan.hidden} sigmoid units, one output",
                       f"{plan.hidden} sigmoid units, softmax")[part - 1],
                layers=(output,) if part == 1 else (hidden, output),
                loss="softmax_cross_entropy" if part == 3 else "sigmoid_cross_entropy",
                optimizer=SGD(plan.lr[part - 1]), batch_size="full", epochs=self.epochs(part),
                y=y if part == 3 else self.yes_no.y,
            )
        ]  # fmt: skip

    def _part_4_settings(self) -> list[tuple[str, str, Optimizer]]:
        lr, small = self.plan.part_4_lr, self.plan.part_4_small_lr
        return [
            ("ReLU + SGD", "relu", SGD(lr)),
            ("sigmoid + SGD", "sigmoid", SGD(lr)),
            ("ReLU + momentum", "relu", Momentum(lr, 0.9)),
            ("ReLU + Adam", "relu", Adam(lr)),
            ("sigmoid + Adam", "sigmoid", Adam(lr)),
            (f"ReLU + Adam, lr {small:g}", "relu", Adam(small)),
            (f"sigmoid + Adam, lr {small:g}", "sigmoid", Adam(small)),
        ]

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
        fewest, planned = min(len(t.history) for t in done), self.plan.epochs[part - 1]
        return reported if fewest == planned else replace(
            reported, references=after_fewer_epochs(reported.references, fewest, planned)
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
        references = binary_references(number, scores) if self.is_cifar10 else ()
        return replace(part, binary=scores, references=references, scores_of=self._scored(t.job.label))

    def _part_3(self, part: Part, t: Trained) -> Part:
        Z, y = self._logits(t, self.rows.test), t.job.y[self.rows.test]
        if not np.isfinite(Z).all():
            return part
        scores = class_scores(y, Z.argmax(axis=1), self.dataset.class_names)
        references: tuple[Reference, ...] = ()
        if self.is_cifar10:
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
        questions = [
            ("ReLU or sigmoid, with Adam?", [x for x in labels if "Adam" in x]),
            ("ReLU or sigmoid, with SGD?", [x for x in labels if "SGD" in x]),
            ("SGD, momentum or Adam, with ReLU?", [x for x in labels if x.startswith("ReLU")]),
        ]
        comparisons = tuple(
            Comparison(question, tuple(chosen), LIMITS) for question, chosen in questions if len(chosen) > 1
        )
        best = max(done, key=lambda t: t.history.last("val_accuracy"))  # NaN never wins: see `last`
        Z = self._logits(best, self.rows.test)
        scores = None
        if np.isfinite(Z).all():
            scores = class_scores(best.job.y[self.rows.test], Z.argmax(axis=1), self.dataset.class_names)
        references = tuple(
            reference
            for t in done
            if self.is_cifar10
            for reference in part_4_references(t.job.label, self._last_epoch(t))
        )
        return replace(
            part, scores=scores, comparisons=comparisons, references=references,
            scores_of=self._scored(f"{best.job.label} (best on validation)") if scores else "",
        )  # fmt: skip
