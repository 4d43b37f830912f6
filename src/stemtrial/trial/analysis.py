"""Analyses of a trial, in closed form over all replicates at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit


@dataclass(frozen=True)
class Comparison:
    """Result of one analysis, arrays (replicates,).

    Attributes
    ----------
    estimate
        Difference experimental minus comparator; negative is better for the experimental arm. NaN where the analysis
        was not possible.
    se
        Standard error.
    df
        Degrees of freedom; 0 where the analysis was not possible.
    p
        Two-sided p value.
    """

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    p: np.ndarray

    def success(self, alpha: float, sides: int) -> np.ndarray:
        """Whether the experimental arm is shown to be better at the given level."""
        level = alpha if sides == 2 else 2 * alpha
        return np.asarray((self.estimate < 0) & (self.p < level))

    def z(self, null: float = 0.0) -> np.ndarray:
        """Student's statistic against a difference, as the standard normal value of the same level.

        Parameters
        ----------
        null
            Difference to be excluded.

        Returns
        -------
        numpy.ndarray
            Positive where the estimate is below `null`, in favour of the experimental arm; NaN where the analysis was
            not possible.

        Examples
        --------
        >>> Comparison(*(np.array([x]) for x in (-4.0, 2.0, 20.0, 0.06))).z().round(3).tolist()
        [1.886]
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            t = (self.estimate - null) / self.se
            size = -ndtri(stdtr(np.where(self.df > 0, self.df, np.nan), -np.abs(t)))
        return np.asarray(-np.sign(t) * size)

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Confidence limits of the difference that take no account of interim looks."""
        half = stdtrit(np.where(self.df > 0, self.df, np.nan), (1 + confidence) / 2) * self.se
        return self.estimate - half, self.estimate + half


def ancova(
    outcome: tuple[np.ndarray, np.ndarray],
    baseline: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
) -> Comparison:
    r"""Analysis of covariance of a follow-up value, adjusted for its baseline, in every replicate.

    The model is :math:`y = a + b x + d\,[\text{experimental}] + e` with a common slope. With within-arm sums of
    squares :math:`S`, the slope is :math:`S_{xy}/S_{xx}` and :math:`d` the difference of means adjusted to equal
    baselines (Cochran 1957, *Biometrics* 13:261).

    Parameters
    ----------
    outcome, baseline, seen
        Of the comparator and of the experimental arm, each (replicates, patients); patients not seen are left out.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(60, 10, (2, 1, 50))
    >>> y = x - 20 + rng.normal(0, 5, x.shape) - np.array([0.0, 10.0])[:, None, None]
    >>> seen = np.ones((1, 50), bool)
    >>> bool(abs(ancova((y[0], y[1]), (x[0], x[1]), (seen, seen)).estimate[0] + 10) < 3)
    True
    """
    sums = [_within(y, x, m) for y, x, m in zip(outcome, baseline, seen, strict=True)]
    n = [s[0] for s in sums]
    sxx, sxy, syy = (sums[0][i] + sums[1][i] for i in (3, 4, 5))
    df = n[0] + n[1] - 3
    possible = (n[0] > 0) & (n[1] > 0) & (df > 0) & (sxx > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = sxy / sxx
        dx, dy = sums[1][1] - sums[0][1], sums[1][2] - sums[0][2]
        estimate = dy - slope * dx
        variance = np.maximum(syy - slope * sxy, 0) / df
        se = np.sqrt(variance * (1 / n[0] + 1 / n[1] + dx**2 / sxx))
        p = 2 * stdtr(df, -np.abs(estimate / se))
    nan = np.full(estimate.shape, np.nan)
    return Comparison(
        np.where(possible, estimate, nan), np.where(possible, se, nan), np.where(possible, df, 0),
        np.where(possible, p, nan),
    )  # fmt: skip


def _within(y: np.ndarray, x: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, ...]:
    """Count, means of x and y, and within-arm sums of squares xx, xy, yy of the patients seen."""
    n = seen.sum(axis=1)
    count = np.maximum(n, 1)
    mx = np.where(seen, x, 0).sum(axis=1) / count
    my = np.where(seen, y, 0).sum(axis=1) / count
    dx = np.where(seen, x - mx[:, None], 0)
    dy = np.where(seen, y - my[:, None], 0)
    return n, mx, my, (dx * dx).sum(axis=1), (dx * dy).sum(axis=1), (dy * dy).sum(axis=1)
