"""What two arms are compared on: the effect assumed, the null hypothesis, and the size of the test statistic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import nctdtr, ndtri, stdtrit

from stemtrial.errors import InputError, Problem


@dataclass(frozen=True)
class Means:
    r"""Difference of two means, experimental minus comparator.

    With n patients in all, r times as many in the experimental arm, the statistic has the mean
    :math:`\sqrt{n r}/(1+r) \cdot (\delta - \delta_0) / \{\sigma\sqrt{1-\rho^2}\}`.

    Attributes
    ----------
    difference
        Difference assumed, :math:`\delta`.
    sd
        Standard deviation within an arm, :math:`\sigma`.
    margin
        Difference under the null hypothesis, :math:`\delta_0`: 0 for superiority, the margin for non-inferiority.
    lower_is_better
        Whether the experimental arm is better below the margin, as with pain, or above it.
    ratio
        Patients of the experimental arm for each of the comparator, r.
    correlation
        Correlation :math:`\rho` of outcome and baseline within an arm, if the analysis adjusts for the baseline: an
        analysis of covariance leaves the share :math:`1-\rho^2` of the variance (Borm, Fransen & Lemmens 2007, *Journal
        of Clinical Epidemiology* 60:1234).
    known_sd
        Whether the test takes the standard deviation as known (normal) or estimates it (Student's t).
    """

    difference: float
    sd: float
    margin: float
    lower_is_better: bool
    ratio: float = 1.0
    correlation: float = 0.0
    known_sd: bool = False

    def __post_init__(self) -> None:
        _check(
            ("difference", self.difference, np.isfinite(self.difference), "a finite number"),
            ("sd", self.sd, 0 < self.sd < np.inf, "above 0"),
            ("margin", self.margin, np.isfinite(self.margin), "a finite number"),
            ("ratio", self.ratio, 0 < self.ratio < np.inf, "above 0"),
            ("correlation", self.correlation, -1 < self.correlation < 1, "above -1 and below 1"),
        )

    @property
    def standardised(self) -> float:
        """Distance from the null hypothesis in residual standard deviations, positive where it is false."""
        distance = (self.difference - self.margin) * (-1 if self.lower_is_better else 1)
        return float(distance / (self.sd * np.sqrt(1 - self.correlation**2)))

    @property
    def _per_root_n(self) -> float:
        return float(np.sqrt(self.ratio) / (1 + self.ratio) * self.standardised)

    def drift(self, n: np.ndarray | float, level: float) -> np.ndarray:
        """Mean of the test statistic with n patients in all, (...).

        Student's test is put on the scale of the normal test of equal power at the one-sided `level`.
        """
        shift = np.sqrt(n) * self._per_root_n
        if self.known_sd:
            return np.asarray(shift)
        df = np.asarray(n, dtype=float) - 2
        missed = nctdtr(df, np.abs(shift), stdtrit(df, 1 - level))
        return np.asarray(np.sign(shift) * (-ndtri(level) - ndtri(missed)))

    def normal_n(self, drift: float, level: float) -> float:
        """Find the number of patients at which the normal test's statistic has this mean."""
        return float((drift / self._per_root_n) ** 2)

    def effect_at(self, z: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Observed difference that gives the statistic z with n patients, (...), for a known standard deviation."""
        sd = self.sd * np.sqrt(1 - self.correlation**2)
        sign = -1 if self.lower_is_better else 1
        return np.asarray(self.margin + sign * z * sd * (1 + self.ratio) / np.sqrt(n * self.ratio))


@dataclass(frozen=True)
class Rates:
    r"""Two proportions, such as of responders, by the normal approximation.

    The test takes its standard error under the null hypothesis, at the restricted maximum-likelihood rates of
    Farrington & Manning (1990, *Statistics in Medicine* 9:1447), which are the pooled rate for superiority.

    Attributes
    ----------
    experimental, comparator
        Rates assumed.
    margin
        Difference or ratio of the rates under the null hypothesis; 0 or 1 for superiority.
    lower_is_better
        Whether the experimental arm is better below the margin, or above it.
    ratio
        Patients of the experimental arm for each of the comparator.
    measure
        Whether the margin is a difference or a ratio of rates.
    """

    experimental: float
    comparator: float
    margin: float
    lower_is_better: bool
    ratio: float = 1.0
    measure: Literal["difference", "ratio"] = "difference"

    def __post_init__(self) -> None:
        low, high = (-1, 1) if self.measure == "difference" else (0, np.inf)
        _check(
            ("experimental", self.experimental, 0 < self.experimental < 1, "above 0 and below 1"),
            ("comparator", self.comparator, 0 < self.comparator < 1, "above 0 and below 1"),
            ("margin", self.margin, low < self.margin < high, f"above {low:g} and below {high:g}"),
            ("ratio", self.ratio, 0 < self.ratio < np.inf, "above 0"),
        )

    @property
    def standardised(self) -> float:
        """Distance from the null hypothesis in standard deviations, positive where it is false."""
        return self._terms[0] / self._terms[2]

    @property
    def null_rates(self) -> tuple[float, float]:
        """Most likely rates of the experimental and the comparator arm that lie on the null hypothesis."""
        p, q, r, m = self.experimental, self.comparator, self.ratio, self.margin
        if m == (0 if self.measure == "difference" else 1):
            pooled = (r * p + q) / (1 + r)
            return pooled, pooled
        if self.measure == "ratio":
            half = (m * (r + q) + 1 + r * p) / 2 / (1 + r)
            first = half - np.sqrt(half**2 - m * (r * p + q) / (1 + r))
            return float(first), float(first / m)
        # Stationary points of the likelihood in the experimental rate; the one between the limits is the maximum.
        cubic = [
            1 + r,
            -(1 + r + r * p + q + m * (1 + 2 * r)),
            r * m**2 + m * (2 * r * p + 1 + r) + r * p + q,
            -r * m * (1 + m) * p,
        ]
        inside = [x.real for x in np.roots(cubic) if abs(x.imag) < 1e-9]
        low, high = max(0.0, m), min(1.0, 1 + m)
        first = min(inside, key=lambda x: max(low - x, x - high, 0))
        return float(first), float(first - m)

    @property
    def _terms(self) -> tuple[float, float, float]:
        """Distance from the null, and standard deviations under it and as assumed, for one experimental patient."""
        p, q, r, m = self.experimental, self.comparator, self.ratio, self.margin
        a, b = self.null_rates
        weight = r * (m**2 if self.measure == "ratio" else 1)
        distance = p - q - m if self.measure == "difference" else p - m * q
        null = np.sqrt(a * (1 - a) + weight * b * (1 - b))
        sd = np.sqrt(p * (1 - p) + weight * q * (1 - q))
        return (-distance if self.lower_is_better else distance), float(null), float(sd)

    def drift(self, n: np.ndarray | float, level: float) -> np.ndarray:
        """Mean of the test statistic with n patients in all, (...), on the scale of equal power at the level."""
        distance, null, sd = self._terms
        z = -ndtri(level) * np.sign(distance)
        return np.asarray(z + (distance * np.sqrt(n * self.ratio / (1 + self.ratio)) - z * null) / sd)

    def normal_n(self, drift: float, level: float) -> float:
        """Find the number of patients at which the statistic has this mean."""
        distance, null, sd = self._terms
        z = -float(ndtri(level))
        return float((z * null + (drift - z) * sd) ** 2 / distance**2 * (1 + self.ratio) / self.ratio)


Endpoint = Means | Rates


def _check(*checks: tuple[str, float, bool | np.bool_, str]) -> None:
    problems = [
        Problem("is out of range", field=field, value=value, allowed=allowed)
        for field, value, fine, allowed in checks
        if not fine
    ]
    if problems:
        raise InputError(*problems)
