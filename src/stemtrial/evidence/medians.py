"""Standard deviations and means from what was printed: SE, interval, t, p, median with quartiles or range.

The estimators for medians assume roughly normal values.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import Floats


def _checked(n: ArrayLike, **spreads: ArrayLike) -> list[Floats]:
    """Return n and spreads as arrays; n must be at least 2 and every spread positive."""
    arrays = [np.atleast_1d(np.asarray(x, dtype=float)) for x in (n, *spreads.values())]
    allowed = ("at least 2", *("above 0" for _ in spreads))
    for name, x, limit, low in zip(("n", *spreads), arrays, allowed, (1, *(0 for _ in spreads)), strict=True):
        bad = np.flatnonzero(~(np.isfinite(x) & (x > low)))
        if bad.size:
            i = int(bad[0])
            raise InputError(
                Problem("is impossible", row=i + 1, field=name, value=float(x[i]), allowed=limit)
            )
    return arrays


def sd_from_se(se: ArrayLike, n: ArrayLike) -> Floats:
    """SD of a group from the standard error of its mean: ``se sqrt(n)``."""
    k, error = _checked(n, se=se)
    return error * np.sqrt(k)


def sd_from_interval(low: ArrayLike, high: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Floats:
    """SD of a group from the t interval of its mean: ``sqrt(n) (high - low) / (2 t)``, t of n - 1 degrees.

    Cochrane Handbook, section 6.5.2.2.

    Examples
    --------
    >>> float(sd_from_interval(30.0, 34.2, 25).round(2)[0])
    5.09
    """
    k, width = _checked(n, interval=np.asarray(high, dtype=float) - np.asarray(low, dtype=float))
    return np.asarray(np.sqrt(k) * width / (2 * stdtrit(k - 1, (1 + level) / 2)), dtype=float)


def sd_from_t(difference: ArrayLike, t: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> Floats:
    """SD common to two groups from their mean difference and its t: ``|difference / t| / sqrt(1/n1 + 1/n2)``.

    Cochrane Handbook, section 6.5.2.3.
    """
    k1, gap, size = _checked(
        n1, difference=np.abs(np.asarray(difference, float)), t=np.abs(np.asarray(t, float))
    )
    (k2,) = _checked(n2)
    return np.asarray(gap / size / np.sqrt(1 / k1 + 1 / k2), dtype=float)


def sd_from_p(difference: ArrayLike, p: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> Floats:
    """SD common to two groups from the two-sided p value of a t test (as :func:`sd_from_t`)."""
    k1, tail = _checked(n1, p=p)
    (k2,) = _checked(n2)
    return sd_from_t(difference, stdtrit(k1 + k2 - 2, 1 - np.minimum(tail, 1 - 1e-16) / 2), n1, n2)


def _ordered(n: ArrayLike, **points: ArrayLike) -> list[Floats]:
    arrays = [np.atleast_1d(np.asarray(x, dtype=float)) for x in points.values()]
    names = ", ".join(points)
    for lower, upper in pairwise(arrays):
        bad = np.flatnonzero(~(lower <= upper))
        if bad.size:
            values = ", ".join(str(float(np.broadcast_to(x, bad.max() + 1)[bad[0]])) for x in arrays)
            raise InputError(Problem("are out of order", row=int(bad[0]) + 1, field=names, value=values))
    return [*_checked(n), *arrays]


def mean_from_quartiles(q1: ArrayLike, median: ArrayLike, q3: ArrayLike, n: ArrayLike) -> Floats:
    """Mean from median and quartiles: ``w (q1 + q3)/2 + (1 - w) median``, ``w = 0.7 + 0.39/n``.

    Luo, Wan, Liu and Tong 2018, doi:10.1177/0962280216669183, scenario 3.

    Examples
    --------
    >>> float(mean_from_quartiles(20, 30, 44, 39).round(2)[0])
    31.42
    """
    k, low, middle, high = _ordered(n, q1=q1, median=median, q3=q3)
    w = 0.7 + 0.39 / k
    return w * (low + high) / 2 + (1 - w) * middle


def sd_from_quartiles(q1: ArrayLike, q3: ArrayLike, n: ArrayLike) -> Floats:
    """SD from quartiles: ``(q3 - q1) / (2 Φ⁻¹((0.75 n - 0.125) / (n + 0.25)))``.

    Wan, Wang, Liu and Tong 2014, doi:10.1186/1471-2288-14-135, scenario 3.
    """
    k, low, high = _ordered(n, q1=q1, q3=q3)
    return np.asarray((high - low) / (2 * ndtri((0.75 * k - 0.125) / (k + 0.25))), dtype=float)


def mean_from_range(low: ArrayLike, median: ArrayLike, high: ArrayLike, n: ArrayLike) -> Floats:
    """Mean from median and range: ``w (low + high)/2 + (1 - w) median``, ``w = 4 / (4 + n^0.75)``.

    Luo et al. 2018, scenario 1.
    """
    k, a, m, b = _ordered(n, low=low, median=median, high=high)
    w = 4 / (4 + k**0.75)
    return w * (a + b) / 2 + (1 - w) * m


def sd_from_range(low: ArrayLike, high: ArrayLike, n: ArrayLike) -> Floats:
    """SD from the range: ``(high - low) / (2 Φ⁻¹((n - 0.375) / (n + 0.25)))`` (Wan 2014, scenario 1)."""
    k, a, b = _ordered(n, low=low, high=high)
    return np.asarray((b - a) / (2 * ndtri((k - 0.375) / (k + 0.25))), dtype=float)


def mean_from_five_numbers(
    low: ArrayLike, q1: ArrayLike, median: ArrayLike, q3: ArrayLike, high: ArrayLike, n: ArrayLike
) -> Floats:
    """Mean from the five-number summary (Luo et al. 2018, scenario 2).

    ``w1 (low + high)/2 + w2 (q1 + q3)/2 + (1 - w1 - w2) median`` with ``w1 = 2.2 / (2.2 + n^0.75)`` and
    ``w2 = 0.7 - 0.72 / n^0.55``.
    """
    k, a, lower, m, upper, b = _ordered(n, low=low, q1=q1, median=median, q3=q3, high=high)
    w1, w2 = 2.2 / (2.2 + k**0.75), 0.7 - 0.72 / k**0.55
    return w1 * (a + b) / 2 + w2 * (lower + upper) / 2 + (1 - w1 - w2) * m


def sd_from_five_numbers(
    low: ArrayLike, q1: ArrayLike, q3: ArrayLike, high: ArrayLike, n: ArrayLike
) -> Floats:
    """SD from range and quartiles: ``(high - low)/θ1 + (q3 - q1)/θ2``.

    ``θ1 = (2 + 0.14 n^0.6) Φ⁻¹((n - 0.375)/(n + 0.25))`` and
    ``θ2 = (2 + 2/(0.07 n^0.6)) Φ⁻¹((0.75 n - 0.125)/(n + 0.25))``.
    Shi, Luo, Weng, Zeng, Lin, Chu and Tong 2020, doi:10.1002/jrsm.1429.
    """
    k, a, lower, upper, b = _ordered(n, low=low, q1=q1, q3=q3, high=high)
    theta1 = (2 + 0.14 * k**0.6) * ndtri((k - 0.375) / (k + 0.25))
    theta2 = (2 + 2 / (0.07 * k**0.6)) * ndtri((0.75 * k - 0.125) / (k + 0.25))
    return np.asarray((b - a) / theta1 + (upper - lower) / theta2, dtype=float)
