"""Stopping boundaries as a record: their properties, and what they decide."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from stemtrial.errors import InputError, Problem
from stemtrial.trial.roots import root
from stemtrial.trial.stopping import Limits, Running, Stopping, stopping

HIGHEST_DRIFT = 12.0
"""Largest mean z value at full information that is considered."""


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Stopping boundaries; arrays (looks,), or (replicates, looks) where replicates differ in information.

    Attributes
    ----------
    information
        Information fractions.
    sides
        1 or 2.
    upper
        Efficacy bounds, z values; infinite where a look cannot stop for efficacy.
    lower
        Futility bounds, z values, the last one equal to the efficacy bound. One-sided: stop at or below; ``-inf`` for
        none. Two-sided: stop where ``|z|`` is at or below; 0 for none.
    alpha_spent
        Cumulative type I error, of both sides together, futility bounds counted if they bind.
    beta_spent
        Cumulative type II error at `drift`; NaN unless beta is spent.
    drift
        Mean z value at full information for which beta-spending bounds were made, (...); NaN otherwise.
    binding
        Whether the efficacy bounds count on the futility bounds being obeyed.
    """

    information: np.ndarray
    sides: int
    upper: np.ndarray
    lower: np.ndarray
    alpha_spent: np.ndarray
    beta_spent: np.ndarray
    drift: np.ndarray
    binding: bool

    def __post_init__(self) -> None:
        for values in (self.information, self.upper, self.lower, self.alpha_spent, self.beta_spent):
            values.flags.writeable = False

    @property
    def stage_levels(self) -> np.ndarray:
        """One-sided significance level of each look."""
        return np.asarray(ndtr(-self.upper))

    @property
    def limits(self) -> Limits:
        """Where the looks stop the trial, futility bounds obeyed."""
        return Limits.of(self.sides, self.upper, self.lower)

    def stopping(self, drift: np.ndarray | float) -> Stopping:
        """Probabilities of stopping at each look under drifts (...), futility bounds obeyed."""
        return stopping(self.information, self.limits, Running.start(self.information, drift))

    def drift_for(self, power: float) -> float:
        """Mean z value at full information at which the power is reached, one side counted.

        Raises
        ------
        InputError
            If no drift reaches the power.
        """
        found = float(root(lambda d: self.stopping(d).power - power, 0.0, HIGHEST_DRIFT))
        if not np.isclose(float(self.stopping(found).power), power, atol=1e-9):
            raise InputError(
                Problem("is not reached by any effect", field="power", value=power,
                        hint="loosen the futility bounds")
            )  # fmt: skip
        return found

    def follow(self, z: np.ndarray) -> "Ending":
        """Apply the boundaries to observed z values.

        Parameters
        ----------
        z
            Test statistics, positive in favour of the experimental arm, (replicates, looks); NaN is never a crossing.

        Returns
        -------
        Ending
        """
        size = np.abs(z) if self.sides == 2 else z
        efficacy = size >= self.upper
        futile = (size <= self.lower) & ((self.lower > 0) | (self.sides == 1)) & ~efficacy
        stop = efficacy | futile
        stop[..., -1] = True
        look = stop.argmax(axis=-1)
        rejected = np.take_along_axis(efficacy, look[..., None], axis=-1)[..., 0]
        favours = (np.take_along_axis(z, look[..., None], axis=-1)[..., 0] > 0) | (self.sides == 1)
        return Ending(look, rejected & favours, rejected & ~favours)


@dataclass(frozen=True, eq=False)
class Ending:
    """How each replicate ended, arrays (replicates,).

    Attributes
    ----------
    look
        Look at which it stopped, 0 the first.
    shown, opposite
        Whether an effect was shown in favour of the experimental arm, or against it.
    """

    look: np.ndarray
    shown: np.ndarray
    opposite: np.ndarray
