"""Virtual patients like a person, followed under any schedule: true courses, and how readings deviate from them.

A reading of pain is the model's pain, plus the person's own course (which starts at zero), plus a momentary
fluctuation, plus reading error; a reading of function follows the own course too. All deviations are normal and
Markov, the same as in :mod:`stemtrial.trial.conduct`, so chances are computed without drawing them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from stemtrial.candidate.participants import Participants
from stemtrial.candidate.person import Likeness, Person, virtual
from stemtrial.draws import Stream, normals
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Schedule
from stemtrial.population.patients import Constants, People
from stemtrial.simulation import STANDARD_NUMERICS, Numerics, treat

_NUMBERS = 4
"""Standard normal numbers a month: own course, deviation of pain, error of function, added scatter of function."""


def amplitude(added: float, course: np.ndarray) -> np.ndarray:
    """Return the factor on an own course of some variance that adds a variance; 1 where there is no course.

    Examples
    --------
    >>> amplitude(300.0, np.array([100.0, 0.0])).tolist()
    [2.0, 1.0]
    """
    return np.asarray(
        np.sqrt(1 + np.divide(added, course, out=np.zeros_like(course, float), where=course > 0))
    )


@dataclass(frozen=True)
class Truth:
    """True courses of virtual patients, without their own deviations.

    Attributes
    ----------
    pain, function
        Before clipping, points, (months, groups, patients).
    pain_at_start
        Pain behind the reading before treatment, (groups, patients).
    fluctuation
        Momentary deviation in that reading, (groups, patients).
    function_offset
        Constant deviation of function, (groups, patients).
    """

    pain: np.ndarray
    function: np.ndarray
    pain_at_start: np.ndarray
    fluctuation: np.ndarray
    function_offset: np.ndarray


@dataclass(frozen=True)
class Rescue:
    """Rescue medicine begun at a month: ``nsaid``, ``paracetamol`` or ``opioid``."""

    month: float
    drug: str


def follow(
    people: People,
    constants: Constants,
    given: Schedule,
    months: Sequence[float],
    rescue: Sequence[Rescue] = (),
    numerics: Numerics = STANDARD_NUMERICS,
) -> Truth:
    """Follow virtual patients under a schedule.

    Parameters
    ----------
    people, constants
        Who, and the constants of each group.
    given
        What they are given.
    months
        When their state is kept, increasing; month 0 is before treatment.
    rescue
        Rescue medicine that all of them begin.
    numerics
        Time grid and floating-point type.
    """
    patients, cohort = treat(people, given, constants, numerics)
    pain, function = [], []
    starts = sorted(rescue, key=lambda r: r.month)
    everybody = np.ones(patients.pain.shape, bool)
    for month in sorted({*months, *(r.month for r in starts)}):
        cohort.advance(month * DAYS_PER_MONTH)
        if month in months:
            pain.append(cohort.pain())
            function.append(cohort.function())
        for begun in (r for r in starts if r.month == month):
            cohort.rescue(begun.drug, everybody)
    return Truth(
        np.stack(pain), np.stack(function), patients.pain, patients.fluctuation, patients.function_offset
    )


@dataclass(frozen=True)
class Ensemble:
    """Draws of constants and trial, with virtual patients like a person in each.

    Attributes
    ----------
    constants
        By registry symbol, (draws,).
    likeness
        The virtual patients.
    months
        When they are seen.
    seed, patients
        Address of what chance does to the readings; patients for each draw.
    """

    constants: Constants
    likeness: Likeness
    months: tuple[float, ...]
    seed: int
    patients: int

    @classmethod
    def like(
        cls,
        person: Person,
        participants: Participants,
        constants: Constants,
        seed: int,
        patients: int,
        months: Sequence[float],
    ) -> "Ensemble":
        """Draw virtual patients like a person, so many for each draw of the constants."""
        draws = np.arange(len(constants["sd_read"]))
        likeness = virtual(person, participants, constants, seed, draws, patients)
        return cls(constants, likeness, tuple(months), seed, patients)

    @cached_property
    def weight(self) -> np.ndarray:
        """Weight of each draw, (draws,), adding up to one."""
        raw = np.exp(self.likeness.log_weight - self.likeness.log_weight.max())
        return np.asarray(raw / raw.sum())

    @property
    def reported(self) -> np.ndarray:
        """Pain as reported before treatment, (draws, patients)."""
        return self.likeness.people.covariates.pain

    def follow(self, given: Schedule, numerics: Numerics = STANDARD_NUMERICS) -> Truth:
        """Follow everybody under a schedule (:func:`follow`)."""
        return follow(self.likeness.people, self.constants, given, self.months, numerics=numerics)

    def _column(self, name: str) -> np.ndarray:
        return np.asarray(self.constants[name])[:, None]

    def kept(self, month: float) -> np.ndarray:
        """Part of the fluctuation before treatment that is left at a month, (draws, 1)."""
        return np.asarray(np.exp(-month * DAYS_PER_MONTH / self._column("tau_fluct")))

    def course_variance(self, month: float) -> np.ndarray:
        """Variance of the own course at a month, (draws, 1); it starts at zero."""
        left = np.exp(-2 * month * DAYS_PER_MONTH / self._column("tau_course"))
        return np.asarray(self._column("sd_course") ** 2 * (1 - left))

    def amplitude(self, month: float, added: float) -> np.ndarray:
        """Factor on the own course at a month that adds a variance to it, (draws, 1)."""
        return amplitude(added, self.course_variance(month))

    def momentary_variance(self, month: float) -> np.ndarray:
        """Variance of new fluctuation and of reading error at a month, (draws, 1)."""
        return np.asarray(
            self._column("sd_fluct") ** 2 * (1 - self.kept(month) ** 2) + self._column("sd_read") ** 2
        )

    def chance_below(self, truth: Truth, index: int, limit: np.ndarray, added: float = 0.0) -> np.ndarray:
        """Chance that the reading of pain at a month is at most a limit, (draws, patients), exact in all deviations.

        Readings are clipped at 0 and 100, so nobody reads below 0. ``added`` is a further variance of persons.
        """
        month = self.months[index]
        centre = truth.pain[index] + self.kept(month) * truth.fluctuation
        spread = np.sqrt(self.course_variance(month) + self.momentary_variance(month) + added)
        return np.where(limit < 0, 0.0, np.where(limit >= 100, 1.0, ndtr((limit - centre) / spread)))

    @cached_property
    def own_course(self) -> np.ndarray:
        """Own course of everybody at every month, points, (months, draws, patients)."""
        return self._course(self.months, self._noise[::_NUMBERS])

    def other_courses(self, months: Sequence[float], times: int) -> np.ndarray:
        """Further own courses, ``times`` a virtual patient, points, (months, times, draws, patients)."""
        draws, first = np.arange(len(self.constants["sd_read"])), self.patients
        z = normals(self.seed, Stream.COURSE, draws, first, times * self.patients, len(months))
        z = np.moveaxis(z.reshape(len(months), len(draws), times, self.patients), 2, 1)
        return self._course(months, z)

    def _course(self, months: Sequence[float], z: np.ndarray) -> np.ndarray:
        course, before, found = np.zeros_like(z[0]), 0.0, []
        for month, fresh in zip(months, z, strict=True):
            keep = np.exp(-(month - before) * DAYS_PER_MONTH / self._column("tau_course"))
            course = keep * course + self._column("sd_course") * np.sqrt(1 - keep**2) * fresh
            found.append(course)
            before = month
        return np.stack(found)

    @cached_property
    def _noise(self) -> np.ndarray:
        """Standard normal numbers of every month; index 0 of the stream belongs to function before treatment."""
        draws = np.arange(len(self.constants["sd_read"]))
        return normals(self.seed, Stream.COURSE, draws, 0, self.patients, 1 + _NUMBERS * len(self.months))[1:]

    def readings(
        self, truth: Truth, index: int, added: float = 0.0, added_function: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return readings of pain and of function at a month, 0-100, (draws, patients) each.

        Parameters
        ----------
        truth
            Course under an option.
        index
            Which month.
        added, added_function
            Further variance of persons (:class:`stemtrial.candidate.spread.Widening`).
        """
        month = self.months[index]
        course = self.amplitude(month, added) * self.own_course[index]
        z = self._noise[_NUMBERS * index : _NUMBERS * (index + 1)]
        momentary = np.sqrt(self.momentary_variance(month)) * z[1]
        pain = truth.pain[index] + course + self.kept(month) * truth.fluctuation + momentary
        error = self._column("sd_function") * z[2] + np.sqrt(added_function) * z[3]
        function = truth.function[index] + self._column("beta_F") * course + truth.function_offset + error
        return np.clip(pain, 0, 100), np.clip(function, 0, 100)
