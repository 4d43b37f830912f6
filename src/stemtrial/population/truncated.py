"""Normal distributions cut off at eligibility limits, described by the moments of the patients who remain."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp

from stemtrial.errors import InputError, Problem


def _moments(mu: float, sigma: float, low: float, high: float) -> tuple[float, float]:
    """Mean and SD of N(mu, sigma^2) between two limits."""
    a, b = (low - mu) / sigma, (high - mu) / sigma
    if a > 0:  # keep the tail that carries the mass on the left, where log_ndtr is exact
        mean, sd = _moments(-mu, sigma, -high, -low)
        return -mean, sd
    log_mass = log_ndtr(b) + math.log1p(-math.exp(min(log_ndtr(a) - log_ndtr(b), -1e-300)))
    pa, pb = (
        math.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - log_mass) if math.isfinite(z) else 0.0
        for z in (a, b)
    )
    shift = pa - pb
    spread = 1 + (a * pa if math.isfinite(a) else 0.0) - (b * pb if math.isfinite(b) else 0.0) - shift * shift
    return mu + sigma * shift, sigma * math.sqrt(max(spread, 0.0))


_FAR = 4.0
"""Standard deviations beyond which a limit leaves a tail only."""


@dataclass(frozen=True)
class TruncatedNormal:
    """N(mu, sigma^2) restricted to the interval from ``low`` to ``high``."""

    mu: float
    sigma: float
    low: float
    high: float

    @classmethod
    def matching(
        cls, mean: float, sd: float, low: float, high: float, field: str = "covariate"
    ) -> "TruncatedNormal":
        """Return the distribution whose mean and SD *after* truncation are the given ones.

        Raises
        ------
        InputError
            Where no normal distribution cut at these limits has these moments.

        Examples
        --------
        >>> d = TruncatedNormal.matching(58, 14, 40, 100)
        >>> round(float(d.mean), 6), round(float(d.sd), 6), bool(d.mu < 58)
        (58.0, 14.0, True)
        """
        mu, log_sigma = mean, math.log(sd)
        for _ in range(200):
            sigma = math.exp(log_sigma)
            m, s = _moments(mu, sigma, low, high)
            error = np.array([m - mean, s - sd])
            if np.abs(error).max() < 1e-10 * sd:
                return cls(mu, sigma, low, high)
            step = 1e-6
            columns = []
            for dm, ds in ((step * sigma, 0.0), (0.0, step)):
                forward = _moments(mu + dm, math.exp(log_sigma + ds), low, high)
                columns.append([(forward[0] - m) / (dm or ds), (forward[1] - s) / (dm or ds)])
            try:
                move = np.linalg.solve(np.array(columns).T, -error)
            except np.linalg.LinAlgError:
                break
            limit = max(1.0, abs(move[0]) / (2 * sigma), abs(move[1]) / 0.5)
            mu, log_sigma = mu + move[0] / limit, log_sigma + move[1] / limit
            if not (math.isfinite(mu) and abs(log_sigma) < 50):
                break
        raise InputError(
            Problem(
                f"with mean {mean:g} and limits {low:g} to {high:g} fits no truncated normal distribution",
                field=f"{field}.sd",
                value=sd,
                hint="lower the sd or widen the limits",
            )
        )

    @property
    def mean(self) -> float:
        """Mean after truncation."""
        return _moments(self.mu, self.sigma, self.low, self.high)[0]

    @property
    def sd(self) -> float:
        """SD after truncation."""
        return _moments(self.mu, self.sigma, self.low, self.high)[1]

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Turn standard normal numbers into numbers of this distribution, keeping their order."""
        a, b = (self.low - self.mu) / self.sigma, (self.high - self.mu) / self.sigma
        if a > _FAR:  # the upper tail: its mirror image has probabilities that can be told from 0
            mirror = TruncatedNormal(-self.mu, self.sigma, -self.high, -self.low)
            return np.asarray(np.negative(mirror.from_normal(-z)))
        if b < -_FAR:
            above = np.exp(log_ndtr(a) - log_ndtr(b))
            x = ndtri_exp(log_ndtr(b) + np.log(ndtr(z) + ndtr(-z) * above))
        else:
            low, high = ndtr(a), ndtr(b)
            x = ndtri(low + ndtr(z) * (high - low))
        return np.asarray(np.clip(self.mu + self.sigma * x, self.low, self.high))
