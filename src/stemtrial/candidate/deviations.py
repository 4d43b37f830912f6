"""How readings deviate from a true course, and what a reading teaches: an exact filter in every particle.

Given a true course the deviations (own course, momentary fluctuation, constant offset of function) are normal and
Markov. A reading at an end of the scale says only that what it measures lies beyond; the moments of the deviations are
matched.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from stemtrial.candidate.ensemble import amplitude
from stemtrial.candidate.summaries import Distribution
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.population.patients import Constants

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

    def within(self, patients: int) -> float:
        """Variance before clipping among the particles of a trial, so many in a row, averaged over trials, points²."""
        weight, mean = self.weight.reshape(-1, patients), self.mean.reshape(-1, patients)
        total = weight.sum(axis=1, keepdims=True)
        share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        centre = (share * mean).sum(axis=1, keepdims=True)
        between = (weight * (mean - centre) ** 2).sum()
        # A weighted mean takes up part of the spread; the same part of every trial's is given back together.
        kept = (total[:, 0] * (1 - (share**2).sum(axis=1))).sum()
        return float(between / kept if kept > 0 else 0.0) + float((self.weight * self.sd**2).sum())

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
        self, constants: Constants, what: str, true: np.ndarray, added: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and variance of a reading before clipping, and its covariance with the deviations, (3, particles).

        ``added`` is what persons lack in scatter of pain and of function
        (:meth:`stemtrial.candidate.spread.Widening.at`).
        """
        one, zero = np.ones_like(true), np.zeros_like(true)
        left = np.exp(-2 * self.month * DAYS_PER_MONTH / constants["tau_course"])
        wide = amplitude(added[0], constants["sd_course"] ** 2 * (1 - left)) * one
        row = np.stack((wide, one, zero) if what == "pain" else (constants["beta_F"] * wide, zero, one))
        error = constants["sd_read"] ** 2 if what == "pain" else constants["sd_function"] ** 2 + added[1]
        shared = (self.covariance * row[None, :]).sum(axis=1)
        return true + (row * self.mean).sum(axis=0), (row * shared).sum(axis=0) + error, shared

    def given(
        self,
        constants: Constants,
        what: str,
        true: np.ndarray,
        value: float,
        added: tuple[float, float] = (0.0, 0.0),
    ) -> tuple["Deviations", np.ndarray]:
        """Condition on a reading; return the deviations and the log likelihood of each particle."""
        centre, variance, shared = self.reading(constants, what, true, added)
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
