"""What a person like this may expect under each option: distributions, natural frequencies, harms, and their limits.

Pain and function are readings as a trial would take them, on 0-100 with 100 the worst; changes are negative when
better. An *interval* of a share or of a mean says how far the constants of the model and the trial (or clinic) are
unknown; a *distribution* adds how persons differ and how readings scatter. Persons scatter at least as much as the
participants of published arms of equal baseline pain do. All options meet the same virtual persons.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief
from stemtrial.candidate import summaries
from stemtrial.candidate.applicability import Applicability, applicability
from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.options import Option, harms
from stemtrial.candidate.participants import Participants, participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.summaries import (
    Distribution,
    Interval,
    between_and_within,
    distribution,
    effective,
    explained_by_trial,
    interval,
)
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.benefitharm import HarmLine
from stemtrial.mechanism.schedule import Schedule
from stemtrial.simulation import STANDARD_NUMERICS, Numerics

MONTHS = (1.0, 3.0, 6.0, 12.0, 24.0)
"""Months after the start of treatment at which an outlook is given."""

RESPONSES = ("mcid", "thirty_percent", "fifty_percent")
"""Improvement of reported pain by the important difference, by 30 % and by 50 % of what was reported before."""

SHARES = ("parameters", "trial", "person", "measurement")
"""Parts of the variance of a reading: unknown constants of the model; differences between trials; differences between
persons, their own course included; momentary fluctuation and reading error."""

COMPARED = (6.0, 12.0)
"""Months at which options are compared with each other."""

GRID = (0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
"""Months between which the duration of a benefit is taken as linear."""

EARLY = 3.0
"""Month of the response whose lasting is reported."""

LEAST_DRAWS, LEAST_PATIENTS = 100, 10
"""Fewest draws for a 95 % interval, and fewest patients a draw to tell chance from draws."""

_AVERAGE_PATIENTS = 10

_COURSES = 6
"""Own courses for each virtual person by which early and lasting response are counted."""

EQUIPOISE = 0.5
"""Probability of no important difference from which two options are called a candidate for a trial."""


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
        Shares of the variance of ``pain`` before clipping, by :data:`SHARES`; they add up to one.
    widened
        SD added to ``pain`` because virtual persons scattered less than participants of published arms; often 0.
    average
        Change expected of an average participant of the trials, points, before clipping to the scale.
    moved
        Change expected of this person minus ``average``: what the person's own data move.
    """

    month: float
    pain: Distribution
    function: Distribution
    change: Distribution
    responders: Mapping[str, Interval]
    specific: Interval
    variance: Mapping[str, float]
    widened: float
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
    lasting, late
        Of 100 persons better by the important difference at month 3, and of 100 who are not: how many are so at month
        6, 12 and 24; empty where nobody is.
    """

    months: Distribution
    specific: Interval
    lasting: Mapping[float, Interval]
    late: Mapping[float, Interval]


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


def outlook(
    person: Person,
    options: tuple[Option, ...],
    belief: Belief,
    seed: int,
    draws: int = 400,
    within: int = 30,
    numerics: Numerics = STANDARD_NUMERICS,
) -> Outlook:
    """Return what a person like this may expect under each option.

    Parameters
    ----------
    person
        What is known; the unknown is integrated over the participants of the trials.
    options
        In the order of the result (:func:`stemtrial.candidate.options.standard`).
    belief
        Where the constants come from.
    seed
        Same seed, same numbers, on any number of threads.
    draws
        Draws of the constants with the effects of a trial.
    within
        Virtual persons for each draw.
    numerics
        Time grid and floating-point type.

    Raises
    ------
    InputError
        For no option, the same option twice, or too few draws.
    """
    _check(options, draws, within)
    trials = participants(person.indication)
    where = applicability(person, trials)
    important = scales.mcid("VAS", person.indication)
    if important is None:
        raise InputError(
            Problem("has no important difference on record", field="indication", value=person.indication)
        )
    mcid, constants = important.value, belief.draw(seed, np.arange(draws))
    like = Ensemble.like(person, trials, constants, seed, within, GRID)
    shown: list[OptionOutlook] = []
    truths: dict[str, Truth] = {}
    if where.place == "outside":
        shown = [_without_numbers(option, person, option.text or where.text) for option in options]
    else:
        nobody = Person(person.indication)
        average = Ensemble.like(nobody, trials, constants, seed, _AVERAGE_PATIENTS, MONTHS)
        followed: dict[Schedule, Truth] = {}

        def follow(given: Schedule) -> Truth:
            if given not in followed:
                followed[given] = like.follow(given, numerics)
            return followed[given]

        for option in options:
            if option.text is not None:
                shown.append(_without_numbers(option, person, option.text))
                continue
            truths[option.name], context = follow(option.schedule), follow(option.context)
            others = average.follow(option.schedule, numerics)
            usual = {month: _expected_change(average, others, month) for month in MONTHS}
            shown.append(
                OptionOutlook(
                    option.name,
                    option.label,
                    tuple(
                        _timepoint(
                            like,
                            truths[option.name],
                            context,
                            month,
                            mcid,
                            trials,
                            usual[month],
                        )
                        for month in MONTHS
                    ),
                    _duration(like, truths[option.name], context, mcid),
                    None,
                    option.dose_note,
                    *harms(option, person.indication),
                )
            )
    return Outlook(
        person,
        tuple(shown),
        tuple(
            _pair(like, first, second, truths, month, mcid)
            for first, second in combinations(truths, 2)
            for month in COMPARED
        ),
        where,
        mcid,
        important.reference_id,
        belief.label,
        belief.fingerprint,
        seed,
        draws,
        within,
        effective(like.weight),
    )


def _check(options: tuple[Option, ...], draws: int, within: int) -> None:
    names = [option.name for option in options]
    problems = [
        Problem("is too small", field=field, value=value, allowed=f"{least} or more")
        for field, value, least in (("draws", draws, LEAST_DRAWS), ("within", within, LEAST_PATIENTS))
        if value < least
    ]
    if not names:
        problems.append(Problem("is empty", field="options", hint="name at least one option"))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        problems.append(Problem("is named twice", field="options", value=twice))
    if problems:
        raise InputError(*problems)


def _without_numbers(option: Option, person: Person, text: str) -> OptionOutlook:
    return OptionOutlook(
        option.name, option.label, (), None, text, option.dose_note, *harms(option, person.indication)
    )


def _expected_change(ensemble: Ensemble, truth: Truth, month: float) -> float:
    """Mean of the readings before clipping minus reported pain, over all virtual persons."""
    centre = truth.pain[ensemble.months.index(month)] + ensemble.kept(month) * truth.fluctuation
    return summaries.average((centre - ensemble.reported).mean(axis=1), ensemble.weight)


def _timepoint(
    like: Ensemble,
    truth: Truth,
    context: Truth,
    month: float,
    mcid: float,
    trials: Participants,
    average: float,
) -> Timepoint:
    k, w = GRID.index(month), like.weight
    centre = truth.pain[k] + like.kept(month) * truth.fluctuation
    mean, between, within = between_and_within(centre, w)
    momentary = summaries.average(like.momentary_variance(month)[:, 0], w)
    course = like.course_variance(month)[:, 0]
    within += summaries.average(course, w)
    added = max(trials.residual_sd("pain") ** 2 - within - momentary, 0.0)
    by_trial = explained_by_trial(mean, w, like.constants)
    parts = (between * (1 - by_trial), between * by_trial, within + added, momentary)

    noise = course * like.constants["beta_F"] ** 2 + like.constants["sd_function"] ** 2
    scatter = between_and_within(truth.function[k] + truth.function_offset, w)[2] + summaries.average(
        noise, w
    )
    added_function = max(trials.residual_sd("function") ** 2 - scatter, 0.0)

    pain, function = like.readings(truth, k, added**0.5, added_function**0.5)
    limits = (like.reported - mcid, 0.7 * like.reported, 0.5 * like.reported)
    chances = [like.chance_below(truth, k, limit, added).mean(axis=1) for limit in limits]
    return Timepoint(
        month=month,
        pain=distribution(pain, w),
        function=distribution(function, w),
        change=distribution(pain - like.reported, w),
        responders={name: interval(100 * chance, w) for name, chance in zip(RESPONSES, chances, strict=True)},
        specific=interval((truth.pain[k] - context.pain[k]).mean(axis=1), w),
        variance={name: part / sum(parts) for name, part in zip(SHARES, parts, strict=True)},
        widened=added**0.5,
        average=average,
        moved=_expected_change(like, truth, month) - average,
    )


def _better(like: Ensemble, truth: Truth, mcid: float) -> np.ndarray:
    """Say whether true pain is at least the important difference below its start, (months, draws, patients)."""
    return np.asarray(np.clip(truth.pain + like.own_course, 0, 100) <= truth.pain_at_start - mcid)


def _months(better: np.ndarray) -> np.ndarray:
    """Months spent better, by the trapezoid rule, nobody being better on day 0, (draws, patients)."""
    nodes = np.array([0.0, *GRID])
    width = np.diff(nodes)
    weight = np.append(width, 0.0) + np.insert(width, 0, 0.0)
    return np.tensordot(0.5 * weight[1:], better.astype(float), axes=1)


def _duration(like: Ensemble, truth: Truth, context: Truth, mcid: float) -> Duration:
    better, w = _better(like, truth, mcid), like.weight
    months = _months(better)
    specific = (months - _months(_better(like, context, mcid))).mean(axis=1)
    later = tuple(month for month in MONTHS if month >= EARLY)
    course = like.other_courses(later, _COURSES)
    pain = truth.pain[[GRID.index(month) for month in later], None] + course
    early, *then = np.clip(pain, 0, 100) <= truth.pain_at_start - mcid

    def share(start: np.ndarray) -> dict[float, Interval]:
        count = start.sum(axis=(0, 2))
        if not count.any():
            return {}
        both = {
            month: (start & is_better).sum(axis=(0, 2))
            for month, is_better in zip(later[1:], then, strict=True)
        }
        shares = {month: 100 * n / np.where(count, count, np.nan) for month, n in both.items()}
        return {month: interval(by_draw, w * count) for month, by_draw in shares.items()}

    return Duration(distribution(months, w), interval(specific, w), share(early), share(~early))


def _pair(
    like: Ensemble, first: str, second: str, truths: Mapping[str, Truth], month: float, mcid: float
) -> Pair:
    k = GRID.index(month)
    difference = truths[second].pain[k] - truths[first].pain[k]

    def share(which: np.ndarray) -> float:
        return summaries.average(which.mean(axis=1), like.weight)

    worse, better = share(difference >= mcid), share(difference <= -mcid)
    neither = share(np.abs(difference) < mcid)
    return Pair(
        first,
        second,
        month,
        distribution(difference, like.weight),
        worse,
        neither,
        better,
        neither >= EQUIPOISE,
    )
