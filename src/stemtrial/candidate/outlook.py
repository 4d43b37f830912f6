"""What a person like this may expect under each option: distributions, natural frequencies, harms, and their limits.

Pain and function are readings as a trial would take them, on 0-100 with 100 the worst; changes are negative when better. An *interval* of a share or
of a mean says how far the constants of the model and the trial (or clinic) are unknown; a *distribution* adds how
persons differ and how readings scatter.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stemtrial.candidate.applicability import Applicability
from stemtrial.candidate.person import Person
from stemtrial.evidence.benefitharm import HarmLine

MONTHS = (1.0, 3.0, 6.0, 12.0, 24.0)
"""Months after the start of treatment at which an outlook is given."""

RESPONSES = ("mcid", "thirty_percent", "fifty_percent")
"""Improvement of reported pain by the important difference, by 30 % and by 50 % of what was reported before."""

SHARES = ("parameters", "trial", "person", "measurement")
"""Parts of the variance of a reading: unknown constants of the model; differences between trials; differences between
persons, their own course included; momentary fluctuation and reading error."""

EQUIPOISE = 0.5
"""Probability of no important difference from which two options are called a candidate for a trial."""


@dataclass(frozen=True)
class Distribution:
    """Predictive distribution: mean, SD and quantiles."""

    mean: float
    sd: float
    q025: float
    q10: float
    q25: float
    q50: float
    q75: float
    q90: float
    q975: float


@dataclass(frozen=True)
class Interval:
    """A mean or a share with the 95 % interval that unknown constants and unknown trial leave.

    Attributes
    ----------
    estimate, low, high
        In the unit of what is estimated; shares are per 100 persons like this one.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Timepoint:
    """Outlook at one month.

    Attributes
    ----------
    month
        After the start of treatment.
    pain, function
        Readings, 0-100.
    change
        Reading of pain minus the reported pain, points.
    responders
        By :data:`RESPONSES`: of 100 persons like this, how many improve so much.
    specific
        Mean change by the treatment's own action, apart from context, natural course and regression to the mean;
        points, zero for saline.
    variance
        Shares of the variance of ``pain``, by :data:`SHARES`; they add up to one.
    average
        Mean change of an average participant of the trials, points.
    moved
        Mean change expected for this person minus ``average``: what the person's own data move.
    """

    month: float
    pain: Distribution
    function: Distribution
    change: Distribution
    responders: Mapping[str, Interval]
    specific: Interval
    variance: Mapping[str, float]
    average: float
    moved: float


@dataclass(frozen=True)
class Duration:
    """How long a benefit lasts within 24 months.

    Attributes
    ----------
    months
        Months spent at least the important difference below the pain before treatment (true pain, without momentary
        fluctuation and reading error).
    specific
        Months of those that would be lost without the treatment's own action, as a mean over persons like this.
    lasting
        Of 100 persons better by the important difference at month 3: how many are so at month 6, 12 and 24.
    """

    months: Distribution
    specific: Interval
    lasting: Mapping[float, Interval]


@dataclass(frozen=True)
class OptionOutlook:
    """Outlook under one option.

    Attributes
    ----------
    name, label
        Identifier and words.
    course
        One entry a month of :data:`MONTHS`; empty where ``text`` says why there are no numbers.
    duration
        ``None`` where there are no numbers.
    text
        Why no numbers are given; ``None`` where they are.
    dose_note
        Where the dose that was simulated comes from; ``None`` for options without one.
    harms
        Harms from the evidence, absolute ones per 1,000 with bounds (:class:`stemtrial.evidence.benefitharm.HarmLine`).
    harms_note
        What the evidence does not count; ``None`` where nothing is missing.
    """

    name: str
    label: str
    course: tuple[Timepoint, ...]
    duration: Duration | None
    text: str | None
    dose_note: str | None
    harms: tuple[HarmLine, ...]
    harms_note: str | None

    def at(self, month: float) -> Timepoint:
        """Return the outlook at a month of :data:`MONTHS`."""
        return next(point for point in self.course if point.month == month)


@dataclass(frozen=True)
class Pair:
    """Two options for this person at one month; the same virtual persons meet both.

    Attributes
    ----------
    first, second
        Names of the options.
    month
        After the start of treatment.
    difference
        True pain under ``second`` minus under ``first``, over virtual persons, points; negative favours ``second``.
    first_better, no_important_difference, second_better
        Probability that one is better by the important difference, or neither; they add up to one.
    equipoise
        Whether ``no_important_difference`` is at least :data:`EQUIPOISE`: a candidate for a trial.
    """

    first: str
    second: str
    month: float
    difference: Distribution
    first_better: float
    no_important_difference: float
    second_better: float
    equipoise: bool


@dataclass(frozen=True)
class Outlook:
    """All options for one person.

    Attributes
    ----------
    person
        Whom it is for.
    options
        In the order asked for.
    pairs
        Every pair of options with numbers, at months 6 and 12.
    applicability
        How far the person lies from the trials' participants; outside, no option has numbers.
    mcid, mcid_reference
        Smallest important change of pain for a person, points, and its reference.
    belief, fingerprint
        Where the constants come from, and what identifies them.
    seed, draws, within
        Seed; draws of constants and trial; virtual persons for each draw.
    effective_draws
        Draws of equal weight that carry as much information, once weighted by the person's reported function.
    """

    person: Person
    options: tuple[OptionOutlook, ...]
    pairs: tuple[Pair, ...]
    applicability: Applicability
    mcid: float
    mcid_reference: str
    belief: str
    fingerprint: str
    seed: int
    draws: int
    within: int
    effective_draws: float

    def option(self, name: str) -> OptionOutlook:
        """Return the outlook under an option."""
        return next(option for option in self.options if option.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: dictionaries, tuples, numbers, text and ``None``."""
        return asdict(self)
