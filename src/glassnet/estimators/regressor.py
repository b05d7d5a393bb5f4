"""The regressor: targets of one or several columns, losses, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from glassnet.estimators.base import STORED, BaseMLP, Role
from glassnet.estimators.losses import REGRESSION_LOSSES, regression_loss
from glassnet.estimators.rows import Rows
from glassnet.nn import Activation, Loss, Optimizer
from glassnet.progress import Progress
from glassnet.train import Callback, Run

__all__ = ["MLPRegressor"]

Array = npt.NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """PLACEHOLDER"""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Callable[[Array], Array] | Sequence[Any] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        huber_delta: float = 1.0,
        dropout: float | Sequence[float] = 0.0,
        normalization: str | None = None,
        initializer: str | Callable[[np.random.Generator, int, int], Array] | None = None,
        weight_decay: float | None = None,
        schedule: str | Callable[[float], float] | None = None,
        clip_norm: float | None = None,
        monitor: str | Callable[[Any, Any, Any], float] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callback | Callable[[Run], Any]] | None = None,
        time_limit: float | None = None,
        ema: float | None = None,
        n_ensemble: int = 1,
        n_jobs: int | None = None,
        progress: bool | Progress | None = None,
    ) -> None:
        self._take(locals())

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:  # fmt: skip
        """Learn from rows and their values.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame of numbers
        y : (n_samples,) or (n_samples, n_outputs) numbers
        sample_weight : (n_samples,) non-negative weights, or None
        X_val, y_val, sample_weight_val : rows to watch, never learned from; in place of the share that
            `early_stopping` would take

        Returns
        -------
        self

        Raises
        ------
        ValueError : data or parameters that cannot be used, or training that diverged
        """
        return self._fit(X, y, sample_weight, held_out=(X_val, y_val, sample_weight_val))

    @available_if(lambda self: self._check_solver())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn for one epoch from where the last call ended: weights, optimizer and order go on.

        n calls with the same rows give bit for bit what one `fit` with max_iter=n gives.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _read(self, X: Any, y: Any, weight: Any, *, reset: bool, role: Role) -> Rows:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True, dtype=STORED,
            order="C", reset=reset,
        )  # fmt: skip
        weight = self._checked_weight(weight, X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return Rows(X, y, y.reshape(len(y), -1), weight)

    def _loss(self, rows: Rows) -> Loss:
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return regression_loss(self.loss, self.quantile, self.huber_delta, lbfgs=self.solver == "lbfgs")

    def _stratify(self, rows: Rows) -> Array | None:
        return None

    def _score_outputs(self, Z: Array, target: Array, weight: Array | None) -> float:
        """R²."""
        from sklearn.metrics import r2_score

        predicted = self.network_.loss.link(Z)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(target, predicted, sample_weight=weight))

    def _before_training(self) -> None:
        """Nothing to set."""

    def _after_training(self, held: Rows | None) -> None:
        """Nothing is left to choose."""

    def predict(self, X: Any) -> Array:
        """Predicted values; of an ensemble the mean of its members'.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame

        Returns
        -------
        y : (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._every_output(X)
        members = getattr(self, "estimators_", None) or [self]
        link = members[0].network_.loss.link
        values = link(outputs[0]) if len(outputs) == 1 else np.mean([link(Z) for Z in outputs], axis=0)
        return np.asarray(values[:, 0] if values.shape[1] == 1 else values)
