r"""Several hypotheses in one trial: adjusted p values that keep the familywise error.

P values have the hypothesis as last axis and any axes before it, usually the replicate: (..., hypotheses). An adjusted
p value is the smallest level at which the procedure rejects the hypothesis. An analysis that was not possible (NaN)
counts as p = 1 against the others and stays NaN.
"""

import numpy as np
from numpy.polynomial.chebyshev import Chebyshev
from scipy.special import gammaln, ndtr

from stemtrial.errors import InputError, Problem
from stemtrial.trial.roots import root
from stemtrial.trial.stopping import rule

LARGEST_T = 40.0
"""Statistics beyond this count as this."""

_DEGREE = 160
"""Of the polynomial through the distribution of the largest statistic; its error is below 1e-9."""


def bonferroni(p: np.ndarray) -> np.ndarray:
    """Multiply each p value by the number of hypotheses."""
    return np.asarray(np.minimum(p * p.shape[-1], 1))


def holm(p: np.ndarray) -> np.ndarray:
    """Step down from the smallest p value (Holm 1979, *Scandinavian Journal of Statistics* 6:65).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order, sorted_p = _sorted(p)
    factors = np.arange(p.shape[-1], 0, -1)
    return _restored(p, order, np.maximum.accumulate(np.minimum(sorted_p * factors, 1), axis=-1))


def hochberg(p: np.ndarray) -> np.ndarray:
    """Step up from the largest p value (Hochberg 1988, *Biometrika* 75:800); for independent or positively dependent p.

    Examples
    --------
    >>> hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order, sorted_p = _sorted(p)
    factors = np.arange(p.shape[-1], 0, -1)
    stepped = np.minimum(sorted_p * factors, 1)[..., ::-1]
    return _restored(p, order, np.minimum.accumulate(stepped, axis=-1)[..., ::-1])


def fixed_sequence(p: np.ndarray) -> np.ndarray:
    """Test in the order of the last axis, each hypothesis only after all before it were rejected.

    Examples
    --------
    >>> fixed_sequence(np.array([0.01, 0.06, 0.001])).tolist()
    [0.01, 0.06, 0.06]
    """
    adjusted = np.maximum.accumulate(np.where(np.isnan(p), 1, p), axis=-1)
    return np.where(np.isnan(p), np.nan, adjusted)


def _sorted(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.where(np.isnan(p), 1, p)
    order = np.argsort(known, axis=-1, kind="stable")
    return order, np.take_along_axis(known, order, axis=-1)


def _restored(p: np.ndarray, order: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    found = np.empty_like(adjusted)
    np.put_along_axis(found, order, adjusted, axis=-1)
    return np.where(np.isnan(p), np.nan, found)


def dunnett(t: np.ndarray, ratios: np.ndarray, df: np.ndarray, sides: int) -> np.ndarray:
    """Adjust for several arms compared with one comparator, in a single step (Dunnett 1955, *JASA* 50:1096).

    Parameters
    ----------
    t
        Student statistics with a common estimate of the variance, positive in favour of the experimental arm,
        (replicates, arms).
    ratios
        Patients of each arm for one of the comparator, (arms,).
    df
        Degrees of freedom, (replicates,); infinite for a known variance.
    sides
        1 or 2.

    Returns
    -------
    numpy.ndarray
        (replicates, arms).

    Raises
    ------
    InputError
        If a ratio is not above 0.

    Examples
    --------
    >>> dunnett(np.array([[2.54, 1.0, 0.3]]), np.ones(3), np.array([20.0]), sides=2).round(3).tolist()
    [[0.05, 0.633, 0.981]]
    """
    loading = _loading(ratios)
    size = np.clip(np.abs(t) if sides == 2 else t, -LARGEST_T, LARGEST_T)
    adjusted = np.full(t.shape, np.nan)
    for value in np.unique(df[df > 0]):
        here = (df == value)[:, None] & np.isfinite(size)
        if not here.any():
            continue
        low, high = size[here].min(), size[here].max() + 1e-9
        # One smooth curve for all replicates with these degrees of freedom.
        curve = Chebyshev.interpolate(_inside, _DEGREE, domain=[low, high], args=(loading, value, sides))
        adjusted[here] = np.clip(1 - curve(size[here]), 0, 1)
    return adjusted


def dunnett_critical(alpha: float, ratios: np.ndarray, df: float, sides: int) -> float:
    """Statistic that the largest of several comparisons with one comparator exceeds with probability alpha.

    Examples
    --------
    >>> round(dunnett_critical(0.05, np.ones(4), np.inf, sides=2), 2)
    2.44
    """
    loading = _loading(ratios)

    def excess(c: np.ndarray) -> np.ndarray:
        return _inside(c.reshape(-1), loading, df, sides).reshape(c.shape) - (1 - alpha)

    return float(root(excess, 0.0, LARGEST_T))


def _loading(ratios: np.ndarray) -> np.ndarray:
    """Correlation of each comparison with the comparator's mean."""
    if not np.all(np.asarray(ratios) > 0):
        raise InputError(Problem("is out of range", field="ratios", value=list(ratios), allowed="above 0"))
    return np.asarray(np.sqrt(np.asarray(ratios) / (1 + np.asarray(ratios))))


def _inside(c: np.ndarray, loading: np.ndarray, df: float, sides: int) -> np.ndarray:
    """Probability that no statistic exceeds c, (points,), given the comparator's mean and the standard deviation."""
    x, w = rule(96)
    u, weight_u = 17 * x - 8.5, 17 * w * np.exp(-((17 * x - 8.5) ** 2) / 2) / np.sqrt(2 * np.pi)
    if np.isinf(df):
        s, weight_s = np.ones(1), np.ones(1)
    else:
        low = max(0.0, 1 - 9 / np.sqrt(2 * df))
        s = low + (1 + 12 / np.sqrt(2 * df) - low) * x
        log_density = (
            np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(s) - df * s**2 / 2
        )
        weight_s = (1 + 12 / np.sqrt(2 * df) - low) * w * np.exp(log_density)
    total = np.ones((len(c), len(s), len(u)))
    limit = c[:, None, None] * s[:, None]
    for part in loading:
        residual = np.sqrt(1 - part**2)
        high = ndtr((limit + part * u) / residual)
        total *= high - ndtr((-limit + part * u) / residual) if sides == 2 else high
    return np.asarray(np.einsum("csu,s,u->c", total, weight_s, weight_u))
