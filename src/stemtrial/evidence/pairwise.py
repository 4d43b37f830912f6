"""Pairwise meta-analysis: one pooled effect of k studies, its intervals and its spread."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import (
    Floats,
    Heterogeneity,
    Method,
    Test,
    checked,
    choice,
    critical,
    fit,
    heterogeneity,
    p_value,
)

Prediction = Literal["test", "riley"]


@dataclass(frozen=True)
class Pooled:
    """One pooled effect.

    Attributes
    ----------
    estimate, se, ci, statistic, p, df
        Pooled effect, standard error, interval, test against 0; ``df`` of the t distribution, ``None`` if
        normal.
    prediction
        Interval for the true effect of a new study; ``None`` for equal effects or a single study.
    tau2, tau2_ci, i2, h2, q, q_df, q_p
        Variance of true effects with its Q-profile interval, I2 (%), H2, Cochran's Q; ``None`` where one
        study cannot tell.
    weights
        Share of each study in the estimate, in percent.
    k, method, test, level
        Number of studies and the choices made.
    status
        ``ok``, or ``single_study``: nothing was pooled and the one study is given with its normal interval.
    """

    estimate: float
    se: float
    ci: tuple[float, float]
    statistic: float
    p: float
    df: int | None
    prediction: tuple[float, float] | None
    tau2: float | None
    tau2_ci: tuple[float, float] | None
    i2: float | None
    h2: float | None
    q: float | None
    q_df: int
    q_p: float | None
    weights: tuple[float, ...]
    k: int
    method: Method
    test: Test
    level: float
    status: Literal["ok", "single_study"]


def pool(
    y: ArrayLike,
    v: ArrayLike,
    *,
    method: Method,
    test: Test,
    level: float = 0.95,
    prediction: Prediction = "test",
    max_steps: int = 1000,
) -> Pooled:
    """Pool k independent effects.

    Parameters
    ----------
    y, v
        Effects and sampling variances, (k,), in one unit and its square.
    method
        ``EE`` equal effects, or the estimator of tau2: ``DL``, ``PM``, ``ML``, ``REML``.
    test
        ``z`` normal; ``t`` with k - 1 degrees of freedom; ``knha`` Hartung-Knapp; ``adhoc`` Hartung-Knapp
        never narrower than ``t``.
    level
        Of all intervals.
    prediction
        ``test``: estimate ± c sqrt(se² + tau2) with c of the chosen test, as ``metafor``; ``riley``: c of
        the t distribution with k - 2 degrees of freedom (Higgins, Thompson and Spiegelhalter 2009,
        doi:10.1111/j.1467-985X.2008.00552.x); undefined for two studies.
    max_steps
        Largest number of steps for an iterated tau2.

    Returns
    -------
    Pooled

    Raises
    ------
    InputError
        No study, unusable numbers, unknown choices.
    NotCredibleError
        tau2 did not converge.

    Examples
    --------
    >>> result = pool([-8.0, -3.5, -12.0], [4.0, 6.0, 9.0], method="REML", test="knha")
    >>> round(result.estimate, 2), round(result.i2), result.status
    (-7.62, 61, 'ok')
    """
    choice("method", method, Method)
    choice("test", test, Test)
    choice("prediction", prediction, Prediction)
    if not 0 < level < 1:
        raise InputError(
            Problem("is no probability", field="level", value=level, allowed="above 0 and below 1")
        )
    effects, variances = checked(y, v)
    if effects.size == 1:
        return _single(float(effects[0]), float(variances[0]), method, test, level)
    x = np.ones((effects.size, 1))
    model = fit(effects, variances, x, method, test, max_steps)
    spread = heterogeneity(effects, variances, x, method, model.tau2, level)
    return record(
        float(model.beta[0]),
        float(model.cov[0, 0]),
        model.df,
        model.weights,
        spread,
        method,
        test,
        level,
        prediction,
    )


def record(
    estimate: float,
    variance: float,
    df: int | None,
    weights: Floats,
    spread: Heterogeneity,
    method: Method,
    test: Test,
    level: float,
    prediction: Prediction,
) -> Pooled:
    """Make the result of one pooled coefficient from its variance and the spread around it."""
    se = float(np.sqrt(variance))
    half = critical(level, df) * se
    interval = None
    if method != "EE" and (prediction == "test" or weights.size > 2):
        wide = critical(level, df if prediction == "test" else weights.size - 2) * float(
            np.sqrt(variance + spread.tau2)
        )
        interval = (estimate - wide, estimate + wide)
    return Pooled(
        estimate=estimate,
        se=se,
        ci=(estimate - half, estimate + half),
        statistic=estimate / se,
        p=float(p_value(estimate / se, df)),
        df=df,
        prediction=interval,
        tau2=spread.tau2,
        tau2_ci=spread.tau2_ci,
        i2=spread.i2,
        h2=spread.h2,
        q=spread.q,
        q_df=spread.q_df,
        q_p=spread.q_p,
        weights=tuple(float(w) for w in 100 * weights / weights.sum()),
        k=weights.size,
        method=method,
        test=test,
        level=level,
        status="ok",
    )


def _single(y: float, v: float, method: Method, test: Test, level: float) -> Pooled:
    se = float(np.sqrt(v))
    half = critical(level, None) * se
    return Pooled(
        estimate=y,
        se=se,
        ci=(y - half, y + half),
        statistic=y / se,
        p=float(p_value(y / se, None)),
        df=None,
        prediction=None,
        tau2=None,
        tau2_ci=None,
        i2=None,
        h2=None,
        q=None,
        q_df=0,
        q_p=None,
        weights=(100.0,),
        k=1,
        method=method,
        test=test,
        level=level,
        status="single_study",
    )
