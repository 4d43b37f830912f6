"""Beta-binomial pooling of event counts: whole arms, zeros included, risks that differ between trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, expit, gammaln, logit

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import Floats, critical


@dataclass(frozen=True)
class BetaBinomial:
    """Pooled risks of the groups and their comparison.

    Attributes
    ----------
    groups, risk, risk_ci
        Labels, pooled risks and profile-likelihood intervals; an interval starts at 0 where a group has no
        event.
    overdispersion
        Intra-trial correlation rho of outcomes, 0 for the binomial.
    log_odds_ratio, ci, p
        Second group against the first: estimate, profile-likelihood interval, likelihood-ratio p value; the
        estimate is ``None`` where a group has no event or nothing but events, then only one end of the
        interval is finite.
    log_likelihood
        At the maximum.
    status
        ``ok``, ``no_events`` or ``zero_events_in_one_group``.
    """

    groups: tuple[str, ...]
    risk: tuple[float, ...]
    risk_ci: tuple[tuple[float, float], ...]
    overdispersion: float
    log_odds_ratio: float | None
    ci: tuple[float | None, float | None] | None
    p: float | None
    log_likelihood: float
    k: int
    level: float
    status: Literal["ok", "no_events", "zero_events_in_one_group"]


@dataclass(frozen=True, eq=False)
class _Counts:
    """Sufficient counts of one group: arms with more than j events, non-events and persons, j = 0, 1, ...

    The log-likelihood at mean risk mu and theta = rho / (1 - rho) is
    sum_j A_j log(mu + j theta) + B_j log(1 - mu + j theta) - C_j log(1 + j theta) + constant,
    exact down to the binomial at theta = 0 and concave in mu.
    """

    events: Floats
    others: Floats
    persons: Floats
    constant: float

    def slope(self, mu: float, theta: float) -> float:
        a, b = np.arange(self.events.size), np.arange(self.others.size)
        return float(np.sum(self.events / (mu + a * theta)) - np.sum(self.others / (1 - mu + b * theta)))

    def log_likelihood(self, mu: float, theta: float) -> float:
        if (self.events.size and mu <= 0) or (self.others.size and mu >= 1):
            return -np.inf
        a, b, c = (np.arange(x.size) * theta for x in (self.events, self.others, self.persons))
        return float(
            np.sum(self.events * np.log(mu + a))
            + np.sum(self.others * np.log(1 - mu + b))
            - np.sum(self.persons * np.log1p(c))
            + self.constant
        )

    def best(self, theta: float) -> float:
        """Return the mean risk of highest likelihood at theta."""
        from scipy.optimize import brentq

        if not self.events.size:
            return 0.0
        if not self.others.size:
            return 1.0
        return float(brentq(self.slope, 1e-15, 1 - 1e-15, args=(theta,), xtol=1e-15, rtol=1e-14))


def _counts(events: Floats, n: Floats) -> _Counts:
    def more_than(x: Floats) -> Floats:
        return np.array([np.sum(x > j) for j in range(int(x.max(initial=0)))], dtype=float)

    choose = np.sum(gammaln(n + 1) - gammaln(events + 1) - gammaln(n - events + 1))
    return _Counts(more_than(events), more_than(n - events), more_than(n), float(choose))


def _maximise(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Return place and height of the maximum in [low, high], both ends included."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(low, high, 9)
    heights = [function(float(x)) for x in grid]
    top = int(np.argmax(heights))
    left, right = float(grid[max(0, top - 1)]), float(grid[min(grid.size - 1, top + 1)])
    found = minimize_scalar(
        lambda x: -function(float(x)),
        bounds=(left, right),
        method="bounded",
        options={"xatol": 1e-8 * max(1.0, abs(right))},
    )
    return max(
        [(float(found.x), -float(found.fun)), (float(grid[top]), heights[top])], key=lambda pair: pair[1]
    )


def beta_binomial(
    events: ArrayLike, n: ArrayLike, group: Sequence[str], *, level: float = 0.95
) -> BetaBinomial:
    """Pool event counts of one or two groups with risks that vary between arms (beta within a group).

    Arms without events count in full and need no correction (Kuss 2015, doi:10.1002/sim.6383). The
    overdispersion is shared by the groups; pairs of arms within a trial are not kept together, which costs
    some precision.

    Parameters
    ----------
    events, n
        Events and persons of each arm, (k,).
    group
        Label of each arm, one or two distinct; the first to appear is the reference.
    level
        Of the profile-likelihood intervals.

    Raises
    ------
    InputError
        Impossible counts, more than two groups.

    Examples
    --------
    >>> r = beta_binomial([0, 0, 1], [40, 30, 50], ["cells"] * 3)
    >>> round(r.risk[0], 4), r.status
    (0.0083, 'ok')
    """
    x, size = np.array(events, dtype=float, ndmin=1), np.array(n, dtype=float, ndmin=1)
    labels = np.array([str(g) for g in group])
    if not x.shape == size.shape == labels.shape or x.size == 0:
        raise InputError(Problem("differ in length or are empty", field="events, n and group"))
    bad = np.flatnonzero(
        ~((x >= 0) & (x <= size) & (size >= 1) & (x == np.floor(x)) & (size == np.floor(size)))
    )
    if bad.size:
        raise InputError(
            *(
                Problem(
                    "is impossible",
                    row=int(i) + 1,
                    field="events of n",
                    value=f"{x[i]:g} of {size[i]:g}",
                    allowed="whole numbers, 0 <= events <= n, n >= 1",
                )
                for i in bad
            )
        )
    names = tuple(dict.fromkeys(labels.tolist()))
    if len(names) > 2:
        raise InputError(Problem("has more than two values", field="group", value=", ".join(names)))
    parts = [_counts(x[labels == name], size[labels == name]) for name in names]

    def total(mus: Sequence[float], theta: float) -> float:
        return sum(part.log_likelihood(mu, theta) for part, mu in zip(parts, mus, strict=True))

    def over_rho(mus: Callable[[float], Sequence[float]]) -> tuple[float, float]:
        """Maximise over the overdispersion, the risks being a function of theta."""
        return _maximise(lambda rho: total(mus(rho / (1 - rho)), rho / (1 - rho)), 0.0, 0.99)

    rho, height = over_rho(lambda theta: [part.best(theta) for part in parts])
    risks = tuple(part.best(rho / (1 - rho)) for part in parts)
    drop = critical(level, None) ** 2 / 2

    def profile_risk(j: int) -> Callable[[float], float]:
        def value(mu: float) -> float:
            return (
                over_rho(lambda t: [mu if i == j else part.best(t) for i, part in enumerate(parts)])[1]
                - height
                + drop
            )

        return value

    intervals = tuple(_crossings(profile_risk(j), risks[j]) for j in range(len(names)))
    nothing = [risk in (0.0, 1.0) for risk in risks]
    status: Literal["ok", "no_events", "zero_events_in_one_group"] = (
        "ok" if not any(nothing) else "no_events" if not x.any() else "zero_events_in_one_group"
    )
    if len(names) == 1 or all(nothing):
        return BetaBinomial(names, risks, intervals, rho, None, None, None, height, x.size, level, status)

    def profile_odds(delta: float) -> float:
        def at(rho: float) -> float:
            theta = rho / (1 - rho)
            return _maximise(
                lambda b: total((float(expit(b - delta / 2)), float(expit(b + delta / 2))), theta),
                -16.0,
                16.0,
            )[1]

        return _maximise(at, 0.0, 0.99)[1] - height + drop

    pooled = _counts(x, size)
    _, null = _maximise(lambda r: pooled.log_likelihood(pooled.best(r / (1 - r)), r / (1 - r)), 0.0, 0.99)
    p = float(chdtrc(1, max(0.0, 2 * (height - null))))
    estimate = float(logit(risks[1]) - logit(risks[0])) if not any(nothing) else None
    ci = _odds_interval(profile_odds, float(np.clip(logit(risks[1]) - logit(risks[0]), -15, 15)))
    return BetaBinomial(names, risks, intervals, rho, estimate, ci, p, height, x.size, level, status)


def _crossings(profile: Callable[[float], float], peak: float) -> tuple[float, float]:
    """Return where the profile of a risk falls below the drop, on both sides of its peak."""
    from scipy.optimize import brentq

    def cross(edge: float) -> float:
        if peak == edge or profile(abs(edge - 1e-12)) > 0:
            return edge
        return float(brentq(profile, abs(edge - 1e-12), peak, xtol=1e-9))

    return cross(0.0), cross(1.0)


def _odds_interval(profile: Callable[[float], float], peak: float) -> tuple[float | None, float | None]:
    """Return the ends of the log odds ratio; ``None`` where the likelihood does not fall on that side."""
    from scipy.optimize import brentq

    def cross(edge: float) -> float | None:
        if profile(edge) > 0:
            return None
        return float(brentq(profile, min(edge, peak), max(edge, peak), xtol=1e-7))

    return cross(-15.0), cross(15.0)
