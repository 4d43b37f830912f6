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

from stemtrial.candidate.deviations import Deviations, Mixture, Reading
from stemtrial.candidate.ensemble import Rescue, Truth, follow
from stemtrial.candidate.participants import Participants
from stemtrial.candidate.person import Person, changed, virtual
from stemtrial.candidate.spread import AS_MODELLED, Widening
from stemtrial.draws import Stream, normals, uniforms
from stemtrial.mechanism.schedule import Schedule
from stemtrial.population.covariates import Covariates
from stemtrial.population.patients import Constants, People
from stemtrial.simulation import Numerics

FEW = 0.05
"""Effective share of the particles below which they are resampled and moved."""

MOVES, STEP = 4, 0.5
"""Number of moves after resampling, and how far each goes (0 nowhere, 1 a fresh draw)."""


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
    wider
        Scatter of persons that readings have beyond the model's.
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
    wider: Widening = AS_MODELLED

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
        mean, variance, _ = later.reading(self.constants, what, self.true(month, what), self.wider.at(month))
        return Mixture(self.weight, mean, np.sqrt(variance))

    def learn(self, reading: Reading) -> "Cloud":
        """Weight the particles by a reading not before the last one."""
        deviations = self.deviations.moved(self.constants, reading.month)
        true = self.true(reading.month, reading.what)
        added = self.wider.at(reading.month)
        after, log_likelihood = deviations.given(self.constants, reading.what, true, reading.value, added)
        return replace(self, log_weight=self.log_weight + log_likelihood, deviations=after)

    def widened(self, participants: Participants, patients: int) -> "Cloud":
        """Return the particles with what they lack, at every later month, to scatter as participants of trials do.

        ``patients`` for each draw of the constants, as they were drawn: those of a draw are persons of one trial.
        """
        cloud, months = self, tuple(month for month in self.months if month > 0)
        for what in ("pain", "function"):
            least = participants.residual_sd(what) ** 2
            lack = tuple(max(least - cloud.forecast(m, what).within(patients), 0.0) for m in months)
            cloud = replace(
                cloud,
                wider=replace(cloud.wider, months=months, **{"function": (0.0,) * len(months), what: lack}),
            )
        return cloud

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
            self.wider,
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
            fresh_cloud = Cloud._from(now.constants, now.covariates, z, now.months, truth)
            proposed = replace(fresh_cloud, wider=now.wider)._after(readings)
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
