"""From declared treatments to dated events of the model."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import PRP_HAS_NO_INPUT, Cells, Course, Injection, Treatment

DAYS_PER_MONTH = 365.25 / 12
"""Length of a month, in days."""


class Kind(IntEnum):
    """What an event does to the model."""

    CELLS = 0
    STEROID = 1
    HYALURONIC_ACID = 2
    NSAID = 3
    PARACETAMOL = 4
    OPIOID = 5
    EXERCISE = 6
    CONTEXT_INJECTION = 7
    CONTEXT_ORAL = 8
    CONTEXT_PROGRAMME = 9


_ACTIVE = {
    "cells": Kind.CELLS, "corticosteroid": Kind.STEROID, "hyaluronic_acid": Kind.HYALURONIC_ACID, "nsaid": Kind.NSAID,
    "paracetamol": Kind.PARACETAMOL, "opioid": Kind.OPIOID, "exercise": Kind.EXERCISE,
}  # fmt: skip
_CONTEXT = {
    "injection": Kind.CONTEXT_INJECTION,
    "oral": Kind.CONTEXT_ORAL,
    "programme": Kind.CONTEXT_PROGRAMME,
}


@dataclass(frozen=True)
class Event:
    """Something that starts on a day and, if it lasts, stops on a later one; ``amount`` is million cells."""

    kind: Kind
    start: float
    stop: float
    amount: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """All events of one arm.

    Attributes
    ----------
    events
        In order of start.
    allogeneic
        Whether cells come from a donor; ``None`` without cells.
    """

    events: tuple[Event, ...]
    allogeneic: bool | None = None

    @property
    def doses(self) -> tuple[Event, ...]:
        """Injections of cells."""
        return tuple(e for e in self.events if e.kind is Kind.CELLS)

    def switches(self) -> tuple[float, ...]:
        """Days on which an input jumps or starts, increasing."""
        days = {e.start for e in self.events} | {e.stop for e in self.events}
        return tuple(sorted(d for d in days if np.isfinite(d)))

    def without(self, kinds: Iterable[Kind]) -> "Schedule":
        """Return the schedule with treatments of these kinds inert: their context stays, their action goes."""
        inert = set(kinds)
        donor = None if Kind.CELLS in inert else self.allogeneic
        return Schedule(tuple(e for e in self.events if e.kind not in inert), donor)

    @property
    def actions(self) -> frozenset[Kind]:
        """Kinds of event with an action of their own, that is all but the contexts."""
        return frozenset(e.kind for e in self.events if e.kind < Kind.CONTEXT_INJECTION)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Kinds, starts, stops and amounts as arrays for compiled functions, which so meet one type only."""
        return (
            np.array([e.kind for e in self.events], float),
            np.array([e.start for e in self.events], float),
            np.array([e.stop for e in self.events], float),
            np.array([e.amount for e in self.events], float),
        )


def schedule(treatments: Iterable[Treatment]) -> Schedule:
    """Dated events of an arm's treatments.

    Every treatment brings its context (the response to being treated) and, where the model has an input for it, its
    specific action. Usual care brings neither.

    Raises
    ------
    InputError
        For platelet-rich plasma, for which the model has no input, and for an arm that mixes own and donor cells.

    Examples
    --------
    >>> from stemtrial.mechanism.treatments import PRP_HAS_NO_INPUT, Saline
    >>> [e.kind.name for e in schedule([Saline(at_months=(0,))]).events]
    ['CONTEXT_INJECTION']
    """
    events: list[Event] = []
    origins = set()
    for treatment in treatments:
        if treatment.name == "usual_care":
            continue
        if treatment.name == "prp":
            raise InputError(
                Problem(
                    PRP_HAS_NO_INPUT,
                    field="prp",
                    allowed=", ".join([*_ACTIVE, "saline", "sham", "usual_care"]),
                    hint="use another comparator; the synthesis of the evidence does cover it",
                )
            )
        if isinstance(treatment, Injection):
            spans = [(month * DAYS_PER_MONTH, np.inf) for month in treatment.at_months]
        elif isinstance(treatment, Course):
            stop = np.inf if treatment.to_month is None else treatment.to_month * DAYS_PER_MONTH
            spans = [(treatment.from_month * DAYS_PER_MONTH, stop)]
        else:
            raise TypeError(f"{treatment.name} is neither an injection nor a course")
        amount = 0.0
        if isinstance(treatment, Cells):
            amount = treatment.dose_million
            origins.add(treatment.origin)
        context = _CONTEXT[treatment.route]
        for index, (start, stop) in enumerate(spans):
            if treatment.name in _ACTIVE:
                events.append(Event(_ACTIVE[treatment.name], start, stop, amount))
            if index == 0:
                events.append(Event(context, start, stop))
    if len(origins) > 1:
        raise InputError(
            Problem(
                "are both autologous and allogeneic in one arm",
                field="cells",
                hint="give each origin an arm of its own",
            )
        )
    events.sort(key=lambda e: (e.start, e.kind))
    return Schedule(tuple(events), None if not origins else origins == {"allogeneic"})
