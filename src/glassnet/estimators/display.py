"""A network as a small table for notebooks: layers, parameters, and what the last epoch measured."""

from __future__ import annotations

from html import escape
from typing import Any

from glassnet.nn.network import Network

__all__ = ["architecture_html"]


def architecture_html(estimator: Any) -> str:
    """HTML of a fitted estimator's network, or nothing before the fit; for an ensemble its first network."""
    members = getattr(estimator, "estimators_", [estimator])
    network: Network | None = getattr(members[0], "network_", None)
    if network is None:
        return ""
    count = f"{len(members)} networks, each: " if len(members) > 1 else ""
    rows, start = [], f"{network.n_inputs} inputs"
    for layer in network.layers:
        parameters = sum(slot.where.stop - slot.where.start for slot in network.slots if slot.layer is layer)
        rows.append(f"<tr><td>{escape(repr(layer))}</td><td>{parameters:,}</td></tr>")
    measured = {name: values[-1] for name, values in members[0].history_.items() if values}
    last = ", ".join(f"{escape(name)} {value:.4g}" for name, value in measured.items() if value == value)
    return (
        f"<table><caption>{count}{start}, {network.n_parameters:,} parameters"
        f"</caption><thead><tr><th>layer</th><th>parameters</th></tr></thead><tbody>{''.join(rows)}"
        f"</tbody></table><p>last epoch: {last or 'none'}</p>"
    )
