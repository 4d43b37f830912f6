"""Graded time grid shared by the patients of an arm: fine after each switch of an input, coarse in quiet months."""

from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np

from stemtrial.mechanism.schedule import Kind, Schedule


@dataclass(frozen=True)
class Grid:
    """Step length ``min(start + rush * s, first + growth * s, longest)`` at ``s`` days after the last switch.

    Parameters
    ----------
    first, growth
        Step length and what it gains per day.
    longest
        Longest step, days.
    again
        First step after rescue medicine, days. It may be long: nobody looks before the next visit, and the
        method damps what a long step gets wrong of a fast transient.
    start, rush
        Step length right after a switch and what it gains per day until it has caught up with ``first + growth * s``;
        without effect where ``start`` is not below ``first``.

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
    start: float = float("inf")
    rush: float = 0.5

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
        return Grid(*(value / factor for value in astuple(self)))

    def scaled(self, start: float, first: float, growth: float, longest: float) -> "Grid":
        """Return the grid with its lengths multiplied; ``again`` goes with ``growth``."""
        return Grid(
            self.first * first,
            self.growth * growth,
            self.longest * longest,
            self.again * growth,
            self.start * start,
            self.rush,
        )

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
            return self.scaled(*RESTING)
        needs = [(1.0, 1.0, 1.0, 1.0)]
        if Kind.STEROID in schedule.actions:
            needs.append(STEROID)
        if doses := [e.amount for e in schedule.doses]:
            needs.append(donor_cells(max(doses)) if schedule.allogeneic else own_cells(max(doses)))
        return self.scaled(*(min(factors) for factors in zip(*needs, strict=True)))

    @property
    def _knees(self) -> tuple[float, float]:
        """Days after a switch at which quick growth ends and at which the longest step is reached."""
        quick, behind = 0.0, self.first - self.start
        if behind > 0:
            quick = max(0.0, self.longest - self.start) / self.rush
            if self.rush > self.growth:
                quick = min(quick, behind / (self.rush - self.growth))
        return quick, max(quick, (self.longest - self.first) / self.growth)

    def _coordinate(self, s: float) -> float:
        """Count the steps since the switch, a real number: the integral of one over the step length."""
        quick, graded = self._knees
        early, later, last = min(s, quick), min(s, graded) - quick, s - graded
        count = np.log1p(self.rush * early / min(self.start, self.first)) / self.rush
        count += np.log1p(self.growth * max(later, 0.0) / self._after_quick) / self.growth
        return float(count + max(last, 0.0) / self.longest)

    @property
    def _after_quick(self) -> float:
        return self.first + self.growth * self._knees[0]

    def _time(self, coordinate: np.ndarray) -> np.ndarray:
        quick, graded = self._knees
        first, second = self._coordinate(quick), self._coordinate(graded)
        early = min(self.start, self.first) * np.expm1(self.rush * np.minimum(coordinate, first)) / self.rush
        later = np.clip(coordinate, first, second) - first
        middle = self._after_quick * np.expm1(self.growth * later) / self.growth
        return np.asarray(early + middle + np.maximum(coordinate - second, 0) * self.longest)


RESTING = (64.0, 4.0, 10.0, 4.0)
STEROID = (1.0, 0.5, 0.6, 1 / 3)
"""Multipliers of ``start``, ``first``, ``growth`` and ``longest`` where nothing acts and after corticosteroid."""


def own_cells(dose: float) -> tuple[float, float, float, float]:
    """Multipliers of ``start``, ``first``, ``growth`` and ``longest`` after own cells, by million cells."""
    return min(1.0, 50 / dose), 1.0, min(1.0, (100 / dose) ** 0.25), 1.0


def donor_cells(dose: float) -> tuple[float, float, float, float]:
    """Multipliers after donor cells: memory kills them the faster the more there are."""
    return min(1.0, 50 / dose), 0.8, min(1.0, 0.85 * (50 / dose) ** 0.25), 1.0


STANDARD = Grid(first=1.0, growth=0.16, longest=60.0, start=1 / 8)
"""Grid of virtual trials: 0.03 points of pain over the prior of the constants; measured in every run."""

FINE = STANDARD.refined(8)
"""Grid for comparison with the adaptive reference to 0.01 points."""
