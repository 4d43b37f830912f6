"""Subgroups: the pooled effect of each, and the test that they do not differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import (
    Fit,
    Floats,
    Heterogeneity,
    Method,
    Test,
    checked,
    choice,
    fit,
    heterogeneity,
    wald,
)
from stemtrial.evidence.pairwise import Pooled, pool, record

Tau2 = Literal["common", "separate"]


@dataclass(frozen=True)
class Subgroups:
    """Pooled effect of each subgroup and the test that they are equal.

    ``statistic`` is a chi-square with ``df`` degrees of freedom, or an F with ``df`` and ``df_residual``
    when the common model was fitted with a t-type test. ``tau2`` says whether subgroups share one tau2 or
    have their own.
    """

    groups: tuple[str, ...]
    pooled: tuple[Pooled, ...]
    statistic: float
    df: int
    df_residual: int | None
    p: float
    tau2: Tau2


def subgroups(
    y: ArrayLike,
    v: ArrayLike,
    group: Sequence[str],
    *,
    tau2: Tau2,
    method: Method,
    test: Test,
    level: float = 0.95,
) -> Subgroups:
    """Pool within subgroups and test whether the pooled effects differ.

    ``separate`` pools each subgroup alone and compares the pooled effects by Cochran's Q over their
    standard errors (Borenstein et al. 2009, chapter 19); ``common`` fits one model with the subgroup as a
    factor and one tau2, and tests the factor (Wald chi-square, or F for t-type tests). Subgroups keep the
    order of first appearance.

    Raises
    ------
    InputError
        Fewer than two subgroups, or, for ``common``, not more studies than subgroups.

    Examples
    --------
    >>> s = subgroups([-9, -7, -1, 0], [1, 1, 1, 1], ["open", "open", "double", "double"],
    ...               tau2="common", method="REML", test="z")
    >>> s.groups, round(s.statistic, 2)
    (('open', 'double'), 45.0)
    """
    choice("tau2", tau2, Tau2)
    effects, variances = checked(y, v)
    labels = np.array([str(g) for g in group])
    if labels.shape != effects.shape:
        raise InputError(
            Problem(
                "does not give one label per study",
                field="group",
                value=len(labels),
                allowed=str(effects.size),
            )
        )
    names = tuple(dict.fromkeys(labels.tolist()))
    if len(names) < 2:
        raise InputError(
            Problem("has a single value", field="group", value=names[0], allowed="at least two subgroups")
        )
    members = [labels == name for name in names]
    if tau2 == "separate":
        parts = tuple(pool(effects[m], variances[m], method=method, test=test, level=level) for m in members)
        means, weights = np.array([p.estimate for p in parts]), np.array([p.se**-2 for p in parts])
        q = float(np.sum(weights * (means - np.average(means, weights=weights)) ** 2))
        return Subgroups(names, parts, q, len(names) - 1, None, float(chdtrc(len(names) - 1, q)), tau2)
    x = np.stack(members, axis=1).astype(float)
    model = fit(effects, variances, x, method, test)
    parts = tuple(
        _within(effects[m], variances[m], model, j, method, test, level) for j, m in enumerate(members)
    )
    contrast = np.hstack([-np.ones((len(names) - 1, 1)), np.eye(len(names) - 1)])
    statistic, p = wald(contrast @ model.beta, contrast @ model.cov @ contrast.T, model.df)
    return Subgroups(names, parts, statistic, len(names) - 1, model.df, p, tau2)


def _within(y: Floats, v: Floats, model: Fit, j: int, method: Method, test: Test, level: float) -> Pooled:
    """Return subgroup ``j`` of a model with one tau2; what a single study cannot tell stays empty."""
    if y.size == 1:
        spread = Heterogeneity(model.tau2, None, None, None, None, None, None, 0, None)
    else:
        spread = replace(heterogeneity(y, v, np.ones((y.size, 1)), method, model.tau2, level), tau2_ci=None)
    weights = 1 / (v + model.tau2)
    return record(
        float(model.beta[j]), float(model.cov[j, j]), model.df, weights, spread, method, test, level, "test"
    )
