"""Contrasts among several arms by one joint analysis, in every replicate at once."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from stemtrial.trial.analysis import Comparison, _within
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.mmrm import fit
from stemtrial.trial.mmrm_structures import structured
from stemtrial.trial.plan import SMALL_SAMPLE, Plan
from stemtrial.trial.rules import Covariance
from stemtrial.trial.stratified import dummies, stratified_contrasts

_BLOCK = 1 << 21
"""Readings analysed at a time."""


def ancova_contrasts(
    outcome: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    weights: np.ndarray,
) -> tuple[Comparison, ...]:
    r"""Combine the arms' means, adjusted for the baseline with one slope and one variance.

    With arms' means :math:`\bar x_a, \bar y_a` and sums of squares within arms, the adjusted combination is
    :math:`\sum w_a (\bar y_a - \hat b \bar x_a)`, with variance
    :math:`\sigma^2 \{\sum w_a^2/n_a + (\sum w_a \bar x_a)^2 / S_{xx}\}`.

    Parameters
    ----------
    outcome, baseline, seen
        One of each an arm, (replicates, patients).
    weights
        Of the arms, adding up to 0, (contrasts, arms).

    Returns
    -------
    tuple of Comparison
        One a contrast.

    Examples
    --------
    With two arms it is the analysis of covariance of the two:

    >>> from stemtrial.trial.analysis import ancova
    >>> rng = np.random.default_rng(1)
    >>> x, y, seen = rng.normal(60, 9, (2, 1, 30)), rng.normal(50, 9, (2, 1, 30)), np.ones((2, 1, 30), bool)
    >>> joint, pair = ancova_contrasts(y, x, seen, np.array([[-1.0, 1.0]]))[0], ancova(tuple(y), tuple(x), tuple(seen))
    >>> bool(np.allclose([joint.estimate, joint.se], [pair.estimate, pair.se]))
    True
    """
    arms = [np.stack(_within(y, x, m)) for y, x, m in zip(outcome, baseline, seen, strict=True)]
    n, mx, my = (np.stack([a[i] for a in arms], axis=1) for i in range(3))
    sxx, sxy, syy = (np.sum([a[i] for a in arms], axis=0) for i in (3, 4, 5))
    df = n.sum(axis=1) - len(arms) - 1
    possible = (n > 0).all(axis=1) & (df > 0) & (sxx > 0)
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = sxy / sxx
        variance = np.maximum(syy - slope * sxy, 0) / df
        for w in weights:
            estimate = my @ w - slope * (mx @ w)
            se = np.sqrt(variance * ((w**2 / n).sum(axis=1) + (mx @ w) ** 2 / sxx))
            p = 2 * stdtr(df, -np.abs(estimate / se))
            estimate, se, p = (np.where(possible, values, np.nan) for values in (estimate, se, p))
            found.append(Comparison(estimate, se, np.where(possible, df, 0), p))
    return tuple(found)


def contrasts(plan: Plan, arms: Sequence[ArmRecord], weights: np.ndarray) -> tuple[Comparison, ...]:
    """Combine arms at the main visit, by the trial's analysis of all of them together.

    Parameters
    ----------
    plan
        The trial.
    arms
        What was seen of each.
    weights
        Of the arms, adding up to 0, (contrasts, arms).

    Returns
    -------
    tuple of Comparison
        One a contrast.
    """
    main = plan.main_visit
    if plan.trial.question.analysis == "ancova":
        read = [plan.reading(arm, main) for arm in arms]
        seen = [plan.seen(arm, main) for arm in arms]
        if plan.adjusted:
            strata = [arm.places.stratum for arm in arms if arm.places is not None]
            return stratified_contrasts([y for y, _ in read], [x for _, x in read], seen, strata, weights)
        return ancova_contrasts([y for y, _ in read], [x for _, x in read], seen, weights)
    visits = range(len(plan.trial.visits_months))
    y = np.concatenate([np.stack([plan.reading(a, v)[0] for v in visits], axis=2) for a in arms], axis=1)
    x = np.concatenate([plan.reading(a, 0)[1] for a in arms], axis=1)
    here = np.concatenate([np.stack([plan.seen(a, v) for v in visits], axis=2) for a in arms], axis=1)
    x = x - x.mean(axis=1, keepdims=True)
    member = np.repeat(np.arange(len(arms)), [a.present.shape[2] for a in arms])
    arm = np.broadcast_to(
        (member[:, None] == np.arange(1, len(arms))).astype(float), (*x.shape, len(arms) - 1)
    )
    groups = [(np.arange(len(y)), np.empty((*x.shape, 0)))]
    if plan.adjusted:
        stratum = np.concatenate([a.places.stratum for a in arms if a.places is not None], axis=1)
        groups = dummies(stratum, here[:, :, -1])
    found = np.full((len(weights), 4, len(y)), np.nan)
    for rows, columns in groups:
        before = [np.ones_like(x[rows])[:, :, None], x[rows, :, None], columns]
        design = np.concatenate([*before, arm[rows]], axis=2)
        full = np.concatenate([np.zeros((len(weights), 2 + columns.shape[2])), weights[:, 1:]], axis=1)
        fitted = _repeated(y[rows], design, here[rows], full, plan.trial.question.structure)
        for i, c in enumerate(fitted):
            found[i][:, rows] = [values[:, main] for values in (c.estimate, c.se, c.df, c.p)]
    return tuple(Comparison(*values) for values in found)


def _repeated(
    y: np.ndarray, design: np.ndarray, here: np.ndarray, weights: np.ndarray, structure: Covariance
) -> tuple[Comparison, ...]:
    """Combine the design's columns by weights (contrasts, columns), at every visit."""
    if structure != "unstructured":
        return tuple(structured(y, design, here, w, SMALL_SAMPLE, structure) for w in weights)
    size = max(1, _BLOCK // y[0].size)
    parts = []
    for first in range(0, len(y), size):
        block = slice(first, first + size)
        model = fit(y[block], design[block], here[block])
        parts.append([model.contrast(w, SMALL_SAMPLE) for w in weights])
    return tuple(
        Comparison(
            *(
                np.concatenate([getattr(part[i], name) for part in parts])
                for name in ("estimate", "se", "df", "p")
            )
        )
        for i in range(len(weights))
    )
