"""Analyses of yes-no outcomes over all replicates at once: logistic regression and Cochran-Mantel-Haenszel."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, expit, ndtr, ndtri

_BLOCK = 1 << 21
"""Patients analysed at a time."""

_ROUNDS = 40
"""Newton steps after which a fit has not converged; a fit that exists takes about 8."""

_SETTLED = 1e-11
"""Largest Newton step of a converged fit, in units of the coefficients for columns of unit spread."""

_SINGULAR = 1e-12
"""Smallest reciprocal condition of an information matrix, its diagonal brought to 1, that is taken for regular."""


@dataclass(frozen=True, eq=False)
class OddsRatio:
    """Odds ratio of an arm against another, arrays (replicates,).

    Attributes
    ----------
    estimate
        Its logarithm; positive where the outcome is more frequent in the experimental arm. NaN where it was not
        possible: too few patients, a singular design, or an outcome that the design separates.
    se
        Standard error of the logarithm.
    statistic, p
        Test of no difference and its two-sided p value: Wald's z, or the chi-squared statistic of Cochran, Mantel and
        Haenszel.
    """

    estimate: np.ndarray
    se: np.ndarray
    statistic: np.ndarray
    p: np.ndarray

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Confidence limits of the odds ratio itself, by the normal approximation of its logarithm."""
        half = ndtri((1 + confidence) / 2) * self.se
        return np.exp(self.estimate - half), np.exp(self.estimate + half)

    @property
    def possible(self) -> np.ndarray:
        """Whether there is an estimate."""
        return np.asarray(np.isfinite(self.estimate))


@dataclass(frozen=True, eq=False)
class Logistic:
    """Fitted logistic regressions; NaN where a fit was not possible.

    Attributes
    ----------
    coefficients
        (replicates, columns of the design).
    covariance
        Inverse information, (replicates, columns, columns).
    rounds
        Newton steps of the slowest replicate.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    rounds: int

    def contrast(self, weights: np.ndarray) -> OddsRatio:
        """Test a combination of the coefficients, `weights` (columns,), by Wald's test."""
        estimate = self.coefficients @ weights
        se = np.sqrt(np.einsum("rab,a,b->r", self.covariance, weights, weights))
        z = estimate / se
        return OddsRatio(estimate, se, z, 2 * ndtr(-np.abs(z)))


def logistic(outcome: np.ndarray, design: np.ndarray, seen: np.ndarray) -> Logistic:
    r"""Logistic regression by Newton's method in every replicate.

    With :math:`p_i = 1/(1 + e^{-x_i^\top\beta})`, a step solves
    :math:`\sum_i p_i(1-p_i)\,x_i x_i^\top\,\delta = \sum_i (y_i - p_i)\,x_i` over the patients seen.

    Parameters
    ----------
    outcome, seen
        Yes or no, and whether it is known, (replicates, patients).
    design
        (replicates, patients, columns), usually with a column of ones.

    Examples
    --------
    >>> yes = np.array([[1, 1, 0, 0, 1, 0, 0, 0]], bool)
    >>> arm = np.repeat([0.0, 1.0], 4)[None]
    >>> fit = logistic(yes, np.stack([np.ones_like(arm), arm], axis=2), np.ones_like(yes))
    >>> bool(np.isclose(fit.coefficients[0, 1], np.log(1 / 3)))
    True
    """
    replicates, patients, columns = design.shape
    coefficients = np.full((replicates, columns), np.nan)
    covariance = np.full((replicates, columns, columns), np.nan)
    rounds, size = 0, max(1, _BLOCK // max(patients, 1))
    for first in range(0, replicates, size):
        part = slice(first, first + size)
        coefficients[part], covariance[part], used = _newton(outcome[part], design[part], seen[part])
        rounds = max(rounds, used)
    return Logistic(coefficients, covariance, rounds)


def _newton(outcome: np.ndarray, design: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Fit a block of replicates; those that have settled, or cannot, are left out of later rounds."""
    replicates, _, columns = design.shape
    weight = seen.astype(float)
    spread = np.sqrt(np.einsum("rnk,rn->rk", design**2, weight) / np.maximum(weight.sum(axis=1), 1)[:, None])
    spread = np.where(spread > 0, spread, 1)
    x, y = design / spread[:, None], outcome.astype(float)
    beta = np.zeros((replicates, columns))
    covariance = np.full((replicates, columns, columns), np.nan)
    done, going, rounds = np.zeros(replicates, bool), np.arange(replicates), 0
    while len(going) and rounds < _ROUNDS:
        rounds += 1
        own, w = x[going], weight[going]
        p = expit(np.einsum("rnk,rk->rn", own, beta[going]))
        score = np.einsum("rnk,rn->rk", own, w * (y[going] - p))
        information = np.swapaxes(own, 1, 2) @ (own * (w * p * (1 - p))[:, :, None])
        regular = _regular(information)
        inverse = np.linalg.inv(np.where(regular[:, None, None], information, np.eye(columns)))
        step = np.einsum("rab,rb->ra", inverse, score)
        beta[going] += np.where(regular[:, None], step, 0)
        # The covariance is taken where the last step began: at a settled fit that is the estimate itself.
        settled = regular & (
            np.abs(step).max(axis=1) < _SETTLED * np.maximum(1, np.abs(beta[going]).max(axis=1))
        )
        covariance[going[settled]] = inverse[settled]
        done[going[settled]] = True
        going = going[regular & ~settled]
    beta[~done] = np.nan
    return beta / spread, covariance / (spread[:, :, None] * spread[:, None]), rounds


def _regular(information: np.ndarray) -> np.ndarray:
    """Whether matrices can be inverted, (replicates,)."""
    scale = np.sqrt(np.maximum(np.einsum("raa->ra", information), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = information / scale[:, :, None] / scale[:, None]
    scaled = np.where(np.isfinite(scaled), scaled, 0)
    return np.asarray(np.linalg.eigvalsh(scaled)[:, 0] > _SINGULAR)


def adjusted(
    outcome: tuple[np.ndarray, np.ndarray],
    baseline: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
) -> OddsRatio:
    """Compare two arms by logistic regression adjusted for a baseline value.

    Parameters
    ----------
    outcome, baseline, seen
        Of the comparator and of the experimental arm, each (replicates, patients).
    """
    x = np.concatenate(baseline, axis=1)
    arm = np.concatenate([np.full(b.shape, float(i)) for i, b in enumerate(baseline)], axis=1)
    design = np.stack([np.ones_like(x), x - x.mean(axis=1, keepdims=True), arm], axis=2)
    found = logistic(np.concatenate(outcome, axis=1), design, np.concatenate(seen, axis=1))
    return found.contrast(np.array([0.0, 0.0, 1.0]))


def cochran_mantel_haenszel(
    outcome: tuple[np.ndarray, np.ndarray],
    stratum: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    *,
    corrected: bool,
) -> OddsRatio:
    r"""Compare two arms over strata.

    In stratum k with n patients let a and b be those of the experimental arm with and without the outcome, c and d
    those of the comparator. The common odds ratio is :math:`(\sum ad/n) / (\sum bc/n)` (Mantel and Haenszel 1959,
    *JNCI* 22:719), the variance of its logarithm that of Robins, Breslow and Greenland (1986, *Biometrics* 42:311),
    and the statistic :math:`(|\sum a - E a| - h)^2 / \sum \mathrm{Var}\,a` given all margins.

    Parameters
    ----------
    outcome, stratum, seen
        Of the comparator and of the experimental arm, each (replicates, patients).
    corrected
        Whether to correct for continuity, h = 1/2 instead of 0.

    Returns
    -------
    OddsRatio
        Strata with fewer than two patients say nothing and are left out. The estimate is NaN, and so is its test,
        where no stratum has both outcomes or both arms; a ratio of 0 or infinity keeps its test.
    """
    replicates = len(outcome[0])
    top, bottom, excess, variance = np.zeros((4, replicates))
    parts = np.zeros((3, replicates))
    for level in np.unique(np.concatenate([np.unique(s) for s in stratum])):
        (c, d), (a, b) = (
            ((here & y).sum(axis=1).astype(float), (here & ~y).sum(axis=1).astype(float))
            for y, here in (
                (y.astype(bool), m & (s == level)) for y, s, m in zip(outcome, stratum, seen, strict=True)
            )
        )
        n = a + b + c + d
        used, size = n > 1, np.maximum(n, 2)
        r, s = np.where(used, a * d / size, 0), np.where(used, b * c / size, 0)
        agree, differ = (a + d) / size, (b + c) / size
        top, bottom = top + r, bottom + s
        parts += np.stack([r * agree, r * differ + s * agree, s * differ])
        excess += np.where(used, a - (a + b) * (a + c) / size, 0)
        variance += np.where(used, (a + b) * (c + d) * (a + c) * (b + d) / (size**2 * (size - 1)), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(top) - np.log(bottom)
        se = np.sqrt((parts[0] / top**2 + parts[1] / (top * bottom) + parts[2] / bottom**2) / 2)
        correction = np.where(np.abs(excess) >= 0.5, 0.5, 0.0) if corrected else 0.0
        statistic = (np.abs(excess) - correction) ** 2 / variance
    estimate, se = (np.where(variance > 0, v, np.nan) for v in (estimate, se))
    statistic = np.where(variance > 0, statistic, np.nan)
    return OddsRatio(estimate, np.where(np.isfinite(estimate), se, np.nan), statistic, chdtrc(1, statistic))
