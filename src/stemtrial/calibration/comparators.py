"""Pooled effects of conventional treatments on pain, in the model's terms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from stemtrial.calibration.given import POOLED, WEEK_MONTHS
from stemtrial.evidence.schema import Effect
from stemtrial.evidence.tables import Evidence
from stemtrial.mechanism.schedule import Event, Kind, Schedule, schedule
from stemtrial.mechanism.treatments import (
    LONGEST_MONTHS,
    Corticosteroid,
    Course,
    Exercise,
    HyaluronicAcid,
    Indication,
    Injection,
    Nsaid,
    Opioid,
    Paracetamol,
    Saline,
    Sham,
    Treatment,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledEffect:
    """A published pooled difference in pain between a treatment and its comparator, negative favours treatment.

    ``value`` and ``se`` are points of 0-100 at ``month``; the schedules are the two sides in the model's terms.
    """

    treatment: str
    comparator: str
    month: float
    value: float
    se: float
    n_trials: int | None
    reference_id: str
    schedule: Schedule
    comparator_schedule: Schedule
    note: str | None = None


class LeftOutEffect(NamedTuple):
    """A pooled effect on pain that is not used, and why."""

    treatment: str
    comparator: str
    reference_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ComparatorEffects:
    """Pooled effects that inform the conventional arms of an indication, and what was left out."""

    effects: tuple[PooledEffect, ...]
    left_out: tuple[LeftOutEffect, ...]


Z95 = 1.959963984540054
_ORAL_PLACEBO = Schedule((Event(Kind.CONTEXT_ORAL, 0.0, math.inf),))
_COMPARATORS: Mapping[str, Schedule] = {
    "oral_placebo": _ORAL_PLACEBO,
    "ia_saline": schedule([Saline(at_months=(0.0,))]),
    "sham_procedure": schedule([Sham(at_months=(0.0,))]),
    "no_exercise": Schedule(()),
    "no_treatment": Schedule(()),
    "no_treatment_usual_care_or_placebo": Schedule(()),
}
_CONVENTIONAL: Mapping[str, type[Course] | type[Injection]] = {
    "oral_nsaid": Nsaid,
    "paracetamol": Paracetamol,
    "opioid": Opioid,
    "exercise": Exercise,
    "ia_corticosteroid": Corticosteroid,
    "ia_hyaluronic_acid": HyaluronicAcid,
}


def comparator_effects(evidence: Evidence, indication: Indication) -> ComparatorEffects:
    """Return the pooled effects on pain that inform the conventional arms of an indication.

    Used are mean differences on 0-100 with an interval, against placebo, sham or no treatment, at a stated time, of
    treatments the model has an input for; of several for one treatment and time the one from most trials. A programme
    of exercise ends at the first time that its review reports, if a later one is said to lie after the programme.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> found = comparator_effects(load(), "knee_oa").effects
    >>> [(e.treatment, round(e.month, 1), e.value) for e in found if e.treatment == "paracetamol"]
    [('paracetamol', 1.4, -3.7)]
    """
    kept: dict[tuple[str, float], Effect] = {}
    left_out: list[LeftOutEffect] = []

    def drop(row: Effect, reason: str) -> None:
        left_out.append(LeftOutEffect(row.treatment, row.comparator, row.reference_id, reason))

    rows = [row for row in evidence.effects if row.indication in POOLED[indication] and row.outcome == "pain"]
    for row in rows:
        if reason := _why_not(row, indication):
            drop(row, reason)
            continue
        key = (row.treatment, cast(float, row.time_weeks))
        other = kept.get(key)
        if other and (other.n_trials or 0) >= (row.n_trials or 0):
            drop(row, f"{other.reference_id} pools as many or more trials of the same treatment and time")
            continue
        if other:
            drop(other, f"{row.reference_id} pools more trials of the same treatment and time")
        kept[key] = row
    return ComparatorEffects(tuple(_pooled(row, rows) for row in kept.values()), tuple(left_out))


def _why_not(row: Effect, indication: Indication) -> str | None:
    """Return why an effect is not used, or nothing."""
    kind = _CONVENTIONAL.get(row.treatment)
    if row.comparator == "baseline":
        return "a change within arms, not an effect"
    if kind is None or indication in kind.not_for:
        return f"{row.treatment} has no input in the model"
    if row.comparator not in _COMPARATORS:
        return f"{row.comparator} is no placebo, sham or absence of treatment that the model knows"
    if row.effect_metric != "MD_0_100":
        return f"{row.effect_metric} is not a difference in points"
    if row.ci_low is None or row.ci_high is None:
        return "no interval"
    if row.time_weeks is None:
        return "no time"
    if row.time_weeks * WEEK_MONTHS > LONGEST_MONTHS:
        return f"follow-up beyond {LONGEST_MONTHS} months"
    return None


def _pooled(row: Effect, rows: list[Effect]) -> PooledEffect:
    kind = _CONVENTIONAL[row.treatment]
    treatment: Treatment
    low, high, weeks = (cast(float, cell) for cell in (row.ci_low, row.ci_high, row.time_weeks))
    if issubclass(kind, Injection):
        treatment = kind(at_months=(0.0,))
    else:
        treatment = kind(from_month=0.0, to_month=_end_of_programme(row, rows))
    return PooledEffect(
        treatment=kind.name,
        comparator=row.comparator,
        month=weeks * WEEK_MONTHS,
        value=row.value,
        se=(high - low) / (2 * Z95),
        n_trials=row.n_trials,
        reference_id=row.reference_id,
        schedule=schedule([treatment]),
        comparator_schedule=_COMPARATORS[row.comparator],
        note=row.note,
    )


def _end_of_programme(row: Effect, rows: list[Effect]) -> float | None:
    """Return the month of the first result of the same review, if this row is said to come after the programme."""
    if "after the programme" not in (row.note or ""):
        return None
    of_review = (r for r in rows if (r.reference_id, r.treatment) == (row.reference_id, row.treatment))
    return WEEK_MONTHS * min(r.time_weeks for r in of_review if r.time_weeks is not None)
