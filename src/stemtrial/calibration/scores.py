"""How good predictions are: continuous ranked probability score, coverage, bias, PIT, and uniformity of ranks.

Every score compares draws of a predictive distribution, (draws, rows), with what was observed, (rows,). Scores are
returned a row each, so that the caller decides what to average; a lower CRPS and a higher log score are better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc, gammaln, logsumexp, ndtr, ndtri, stdtrit, xlog1py, xlogy

from stemtrial.errors import InputError, Problem

LEVELS = (0.5, 0.8, 0.95)
"""Nominal coverage of the intervals that are checked."""


def _paired(draws: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws, observed = np.asarray(draws, dtype=float), np.asarray(observed, dtype=float)
    if draws.ndim != 2 or draws.shape[1:] != observed.shape:
        raise ValueError(f"draws {draws.shape} must be (draws, rows) with observed {observed.shape} (rows,)")
    if draws.shape[0] < 2:
        raise ValueError("a predictive distribution needs two draws or more")
    if not (np.isfinite(draws).all() and np.isfinite(observed).all()):
        raise InputError(Problem("predictive draws and observations must be finite numbers"))
    return draws, observed


def crps(draws: np.ndarray, observed: np.ndarray, *, fair: bool) -> np.ndarray:
    """Continuous ranked probability score of an ensemble, ``E|X - y| - E|X - X'| / 2``.

    Parameters
    ----------
    draws
        (draws, rows).
    observed
        (rows,).
    fair
        ``False``: exact score of the empirical distribution of the draws. ``True``: the second expectation is over
        two different draws, which makes the score unbiased for the distribution behind the draws (Ferro 2014,
        doi:10.1002/qj.2270), however few they are; single values may be negative.

    Returns
    -------
    array
        (rows,), in the unit of the observations; for one draw repeated it is the absolute error.

    Examples
    --------
    >>> crps(np.array([[0.0], [2.0]]), np.array([1.0]), fair=False).tolist()
    [0.5]
    """
    draws, observed = _paired(draws, observed)
    m = len(draws)
    distance = np.abs(draws - observed).mean(axis=0)
    # sum over pairs of |x_i - x_j| = 2 sum_i (2 i - m - 1) x_(i)
    pairs = 2.0 * ((2.0 * np.arange(1, m + 1) - m - 1)[:, None] * np.sort(draws, axis=0)).sum(axis=0)
    result: np.ndarray = distance - 0.5 * pairs / (m * (m - 1) if fair else m * m)
    return result


def crps_normal(mean: np.ndarray, sd: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """CRPS of a normal distribution in closed form (Gneiting and Raftery 2007, doi:10.1198/016214506000001437).

    Examples
    --------
    >>> round(float(crps_normal(np.array(0.0), np.array(1.0), np.array(0.0))), 4)
    0.2337
    """
    z = (observed - mean) / sd
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    result: np.ndarray = sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return result


def inside(draws: np.ndarray, observed: np.ndarray, level: float) -> np.ndarray:
    """Whether each observation lies in the central interval of ``level`` of its draws, (rows,) of bool."""
    draws, observed = _paired(draws, observed)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    result: np.ndarray = (low <= observed) & (observed <= high)
    return result


@dataclass(frozen=True)
class Coverage:
    """How often intervals of ``level`` held the observation: share of n, with its 95 % Wilson interval."""

    level: float
    share: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a proportion (1927, doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> [round(x, 3) for x in wilson(95, 100)]
    [0.888, 0.978]
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no proportion")
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    p = successes / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def coverage(
    draws: np.ndarray, observed: np.ndarray, levels: Sequence[float] = LEVELS
) -> tuple[Coverage, ...]:
    """Coverage of central intervals.

    The Wilson intervals take rows as independent; rows of one trial are not, so they are somewhat too narrow.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 101)[:, None] * np.ones(4)
    >>> [c.share for c in coverage(x, np.array([0.0, 0.45, 0.9, 2.0]))]
    [0.5, 0.5, 0.75]
    """
    results = []
    for level in levels:
        hits = inside(draws, observed, level)
        results.append(Coverage(level, float(hits.mean()), *wilson(int(hits.sum()), hits.size), hits.size))
    return tuple(results)


def bias(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Mean of the prediction minus the observation, (rows,)."""
    draws, observed = _paired(draws, observed)
    result: np.ndarray = draws.mean(axis=0) - observed
    return result


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and Student's 95 % interval, which one value alone does not have."""

    value: float
    se: float | None
    low: float | None
    high: float | None


def mean(values: np.ndarray) -> Mean:
    """Mean of independent values, (n,), such as those of trials.

    Examples
    --------
    >>> found = mean(np.array([1.0, 2.0, 3.0]))
    >>> [round(x, 3) for x in (found.value, found.se, found.low, found.high)]
    [2.0, 0.577, -0.484, 4.484]
    """
    n, middle = len(values), float(np.mean(values))
    if n < 2:
        return Mean(middle, None, None, None)
    se = float(np.std(values, ddof=1) / np.sqrt(n))
    half = float(stdtrit(n - 1, 0.975)) * se
    return Mean(middle, se, middle - half, middle + half)


def pit(draws: np.ndarray, observed: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probability integral transform: uniform on 0-1 where predictions are calibrated, (rows,).

    The rank of the observation among its draws, spread at random over its step, so that it is exactly uniform for a
    calibrated ensemble of any size (Czado, Gneiting and Held 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    """
    draws, observed = _paired(draws, observed)
    below, equal = (draws < observed).sum(axis=0), (draws == observed).sum(axis=0)
    u = np.random.default_rng(seed).uniform(size=observed.shape)
    result: np.ndarray = (below + u * (equal + 1)) / (len(draws) + 1)
    return result


def log_score(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Log predictive density from predictive draws alone, by a Gaussian kernel of Silverman's width, (rows,).

    Where the density of the observation given each draw of the parameters is at hand, its average
    (:func:`log_mean_density`) is the better estimator (Krüger et al. 2021, doi:10.1111/insr.12405): a kernel
    widens the distribution a little and is poor far in the tails.
    """
    draws, observed = _paired(draws, observed)
    m = len(draws)
    iqr = np.subtract(*np.quantile(draws, [0.75, 0.25], axis=0)) / 1.349
    sd = draws.std(axis=0, ddof=1)
    width = 0.9 * np.where(iqr > 0, np.minimum(sd, iqr), sd) * m**-0.2
    if not (width > 0).all():
        raise InputError(Problem("draws of a row are all equal, so that they have no density"))
    z = (draws - observed) / width
    result: np.ndarray = logsumexp(-0.5 * z * z, axis=0) - np.log(m * width * np.sqrt(2 * np.pi))
    return result


def log_mean_density(log_density: np.ndarray) -> np.ndarray:
    """Log of the mean over draws of exp(log density), (draws, rows) to (rows,)."""
    result: np.ndarray = logsumexp(log_density, axis=0) - np.log(len(log_density))
    return result


@dataclass(frozen=True)
class Uniformity:
    """Result of a test that ranks are uniform; ``p_value`` near 0 speaks against it."""

    method: str
    statistic: float
    p_value: float
    n: int


def _ranks(ranks: np.ndarray, most: int) -> np.ndarray:
    ranks = np.asarray(ranks)
    if ranks.ndim != 1 or ranks.size < 1 or ranks.min() < 0 or ranks.max() > most:
        raise ValueError(f"ranks must be a vector of integers from 0 to {most}")
    return ranks.astype(np.int64)


def chi_square(ranks: np.ndarray, most: int, bins: int) -> Uniformity:
    """Test ranks 0..``most`` of simulation-based calibration for uniformity by Pearson's chi-square.

    Parameters
    ----------
    ranks
        (fits,), rank of the true value among the draws of its fit.
    most
        Number of draws a fit, so that there are ``most + 1`` ranks.
    bins
        Number of bins; must divide ``most + 1``, so that all bins are equally likely (Talts et al. 2018,
        arXiv:1804.06788). At least 5 fits a bin are needed for the chi-square distribution to hold.
    """
    ranks = _ranks(ranks, most)
    if (most + 1) % bins or bins < 2:
        raise ValueError(f"{bins} bins do not divide {most + 1} ranks")
    if ranks.size < 5 * bins:
        raise ValueError(f"{ranks.size} ranks are too few for {bins} bins; take {ranks.size // 5} or fewer")
    counts = np.bincount(ranks * bins // (most + 1), minlength=bins)
    expected = ranks.size / bins
    statistic = float(((counts - expected) ** 2).sum() / expected)
    return Uniformity("chi-square", statistic, float(chdtrc(bins - 1, statistic)), ranks.size)


def _points(most: int, points: int) -> np.ndarray:
    """Return up to ``points`` places z in (0, 1) at which the ECDF of (rank + 1) / (most + 1) is looked at."""
    steps = np.unique(np.round(np.linspace(0, most + 1, min(points, most) + 2)[1:-1]).astype(np.int64))
    return steps / (most + 1)


def _inside_band(n: int, z: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Probability that all counts of n uniforms below each z lie from low to high (both included).

    The counts are a Markov chain with binomial increments; their distribution is carried from point to point.
    """
    states, weights = np.array([0]), np.array([1.0])
    before = 0.0
    for point, first, last in zip(z, low, high, strict=True):
        if first > last:
            return 0.0
        share = (point - before) / (1 - before)
        fresh = np.arange(first, last + 1)
        left, gained = n - states[None, :], fresh[:, None] - states[None, :]
        possible = (gained >= 0) & (gained <= left)
        k = np.where(possible, gained, 0)
        log_p = gammaln(left + 1) - gammaln(k + 1) - gammaln(left - k + 1)
        log_p = log_p + xlogy(k, share) + xlog1py(left - k, -share)
        weights = np.where(possible, np.exp(log_p), 0.0) @ weights
        states, before = fresh, point
    return float(weights.sum())


def _bounds(n: int, z: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest counts at each z whose two-sided pointwise tail probability exceeds gamma."""
    counts = np.arange(n + 1)[None, :]
    tail = 2 * np.minimum(bdtr(counts, n, z[:, None]), bdtrc(counts - 1, n, z[:, None]))
    kept = tail > gamma
    return kept.argmax(axis=1), n - kept[:, ::-1].argmax(axis=1)


def ecdf_test(ranks: np.ndarray, most: int, points: int = 50) -> Uniformity:
    """Test ranks for uniformity by their ECDF, exactly and simultaneously over all points.

    Säilynoja, Bürkner and Vehtari (2022, doi:10.1007/s11222-022-10090-6): the statistic is the smallest pointwise
    two-sided binomial tail of the ECDF over a grid of points, and its distribution under uniformity follows from a
    recursion over the points; no simulation is needed and the p-value is exact for discrete ranks.

    Parameters
    ----------
    ranks
        (fits,), integers from 0 to ``most``.
    most
        Number of draws a fit.
    points
        Number of points of the ECDF, fewer where there are fewer ranks.
    """
    ranks = _ranks(ranks, most)
    n, z = ranks.size, _points(most, points)
    counts = ((ranks[None, :] + 1) <= np.round(z * (most + 1))[:, None]).sum(axis=1)
    tail = 2 * np.minimum(bdtr(counts, n, z), bdtrc(counts - 1, n, z))
    statistic = float(tail.min())
    # a hair above the statistic, so that rounding does not part results that are equally far out
    p_value = 1 - _inside_band(n, z, *_bounds(n, z, statistic * (1 + 1e-9)))
    return Uniformity("simultaneous ECDF band", statistic, min(max(p_value, 0.0), 1.0), n)


@dataclass(frozen=True, eq=False)
class Band:
    """Simultaneous band of an ECDF: places z, and lowest and highest shares inside it, (points,) each."""

    z: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confidence: float


def ecdf_band(n: int, most: int, points: int = 50, confidence: float = 0.95) -> Band:
    """Band that the whole ECDF of n uniform ranks leaves with probability 1 - ``confidence`` or a little less.

    Examples
    --------
    >>> band = ecdf_band(200, 99)
    >>> bool((band.low < band.z).all() and (band.z < band.high).all())
    True
    """
    z = _points(most, points)
    low, high = np.log(1e-9), np.log(1 - confidence)
    for _ in range(40):
        middle = (low + high) / 2
        held = _inside_band(n, z, *_bounds(n, z, float(np.exp(middle)))) >= confidence
        low, high = (middle, high) if held else (low, middle)
    first, last = _bounds(n, z, float(np.exp(low)))
    return Band(z, first / n, last / n, confidence)
