"""Sample size and power in closed form, for fixed and for group-sequential designs."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, stdtrit

from stemtrial.errors import InputError, Problem
from stemtrial.trial.boundaries import boundaries
from stemtrial.trial.endpoints import Endpoint, Means
from stemtrial.trial.groupsequential import GroupSequential
from stemtrial.trial.roots import root
from stemtrial.trial.stopping import Stopping, rule

LARGEST_N = 1e8
"""Largest sample size that is considered."""


@dataclass(frozen=True, eq=False)
class SampleSize:
    """Patients of a trial, as real numbers; :attr:`arms` rounds them up.

    Attributes
    ----------
    fixed
        Patients of a trial of equal power without interim looks.
    maximal
        Patients at the last look.
    by_look, experimental, comparator
        Cumulative patients at each look, in all and by arm, (looks,).
    expected_null, expected_between, expected_assumed
        Mean patients where the null hypothesis holds, where the truth lies half-way, and under the effect assumed.
    stopping
        Probabilities of stopping at each look under the effect assumed.
    drift
        Mean of the test statistic at the last look under the effect assumed.
    """

    fixed: float
    maximal: float
    by_look: np.ndarray
    experimental: np.ndarray
    comparator: np.ndarray
    expected_null: float
    expected_between: float
    expected_assumed: float
    stopping: Stopping
    drift: float

    @property
    def inflation(self) -> float:
        """Maximal over fixed sample size."""
        return self.maximal / self.fixed

    @property
    def arms(self) -> tuple[int, int]:
        """Patients to randomise to the experimental arm and to the comparator."""
        experimental, comparator = (int(np.ceil(a[-1] - 1e-6)) for a in (self.experimental, self.comparator))
        return experimental, comparator


def sample_size(endpoint: Endpoint, design: GroupSequential, power: float) -> SampleSize:
    """Find the smallest trial that shows the assumed effect with the given power.

    A two-sided design counts only effects shown in the direction assumed. Student's test is exact without interim
    looks; with them its sample size is that of the fixed design times the inflation of the normal test.

    Raises
    ------
    InputError
        If the effect assumed lies on the wrong side of the margin, or the power is not above the level.

    Examples
    --------
    A difference of 9 points, standard deviation 24, two-sided 5 %, power 80 % (114 patients an arm by Student's t):

    >>> from stemtrial.trial.groupsequential import OBRIEN_FLEMING
    >>> pain = Means(difference=-9, sd=24, margin=0, lower_is_better=True)
    >>> once = GroupSequential((1.0,), alpha=0.05, sides=2, efficacy=OBRIEN_FLEMING)
    >>> sample_size(pain, once, power=0.8).arms
    (113, 113)
    """
    level = design.alpha / design.sides
    if not level < power < 1:
        raise InputError(
            Problem("is out of range", field="power", value=power, allowed=f"above {level:g} and below 1")
        )
    if endpoint.standardised <= 0:
        side = "below" if endpoint.lower_is_better else "above"
        raise InputError(
            Problem("is not exceeded by the effect assumed", field="margin", value=endpoint.margin,
                    hint=f"the experimental arm must be assumed {side} the margin")
        )  # fmt: skip
    needed = float(ndtri(power) - ndtri(level))
    fixed = endpoint.normal_n(needed, level)
    if isinstance(endpoint, Means) and not endpoint.known_sd:
        low = max(fixed, 2.5)
        high = 4 * low + 100
        fixed = float(root(lambda n: endpoint.drift(n, level) - needed, low, high))
    if not fixed < LARGEST_N:
        raise InputError(
            Problem("needs more patients than can be considered", field="difference", value=f"{fixed:.3g} patients",
                    allowed=f"up to {LARGEST_N:.0e}")
        )  # fmt: skip
    bounds = boundaries(design)
    drift = bounds.drift_for(power)
    maximal = fixed * (drift / needed) ** 2
    stops = [bounds.stopping(share * drift) for share in (0, 0.5, 1)]
    expected = [float(maximal * s.expected_information) for s in stops]
    by_look = maximal * bounds.information
    share = endpoint.ratio / (1 + endpoint.ratio)
    return SampleSize(
        fixed, maximal, by_look, by_look * share, by_look * (1 - share),
        expected[0], expected[1], expected[2], stops[2], drift,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Power:
    """Power of a trial at numbers of patients (...).

    Attributes
    ----------
    n
        Patients in all at the last look, (...).
    power
        Probability of showing an effect in the direction in which the experimental arm is better, (...).
    expected_n
        Mean patients at the end, (...).
    stopping
        Probabilities of stopping at each look, (..., looks).
    """

    n: np.ndarray
    power: np.ndarray
    expected_n: np.ndarray
    stopping: Stopping


def power(endpoint: Endpoint, design: GroupSequential, n: np.ndarray | float) -> Power:
    """Power with n patients in all, (...).

    Raises
    ------
    InputError
        If there are too few patients for the test.

    Examples
    --------
    >>> from stemtrial.trial.groupsequential import OBRIEN_FLEMING
    >>> pain = Means(difference=-9, sd=24, margin=0, lower_is_better=True, ratio=3)
    >>> once = GroupSequential((1.0,), alpha=0.05, sides=2, efficacy=OBRIEN_FLEMING)
    >>> round(float(power(pain, once, 160).power), 3)
    0.532
    """
    patients = np.asarray(n, dtype=float)
    if not np.all(patients > 2):
        raise InputError(Problem("are too few patients", field="n", value=n, allowed="3 or more in all"))
    stops = boundaries(design).stopping(endpoint.drift(patients, design.alpha / design.sides))
    return Power(patients, stops.power, patients * stops.expected_information, stops)


def equivalence_power(
    endpoint: Means, margins: tuple[float, float], alpha: float, n: np.ndarray | float
) -> np.ndarray:
    r"""Power of two one-sided tests at level alpha to show a difference between the margins, (...).

    Exact: the normal probability that the estimate :math:`d` obeys
    :math:`\delta_L + t s < d < \delta_U - t s`, integrated over the distribution of the standard error :math:`s`
    (Phillips 1990, *Journal of Pharmacokinetics and Biopharmaceutics* 18:137). The endpoint's margin is not used.

    Raises
    ------
    InputError
        If the margins do not enclose the difference assumed.
    """
    low, high = margins
    if not low < endpoint.difference < high:
        raise InputError(
            Problem("do not enclose the difference assumed", field="margins", value=list(margins),
                    hint=f"the difference assumed is {endpoint.difference:g}")
        )  # fmt: skip
    patients = np.asarray(n, dtype=float)[..., None]
    sd = endpoint.sd * np.sqrt(1 - endpoint.correlation**2)
    se = sd * (1 + endpoint.ratio) / np.sqrt(patients * endpoint.ratio)
    df = patients - 2
    if endpoint.known_sd:
        t, s, weight = np.array([-ndtri(alpha)]), np.ones(1), np.ones(1)
    else:
        t = stdtrit(df, 1 - alpha)
        x, w = rule(192)
        start = np.maximum(0, 1 - 9 / np.sqrt(2 * df))
        width = np.maximum(np.minimum(1 + 12 / np.sqrt(2 * df), (high - low) / (2 * t * se)) - start, 0)
        s = start + width * x
        log_density = (
            np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(s) - df * s**2 / 2
        )
        weight = width * w * np.exp(log_density)
    inside = ndtr((high - endpoint.difference) / se - t * s) - ndtr((low - endpoint.difference) / se + t * s)
    return np.asarray((weight * np.maximum(inside, 0)).sum(axis=-1))


def equivalence_sample_size(
    endpoint: Means, margins: tuple[float, float], alpha: float, power: float
) -> float:
    """Find the number of patients in all, a real number, at which two one-sided tests reach the power.

    Raises
    ------
    InputError
        If the margins do not enclose the difference assumed.
    """

    def excess(log_n: np.ndarray) -> np.ndarray:
        return equivalence_power(endpoint, margins, alpha, np.exp(log_n)) - power

    return float(np.exp(root(excess, np.log(3), np.log(LARGEST_N))))
