"""What is compared: a plan becomes an Experiment, an Experiment becomes one RunSpec for each network.

Everything here is plain data. A RunSpec holds all that decides the result of one training and nothing else,
so its key (a hash of its canonical form) names the result.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from glassnet import __version__
from glassnet.data.prepare import PREPARATIONS
from glassnet.errors import InputError, unknown_name
from glassnet.lab.measures import MEASURES
from glassnet.nn import (
    ACTIVATIONS,
    INITIALIZERS,
    MATMUL_PRECISIONS,
    OPTIMIZERS,
    SCHEDULES,
    optimizer,
)

__all__ = [
    "FORMAT", "Arm", "BatchSize", "DataSpec", "DecisionSpec", "Experiment", "ModelSpec", "Plain", "RunSpec",
    "Space", "TrainingSpec", "TuneSpec", "digest", "flat", "known_paths", "one_of",
]  # fmt: skip

FORMAT = 1  # of run folders; another number is another lab's folder
#: what is done about rare classes; each is explained in `lab.train_one`
TREATMENTS = ("none", "class_weight", "focal", "oversample", "undersample", "logit_adjustment")
#: settings that did not exist when older hashes were made, with the values that mean what was done then
_CAME_LATER = {"training": {"matmul_precision": "full"}}
NORMS = ("none", "batch", "layer", "rms")
THRESHOLDS = ("half", "best_f1")
Value = bool | int | float | str | tuple[int, ...]
_TUNING_SEEDS = 1_000_000  # far from any seed that a person writes


def one_of(kind: str, known: Any) -> AfterValidator:
    """A setting that is a name of a registry; the error has the nearest match."""

    def check(name: str) -> str:
        if name not in known:
            raise unknown_name(kind, name, known)
        return name

    return AfterValidator(check)


def _some_rows(size: int | Literal["full"]) -> int | Literal["full"]:
    if size != "full" and size < 1:
        raise InputError(f"batch_size must be at least 1, or 'full', not {size}")
    return size


BatchSize = Annotated[int | Literal["full"], AfterValidator(_some_rows)]


class Plain(BaseModel):
    """A section of a plan: nothing but the settings it names, none changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSpec(Plain):
    """Which rows there are, and how they are divided for one seed."""

    source: str  # path or name, as `glassnet.read` takes it
    target: str | None = None  # column of a table
    one_vs_rest: str | None = None  # the class that becomes 1, all others 0
    size: tuple[int, int] | None = None  # pictures resized to height, width
    rows: int | None = Field(default=None, ge=10)  # only so many rows, the same for every run
    validation: float = Field(default=0.2, ge=0, lt=1)
    test: float = Field(default=0.2, ge=0, lt=1)
    prepare: Annotated[str, one_of("preparation", PREPARATIONS)] = "unit"
    #: "resampled": every seed draws its own test rows; "fixed": one set of test rows for the whole experiment
    test_rows: Literal["resampled", "fixed"] | None = None


class ModelSpec(Plain):
    """The network; its inputs and outputs follow from the data."""

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    activation: Annotated[str, one_of("activation", ACTIVATIONS)] = "relu"
    initializer: Annotated[str, one_of("initializer", ("auto", *INITIALIZERS))] = "auto"
    normalization: Annotated[str, one_of("normalization", NORMS)] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)


class TrainingSpec(Plain):
    """How the network is trained."""

    optimizer: Annotated[str, one_of("optimizer", OPTIMIZERS)] = "adam"
    lr: float | None = Field(default=None, gt=0)  # None: the optimizer's own default
    settings: dict[str, float] = {}  # other arguments of the optimizer, e.g. momentum
    schedule: Annotated[str, one_of("schedule", SCHEDULES)] = "constant"
    warm_up: float = Field(default=0.0, ge=0, lt=1)
    epochs: int = Field(default=20, ge=1)
    batch_size: BatchSize = 32
    patience: int = Field(default=0, ge=0)  # epochs without a better validation loss; 0 trains to the end
    l1: float = Field(default=0.0, ge=0)
    l2: float = Field(default=0.0, ge=0)
    clip_norm: float = Field(default=0.0, ge=0)  # 0: no clipping
    max_norm: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    average: float = Field(default=0.0, ge=0, lt=1)  # decay of the moving average of the weights
    flip: bool = False
    shift: int = Field(default=0, ge=0)
    imbalance: Annotated[str, one_of("imbalance treatment", TREATMENTS)] = "none"
    focal: float = Field(default=2.0, gt=0)  # gamma of imbalance = "focal"
    matmul_precision: Annotated[str, one_of("matmul_precision", MATMUL_PRECISIONS)] = "full"

    @model_validator(mode="after")
    def _fits(self) -> TrainingSpec:
        if "lr" in self.settings:
            raise InputError("the learning rate is training.lr: take it out of training.settings")
        if self.imbalance == "focal" and self.label_smoothing:
            raise InputError("focal and label_smoothing exclude each other: set label_smoothing = 0")
        optimizer(self.optimizer, **self.settings)
        return self


class DecisionSpec(Plain):
    """How probabilities of two classes become decisions; several classes are always decided by argmax."""

    threshold: Annotated[str, one_of("threshold", THRESHOLDS)] = "half"


class RunSpec(Plain):
    """One network trained once, and whether its test rows are scored.

    A run of purpose "tune" never sees its test rows. `replicate` gives the same split other first weights,
    order and dropout: two arms that differ in nothing else are A against A.
    """

    data: DataSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    decision: DecisionSpec = DecisionSpec()
    replicate: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    purpose: Literal["final", "tune"] = "final"
    stop_hopeless: bool = False

    @model_validator(mode="after")
    def _complete(self) -> RunSpec:
        if self.training.lr is None:
            lr = optimizer(self.training.optimizer).lr
            object.__setattr__(self, "training", self.training.model_copy(update={"lr": lr}))
        if (self.training.patience or self.decision.threshold != "half") and not self.data.validation:
            raise InputError(
                "patience and a chosen threshold need validation rows: set data.validation above 0"
            )
        return self

    def identity(self, fingerprint: str) -> dict[str, Any]:
        """What the result depends on: not where the data lie, but what they are."""
        plain = _as_before(self.model_dump(mode="json"))
        for place in ("source", "target", "one_vs_rest", "size"):
            del plain["data"][place]
        return {"format": FORMAT, "glassnet": __version__, "fingerprint": fingerprint, **plain}

    def key(self, fingerprint: str) -> str:
        """Hash of the identity, 20 hexadecimal digits.

        >>> spec = RunSpec(data=DataSpec(source="digits"))
        >>> moved = RunSpec(data=DataSpec(source="./copy-of-digits"))
        >>> spec.key("00") == moved.key("00"), spec.key("00") == spec.key("11")
        (True, False)
        """
        return digest(self.identity(fingerprint))[:20]


class Arm(BaseModel):
    """One setting of the comparison: a name, and what it sets (dotted paths)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(min_length=1)

    def values(self) -> dict[str, Any]:
        return flat(self.model_extra or {})


class Space(Plain):
    """The range of one tuned value."""

    low: float
    high: float
    log: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Space:
        if not self.low < self.high:
            raise InputError(f"low = {self.low:g} must be below high = {self.high:g}")
        if self.log and self.low <= 0:
            raise InputError(f"low = {self.low:g} cannot be on a logarithmic scale: set log = false")
        return self


class TuneSpec(Plain):
    """How each arm's settings are chosen: as many trials for every arm, on validation rows."""

    trials: int = Field(default=7, ge=2)
    method: Literal["grid", "quasi-random"] = "grid"
    seeds: int = Field(default=1, ge=1)
    extend: int = Field(default=2, ge=0)  # how often the ranges grow where an arm is best at an edge
    rows: str = "validation"
    stop_hopeless: bool = False
    space: dict[str, Space]
    space_of: dict[str, dict[str, Space]] = {}  # arm -> its own ranges

    @model_validator(mode="after")
    def _honest(self) -> TuneSpec:
        if self.rows != "validation":
            raise InputError(
                f"tuning on {self.rows!r} rows is refused: whoever chooses by test rows has no test left; "
                "rows = 'validation' is the only choice"
            )
        if not self.space:
            raise InputError("there is no range to tune: give [tune.space] with e.g. 'training.lr'")
        if self.method == "grid" and len(self.space) > 2:
            raise InputError(f"a grid over {len(self.space)} settings: use method = 'quasi-random'")
        return self


class Experiment(Plain):
    """A plan: arms that differ in one factor (or a grid of factors), and how they are compared."""

    title: str
    question: str = ""
    data: DataSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    decision: DecisionSpec = DecisionSpec()
    vary: dict[str, list[Any]] = {}
    arm: list[Arm] = []
    tune: TuneSpec | None = None
    seeds: int | list[int] = 10
    metric: Annotated[str, one_of("metric", MEASURES)] = "accuracy"
    margin: float = Field(default=0.0, ge=0)  # differences below this do not matter in practice
    baseline: str | None = None  # name of the arm that the others are compared with
    claim: bool = True  # False: look only, nothing is said to be better
    target: float | None = None  # of the metric on validation rows, for time-to-target
    budget_minutes: float | None = Field(default=None, gt=0)  # no new run is begun after that

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if self.vary and self.arm:
            raise InputError("both [vary] and [[arm]] are given: a plan has one of them")
        seeds = self.seed_list()
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= _TUNING_SEEDS:
            raise InputError(f"seeds must be different whole numbers from 0 to {_TUNING_SEEDS - 1:,}")
        if self.data.test_rows is None:
            held = "fixed" if self.tune else "resampled"
            object.__setattr__(self, "data", self.data.model_copy(update={"test_rows": held}))
        if self.tune is not None:
            self._check_tuning(self.tune)
        arms = self.arms()
        if len(arms) < 2:
            raise InputError("a comparison needs at least 2 arms: give [vary] with 2 values, or 2 [[arm]]")
        names = [name for name, _ in arms]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"two arms are called {twice!r}")
        if self.baseline is not None and self.baseline not in names:
            raise unknown_name("arm", self.baseline, names)
        for name in self.tune.space_of if self.tune else ():
            if name not in names:
                raise unknown_name("arm", name, names)
        alike: dict[str, str] = {}
        for name in names:
            first = alike.setdefault(self.run(name, seeds[0]).key(""), name)
            if first != name:
                raise InputError(f"the arms {first!r} and {name!r} are the same: nothing can differ")
        return self

    def _check_tuning(self, tune: TuneSpec) -> None:
        if not self.data.validation:
            raise InputError("tuning needs validation rows: set data.validation above 0")
        varied = {*self.vary, *(path for arm in self.arm for path in arm.values())}
        for path in tune.space:
            _check_path(path)
            if path in self.vary:
                raise InputError(f"{path} is both varied and tuned: the arms would not differ any more")
        if "training.lr" not in {*tune.space, *varied}:
            raise InputError(
                "tuning leaves the learning rate alone: put 'training.lr' into [tune.space], because no "
                "other setting can be compared at one learning rate"
            )
        for name, spaces in tune.space_of.items():
            if extra := set(spaces) - set(tune.space):
                raise InputError(
                    f"the ranges of arm {name!r} have {sorted(extra)[0]!r}, [tune.space] has not"
                )

    def seed_list(self) -> list[int]:
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def tuning_seeds(self) -> list[int]:
        """Seeds of the trials: never those of the final comparison."""
        return [_TUNING_SEEDS + i for i in range(self.tune.seeds if self.tune else 0)]

    def arms(self) -> list[tuple[str, dict[str, Any]]]:
        """Names of the arms and what each sets, in the plan's order."""
        if self.arm:
            return [(arm.name, arm.values()) for arm in self.arm]
        grid = itertools.product(*self.vary.values())
        settings = [dict(zip(self.vary, values, strict=True)) for values in grid] if self.vary else []
        return [(", ".join(_label(path, v) for path, v in s.items()), s) for s in settings]

    def run(
        self, arm: str, seed: int, values: dict[str, Any] | None = None, purpose: str = "final"
    ) -> RunSpec:
        """The run of an arm with one seed, with further values (of a trial) set."""
        settings = dict(self.arms())
        if arm not in settings:
            raise unknown_name("arm", arm, settings)
        parts = ("data", "model", "training", "decision")
        plain: dict[str, Any] = {part: getattr(self, part).model_dump() for part in parts}
        if settings[arm].get("training.optimizer", self.training.optimizer) != self.training.optimizer:
            plain["training"]["settings"] = {}  # they belong to the other optimizer
        for path, value in {**settings[arm], **(values or {})}.items():
            _check_path(path)
            *sections, leaf = path.split(".")
            where = plain
            for section in sections:
                where = where[section]
            where[leaf] = value
        tuning = purpose == "tune" and self.tune is not None and self.tune.stop_hopeless
        try:
            return RunSpec.model_validate(
                {**plain, "seed": seed, "purpose": purpose, "stop_hopeless": tuning}
            )
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"] if part not in ("int", "literal['full']"))
            what = (
                first["ctx"]["error"]
                if first["type"] == "value_error"
                else f"{first['input']!r}: {first['msg']}"
            )
            raise InputError(f"arm {arm!r}: {field}: {what}") from None

    def hash(self) -> str:
        """Hash of the plan, 12 hexadecimal digits: it stands on every report of it."""
        return digest(_as_before(self.model_dump(mode="json")))[:12]


def _as_before(plain: dict[str, Any]) -> dict[str, Any]:
    """Without later settings at the values that change nothing: older runs and plans keep their hashes."""
    for section, settings in _CAME_LATER.items():
        for name, usual in settings.items():
            if plain[section][name] == usual:
                del plain[section][name]
    return plain


def digest(plain: Any) -> str:
    """SHA-256 of the canonical JSON of plain data."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def known_paths() -> list[str]:
    """What an arm may set: "model.activation", "training.lr", ...; settings of optimizers come on top."""
    sections: dict[str, type[BaseModel]] = {
        "data": DataSpec, "model": ModelSpec, "training": TrainingSpec, "decision": DecisionSpec,
    }  # fmt: skip
    return [f"{s}.{field}" for s, kind in sections.items() for field in kind.model_fields] + ["replicate"]


def _check_path(path: str) -> None:
    if path not in known_paths() and not path.startswith("training.settings."):
        raise unknown_name("setting", path, known_paths())


def _label(path: str, value: Any) -> str:
    if isinstance(value, str) and path != "data.source":
        return value
    shown = "-".join(map(str, value)) or "none" if isinstance(value, list | tuple) else f"{value:g}"
    return f"{path.rsplit('.', 1)[-1].replace('_', ' ')} {shown}"


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted paths."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
