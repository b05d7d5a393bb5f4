"""The scikit-learn face: drop-in replacements for its MLPClassifier and MLPRegressor that can do more."""

from glassnet.estimators.classifier import MLPClassifier
from glassnet.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
