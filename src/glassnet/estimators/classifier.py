"""The classifier: labels and their codes, class weights, decisions, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from glassnet.errors import InputError
from glassnet.estimators import decision
from glassnet.estimators.base import STORED, BaseMLP, Role
from glassnet.estimators.labels import class_weights, refuse_other_labels
from glassnet.estimators.rows import Rows
from glassnet.estimators.training import how_to_hold_out
from glassnet.nn import Activation, Loss, Optimizer, SigmoidCrossEntropy, SoftmaxCrossEntropy
from glassnet.nn.links import softmax
from glassnet.progress import Progress
from glassnet.train import Callback, Run

__all__ = ["MLPClassifier"]

Array = npt.NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A fully connected network for classification: scikit-learn's MLPClassifier, and what it refuses.

    With the parameters that scikit-learn has too, it does what scikit-learn does, number by number, only
    faster; what follows `max_fun` is new.

    Parameters
    ----------
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
    validation_fraction : float in [0, 1), share of the rows held out; classes keep
        their shares
    beta_1, beta_2, epsilon : of solver="adam", "adamw", "nadam", "radam"; if changed also the betas of "lion"
        and the epsilon of "rmsprop", "adagrad"
    n_iter_no_change : epochs without improvement before training stops
    max_fun : most evaluations of the loss, for "lbfgs"
    class_weight : dict label -> factor, or "balanced" (n / (n_classes * rows of the class))
    dropout : float in [0, 1), share of each hidden layer's outputs set to 0 in training; or one per layer
    normalization : "batch", "layer" or "rms", before each hidden activation
    initializer : name in `nn.INITIALIZERS`, or a function (generator, fan_in, fan_out) -> (fan_in, fan_out);
        None draws as scikit-learn for its activations, and what suits the others
    weight_decay : float >= 0, decoupled decay; None takes the optimizer's own
    schedule : name in `nn.SCHEDULES`, or a function of progress 0..1, times the learning rate; training then
        runs to its last epoch unless it is watched
    clip_norm : float > 0, longest gradient
    label_smoothing : float in [0, 1), share of the target spread over all classes
    monitor : quantity to watch; the best weights are restored. A key of `history_`, also one that a callback
        records; "val_" and the name of a scikit-learn scorer ("val_f1_macro"); or a scorer, as a function of
        (estimator, X, y): higher is better, unless its name says otherwise ("loss", "error", "mae" ...)
    patience : epochs without improvement of `monitor` (None: "val_loss", or "loss") before training stops
    callbacks : objects with hooks, as `Callback` has them, or functions of the Run called after every epoch,
        which end the training by returning True
    time_limit : seconds after which training (of each network) ends, at the end of an epoch
    ema : float in (0, 1), decay of an average of the weights that takes their place
    threshold : for two classes, the probability from which on the second is predicted: a number, or "f1" for
        the best F1 on the validation rows
    temperature_scaling : bool, calibrate the probabilities on the validation rows (Guo et al. 2017)
    matmul_precision : "full", or "bfloat16" as `Network` explains it, with all else in float32
    n_ensemble : number of networks whose mean probability is the prediction
    n_jobs : how many of them are trained at a time
    progress : True for a bar on stderr, or a Progress

    Attributes
    ----------
    coefs_, intercepts_ : W (n_in, n_out) and b (n_out,) of each layer: views of the network; they can be set
    classes_ : labels in the order of the probabilities' columns
    threshold_, temperature_ : what was chosen; 0.5 and 1.0 if nothing was
    loss_, best_loss_, loss_curve_ : of the training, penalty included; the latest, the lowest, all
    validation_scores_, best_validation_score_ : accuracy on the validation rows, or None
    history_ : dict of equally long lists, one number an epoch: "epoch", "loss", "lr", "seconds", and with
        validation rows "val_loss", "val_score" and what is monitored
    n_iter_, t_ : epochs of the last call, rows seen so far
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_ : as in scikit-learn
    network_ : the glassnet.nn.Network
    estimators_ : the members of an ensemble, in place of what belongs to one network
    stop_reason_ : why training ended before its last epoch, "" if it did not

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from glassnet import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((16,), learning_rate_init=0.01, max_iter=500, class_weight="balanced")
    >>> clf.set_params(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    >>> clf.predict_proba(X[:1]).shape, clf.network_.n_parameters
    ((1, 3), 131)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "threshold": [StrOptions({"f1"}), Interval(Real, 0, 1, closed="neither"), None],
        "temperature_scaling": ["boolean"],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
        dropout: float | Sequence[float] = 0.0,
        normalization: str | None = None,
        initializer: str | Callable[[np.random.Generator, int, int], Array] | None = None,
        weight_decay: float | None = None,
        schedule: str | Callable[[float], float] | None = None,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        monitor: str | Callable[[Any, Any, Any], float] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callback | Callable[[Run], Any]] | None = None,
        time_limit: float | None = None,
        ema: float | None = None,
        threshold: float | str | None = None,
        temperature_scaling: bool = False,
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
        """Learn from rows and their labels.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame of numbers
        y : (n_samples,) labels of any type, or (n_samples, n_labels) zeros and ones for several labels
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Learn for one epoch from where the last call ended: weights, optimizer and order go on.

        n calls with the same rows give bit for bit what one `fit` with max_iter=n gives.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : all labels that will ever occur; needed at the first call, except for several labels

        Returns
        -------
        self
        """
        if not hasattr(self, "classes_") and type_of_target(y).startswith("multilabel"):
            self._label_binarizer = LabelBinarizer().fit(y)
            classes = np.arange(np.shape(y)[1]) if classes is None else classes
            _check_partial_fit_first_call(self, classes)
        elif _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer().fit(classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def _read(self, X: Any, y: Any, weight: Any, *, reset: bool, role: Role) -> Rows:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=STORED, order="C", reset=reset
        )
        weight = self._checked_weight(weight, X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if role == "held":
            unknown = np.setdiff1d(unique_labels(y), self.classes_)
            if len(unknown):
                raise InputError(f"there are labels that y does not have: {unknown}")
        elif role == "new" or not hasattr(self, "classes_"):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            refuse_other_labels(unique_labels(y), self.classes_, self.warm_start)
        return Rows(X, y, self._encode(y), weight)

    def _encode(self, y: Any) -> Array:
        """Labels as the network's loss takes them: codes (n,), or zeros and ones (n, K)."""
        if self._label_binarizer.y_type_ == "multiclass":
            self.out_activation_ = "softmax"
            return np.asarray(np.searchsorted(self.classes_, y))
        self.out_activation_ = "logistic"
        if self._label_binarizer.y_type_ == "binary" and len(self.classes_) == 2:
            return np.asarray(y == self.classes_[1], dtype=np.float32)[:, None]
        return np.asarray(self._label_binarizer.transform(y), dtype=np.float32)

    def _loss(self, rows: Rows) -> Loss:
        softmax = self.out_activation_ == "softmax"
        chosen = SoftmaxCrossEntropy if softmax else SigmoidCrossEntropy
        return chosen(label_smoothing=self.label_smoothing, class_weight=self._class_weights(rows))

    def _class_weights(self, rows: Rows) -> Array | None:
        """One factor for each class code, or None."""
        if self.class_weight is None:
            return None
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise InputError("class_weight is for one label a row; for several, use sample_weight")
        return class_weights(self.class_weight, self.classes_, rows.target.reshape(-1), rows.weight)

    def _stratify(self, rows: Rows) -> Array | None:
        if self.out_activation_ == "softmax":
            return rows.target
        return rows.target.astype(bool) if self.n_outputs_ == 1 else None

    def _score_outputs(self, Z: Array, target: Array, weight: Array | None) -> float:
        """Accuracy; with several labels all of a row's must be right."""
        if target.ndim == 1:
            return float(np.average(Z.argmax(axis=1) == target, weights=weight))
        return float(np.average(((Z > 0) == (target > 0.5)).all(axis=1), weights=weight))

    def _refuse_combinations(self, incremental: bool) -> None:
        super()._refuse_combinations(incremental)
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: the shares of the classes are not "
                "known yet. Give the weights as a dict."
            )
        if incremental and (self.threshold == "f1" or self.temperature_scaling):
            raise InputError("partial_fit has no validation rows to choose a threshold or a temperature on")

    def _before_training(self, watched: bool) -> None:
        if self.threshold is not None and (self.n_outputs_ > 1 or len(self.classes_) != 2):
            raise InputError(f"threshold is for two classes; here are {len(self.classes_)}")
        if not watched and (self.temperature_scaling or self.threshold == "f1"):
            name = "temperature_scaling" if self.temperature_scaling else "threshold='f1'"
            raise InputError(f"{name} needs validation rows: {how_to_hold_out(self)}")
        self.temperature_ = 1.0
        self.threshold_ = float(self.threshold) if isinstance(self.threshold, Real) else 0.5

    def _after_training(self, held: Rows | None) -> None:
        """Choose temperature and threshold, on validation rows where they are to be learned."""
        if held is not None and (self.temperature_scaling or self.threshold == "f1"):
            X, _, weight = held.chosen()
            target = held.target if held.which is None else held.target[held.which]
            if self.temperature_scaling:
                self.temperature_ = decision.best_temperature(self._checked_logits(X), target, weight)
            if self.threshold == "f1":
                self.threshold_ = decision.f1_threshold(self._checked_logits(X), target)

    # Predicting

    def _checked_logits(self, X: Any) -> Array:
        """Logits for rows that were checked already, shape (n, n_outputs)."""
        members = getattr(self, "estimators_", None) or [self]
        return self._combined([member._network_outputs(X) for member in members])

    def _logits(self, X: Any) -> Array:
        return self._combined(self._every_output(X))

    def _combined(self, outputs: list[Array]) -> Array:
        """Logits of the mean of the members' probabilities, divided by the temperature."""
        Z = outputs[0]  # (n, K)
        if len(outputs) > 1 and self.out_activation_ == "softmax":
            Z = decision.log_mean([decision.log_softmax(Z) for Z in outputs])
        elif len(outputs) > 1:
            Z = decision.log_mean([decision.log_sigmoid(Z) for Z in outputs]) - decision.log_mean(
                [decision.log_sigmoid(-Z) for Z in outputs]
            )
        return Z if self.temperature_ == 1.0 else Z / self.temperature_

    def decision_function(self, X: Any) -> Array:
        """Logits: the log odds of the second class (n,), or one number for each class or label (n, K).

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame
        """
        Z = self._logits(X)
        return Z[:, 0] if self.n_outputs_ == 1 else Z

    def predict(self, X: Any) -> Array:
        """Labels: of the highest probability, or for two classes of a probability above the threshold.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame

        Returns
        -------
        y : (n_samples,) labels, or (n_samples, n_labels) zeros and ones
        """
        Z = self._logits(X)
        if self.out_activation_ == "softmax":
            return np.asarray(self.classes_[Z.argmax(axis=1)])
        if self.n_outputs_ > 1:
            decided = (Z > 0).astype(int)
            return self._label_binarizer.inverse_transform(decided) if self._sparse_labels() else decided
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(Z))
        above = Z[:, 0] >= decision.logit(self.threshold_) if self.threshold is not None else Z[:, 0] > 0
        return np.asarray(self.classes_[above.astype(int)])

    def _sparse_labels(self) -> bool:
        return bool(self._label_binarizer.sparse_input_)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes in the order of `classes_`, (n_samples, n_classes).

        With several labels: of each label by itself; the rows do not sum to 1.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame
        """
        from scipy.special import expit

        Z = self._logits(X)
        if self.out_activation_ == "softmax":
            return softmax(Z)
        return np.asarray(expit(np.concatenate([-Z, Z], axis=1) if self.n_outputs_ == 1 else Z))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities, exact also where a probability is too small to be told from 0.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame
        """
        from scipy.special import expit

        Z = self._logits(X)
        if self.out_activation_ == "softmax":
            return decision.log_softmax(Z)
        if self.n_outputs_ == 1:
            Z = np.concatenate([-Z, Z], axis=1)
        # where a probability rounds to 1 its logarithm is 0: labels that tie in one tie in the other
        return np.where(Z > 0, np.log(np.maximum(expit(Z), 0.5)), decision.log_sigmoid(Z))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
