"""Choosing trials, arms and outcomes by what they studied and how."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from stemtrial.errors import InputError, Problem
from stemtrial.evidence import vocabulary as v
from stemtrial.evidence.schema import Arm, Trial
from stemtrial.evidence.tables import Evidence

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "indication": get_args(v.Indication),
    "blinding": get_args(v.Blinding),
    "intervention": get_args(v.Intervention),
    "product": get_args(v.Product),
    "origin": get_args(v.Origin),
    "comparator": get_args(v.Intervention),
    "construct": get_args(v.Construct),
    "reliability": get_args(v.Reliability),
    "analysis_set": get_args(v.AnalysisSet),
}
"""The filters, in the order in which they are applied, and the words each may ask for."""

_OF_TRIAL = ("indication", "blinding")
_OF_TREATMENT = ("intervention", "product", "origin")
_OF_OUTCOME = ("construct", "reliability", "analysis_set")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of evidence: for each filter one word or several, any of which will do.

    ``indication`` and ``blinding`` choose trials. ``intervention``, ``product`` and ``origin`` choose the
    arms under study, ``comparator`` the control arms beside them: a trial stays if it has one of each, and of
    its arms those stay that were chosen. A side that is not asked about keeps all its arms; in a trial
    without cells any arm may stand on either side. ``construct``, ``reliability`` and ``analysis_set`` choose
    outcome rows, and a trial without such a row leaves. Adverse events follow their arms; other tables stay
    whole.

    Raises
    ------
    InputError
        If a word is not in the vocabulary of its filter.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> blinded = Selection(indication="knee_oa", comparator=("saline", "placebo"), blinding="double")
    >>> {trial.blinding for trial in blinded.of(load()).trials}
    {'double'}
    """

    indication: str | tuple[str, ...] = ()
    blinding: str | tuple[str, ...] = ()
    intervention: str | tuple[str, ...] = ()
    product: str | tuple[str, ...] = ()
    origin: str | tuple[str, ...] = ()
    comparator: str | tuple[str, ...] = ()
    construct: str | tuple[str, ...] = ()
    reliability: str | tuple[str, ...] = ()
    analysis_set: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            Problem("is not known", field=name, value=word, allowed=", ".join(VOCABULARY[name]))
            for name, words in self.asked.items()
            for word in words
            if word not in VOCABULARY[name]
        ]
        if problems:
            raise InputError(*problems)

    @property
    def asked(self) -> dict[str, tuple[str, ...]]:
        """The filters that ask for something, in the order of application."""
        found = {name: getattr(self, name) for name in VOCABULARY}
        return {
            name: (words,) if isinstance(words, str) else tuple(words)
            for name, words in found.items()
            if words
        }

    def of(self, evidence: Evidence) -> Evidence:
        """Return the chosen part of the evidence.

        Raises
        ------
        InputError
            If nothing is left; the message names the filter that left nothing and what it could have kept.
        """
        selected = self._apply(evidence)
        if not selected.trials:
            raise InputError(self._emptied(evidence))
        return selected

    def _apply(self, evidence: Evidence) -> Evidence:
        trials = [trial for trial in evidence.trials if self._passes(trial, _OF_TRIAL)]
        arms = [arm for trial in trials for arm in self._arms(trial, evidence.arms_of(trial.trial_id))]
        kept = {(arm.trial_id, arm.arm_id) for arm in arms}
        outcomes = [
            row
            for row in evidence.outcomes
            if (row.trial_id, row.arm_id) in kept and self._passes(row, _OF_OUTCOME)
        ]
        staying = {arm.trial_id for arm in arms}
        if self.asked.keys() & set(_OF_OUTCOME):
            staying &= {row.trial_id for row in outcomes}
        return replace(
            evidence,
            trials=tuple(trial for trial in trials if trial.trial_id in staying),
            arms=tuple(arm for arm in arms if arm.trial_id in staying),
            outcomes=tuple(outcomes),
            events=tuple(
                row
                for row in evidence.events
                if row.trial_id in staying and (row.trial_id, row.arm_id) in kept
            ),
        )

    def _arms(self, trial: Trial, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        """Return the arms of a trial on either side of the comparison, none if a side asked about is bare."""
        studied = [
            arm
            for arm in arms
            if (
                self._passes(arm, _OF_TREATMENT)
                if self.asked.keys() & set(_OF_TREATMENT)
                else arm.role == "experimental" or trial.is_comparator_only
            )
        ]
        wanted = self.asked.get("comparator")
        control = [
            arm for arm in arms if arm.role == "control" and (not wanted or arm.intervention in wanted)
        ]
        if not studied and self.asked.keys() & set(_OF_TREATMENT):
            return ()
        if wanted and not any(arm is not other for arm in control for other in studied):
            return ()
        return tuple(arm for arm in arms if arm in studied or arm in control)

    def _passes(self, row: Any, names: tuple[str, ...]) -> bool:
        return all(getattr(row, name) in self.asked[name] for name in names if name in self.asked)

    def _emptied(self, evidence: Evidence) -> Problem:
        """Name the first filter after which nothing is left."""
        passed: dict[str, tuple[str, ...]] = {}
        before = evidence
        for name, words in self.asked.items():
            after = Selection(**passed, **{name: words})._apply(evidence)
            if not after.trials:
                break
            passed[name], before = words, after
        usable = [
            word for word in VOCABULARY[name] if Selection(**passed, **{name: word})._apply(evidence).trials
        ]
        return Problem(
            f"leaves nothing of the {len(before.trials)} trials before it",
            field=name,
            value=" or ".join(words),
            allowed=", ".join(usable) or "no value of this filter",
        )
