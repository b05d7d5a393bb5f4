"""The history of a training: one number per epoch for each quantity, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from glassnet.errors import InputError

__all__ = ["History"]


@dataclass
class History:
    """Equally long lists, one entry per epoch; NaN where a quantity was not measured at that epoch.

    Keys: "epoch" (from 1), "loss", each metric, "val_loss", "val_" + metric, "lr" (at the epoch's end) and
    "seconds" (of the epoch). "loss" is the mean over the epoch's batches as they were met, penalties
    included; everything with "val_" is measured after the epoch, without penalties.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""  # why training ended before its last epoch
    interrupted: bool = False  # by Ctrl-C
    diverged: str = ""  # layer, step and operation of the first number that was not finite

    def record(self, quantities: dict[str, float]) -> None:
        """Append one epoch; a quantity that is new or absent is NaN elsewhere."""
        n, nan = len(self), float("nan")
        self.values = {  # replaced as a whole: Ctrl-C in between leaves no list longer than another
            name: [*self.values.get(name, [nan] * n), quantities.get(name, nan)]
            for name in {**self.values, **quantities}
        }

    def add(self, name: str, value: float) -> None:
        """Put one more quantity to the latest epoch, e.g. one that a callback has measured.

        >>> h = History()
        >>> h.record({"loss": 2.0})
        >>> h.add("val_f1", 0.5)
        >>> h.record({"loss": 1.0})
        >>> h["val_f1"]
        [0.5, nan]
        """
        if not len(self):
            raise InputError(f"no epoch is recorded yet that {name!r} could be added to: add it in on_epoch")
        self.values.setdefault(name, [float("nan")] * len(self))[-1] = float(value)

    def __repr__(self) -> str:
        """How it ended, in one line.

        >>> h = History()
        >>> h.record({"epoch": 1.0, "loss": 2.0})
        >>> h.record({"epoch": 2.0, "loss": 0.25})
        >>> h
        <History of 2 epochs, at last loss 0.25>
        """
        shown = (name for name in self.values if name not in ("epoch", "seconds"))
        last = ", ".join(f"{name} {self.last(name):.4g}" for name in shown)
        return f"<History of {len(self)} epochs, at last {last}{f'; {self.stopped}' if self.stopped else ''}>"

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), []))

    def __getitem__(self, name: str) -> list[float]:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def last(self, name: str) -> float:
        """The latest value that was measured, NaN if none was.

        >>> h = History()
        >>> h.record({"loss": 2.0, "val_loss": 2.5})
        >>> h.record({"loss": 1.0})
        >>> h.last("val_loss"), h["val_loss"]
        (2.5, [2.5, nan])
        """
        return next((v for v in reversed(self.values.get(name, [])) if v == v), float("nan"))
