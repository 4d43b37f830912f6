"""The computation behind each kind of part: one estimate with its interval, and the probability that the part holds.

With few studies everything is closed form, so that the same studies always give the same numbers and no seed is needed.

================  =============================================================================================
difference        mean difference on 0-100, random effects: REML, Hartung-Knapp interval never narrower than
                  that of the t distribution
marker            standardised mean difference, the same model
events            risk difference per 1,000, Mantel-Haenszel (variance of Sato, Greenland and Robins); against
                  other cells the difference of two such differences (Bucher et al. 1997,
                  doi:10.1016/S0895-4356(97)00049-8)
durability        ``d = late - s * early`` of each trial that prints both, ``var d = v_late + s² v_early -
                  2 s r sqrt(v_late v_early)``; more than the share ``s`` is left where ``d`` is below 0
response_spread   logarithm of the ratio of the two standard deviations (Nakagawa et al. 2015,
                  doi:10.1111/2041-210X.12309), the same model
protocol_spread   I² = tau² / (tau² + typical sampling variance) in per cent; its distribution inverts the
                  generalised Q statistic (Viechtbauer 2007, doi:10.1002/sim.2514)
================  =============================================================================================

The probability is that of a flat prior: the share of the estimate's normal or t distribution on the side of the
threshold that the part asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.special import chdtr, ndtr, stdtr

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.errors import InputError, NotCredibleError
from stemtrial.evidence.heterogeneity import Floats, critical, fit, fit_given
from stemtrial.evidence.pairwise import Pooled, pool
from stemtrial.evidence.rareevents import mantel_haenszel

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A part in numbers.

    Attributes
    ----------
    value, interval, prediction
        In the unit of the kind: points, standard deviations, persons per 1,000, ratio, per cent; of
        ``durability`` points of relief beyond the share asked for, negative for more.
    p
        Probability that the part holds.
    lean, lean_interval
        The same on the scale on which certainty is judged, where 0 is no difference: of a ratio 100 times
        its logarithm, else the value.
    weights
        Share of each study in per cent; events by persons.
    share_left
        Of ``durability``: pooled late effect over pooled early effect of the same trials, without an
        interval, which may be unbounded.
    """

    value: float
    interval: tuple[float, float]
    prediction: tuple[float, float] | None
    p: float
    lean: float
    lean_interval: tuple[float, float]
    i2: float | None
    tau2: float | None
    k: int
    n: float
    weights: tuple[float, ...]
    share_left: float | None
    method: str


@dataclass(frozen=True)
class Nothing:
    """Studies that give no estimate, with the reason."""

    k: int
    reason: str


def estimate(part: Part, data: Sequence[Datum]) -> Estimate | Nothing:
    """Estimate a part from some studies.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> from stemtrial.claims.studies import collect
    >>> from stemtrial.evidence import load
    >>> part = shipped()["complements"].parts["added"]
    >>> found = estimate(part, collect(part, load()).data)
    >>> found.k, found.value < 0, 0.5 < found.p < 1
    (4, True, True)
    """
    if not data:
        return Nothing(0, "no study")
    if part.kind == "events":
        return _events(part, data)
    y, v = np.array([datum.y for datum in data]), np.array([datum.v for datum in data], dtype=float)
    if part.kind == "protocol_spread":
        return _between(part, data, y, v)
    try:
        pooled = pool(y, v, method="REML", test="adhoc", level=LEVEL)
    except (InputError, NotCredibleError) as error:
        return Nothing(len(data), str(error))
    return _of_pooled(part, data, pooled)


def side(part: Part, value: float, se: float, df: int | None) -> float:
    """Return the share of a normal (``df`` None) or t distribution on the side that the part asks for."""
    bound = 0.0 if part.kind == "durability" else on_scale(part, part.threshold)
    z = (bound - value) / se
    below = float(ndtr(z) if df is None else stdtr(df, z))
    return below if (part.holds == "below") != (part.kind == "durability") else 1 - below


def on_scale(part: Part, value: float) -> float:
    """Return a number of the claim file on the scale that is pooled."""
    return log(value) if part.kind == "response_spread" else value


def important(part: Part) -> float:
    """Return the important difference on the scale on which certainty is judged."""
    return 100 * log(part.important) if part.kind == "response_spread" else part.important


def method_words(part: Part, k: int) -> str:
    """Name the computation."""
    if part.kind == "events":
        one = "risk difference, Mantel-Haenszel"
        return (
            f"difference of two {one.replace('difference', 'differences')}"
            if part.against is not None
            else one
        )
    if part.kind == "protocol_spread":
        return "I² with the distribution of the generalised Q"
    return "one study, normal interval" if k == 1 else "REML, Hartung-Knapp, never narrower than t"


def _of_pooled(part: Part, data: Sequence[Datum], pooled: Pooled) -> Estimate:
    ratio = part.kind == "response_spread"

    def back(ends: tuple[float, float]) -> tuple[float, float]:
        return (exp(ends[0]), exp(ends[1])) if ratio else ends

    factor = 100.0 if ratio else 1.0
    left = None
    if part.kind == "durability":
        # the pooled late and early effects with the weights of d, so that late = d + share * early
        early = float(np.average([datum.early[0] for datum in data if datum.early], weights=pooled.weights))
        left = (pooled.estimate + part.threshold * early) / early if early else None
    return Estimate(
        value=exp(pooled.estimate) if ratio else pooled.estimate,
        interval=back(pooled.ci),
        prediction=back(pooled.prediction) if pooled.prediction else None,
        p=side(part, pooled.estimate, pooled.se, pooled.df),
        lean=factor * pooled.estimate,
        lean_interval=(factor * pooled.ci[0], factor * pooled.ci[1]),
        i2=pooled.i2,
        tau2=None if pooled.tau2 is None else factor**2 * pooled.tau2,
        k=pooled.k,
        n=sum(datum.n for datum in data),
        weights=pooled.weights,
        share_left=left,
        method=method_words(part, pooled.k),
    )


def probability(part: Part, data: Sequence[Datum]) -> float | None:
    """Return only the probability that a part holds, quickly; ``None`` where there is no estimate."""
    if part.kind in ("events", "protocol_spread"):
        found = estimate(part, data)
        return found.p if isinstance(found, Estimate) else None
    y, v = np.array([datum.y for datum in data]), np.array([datum.v for datum in data], dtype=float)
    if len(data) == 1:
        return side(part, float(y[0]), sqrt(float(v[0])), None)
    model = fit(y, v, np.ones((len(y), 1)), "REML", "adhoc")
    return side(part, float(model.beta[0]), sqrt(float(model.cov[0, 0])), model.df)


def _events(part: Part, data: Sequence[Datum]) -> Estimate | Nothing:
    """Pool risk differences; against other cells the difference of the two pooled ones.

    Trials of the two cells against each other (side 0) are weighed with that difference by their variances.
    """
    pooled = {which: _difference([d for d in data if d.side == which]) for which in (1, -1, 0)}
    if part.against is None:
        known = [pooled[1]] if pooled[1] else []
    else:
        one, other = pooled[1], pooled[-1]
        known = [(one[0] - other[0], one[1] + other[1], max(one[2], other[2]))] if one and other else []
        known += [pooled[0]] if pooled[0] else []
    if not known:
        sides = {datum.side for datum in data}
        if part.against is not None and not {1, -1} <= sides:
            return Nothing(len(data), "no study of one of the two kinds of cells")
        return Nothing(len(data), "no event on either side, so that the difference has no interval")
    weights = np.array([1 / variance for _, variance, _ in known])
    value = float(np.average([each[0] for each in known], weights=weights))
    se = sqrt(1 / float(weights.sum()))
    half = critical(LEVEL, None) * se
    persons = [datum.n for datum in data]
    ends = (value - half, value + half)
    spreads = [each[2] for each in known if each[2] >= 0]
    return Estimate(
        value=value,
        interval=ends,
        prediction=None,
        p=side(part, value, se, None),
        lean=value,
        lean_interval=ends,
        i2=max(spreads) if spreads else None,
        tau2=None,
        k=len(data),
        n=sum(persons),
        weights=tuple(100 * n / sum(persons) for n in persons),
        share_left=None,
        method=method_words(part, len(data)),
    )


def _difference(data: Sequence[Datum]) -> tuple[float, float, float] | None:
    """Return pooled risk difference per 1,000, its variance, and I² (-1 where one informative trial has none)."""
    counts = [datum.counts for datum in data if datum.counts is not None]
    if not counts:
        return None
    pooled = mantel_haenszel(*np.array(counts, dtype=float).T, measure="RD", level=LEVEL)
    if pooled.estimate is None or pooled.se is None:
        return None
    spread = -1.0 if pooled.i2 is None or pooled.q_df < 1 else pooled.i2
    return 1000 * pooled.estimate, (1000 * pooled.se) ** 2, spread


def _between(part: Part, data: Sequence[Datum], y: Floats, v: Floats) -> Estimate | Nothing:
    if len(data) < 3:
        return Nothing(len(data), "variance between trials cannot be told from fewer than three")
    try:
        pooled = pool(y, v, method="REML", test="adhoc", level=LEVEL)
    except NotCredibleError as error:
        return Nothing(len(data), str(error))
    x = np.ones((len(y), 1))
    typical = (len(y) - 1) / fit_given(y, v, x, 0.0).trace_p
    assert pooled.i2 is not None
    assert pooled.tau2_ci is not None
    low, high = (100 * tau2 / (tau2 + typical) for tau2 in pooled.tau2_ci)
    p = 0.0
    if part.threshold < 100:
        at = typical * part.threshold / (100 - part.threshold)
        p = float(chdtr(len(y) - 1, fit_given(y, v, x, at).rss))
    # REML and the generalised Q differ, so that I² can lie outside its interval
    value = min(max(pooled.i2, low), high)
    return Estimate(
        value=value,
        interval=(low, high),
        prediction=None,
        p=p if part.holds == "above" else 1 - p,
        lean=value,
        lean_interval=(low, high),
        i2=None,
        tau2=pooled.tau2,
        k=pooled.k,
        n=sum(datum.n for datum in data),
        weights=pooled.weights,
        share_left=None,
        method=method_words(part, pooled.k),
    )
