"""Small-study diagnostics: do small trials show larger effects than large ones.

Below ten studies these methods cannot tell asymmetry from chance (Sterne et al. 2011,
doi:10.1136/bmj.d4002): every result then carries the status ``too_few_studies`` and no numbers.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.errors import InputError, NotCredibleError, Problem
from stemtrial.evidence.heterogeneity import (
    Floats,
    Method,
    Test,
    checked,
    choice,
    critical,
    fit,
    fit_given,
    p_value,
)
from stemtrial.evidence.pairwise import Pooled, pool

MINIMUM_STUDIES = 10
Status = Literal["ok", "too_few_studies"]


@dataclass(frozen=True)
class Egger:
    """Regression of effects on their standard errors: test of the slope, and the effect at standard error 0.

    ``df`` is that of the t distribution, ``None`` for the normal; all numbers are ``None`` when refused.
    """

    model: Literal["lm", "mixed"]
    statistic: float | None
    df: int | None
    p: float | None
    limit: float | None
    limit_ci: tuple[float, float] | None
    k: int
    status: Status


@dataclass(frozen=True)
class TrimAndFill:
    """Number of studies missing on one side, the filled-in effects, and the pooled effect with them.

    ``p`` tests that none is missing and exists for the estimator ``R0`` alone; ``pooled`` is ``None`` when
    refused.
    """

    estimator: Literal["L0", "R0"]
    side: Literal["left", "right"] | None
    missing: int | None
    missing_se: float | None
    p: float | None
    filled_y: tuple[float, ...]
    filled_v: tuple[float, ...]
    pooled: Pooled | None
    k: int
    status: Status


@dataclass(frozen=True)
class PetPeese:
    """Effect extrapolated to a trial without sampling error, with interval and which regression gave it.

    ``pet`` and ``peese`` are (estimate, se, two-sided p) of the two intercepts.
    """

    chosen: Literal["PET", "PEESE"] | None
    estimate: float | None
    ci: tuple[float, float] | None
    pet: tuple[float, float, float] | None
    peese: tuple[float, float, float] | None
    k: int
    status: Status


def egger(
    y: ArrayLike,
    v: ArrayLike,
    *,
    model: Literal["lm", "mixed"],
    method: Method = "REML",
    test: Test = "z",
    level: float = 0.95,
) -> Egger:
    """Test funnel-plot asymmetry by regression on the standard error (``metafor::regtest``).

    Parameters
    ----------
    y, v
        Effects and sampling variances, (k,).
    model
        ``lm``: weights 1/v with multiplicative dispersion and a t test, k - 2 degrees of freedom (Egger et
        al. 1997, doi:10.1136/bmj.315.7109.629); ``mixed``: meta-regression with ``method`` and ``test``
        (Sterne and Egger 2005).
    method, test
        For ``mixed`` alone, as in :func:`stemtrial.evidence.pairwise.pool`.
    level
        Of the interval of the limit.
    """
    choice("model", model, Literal["lm", "mixed"])
    effects, variances = checked(y, v)
    k = effects.size
    if k < MINIMUM_STUDIES:
        return Egger(model, None, None, None, None, None, k, "too_few_studies")
    beta, se, df = _intercept_and_slope(effects, variances, np.sqrt(variances), model, method, test)
    half = critical(level, df) * se[0]
    z = beta[1] / se[1]
    limit = float(beta[0])
    return Egger(
        model, float(z), df, float(p_value(z, df)), limit, (limit - float(half), limit + float(half)), k, "ok"
    )


def _intercept_and_slope(
    y: Floats, v: Floats, predictor: Floats, model: str, method: Method, test: Test
) -> tuple[Floats, Floats, int | None]:
    if np.ptp(predictor) <= 1e-12 * np.max(predictor):
        raise InputError(
            Problem("are all equal", field="variances", hint="asymmetry needs trials of different size")
        )
    x = np.column_stack([np.ones_like(y), predictor])
    # Weighted least squares with a free dispersion is the equal-effects model with the covariance of knha.
    found = fit(y, v, x, method, test) if model == "mixed" else fit_given(y, v, x, 0.0, "knha")
    return found.beta, np.sqrt(np.diag(found.cov)), found.df


def pet_peese(y: ArrayLike, v: ArrayLike, *, level: float = 0.95, alpha: float = 0.10) -> PetPeese:
    """Regress on the standard error (PET) and, if PET still sees an effect, on the variance (PEESE).

    Both are weighted least squares with weights 1/v and k - 2 degrees of freedom. PEESE's intercept is
    taken when PET's has a two-sided p below ``alpha`` (0.10: one-sided 0.05), PET's otherwise (Stanley and
    Doucouliagos 2014, doi:10.1002/jrsm.1095).
    """
    effects, variances = checked(y, v)
    k = effects.size
    if k < MINIMUM_STUDIES:
        return PetPeese(None, None, None, None, None, k, "too_few_studies")
    found: list[tuple[float, float, float]] = []
    for predictor in (np.sqrt(variances), variances):
        beta, se, df = _intercept_and_slope(effects, variances, predictor, "lm", "EE", "knha")
        found.append((float(beta[0]), float(se[0]), float(p_value(beta[0] / se[0], df))))
    chosen: Literal["PET", "PEESE"] = "PEESE" if found[0][2] < alpha else "PET"
    estimate, error, _ = found[chosen == "PEESE"]
    half = critical(level, k - 2) * error
    return PetPeese(chosen, estimate, (estimate - half, estimate + half), found[0], found[1], k, "ok")


def trim_and_fill(
    y: ArrayLike,
    v: ArrayLike,
    *,
    estimator: Literal["L0", "R0"],
    method: Method,
    test: Test,
    side: Literal["left", "right"] | None = None,
    level: float = 0.95,
    max_steps: int = 100,
) -> TrimAndFill:
    """Estimate studies missing from one side of the funnel, mirror the most extreme ones, pool again.

    Duval and Tweedie 2000, doi:10.1111/j.0006-341x.2000.00455.x (``metafor::trimfill``). A look at how
    sensitive the result is, not a corrected estimate.

    Parameters
    ----------
    estimator
        ``L0`` from the rank sum, ``R0`` from the rightmost run (which also gives a test).
    side
        Where studies are missing; where not given, the side Egger's mixed model points to.

    Raises
    ------
    NotCredibleError
        The number of missing studies kept changing for ``max_steps`` rounds.
    """
    choice("estimator", estimator, Literal["L0", "R0"])
    effects, variances = checked(y, v)
    k = effects.size
    if k < MINIMUM_STUDIES:
        return TrimAndFill(estimator, None, None, None, None, (), (), None, k, "too_few_studies")
    if side is None:
        slope = egger(effects, variances, model="mixed", method=method, test=test).statistic
        side = "left" if slope is not None and slope > 0 else "right"
    choice("side", side, Literal["left", "right"])
    sign = 1.0 if side == "left" else -1.0
    order = np.argsort(sign * effects, kind="stable")
    values, spread = sign * effects[order], variances[order]
    missing, now, raw, centre = -1, 0, 0.0, 0.0
    for _ in range(max_steps):
        if now == missing:
            break
        missing = now
        kept = slice(0, k - missing)
        centre = pool(values[kept], spread[kept], method=method, test="z").estimate
        away = values - centre
        ranks = np.empty(k)
        ranks[np.argsort(np.abs(away), kind="stable")] = np.arange(1, k + 1)
        ranks *= np.sign(away)
        raw = _missing(ranks, estimator)
        now = min(max(0, round(raw)), k - 2)
    else:
        raise NotCredibleError(
            f"trim and fill did not settle in {max_steps} rounds; use the other estimator or method EE"
        )
    top = slice(k - missing, k)
    filled_y, filled_v = sign * (2 * centre - values[top]), spread[top]
    pooled = pool(
        np.append(effects, filled_y), np.append(variances, filled_v), method=method, test=test, level=level
    )
    p = 0.5 ** (missing + 1) if estimator == "R0" else None
    return TrimAndFill(
        estimator,
        side,
        missing,
        _missing_se(k, raw, estimator),
        p,
        tuple(filled_y.tolist()),
        tuple(filled_v.tolist()),
        pooled,
        k,
        "ok",
    )


def _missing(ranks: Floats, estimator: str) -> float:
    k = ranks.size
    if estimator == "L0":
        return float((4 * ranks[ranks > 0].sum() - k * (k + 1)) / (2 * k - 1))
    return float(k - np.max(-ranks[ranks < 0], initial=0) - 1)


def _missing_se(k: int, m: float, estimator: str) -> float | None:
    """Return the standard error at the unrounded ``m``; ``None`` where the published variance is negative."""
    if estimator == "R0":
        return float(np.sqrt(2 * max(0.0, m) + 2))
    total = (
        k * (k + 1) * (2 * k + 1) + 10 * m**3 + 27 * m**2 + 17 * m - 18 * k * m**2 - 18 * k * m + 6 * k**2 * m
    )
    return float(4 * np.sqrt(total / 24) / (2 * k - 1)) if total >= 0 else None
