"""The evidence: eleven tables of published numbers and their lookups."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.schema import (
    Arm,
    Criterion,
    Effect,
    Event,
    Harm,
    NaturalHistory,
    Outcome,
    Predictor,
    Reference,
    Row,
    Threshold,
    Trial,
)
from stemtrial.evidence.vocabulary import nearest

ROWS: Mapping[str, type[Row]] = {
    "references": Reference,
    "trials": Trial,
    "arms": Arm,
    "outcomes": Outcome,
    "events": Event,
    "effects": Effect,
    "harms": Harm,
    "natural_history": NaturalHistory,
    "thresholds": Threshold,
    "predictors": Predictor,
    "criteria": Criterion,
}
"""Name of each table and the type of its rows."""


@dataclass(frozen=True)
class Evidence:
    """The tables as tuples of rows; :func:`~stemtrial.evidence.load` reads, checks and builds it.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> evidence = load()
    >>> evidence.trial("gupta_2016").blinding
    'double'
    >>> [arm.arm_id for arm in evidence.arms_of("bennell_2021")]
    ['prp', 'saline']
    """

    references: tuple[Reference, ...]
    trials: tuple[Trial, ...]
    arms: tuple[Arm, ...]
    outcomes: tuple[Outcome, ...]
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    harms: tuple[Harm, ...]
    natural_history: tuple[NaturalHistory, ...]
    thresholds: tuple[Threshold, ...]
    predictors: tuple[Predictor, ...]
    criteria: tuple[Criterion, ...]

    def trial(self, trial_id: str) -> Trial:
        """Return a trial; an :class:`~stemtrial.errors.InputError` names near matches of an unknown id."""
        return _find(self._trials, trial_id, "trial")

    def reference(self, reference_id: str) -> Reference:
        """Return a reference; the :class:`~stemtrial.errors.InputError` names near matches of a wrong id."""
        return _find(self._references, reference_id, "reference")

    def arm(self, trial_id: str, arm_id: str) -> Arm:
        """Return an arm; an :class:`~stemtrial.errors.InputError` names near matches of an unknown id."""
        arms = {arm.arm_id: arm for arm in self.arms_of(trial_id)}
        return _find(arms, arm_id, f"arm of {trial_id}")

    def arms_of(self, trial_id: str) -> tuple[Arm, ...]:
        """Return the arms of a trial, in the order of the table."""
        return self._arms.get(self.trial(trial_id).trial_id, ())

    def outcomes_of(self, trial_id: str, arm_id: str | None = None) -> tuple[Outcome, ...]:
        """Return the outcome rows of a trial or of one of its arms, in the order of the table."""
        rows = self._outcomes.get(self.trial(trial_id).trial_id, ())
        return tuple(row for row in rows if arm_id in (None, row.arm_id))

    def events_of(self, trial_id: str, arm_id: str | None = None) -> tuple[Event, ...]:
        """Return the adverse events of a trial or of one of its arms, in the order of the table."""
        rows = self._events.get(self.trial(trial_id).trial_id, ())
        return tuple(row for row in rows if arm_id in (None, row.arm_id))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the contents, free of row order, number formatting and provenance."""
        digest = hashlib.sha256()
        for table in fields(self):
            rows = sorted(
                json.dumps(list(row.cells().values()), ensure_ascii=False)
                for row in getattr(self, table.name)
            )
            header = [table.name, *ROWS[table.name].columns()]
            digest.update(json.dumps([header, rows], ensure_ascii=False).encode())
        return digest.hexdigest()

    @cached_property
    def _trials(self) -> dict[str, Trial]:
        return {trial.trial_id: trial for trial in self.trials}

    @cached_property
    def _references(self) -> dict[str, Reference]:
        return {reference.reference_id: reference for reference in self.references}

    @cached_property
    def _arms(self) -> dict[str, tuple[Arm, ...]]:
        return _by_trial(self.arms)

    @cached_property
    def _outcomes(self) -> dict[str, tuple[Outcome, ...]]:
        return _by_trial(self.outcomes)

    @cached_property
    def _events(self) -> dict[str, tuple[Event, ...]]:
        return _by_trial(self.events)


Found = TypeVar("Found", Trial, Reference, Arm)
OfTrial = TypeVar("OfTrial", Arm, Outcome, Event)


def _find(known: Mapping[str, Found], name: str, noun: str) -> Found:
    if name in known:
        return known[name]
    raise InputError(Problem("is not known", field=noun, value=name, hint=f"nearest: {nearest(name, known)}"))


def _by_trial(rows: Iterable[OfTrial]) -> dict[str, tuple[OfTrial, ...]]:
    grouped: dict[str, list[OfTrial]] = {}
    for row in rows:
        grouped.setdefault(row.trial_id, []).append(row)
    return {trial_id: tuple(group) for trial_id, group in grouped.items()}
