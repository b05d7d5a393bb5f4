"""The training loop: epochs, batches, forward, loss, backward, step, record, callbacks.

Nothing hidden, but for one shortcut: `many_steps` takes those of a tiny network several at a time, with the
same result.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn.network import Network
from glassnet.nn.noise import seed_noise
from glassnet.nn.optimizers import Optimizer
from glassnet.nn.schedules import Schedule
from glassnet.nn.schedules import schedule as resolve_schedule
from glassnet.seeds import stream
from glassnet.train.begin import begin, check_feeds, pace_of, settings_of, steps_of
from glassnet.train.feed import Feed, row_numbers
from glassnet.train.gradient import batch_gradient
from glassnet.train.history import History
from glassnet.train.locate import locate_not_finite
from glassnet.train.many_steps import many_steps
from glassnet.train.measure import checked_metrics, evaluate, measured
from glassnet.train.run import Run, as_callbacks, told_of
from glassnet.train.threads import threads_for
from glassnet.train.treatments import Treatment, treated

__all__ = ["fit"]

log = logging.getLogger("glassnet")
Array = npt.NDArray[Any]
Order = Callable[[Array], Array]


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # what is not finite is looked for, and named
def fit(
    network: Network, train: Feed, *, validation: Feed | None = None,
    optimizer: str | Optimizer | None = None, schedule: str | Schedule = "constant",
    epochs: int | None = None, batch_size: int | Literal["full"] = 32, drop_last: bool = False,
    shuffle: bool | Order = True, treatments: Sequence[Treatment] = (),
    metrics: Sequence[str] | None = None, validate_every: int = 1, callbacks: Sequence[Any] = (),
    seed: int = 0, resume: Run | None = None,
) -> History:  # fmt: skip
    """Train a network; it is changed in place.

    Parameters
    ----------
    network : the network, as initialised or as left by an earlier call
    train, validation : the rows to learn from, and the rows to watch (never learned from)
    optimizer : name or object; None takes "adam", or the optimizer of the run to resume
    schedule : name or function of progress in [0, 1]; multiplies the optimizer's learning rate
    epochs : passes over the training rows; None takes 10, or those of the run to resume
    batch_size : rows per step; the last one may be shorter unless `drop_last`; "full" takes all
    shuffle : draw a new order for every epoch; or a function from the feed's row numbers to their order
    treatments : penalties and clipping, applied to the gradient in this order
    metrics : names in `METRICS`, by default accuracy for classes
    validate_every : epochs between two looks at the validation rows (the last epoch always has one)
    callbacks : objects with at least one of `on_start`, `on_step`, `on_epoch`, `on_end`
    seed : of the order of the rows, of dropout and of augmentation
    resume : a run from `load_checkpoint`, to go on bit for bit where it was saved, with its optimizer; rows,
        batch_size, drop_last, shuffle, seed, schedule (unless constant, also epochs), treatments and
        augmentation must be what they were (functions are told apart by their names only), and callbacks
        with a state those that were loaded

    Returns
    -------
    History : also after Ctrl-C, a time limit, or a loss that is not finite (it says which)

    Raises
    ------
    InputError : settings that make no sense, rows made for another network (before any training)

    Examples
    --------
    >>> from glassnet.nn import Dense, Network, SGD
    >>> X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> net = Network([Dense(2)], n_inputs=4)
    >>> history = fit(net, Feed(net, X, y), optimizer=SGD(lr=1.0), epochs=20, batch_size=2)
    >>> history["accuracy"][-1], len(history)
    (1.0, 20)
    """
    listeners = as_callbacks(callbacks)
    check_feeds(network, train, validation)
    size, steps = steps_of(batch_size, train, drop_last)
    metrics, factor_at = checked_metrics(network, metrics), resolve_schedule(schedule)
    settings = settings_of(train, size, drop_last, shuffle, factor_at, treatments, seed)
    recorded = ("epoch", *measured(metrics, validation is not None), "lr", "seconds")
    run = begin(network, optimizer, epochs, validate_every, settings, callbacks, recorded, resume)
    pace = pace_of(run, factor_at, run.epochs * steps)
    threads = threads_for(network, size, train.augment is not None, train.stays_bytes(network, size))
    with told_of(run, listeners), threads:
        for epoch in range(run.epoch, run.epochs):
            if run.stopped:
                break
            started = kernels.working_time()
            seed_noise(network.every_layer(), seed, epoch)
            draw = stream(seed, "augment", epoch) if train.augment is not None else None
            order = _order(train, size, drop_last, shuffle, seed, epoch)
            done, loss, sums = many_steps(run, train, order, size, pace, treatments, metrics, listeners)
            for rows in _batches(order[done:], size):
                value, found = batch_gradient(network, train, rows, metrics, draw)
                if not math.isfinite(value):
                    place = locate_not_finite(network, run.step, list(run.optimizer.state.values()))
                else:
                    value, place = treated(run, train, rows, treatments, value)
                if place:
                    run.stop(place, diverged=True)
                    break
                run.factor = pace(run.step)
                run.optimizer.step(run.factor)
                run.step += 1
                loss += value * len(rows)
                sums = [a + b for a, b in zip(sums, found, strict=True)] if found else sums
                for callback in listeners:
                    callback.on_step(run)
            if not run.history.diverged and not np.isfinite(network.theta).all():
                gradients = [network.grad, *run.optimizer.state.values()]
                run.stop(locate_not_finite(network, run.step, gradients), diverged=True)
            run.epoch = epoch + 1
            quantities = {"loss": loss / len(order)} | {
                name: total / len(order) for name, total in zip(metrics, sums, strict=True)
            }
            if validation is not None:
                due = run.epoch % validate_every == 0 or run.epoch == run.epochs
                seen = evaluate(network, validation, metrics) if due else {}
                quantities |= {f"val_{name}": seen.get(name, math.nan) for name in ("loss", *metrics)}
            if run.history.diverged:
                quantities = dict.fromkeys(quantities, math.nan)
            lr, seconds = run.optimizer.lr * run.factor, kernels.working_time() - started
            run.history.record({"epoch": float(run.epoch), **quantities, "lr": lr, "seconds": seconds})
            for callback in listeners:
                callback.on_epoch(run)
    if run.history.diverged:
        log.warning("training stopped: %s", run.history.diverged)
    return run.history


def _order(
    train: Feed, size: int, drop_last: bool, shuffle: bool | Order, seed: int, epoch: int
) -> Array:  # fmt: skip
    """Row numbers of one epoch; a full batch needs no order."""
    rows = train.rows
    if callable(shuffle):
        rows = row_numbers(shuffle(rows), train.n_rows)
    elif shuffle and size < len(train):
        rows = stream(seed, "order", epoch).permutation(rows)
    kept = rows[: len(rows) - len(rows) % size] if drop_last else rows
    if not len(kept):
        raise InputError(f"shuffle left {len(rows)} rows, less than a batch of {size}, and drop_last no more")
    return kept


def _batches(order: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
