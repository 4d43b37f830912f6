"""Suitability of one person against the published rules: rule by rule and trial by trial, never a score.

Hard stops come first: rules that the evidence tables mark as absolute contraindications. Then every trial with its own
rules; what would change with time or treatment, and when; and what is unknown and would decide.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from stemtrial.candidate.conditions import AtMost, Value
from stemtrial.candidate.quantities import QUANTITIES, View
from stemtrial.candidate.record import Candidate
from stemtrial.candidate.reversal import CHANGEABLE, change, met_on
from stemtrial.candidate.rules import State, parse
from stemtrial.evidence.schema import Criterion
from stemtrial.evidence.tables import Evidence


@dataclass(frozen=True)
class RuleResult:
    """One rule for one person.

    Parameters
    ----------
    row
        Row of the criteria table, 1 = first.
    criterion, rule, threshold, kind
        As in the table.
    reference_id
        Where the rule was read.
    state
        Met, not met or unknown. A flag is ``not met`` where it is raised.
    values
        What is known of the names in the rule.
    open
        Names that are unknown and would decide.
    against
        Names that a rule which is not met fails on, each with the number it is compared with, if any.
    met_on
        First day on which the rule is met if nothing but time changes; only for rules that are not met now.
    change
        Otherwise, how the rule may come to be met; ``None`` if it will not.
    """

    row: int
    criterion: str
    rule: str
    threshold: str
    kind: str
    reference_id: str
    state: State
    values: tuple[tuple[str, Value], ...]
    open: tuple[str, ...]
    against: tuple[tuple[str, float | None], ...]
    met_on: date | None
    change: str | None


@dataclass(frozen=True)
class TrialResult:
    """Concordance with the rules of one trial.

    Parameters
    ----------
    trial
        Identifier of the trial or of its registry record.
    label
        Short name in print.
    reference_ids
        Where its rules were read.
    state
        Not met if any rule is not met, met if all are, else unknown. Only the rules that were read count.
    met, not_met, unknown
        Numbers of its rules.
    """

    trial: str
    label: str
    reference_ids: tuple[str, ...]
    state: State
    met: int
    not_met: int
    unknown: int


@dataclass(frozen=True)
class Failing:
    """What the person has that rules do not admit: the values, and the limits of the trials concerned."""

    name: str
    meaning: str
    value: Value
    limits: tuple[float, ...]
    trials: tuple[str, ...]
    met_on: tuple[tuple[str, date], ...]
    change: str | None


@dataclass(frozen=True)
class Missing:
    """A name that is unknown and would decide: the trials that are open on it, and the fields that give it."""

    name: str
    meaning: str
    fields: tuple[str, ...]
    trials: tuple[str, ...]
    hard_stop: bool


@dataclass(frozen=True)
class Suitability:
    """Everything the published rules say of a person; ``rows`` are (criterion, results by trial) of the matrix."""

    indication: str
    assessed: date
    rules: tuple[RuleResult, ...]
    trials: tuple[TrialResult, ...]
    hard_stops: tuple[RuleResult, ...]
    failing: tuple[Failing, ...]
    missing: tuple[Missing, ...]
    flags: tuple[RuleResult, ...]

    @property
    def stopped(self) -> bool:
        """Whether any hard stop applies."""
        return any(rule.state is State.NOT_MET for rule in self.hard_stops)

    def count(self, state: State) -> int:
        """Return the number of trials in a state."""
        return sum(trial.state is state for trial in self.trials)

    @property
    def finding(self) -> str:
        """The concordance in a sentence: counts of trials, then what fails and on which limits."""
        total = len(self.trials)
        failed, undecided = self.count(State.NOT_MET), self.count(State.UNKNOWN)
        parts = [f"meets the rules of {self.count(State.MET)} of {total} trials"]
        parts += [f"fails {failed} on {'; '.join(map(_reason, self.failing))}"] if failed else []
        parts += [f"{undecided} undecided for lack of data"] if undecided else []
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data; dates as text, a number without end as ``"never"``."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain | {"stopped": self.stopped, "finding": self.finding}


def suitability(record: Candidate, evidence: Evidence, assessed: date) -> Suitability:
    """Hold a record against the rules of its indication.

    Parameters
    ----------
    record, evidence
        The person and the tables.
    assessed
        Day of the assessment (:meth:`~stemtrial.candidate.record.Candidate.as_of`).

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> person = Candidate.model_validate({"indication": "knee_oa", "bmi": 33.2})
    >>> found = suitability(person, load(), date(2026, 3, 31))
    >>> [(each.name, each.limits) for each in found.failing]
    [('bmi', (30.0, 30.5))]
    """
    view = View(record, assessed)
    rows = [(n, row) for n, row in enumerate(evidence.criteria, 1) if record.indication in row.indication]
    trial_of = _trials(evidence, [row for _, row in rows])
    rules = [_judged(n, row, view) for n, row in rows]
    of_trials = [(trial_of[rule.reference_id], rule) for rule in rules if rule.reference_id in trial_of]
    trials = tuple(
        _trial(name, evidence, [rule for trial, rule in of_trials if trial == name])
        for name in dict.fromkeys(trial for trial, _ in of_trials)
    )
    failed = {trial.trial for trial in trials if trial.state is State.NOT_MET}
    return Suitability(
        indication=record.indication,
        assessed=assessed,
        rules=tuple(rules),
        trials=trials,
        hard_stops=tuple(rule for rule in rules if rule.kind == "absolute_contraindication"),
        failing=tuple(_failing(of_trials, {t.trial: t.label for t in trials})),
        missing=tuple(_missing(of_trials, failed, {t.trial: t.label for t in trials})),
        flags=tuple(rule for rule in rules if parse(rule.rule).effect == "flag_if"),
    )


def _trials(evidence: Evidence, rows: Iterable[Criterion]) -> dict[str, str]:
    """Return the trial of every reference that has a rule for inclusion or exclusion.

    A registry record and a publication of the same trial are one trial.
    """
    by_registry = {
        trial.registry_id.lower(): trial.trial_id
        for trial in evidence.trials
        if trial.registry_id is not None
    }
    return {
        row.reference_id: by_registry.get(row.reference_id, row.reference_id)
        for row in rows
        if parse(row.rule).effect != "flag_if" or row.reference_id in by_registry
    }


def label(reference_id: str) -> str:
    """Return a trial's identifier as it is printed.

    Examples
    --------
    >>> label("kuah_2018"), label("nct05751564")
    ('Kuah 2018', 'NCT05751564')
    """
    return (
        reference_id.upper()
        if reference_id.startswith("nct")
        else reference_id.replace("_", " ").capitalize()
    )


def _judged(row: int, criterion: Criterion, view: View) -> RuleResult:
    rule = parse(criterion.rule)
    judgement = rule.judge(view.value)
    against = rule.against(view.value)
    day = met_on(rule, view) if against else None
    return RuleResult(
        row=row,
        criterion=criterion.criterion,
        rule=criterion.rule,
        threshold=criterion.threshold,
        kind=criterion.kind,
        reference_id=criterion.reference_id,
        state=judgement.state,
        values=tuple((name, view.value(name)) for name in rule.kinds),
        open=tuple(name for name in rule.kinds if name in judgement.open),
        against=against,
        met_on=day,
        change=None if day else change(name for name, _ in against),
    )


def _trial(name: str, evidence: Evidence, rules: list[RuleResult]) -> TrialResult:
    states = [rule.state for rule in rules if parse(rule.rule).effect != "flag_if"]
    state = (
        State.NOT_MET if State.NOT_MET in states else State.UNKNOWN if State.UNKNOWN in states else State.MET
    )
    references = tuple(dict.fromkeys(rule.reference_id for rule in rules))
    return TrialResult(
        trial=name,
        label=label(name if name[-4:].isdecimal() else references[0]),
        reference_ids=references,
        state=state,
        met=states.count(State.MET),
        not_met=states.count(State.NOT_MET),
        unknown=states.count(State.UNKNOWN),
    )


def _failing(of_trials: list[tuple[str, RuleResult]], labels: dict[str, str]) -> Iterator[Failing]:
    found: dict[str, list[tuple[str, str, RuleResult]]] = {}
    for trial, rule in of_trials:
        if parse(rule.rule).effect != "flag_if":
            for name in dict.fromkeys(name for name, _ in rule.against):
                found.setdefault(QUANTITIES[name].meaning, []).append((labels[trial], name, rule))
    for meaning, hits in found.items():
        _, name, first = hits[0]
        against = [(own == each, limit) for _, own, rule in hits for each, limit in rule.against]
        yield Failing(
            name=name,
            meaning=meaning,
            value=dict(first.values)[name],
            limits=tuple(sorted({limit for is_own, limit in against if is_own and limit is not None})),
            trials=tuple(dict.fromkeys(trial for trial, _, _ in hits)),
            met_on=tuple((trial, rule.met_on) for trial, _, rule in hits if rule.met_on is not None),
            change=CHANGEABLE.get(name),
        )


def _missing(
    of_trials: list[tuple[str, RuleResult]], failed: set[str], labels: dict[str, str]
) -> Iterator[Missing]:
    """Yield what is unknown and would decide, hard stops first, then by the number of trials it would move."""
    trials: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    stops: set[str] = set()
    for trial, rule in of_trials:
        for name in rule.open:
            meaning = QUANTITIES[name].meaning
            names.setdefault(meaning, name)
            decided = trials.setdefault(meaning, [])
            if rule.kind == "absolute_contraindication":
                stops.add(meaning)
            if trial not in failed and labels[trial] not in decided:
                decided.append(labels[trial])
    asked = [meaning for meaning in trials if trials[meaning] or meaning in stops]
    for meaning in sorted(asked, key=lambda m: (m not in stops, -len(trials[m]), m)):
        name = names[meaning]
        yield Missing(name, meaning, QUANTITIES[name].fields, tuple(trials[meaning]), meaning in stops)


def _reason(each: Failing) -> str:
    limits = [f"{limit:g}" for limit in each.limits]
    if each.value is True or each.value is False or not limits:
        return each.meaning
    subject, _, unit = each.meaning.partition(", ")
    listed = " and ".join(filter(None, (", ".join(limits[:-1]), limits[-1])))
    return (
        f"{subject} {number(each.value)}{f' {unit}' if unit else ''}, limit{'s' * (len(limits) > 1)} {listed}"
    )


def number(value: Value) -> str:
    """Print a value of a record: up to one decimal, *never* for a time without end."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    bound = "at most " if isinstance(value, AtMost) else ""
    return "never" if value == float("inf") else f"{bound}{round(value, 1):g}"


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, State):
        return data.value
    if isinstance(data, date):
        return data.isoformat()
    return number(data) if isinstance(data, AtMost) or data == float("inf") else data
