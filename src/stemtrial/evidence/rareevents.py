"""Rare events: pooling that needs no correction for zero cells, and exact bounds where nothing happened."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, chdtrc

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.effectsize import cells_of, odds_ratio, risk_difference, risk_ratio
from stemtrial.evidence.heterogeneity import Floats, choice, critical, p_value

Measure = Literal["OR", "RR", "RD"]


@dataclass(frozen=True)
class PooledTables:
    """One effect pooled over 2 x 2 tables.

    Attributes
    ----------
    estimate, se, ci, p
        On the log scale for ``OR`` and ``RR``; ``None`` where the tables cannot tell.
    q, q_df, q_p, i2
        Heterogeneity over the ``q_df + 1`` tables that carry information.
    score, score_p
        Test of no association over all strata: Cochran-Mantel-Haenszel, continuity-corrected
        (Mantel-Haenszel only).
    k, measure, method
        Number of tables and what was pooled how.
    status
        ``ok``; ``no_events``: none in either group; ``zero_events_in_one_group``: the ratio has no finite
        estimate, give the exact bounds of each group instead.
    """

    estimate: float | None
    se: float | None
    ci: tuple[float, float] | None
    p: float | None
    q: float | None
    q_df: int
    q_p: float | None
    i2: float | None
    score: float | None
    score_p: float | None
    k: int
    measure: Measure
    method: Literal["Mantel-Haenszel", "Peto"]
    level: float
    status: Literal["ok", "no_events", "zero_events_in_one_group"]


@dataclass(frozen=True)
class Risk:
    """A proportion with its exact interval.

    ``ci`` is the two-sided Clopper-Pearson interval; ``upper`` the one-sided upper bound of the same level,
    the number to print when there were no events (close to 3 / n at 95 %, the rule of three). ``status`` is
    ``no_events`` then.
    """

    events: int
    n: int
    estimate: float
    ci: tuple[float, float]
    upper: float
    level: float
    status: Literal["ok", "no_events"]


def exact_risk(events: int, n: int, *, level: float = 0.95) -> Risk:
    """Return the risk with Clopper-Pearson bounds (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    Examples
    --------
    >>> round(exact_risk(0, 100).upper, 4)
    0.0295
    """
    if n < 1 or not 0 <= events <= n or events != int(events) or n != int(n):
        problem = Problem(
            "is impossible", field="events of n", value=f"{events} of {n}", allowed="0 <= events <= n, n >= 1"
        )
        raise InputError(problem)
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else float(betaincinv(events, n - events + 1, tail))
    high, upper = (
        1.0 if events == n else float(betaincinv(events + 1, n - events, 1 - t)) for t in (tail, 1 - level)
    )
    return Risk(int(events), int(n), events / n, (low, high), upper, level, "ok" if events else "no_events")


def mantel_haenszel(
    events1: ArrayLike,
    n1: ArrayLike,
    events2: ArrayLike,
    n2: ArrayLike,
    *,
    measure: Measure,
    level: float = 0.95,
) -> PooledTables:
    """Pool tables by Mantel-Haenszel, without continuity correction (``metafor::rma.mh``).

    Variances: OR Robins, Breslow and Greenland 1986 (doi:10.2307/2531052); RR Greenland and Robins 1985
    (doi:10.2307/2530643); RD Sato, Greenland and Robins 1989 (doi:10.2307/2531856). Heterogeneity is Q of
    the tables' own effects around the pooled one, with 1/2 added where a cell is zero, tables without
    information left out.

    Parameters
    ----------
    events1, n1, events2, n2
        Events and persons of both groups, (k,).
    measure
        ``OR``, ``RR`` (log scale) or ``RD``.

    Examples
    --------
    >>> round(mantel_haenszel([1, 0], [50, 40], [4, 2], [50, 40], measure="RR").estimate, 3)
    -1.792
    """
    choice("measure", measure, Measure)
    a, b, c, d = cells_of(events1, n1, events2, n2, 0.0)
    k1, k2 = a + b, c + d
    n = k1 + k2
    score, score_p = _score_test(a, b, c, d)
    status = _status(a, c)
    if measure == "RD":
        weight = np.sum(k1 * k2 / n)
        estimate = float(np.sum((a * k2 - c * k1) / n) / weight)
        p = (k1**2 * c - k2**2 * a + k1 * k2 * (k2 - k1) / 2) / n**2
        q = (a * d + c * b) / (2 * n)
        variance = float((estimate * np.sum(p) + np.sum(q)) / weight**2)
        status = "ok" if variance > 0 else status
    else:
        top, bottom = (a * d / n, b * c / n) if measure == "OR" else (a * k2 / n, c * k1 / n)
        if not (top.sum() > 0 and bottom.sum() > 0):
            status = "zero_events_in_one_group" if status == "ok" else status
            return _undefined(a.size, measure, "Mantel-Haenszel", level, status)
        estimate = float(np.log(top.sum() / bottom.sum()))
        if measure == "OR":
            p, q = (a + d) / n, (b + c) / n
            variance = float(
                np.sum(p * top) / (2 * top.sum() ** 2)
                + np.sum(p * bottom + q * top) / (2 * top.sum() * bottom.sum())
                + np.sum(q * bottom) / (2 * bottom.sum() ** 2)
            )
        else:
            spread = np.sum((k1 * k2 * (a + c) - a * c * n) / n**2)
            variance = float(spread / (top.sum() * bottom.sum()))
        status = "ok"
    if status != "ok":
        return _undefined(a.size, measure, "Mantel-Haenszel", level, status)
    informative = ((a + c) > 0) & ((b + d) > 0)
    single = {"OR": odds_ratio, "RR": risk_ratio, "RD": risk_difference}[measure]
    own = single(a[informative], k1[informative], c[informative], k2[informative])
    q_total = float(np.sum((own.y - estimate) ** 2 / own.v))
    return _result(
        estimate,
        variance,
        q_total,
        int(informative.sum()) - 1,
        a.size,
        measure,
        "Mantel-Haenszel",
        level,
        score,
        score_p,
    )


def peto(
    events1: ArrayLike, n1: ArrayLike, events2: ArrayLike, n2: ArrayLike, *, level: float = 0.95
) -> PooledTables:
    """Pool log odds ratios by Peto's one-step method (``metafor::rma.peto``).

    ``sum(a - E) / sum(V)`` with the hypergeometric mean E and variance V; good when events are rare, groups
    alike in size and effects small (Yusuf et al. 1985, doi:10.1016/S0033-0620(85)80003-7).
    """
    a, b, c, d = cells_of(events1, n1, events2, n2, 0.0)
    excess, variance = _hypergeometric(a, b, c, d)
    if not variance.sum() > 0:
        return _undefined(a.size, "OR", "Peto", level, "no_events")
    use = variance > 0
    estimate = float(excess.sum() / variance.sum())
    own = excess[use] / variance[use]
    q = float(np.sum(variance[use] * (own - estimate) ** 2))
    return _result(
        estimate, float(1 / variance.sum()), q, int(use.sum()) - 1, a.size, "OR", "Peto", level, None, None
    )


def _hypergeometric(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Return observed minus expected events of group 1 and their variance, all margins fixed."""
    n = a + b + c + d
    events = a + c
    expected = (a + b) * events / n
    return a - expected, (a + b) * (c + d) * events * (b + d) / (n**2 * np.maximum(n - 1, 1))


def _score_test(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[float | None, float | None]:
    excess, variance = _hypergeometric(a, b, c, d)
    if not variance.sum() > 0:
        return None, None
    score = float(max(0.0, abs(excess.sum()) - 0.5) ** 2 / variance.sum())
    return score, float(chdtrc(1, score))


def _status(a: Floats, c: Floats) -> Literal["ok", "no_events", "zero_events_in_one_group"]:
    if a.sum() + c.sum() == 0:
        return "no_events"
    return "ok" if a.sum() > 0 and c.sum() > 0 else "zero_events_in_one_group"


def _result(
    estimate: float,
    variance: float,
    q: float,
    q_df: int,
    k: int,
    measure: Measure,
    method: Literal["Mantel-Haenszel", "Peto"],
    level: float,
    score: float | None,
    score_p: float | None,
) -> PooledTables:
    se = float(np.sqrt(variance))
    half = critical(level, None) * se
    return PooledTables(
        estimate=estimate,
        se=se,
        ci=(estimate - half, estimate + half),
        p=float(p_value(estimate / se, None)),
        q=q if q_df > 0 else None,
        q_df=q_df,
        q_p=float(chdtrc(q_df, q)) if q_df > 0 else None,
        i2=max(0.0, 100 * (1 - q_df / q)) if q_df > 0 and q > 0 else None,
        score=score,
        score_p=score_p,
        k=k,
        measure=measure,
        method=method,
        level=level,
        status="ok",
    )


def _undefined(
    k: int,
    measure: Measure,
    method: Literal["Mantel-Haenszel", "Peto"],
    level: float,
    status: Literal["ok", "no_events", "zero_events_in_one_group"],
) -> PooledTables:
    return PooledTables(
        None, None, None, None, None, 0, None, None, None, None, k, measure, method, level, status
    )
