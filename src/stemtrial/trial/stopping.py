r"""A test statistic watched at several looks: exact probabilities of where it is stopped.

With information fraction :math:`t`, the score :math:`S(t) = Z(t)\sqrt t` of nearly every trial analysis is a Brownian
motion with drift :math:`\theta`: independent increments :math:`S(t_k)-S(t_{k-1}) \sim N(\theta\Delta_k, \Delta_k)`
(Jennison & Turnbull 2000, *Group Sequential Methods*, ch. 3). The distribution of the trials still running is carried
from look to look by numerical integration (Armitage, McPherson & Rowe 1969, *JRSS A* 132:235), here by Gauss-Legendre
rules on the continuation region, fine enough for errors below 1e-12.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import ndtr

REACH = 8.5
"""Standard deviations beyond which a normal distribution is cut: less than 1e-16."""

NEVER = 7.5
"""A bound at or beyond this z value is crossed with probability below 4e-14 and recorded as infinite."""

_SPARE, _PER_SD, _LONGEST = 14, 1.6, 128
"""Nodes of a rule: so many, and more for each standard deviation of the narrowest step; longest single panel."""

_BLOCK = 1 << 22
"""Transition densities held at a time."""


@cache
def rule(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a Gauss-Legendre rule on 0 to 1, in panels of equal width where it is long."""
    panels = -(-size // _LONGEST)
    x, w = np.polynomial.legendre.leggauss(-(-size // panels))
    nodes = (((x + 1) / 2 + np.arange(panels)[:, None]) / panels).ravel()
    weights = np.tile(w / 2 / panels, panels)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


@dataclass(frozen=True)
class Running:
    """Distribution of the score of the trials still running after a look; arrays may carry leading axes (...).

    Attributes
    ----------
    drift
        Mean of the score at full information, (...).
    origin, score
        Information fraction and score from which the motion is followed, (...).
    now
        Information fraction of the last look, (...).
    nodes, mass
        Scores and the probability attached to each, (..., n); the masses add up to the probability of running on.
    size
        Nodes of the integration rule.
    """

    drift: np.ndarray
    origin: np.ndarray
    score: np.ndarray
    now: np.ndarray
    nodes: np.ndarray
    mass: np.ndarray
    size: int

    @classmethod
    def start(
        cls,
        information: np.ndarray,
        drift: np.ndarray | float = 0.0,
        origin: np.ndarray | float = 0.0,
        score: np.ndarray | float = 0.0,
    ) -> "Running":
        """Begin at a known score, with all looks still to come.

        Parameters
        ----------
        information
            Information fractions of the looks to come, ascending, (..., k); they set the fineness of the grid.
        drift, origin, score
            As the attributes; they broadcast against each other and the leading axes of `information`.
        """
        looks = np.asarray(information, dtype=float)
        drift, origin, score, _ = (
            np.array(a, dtype=float) for a in np.broadcast_arrays(drift, origin, score, looks[..., 0])
        )
        steps = np.minimum(looks[..., 0] - origin, np.diff(looks, append=np.inf).min(axis=-1))
        spans = 2 * REACH * np.sqrt((looks[..., -1] - origin) / steps)
        return cls(
            drift, origin, score, origin, score[..., None], np.ones((*score.shape, 1)),
            int(np.ceil(_SPARE + _PER_SD * np.max(spans, initial=0))),
        )  # fmt: skip

    def above(self, information: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        """Probability of running on to the look at `information` and being above `z` there, (...)."""
        return np.asarray((self.mass * ndtr(self._excess(information, z))).sum(axis=-1))

    def below(self, information: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        """Probability of running on to the look at `information` and being below `z` there, (...)."""
        return np.asarray((self.mass * ndtr(-self._excess(information, z))).sum(axis=-1))

    def _excess(self, information: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        step = np.asarray(information - self.now)
        mean = self.drift * step - z * np.sqrt(information)
        return np.asarray((self.nodes + mean[..., None]) / np.sqrt(step)[..., None])

    def go_on(
        self, information: np.ndarray | float, *regions: tuple[np.ndarray | float, np.ndarray | float]
    ) -> "Running":
        """Distribution after the look at `information`, of the trials whose z value is in one of the regions.

        Parameters
        ----------
        information
            Of the look, (...).
        regions
            Disjoint continuation regions, each a lower and an upper z value, (...); infinite values are allowed.
        """
        x, w = rule(self.size)
        information = np.broadcast_to(information, self.now.shape)
        root, elapsed = np.sqrt(information), information - self.origin
        mean = self.score + self.drift * elapsed
        floor, ceiling = mean - REACH * np.sqrt(elapsed), mean + REACH * np.sqrt(elapsed)
        nodes, weights = [], []
        for lower, upper in regions:
            a = np.clip(lower * root, floor, ceiling)
            width = np.maximum(np.clip(upper * root, floor, ceiling) - a, 0)
            nodes.append(a[..., None] + width[..., None] * x)
            weights.append(width[..., None] * w)
        grid, weight = np.concatenate(nodes, axis=-1), np.concatenate(weights, axis=-1)
        step = information - self.now
        mass = weight * self._density(grid - (self.drift * step)[..., None], np.sqrt(step))
        return replace(self, now=information, nodes=grid, mass=mass)

    def _density(self, grid: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Density of the sum of the present score and a centred normal step, (..., n)."""
        new, old, mass = (a.reshape(-1, a.shape[-1]) for a in (grid, self.nodes, self.mass))
        sds = np.broadcast_to(sd, grid.shape[:-1]).reshape(-1, 1)
        rows = max(1, _BLOCK // (new.shape[1] * old.shape[1]))
        density = np.empty_like(new)
        for first in range(0, len(new), rows):
            part = slice(first, first + rows)
            u, v = new[part] / sds[part], old[part] / sds[part]
            kernel = u[:, :, None] - v[:, None, :]
            np.multiply(kernel, kernel, out=kernel)
            kernel *= -0.5
            density[part] = np.einsum("rij,rj->ri", np.exp(kernel, out=kernel), mass[part])
        return np.asarray(density / (sds * np.sqrt(2 * np.pi))).reshape(grid.shape)


@dataclass(frozen=True, eq=False)
class Limits:
    """Where the looks stop a trial, z values (..., looks), from the top down.

    Attributes
    ----------
    upper
        At or above: stops for efficacy.
    futile_high, futile_low
        Between them: stops for futility.
    opposite
        At or below: stops for an effect in the other direction.
    """

    upper: np.ndarray
    futile_high: np.ndarray
    futile_low: np.ndarray
    opposite: np.ndarray

    @classmethod
    def of(cls, sides: int, upper: np.ndarray, lower: np.ndarray) -> "Limits":
        """Limits of a one-sided design, or of a two-sided one that is symmetric and futile where ``|z|`` <= `lower`."""
        if sides == 2:
            return cls(upper, lower, -lower, -upper)
        never = np.full_like(lower, -np.inf)
        return cls(upper, lower, never, never)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Limits":
        """Limits changed one by one."""
        return Limits(*(change(x) for x in (self.upper, self.futile_high, self.futile_low, self.opposite)))

    def at(self, look: int) -> "Limits":
        """Limits of one look, (...)."""
        return self.each(lambda x: x[..., look])

    def regions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Intervals of z in which the trial goes on."""
        if np.all((self.futile_high <= self.futile_low) & np.isfinite(self.futile_high)):
            return [(self.opposite, self.upper)]
        above = (self.futile_high, self.upper)
        return (
            [above] if np.all(self.futile_low <= self.opposite) else [(self.opposite, self.futile_low), above]
        )


@dataclass(frozen=True, eq=False)
class Stopping:
    """Where a trial stops; arrays (..., looks), the leading axes those of the drift.

    Attributes
    ----------
    information
        Information fractions of the looks.
    efficacy
        Probability of stopping for efficacy at each look; in a two-sided design on the side of positive z.
    opposite
        Probability of crossing the mirror of the efficacy bound in a two-sided design; 0 in a one-sided one.
    futility
        Probability of stopping for futility at each look, at the last one of ending without an effect shown.
    """

    information: np.ndarray
    efficacy: np.ndarray
    opposite: np.ndarray
    futility: np.ndarray

    @property
    def power(self) -> np.ndarray:
        """Probability of showing an effect in the direction of positive z, (...)."""
        return np.asarray(self.efficacy.sum(axis=-1))

    @property
    def rejection(self) -> np.ndarray:
        """Probability of showing an effect in either direction, (...)."""
        return np.asarray((self.efficacy + self.opposite).sum(axis=-1))

    @property
    def by_look(self) -> np.ndarray:
        """Probability of ending at each look for whatever reason, (..., looks)."""
        return np.asarray(self.efficacy + self.opposite + self.futility)

    @property
    def expected_information(self) -> np.ndarray:
        """Mean information at the end as a fraction of the maximum, (...)."""
        return np.asarray((self.by_look * self.information).sum(axis=-1))


def stopping(information: np.ndarray, limits: Limits, running: Running) -> Stopping:
    """Probabilities of stopping at each look.

    Parameters
    ----------
    information
        Information fractions, (..., looks).
    limits
        Of the looks, (..., looks). At the last look whatever shows no effect is futile.
    running
        Where the trial starts, and its drift.

    Returns
    -------
    Stopping
    """
    efficacy, opposite, futility = [], [], []
    for k in range(information.shape[-1]):
        t, here = information[..., k], limits.at(k)
        efficacy.append(running.above(t, here.upper))
        opposite.append(running.below(t, here.opposite))
        alive = running.mass.sum(axis=-1)
        if k == information.shape[-1] - 1:
            futility.append(alive - efficacy[-1] - opposite[-1])
        else:
            futility.append(
                np.maximum(running.below(t, here.futile_high) - running.below(t, here.futile_low), 0)
            )
            running = running.go_on(t, *here.regions())
    return Stopping(information, *(np.stack(x, axis=-1) for x in (efficacy, opposite, futility)))
