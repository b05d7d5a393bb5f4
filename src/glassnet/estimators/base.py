"""What the classifier and the regressor share: parameters, one fit, weights that can be set, predictions."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_random_state, validate_data

from glassnet.errors import InputError
from glassnet.estimators.architecture import (
    NORMALIZATIONS,
    build_network,
    dense_layers,
    draw_first_weights,
    widths,
)
from glassnet.estimators.display import architecture_html
from glassnet.estimators.ensemble import fit_members
from glassnet.estimators.names import NearestNames
from glassnet.estimators.rows import Rows, hold_out
from glassnet.estimators.solvers import SOLVERS, warn_of_unused
from glassnet.estimators.training import train, warn_not_converged
from glassnet.estimators.watching import called
from glassnet.nn import ACTIVATIONS, INITIALIZERS, SCHEDULES, Activation, Dense, Loss, Network, Optimizer
from glassnet.nn.checks import MATMUL_PRECISIONS
from glassnet.progress import Progress
from glassnet.train.run import as_callbacks

__all__ = ["STORED", "BaseMLP", "Role"]

Array = npt.NDArray[Any]
#: data of these types is used as it is, batch by batch: as float64 it would be several times as large
STORED = (np.float64, np.float32, np.float16, np.uint8, np.int8, np.uint16, np.int16, np.bool_)
#: rows to begin with, rows to go on with, rows to watch
Role = Literal["new", "more", "held"]


class _NotFinite(Exception):
    """Something in X may be NaN or infinite: scikit-learn looks again, and says what."""


def _refusing(watch: Callable[[Array], object] | None) -> Callable[[Array], None]:
    """Look at X W in place of X, which is larger: nothing finite comes of a row with NaN or infinity.

    `watch` is somebody else's look at the same numbers.
    """

    def look(Z: Array) -> None:
        if not np.isfinite(Z.sum()):
            raise _NotFinite
        if watch is not None:
            watch(Z)

    return look


class BaseMLP(NearestNames):
    """Base of MLPClassifier and MLPRegressor: use those."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS, "logistic"}), callable, list, tuple, Activation],
        "solver": [StrOptions({*SOLVERS, "lbfgs"}), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "initializer": [StrOptions(set(INITIALIZERS)), callable, None],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "schedule": [StrOptions(set(SCHEDULES)), callable, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "monitor": [str, callable, None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "callbacks": [list, tuple, None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "ema": [Interval(Real, 0, 1, closed="neither"), None],
        "matmul_precision": [StrOptions(set(MATMUL_PRECISIONS))],
        "n_ensemble": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "progress": ["boolean", Progress, None],
    }

    if TYPE_CHECKING:  # parameters and fitted attributes
        coefs_: list[Array]
        intercepts_: list[Array]
        classes_: Array

        def __getattr__(self, name: str) -> Any: ...

    def _take(self, given: dict[str, Any]) -> None:
        """Keep every parameter of the constructor under its name."""
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    # What the two kinds of estimator do differently.

    def _read(self, X: Any, y: Any, weight: Any, *, reset: bool, role: Role) -> Rows:
        raise NotImplementedError

    def _loss(self, rows: Rows) -> Loss:
        raise NotImplementedError

    def _stratify(self, rows: Rows) -> Array | None:
        raise NotImplementedError

    def _score_outputs(self, Z: Array, target: Array, weight: Array | None) -> float:
        raise NotImplementedError

    def _before_training(self, watched: bool) -> None:  # whether there will be validation rows
        raise NotImplementedError

    def _after_training(self, held: Rows | None) -> None:
        raise NotImplementedError

    # Fitting

    def _is_first(self, incremental: bool) -> bool:
        """Whether a fit begins from nothing."""
        known = hasattr(self, "estimators_" if self.n_ensemble > 1 else "coefs_")
        return not known or (not self.warm_start and not incremental)

    def _fit(
        self, X: Any, y: Any, weight: Any, *, held_out: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> Self:  # fmt: skip
        widths(self.hidden_layer_sizes)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._refuse_combinations(incremental)
        first = self._is_first(incremental)
        new = not self.warm_start and not incremental
        rows = self._read(X, y, weight, reset=first, role="new" if new else "more")
        held = self._read_held_out(*held_out)
        self.n_outputs_ = rows.target.shape[1] if rows.target.ndim == 2 else len(self.classes_)
        if new or first:
            warn_of_unused(self)
        self._before_training(held is not None or self._holds_out())
        if self.n_ensemble > 1:
            exhausted, held = fit_members(self, rows, held, first, incremental)
        else:
            exhausted, held = self._fit_network(rows, held, first, incremental)
        self._after_training(held)
        if exhausted:
            warn_not_converged(self)
        return self

    def _holds_out(self) -> bool:
        """Whether rows to watch are taken from those to learn from, if none are given."""
        return bool(self.early_stopping and self.solver != "lbfgs")

    def _read_held_out(self, X: Any, y: Any, weight: Any) -> Rows | None:
        if X is None and y is None:
            if weight is not None:
                raise InputError("sample_weight_val is of no use without X_val and y_val")
            return None
        if X is None or y is None:
            raise InputError("give X_val and y_val together, or neither")
        try:
            return self._read(X, y, weight, reset=False, role="held")
        except ValueError as error:
            raise InputError(f"X_val, y_val: {error}") from error

    def _refuse_combinations(self, incremental: bool) -> None:
        if self.solver == "lbfgs":
            unfit = {
                "dropout": bool(np.any(self.dropout)), "schedule": self.schedule is not None,
                "clip_norm": self.clip_norm is not None, "ema": self.ema is not None,
                "normalization='batch'": self.normalization == "batch",
                "weight_decay": self.weight_decay is not None,
                "matmul_precision='bfloat16'": self.matmul_precision != "full",
            }  # fmt: skip
            for name in (name for name, given in unfit.items() if given):
                raise InputError(
                    f"solver='lbfgs' needs the same loss at every call, so it cannot work with {name}: "
                    "choose another solver, e.g. 'adam'"
                )
        as_callbacks([called(callback) for callback in self.callbacks or ()])  # an error if one is none
        if isinstance(self.solver, Optimizer) and self.weight_decay is not None:
            raise InputError(
                f"solver={self.solver!r} brings its own weight_decay: give it there, or name the solver"
            )
        if incremental and self.ema is not None:
            raise InputError("partial_fit cannot average weights that are still to be trained: set ema=None")

    def _draw_generator(self, incremental: bool) -> np.random.RandomState:
        """The generator of this call; partial_fit goes on with the one it has."""
        if not incremental or not hasattr(self, "_random_state"):
            given = self.random_state
            if isinstance(given, np.random.Generator):
                given = np.random.RandomState(given.bit_generator)
            self._random_state = check_random_state(given)
        rng: np.random.RandomState = self._random_state
        return rng

    def _fit_network(
        self, rows: Rows, held: Rows | None, first: bool, incremental: bool
    ) -> tuple[bool, Rows | None]:
        """Train one network; whether it came to its last epoch, and the validation rows it had."""
        rng = self._draw_generator(incremental)
        resumed = self.__dict__.get("_progressed") if incremental else None
        # of dropout and the like; rng stays as it is
        seed = _seed_from(rng) if resumed is None else resumed.seed
        network = self._ready_network(rows, rng, seed, first)
        if held is None and self._holds_out():
            rows, held = hold_out(rows, self.validation_fraction, rng, self._stratify(rows))
        if held is not None and len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        self._in_fit = True  # scorers predict on rows that are checked already
        try:
            exhausted = train(self, network, rows, held, rng, seed, incremental)
        finally:
            del self._in_fit
        return exhausted, held

    def _ready_network(self, rows: Rows, rng: np.random.RandomState, seed: int, first: bool) -> Network:
        """A new network, or the one there is with the weights that `coefs_` and `intercepts_` hold."""
        loss = self._loss(rows)
        n_features = int(rows.X.shape[1])
        wanted = (
            n_features, self.n_outputs_, widths(self.hidden_layer_sizes), repr(self.activation),
            repr(self.dropout), self.normalization,
        )  # fmt: skip
        if first or getattr(self, "_structure", None) != wanted:
            network = build_network(self, n_features, self.n_outputs_, loss, rows.X.dtype, seed)
            draw_first_weights(network, rng)
            self._lock, self._structure, self.network_ = threading.RLock(), wanted, network
            if first:
                self._show_weights()
            for name in ("_progressed", "_kept", "estimators_"):
                self.__dict__.pop(name, None)
        self.network_.loss, self.network_.matmul_precision = loss, self.matmul_precision
        nothing_yet: dict[str, Any] = {
            "loss_curve_": [], "history_": {}, "t_": 0, "n_iter_": 0, "best_loss_": None,
            "validation_scores_": None, "best_validation_score_": None, "_no_improvement_count": 0,
        }  # fmt: skip
        self.__dict__.update(nothing_yet if first else nothing_yet | self.__dict__)
        self.n_layers_ = len(dense_layers(self.network_)) + 1
        return self._current_network()

    def _show_weights(self) -> None:
        """Make `coefs_` and `intercepts_` views of the network's weights."""
        dense = dense_layers(self.network_)
        self.coefs_, self.intercepts_ = [layer.W for layer in dense], [layer.b for layer in dense]

    def _current_network(self) -> Network:
        """The network, with weights that the user has put into `coefs_` or `intercepts_` since."""
        network: Network = self.network_
        replaced = False
        for layer, W, b in zip(dense_layers(network), self.coefs_, self.intercepts_, strict=False):
            for name, mine, given in (("coefs_", layer.W, W), ("intercepts_", layer.b, b)):
                if given is not mine:
                    if np.shape(given) != mine.shape:
                        raise InputError(
                            f"{name} has an array of shape {np.shape(given)} where the network has "
                            f"{mine.shape}; to change the layers, fit again with warm_start=False"
                        )
                    mine[...] = given
                    replaced = True
        if replaced:
            self._show_weights()
        return network

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return True

    # Predicting

    def _network_outputs(self, X: Any, checked: bool = True) -> Array:
        """Outputs before the link, shape (n, n_outputs); of rows that were not checked, maybe _NotFinite."""
        with self._lock:  # the layers write into shared scratch memory
            network = self._current_network()
            first = next(layer for layer in network.layers if isinstance(layer, Dense))
            watch = first.watch
            if not checked:
                first.watch = _refusing(watch)
            try:
                with nullcontext() if checked else np.errstate(all="ignore"):
                    return network.logits(X)
            finally:
                first.watch = watch

    def _every_output(self, X: Any) -> list[Array]:
        """Outputs of the network, or of each network of an ensemble.

        The usual X is looked at on its way through the network; anything else is left to scikit-learn.
        """
        if not hasattr(self, "network_") and not hasattr(self, "estimators_"):
            check_is_fitted(self, "network_")
        first, *others = getattr(self, "estimators_", None) or [self]
        outputs: list[Array] | None = None
        if hasattr(self, "_in_fit"):  # checked already
            outputs = [first._network_outputs(X)]
        elif (
            type(X) is np.ndarray and X.ndim == 2 and X.dtype in STORED and len(X) > 0
            and X.shape[1] == self.n_features_in_ and not hasattr(self, "feature_names_in_")
        ):  # fmt: skip
            with suppress(_NotFinite):
                outputs = [first._network_outputs(X, checked=X.dtype.kind != "f")]
        if outputs is None:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=STORED, reset=False)
            outputs = [first._network_outputs(X)]
        return [*outputs, *(member._network_outputs(X) for member in others)]

    # Copies, pictures

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "network_"):
            self._current_network()
        state: dict[str, Any] = dict(super().__getstate__())
        for name in ("_lock", *(("coefs_", "intercepts_") if "network_" in state else ())):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state:
            self._lock = threading.RLock()
            self._show_weights()
            progressed = state.get("_progressed")
            if progressed is not None:
                optimizer = progressed.optimizer
                optimizer.restore(self.network_, optimizer.t, optimizer.state)

    def _html_repr(self) -> str:
        """scikit-learn's picture of the parameters, and below it the network."""
        shown: str = super()._html_repr()
        return shown + architecture_html(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked_weight(self, weight: Any, X: Any) -> Array | None:
        return None if weight is None else np.asarray(_check_sample_weight(weight, X))


def _seed_from(rng: np.random.RandomState) -> int:
    """A number that depends on the generator's state and leaves it as it is."""
    state = rng.get_state(legacy=False)["state"]
    parts = [v.tobytes() if isinstance(v, np.ndarray) else str(v).encode() for v in state.values()]
    return zlib.crc32(b" ".join(parts))
