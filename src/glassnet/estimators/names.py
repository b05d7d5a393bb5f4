"""scikit-learn's check of parameters, which tells the nearest name as well if one is unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

from glassnet.errors import did_you_mean

__all__ = ["NearestNames"]


class NearestNames(BaseEstimator):  # type: ignore[misc]
    """An estimator whose `fit` answers `activation="rleu"` with: did you mean 'relu'?"""

    if TYPE_CHECKING:
        _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            hint = self._hint(str(error))
            raise InvalidParameterError(f"{str(error).removesuffix('.')}{hint}" if hint else error) from None

    def _hint(self, message: str) -> str:
        """What is meant by the parameter that a message is about."""
        found = re.match(r"The '(\w+)' parameter", message)
        if found is None:
            return ""
        kinds = self._parameter_constraints.get(found[1], ())
        known = [name for kind in kinds if isinstance(kind, StrOptions) for name in sorted(kind.options)]
        value = getattr(self, found[1])
        return did_you_mean(value, known) if isinstance(value, str) else ""
