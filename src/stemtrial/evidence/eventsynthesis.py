"""Harms of a comparison as one record: risks of both sides, their ratio, and what had to be left out."""

from dataclasses import dataclass
from typing import Literal

from stemtrial.evidence.betabinomial import BetaBinomial, beta_binomial
from stemtrial.evidence.events2x2 import (
    EventTable,
    SharedControl,
    arm_counts,
    asks_for,
    event_tables,
)
from stemtrial.evidence.rareevents import Measure, PooledTables, Risk, exact_risk, mantel_haenszel, peto
from stemtrial.evidence.scope import Scope, Stage, label, of_the_user, within
from stemtrial.evidence.tables import Evidence


@dataclass(frozen=True)
class EventStudy:
    """A trial of the synthesis: its 2 x 2 table and the exact risk of each side."""

    label: str
    table: EventTable
    treated: Risk
    control: Risk
    risk_of_bias: str
    blinding: str
    provenance: str


@dataclass(frozen=True)
class Uncontrolled:
    """All arms of the intervention that report the event, with or without a comparator, added up."""

    arms: int
    trials: int
    risk: Risk


@dataclass(frozen=True)
class EventSynthesis:
    """Harms of a comparison.

    Attributes
    ----------
    scope, event, shared_control, level, evidence_hash
        The question and its choices; ``event`` as the tables write it.
    users
        Of the compared trials, used or left out, those of the user.
    studies, left_out, stages
        What entered, what reports the event but did not enter, and the trials left by each condition.
    treated, control
        Exact risk of each side, patients of all trials added up; with no event its ``upper`` is the number
        to read.
    pooled
        Mantel-Haenszel risk ratio, odds ratio and risk difference, and Peto's odds ratio; each says where
        the tables cannot tell.
    model
        Beta-binomial model of both sides, reference first (the control).
    all_treated
        Arms of the intervention in every trial of the indication, or ``None`` if none reports the event.
    """

    scope: Scope
    event: str
    shared_control: SharedControl
    level: float
    evidence_hash: str
    studies: tuple[EventStudy, ...]
    left_out: tuple[tuple[str, str], ...]
    users: tuple[str, ...]
    stages: tuple[Stage, ...]
    treated: Risk
    control: Risk
    pooled: tuple[PooledTables, ...]
    model: BetaBinomial
    all_treated: Uncontrolled | None

    @property
    def status(self) -> Literal["ok", "no_events", "zero_events_in_one_group"]:
        """Whether a ratio of the two sides can be given."""
        return self.model.status


def synthesise_events(
    evidence: Evidence, *, scope: Scope, event: str, shared_control: SharedControl, level: float
) -> EventSynthesis:
    """Select, tabulate and pool an adverse event.

    Parameters
    ----------
    evidence
        The whole tables.
    scope
        Which trials and arms; an empty comparator takes every arm without the intervention.
    event
        A category of the tables, or one event by its name.
    shared_control, level
        As in :func:`~stemtrial.evidence.events2x2.event_tables`; level of all intervals.

    Raises
    ------
    InputError
        An unknown event, or nothing left: the message names the condition that emptied the selection.
    """
    name = asks_for(evidence, event)
    inside = within(evidence, scope)
    found = event_tables(
        inside.evidence, event=name, intervention=scope.intervention, shared_control=shared_control
    )
    studies = []
    for table in found.found:
        trial = evidence.trial(table.trial_id)
        treated, control = (
            exact_risk(side.events, side.n, level=level) for side in (table.treated, table.control)
        )
        studies.append(
            EventStudy(
                label(trial), table, treated, control, trial.risk_of_bias, trial.blinding, trial.provenance
            )
        )
    cells = (
        [table.treated.events for table in found.found],
        [table.treated.n for table in found.found],
        [table.control.events for table in found.found],
        [table.control.n for table in found.found],
    )
    measures: tuple[Measure, ...] = ("RR", "OR", "RD")
    pooled = (*(mantel_haenszel(*cells, measure=m, level=level) for m in measures), peto(*cells, level=level))
    sides_of = ["control"] * len(studies) + ["treated"] * len(studies)
    model = beta_binomial([*cells[2], *cells[0]], [*cells[3], *cells[1]], sides_of, level=level)
    every = arm_counts(evidence, indication=scope.indication, event=name, intervention=scope.intervention)
    reported = Stage(f"event {name} on both sides", tuple(dict.fromkeys(t.trial_id for t in found.found)))
    return EventSynthesis(
        scope=scope,
        event=name,
        shared_control=shared_control,
        level=level,
        evidence_hash=evidence.hash,
        studies=tuple(studies),
        left_out=found.left_out,
        users=of_the_user(evidence, (*inside.stages[-1].trials, *(name for name, _ in found.left_out))),
        stages=(*inside.stages, reported),
        treated=exact_risk(sum(cells[0]), sum(cells[1]), level=level),
        control=exact_risk(sum(cells[2]), sum(cells[3]), level=level),
        pooled=pooled,
        model=model,
        all_treated=Uncontrolled(
            len(every),
            len({arm.trial_id for arm in every}),
            exact_risk(sum(arm.events for arm in every), sum(arm.n for arm in every), level=level),
        )
        if every
        else None,
    )
