"""Several networks with different first weights and orders, trained side by side."""

from __future__ import annotations

from typing import Any

from glassnet.estimators.rows import Rows, hold_out
from glassnet.estimators.training import progress_of
from glassnet.progress import Progress

__all__ = ["fit_members"]

#: what the members do not do themselves
OF_THE_WHOLE = {
    "n_ensemble": 1, "n_jobs": None, "progress": None, "threshold": None, "temperature_scaling": False,
}  # fmt: skip
#: what the whole has only while it is one network
OF_ONE_NETWORK = (
    "network_", "coefs_", "intercepts_", "loss_curve_", "history_", "best_loss_", "validation_scores_",
    "best_validation_score_", "_lock", "_structure", "_progressed", "_kept", "_no_improvement_count",
    "_optimizer",
)  # fmt: skip
LEARNED_FROM_DATA = (
    "classes_",
    "_label_binarizer",
    "n_features_in_",
    "feature_names_in_",
    "n_outputs_",
    "out_activation_",
)


def _fit_member(
    member: Any, rows: Rows, held: Rows | None, first: bool, incremental: bool
) -> tuple[Any, bool]:
    exhausted, _ = member._fit_network(rows, held, first, incremental)
    return member, exhausted


def fit_members(
    whole: Any, rows: Rows, held: Rows | None, first: bool, incremental: bool
) -> tuple[bool, Rows | None]:
    """Train `n_ensemble` networks; whether one came to its last epoch, and their validation rows.

    All members learn from the same rows and watch the same validation rows; each has its own seed, drawn
    from the whole's `random_state`, so the result does not depend on how many run at a time.
    """
    from sklearn.base import clone
    from sklearn.utils.parallel import Parallel, delayed

    for name in OF_ONE_NETWORK:
        vars(whole).pop(name, None)
    rng = whole._draw_generator(incremental)
    if first or len(getattr(whole, "estimators_", [])) != whole.n_ensemble:
        seeds = rng.randint(2**31 - 1, size=whole.n_ensemble)
        members, first = [clone(whole).set_params(random_state=int(seed)) for seed in seeds], True
    else:
        members = whole.estimators_
    for member in members:  # also of one that goes on: the whole may have other parameters now
        now = clone(whole).get_params(deep=False) | {"random_state": member.random_state} | OF_THE_WHOLE
        member.set_params(**{name: now[name] for name in member.get_params(deep=False)})
    if held is None and whole._holds_out():
        rows, held = hold_out(rows, whole.validation_fraction, rng, whole._stratify(rows))
    learned = {name: vars(whole)[name] for name in LEARNED_FROM_DATA if name in vars(whole)}
    for member in members:
        vars(member).update(learned)
        member._before_training(held is not None)
    tasks = [delayed(_fit_member)(member, rows, held, first, incremental) for member in members]
    progress = progress_of(whole.progress) or Progress()
    progress.begin(type(whole).__name__, len(members))
    done = []
    try:
        for member, exhausted in Parallel(n_jobs=whole.n_jobs, return_as="generator")(tasks):
            done.append((member, exhausted))
            progress.advance(1, f"loss {member.loss_:.3f}")
    finally:
        progress.end()
    whole.estimators_ = [member for member, _ in done]
    first_member = whole.estimators_[0]
    whole.n_iter_ = max(member.n_iter_ for member in whole.estimators_)
    whole.loss_ = sum(member.loss_ for member in whole.estimators_) / whole.n_ensemble
    whole.t_, whole.n_layers_ = first_member.t_, first_member.n_layers_
    whole.stop_reason_ = first_member.stop_reason_
    return any(exhausted for _, exhausted in done), held
