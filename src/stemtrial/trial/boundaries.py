"""Stopping boundaries of group-sequential designs, found by exact integration."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.trial.bounds import HIGHEST_DRIFT, Boundaries
from stemtrial.trial.groupsequential import (
    SMALLEST_STEP,
    BetaSpending,
    FixedFutility,
    GroupSequential,
    HaybittlePeto,
    WangTsiatis,
)
from stemtrial.trial.roots import root
from stemtrial.trial.stopping import NEVER, Limits, Running

SMALLEST_DRIFT = 1e-3
"""Smallest mean z value at full information that is considered."""

NEGLIGIBLE = 4e-14
"""Error below which a look gets no bound."""


@lru_cache(maxsize=256)
def boundaries(design: GroupSequential) -> Boundaries:
    """Find the stopping boundaries of a design.

    Raises
    ------
    InputError
        If the rules leave no boundary that holds the level.

    Examples
    --------
    O'Brien-Fleming with five looks (Jennison & Turnbull 2000, table 2.3: 2.040 at the last look):

    >>> from stemtrial.trial.groupsequential import OBRIEN_FLEMING
    >>> five = GroupSequential((0.2, 0.4, 0.6, 0.8, 1.0), alpha=0.05, sides=2, efficacy=OBRIEN_FLEMING)
    >>> boundaries(five).upper.round(3).tolist()
    [4.562, 3.226, 2.634, 2.281, 2.04]
    """
    t = np.array(design.information)
    if not isinstance(design.futility, BetaSpending):
        return _sound(design, bounds_at(design, t, t, np.array(np.nan)))
    beta = design.futility.beta

    def excess(drift: np.ndarray) -> np.ndarray:
        return np.asarray(bounds_at(design, t, t, drift).stopping(drift).rejection - (1 - beta))

    return _sound(design, bounds_at(design, t, t, root(excess, SMALLEST_DRIFT, HIGHEST_DRIFT)))


def recalculated(design: GroupSequential, information: np.ndarray, planned: float) -> Boundaries:
    """Find boundaries at the information that was in fact collected; errors are spent by what was planned.

    Error spending keeps the type I error whatever the information at the looks, as long as the looks were not chosen by
    their results (Lan & DeMets 1983). The last look spends all that is left.

    Parameters
    ----------
    design
        A design that spends its alpha by a function; its looks are as many as those given.
    information
        Information at the looks, ascending, such as patients analysed or inverse squared standard errors,
        (..., looks).
    planned
        Information planned for the last look, in the same unit.

    Returns
    -------
    Boundaries
        Its information fractions refer to the last look that was made.

    Raises
    ------
    InputError
        If the design has bounds for fixed looks only, or information does not grow.
    """
    seen = np.asarray(information, dtype=float)
    if isinstance(design.efficacy, WangTsiatis | HaybittlePeto):
        raise InputError(
            Problem("has bounds for the planned information only", field="efficacy", value=design.efficacy,
                    hint="choose a spending function")
        )  # fmt: skip
    t = seen / seen[..., -1:]
    if seen.shape[-1] != len(design.information) or not np.all(np.diff(t, prepend=0) >= SMALLEST_STEP):
        raise InputError(
            Problem("is not the information of the design's looks", field="information",
                    allowed=f"{len(design.information)} values that grow by {SMALLEST_STEP:.1%} of the last or more")
        )  # fmt: skip
    spent_at = np.concatenate([np.minimum(seen[..., :-1] / planned, 1), np.ones_like(t[..., -1:])], axis=-1)
    drift = boundaries(design).drift * np.sqrt(seen[..., -1] / planned)
    return _sound(design, bounds_at(design, t, spent_at, drift))


def bounds_at(design: GroupSequential, t: np.ndarray, spent_at: np.ndarray, drift: np.ndarray) -> Boundaries:
    """Find boundaries without checking that they can be used.

    Parameters
    ----------
    design
        The rules; its own information fractions are not used.
    t
        Fractions of the information at the last look, (..., looks).
    spent_at
        Fractions of the planned information, by which errors are spent, (..., looks).
    drift
        At which beta is spent, (...); NaN where it is not.

    Returns
    -------
    Boundaries
    """
    level = design.alpha / design.sides
    planned: np.ndarray | None = None
    target = np.broadcast_to(level, t.shape)
    match design.efficacy:
        case WangTsiatis(delta):
            shape = t ** (delta - 0.5)

            def excess(c: np.ndarray) -> np.ndarray:
                return (
                    _walk(design, t, spent_at, drift, c * shape, target).alpha_spent[..., -1] - design.alpha
                )

            planned = root(excess, 0.1, 20.0) * shape
        case HaybittlePeto(z):
            planned = np.append(np.full(t.shape[-1] - 1, z), np.nan)
        case spending:
            target = spending(spent_at, level)
    return _walk(design, t, spent_at, drift, planned, target)


def _sound(design: GroupSequential, found: Boundaries) -> Boundaries:
    """Return the boundaries if every look leaves a region to go on in and the level is used up."""
    missed = ~np.isclose(found.alpha_spent[..., -1], design.alpha, rtol=1e-7)
    if np.any(missed) or np.any(found.lower[..., :-1] >= found.upper[..., :-1]):
        raise InputError(
            Problem("leaves no efficacy bound that holds the level", field="futility", value=design.futility,
                    hint="lower the futility bounds, make them non-binding or spend less at the early looks")
        )  # fmt: skip
    return found


def _walk(
    design: GroupSequential,
    t: np.ndarray,
    spent_at: np.ndarray,
    drift: np.ndarray,
    planned: np.ndarray | None,
    target: np.ndarray,
) -> Boundaries:
    """Go from look to look and set each bound: as planned, or where it spends up to the target.

    `planned` holds efficacy bounds, NaN where one is to be found; `target` the cumulative one-sided alpha.
    """
    sides, futility = design.sides, design.futility
    none = np.full(t.shape[:-1], 0.0 if sides == 2 else -np.inf)
    beta = futility.spending(spent_at, futility.beta) if isinstance(futility, BetaSpending) else None
    null, alternative = Running.start(t), Running.start(t, drift)
    alpha_used, beta_used = np.zeros(none.shape), np.zeros(none.shape)
    upper: list[np.ndarray] = []
    lower: list[np.ndarray] = []
    alphas: list[np.ndarray] = []
    betas: list[np.ndarray] = []
    for k in range(t.shape[-1]):
        now, last = t[..., k], k == t.shape[-1] - 1
        b = none if planned is None else planned[..., k]
        if planned is None or np.isnan(b).all():
            b = _quantile(null.above, now, target[..., k] - alpha_used, -NEVER, NEVER, np.inf)
        alpha_used = alpha_used + null.above(now, b)
        inside = alternative.below if sides == 1 else _within(alternative)
        if last:
            a = b
        elif beta is not None:
            a = _quantile(inside, now, beta[..., k] - beta_used, -NEVER if sides == 1 else 0.0, NEVER, none)
            a = np.minimum(a, b)
            beta_used = beta_used + inside(now, a)
        else:
            a = np.full(none.shape, float(futility.z[k])) if isinstance(futility, FixedFutility) else none
        if not last:
            b, a = np.broadcast_arrays(b, a)
            null = null.go_on(now, *Limits.of(sides, b, a if design.binding else none).regions())
            if beta is not None:
                alternative = alternative.go_on(now, *Limits.of(sides, b, a).regions())
        elif beta is not None:
            beta_used = beta_used + inside(now, b)
        for values, value in ((upper, b), (lower, a), (alphas, sides * alpha_used), (betas, beta_used)):
            values.append(np.broadcast_to(value, none.shape))
    spent = np.stack(betas, axis=-1) if beta is not None else np.full(t.shape, np.nan)
    bounds = [np.stack(x, axis=-1) for x in (upper, lower, alphas)]
    return Boundaries(t, sides, bounds[0], bounds[1], bounds[2], spent, drift, design.binding)


Probability = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _quantile(
    probability: Probability,
    t: np.ndarray,
    share: np.ndarray,
    low: float,
    high: float,
    otherwise: np.ndarray | float,
) -> np.ndarray:
    """Bound at which a probability takes the given value; `otherwise` where nothing worth a bound is to be spent."""
    share = np.asarray(share)
    scale = np.where(share > NEGLIGIBLE, share, 1)
    found = root(lambda z: probability(t, z) / scale - share / scale, low, high)
    return np.where(share > NEGLIGIBLE, found, otherwise)


def _within(running: Running) -> Probability:
    return lambda t, a: running.below(t, a) - running.below(t, -a)
