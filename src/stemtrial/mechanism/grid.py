"""Graded time grid shared by the patients of an arm: fine after each switch of an input, coarse in quiet months."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stemtrial.mechanism.schedule import Kind, Schedule


@dataclass(frozen=True)
class Grid:
    """Step length ``min(longest, first + growth * s)`` at ``s`` days after the last switch.

    Parameters
    ----------
    first
        First step after a switch, days.
    growth
        Days of step length gained per day.
    longest
        Longest step, days.
    again
        First step after rescue medicine, days. It may be long: nobody looks before the next visit, and the
        method damps what a long step gets wrong of a fast transient.

    Examples
    --------
    >>> h = Grid(first=0.5, growth=0.2, longest=30).steps(0.0, 90.0, since=0.0)
    >>> len(h), float(round(h.sum(), 9))
    (19, 90.0)
    """

    first: float
    growth: float
    longest: float
    again: float = 3.0

    @lru_cache(maxsize=4096)  # noqa: B019 - grids are few, small and immutable
    def steps(self, start: float, stop: float, since: float) -> np.ndarray:
        """Step lengths from ``start`` to ``stop``, the last switch having been on day ``since``; read-only."""
        a, b = self._coordinate(start - since), self._coordinate(stop - since)
        count = max(1, int(np.ceil(b - a - 1e-9)))
        nodes = since + self._time(np.linspace(a, b, count + 1))
        nodes[0], nodes[-1] = start, stop
        lengths = np.diff(nodes)
        lengths.flags.writeable = False
        return lengths

    def refined(self, factor: float) -> "Grid":
        """Return the grid with all steps shorter by a factor."""
        return Grid(*(x / factor for x in (self.first, self.growth, self.longest, self.again)))

    @property
    def lead(self) -> float:
        """Days after a switch at which the step length is ``again``."""
        return max(0.0, self.again - self.first) / self.growth

    def suited(self, schedule: Schedule, *, rescue: bool = False) -> "Grid":
        """Return the grid with steps as short as a schedule needs for the accuracy of the others.

        Where nothing acts but the context, only slow changes are left to integrate. Corticosteroid wears off in a
        steep fall weeks after its injection. The more cells there are the more abruptly they act, and donor cells can
        be killed within hours by patients with alloimmune memory.

        Parameters
        ----------
        schedule
            What is given.
        rescue
            Whether rescue medicine may have begun.
        """
        if not schedule.actions and not rescue:
            return self.refined(0.25)
        factor = 2.0 if Kind.STEROID in schedule.actions else 1.0
        if cells := sum(e.amount for e in schedule.doses):
            few, many = (1.5, 2.5) if schedule.allogeneic else (1.0, 1.5)
            factor = max(factor, few if cells <= MANY_CELLS else many)
        return self.refined(factor)

    @property
    def _knee(self) -> float:
        return max(0.0, (self.longest - self.first) / self.growth)

    def _coordinate(self, s: float) -> float:
        """Count the steps since the switch, a real number: the integral of one over the step length."""
        graded = min(s, self._knee)
        return float(np.log1p(self.growth * graded / self.first) / self.growth + (s - graded) / self.longest)

    def _time(self, coordinate: np.ndarray) -> np.ndarray:
        knee = self._coordinate(self._knee)
        graded = self.first * np.expm1(self.growth * np.minimum(coordinate, knee)) / self.growth
        return np.asarray(graded + np.maximum(coordinate - knee, 0) * self.longest)


MANY_CELLS = 150.0
"""Million cells in all doses above which they act so abruptly that steps must be shorter."""

STANDARD = Grid(first=0.25, growth=0.2, longest=60.0)
"""Grid of virtual trials: the least work at 0.03 points of pain (``benchmarks/solver.py``); measured in every run."""

FINE = STANDARD.refined(8)
"""Grid for comparison with the adaptive reference to 0.01 points."""
