"""What readings teach about virtual patients: an exact filter of their deviations, and clouds of weighted particles.

A particle holds everything that is not normal given the rest: constants, trial, biology, true course. Given those, the
deviations of the readings (own course, momentary fluctuation, constant offset of function) are normal and Markov, so
they are followed by a Kalman filter in each particle and never drawn (a Rao-Blackwellised particle filter; Doucet,
de Freitas, Murphy and Russell, *UAI* 2000). A reading at an end of the scale says only that what it measures lies
beyond; the moments of the deviations are then matched. Where few particles carry the weight they are resampled and
moved by steps that leave the posterior as it is (preconditioned Crank-Nicolson; Cotter, Roberts, Stuart and White,
*Statistical Science* 2013;28:424).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtr

from stemtrial.candidate.ensemble import Rescue, Truth, follow
from stemtrial.candidate.participants import Participants
from stemtrial.candidate.person import Person, changed, virtual
from stemtrial.candidate.summaries import Distribution
from stemtrial.draws import Stream, normals, uniforms
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Schedule
from stemtrial.population.covariates import Covariates
from stemtrial.population.patients import Constants, People
from stemtrial.simulation import Numerics

FEW = 0.05
"""Effective share of the particles below which they are resampled and moved."""

MOVES, STEP = 4, 0.5
"""Number of moves after resampling, and how far each goes (0 nowhere, 1 a fresh draw)."""

_GRID = np.linspace(0, 100, 201)
_PROBABILITIES = (0.025, 0.10, 0.25, 0.50, 0.75, 0.90, 0.975)


@dataclass(frozen=True)
class Reading:
    """A reading, 0-100: ``pain`` or ``function`` at a month; month 0 is before treatment."""

    month: float
    what: str
    value: float


@dataclass(frozen=True)
class Mixture:
    """Predictive distribution of a reading: a mixture of normal distributions, clipped to 0-100.

    Attributes
    ----------
    weight, mean, sd
        Of each particle, (particles,); weights add up to one.
    """

    weight: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def below(self, limit: np.ndarray | float) -> float:
        """Chance of a reading of at most a limit, one for all or one a particle."""
        chance = np.where(limit < 0, 0.0, np.where(limit >= 100, 1.0, ndtr((limit - self.mean) / self.sd)))
        return float((self.weight * chance).sum())

    def rank(self, value: float) -> tuple[float, float]:
        """Return the chances of a reading below a value, and of one of at most that value.

        They differ at the ends of the scale only, where readings pile up.
        """
        at = float((self.weight * ndtr((value - self.mean) / self.sd)).sum())
        return (0.0 if value <= 0 else at), (1.0 if value >= 100 else at)

    def distribution(self) -> Distribution:
        """Mean, SD and quantiles, from the distribution function at every half point."""
        below = np.array([self.below(x) for x in _GRID[:-1]] + [1.0])
        width = _GRID[1] - _GRID[0]
        above = 1 - below
        above[-1] = 1 - float((self.weight * ndtr((100 - self.mean) / self.sd)).sum())
        mean = float(((above[:-1] + above[1:]) / 2).sum() * width)
        square = float((_GRID[:-1] * above[:-1] + _GRID[1:] * above[1:]).sum() * width)
        quantiles = np.interp(_PROBABILITIES, below, _GRID)
        return Distribution(mean, max(square - mean**2, 0.0) ** 0.5, *map(float, quantiles))


@dataclass(frozen=True)
class Deviations:
    """Own course, fluctuation and offset of function in each particle: moments after the readings so far.

    Attributes
    ----------
    month
        When.
    mean, covariance
        (3, particles) and (3, 3, particles).
    """

    month: float
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def at_start(cls, constants: Constants, reported: np.ndarray, pain: np.ndarray) -> "Deviations":
        """Deviations before treatment, given pain as reported and as it was; the own course starts at zero."""
        part = constants["sd_fluct"] ** 2 / (constants["sd_fluct"] ** 2 + constants["sd_read"] ** 2)
        mean = np.zeros((3, len(pain)))
        covariance = np.zeros((3, 3, len(pain)))
        mean[1] = part * (reported - pain)
        covariance[1, 1] = constants["sd_fluct"] ** 2 * (1 - part)
        covariance[2, 2] = constants["sd_function_patient"] ** 2
        return cls(0.0, mean, covariance)

    def moved(self, constants: Constants, month: float) -> "Deviations":
        """Return them at a later month."""
        days = (month - self.month) * DAYS_PER_MONTH
        keep = np.stack(
            [
                np.exp(-days / constants["tau_course"]),
                np.exp(-days / constants["tau_fluct"]),
                np.ones(self.mean.shape[1]),
            ]
        )
        covariance = self.covariance * keep[:, None] * keep[None, :]
        for i, sd in enumerate((constants["sd_course"], constants["sd_fluct"])):
            covariance[i, i] += sd**2 * (1 - keep[i] ** 2)
        return Deviations(month, keep * self.mean, covariance)

    def reading(
        self, constants: Constants, what: str, true: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and variance of a reading before clipping, and its covariance with the deviations, (3, particles)."""
        one, zero = np.ones_like(true), np.zeros_like(true)
        row = np.stack((one, one, zero) if what == "pain" else (constants["beta_F"] * one, zero, one))
        error = constants["sd_read" if what == "pain" else "sd_function"] ** 2
        shared = (self.covariance * row[None, :]).sum(axis=1)
        return true + (row * self.mean).sum(axis=0), (row * shared).sum(axis=0) + error, shared

    def given(
        self, constants: Constants, what: str, true: np.ndarray, value: float
    ) -> tuple["Deviations", np.ndarray]:
        """Condition on a reading; return the deviations and the log likelihood of each particle."""
        centre, variance, shared = self.reading(constants, what, true)
        sd = np.sqrt(variance)
        if 0 < value < 100:
            innovation, left = value - centre, np.zeros_like(centre)
            log_likelihood = -0.5 * innovation**2 / variance - np.log(sd) - 0.5 * np.log(2 * np.pi)
        else:
            side = 1.0 if value <= 0 else -1.0
            a = side * (value - centre) / sd
            log_likelihood = log_ndtr(a)
            hazard = np.exp(-0.5 * a**2 - 0.5 * np.log(2 * np.pi) - log_likelihood)
            innovation = -side * sd * hazard
            left = variance * np.maximum(1 - a * hazard - hazard**2, 0.0)
        gain = shared / variance
        covariance = self.covariance - gain[:, None] * gain[None, :] * (variance - left)
        return Deviations(self.month, self.mean + gain * innovation, covariance), log_likelihood


@dataclass(frozen=True)
class Cloud:
    """Particles with what the readings so far have taught.

    Attributes
    ----------
    constants
        By registry symbol, one value a particle.
    covariates, z
        Of the virtual patient in each particle, (particles, 1) and (10, particles, 1).
    months
        When the true courses are kept, month 0 among them.
    pain, function
        True courses, (months, particles).
    pain_at_start
        Pain behind the reading before treatment, (particles,).
    log_weight
        Of each particle.
    deviations
        What is known of the deviations in each particle.
    """

    constants: Constants
    covariates: Covariates
    z: np.ndarray
    months: tuple[float, ...]
    pain: np.ndarray
    function: np.ndarray
    pain_at_start: np.ndarray
    log_weight: np.ndarray
    deviations: Deviations

    @classmethod
    def draw(
        cls,
        person: Person,
        participants: Participants,
        constants: Constants,
        given: Schedule,
        months: Sequence[float],
        rescue: Sequence[Rescue],
        seed: int,
        patients: int,
        numerics: Numerics,
    ) -> "Cloud":
        """Draw particles from what is known before treatment, ``patients`` for each draw of the constants.

        Reported function is left to :meth:`learn`, as a reading at month 0.
        """
        draws = np.arange(len(constants["sd_read"]))
        people = virtual(
            replace(person, function=None), participants, constants, seed, draws, patients
        ).people
        truth = follow(people, constants, given, months, rescue, numerics)
        each = {name: np.repeat(value, patients) for name, value in constants.items()}
        flat = changed(people.covariates, lambda values: values.reshape(-1, 1))
        return cls._from(each, flat, people.z.reshape(len(people.z), -1, 1), tuple(months), truth)

    @classmethod
    def _from(
        cls,
        constants: Constants,
        covariates: Covariates,
        z: np.ndarray,
        months: tuple[float, ...],
        truth: Truth,
    ) -> "Cloud":
        start = truth.pain_at_start.ravel()
        return cls(
            constants,
            covariates,
            z,
            months,
            truth.pain.reshape(len(months), -1),
            truth.function.reshape(len(months), -1),
            start,
            np.zeros(len(start)),
            Deviations.at_start(constants, covariates.pain.ravel(), start),
        )

    @property
    def weight(self) -> np.ndarray:
        """Weights that add up to one, (particles,)."""
        raw = np.exp(self.log_weight - self.log_weight.max())
        return np.asarray(raw / raw.sum())

    @property
    def effective(self) -> float:
        """Effective number of particles, ``1 / sum(w^2)``."""
        return float(1 / (self.weight**2).sum())

    @property
    def reported(self) -> np.ndarray:
        """Pain as reported before treatment, (particles,)."""
        return self.covariates.pain[:, 0]

    def true(self, month: float, what: str) -> np.ndarray:
        """Return true pain or function at a month, (particles,)."""
        return np.asarray((self.pain if what == "pain" else self.function)[self.months.index(month)])

    def forecast(self, month: float, what: str) -> Mixture:
        """Predictive distribution of a reading at a month not before the last reading."""
        later = self.deviations.moved(self.constants, month)
        mean, variance, _ = later.reading(self.constants, what, self.true(month, what))
        return Mixture(self.weight, mean, np.sqrt(variance))

    def learn(self, reading: Reading) -> "Cloud":
        """Weight the particles by a reading not before the last one."""
        deviations = self.deviations.moved(self.constants, reading.month)
        true = self.true(reading.month, reading.what)
        after, log_likelihood = deviations.given(self.constants, reading.what, true, reading.value)
        return replace(self, log_weight=self.log_weight + log_likelihood, deviations=after)

    def take(self, index: np.ndarray) -> "Cloud":
        """Return the particles of some indices, equally weighted."""
        d = self.deviations
        return Cloud(
            {name: value[index] for name, value in self.constants.items()},
            changed(self.covariates, lambda values: values[index]),
            self.z[:, index],
            self.months,
            self.pain[:, index],
            self.function[:, index],
            self.pain_at_start[index],
            np.zeros(len(index)),
            Deviations(d.month, d.mean[:, index], d.covariance[:, :, index]),
        )

    def refreshed(
        self,
        readings: Sequence[Reading],
        given: Schedule,
        rescue: Sequence[Rescue],
        seed: int,
        generation: int,
        numerics: Numerics,
    ) -> tuple["Cloud", float]:
        """Resample the particles by weight and move them, leaving the posterior given the readings as it is.

        Each move proposes new biology near the old and fresh shares of pain from their prior, under the particle's own
        constants.

        Returns
        -------
        Cloud, float
            Equally weighted particles, and the share of accepted moves.
        """
        size = len(self.log_weight)
        base = (1 + generation) << 24
        ticks = (np.arange(size) + uniforms(seed, Stream.CONDUCT, np.array([base]), 0, 1, 1)[0, 0, 0]) / size
        index = np.minimum(np.searchsorted(np.cumsum(self.weight), ticks), size - 1)
        now = self.take(index)
        log_likelihood, accepted = now.restarted()._after(readings).log_weight, 0
        for step in range(MOVES):
            address = (seed, base + 1 + step * size + np.arange(size), 0, 1)
            fresh = normals(seed, Stream.BIOLOGY, address[1], 0, 1, len(now.z))
            z = np.sqrt(1 - STEP**2) * now.z + STEP * fresh
            people = People(now.covariates, z, address)
            truth = follow(people, now.constants, given, now.months, rescue, numerics)
            proposed = Cloud._from(now.constants, now.covariates, z, now.months, truth)._after(readings)
            u = uniforms(seed, Stream.CONDUCT, address[1], 0, 1, 1)[0, :, 0]
            better = np.log(u) < proposed.log_weight - log_likelihood
            now = now._where(better, proposed)
            log_likelihood = np.where(better, proposed.log_weight, log_likelihood)
            accepted += int(better.sum())
        return now, accepted / (MOVES * size)

    def restarted(self) -> "Cloud":
        """Return the particles as before any reading."""
        start = Deviations.at_start(self.constants, self.reported, self.pain_at_start)
        return replace(self, log_weight=np.zeros(len(self.log_weight)), deviations=start)

    def _after(self, readings: Sequence[Reading]) -> "Cloud":
        cloud = self
        for reading in readings:
            cloud = cloud.learn(reading)
        return cloud

    def _where(self, which: np.ndarray, other: "Cloud") -> "Cloud":
        """Return the particles of another cloud where told so, equally weighted."""
        a, b = self.deviations, other.deviations
        return replace(
            self,
            z=np.where(which[:, None], other.z, self.z),
            pain=np.where(which, other.pain, self.pain),
            function=np.where(which, other.function, self.function),
            pain_at_start=np.where(which, other.pain_at_start, self.pain_at_start),
            log_weight=np.zeros(len(which)),
            deviations=Deviations(
                a.month, np.where(which, b.mean, a.mean), np.where(which, b.covariance, a.covariance)
            ),
        )
