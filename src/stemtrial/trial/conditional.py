"""What an interim look says of the end: conditional and predictive power, and inference that respects the looks.

Effects are on the scale of the drift: the mean of the test statistic at full information. Multiplied by the standard
error that the estimate has at full information, they become effects in units of the endpoint.
"""

from dataclasses import dataclass, replace

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.trial.boundaries import boundaries, bounds_at
from stemtrial.trial.bounds import Boundaries
from stemtrial.trial.groupsequential import FixedFutility, GroupSequential
from stemtrial.trial.roots import root
from stemtrial.trial.stopping import Limits, Running, Stopping, stopping

WIDEST_DRIFT = 25.0
"""Distance from the observed drift within which confidence limits are sought."""


def conditional_power(
    bounds: Boundaries, look: int, z: np.ndarray | float, drift: np.ndarray | float | None
) -> Stopping:
    """Probabilities of stopping at the looks to come, given the statistic at a look and the true effect.

    Parameters
    ----------
    bounds
        Stopping boundaries.
    look
        The look just made, 0 the first; not the last.
    z
        Test statistic there, (...).
    drift
        True mean of the statistic at full information, (...); None takes the effect observed, ``z / sqrt(t)``.

    Returns
    -------
    Stopping
        ``power`` is the conditional power, (...); the looks are those to come.

    Raises
    ------
    InputError
        If no look is to come.

    Examples
    --------
    With one look to come this is the stochastic curtailment of Lan, Simon & Halperin 1982:

    >>> from stemtrial.trial.groupsequential import OBRIEN_FLEMING
    >>> two = boundaries(GroupSequential((0.5, 1.0), alpha=0.025, sides=1, efficacy=OBRIEN_FLEMING))
    >>> conditional_power(two, 0, z=1.0, drift=2.8).power.round(4).tolist()
    0.5728
    """
    t, limits = _to_come(bounds, look)
    now = bounds.information[..., look]
    trend = np.asarray(z) / np.sqrt(now) if drift is None else drift
    return stopping(t, limits, Running.start(t, trend, now, np.asarray(z) * np.sqrt(now)))


def predictive_power(
    bounds: Boundaries, look: int, z: np.ndarray | float, prior_mean: float = 0.0, prior_sd: float = np.inf
) -> Stopping:
    r"""Conditional power averaged over what is believed of the effect after the look.

    The drift has a normal prior; an infinite `prior_sd` is a flat one, with which the belief rests on the data alone.
    The posterior mean of the drift is a Brownian motion without drift in the time :math:`1/(t_0+p) - 1/(t+p)`, where
    :math:`p` is the prior precision; so one integration averages over the belief (one look: Spiegelhalter, Abrams &
    Myles 2004, *Bayesian Approaches to Clinical Trials*, ch. 6).

    Parameters
    ----------
    bounds, look, z
        As in :func:`conditional_power`.
    prior_mean, prior_sd
        Of the drift.

    Returns
    -------
    Stopping
        ``power`` is the predictive power, (...).

    Raises
    ------
    InputError
        If no look is to come, or the prior is not a distribution.
    """
    t, limits = _to_come(bounds, look)
    now = bounds.information[..., look]
    if not (prior_sd > 0 and np.isfinite(prior_mean)):
        raise InputError(Problem("is not a prior", field="prior_sd", value=prior_sd, allowed="above 0"))
    precision = 1 / prior_sd**2
    time = 1 / (now[..., None] + precision) - 1 / (t + precision)
    belief = (np.asarray(z) * np.sqrt(now) + precision * prior_mean) / (now + precision)

    def as_beliefs(bound: np.ndarray) -> np.ndarray:
        return np.asarray((bound * np.sqrt(t) + precision * prior_mean) / (t + precision) / np.sqrt(time))

    ahead = stopping(time, limits.each(as_beliefs), Running.start(time, 0.0, 0.0, belief))
    return replace(ahead, information=t)


def _to_come(bounds: Boundaries, look: int) -> tuple[np.ndarray, Limits]:
    """Information fractions and limits of the looks after a look."""
    last = bounds.information.shape[-1] - 1
    if not 0 <= look < last:
        raise InputError(
            Problem("is followed by no other", field="look", value=look, allowed=f"0 to {last - 1}" if last else None,
                    hint="conditional power needs an interim look")
        )  # fmt: skip
    return bounds.information[..., look + 1 :], bounds.limits.each(lambda x: x[..., look + 1 :])


@dataclass(frozen=True)
class FinalInference:
    """Inference at the look at which a trial stopped, in the stagewise ordering of outcomes.

    Attributes
    ----------
    p
        One-sided p value: the probability without effect of stopping earlier for efficacy, or at this look with a
        statistic as large.
    estimate
        Median-unbiased estimate of the drift.
    low, high
        Limits of the equal-tailed confidence interval of the drift.
    """

    p: float
    estimate: float
    low: float
    high: float


def final_inference(bounds: Boundaries, look: int, z: float, confidence: float) -> FinalInference:
    """P value, estimate and interval after stopping at a look (Tsiatis, Rosner & Mehta 1984, *Biometrics* 40:797).

    Futility bounds count only if they bind.

    Parameters
    ----------
    bounds
        Stopping boundaries, (looks,).
    look, z
        Where the trial stopped, 0 the first look, and the statistic there.
    confidence
        Level of the two-sided interval, such as 0.95.

    Returns
    -------
    FinalInference
    """
    free = replace(bounds, lower=np.full_like(bounds.lower, 0.0 if bounds.sides == 2 else -np.inf))
    t = bounds.information[: look + 1]
    limits = (bounds if bounds.binding else free).limits.each(lambda x: x[: look + 1])
    reached = replace(limits, upper=np.append(limits.upper[:-1], z))

    def as_large(drift: np.ndarray | float) -> np.ndarray:
        return stopping(t, reached, Running.start(t, drift)).power

    tail = (1 - confidence) / 2
    observed = z / np.sqrt(t[-1])
    wanted = np.array([tail, 0.5, 1 - tail])
    low, middle, high = root(
        lambda d: as_large(d) - wanted, observed - WIDEST_DRIFT * np.ones(3), observed + WIDEST_DRIFT
    )
    return FinalInference(float(as_large(0.0)), float(middle), float(low), float(high))


def repeated_interval(bounds: Boundaries, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence limits of the drift that hold at every look at once, whatever is done after it.

    Parameters
    ----------
    bounds
        Stopping boundaries.
    z
        Statistics at the looks, (..., looks).

    Returns
    -------
    low, high
        (..., looks), with the confidence of the design: 1 - alpha, or 1 - 2 alpha where it is one-sided (Jennison &
        Turnbull 1989, *JRSS B* 51:305).
    """
    root_t = np.sqrt(bounds.information)
    return (z - bounds.upper) / root_t, (z + bounds.upper) / root_t


def repeated_p(design: GroupSequential, look: int, z: float) -> float:
    """Smallest alpha, of both sides together, at which the design would have stopped for efficacy at a look.

    Binding futility bounds stay as they are. A value of 0.5 stands for 0.5 or above.

    Raises
    ------
    InputError
        If the look is not one of the design.
    """
    if not 0 <= look < len(design.information):
        raise InputError(Problem("is not a look of the design", field="look", value=look))
    t, nan = np.array(design.information), np.array(np.nan)
    fixed = FixedFutility(tuple(boundaries(design).lower[:-1].tolist())) if design.binding else None

    def excess(log_alpha: np.ndarray) -> np.ndarray:
        stricter = replace(design, alpha=float(np.exp(log_alpha)), futility=fixed)
        return np.asarray(np.minimum(bounds_at(stricter, t, t, nan).upper[look], 99.0) - z)

    return float(np.exp(root(excess, np.log(1e-9), np.log(0.5 - 1e-9))))
