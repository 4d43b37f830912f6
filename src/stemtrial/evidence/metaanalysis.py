"""A whole pairwise synthesis as one record: what entered, what did not and why, and every result of it."""

from collections.abc import Mapping, Sequence
from typing import get_args

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.contrasts import Contrast, contrasts
from stemtrial.evidence.groups import usable
from stemtrial.evidence.heterogeneity import critical
from stemtrial.evidence.metarecord import Choices, MetaAnalysis, Rows, Study
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.robustness import (
    MODERATORS,
    case_diagnostics,
    grouped,
    moderated,
    small_studies,
    variants,
    without_each,
)
from stemtrial.evidence.schema import Trial
from stemtrial.evidence.scope import Scope, Stage, Within, label, of_the_user, within
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.vocabulary import Construct
from stemtrial.scales import ImportantDifference, mcid

_SCORE: Mapping[str, str] = {"pain": "VAS", "function": "WOMAC_function"}


def analyse(
    evidence: Evidence,
    *,
    scope: Scope,
    outcome: str,
    month: float,
    window: tuple[float, float],
    choices: Choices,
    moderators: Sequence[str] = (),
    by: Sequence[str] = (),
) -> MetaAnalysis:
    """Select, contrast, pool and examine.

    Parameters
    ----------
    evidence
        The whole tables.
    scope, outcome, month, window
        Which trials and arms; construct; visit wanted with first and last month accepted for it.
    choices
        How to contrast and pool.
    moderators, by
        Features for meta-regressions, one at a time, and for subgroups: names of :data:`MODERATORS`.

    Raises
    ------
    InputError
        Unknown words, or nothing left: the message names the condition that emptied the selection.
    NotCredibleError
        The pooled result did not converge.
    """
    asked = [
        (field, name) for field, names in (("moderator", moderators), ("subgroup", by)) for name in names
    ]
    unknown = [(field, name) for field, name in asked if name not in MODERATORS]
    if unknown:
        allowed = ", ".join(MODERATORS)
        raise InputError(
            *(Problem("is not known", field=f, value=name, allowed=allowed) for f, name in unknown)
        )
    inside = within(evidence, scope)
    _require_scores(inside, outcome, month, window)
    found = contrasts(
        inside.evidence,
        indication=scope.indication,
        comparator=scope.comparator,
        construct=outcome,
        month=month,
        window=window,
        rules=choices.rules,
        intervention=scope.intervention,
    )
    pooled = pool(
        found.y,
        found.v,
        method=choices.method,
        test=choices.test,
        level=choices.level,
        prediction=choices.prediction,
    )
    studies = tuple(
        _study(inside.evidence.trial(c.trial_id), c, weight, choices.level, found.found)
        for c, weight in zip(found.found, pooled.weights, strict=True)
    )
    k = len(studies)
    used = Stage("usable contrast", tuple(dict.fromkeys(c.trial_id for c in found.found)))
    return MetaAnalysis(
        scope=scope,
        outcome=outcome,
        month=month,
        window=window,
        choices=choices,
        evidence_hash=evidence.hash,
        studies=studies,
        left_out=found.left_out,
        users=of_the_user(inside.evidence, inside.stages[-1].trials),
        without_scores=_without_scores(inside, outcome),
        stages=(*inside.stages, used),
        rows=_rows(inside.evidence, inside.stages[-1].trials, outcome, window, studies),
        pooled=pooled,
        variants=tuple(variants(studies, choices)) if k > 1 else (),
        left_one_out=without_each(studies, choices) if k > 1 else (),
        influence=case_diagnostics(found.y, found.v, choices),
        small_studies=small_studies(found.y, found.v, choices),
        moderators=tuple(moderated(inside.evidence, name, found.found, choices) for name in moderators),
        subgroups=tuple(grouped(inside.evidence, name, found.found, choices) for name in by),
        mcid=important_difference(scope.indication, outcome),
    )


def _require_scores(inside: Within, outcome: str, month: float, window: tuple[float, float]) -> None:
    """Raise unless a compared trial has a primary score of the outcome in the window."""
    if outcome not in get_args(Construct):
        allowed = ", ".join(get_args(Construct))
        raise InputError(Problem("is not known", field="outcome", value=outcome, allowed=allowed))
    trials = inside.stages[-1].trials
    rows = [r for trial in trials for r in inside.evidence.outcomes_of(trial) if usable(r, outcome)]
    times = sorted({row.time_months for row in rows if row.time_months > 0})
    if not any(window[0] <= time <= window[1] for time in times):
        field, value = (
            ("months", f"{month:g} within {window[0]:g} to {window[1]:g}") if times else ("outcome", outcome)
        )
        found = f"visits at months {', '.join(f'{time:g}' for time in times)}" if times else None
        raise InputError(
            Problem(
                f"leaves nothing of the {len(trials)} trials before it",
                field=field,
                value=value,
                allowed=found,
                hint=None if times else "none of them has a primary score of it",
            )
        )


def _without_scores(inside: Within, outcome: str) -> tuple[str, ...]:
    return tuple(
        trial
        for trial in inside.stages[-1].trials
        if not any(row.time_months > 0 and usable(row, outcome) for row in inside.evidence.outcomes_of(trial))
    )


def important_difference(indication: str, outcome: str) -> ImportantDifference | None:
    """Return the smallest important difference between groups, or else within a person, on 0-100."""
    spine = indication in ("disc_degeneration", "chronic_low_back_pain")
    score = "ODI" if spine and outcome == "function" else _SCORE.get(outcome)
    if score is None:
        return None
    return mcid(score, indication, "between_group") or mcid(score, indication, "within_person")


def _study(
    trial: Trial, contrast: Contrast, weight: float, level: float, all_of_them: tuple[Contrast, ...]
) -> Study:
    split = sum(other.trial_id == contrast.trial_id for other in all_of_them) > 1
    arm = f", {' + '.join(contrast.arms)}" if split else ""
    half = critical(level, None) * contrast.v**0.5
    return Study(
        label=label(trial) + arm,
        contrast=contrast,
        ci=(contrast.y - half, contrast.y + half),
        weight=weight,
        risk_of_bias=trial.risk_of_bias,
        rob_source=trial.rob_source,
        blinding=trial.blinding,
        randomised=trial.design == "rct",
        provenance=trial.provenance,
    )


def _rows(
    evidence: Evidence,
    trials: Sequence[str],
    outcome: str,
    window: tuple[float, float],
    studies: tuple[Study, ...],
) -> Rows:
    inside = {(arm.trial_id, arm.arm_id) for trial in trials for arm in evidence.arms_of(trial)}
    rows = [r for r in evidence.outcomes if (r.trial_id, r.arm_id) in inside and r.construct == outcome]
    scores = [row for row in rows if usable(row, outcome)]
    timely = [row for row in scores if window[0] <= row.time_months <= window[1]]
    arms: dict[tuple[str, str], int] = {}
    for study in studies:
        trial, groups = study.contrast.trial_id, (study.contrast.treated, study.contrast.control)
        if study.contrast.treated is None:
            arms[trial, "difference"] = 1
        for group in groups:
            for arm in group.arms if group else ():
                arms[trial, arm] = 1 if group is None or group.baseline_month is None else 2
    return Rows(len(rows), len(scores), len(timely), sum(arms.values()))
