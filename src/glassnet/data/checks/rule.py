"""What every check of the data has: a name, a definition, a threshold, and three kinds of verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.findings import Finding, Severity

__all__ = ["MOST_EXAMPLES", "Rule"]

MOST_EXAMPLES = 20


@dataclass(frozen=True)
class Rule:
    """The fixed part of a check; its methods make the finding.

    Examples
    --------
    >>> rule = Rule("long-names", "names of more than 8 letters", "shorten them", threshold=8)
    >>> rule.found(Severity.WARNING, "1 name is long", ["abracadabra"], value=11).examples
    ('abracadabra',)
    >>> rule.skipped("there are no names").severity.label
    'skipped'
    """

    name: str  # kebab-case
    definition: str  # what exactly is measured
    advice: str  # the first remedy
    threshold: float | None = None
    source: str = ""

    def ok(self, summary: str, value: float | None = None, **details: Any) -> Finding:
        """Looked, and found nothing."""
        return self._finding(Severity.OK, summary, value=value, details=details)

    def skipped(self, reason: str) -> Finding:
        """The check does not apply to these data."""
        return self._finding(Severity.SKIPPED, f"does not apply: {reason}")

    def found(
        self,
        severity: Severity,
        summary: str,
        examples: Iterable[Any] = (),
        *,
        value: float | None = None,
        n_affected: int | None = None,
        **details: Any,
    ) -> Finding:
        """Something was found: `examples` are row numbers or column names, of which the first 20 are kept."""
        shown = [e if isinstance(e, str) else int(e) for e in examples]
        return self._finding(
            severity,
            summary,
            value=value,
            n_affected=len(shown) if n_affected is None else int(n_affected),
            examples=tuple(shown[:MOST_EXAMPLES]),
            details=details,
        )

    def _finding(self, severity: Severity, summary: str, **fields: Any) -> Finding:
        if isinstance(fields.get("value"), np.generic):
            fields["value"] = fields["value"].item()
        details = fields.get("details", {})
        fields["details"] = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in details.items()}
        return Finding(
            self.name,
            severity,
            summary,
            threshold=self.threshold,
            definition=self.definition,
            advice=self.advice if severity > Severity.SKIPPED else "",
            source=self.source,
            **fields,
        )
