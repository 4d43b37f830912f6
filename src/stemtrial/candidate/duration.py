"""How long a benefit lasts, and whether an early response does."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.spread import Widening
from stemtrial.candidate.summaries import Distribution, Interval, distribution, interval
from stemtrial.candidate.timepoint import MONTHS

GRID = (0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
"""Months between which the duration of a benefit is taken as linear."""

EARLY = 3.0
"""Month of the response whose lasting is reported."""

_COURSES = 6
"""Own courses for each virtual person by which early and lasting response are counted."""


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


def _better(pain: np.ndarray, truth: Truth, mcid: float) -> np.ndarray:
    """Say whether true pain is at least the important difference below its start, (..., draws, patients)."""
    return np.asarray(np.clip(pain, 0, 100) <= truth.pain_at_start - mcid)


def _months(better: np.ndarray) -> np.ndarray:
    """Months spent better, by the trapezoid rule, nobody being better on day 0, (draws, patients)."""
    nodes = np.array([0.0, *GRID])
    width = np.diff(nodes)
    weight = np.append(width, 0.0) + np.insert(width, 0, 0.0)
    return np.tensordot(0.5 * weight[1:], better.astype(float), axes=1)


def duration(like: Ensemble, truth: Truth, context: Truth, mcid: float, wider: Widening) -> Duration:
    """Return how long a benefit lasts.

    Parameters
    ----------
    like
        Virtual persons, seen at the months of :data:`GRID`.
    truth, context
        Their courses under the option, and with every treatment of it inert.
    mcid
        Smallest important change of pain, points.
    wider
        Scatter that they lack.
    """
    w = like.weight
    own = np.stack([like.amplitude(m, wider.at(m)[0]) for m in GRID]) * like.own_course
    months = _months(_better(truth.pain + own, truth, mcid))
    specific = (months - _months(_better(context.pain + own, truth, mcid))).mean(axis=1)
    later = tuple(month for month in MONTHS if month >= EARLY)
    factor = np.stack([like.amplitude(m, wider.at(m)[0]) for m in later])
    course = factor[:, None] * like.other_courses(later, _COURSES)
    pain = truth.pain[[GRID.index(month) for month in later], None] + course
    early, *then = _better(pain, truth, mcid)

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
