"""Outlook at one month: readings of pain and function, chances of a response, and of what their spread consists."""

from collections.abc import Mapping
from dataclasses import dataclass

from stemtrial.candidate import summaries
from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.spread import Widening
from stemtrial.candidate.summaries import (
    Distribution,
    Interval,
    between_and_within,
    distribution,
    explained_by_trial,
    interval,
)

MONTHS = (1.0, 3.0, 6.0, 12.0, 24.0)
"""Months after the start of treatment at which an outlook is given."""

RESPONSES = ("mcid", "thirty_percent", "fifty_percent")
"""Improvement of reported pain by the important difference, by 30 % and by 50 % of what was reported before."""

SHARES = ("parameters", "trial", "person", "measurement")
"""Parts of the variance of a reading: unknown constants of the model; differences between trials; differences between
persons, their own course included; momentary fluctuation and reading error."""


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


def expected_change(ensemble: Ensemble, truth: Truth, month: float) -> float:
    """Mean of the readings before clipping minus reported pain, over all virtual persons."""
    centre = truth.pain[ensemble.months.index(month)] + ensemble.kept(month) * truth.fluctuation
    return summaries.average((centre - ensemble.reported).mean(axis=1), ensemble.weight)


def timepoint(
    like: Ensemble,
    truth: Truth,
    context: Truth,
    month: float,
    mcid: float,
    wider: Widening,
    average: float,
) -> Timepoint:
    """Return the outlook at one month.

    Parameters
    ----------
    like
        Virtual persons; the month is one of theirs.
    truth, context
        Their courses under the option, and with every treatment of it inert.
    month
        After the start of treatment.
    mcid
        Smallest important change of pain, points.
    wider
        Scatter that they lack.
    average
        Change expected of an average participant, points.
    """
    k, w = like.months.index(month), like.weight
    centre = truth.pain[k] + like.kept(month) * truth.fluctuation
    mean, between, within = between_and_within(centre, w)
    momentary = summaries.average(like.momentary_variance(month)[:, 0], w)
    course = like.course_variance(month)[:, 0]
    within += summaries.average(course, w)
    added, added_function = wider.at(month)
    by_trial = explained_by_trial(mean, w, like.constants)
    parts = (between * (1 - by_trial), between * by_trial, within + added, momentary)

    pain, function = like.readings(truth, k, added, added_function)
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
        moved=expected_change(like, truth, month) - average,
    )
