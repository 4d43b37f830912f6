"""Effect sizes of two groups, of one group measured twice, and of change, each with its sampling variance.

All functions take arrays (or numbers) of one shape and return :class:`Effects`. The first group is the
treated one: differences are group 1 minus group 2, ratios group 1 over group 2 (on the log scale).
Conventions are those of ``metafor::escalc`` with its defaults, unless stated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import Floats


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects ``y`` and sampling variances ``v``, (k,), with the name of the measure."""

    y: Floats
    v: Floats
    measure: str


def _arrays(**given: ArrayLike) -> list[Floats]:
    """Return the named inputs as float arrays of one shape, or say which entry is not a finite number."""
    values = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=float)) for x in given.values()))
    bad = [
        Problem("is not a finite number", row=int(i) + 1, field=name, value=float(x[i]))
        for name, x in zip(given, values, strict=True)
        for i in np.flatnonzero(~np.isfinite(x))
    ]
    if bad:
        raise InputError(*bad)
    return [x.astype(float) for x in values]


def _require(fine: object, field: str, values: Floats, allowed: str) -> None:
    bad = np.flatnonzero(~np.asarray(fine, dtype=bool))
    if bad.size:
        raise InputError(
            *(
                Problem("is impossible", row=int(i) + 1, field=field, value=float(values[i]), allowed=allowed)
                for i in bad
            )
        )


def _groups(
    m1: ArrayLike, s1: ArrayLike, n1: ArrayLike, m2: ArrayLike, s2: ArrayLike, n2: ArrayLike
) -> list[Floats]:
    arrays = _arrays(mean1=m1, sd1=s1, n1=n1, mean2=m2, sd2=s2, n2=n2)
    for i, name in ((1, "sd1"), (4, "sd2")):
        _require(arrays[i] > 0, name, arrays[i], "above 0")
    for i, name in ((2, "n1"), (5, "n2")):
        _require(arrays[i] > 1, name, arrays[i], "at least 2")
    return arrays


def small_sample_factor(df: ArrayLike) -> Floats:
    """Hedges' exact correction J(m) = Γ(m/2) / (sqrt(m/2) Γ((m-1)/2)) (Hedges 1981, doi:10.2307/1164588)."""
    m = np.asarray(df, dtype=float)
    return np.asarray(np.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / np.sqrt(m / 2), dtype=float)


def mean_difference(
    mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> Effects:
    """Mean difference; ``v = sd1²/n1 + sd2²/n2`` (escalc ``MD``; variances are not assumed equal).

    Serves follow-up means and mean changes alike.

    Examples
    --------
    >>> e = mean_difference(30, 20, 50, 38, 20, 50)
    >>> float(e.y[0]), float(e.v[0])
    (-8.0, 16.0)
    """
    m1, s1, k1, m2, s2, k2 = _groups(mean1, sd1, n1, mean2, sd2, n2)
    return Effects(m1 - m2, s1**2 / k1 + s2**2 / k2, "MD")


def standardised_mean_difference(
    mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> Effects:
    """Hedges' g = J(m) (mean1 - mean2) / pooled SD with m = n1 + n2 - 2 (escalc ``SMD``).

    ``v = 1/n1 + 1/n2 + g²/(2(n1+n2))``. Hedges 1981, doi:10.2307/1164588; the variance is the large-sample
    one.
    """
    m1, s1, k1, m2, s2, k2 = _groups(mean1, sd1, n1, mean2, sd2, n2)
    m = k1 + k2 - 2
    pooled = np.sqrt(((k1 - 1) * s1**2 + (k2 - 1) * s2**2) / m)
    g = small_sample_factor(m) * (m1 - m2) / pooled
    return Effects(g, 1 / k1 + 1 / k2 + g**2 / (2 * (k1 + k2)), "SMD")


def spread_ratio(sd1: ArrayLike, n1: ArrayLike, sd2: ArrayLike, n2: ArrayLike) -> Effects:
    """Logarithm of sd1 / sd2, bias-corrected (escalc ``VR``; Nakagawa et al. 2015, doi:10.1111/2041-210X.12309).

    ``y = ln(sd1/sd2) + 1/(2(n1-1)) - 1/(2(n2-1))``, ``v = 1/(2(n1-1)) + 1/(2(n2-1))``.
    """
    zeros = np.zeros_like(np.asarray(sd1, dtype=float))
    _, s1, k1, _, s2, k2 = _groups(zeros, sd1, n1, zeros, sd2, n2)
    first, second = 1 / (2 * (k1 - 1)), 1 / (2 * (k2 - 1))
    return Effects(np.log(s1 / s2) + first - second, first + second, "VR")


def change_difference(
    change1: ArrayLike,
    sd_change1: ArrayLike,
    n1: ArrayLike,
    change2: ArrayLike,
    sd_change2: ArrayLike,
    n2: ArrayLike,
) -> Effects:
    """Difference of mean changes from baseline; the standard deviations are those of the change."""
    found = mean_difference(change1, sd_change1, n1, change2, sd_change2, n2)
    return Effects(found.y, found.v, "MD of change")


def change_sd(sd_baseline: ArrayLike, sd_follow_up: ArrayLike, correlation: ArrayLike) -> Floats:
    """SD of the change, ``sqrt(sb² + sf² - 2 r sb sf)`` (Cochrane Handbook, section 6.5.2.8).

    Examples
    --------
    >>> float(change_sd(15.0, 20.0, 0.5).round(3)[0])
    18.028
    """
    before, after, r = _arrays(sd_baseline=sd_baseline, sd_follow_up=sd_follow_up, correlation=correlation)
    _require(before > 0, "sd_baseline", before, "above 0")
    _require(after > 0, "sd_follow_up", after, "above 0")
    _require(np.abs(r) < 1, "correlation", r, "between -1 and 1")
    return np.asarray(np.sqrt(before**2 + after**2 - 2 * r * before * after), dtype=float)


def baseline_correlation(sd_baseline: ArrayLike, sd_follow_up: ArrayLike, sd_change: ArrayLike) -> Floats:
    """Correlation implied by arms that report all three SDs: ``(sb² + sf² - sc²) / (2 sb sf)`` (same source).

    Values outside (-1, 1) show SDs that cannot belong together and are returned as they are: the caller
    decides.
    """
    before, after, change = _arrays(sd_baseline=sd_baseline, sd_follow_up=sd_follow_up, sd_change=sd_change)
    for name, x in (("sd_baseline", before), ("sd_follow_up", after), ("sd_change", change)):
        _require(x > 0, name, x, "above 0")
    return np.asarray((before**2 + after**2 - change**2) / (2 * before * after), dtype=float)


def _tables(events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike) -> list[Floats]:
    arrays = _arrays(events1=events1, n1=n1, events2=events2, n2=n2)
    for i, name in ((1, "n1"), (3, "n2")):
        _require(arrays[i] >= 1, name, arrays[i], "at least 1")
        within = (arrays[i - 1] >= 0) & (arrays[i - 1] <= arrays[i])
        _require(within, f"events of {name}", arrays[i - 1], f"0 to {name}")
    return arrays


def cells_of(
    events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike, add: float
) -> list[Floats]:
    """Cells a, b, c, d of 2 x 2 tables, with ``add`` on all four cells of tables where one of them is 0."""
    e1, k1, e2, k2 = _tables(events1, n1, events2, n2)
    cells = np.array([e1, k1 - e1, e2, k2 - e2])
    return list(cells + add * np.any(cells == 0, axis=0))


def risk_ratio(
    events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike, *, add: float = 0.5
) -> Effects:
    """Log risk ratio; ``v = 1/a - 1/(a+b) + 1/c - 1/(c+d)`` (``RR``).

    Tables with a zero cell get ``add`` on all four cells, as escalc's default; studies without any event
    then count as "no difference" and are better left to :mod:`stemtrial.evidence.rareevents`.
    """
    a, b, c, d = cells_of(events1, n1, events2, n2, add)
    k1, k2 = a + b, c + d
    return Effects(np.log(a / k1) - np.log(c / k2), 1 / a - 1 / k1 + 1 / c - 1 / k2, "log RR")


def odds_ratio(
    events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike, *, add: float = 0.5
) -> Effects:
    """Log odds ratio; ``v = 1/a + 1/b + 1/c + 1/d`` (``OR``, Woolf 1955); zeros as in :func:`risk_ratio`."""
    a, b, c, d = cells_of(events1, n1, events2, n2, add)
    return Effects(np.log(a * d) - np.log(b * c), 1 / a + 1 / b + 1 / c + 1 / d, "log OR")


def risk_difference(
    events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike, *, add: float = 0.5
) -> Effects:
    """Risk difference; ``v = p1(1-p1)/n1 + p2(1-p2)/n2`` (``RD``); zero cells as in :func:`risk_ratio`."""
    a, b, c, d = cells_of(events1, n1, events2, n2, add)
    k1, k2 = a + b, c + d
    return Effects(a / k1 - c / k2, a * b / k1**3 + c * d / k2**3, "RD")


def paired_difference(
    mean1: ArrayLike, sd1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n: ArrayLike, correlation: ArrayLike
) -> Effects:
    """Mean difference within persons; ``v = (sd1² + sd2² - 2 r sd1 sd2) / n`` (``MC``).

    For self-controlled trials (two knees of one person) ``mean1`` and ``mean2`` are the treated and the
    control side, ``n`` the number of persons and ``correlation`` that between the sides.
    """
    m1, s1, m2, s2, k, r = _paired(mean1, sd1, mean2, sd2, n, correlation)
    return Effects(m1 - m2, (s1**2 + s2**2 - 2 * r * s1 * s2) / k, "MD paired")


def standardised_paired_difference(
    mean1: ArrayLike,
    sd1: ArrayLike,
    mean2: ArrayLike,
    sd2: ArrayLike,
    n: ArrayLike,
    correlation: ArrayLike,
    *,
    by: str,
) -> Effects:
    """Standardised mean difference within persons, corrected by J(n - 1).

    ``by="second"`` divides by ``sd2`` with ``v = 2(1-r)/n + g²/(2n)`` (the raw-score metric; escalc
    ``SMCR`` with groups and sign turned; Becker 1988, doi:10.1111/j.2044-8317.1988.tb00901.x);
    ``by="change"`` divides by the SD of the difference with ``v = 1/n + g²/(2n)`` (``SMCC``; Gibbons,
    Hedeker and Davis 1993).
    """
    m1, s1, m2, s2, k, r = _paired(mean1, sd1, mean2, sd2, n, correlation)
    if by not in ("second", "change"):
        raise InputError(Problem("is unknown", field="by", value=by, allowed="second, change"))
    unit = s2 if by == "second" else np.sqrt(s1**2 + s2**2 - 2 * r * s1 * s2)
    g = small_sample_factor(k - 1) * (m1 - m2) / unit
    first = 2 * (1 - r) / k if by == "second" else 1 / k
    return Effects(g, first + g**2 / (2 * k), f"SMD paired, by {by}")


def _paired(
    m1: ArrayLike, s1: ArrayLike, m2: ArrayLike, s2: ArrayLike, n: ArrayLike, correlation: ArrayLike
) -> list[Floats]:
    arrays = _arrays(mean1=m1, sd1=s1, mean2=m2, sd2=s2, n=n, correlation=correlation)
    for i, name in ((1, "sd1"), (3, "sd2")):
        _require(arrays[i] > 0, name, arrays[i], "above 0")
    _require(arrays[4] > 1, "n", arrays[4], "at least 2")
    _require(np.abs(arrays[5]) < 1, "correlation", arrays[5], "between -1 and 1")
    return arrays
