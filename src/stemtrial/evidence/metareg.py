"""Meta-regression: which features of the trials go with larger effects."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import (
    Floats,
    Heterogeneity,
    Method,
    Test,
    checked,
    critical,
    estimate_tau2,
    fit,
    heterogeneity,
    p_value,
    wald,
)


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of a moderator model: ``matrix`` (k, p) with the intercept first, and the coding that made it.

    ``levels`` holds the levels of each factor, its reference first; a numeric moderator has none.
    """

    names: tuple[str, ...]
    matrix: Floats
    levels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted moderator model.

    Attributes
    ----------
    design
        Column names and coding.
    estimate, se, ci_low, ci_high, statistic, p
        One entry a column, (p,).
    cov, df
        Covariance (p, p); degrees of freedom of the t distribution, ``None`` for the normal.
    residual_heterogeneity
        tau2, I2, H2 and QE left over.
    qm, qm_df, qm_p
        Omnibus test of all moderators: chi-square, or F with ``qm_df`` and ``df`` degrees of freedom.
    r2
        Share (%) of tau2 that the moderators take away; ``None`` where there is no tau2 to explain.
    k, method, test, level
        Number of studies and the choices made.
    """

    design: Design
    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    statistic: Floats
    p: Floats
    cov: Floats
    df: int | None
    residual_heterogeneity: Heterogeneity
    qm: float
    qm_df: int
    qm_p: float
    r2: float | None
    k: int
    method: Method
    test: Test
    level: float


@dataclass(frozen=True, eq=False)
class Predicted:
    """Mean effect at given moderators with its interval, and the interval for a new study's true effect."""

    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    prediction_low: Floats
    prediction_high: Floats


def design(moderators: Mapping[str, ArrayLike], k: int, reference: Mapping[str, str] | None = None) -> Design:
    """Code moderators as columns: numbers as they are, text and booleans as a factor with a reference.

    Parameters
    ----------
    moderators
        Name to values, each (k,).
    k
        Number of studies.
    reference
        Reference level of a factor; the first in sorted order where not given.

    Raises
    ------
    InputError
        Wrong length, missing or non-finite values, a factor with one level, columns that determine each
        other.

    Examples
    --------
    >>> design({"dose": [10, 50, 100], "origin": ["own", "donor", "own"]}, 3).names
    ('intercept', 'dose', 'origin=own')
    """
    names, columns, levels = ["intercept"], [np.ones(k)], {}
    for name, given in moderators.items():
        values = np.asarray(given)
        if values.shape != (k,):
            raise InputError(
                Problem("needs one value per study", field=name, value=values.shape, allowed=f"({k},)")
            )
        if values.dtype.kind in "fiu":
            bad = np.flatnonzero(~np.isfinite(values.astype(float)))
            if bad.size:
                problems = (
                    Problem(
                        "is missing or not finite",
                        row=int(i) + 1,
                        field=name,
                        value=float(values[i]),
                        hint="drop the study or the moderator",
                    )
                    for i in bad
                )
                raise InputError(*problems)
            names.append(name)
            columns.append(values.astype(float))
            continue
        text = np.array(["" if value is None else str(value) for value in values.tolist()])
        if "" in text:
            row = int(np.flatnonzero(text == "")[0]) + 1
            raise InputError(
                Problem("is missing", row=row, field=name, hint="drop the study or the moderator")
            )
        order = sorted(set(text.tolist()))
        base = (reference or {}).get(name, order[0])
        if base not in order or len(order) < 2:
            what = "is not a level" if len(order) > 1 else "has one level only"
            raise InputError(Problem(what, field=name, value=base, allowed=", ".join(order)))
        levels[name] = (base, *(level for level in order if level != base))
        for level in levels[name][1:]:
            names.append(f"{name}={level}")
            columns.append((text == level).astype(float))
    matrix = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(matrix / np.max(np.abs(matrix), axis=0).clip(min=1e-300)) < matrix.shape[1]:
        raise InputError(
            Problem(
                "determine each other, or one is constant",
                field="moderators",
                value=", ".join(names[1:]),
                hint="drop one of them",
            )
        )
    return Design(tuple(names), matrix, levels)


def regress(
    y: ArrayLike,
    v: ArrayLike,
    moderators: Mapping[str, ArrayLike],
    *,
    method: Method,
    test: Test,
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
) -> Regression:
    """Fit the mixed-effects model of effects on moderators (``metafor::rma`` with ``mods``).

    Parameters
    ----------
    y, v
        Effects and sampling variances, (k,).
    moderators, reference
        As in :func:`design`.
    method, test, level
        As in :func:`stemtrial.evidence.pairwise.pool`.

    Raises
    ------
    InputError
        Unusable numbers or moderators, or not more studies than coefficients.
    NotCredibleError
        tau2 did not converge.

    Examples
    --------
    >>> r = regress([-9, -7, -5, -1], [1, 1, 1, 1], {"months": [3, 6, 9, 12]}, method="DL", test="z")
    >>> [round(float(b), 3) for b in r.estimate]
    [-12.0, 0.867]
    """
    effects, variances = checked(y, v)
    columns = design(moderators, effects.size, reference)
    if len(columns.names) < 2:
        raise InputError(Problem("is empty", field="moderators", allowed="at least one"))
    x = columns.matrix
    model = fit(effects, variances, x, method, test)
    se = np.sqrt(np.diag(model.cov))
    half = critical(level, model.df) * se
    qm, qm_p = wald(model.beta[1:], model.cov[1:, 1:], model.df)
    total = estimate_tau2(effects, variances, x[:, :1], method)
    return Regression(
        design=columns,
        estimate=model.beta,
        se=se,
        ci_low=model.beta - half,
        ci_high=model.beta + half,
        statistic=model.beta / se,
        p=p_value(model.beta / se, model.df),
        cov=model.cov,
        df=model.df,
        residual_heterogeneity=heterogeneity(effects, variances, x, method, model.tau2, level),
        qm=qm,
        qm_df=x.shape[1] - 1,
        qm_p=qm_p,
        r2=max(0.0, 100 * (1 - model.tau2 / total)) if total > 0 else None,
        k=effects.size,
        method=method,
        test=test,
        level=level,
    )


def predict(regression: Regression, rows: ArrayLike) -> Predicted:
    """Predict at ``rows`` (m, p), columns as in ``regression.design.names`` with the intercept's ones."""
    x = np.atleast_2d(np.asarray(rows, dtype=float))
    if x.shape[1] != regression.estimate.size:
        raise InputError(
            Problem(
                "has the wrong number of columns",
                field="rows",
                value=x.shape[1],
                allowed=", ".join(regression.design.names),
            )
        )
    mean = x @ regression.estimate
    variance = np.sum((x @ regression.cov) * x, axis=1)
    c = critical(regression.level, regression.df)
    half, wide = c * np.sqrt(variance), c * np.sqrt(variance + regression.residual_heterogeneity.tau2)
    return Predicted(mean, np.sqrt(variance), mean - half, mean + half, mean - wide, mean + wide)
