"""The linear model under every pooled estimate and the spread of true effects around it.

The model of k independent studies is ``y = X b + u + e`` with known sampling variances ``var(e_i) = v_i`` and
one variance ``tau2`` of the true effects, ``var(u_i) = tau2``. With weights ``w = 1 / (v + tau2)`` and
``P = W - W X (X'WX)^-1 X'W``, everything here is a function of ``y'Py``, ``y'PPy``, ``tr P`` and ``tr PP``
(Viechtbauer 2005, doi:10.3102/10769986030003261). Results agree with R ``metafor`` (``rma``, ``confint``).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri, fdtrc, ndtr, ndtri, stdtr, stdtrit

from stemtrial.errors import InputError, NotCredibleError, Problem

Floats = NDArray[np.float64]
Method = Literal["EE", "DL", "PM", "ML", "REML"]
Test = Literal["z", "t", "knha", "adhoc"]


@dataclass(frozen=True, eq=False)
class Fit:
    """Weighted least squares of y on X with its inference.

    Attributes
    ----------
    beta, cov
        Coefficients (p,) and their covariance (p, p), scaled when ``test`` is ``knha`` or ``adhoc``.
    cov_unscaled
        ``(X'WX)^-1``.
    df
        Degrees of freedom of the t distribution; ``None`` for the normal.
    tau2
        Variance of the true effects the weights were made with.
    weights, residual, hat
        ``1 / (v + tau2)``, ``y - X beta`` and the diagonal of the hat matrix, each (k,).
    trace_p, trace_pp, rss, ypp
        ``tr P``, ``tr PP``, ``y'Py`` and ``y'PPy``.
    log_det
        ``log det X'WX``.
    """

    beta: Floats
    cov: Floats
    cov_unscaled: Floats
    df: int | None
    tau2: float
    weights: Floats
    residual: Floats
    hat: Floats
    trace_p: float
    trace_pp: float
    rss: float
    ypp: float
    log_det: float


@dataclass(frozen=True)
class Heterogeneity:
    """How far true effects differ: tau2 and its Q-profile interval, I2 (%), H2, Cochran's Q (df, p).

    ``None`` where a single study cannot tell; equal effects have no intervals.
    """

    tau2: float
    tau2_ci: tuple[float, float] | None
    i2: float | None
    i2_ci: tuple[float, float] | None
    h2: float | None
    h2_ci: tuple[float, float] | None
    q: float | None
    q_df: int
    q_p: float | None


def checked(y: ArrayLike, v: ArrayLike) -> tuple[Floats, Floats]:
    """Return estimates and variances as float arrays (k,), or say which study cannot be used.

    Raises
    ------
    InputError
        No study at all, unequal lengths, an estimate that is not finite, a variance not positive and finite.
    """
    effects, variances = np.array(y, dtype=float, ndmin=1), np.array(v, dtype=float, ndmin=1)
    if effects.ndim != 1 or effects.shape != variances.shape:
        lengths = f"{effects.shape} and {variances.shape}"
        raise InputError(
            Problem(
                "differ in shape", field="estimates and variances", value=lengths, allowed="one variance each"
            )
        )
    if effects.size == 0:
        raise InputError(
            Problem("no study to pool", allowed="at least one study", hint="loosen the selection")
        )
    bad = [
        Problem(
            "cannot be pooled",
            row=i + 1,
            field=field,
            value=float(value),
            allowed=allowed,
            hint="drop the study",
        )
        for field, values, fine, allowed in (
            ("estimate", effects, np.isfinite(effects), "a finite number"),
            ("variance", variances, np.isfinite(variances) & (variances > 0), "above 0 and finite"),
        )
        for i, value in enumerate(values)
        if not fine[i]
    ]
    if bad:
        raise InputError(*bad)
    return effects, variances


def choice(name: str, value: str, allowed: object) -> None:
    """Raise :class:`InputError` unless ``value`` is one of the literals of the type ``allowed``."""
    options = get_args(allowed)
    if value not in options:
        raise InputError(Problem("is unknown", field=name, value=value, allowed=", ".join(options)))


def fit_given(y: Floats, v: Floats, x: Floats, tau2: float, test: Test = "z") -> Fit:
    """Fit the model at a known ``tau2``; ``x`` (k, p) has full column rank, k > p unless ``test`` is ``z``.

    ``knha`` multiplies the covariance by ``y'Py / (k - p)`` (Hartung and Knapp 2001, doi:10.1002/sim.1009;
    Sidik and Jonkman 2002, doi:10.1002/sim.1262); ``adhoc`` does so only where that widens the interval.
    """
    k, p = x.shape
    w = 1 / (v + tau2)
    root = np.sqrt(w)
    q, r = np.linalg.qr(root[:, None] * x)
    beta = np.linalg.solve(r, q.T @ (root * y))
    r_inverse = np.linalg.inv(r)
    residual = y - x @ beta
    hat = np.sum(q * q, axis=1)
    inner = q.T @ (w[:, None] * q)
    rss = float(np.sum(w * residual**2))
    scale = 1.0 if test in ("z", "t") else rss / (k - p)
    if test == "adhoc":
        scale = max(1.0, scale)
    unscaled = r_inverse @ r_inverse.T
    return Fit(
        beta=beta,
        cov=scale * unscaled,
        cov_unscaled=unscaled,
        df=None if test == "z" else k - p,
        tau2=float(tau2),
        weights=w,
        residual=residual,
        hat=hat,
        trace_p=float(np.sum(w * (1 - hat))),
        trace_pp=float(np.sum(w * w * (1 - 2 * hat)) + np.sum(inner * inner)),
        rss=rss,
        ypp=float(np.sum((w * residual) ** 2)),
        log_det=2 * float(np.sum(np.log(np.abs(np.diag(r))))),
    )


def fit(y: Floats, v: Floats, x: Floats, method: Method, test: Test, max_steps: int = 1000) -> Fit:
    """Estimate ``tau2`` by ``method`` and fit the model at it.

    Raises
    ------
    InputError
        Unknown method or test, or not more studies than coefficients.
    NotCredibleError
        The iteration for ``tau2`` did not converge, or ``knha`` meets effects without scatter.
    """
    choice("method", method, Method)
    choice("test", test, Test)
    k, p = x.shape
    if k <= p:
        raise InputError(
            Problem(
                "too few studies for the model",
                value=k,
                allowed=f"more than {p} studies",
                hint="use fewer moderators",
            )
        )
    found = fit_given(y, v, x, estimate_tau2(y, v, x, method, max_steps), test)
    if test == "knha" and found.rss <= 1e-12 * (k - p):
        raise NotCredibleError(
            "effects without any scatter give a Hartung-Knapp standard error of 0; use test t or adhoc"
        )
    return found


def estimate_tau2(y: Floats, v: Floats, x: Floats, method: Method, max_steps: int = 1000) -> float:
    """Estimate the variance of true effects.

    ``EE`` 0 by definition; ``DL`` DerSimonian and Laird 1986 (doi:10.1016/0197-2456(86)90046-2); ``PM`` Paule
    and Mandel 1982 (doi:10.6028/jres.087.022); ``ML`` and ``REML`` by Fisher scoring.
    """
    df = x.shape[0] - x.shape[1]
    if method == "EE":
        return 0.0
    fixed = fit_given(y, v, x, 0.0)
    if method == "DL":
        return max(0.0, float((fixed.rss - df) / fixed.trace_p))
    if method == "PM":
        return _q_inverse(y, v, x, float(df), max_steps)
    return _fisher_scoring(y, v, x, method == "REML", max_steps)


def _fisher_scoring(y: Floats, v: Floats, x: Floats, restricted: bool, max_steps: int) -> float:
    """Step from Hedges' estimate until the slope of the likelihood turns; there finish by Brent's method.

    Plain scoring can circle for ever round a flat maximum near 0.
    """

    def slope(tau2: float) -> tuple[float, float]:
        f = fit_given(y, v, x, tau2)
        if restricted:
            return f.ypp - f.trace_p, f.trace_pp
        return f.ypp - float(np.sum(f.weights)), float(np.sum(f.weights**2))

    ols = fit_given(y, np.ones_like(v), x, 0.0)
    now = max(0.0, (ols.rss - float(np.sum(v * (1 - ols.hat)))) / ols.trace_p)
    tiny = 1e-13 * (float(np.mean(v)) + now)
    up, information = slope(now)
    for _ in range(max_steps):
        new = max(0.0, now + up / information)
        new_up, information = slope(new)
        if abs(new - now) <= tiny:
            return float(new)
        if up * new_up < 0:
            from scipy.optimize import brentq

            return float(brentq(lambda tau2: slope(tau2)[0], now, new, xtol=tiny, maxiter=1000))
        now, up = new, new_up
    name = "REML" if restricted else "ML"
    raise NotCredibleError(
        f"the {name} estimate of tau2 did not converge in {max_steps} steps (last value {now:.6g}); "
        "allow more steps, or use method PM or DL"
    )


def _q_inverse(y: Floats, v: Floats, x: Floats, target: float, max_steps: int = 1000) -> float:
    """Return tau2 >= 0 with y'Py = target; 0 when y'Py is below it already at 0.

    y'Py is convex and falls in tau2 (its slope is -y'PPy): Newton's steps from the left never pass the root.
    """
    tau2: float = 0.0
    for _ in range(max_steps):
        f = fit_given(y, v, x, tau2)
        step = (f.rss - target) / f.ypp if f.ypp > 0 else 0.0
        if step <= 1e-14 * (tau2 + float(np.min(v))):
            return tau2
        tau2 += step
    raise NotCredibleError(
        f"tau2 with generalised Q = {target:.6g} was not found in {max_steps} steps; use method DL"
    )


def heterogeneity(
    y: Floats, v: Floats, x: Floats, method: Method, tau2: float, level: float = 0.95
) -> Heterogeneity:
    """Describe heterogeneity around the model at ``tau2``.

    I2 and H2 compare tau2 with the typical sampling variance ``(k - p) / tr P`` (Higgins and Thompson 2002,
    doi:10.1002/sim.1186), for ``EE`` with Q itself; the interval of tau2 inverts the generalised Q statistic
    (Viechtbauer 2007, doi:10.1002/sim.2514).
    """
    df = x.shape[0] - x.shape[1]
    fixed = fit_given(y, v, x, 0.0)
    q, q_p = fixed.rss, float(chdtrc(df, fixed.rss))
    if method == "EE":
        return Heterogeneity(
            0.0, None, max(0.0, 100 * (1 - df / q)) if q > 0 else 0.0, None, q / df, None, q, df, q_p
        )
    typical = df / fixed.trace_p
    low, high = (_q_inverse(y, v, x, float(chdtri(df, tail))) for tail in ((1 - level) / 2, (1 + level) / 2))
    i2, i2_low, i2_high = (100 * t / (t + typical) for t in (tau2, low, high))
    h2, h2_low, h2_high = (1 + t / typical for t in (tau2, low, high))
    return Heterogeneity(tau2, (low, high), i2, (i2_low, i2_high), h2, (h2_low, h2_high), q, df, q_p)


def critical(level: float, df: int | None) -> float:
    """Two-sided critical value of the normal (``df`` None) or t distribution."""
    upper = (1 + level) / 2
    return float(ndtri(upper) if df is None else stdtrit(df, upper))


def p_value(statistic: ArrayLike, df: int | None) -> Floats:
    """Two-sided p value(s) of a normal (``df`` None) or t statistic."""
    low = -np.abs(np.asarray(statistic, dtype=float))
    return np.asarray(2 * (ndtr(low) if df is None else stdtr(df, low)), dtype=float)


def wald(beta: Floats, cov: Floats, df: int | None) -> tuple[float, float]:
    """Omnibus test that all ``beta`` are 0: chi-square (``df`` None) or F statistic, and its p value."""
    m = beta.size
    chi2 = float(beta @ np.linalg.solve(cov, beta))
    return (chi2, float(chdtrc(m, chi2))) if df is None else (chi2 / m, float(fdtrc(m, df, chi2 / m)))
