"""From rows of adverse events to 2 x 2 tables and to counts of each arm.

Only rows of the analysis set ``primary`` count, and an event enters a table only where both sides report
the same event over the same follow-up. The rows of a category are never summed within an arm: one patient
may stand in several of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.groups import SELF_CONTROLLED
from stemtrial.evidence.heterogeneity import choice
from stemtrial.evidence.schema import Arm, Event
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.vocabulary import EventCategory, nearest

SharedControl = Literal["combine", "split"]


@dataclass(frozen=True)
class Count:
    """Patients with the event of those at risk in one arm, or in arms combined; ``n`` counts whole patients."""

    arms: tuple[str, ...]
    interventions: tuple[str, ...]
    events: int
    n: int


@dataclass(frozen=True)
class EventTable:
    """One 2 x 2 table: treated against control patients of a trial, one event, one follow-up."""

    trial_id: str
    event: str
    category: str
    serious: bool
    months: float
    treated: Count
    control: Count
    references: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class EventTables:
    """The tables of a question, and the trials that report the event but are left out, with the reason."""

    found: tuple[EventTable, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ArmCount:
    """One arm and event, whether its trial has a comparator or not."""

    trial_id: str
    arm_id: str
    intervention: str
    event: str
    months: float
    events: int
    n: int


class _Unusable(Exception):
    """A trial that gives no table, with the reason."""


def asks_for(evidence: Evidence, event: str) -> str:
    """Return the category or the exact event that a word names; case does not matter.

    Raises
    ------
    InputError
        Neither; the message lists the categories and the nearest events.
    """
    wanted = event.strip().lower()
    known: dict[str, str] = {
        name.lower(): name for name in (*get_args(EventCategory), *(row.event for row in evidence.events))
    }
    if wanted in known:
        return known[wanted]
    raise InputError(
        Problem(
            "is neither a category nor an event",
            field="event",
            value=event,
            allowed=f"categories {', '.join(get_args(EventCategory))}",
            hint=f"nearest: {nearest(wanted, known)}",
        )
    )


def event_tables(
    evidence: Evidence,
    *,
    event: str,
    intervention: str,
    shared_control: SharedControl,
    self_controlled: Iterable[str] = SELF_CONTROLLED,
) -> EventTables:
    """Return one table a trial (or one a treated arm, when the control is split).

    Parameters
    ----------
    evidence
        Tables whose arms are those inside the scope (:func:`stemtrial.evidence.scope.within`): arms of the
        intervention, and the arms they are compared with.
    event
        A category of the tables, or one event by its name.
    intervention
        What the treated arms received.
    shared_control
        Several treated arms: ``combine`` them into one group, or ``split`` the control's patients and events
        evenly; a control whose events or patients do not divide evenly leaves the trial out, because
        exact methods need whole patients.
    self_controlled
        Trials whose two arms are the same persons; they are left out, since a table of independent groups
        would be wrong and their pairs were not read.

    Raises
    ------
    InputError
        An unknown event, or no table: the message says why each reporting trial was left out.
    """
    choice("shared_control", shared_control, SharedControl)
    name = asks_for(evidence, event)
    found: list[EventTable] = []
    left_out: list[tuple[str, str]] = []
    reporting = tuple(
        dict.fromkeys(row.trial_id for row in evidence.events if name in (row.event, row.category))
    )
    for trial_id in (t.trial_id for t in evidence.trials if t.trial_id in reporting):
        arms = evidence.arms_of(trial_id)
        if not arms:
            continue
        try:
            if trial_id in self_controlled:
                raise _Unusable("both arms are the same persons, and their pairs were not read")
            found += _of_trial(evidence, trial_id, arms, name, intervention, shared_control)
        except _Unusable as reason:
            left_out.append((trial_id, str(reason)))
    if not found:
        reasons = "; ".join(f"{trial}: {reason}" for trial, reason in left_out)
        raise InputError(
            Problem(
                "leaves no trial that reports it on both sides",
                field="event",
                value=name,
                hint=f"left out: {reasons}" if reasons else "no trial inside the other filters reports it",
            )
        )
    return EventTables(tuple(found), tuple(left_out))


def _of_trial(
    evidence: Evidence,
    trial_id: str,
    arms: tuple[Arm, ...],
    name: str,
    intervention: str,
    shared: SharedControl,
) -> list[EventTable]:
    of = {arm.arm_id: arm for arm in arms}
    rows = [
        row
        for row in evidence.events_of(trial_id)
        if row.arm_id in of and row.analysis_set == "primary" and name in (row.event, row.category)
    ]
    treated = [row for row in rows if of[row.arm_id].intervention == intervention]
    control = [row for row in rows if of[row.arm_id].intervention != intervention]
    both = {_key(row) for row in treated} & {_key(row) for row in control}
    if not both:
        sides = "the comparator" if not control else "the treated arms" if not treated else "both sides alike"
        raise _Unusable(f"not reported for {sides}")
    events = sorted({event for event, _ in both})
    if len(events) > 1:
        raise _Unusable(
            f"several events of the category, which may share patients; name one: {', '.join(events)}"
        )
    months = max(time for _, time in both)
    treated, control = ([r for r in side if _key(r) == (events[0], months)] for side in (treated, control))
    flags = [] if len({time for _, time in both}) == 1 else ["longest of several follow-ups"]
    against = _count(control, of)
    if len(treated) == 1 or shared == "combine":
        pairs = [(_count(treated, of), against)]
        flags += [f"{len(side)} arms combined" for side in (treated, control) if len(side) > 1]
    else:
        parts = len(treated)
        if against.n % parts or against.events % parts:
            raise _Unusable(
                f"the control ({against.events} of {against.n}) does not split into {parts} whole parts"
            )
        share = Count(against.arms, against.interventions, against.events // parts, against.n // parts)
        pairs = [(_count([row], of), share) for row in treated]
        flags.append(f"1/{parts} of the control")
    first = treated[0]
    return [
        EventTable(
            trial_id=trial_id,
            event=first.event,
            category=first.category,
            serious=first.serious,
            months=months,
            treated=one,
            control=other,
            references=tuple(dict.fromkeys(row.reference_id for row in (*treated, *control))),
            flags=tuple(flags),
        )
        for one, other in pairs
    ]


def _key(row: Event) -> tuple[str, float]:
    return row.event, row.follow_up_months


def _count(rows: list[Event], arms: dict[str, Arm]) -> Count:
    return Count(
        tuple(row.arm_id for row in rows),
        tuple(dict.fromkeys(arms[row.arm_id].intervention for row in rows)),
        sum(row.n_with_event for row in rows),
        sum(row.n_at_risk for row in rows),
    )


def arm_counts(evidence: Evidence, *, indication: str, event: str, intervention: str) -> tuple[ArmCount, ...]:
    """Return every primary count of an event in arms of an intervention, with or without a comparator.

    One row an arm: of several follow-ups the longest. Arms with several events of a category are left out,
    as their rows may share patients.
    """
    name = asks_for(evidence, event)
    found: list[ArmCount] = []
    for trial in evidence.trials:
        if trial.indication != indication:
            continue
        for arm in evidence.arms_of(trial.trial_id):
            rows = [
                row
                for row in evidence.events_of(trial.trial_id, arm.arm_id)
                if row.analysis_set == "primary" and name in (row.event, row.category)
            ]
            if arm.intervention != intervention or len({row.event for row in rows}) != 1:
                continue
            row = max(rows, key=lambda r: r.follow_up_months)
            found.append(
                ArmCount(
                    trial.trial_id,
                    arm.arm_id,
                    arm.intervention,
                    row.event,
                    row.follow_up_months,
                    row.n_with_event,
                    row.n_at_risk,
                )
            )
    return tuple(found)
