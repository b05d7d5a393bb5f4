"""Inside scikit-learn's own machinery, and with data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glassnet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
SETTINGS = {"hidden_layer_sizes": (10,), "learning_rate_init": 0.02, "max_iter": 60, "random_state": 0}


def test_grid_search_over_old_and_new_parameters_in_parallel() -> None:
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SETTINGS))
    grid = {
        "mlpclassifier__alpha": [1e-4, 1.0],
        "mlpclassifier__dropout": [0.0, 0.2],
        "mlpclassifier__activation": ["relu", "gelu"],
    }
    serial = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    parallel = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, Y)
    assert serial.best_score_ > 0.9
    assert_array_equal(serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"])


def test_cross_validation_with_scorers_that_need_probabilities_or_logits() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SETTINGS))
    for scoring in ("roc_auc", "neg_log_loss", "average_precision", "f1"):
        assert cross_val_score(pipeline, x, y, cv=3, scoring=scoring).min() > -0.5
    x, y = load_diabetes(return_X_y=True)
    regression = make_pipeline(StandardScaler(), MLPRegressor(solver="lbfgs", alpha=10.0, **SETTINGS))
    assert cross_val_score(regression, x, y, cv=3).shape == (3,)


def test_calibration_voting_stacking_bagging_and_thresholds() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    base = MLPClassifier(**SETTINGS)
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(base, method=method, cv=3).fit(x, y)
        assert_allclose(calibrated.predict_proba(x).sum(axis=1), 1.0)
    others = [("a", base), ("b", LogisticRegression())]
    assert VotingClassifier(others, voting="soft").fit(x, y).score(x, y) > 0.95
    assert StackingClassifier(others, cv=3).fit(x, y).score(x, y) > 0.95
    assert BaggingClassifier(base, n_estimators=3, random_state=0).fit(x, y).score(x, y) > 0.95
    assert TunedThresholdClassifierCV(base, cv=3).fit(x, y).score(x, y) > 0.9
    both = np.column_stack([y, 1 - y])
    assert MultiOutputClassifier(base).fit(x, both).predict(x).shape == both.shape


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_data_frames_bring_the_names_of_their_columns(frame) -> None:
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    table = frame(dict(zip(names, X.T, strict=True)))
    species = {"pandas": pd.Series, "polars": pl.Series}[frame.__module__.split(".")[0]](
        np.array(["setosa", "versicolor", "virginica"])[Y]
    )
    clf = MLPClassifier(**SETTINGS, early_stopping=True, monitor="val_accuracy").fit(table, species)
    assert list(clf.feature_names_in_) == names
    assert set(clf.predict(table)) <= set(clf.classes_) == {"setosa", "versicolor", "virginica"}
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        clf.predict(X)
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        clf.predict(table.rename({"sepal width": "other"} if frame is pl.DataFrame else str.upper, **(
            {} if frame is pl.DataFrame else {"axis": 1}
        )))  # fmt: skip


def test_weights_and_validation_rows_are_routed_through_a_pipeline() -> None:
    with config_context(enable_metadata_routing=True):
        clf = MLPClassifier(**SETTINGS).set_fit_request(X_val=True, y_val=True, sample_weight=True)
        pipeline = make_pipeline(StandardScaler(), clf, transform_input=["X_val"])
        pipeline[0].set_fit_request(sample_weight=False)
        order = np.random.default_rng(0).permutation(150)
        train, held = order[:100], order[100:]
        pipeline.fit(
            X[train], Y[train], X_val=X[held], y_val=Y[held], sample_weight=np.ones(100),
        )  # fmt: skip
        assert len(pipeline[-1].validation_scores_) == pipeline[-1].n_iter_
        direct = MLPClassifier(**SETTINGS).fit(
            pipeline[0].transform(X[train]), Y[train],
            X_val=pipeline[0].transform(X[held]), y_val=Y[held],
        )  # fmt: skip
        assert_allclose(direct.validation_scores_, pipeline[-1].validation_scores_)
        scores = cross_val_score(
            MLPClassifier(**SETTINGS).set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            X, Y, params={"sample_weight": np.ones(150)},
        )  # fmt: skip
        assert scores.min() > 0.8


def test_the_picture_shows_layers_parameters_and_the_last_epoch() -> None:
    clf = MLPClassifier((8, 4), ["relu", "tanh"], dropout=0.1, max_iter=3, random_state=0)
    assert "parameters</th>" not in clf._repr_html_()
    clf.fit(X, Y, X_val=X, y_val=Y)
    html = clf._repr_html_()
    for part in (
        "4 inputs, 91 parameters", "Dense(units=8, activation=&#x27;relu&#x27;", "<td>40</td>",
        "Dropout(rate=0.1)",
        f"val_accuracy {clf.history_['val_accuracy'][-1]:.4g}", "sk-estimator",
    ):  # fmt: skip
        assert part in html
    assert "91 parameters" in clf._repr_mimebundle_()["text/html"]
    many = MLPClassifier((8,), n_ensemble=3, max_iter=2, random_state=0).fit(X, Y)
    assert "3 networks, each: 4 inputs, 67 parameters" in many._repr_html_()
