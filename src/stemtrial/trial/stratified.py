"""Analyses adjusted for the strata of the randomisation, over all replicates at once."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from stemtrial.trial.analysis import Comparison
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.mmrm_scoring import SmallSample
from stemtrial.trial.rules import Covariance

FEWEST = 4
"""Patients seen at the last visit below which a stratum is pooled with the largest by a repeated-measures analysis."""


def stratified_contrasts(
    outcome: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    strata: Sequence[np.ndarray],
    weights: np.ndarray,
) -> tuple[Comparison, ...]:
    r"""Combine the arms' means by analysis of covariance with an effect of each stratum.

    The model is :math:`y = a_s + b x + d_k + e` for a patient of stratum s in arm k. Within strata, deviations from the
    stratum's means follow the same regression without :math:`a_s` (Frisch & Waugh 1933, *Econometrica* 1:387), so that
    only a matrix of the size of the number of arms is inverted. A stratum with one patient drops out by itself.

    Parameters
    ----------
    outcome, baseline, seen, strata
        One of each an arm, (replicates, patients).
    weights
        Of the arms, adding up to 0, (contrasts, arms).

    Returns
    -------
    tuple of Comparison
        One a contrast.
    """
    here = np.concatenate(seen, axis=1)
    stratum = np.where(here, np.concatenate(strata, axis=1), -1)
    arm = np.repeat(np.arange(len(outcome)), [y.shape[1] for y in outcome])
    columns = [np.concatenate(baseline, axis=1)]
    columns += [np.broadcast_to((arm == k).astype(float), here.shape) for k in range(1, len(outcome))]
    columns.append(np.concatenate(outcome, axis=1))
    deviation = [np.zeros(here.shape) for _ in columns]
    found = np.zeros(len(here), np.int64)
    for k in range(int(stratum.max(initial=-1)) + 1):
        own = stratum == k
        n = own.sum(axis=1)
        found += n > 0
        for values, into in zip(columns, deviation, strict=True):
            mean = np.where(own, values, 0.0).sum(axis=1) / np.maximum(n, 1)
            into += np.where(own, values - mean[:, None], 0.0)
    x, y = np.stack(deviation[:-1], axis=2), deviation[-1]
    xx = np.einsum("rpa,rpb->rab", x, x)
    unknown = x.shape[2]
    df = here.sum(axis=1) - found - unknown
    size = np.sqrt(np.einsum("raa->ra", xx))
    scale = np.where(size > 0, size, 1.0)
    correlation = xx / (scale[:, :, None] * scale[:, None])
    possible = (df > 0) & (np.linalg.eigvalsh(correlation)[:, 0] > 1e-10)
    inverse = np.linalg.inv(np.where(possible[:, None, None], xx, np.eye(unknown)))
    slopes = np.einsum("rab,rpb,rp->ra", inverse, x, y)
    residual = y - np.einsum("rpa,ra->rp", x, slopes)
    variance = (residual**2).sum(axis=1) / np.maximum(df, 1)
    return tuple(_contrast(slopes, inverse, variance, df, possible, np.array([0.0, *w[1:]])) for w in weights)


def _contrast(
    slopes: np.ndarray,
    inverse: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray,
    possible: np.ndarray,
    w: np.ndarray,
) -> Comparison:
    estimate = np.where(possible, slopes @ w, np.nan)
    se = np.where(possible, np.sqrt(variance * np.einsum("a,rab,b->r", w, inverse, w)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(np.maximum(df, 1), -np.abs(estimate / se))
    return Comparison(estimate, se, np.where(possible, df, 0), p)


def stratified_ancova(
    outcome: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    strata: Sequence[np.ndarray],
) -> Comparison:
    """Compare two arms, adjusted for baseline and strata; arguments as :func:`stratified_contrasts`.

    Examples
    --------
    With one stratum it is the analysis of covariance:

    >>> from stemtrial.trial.analysis import ancova
    >>> rng = np.random.default_rng(1)
    >>> x, y, seen = rng.normal(60, 9, (2, 1, 30)), rng.normal(50, 9, (2, 1, 30)), np.ones((2, 1, 30), bool)
    >>> one, plain = stratified_ancova(y, x, seen, np.zeros((2, 1, 30), int)), ancova(tuple(y), tuple(x), tuple(seen))
    >>> bool(np.allclose([one.estimate, one.se, one.df, one.p], [plain.estimate, plain.se, plain.df, plain.p]))
    True
    """
    return stratified_contrasts(outcome, baseline, seen, strata, np.array([[-1.0, 1.0]]))[0]


def dummies(stratum: np.ndarray, seen: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Columns of the strata for a design with an intercept, by the number of strata left after pooling.

    Strata with fewer than :data:`FEWEST` patients seen are pooled with the largest, which has no column.

    Parameters
    ----------
    stratum
        Of each patient, (replicates, patients).
    seen
        Whether the patient is seen at the last visit, (replicates, patients).

    Returns
    -------
    list of tuple
        Replicates with the same number of strata, and their columns, (replicates, patients, strata - 1).
    """
    number = int(stratum.max(initial=0)) + 1
    member = stratum[:, :, None] == np.arange(number)
    count = (member & seen[:, :, None]).sum(axis=1)
    order = np.argsort(-count, axis=1, kind="stable")
    kept = np.maximum((count >= FEWEST).sum(axis=1), 1)
    found = []
    for m in np.unique(kept):
        rows = np.flatnonzero(kept == m)
        columns = np.take_along_axis(member[rows], order[rows, None, 1:m], axis=2)
        found.append((rows, columns.astype(float)))
    return found


def stratified_mmrm(
    outcome: tuple[np.ndarray, np.ndarray],
    baseline: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    strata: tuple[np.ndarray, np.ndarray],
    small_sample: SmallSample,
    structure: Covariance = "unstructured",
) -> Comparison:
    """Compare two arms at every visit by :func:`stemtrial.trial.mmrm.mmrm` with an effect of each stratum by visit.

    Parameters
    ----------
    outcome, baseline, seen, small_sample, structure
        As there.
    strata
        Of the comparator and of the experimental arm, (replicates, patients).

    Returns
    -------
    Comparison
        Arrays (replicates, visits).
    """
    last = np.concatenate([s[-1] for s in seen], axis=1)
    found = {name: np.zeros((last.shape[0], outcome[0].shape[0])) for name in ("estimate", "se", "df", "p")}
    for rows, columns in dummies(np.concatenate(strata, axis=1), last):
        y, x, here = (
            (outcome[0][:, rows], outcome[1][:, rows]),
            (baseline[0][rows], baseline[1][rows]),
            (
                seen[0][:, rows],
                seen[1][:, rows],
            ),
        )
        part = mmrm(y, x, here, small_sample, columns, structure)
        for name, values in found.items():
            values[rows] = getattr(part, name)
    return Comparison(found["estimate"], found["se"], found["df"], found["p"])
