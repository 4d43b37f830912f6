"""Influence: how far each study moves the result, by leaving it out or letting it in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtr

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import Floats, Method, Test, checked, fit, fit_given
from stemtrial.evidence.pairwise import Pooled, pool


@dataclass(frozen=True, eq=False)
class Influence:
    """Case diagnostics, one entry a study, (k,); ``dfbetas`` is (k, p).

    Attributes
    ----------
    rstudent
        Externally standardised residual: how unexpected the study is for a model fitted without it.
    dffits
        Shift of the study's own fitted value by leaving it out, in standard errors.
    cooks_distance
        Shift of all coefficients together (squared Mahalanobis distance).
    covariance_ratio
        Generalised variance of the coefficients without the study over that with it; below 1, dropping it
        narrows the result.
    tau2_deleted, q_deleted
        tau2 and QE without the study.
    hat, weight
        Leverage, and share of the weight in percent.
    dfbetas
        Shift of each coefficient in its standard errors.
    influential
        ``True`` by the rule of Viechtbauer and Cheung: absolute dffits above 3 sqrt(p / (k - p)), Cook's
        distance above the median of chi-square with p degrees of freedom, hat above 3 p / k, or any absolute
        dfbetas above 1.
    """

    rstudent: Floats
    dffits: Floats
    cooks_distance: Floats
    covariance_ratio: Floats
    tau2_deleted: Floats
    q_deleted: Floats
    hat: Floats
    weight: Floats
    dfbetas: Floats
    influential: tuple[bool, ...]


def influence(
    y: ArrayLike, v: ArrayLike, *, method: Method, test: Test, matrix: ArrayLike | None = None
) -> Influence:
    """Diagnose the influence of each study (``metafor::influence``).

    Parameters
    ----------
    y, v
        Effects and sampling variances, (k,).
    method, test
        As in :func:`stemtrial.evidence.pairwise.pool`.
    matrix
        Moderator columns (k, p) with the intercept, as of :class:`stemtrial.evidence.metareg.Design`; the
        intercept alone where not given.

    Raises
    ------
    InputError
        Fewer than p + 2 studies, or a column that only one study carries.

    References
    ----------
    Viechtbauer and Cheung 2010, doi:10.1002/jrsm.11.

    Examples
    --------
    >>> found = influence([-5, -6, -4, -5, -30], [1, 1, 1, 1, 1], method="DL", test="z")
    >>> int(abs(found.rstudent).argmax())
    4
    """
    effects, variances = checked(y, v)
    x = np.ones((effects.size, 1)) if matrix is None else np.asarray(matrix, dtype=float)
    k, p = x.shape
    if k < p + 2:
        problem = Problem("too few studies to leave one out", value=k, allowed=f"at least {p + 2} studies")
        raise InputError(problem)
    full = fit(effects, variances, x, method, test)
    full_det = np.linalg.det(full.cov)
    rstudent, dffits, cook, ratio, tau2, q = (np.empty(k) for _ in range(6))
    dfbetas = np.empty((k, p))
    for i in range(k):
        keep = np.arange(k) != i
        if np.linalg.matrix_rank(x[keep]) < p:
            raise InputError(
                Problem("is the only study that carries a moderator level", row=i + 1, hint="merge levels")
            )
        part = fit(effects[keep], variances[keep], x[keep], method, test)
        # The spread of shifts is that of the whole data at the tau2 found without the study.
        whole = fit_given(effects, variances, x, part.tau2)
        scale = 1.0 if test in ("z", "t") else part.cov[0, 0] / part.cov_unscaled[0, 0]
        shift = full.beta - part.beta
        expected = float(x[i] @ part.beta)
        spread = variances[i] + part.tau2 + float(x[i] @ part.cov_unscaled @ x[i])
        rstudent[i] = (effects[i] - expected) / np.sqrt(scale * spread)
        dffits[i] = float(x[i] @ shift) / np.sqrt(scale * full.hat[i] * (variances[i] + part.tau2))
        dfbetas[i] = shift / np.sqrt(scale * np.diag(whole.cov_unscaled))
        cook[i] = float(shift @ np.linalg.solve(full.cov, shift))
        ratio[i] = np.linalg.det(part.cov) / full_det
        tau2[i] = part.tau2
        q[i] = fit_given(effects[keep], variances[keep], x[keep], 0.0).rss
    flagged = (
        (np.abs(dffits) > 3 * np.sqrt(p / (k - p)))
        | (chdtr(p, cook) > 0.5)
        | (full.hat > 3 * p / k)
        | np.any(np.abs(dfbetas) > 1, axis=1)
    )
    weight = 100 * full.weights / full.weights.sum()
    return Influence(
        rstudent, dffits, cook, ratio, tau2, q, full.hat, weight, dfbetas, tuple(flagged.tolist())
    )


def leave_one_out(
    y: ArrayLike, v: ArrayLike, *, method: Method, test: Test, level: float = 0.95
) -> tuple[Pooled, ...]:
    """Pool again without each study in turn; entry i leaves study i out. Needs two studies or more."""
    effects, variances = checked(y, v)
    if effects.size < 2:
        raise InputError(
            Problem("nothing is left without the only study", value=1, allowed="at least two studies")
        )
    keep = ~np.eye(effects.size, dtype=bool)
    return tuple(pool(effects[m], variances[m], method=method, test=test, level=level) for m in keep)


def cumulative(
    y: ArrayLike, v: ArrayLike, *, method: Method, test: Test, level: float = 0.95
) -> tuple[Pooled, ...]:
    """Pool the first 1, 2, ..., k studies in the order given (by year, usually)."""
    effects, variances = checked(y, v)
    return tuple(
        pool(effects[:i], variances[:i], method=method, test=test, level=level)
        for i in range(1, effects.size + 1)
    )
