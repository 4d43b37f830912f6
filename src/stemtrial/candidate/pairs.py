"""Two options for the same virtual persons: how much they differ, and whether that is important."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemtrial.candidate.duration import GRID
from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.summaries import Distribution, average, distribution

COMPARED = (6.0, 12.0)
"""Months at which options are compared with each other."""

EQUIPOISE = 0.5
"""Probability of no important difference from which two options are called a candidate for a trial."""


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


def pair(
    like: Ensemble, first: str, second: str, truths: Mapping[str, Truth], month: float, mcid: float
) -> Pair:
    """Compare two options, whose true courses are given by name, at a month of :data:`.duration.GRID`."""
    k = GRID.index(month)
    difference = truths[second].pain[k] - truths[first].pain[k]

    def share(which: np.ndarray) -> float:
        return average(which.mean(axis=1), like.weight)

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
