"""Summaries of virtual patients in weighted draws of the constants: distributions, intervals, parts of a variance.

Arrays are (draws, patients); weights belong to the draws, add up to one, and are shared equally by a draw's patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

TRIAL_CONSTANTS = ("ctx_Emax", "k_B", "cell_effect")
"""Constants that differ between trials: size and speed of the contextual response, and effect of the cells."""

_PROBABILITIES = (0.025, 0.10, 0.25, 0.50, 0.75, 0.90, 0.975)


@dataclass(frozen=True)
class Distribution:
    """Predictive distribution: mean, SD and quantiles."""

    mean: float
    sd: float
    q025: float
    q10: float
    q25: float
    q50: float
    q75: float
    q90: float
    q975: float


@dataclass(frozen=True)
class Interval:
    """A mean or a share with the 95 % interval that unknown constants and unknown trial leave.

    Attributes
    ----------
    estimate, low, high
        In the unit of what is estimated; shares are per 100 persons like this one.
    """

    estimate: float
    low: float
    high: float


def average(by_draw: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean over the draws, always added up in the same order."""
    return float((by_draw * weight).sum())


def quantiles(values: np.ndarray, weights: np.ndarray, probabilities: tuple[float, ...]) -> np.ndarray:
    """Return quantiles of weighted values, linear between the midpoints of the cumulated weights.

    Examples
    --------
    >>> import numpy as np
    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3) / 3, (0.5,)).tolist()
    [2.0]
    """
    order = np.argsort(values)
    ordered = weights[order]
    return np.asarray(np.interp(probabilities, np.cumsum(ordered) - 0.5 * ordered, values[order]))


def distribution(values: np.ndarray, weight: np.ndarray) -> Distribution:
    """Distribution over all patients of all draws."""
    mean = average(values.mean(axis=1), weight)
    sd = average(((values - mean) ** 2).mean(axis=1), weight) ** 0.5
    each = np.broadcast_to(weight[:, None] / values.shape[1], values.shape)
    return Distribution(mean, sd, *map(float, quantiles(values.ravel(), each.ravel(), _PROBABILITIES)))


def interval(by_draw: np.ndarray, weight: np.ndarray) -> Interval:
    """Mean over the draws with the central 95 % of them; draws that are not a number do not count."""
    known = np.isfinite(by_draw)
    weight = np.where(known, weight, 0.0)
    if not weight.sum():
        raise ValueError("no draw has a value")
    weight = weight / weight.sum()
    values = np.where(known, by_draw, 0.0)
    low, high = quantiles(values[known], weight[known], (0.025, 0.975))
    return Interval(average(values, weight), float(low), float(high))


def effective(weight: np.ndarray) -> float:
    """Return the number of equally weighted draws with as much information (Kish): ``1 / sum(w^2)``."""
    return float(1 / (weight**2).sum())


def between_and_within(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the draws' means, the variance between draws without the chance of few patients, and that within."""
    mean = values.mean(axis=1)
    within = values.var(axis=1, ddof=1)
    inside = average(within, weight)
    seen = average((mean - average(mean, weight)) ** 2, weight) / (1 - 1 / effective(weight))
    return mean, max(seen - inside / values.shape[1], 0.0), inside


def explained_by_trial(mean: np.ndarray, weight: np.ndarray, constants: Mapping[str, np.ndarray]) -> float:
    """Return the share of the variance of the draws' means that the constants of the trial explain, 0 to 1.

    By least squares on a full quadratic in :data:`TRIAL_CONSTANTS` (logarithms of the rate and the
    multiplier where they are positive), adjusted for the number of its terms.
    """
    rates = [np.log(c) if (c > 0).all() else c for c in (constants["k_B"], constants["cell_effect"])]
    columns = [constants["ctx_Emax"], *rates]
    scores = [(c - c.mean()) / c.std() for c in columns if c.std() > 0]
    terms = [a * b for i, a in enumerate(scores) for b in scores[i:]]
    design = np.stack([np.ones_like(mean), *scores, *terms], axis=1)
    root = np.sqrt(weight)[:, None]
    fitted = (design * np.linalg.lstsq(design * root, mean * root[:, 0], rcond=None)[0]).sum(axis=1)
    total = average((mean - average(mean, weight)) ** 2, weight)
    n, p = effective(weight), design.shape[1]
    if total == 0 or n <= p + 1:
        return 0.0
    left = average((mean - fitted) ** 2, weight) / total
    return float(np.clip(1 - left * (n - 1) / (n - p), 0, 1))
