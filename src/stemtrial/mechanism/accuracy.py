"""The time grid that a run needs: refined until the error on a sample of the run's own patients is small enough.

The standard grid is made for constants as the prior draws them. Near the ends of several ranges at once it can be too
coarse for one course in hundreds; a run whose sample holds such a course gets shorter steps, all of it, so that nothing
depends on who else is in a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.errors import NumericalError
from stemtrial.mechanism import reference
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.device import Advance
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.reference import WorstError
from stemtrial.mechanism.schedule import Schedule

FINEST = 16
"""Refinement at which a run is given up."""


@dataclass(frozen=True)
class Sample:
    """Patients of one arm: states and constants (groups, patients), constants of the groups (groups,)."""

    states: Mapping[str, np.ndarray]
    patient: Mapping[str, np.ndarray]
    shared: Mapping[str, np.ndarray]
    schedule: Schedule

    @property
    def size(self) -> int:
        """Number of patients."""
        return int(np.size(self.states["P"]))


@dataclass(frozen=True)
class Accuracy:
    """A grid and its error.

    Attributes
    ----------
    grid
        The grid to use.
    refinement
        By how much its steps are shorter than those asked for: 1, 2, 4 ...
    error
        Largest difference of pain from the adaptive reference, and where.
    arm
        Arm of that patient.
    screened
        Patients whose course was compared with that of steps half as long.
    checked
        Patients among them, those with the largest difference, whose course was compared with the adaptive reference.
    """

    grid: Grid
    refinement: int
    error: WorstError
    arm: str
    screened: int
    checked: int


def _pain(
    sample: Sample, grid: Grid, dtype: type[np.floating], days: Sequence[float], advance: Advance | None
) -> np.ndarray:
    """Pain of every patient at the visits, (visits, groups, patients)."""
    cohort = Cohort(sample.states, sample.patient, sample.shared, sample.schedule, grid, dtype, advance)
    pain = []
    for day in days:
        cohort.advance(day)
        pain.append(cohort.pain())
    return np.array(pain)


def suited_grid(
    samples: Mapping[str, Sample],
    grid: Grid,
    dtype: type[np.floating],
    days: Sequence[float],
    tolerance: float,
    advance: Advance | None = None,
    references: int = 8,
) -> Accuracy:
    """Refine a grid until it is accurate enough for a sample of patients of every arm.

    All patients of the sample are followed with steps of the grid and with steps half as long; the difference, which
    for a method of third order is seven eighths of the error, chooses the refinement and the patients for whom the
    adaptive reference is asked.

    Parameters
    ----------
    samples
        By arm.
    grid, dtype, advance
        As given to :class:`stemtrial.mechanism.cohort.Cohort`.
    days
        Visits, increasing.
    tolerance
        Largest error of pain at a visit, points.
    references
        Patients of each arm compared with the adaptive reference.

    Raises
    ------
    NumericalError
        Where the error exceeds the tolerance even with steps shorter by ``FINEST``, naming patient and day.
    """
    refinement, picks = 1, {}
    for arm, sample in samples.items():
        coarse = _pain(sample, grid.refined(refinement), dtype, days, advance)
        while True:
            fine = _pain(sample, grid.refined(2 * refinement), dtype, days, advance)
            difference = np.abs(coarse - fine).max(axis=0)
            if difference.max() * 8 / 7 <= tolerance or refinement >= FINEST:
                break
            refinement, coarse = 2 * refinement, fine
        worst = np.argsort(-difference, axis=None, kind="stable")[:references]
        picks[arm] = np.column_stack(np.unravel_index(worst, difference.shape))
    while True:
        chosen = grid.refined(refinement)
        errors = {
            arm: reference.worst_error(
                s.states,
                s.patient,
                s.shared,
                s.schedule,
                chosen,
                dtype,
                days,
                picks[arm].tolist(),
                advance=advance,
            )
            for arm, s in samples.items()
        }
        arm = max(errors, key=lambda name: errors[name].points)
        error = errors[arm]
        if error.points <= tolerance:
            screened = sum(sample.size for sample in samples.values())
            return Accuracy(chosen, refinement, error, arm, screened, sum(map(len, picks.values())))
        if refinement >= FINEST:
            raise NumericalError(
                f"the time grid is off by {error.points:.3g} points of pain from the adaptive reference for patient "
                f"{error.patient} of replicate {error.group} in arm {arm} on day {error.day:g}, with steps {FINEST} "
                f"times as short as usual; allowed: {tolerance}. Check the constants of the model against their ranges"
            )
        refinement *= 2
