"""What a plan of kind "coursework" holds: the data, three networks, and a fourth part that compares several.

The values stand in the files, `experiments/coursework.toml` and `experiments/demo.toml`, and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from glassnet.data.scaling import SCALINGS
from glassnet.errors import InputError, unknown_name
from glassnet.lab.spec import BatchSize, Plain, one_of
from glassnet.nn import ACTIVATIONS, OPTIMIZERS, Optimizer, optimizer

__all__ = [
    "Coursework", "CourseworkData", "HiddenLayer", "ModularNetworks", "NetworkSpec", "OneUnit", "Question",
]  # fmt: skip

Share = Annotated[float, Field(gt=0, lt=1)]
Units = Annotated[int, Field(ge=1)]


class CourseworkData(Plain):
    """Which rows there are, how they are divided, and the class that parts 1 and 2 look for."""

    source: str | None = None  # path or name; None: it is given with the command
    positive: str
    prepare: Annotated[str, one_of("scaling", SCALINGS)]
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _leaves_rows(self) -> CourseworkData:
        if self.validation + self.test >= 1:
            raise InputError(
                f"validation = {self.validation:g} and test = {self.test:g} leave no rows to train"
            )
        return self


class OneUnit(Plain):
    """Part 1, one sigmoid unit: gradient descent, as in parts 2 and 3."""

    epochs: Annotated[int, Field(ge=1)]
    lr: Annotated[float, Field(gt=0)]
    batch_size: BatchSize


class HiddenLayer(OneUnit):
    """Parts 2 and 3: the same with a layer of sigmoid units in between."""

    hidden: Units


class NetworkSpec(Plain):
    """One network of part 4."""

    name: Annotated[str, Field(min_length=1)]
    activation: Annotated[str, one_of("activation", ACTIVATIONS)]
    optimizer: Annotated[str, one_of("optimizer", OPTIMIZERS)]
    lr: Annotated[float, Field(gt=0)]
    settings: dict[str, float] = Field(default={})  # other arguments of the optimizer, e.g. momentum

    @model_validator(mode="after")
    def _fits(self) -> NetworkSpec:
        if "lr" in self.settings:
            raise InputError("the learning rate is lr: take it out of settings")
        self.stepper()
        return self

    def stepper(self) -> Optimizer:
        return optimizer(self.optimizer, lr=self.lr, **self.settings)


class Question(Plain):
    """Networks of part 4 whose curves are shown together."""

    question: str
    networks: Annotated[list[str], Field(min_length=2)]


class ModularNetworks(Plain):
    """Part 4: one hidden layer, any activation and optimizer."""

    hidden: Units
    epochs: Annotated[int, Field(ge=1)]
    batch_size: BatchSize
    network: Annotated[list[NetworkSpec], Field(min_length=1)]
    comparison: list[Question] = Field(default=[])

    @model_validator(mode="after")
    def _named(self) -> ModularNetworks:
        names = [network.name for network in self.network]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"two networks are called {twice!r}")
        for name in (name for asked in self.comparison for name in asked.networks):
            if name not in names:
                raise unknown_name("network", name, names)
        return self


class Coursework(Plain):
    """A plan of kind "coursework": each network is trained once, as stated."""

    title: str
    parts: Annotated[list[Literal[0, 1, 2, 3, 4]], Field(min_length=1)]  # 0 looks at the data
    data: CourseworkData
    part_1: OneUnit
    part_2: HiddenLayer
    part_3: HiddenLayer
    part_4: ModularNetworks
