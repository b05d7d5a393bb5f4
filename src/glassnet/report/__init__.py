"""Results to one self-contained HTML file; figures and plain JSON for other uses."""

from glassnet.report.plain import study_json
from glassnet.report.write import write_report

__all__ = ["study_json", "write_report"]
