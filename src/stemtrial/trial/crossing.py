"""Patients who are given another arm's product in the course of a trial: what they gain by it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Schedule
from stemtrial.population.patients import Constants, People
from stemtrial.simulation import Numerics, treat
from stemtrial.trial.circumstances import Crossover

GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 21.0, 24.0)
"""Months after the product at which the gain is computed; in between it is interpolated."""


@dataclass(frozen=True, eq=False)
class Crossing:
    """Gain of every patient of an arm by another arm's treatments, had they been given at the start.

    Attributes
    ----------
    rule
        Who crosses over.
    months
        Months after the product, from 0, (months,).
    pain, function
        Points by which pain and the limitation of function would be lower, (months, groups, patients).
    """

    rule: Crossover
    months: np.ndarray
    pain: np.ndarray
    function: np.ndarray

    @classmethod
    def of(
        cls,
        rule: Crossover,
        people: People,
        schedules: tuple[Schedule, Schedule],
        constants: Constants,
        numerics: Numerics,
        horizon: float,
    ) -> "Crossing":
        """Follow the same people on both schedules.

        Parameters
        ----------
        rule
            Who crosses over.
        people
            Patients of the arm.
        schedules
            Their own, and that of the other arm.
        constants, numerics
            As for :func:`stemtrial.simulation.treat`.
        horizon
            Last month of the trial.
        """
        longest = horizon - rule.from_month
        inside = [m for m in GRID if m < longest]
        months = [*inside, longest]
        own, other = (_courses(people, given, constants, numerics, months) for given in schedules)
        gain = own - other
        return cls(rule, np.array(months), gain[:, 0], gain[:, 1])

    def gain(self, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points off pain and off the limitation of function so many months after the product.

        Parameters
        ----------
        since
            Months since the product, (groups, patients); below 0 or minus infinite, there was none.
        """
        had = since > 0
        at = np.clip(np.where(had, since, 0.0), 0.0, self.months[-1])
        after = np.clip(np.searchsorted(self.months, at, side="left"), 1, len(self.months) - 1)
        start, end = self.months[after - 1], self.months[after]
        part = (at - start) / (end - start)

        def between(values: np.ndarray) -> np.ndarray:
            low, high = (np.take_along_axis(values, i[None], axis=0)[0] for i in (after - 1, after))
            return np.asarray(np.where(had, low + part * (high - low), 0.0))

        return between(self.pain), between(self.function)


def _courses(
    people: People, given: Schedule, constants: Constants, numerics: Numerics, months: Sequence[float]
) -> np.ndarray:
    """Pain and function of people on a schedule, (months, 2, groups, patients)."""
    _, cohort = treat(people, given, constants, numerics)
    found = []
    for month in months:
        cohort.advance(month * DAYS_PER_MONTH)
        found.append(np.stack([cohort.pain(), cohort.function()]))
    return np.stack(found)
