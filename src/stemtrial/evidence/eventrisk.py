"""Adverse events of the trials by option: exact risks per 1,000, local or transient apart from systemic."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.networkdata import PLACEBO
from stemtrial.evidence.rareevents import exact_risk
from stemtrial.evidence.schema import Arm, Event
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.vocabulary import EventCategory

Kind = Literal["local_or_transient", "systemic_or_serious", "unclassified"]

TIME_BANDS: tuple[tuple[float, float], ...] = ((0, 1), (1, 6), (6, 12), (12, 24), (24, 120), (120, 600))
"""Months at risk, above the first and up to the second, within which counts may be added up."""


def kind_of(category: EventCategory, serious: bool) -> Kind:
    """Say whether an event is local or transient, or systemic or serious.

    Serious events are ``systemic_or_serious`` whatever their category, and so are infection, neoplasm, immune
    and vascular events; pain and swelling at the joint are ``local_or_transient``. Totals (any, treatment
    related, withdrawal, failure, other) mix both and stay ``unclassified``.
    """
    if serious or category in ("serious_any", "infection", "neoplasm", "immune", "vascular"):
        return "systemic_or_serious"
    if category in ("injection_site_pain", "joint_swelling"):
        return "local_or_transient"
    return "unclassified"


def option_of(arm: Arm) -> str:
    """Return the option of a benefit-harm table that an arm stands for.

    Cells are divided by where they come from: ``cells_autologous`` or ``cells_donor``.
    """
    if arm.intervention == "cell_therapy":
        return "cells_donor" if arm.origin == "allogeneic" else "cells_autologous"
    return "placebo_injection" if arm.intervention in PLACEBO else arm.intervention


@dataclass(frozen=True)
class EventRisk:
    """Events of one category under one option within one band of time at risk.

    ``per_1000`` and ``ci`` are the share of persons with an event (Clopper-Pearson, exact) and ``upper`` the
    one-sided 95 % bound, to be printed when there were none. Counts of several trials are added up as they
    stand: the rate describes these persons, and no comparison between options follows from it. ``users`` are
    those of the ``trials`` whose counts are the user's.
    """

    option: str
    category: EventCategory
    kind: Kind
    months: tuple[float, float]
    events: int
    persons: int
    per_1000: float
    ci: tuple[float, float]
    upper: float
    trials: tuple[str, ...]
    users: tuple[str, ...]
    references: tuple[str, ...]
    notes: tuple[str, ...]


def event_risks(evidence: Evidence, *, indication: str, level: float = 0.95) -> tuple[EventRisk, ...]:
    """Return the risks of all options, categories and bands of time at risk of an indication.

    Only rows of the analysis set ``primary`` are counted, one an arm, category and band: of several events of
    a category in one arm the one with most persons affected, because persons may have several.

    Raises
    ------
    InputError
        No event of the indication.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> found = event_risks(load(), indication="knee_oa")
    >>> {risk.option for risk in found} >= {"cells_autologous", "cells_donor", "hyaluronic_acid"}
    True
    """
    chosen: dict[tuple[str, EventCategory, tuple[float, float]], dict[tuple[str, str], list[Event]]] = {}
    for row, arm in _rows(evidence, indication):
        key = option_of(arm), row.category, _band(row.follow_up_months)
        chosen.setdefault(key, {}).setdefault((row.trial_id, row.arm_id), []).append(row)
    found = []
    for (option, category, band), arms in sorted(chosen.items()):
        rows = [max(group, key=lambda row: row.n_with_event) for group in arms.values()]
        several = sum(len(group) > 1 for group in arms.values())
        risk = exact_risk(
            sum(row.n_with_event for row in rows), sum(row.n_at_risk for row in rows), level=level
        )
        low = sum(row.reliability == "low" for row in rows)
        notes = (f"{several} arms with several events of the category: the most frequent" if several else "",
                 f"{low} of {len(rows)} arms of low reliability" if low else "")  # fmt: skip
        found.append(
            EventRisk(
                option=option,
                category=category,
                kind=kind_of(category, any(row.serious for row in rows)),
                months=band,
                events=risk.events,
                persons=risk.n,
                per_1000=1000 * risk.estimate,
                ci=(1000 * risk.ci[0], 1000 * risk.ci[1]),
                upper=1000 * risk.upper,
                trials=tuple(dict.fromkeys(row.trial_id for row in rows)),
                users=tuple(dict.fromkeys(row.trial_id for row in rows if row.provenance == "user")),
                references=tuple(dict.fromkeys(row.reference_id for row in rows)),
                notes=tuple(note for note in notes if note),
            )
        )
    return tuple(found)


def _rows(evidence: Evidence, indication: str) -> Iterable[tuple[Event, Arm]]:
    trials = {trial.trial_id for trial in evidence.trials if trial.indication == indication}
    rows = [row for row in evidence.events if row.trial_id in trials and row.analysis_set == "primary"]
    if not rows:
        raise InputError(Problem("has no adverse events in the tables", field="indication", value=indication))
    return [(row, evidence.arm(row.trial_id, row.arm_id)) for row in rows]


def _band(months: float) -> tuple[float, float]:
    return next(band for band in TIME_BANDS if band[0] < months <= band[1] or months == band[0] == 0)
