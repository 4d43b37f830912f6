"""Benefit and harm of the options side by side: absolute numbers apart from relative ones, each with its time.

Rows of the harm table with ``preferred`` set are used. A relative number (risk, odds or hazard ratio) becomes
an absolute one only with a baseline that somebody states; rates over different times at risk are never added
up or averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.eventrisk import EventRisk, Kind, event_risks
from stemtrial.evidence.schema import Harm
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.vocabulary import Severity, nearest

if TYPE_CHECKING:
    from stemtrial.evidence.synthesis import Effect

Scale = Literal["absolute", "relative"]

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "cells_autologous": (
        "ia_cell_therapy",
        "ia_bmac",
        "bone_marrow_harvest",
        "fat_harvest",
        "ia_injection_any",
    ),
    "cells_donor": ("ia_cell_therapy", "ia_injection_any"),
    "placebo_injection": ("ia_saline", "ia_injection_any"),
    "hyaluronic_acid": ("ia_hyaluronic_acid", "ia_injection_any"),
    "corticosteroid": ("ia_corticosteroid", "ia_injection_any"),
    "prp": ("prp", "ia_injection_any"),
    "exercise": (),
    "nsaid": (
        "oral_nsaid",
        "oral_nsaid_naproxen",
        "oral_nsaid_ibuprofen",
        "oral_nsaid_diclofenac",
        "oral_nsaid_celecoxib",
        "oral_nsaid_coxib",
    ),
    "topical_nsaid": ("topical_nsaid",),
    "opioid": ("opioid", "opioid_1_20_mg", "opioid_50_99_mg", "opioid_100_mg_up"),
    "paracetamol": ("paracetamol",),
    "duloxetine": ("duloxetine",),
    "knee_replacement": ("total_knee_replacement",),
    "arthroscopy": ("arthroscopy",),
    "disc_cells": ("intradiscal_cell_therapy",),
}
"""Treatments of the harm table that belong to each option, where it has rows of any; events of trials are counted for
every option. Harvesting counts for a person's own cells only; the events of ``ia_cell_therapy`` are printed for both
kinds of cells together and stand under both."""

_ABSOLUTE_PER_1000 = {"risk_percent": 10.0, "rate_per_1000_py": 1.0, "rd_per_1000": 1.0}


@dataclass(frozen=True)
class HarmLine:
    """One harm of one option.

    ``measure`` says what ``value`` is: ``events per 1,000`` persons or procedures over ``time_at_risk``,
    ``per 1,000 person-years``, ``more per 1,000`` than ``comparator``, or a ratio (``scale`` relative). A ratio
    with a stated baseline keeps its ratio and gets ``difference_per_1000`` with ``baseline_per_1000`` beside it.
    ``source`` is ``trials`` of the tables or ``literature``; ``users`` names the trials, or the reference, that
    are the user's.
    """

    option: str
    treatment: str
    event: str
    kind: Kind
    severity: Severity | None
    scale: Scale
    measure: str
    value: float
    low: float | None
    high: float | None
    upper_if_none: float | None
    comparator: str | None
    time_at_risk: str
    population: str
    source: Literal["trials", "literature"]
    references: tuple[str, ...]
    users: tuple[str, ...]
    baseline_per_1000: float | None
    difference_per_1000: tuple[float, float | None, float | None] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BenefitHarm:
    """One option: what it does to pain (``None`` where the network does not say) and its harms."""

    option: str
    benefits: "tuple[Effect, ...]"
    harms: tuple[HarmLine, ...]


def benefit_harm(
    evidence: Evidence,
    *,
    indication: str,
    options: Sequence[str],
    effects: "Mapping[str, Sequence[Effect]]",
    baselines_per_1000: Mapping[tuple[str, str], float],
) -> tuple[BenefitHarm, ...]:
    """Return the options beside each other, in the order asked for.

    Parameters
    ----------
    options
        Keys of :data:`OPTIONS`.
    effects
        Effects on pain for the options that a network or another source speaks of.
    baselines_per_1000
        Risk per 1,000 without the treatment, by (treatment, event) of the harm table, for relative rows that
        shall also read as differences; empty for none.

    Raises
    ------
    InputError
        An unknown option, or a baseline that is impossible or fits no relative row.
    """
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise InputError(
            *(
                Problem("is not known", field="option", value=name, hint=f"nearest: {nearest(name, OPTIONS)}")
                for name in unknown
            )
        )
    rows = [row for row in evidence.harms if row.preferred]
    relative = {(row.treatment, row.event) for row in rows if row.measure in ("rr", "or", "hr")}
    for key, risk in baselines_per_1000.items():
        if key not in relative or not 0 <= risk <= 1000:
            text = f"{key[0]}, {key[1]}: {risk:g}"
            allowed = "0 to 1000, for a relative row of the harm table"
            raise InputError(Problem("cannot be used", field="baseline", value=text, allowed=allowed))
    counted = event_risks(evidence, indication=indication)
    return tuple(
        BenefitHarm(
            option,
            tuple(effects.get(option, ())),
            (
                *(_of_trials(risk) for risk in counted if risk.option == option),
                *(
                    _of_literature(option, row, baselines_per_1000.get((row.treatment, row.event)))
                    for row in rows
                    if row.treatment in OPTIONS[option] and _concerns(option, row)
                ),
            ),
        )
        for option in options
    )


def _concerns(option: str, row: Harm) -> bool:
    """Antibodies against the donor concern donor cells only."""
    return option == "cells_donor" or "donor" not in row.event


def _of_trials(risk: EventRisk) -> HarmLine:
    low, high = risk.months
    return HarmLine(
        option=risk.option,
        treatment=risk.option,
        event=risk.category,
        kind=risk.kind,
        severity=None,
        scale="absolute",
        measure="events per 1,000",
        value=risk.per_1000,
        low=risk.ci[0],
        high=risk.ci[1],
        upper_if_none=None if risk.events else risk.upper,
        comparator=None,
        time_at_risk=f"above {low:g} to {high:g} months" if low else f"up to {high:g} months",
        population=f"{risk.persons} persons of {len(risk.trials)} trial{'s' * (len(risk.trials) > 1)}",
        source="trials",
        references=risk.references,
        users=risk.users,
        baseline_per_1000=None,
        difference_per_1000=None,
        notes=risk.notes,
    )


def _kind(row: Harm) -> Kind:
    """Serious; else totals of all events apart; mild events and moderate ones of the joint are transient."""
    if row.severity == "serious":
        return "systemic_or_serious"
    if any(word in row.event for word in ("adverse event", "complication")):
        return "unclassified"
    joint = any(word in row.event for word in ("flare", "effusion", "swelling"))
    return "local_or_transient" if row.severity == "mild" or joint else "unclassified"


def _of_literature(option: str, row: Harm, baseline: float | None) -> HarmLine:
    factor = _ABSOLUTE_PER_1000.get(row.measure)
    names = {
        "risk_percent": "events per 1,000",
        "rate_per_1000_py": "per 1,000 person-years",
        "rd_per_1000": "more per 1,000",
        "rr": "risk ratio",
        "or": "odds ratio",
        "hr": "hazard ratio",
    }
    ends = [None if x is None else x * (factor or 1.0) for x in (row.ci_low, row.ci_high)]
    difference = None
    if factor is None and baseline is not None:
        difference = (
            _difference(row.measure, row.value, baseline),
            None if row.ci_low is None else _difference(row.measure, row.ci_low, baseline),
            None if row.ci_high is None else _difference(row.measure, row.ci_high, baseline),
        )
    notes = [row.note] if row.note else []
    if factor is None and baseline is None:
        notes.append("relative; no baseline stated")
    if row.treatment == "ia_cell_therapy":
        notes.append("own and donor cells together" if "donor" not in row.event else "donor cells")
    return HarmLine(
        option=option,
        treatment=row.treatment,
        event=row.event,
        kind=_kind(row),
        severity=row.severity,
        scale="relative" if factor is None else "absolute",
        measure=names[row.measure],
        value=row.value * (factor or 1.0),
        low=ends[0],
        high=ends[1],
        upper_if_none=None,
        comparator=row.comparator,
        time_at_risk=row.time_at_risk or "not stated",
        population=row.population,
        source="literature",
        references=(row.reference_id,),
        users=(row.reference_id,) if row.provenance == "user" else (),
        baseline_per_1000=baseline if factor is None else None,
        difference_per_1000=difference,
        notes=tuple(notes),
    )


def _difference(measure: str, ratio: float, baseline: float) -> float:
    """Return more events per 1,000 at a baseline risk; a hazard ratio is applied to ``-log(1 - risk)``.

    Cochrane Handbook, sections 14.1.5 and 15.4.4.
    """
    risk = baseline / 1000
    if measure == "rr":
        treated = min(ratio * risk, 1.0)
    elif measure == "or":
        treated = ratio * risk / (1 - risk + ratio * risk)
    else:
        treated = 1 - (1 - risk) ** ratio
    return 1000 * (treated - risk)
