"""What a model is fitted to: the arms of trials, with what was printed of their patients and of their pain.

All pain is on 0-100, lower better; a change is negative when patients improved. What was not printed is ``None``, and
:attr:`TrialArm.unknown` names it.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Self

from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.schedule import Schedule
from stemtrial.mechanism.treatments import LONGEST_MONTHS, Indication, Origin, Product, Source

ReadingKind = Literal["level", "change", "responders"]
Blinding = Literal["double", "single", "open", "unclear"]
RiskOfBias = Literal["low", "some", "high", "unclear"]

_RANGE: Mapping[str, tuple[float, float]] = {"level": (0, 100), "change": (-100, 100), "responders": (0, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One published number of an arm at one visit after the start of treatment.

    Attributes
    ----------
    month
        Months since the start of treatment, above 0 and up to 24.
    instrument
        Name in the table of instruments, or the responder rule.
    kind
        ``level``: pain at the visit; ``change``: pain at the visit less baseline, negative better; ``responders``:
        share of patients whose pain fell by at least the threshold.
    statistic
        ``mean`` or ``median`` over patients; a share is the mean of a yes or no.
    value
        0 to 100 for levels, -100 to 100 for changes, 0 to 1 for shares.
    sd
        SD between patients of what ``kind`` says; ``None`` unknown, and for shares.
    se
        Standard error of the statistic; ``None`` unknown, and for shares, whose sampling is binomial in ``n``.
    n
        Patients behind the number, or ``None``.
    threshold, threshold_fraction
        For ``responders`` exactly one: improvement in points, or as a fraction of a patient's own baseline.
    reference_id, row
        Where it was read: reference, and row (1 = first) of the table of outcomes or of the user's file.
    note
        How the number was derived, when it is not as printed.
    """

    month: float
    instrument: str
    kind: ReadingKind
    statistic: Literal["mean", "median"]
    value: float
    sd: float | None = None
    se: float | None = None
    n: int | None = None
    threshold: float | None = None
    threshold_fraction: float | None = None
    reference_id: str
    row: int | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        _require(self._problems())

    def _problems(self) -> Iterator[Problem]:
        yield from _outside("month", self.month, 0, LONGEST_MONTHS, above=True)
        yield from _outside("value", self.value, *_RANGE[self.kind])
        for name in ("sd", "se"):
            yield from _outside(name, getattr(self, name), 0, math.inf, above=True)
        yield from _outside("n", self.n, 1, math.inf)
        yield from _outside("threshold", self.threshold, 0, 100)
        yield from _outside("threshold_fraction", self.threshold_fraction, 0, 1, above=True)
        given = (self.threshold is not None) + (self.threshold_fraction is not None)
        if given != (self.kind == "responders"):
            yield Problem(
                f"is given {given} times for {self.kind}",
                field="threshold or threshold_fraction",
                allowed="exactly one for responders, none otherwise",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialArm:
    """An arm of a trial: its treatment, patients, conduct and readings.

    Attributes
    ----------
    trial_id, arm_id, indication
        Identity; ``chronic_low_back_pain`` of the tables belongs to ``disc_degeneration``.
    intervention
        Word of the evidence tables.
    schedule
        The treatment as events of the model; ``None`` where the model has no input for it, see ``no_input``. An unknown
        dose of cells stands in it as 1 million per injection.
    source, origin, product, dose_million
        Cells as printed, million per injection; ``None`` unknown, or no cells.
    n, age_mean, female, bmi_mean
        Patients; ``female`` is a share, 0 to 1.
    grades
        Share of each grade (Kellgren-Lawrence, or Pfirrmann), summing to 1.
    baseline_mean, baseline_sd
        Pain before treatment.
    blinding, risk_of_bias, randomised
        Conduct of the trial.
    same_patients
        Whether all arms of the trial are the same persons, such as their two knees.
    readings
        In order of month; the baseline is not among them.
    assumed
        Parts of schedule and conduct that were supposed: ``n_injections``, ``injection_times``, ``source``, ``design``.
    notes
        Derivations and what was given beside the modelled treatment.
    no_input
        Why there is no schedule.
    """

    trial_id: str
    arm_id: str
    indication: Indication
    intervention: str
    schedule: Schedule | None
    source: Source | None = None
    origin: Origin | None = None
    product: Product | None = None
    dose_million: float | None = None
    n: int | None = None
    age_mean: float | None = None
    female: float | None = None
    bmi_mean: float | None = None
    grades: Mapping[int, float] | None = None
    baseline_mean: float | None = None
    baseline_sd: float | None = None
    blinding: Blinding = "unclear"
    risk_of_bias: RiskOfBias = "unclear"
    randomised: bool = False
    same_patients: bool = False
    readings: tuple[Reading, ...] = ()
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    no_input: str | None = None

    def __post_init__(self) -> None:
        _require(self._problems())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of what is missing, which a fit treats as parameters or integrates over.

        ``sd`` stands for readings without SD or standard error.
        """
        cells = ("source", "origin", "product", "dose_million") if self.intervention == "cell_therapy" else ()
        patients = ("n", "age_mean", "female", "bmi_mean", "grades", "baseline_mean", "baseline_sd")
        missing = [name for name in (*cells, *patients) if getattr(self, name) is None]
        missing += [name for name in ("blinding", "risk_of_bias") if getattr(self, name) == "unclear"]
        missing += self.assumed
        if any(r.sd is None and r.se is None for r in self.readings if r.kind != "responders"):
            missing.append("sd")
        return tuple(dict.fromkeys(missing))

    def _problems(self) -> Iterator[Problem]:
        yield from _outside("n", self.n, 1, math.inf)
        yield from _outside("age_mean", self.age_mean, 0, 120, above=True)
        yield from _outside("female", self.female, 0, 1)
        yield from _outside("bmi_mean", self.bmi_mean, 10, 80)
        yield from _outside("baseline_mean", self.baseline_mean, 0, 100)
        yield from _outside("baseline_sd", self.baseline_sd, 0, math.inf, above=True)
        yield from _outside("dose_million", self.dose_million, 0, math.inf, above=True)
        if self.grades is not None and not math.isclose(math.fsum(self.grades.values()), 1, abs_tol=1e-6):
            yield Problem("does not sum to 1", field="grades", value=dict(self.grades))
        months = [reading.month for reading in self.readings]
        if months != sorted(months):
            yield Problem("are not in order of month", field="readings", value=months)
        if (self.schedule is None) != (self.no_input is not None):
            yield Problem("contradicts schedule", field="no_input", allowed="a reason if there is none")


class LeftOut(NamedTuple):
    """Readings of an arm that are not used, and why; 0 readings for an arm of which nothing was printed."""

    trial_id: str
    arm_id: str
    readings: int
    reason: str


class Counts(NamedTuple):
    """Numbers of trials, arms and readings by kind."""

    trials: int
    arms: int
    levels: int
    changes: int
    responders: int


@dataclass(frozen=True)
class Arms:
    """The arms of one indication, and what was left out of it.

    Raises
    ------
    InputError
        If an arm stands twice, belongs to another indication or has no schedule.

    Examples
    --------
    >>> from stemtrial.calibration.published import published_arms
    >>> from stemtrial.evidence import load
    >>> arms = published_arms(load(), "knee_oa")
    >>> [arm.arm_id for arm in arms.of("kim_2023")]
    ['admsc', 'placebo']
    >>> len(arms.without(["kim_2023"]).trials) == len(arms.trials) - 1
    True
    """

    indication: Indication
    arms: tuple[TrialArm, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        keys = [(arm.trial_id, arm.arm_id) for arm in self.arms]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        problems = [Problem("stands twice", field=f"{trial}.{arm}") for trial, arm in twice]
        for arm in self.arms:
            if arm.indication != self.indication or arm.schedule is None:
                what = f"belongs to {arm.indication}" if arm.schedule else f"cannot be fitted: {arm.no_input}"
                problems.append(Problem(what, field=f"{arm.trial_id}.{arm.arm_id}"))
        _require(problems)

    @property
    def trials(self) -> tuple[str, ...]:
        """Ids of the trials, in order of first appearance."""
        return tuple(dict.fromkeys(arm.trial_id for arm in self.arms))

    @property
    def count(self) -> Counts:
        """How many trials, arms and readings of each kind there are."""
        kinds = [reading.kind for arm in self.arms for reading in arm.readings]
        return Counts(
            len(self.trials),
            len(self.arms),
            kinds.count("level"),
            kinds.count("change"),
            kinds.count("responders"),
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the indication and the arms, free of their order."""
        content = sorted(json.dumps(_plain(arm), sort_keys=True) for arm in self.arms)
        return hashlib.sha256(json.dumps([self.indication, content]).encode()).hexdigest()

    def of(self, trial_id: str) -> tuple[TrialArm, ...]:
        """Return the arms of a trial; none if it is not among them."""
        return tuple(arm for arm in self.arms if arm.trial_id == trial_id)

    def without(self, trial_ids: Iterable[str]) -> Self:
        """Return the arms less those of some trials; an InputError if one of them is not there."""
        dropped = tuple(trial_ids)
        _require(
            Problem("is not among the trials", field="trial", value=trial, allowed=", ".join(self.trials))
            for trial in dropped
            if trial not in self.trials
        )
        kept = tuple(arm for arm in self.arms if arm.trial_id not in dropped)
        return type(self)(self.indication, kept, self.left_out)

    def plus(self, more: Iterable[TrialArm]) -> Self:
        """Return these arms and others; those of other indications or without a schedule are left out."""
        added, left_out = [], []
        for arm in more:
            reason = arm.no_input or (
                None if arm.indication == self.indication else f"belongs to {arm.indication}"
            )
            if reason is None:
                added.append(arm)
            else:
                left_out.append(LeftOut(arm.trial_id, arm.arm_id, len(arm.readings), reason))
        return type(self)(self.indication, (*self.arms, *added), (*self.left_out, *left_out))


def _outside(
    field: str, value: float | None, low: float, high: float, *, above: bool = False
) -> Iterator[Problem]:
    """Yield a problem unless the value is unknown or finite and within its range."""
    if value is None or (math.isfinite(value) and (value > low if above else value >= low) and value <= high):
        return
    start = f"above {low:g}" if above else f"at least {low:g}"
    yield Problem(
        "is out of range" if math.isfinite(value) else "is not a finite number",
        field=field,
        value=value,
        allowed=start + (f" and at most {high:g}" if high < math.inf else ""),
    )


def _require(problems: Iterable[Problem]) -> None:
    if found := tuple(problems):
        raise InputError(*found)


def _plain(value: object) -> object:
    """Return domain objects as data that JSON can hold."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
