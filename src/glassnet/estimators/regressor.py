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
from glassnet.nn import Activation, Loss, Optimizer, Poisson
from glassnet.progress import Progress
from glassnet.train import Callback, Run

__all__ = ["MLPRegressor"]

Array = npt.NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A fully connected network for regression: scikit-learn's MLPRegressor, and what it refuses.

    With the parameters that scikit-learn has too, it does what scikit-learn does, number by number, only
    faster; what follows `max_fun` is new, as are most losses.

    Parameters
    ----------
    loss : "squared_error", "poisson", or beyond scikit-learn "absolute_error", "huber", "quantile" or a
        nn.Loss
    hidden_layer_sizes : ints, units of each hidden layer; () for a linear model
    activation : of the hidden layers: "identity", "logistic", "tanh", "relu", or beyond scikit-learn any
        name in `nn.ACTIVATIONS`, a function of arrays, a pair (f, f'), or a list with one for each layer
    solver : "adam", "sgd" or "lbfgs", or beyond scikit-learn any name in `nn.OPTIMIZERS` ("adamw",
        "rmsprop", "lion" ...), or an Optimizer, which brings its own learning rate
    alpha : float >= 0, strength of the L2 penalty; divided by the rows (the weight) of each batch
    batch_size : rows of a batch; "auto" is min(200, n_samples)
    learning_rate : "constant", "invscaling" or "adaptive"; for solver="sgd"
    learning_rate_init : float > 0, the learning rate
    power_t : float >= 0, exponent of "invscaling"
    max_iter : most epochs (iterations of "lbfgs")
    shuffle : bool, draw a new order of the rows for every epoch
    random_state : int, RandomState, Generator, or None for NumPy's global state; the same int gives the
        same first weights, split and order as in scikit-learn
    tol : float >= 0, smaller improvements do not count; for "lbfgs" the largest entry of the gradient
    verbose : print a line for every epoch
    warm_start : bool, `fit` goes on from the weights there are
    momentum : float in [0, 1], for solver="sgd", and below 1 for "momentum", "nesterov"
    nesterovs_momentum : bool, for solver="sgd"
    early_stopping : bool, hold out rows and stop when their score does not rise; not for "lbfgs"
    validation_fraction : float in [0, 1), share of the rows held out; drawn at random
    beta_1, beta_2, epsilon : of solver="adam", "adamw", "nadam", "radam"; if changed also the betas of "lion"
        and the epsilon of "rmsprop", "adagrad"
    n_iter_no_change : epochs without improvement before training stops
    max_fun : most evaluations of the loss, for "lbfgs"
    quantile : float in (0, 1), for loss="quantile"
    huber_delta : float > 0, where loss="huber" turns from squared to absolute, in units of y
    dropout : float in [0, 1), share of each hidden layer's outputs set to 0 in training; or one per layer
    normalization : "batch", "layer" or "rms", before each hidden activation
    initializer : name in `nn.INITIALIZERS`, or a function (generator, fan_in, fan_out) -> (fan_in, fan_out);
        None draws as scikit-learn for its activations, and what suits the others
    weight_decay : float >= 0, decoupled decay; None takes the optimizer's own
    schedule : name in `nn.SCHEDULES`, or a function of progress 0..1, times the learning rate; training then
        runs to its last epoch unless it is watched
    clip_norm : float > 0, longest gradient
    monitor : quantity to watch; the best weights are restored. A key of `history_`, also one that a callback
        records; "val_" and the name of a scikit-learn scorer ("val_f1_macro"); or a scorer, as a function of
        (estimator, X, y): higher is better, unless its name says otherwise ("loss", "error", "mae" ...)
    patience : epochs without improvement of `monitor` (None: "val_loss", or "loss") before training stops
    callbacks : objects with hooks, as `Callback` has them, or functions of the Run called after every epoch,
        which end the training by returning True
    time_limit : seconds after which training (of each network) ends, at the end of an epoch
    ema : float in (0, 1), decay of an average of the weights that takes their place
    matmul_precision : "full", or "bfloat16" as `Network` explains it, with all else in float32
    n_ensemble : number of networks whose mean is the prediction
    n_jobs : how many of them are trained at a time
    progress : True for a bar on stderr, or a Progress

    Attributes
    ----------
    coefs_, intercepts_ : W (n_in, n_out) and b (n_out,) of each layer: views of the network; they can be set
    loss_, best_loss_, loss_curve_ : of the training, penalty included; the latest, the lowest, all
    validation_scores_, best_validation_score_ : R² on the validation rows, or None
    history_ : dict of equally long lists, one number an epoch: "epoch", "loss", "lr", "seconds", and with
        validation rows "val_loss", "val_score" and what is monitored
    n_iter_, t_ : epochs of the last call, rows seen so far
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_ : as in scikit-learn
    network_ : the glassnet.nn.Network
    estimators_ : the members of an ensemble, in place of what belongs to one network
    stop_reason_ : why training ended before its last epoch, "" if it did not

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> median = MLPRegressor("quantile", (32,), solver="lbfgs", random_state=0).fit(X, np.abs(X[:, 0]))
    >>> bool(abs(median.predict([[0.5]])[0] - 0.5) < 0.1)
    True
    """

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
        matmul_precision: str = "full",
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

    def _before_training(self, watched: bool) -> None:
        poisson = self.loss == "poisson" or isinstance(self.loss, Poisson)
        self.out_activation_ = "exp" if poisson else "identity"

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
