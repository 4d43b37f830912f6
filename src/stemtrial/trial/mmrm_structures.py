r"""Covariance structures of a mixed model for repeated measures that are linear in fewer parameters than one a pair.

Compound symmetry has one variance and one covariance; a Toeplitz matrix one covariance for each number of visits that
lie between. Both are sums :math:`\Sigma = \sum_k \theta_k B_k` with fixed matrices, so that scoring, Satterthwaite's
degrees of freedom and the correction of Kenward and Roger are those of :mod:`stemtrial.trial.mmrm_scoring`, in these
parameters. A structure that does not hold biases standard errors; fewer parameters help small trials.
"""

import numpy as np

from stemtrial.trial.analysis import Comparison
from stemtrial.trial.mmrm_scoring import SmallSample, pattern_codes, scored
from stemtrial.trial.rules import Covariance

_BLOCK = 1 << 21
"""Elements of the tensors of one block of replicates."""

_SINGULAR = 1e-10
"""Smallest eigenvalue of scaled cross-products that are taken for regular."""


def structured(
    outcome: np.ndarray,
    design: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    small_sample: SmallSample,
    structure: Covariance,
) -> Comparison:
    """Fit a structured model by REML, and test a combination of the design's columns at every visit.

    Parameters
    ----------
    outcome
        (replicates, patients, visits).
    design
        Intercept, covariates and arms, (replicates, patients, columns); each has an effect of its own at every visit.
    seen
        Which readings count, (replicates, patients, visits); any may be missing.
    weights
        One for each column of the design, (columns,).
    small_sample
        Standard error and degrees of freedom.
    structure
        Of the covariance over visits.

    Returns
    -------
    Comparison
        Arrays (replicates, visits); NaN, with ``df`` 0, in a replicate whose patients do not suffice or whose fit did
        not converge.
    """
    replicates, _, visits = outcome.shape
    possible = _estimable(design, seen)
    values = {name: np.full((replicates, visits), np.nan) for name in ("estimate", "se", "df", "p")}
    values["df"][:] = 0
    which = np.flatnonzero(possible)
    patterns = max(1, np.unique(pattern_codes(seen[which])).size)
    rows = max(1, _BLOCK // (visits**4 * patterns))
    for first in range(0, len(which), rows):
        i = which[first : first + rows]
        start = _variance(outcome[i], design[i], seen[i])[:, None, None] * np.eye(visits)
        found = scored(outcome[i], design[i], seen[i], weights, small_sample, start, structure)
        for name, into in values.items():
            into[i] = getattr(found, name)
    return Comparison(values["estimate"], values["se"], values["df"], values["p"])


def _estimable(design: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Whether every visit has more patients than columns, and these are linearly independent, (replicates,)."""
    products = np.einsum("rpa,rpb,rpv->rvab", design, design, seen.astype(float), optimize=True)
    scale = np.sqrt(np.einsum("rvaa->rva", products))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = products / scale[..., :, None] / scale[..., None, :]
    smallest = np.linalg.eigvalsh(np.where(np.isfinite(scaled), scaled, 0))[..., 0]
    enough = seen.sum(axis=1) > design.shape[2]
    return np.asarray((enough & (smallest > _SINGULAR)).all(axis=1))


def _variance(outcome: np.ndarray, design: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Residual variance of regressions of each visit by itself, pooled, (replicates,)."""
    here = seen.astype(float)
    xx = np.einsum("rpa,rpb,rpv->rvab", design, design, here, optimize=True)
    xy = np.einsum("rpa,rpv,rpv->rva", design, outcome, here, optimize=True)
    slopes = np.linalg.solve(xx, xy[..., None])[..., 0]
    residual = (outcome - np.einsum("rpa,rva->rpv", design, slopes)) * here
    freedom = seen.sum(axis=(1, 2)) - design.shape[2] * seen.shape[2]
    return np.asarray(np.maximum((residual**2).sum(axis=(1, 2)) / freedom, 1e-12))
