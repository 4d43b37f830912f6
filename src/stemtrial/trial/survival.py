"""Times to an event over all replicates at once: Kaplan-Meier curves, the log-rank test, and loss of response."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtri


@dataclass(frozen=True, eq=False)
class Times:
    """Times to an event, arrays (replicates, patients).

    Attributes
    ----------
    time
        Of the event or of the last observation without it.
    event
        Whether the event happened at that time.
    counted
        Whether the patient is one of those analysed.
    """

    time: np.ndarray
    event: np.ndarray
    counted: np.ndarray

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Patients at risk just before a time, and events at it, (replicates,) each."""
        return (
            (self.counted & (self.time >= time)).sum(axis=1),
            (self.counted & self.event & (self.time == time)).sum(axis=1),
        )


@dataclass(frozen=True, eq=False)
class Curve:
    """Kaplan-Meier curves, arrays (replicates, times) unless said otherwise.

    Attributes
    ----------
    times
        At which events can happen, increasing, (times,).
    at_risk, events
        Patients.
    survival
        Share without the event after each time; 1 where nobody was analysed.
    se
        Greenwood's standard error.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    se: np.ndarray

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Confidence limits on the scale of the logarithm; NaN below a curve that has reached 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            half = ndtri((1 + confidence) / 2) * self.se / self.survival
            low, high = self.survival * np.exp(-half), np.minimum(self.survival * np.exp(half), 1)
        return low, high

    @property
    def median(self) -> np.ndarray:
        """First time at which at most half are left, halfway to the next event where exactly half are; NaN for none."""
        below = self.survival <= 0.5 + 1e-12
        first = below.argmax(axis=1)
        rows = np.arange(len(first))
        exact = np.abs(self.survival[rows, first] - 0.5) <= 1e-12
        later = (self.survival < 0.5 - 1e-12).argmax(axis=1)
        ends = ~(self.survival < 0.5 - 1e-12).any(axis=1)
        last = np.array([self.times[np.flatnonzero(n > 0)].max(initial=0.0) for n in self.at_risk])
        upper = np.where(ends, last, self.times[later])
        value = np.where(exact, (self.times[first] + upper) / 2, self.times[first])
        return np.where(below.any(axis=1), value, np.nan)


def kaplan_meier(of: Times, times: np.ndarray) -> Curve:
    r"""Return the product-limit estimate in every replicate.

    :math:`S(t) = \prod_{s \le t} (1 - d_s/n_s)` with Greenwood's variance
    :math:`S(t)^2 \sum_{s \le t} d_s/\{n_s(n_s-d_s)\}` (Kaplan and Meier 1958, *JASA* 53:457).

    Parameters
    ----------
    of
        The patients of one arm.
    times
        All times at which an event can have happened, increasing, (times,).

    Examples
    --------
    >>> of = Times(np.array([[1.0, 2.0, 2.0, 3.0]]), np.array([[True, True, False, True]]), np.ones((1, 4), bool))
    >>> kaplan_meier(of, np.array([1.0, 2.0, 3.0])).survival.tolist()
    [[0.75, 0.5, 0.0]]
    """
    risk, happened = (np.stack(v, axis=1) for v in zip(*(of.at(t) for t in times), strict=True))
    left = risk - happened
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(np.where(risk > 0, left / risk, 1), axis=1)
        added = np.where(happened > 0, happened / (risk.astype(float) * left), 0)
        se = survival * np.sqrt(np.cumsum(added, axis=1))
    return Curve(np.asarray(times, float), risk, happened, survival, np.where(survival > 0, se, np.nan))


@dataclass(frozen=True, eq=False)
class LogRank:
    """Log-rank test of two arms, arrays (replicates,).

    Attributes
    ----------
    observed, expected, variance
        Events in the experimental arm, those expected if the arms did not differ, and the variance of the difference.
    statistic, p
        Chi-squared statistic with one degree of freedom and its p value; NaN where no event could tell the arms apart.
    """

    observed: np.ndarray
    expected: np.ndarray
    variance: np.ndarray
    statistic: np.ndarray
    p: np.ndarray

    def success(self, alpha: float, sides: int) -> np.ndarray:
        """Whether events come later in the experimental arm, shown at a level."""
        level = alpha if sides == 2 else 2 * alpha
        return np.asarray((self.observed < self.expected) & (self.p < level))


def log_rank(comparator: Times, experimental: Times, times: np.ndarray) -> LogRank:
    r"""Compare two arms in every replicate (Mantel 1966, *Cancer Chemotherapy Reports* 50:163).

    At each time, given d events among n patients at risk, the experimental arm's share m/n of them is expected, with
    variance :math:`d\,(m/n)(1-m/n)(n-d)/(n-1)`.

    Parameters
    ----------
    comparator, experimental
        The patients of the two arms.
    times
        All times at which an event can have happened, increasing, (times,).
    """
    observed, expected, variance = np.zeros((3, len(comparator.time)))
    for time in times:
        (n, d), (m, e) = comparator.at(time), experimental.at(time)
        total, both = n + m, d + e
        share = m / np.maximum(total, 1)
        observed, expected = observed + e, expected + both * share
        variance += both * share * (1 - share) * (total - both) / np.maximum(total - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(variance > 0, (observed - expected) ** 2 / variance, np.nan)
    return LogRank(observed, expected, variance, statistic, chdtrc(1, statistic))


def loss_of_response(response: np.ndarray, present: np.ndarray, months: np.ndarray) -> Times:
    """Return the times from a patient's first response to its loss.

    A loss is known at the visit where it is found. Patients without loss are censored at the last visit they attended;
    those who never respond are not counted. Responders are selected after randomisation, so that a comparison of arms
    is not one of randomised groups.

    Parameters
    ----------
    response, present
        Whether a patient responds at a visit, and still attends it, (visits, replicates, patients).
    months
        Of the visits, increasing, (visits,).

    Examples
    --------
    >>> response = np.array([[[True]], [[True]], [[False]]])
    >>> found = loss_of_response(response, np.ones_like(response), np.array([1.0, 3.0, 6.0]))
    >>> found.time.tolist(), found.event.tolist()
    ([[5.0]], [[True]])
    """
    stays = np.logical_and.accumulate(present, axis=0)
    responding = response & stays
    counted = np.asarray(responding.any(axis=0))
    first = responding.argmax(axis=0)
    after = np.arange(len(months))[:, None, None] > first
    lost = stays & ~response & after & counted
    event = np.asarray(lost.any(axis=0))
    last = np.maximum(stays.sum(axis=0) - 1, 0)
    end = np.where(event, lost.argmax(axis=0), last)
    return Times(np.where(counted, months[end] - months[first], 0.0), event, counted)


def possible_times(months: np.ndarray) -> np.ndarray:
    """Return all times that can lie between two visits, increasing.

    Examples
    --------
    >>> possible_times(np.array([1.0, 3.0, 6.0])).tolist()
    [2.0, 3.0, 5.0]
    """
    return np.unique([later - earlier for i, earlier in enumerate(months) for later in months[i + 1 :]])
