r"""Mixed model for repeated measures (MMRM), unstructured covariance in closed form, in every replicate at once.

Every visit has its own intercept, treatment effects and slopes of the covariates; the covariance :math:`\Sigma` over
visits is free. Where patients who leave do not come back (monotone missingness) nothing has to be iterated. Write

.. math:: y_j = X\alpha_j + \sum_{k<j} \phi_{jk}\,y_k + e_j, \qquad e_j \sim N(0, d_j),

with independent :math:`e_j`. It is the same model: :math:`\Sigma = T D T^\top` and :math:`\beta = T\alpha` with
:math:`T=(I-\Phi)^{-1}`. The step from :math:`\beta` to :math:`\alpha` has determinant one, so integrating the
likelihood over :math:`\beta`, which is what REML does, integrates each factor over its own :math:`\alpha_j`; the
restricted likelihood falls apart into one regression a visit, among the patients seen there, with
:math:`\hat d_j = \mathrm{RSS}_j/(n_j-p)`. For likelihood instead of REML this is Anderson (1957, *JASA* 52:200). On
complete data the contrast of each visit is its analysis of covariance.

The variance of a contrast of :math:`\beta_v` is :math:`\sum_j T_{vj}^2 d_j\,c^\top(X_j^\top X_j)^{-1}c`. Its degrees of
freedom are Satterthwaite's, from the information of the restricted likelihood (Fai & Cornelius 1996, *Journal of
Statistical Computation and Simulation* 54:363), which is block-diagonal in :math:`(\phi_j, d_j)`. The
correction of Kenward & Roger (1997, *Biometrics* 53:983), in their form for a covariance linear in its parameters, is
closed too: the estimate does not depend on the :math:`d_j` once :math:`\Phi` is given, and
:math:`\partial\hat\beta_v/\partial\phi_{ab}` is :math:`T_{va}` times the difference between :math:`\hat\beta_b` and the
least-squares estimate among the patients seen at visit a. So

.. math:: \Lambda_v = \sum_a T_{va}^2 \frac{d_a}{n_a-p}
          \left\{(a-1)\,c^\top(X_a^\top X_a)^{-1}c - \mathrm{tr}(\Sigma_{<a}^{-1} C_{<a})\right\},

with :math:`C` the covariance of the estimated contrasts over visits; it is 0 on complete data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from stemtrial.errors import InputError, Problem
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.mmrm_scoring import SmallSample, pattern_codes, scored
from stemtrial.trial.mmrm_structures import structured
from stemtrial.trial.rules import Covariance

_BLOCK = 1 << 21
"""Readings analysed at a time."""

_SINGULAR = 1e-10
"""Smallest eigenvalue of a correlation matrix that is taken for regular."""


@dataclass(frozen=True, eq=False)
class RepeatedMeasures:
    """Fitted models; NaN from the first visit on at which a replicate has too few patients or a singular design.

    Attributes
    ----------
    coefficients
        Of each visit, (replicates, visits, columns of the design).
    covariance
        REML estimate of the covariance over visits, (replicates, visits, visits).
    path
        The matrix T: how much an innovation at one visit moves each later one, (replicates, visits, visits).
    innovation
        Variances d of the innovations, (replicates, visits).
    freedom
        Patients seen at each visit less columns of the design, (replicates, visits).
    leverage
        Inverse cross-products of the design of the patients seen, (replicates, visits, columns, columns).
    information
        Residual cross-products of the earlier visits among the patients seen, one (replicates, j, j) for visit j.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    path: np.ndarray
    innovation: np.ndarray
    freedom: np.ndarray
    leverage: np.ndarray
    information: tuple[np.ndarray, ...]

    def contrast(self, weights: np.ndarray, small_sample: SmallSample) -> Comparison:
        r"""Estimate and test a combination of the design's columns at every visit.

        Parameters
        ----------
        weights
            One for each column of the design, (columns,).
        small_sample
            ``satterthwaite``: standard error as estimated, degrees of freedom from the observed information.
            ``kenward_roger``: variance enlarged by :math:`2\Lambda`, degrees of freedom from the expected information.

        Returns
        -------
        Comparison
            Arrays (replicates, visits).
        """
        known = np.isfinite(self.innovation)
        path, d, freedom = self.path, np.where(known, self.innovation, 0), np.where(known, self.freedom, 1)
        estimate = self.coefficients @ weights
        unit = np.einsum("rjab,a,b->rj", self.leverage, weights, weights)
        # Covariance of the contrasts of all visits, given the covariance of the readings.
        given = np.einsum("rvj,rj,rbj->rvb", path, d * unit, path)
        variance = np.einsum("rvv->rv", given)
        # Variance of that variance: every d_j and every row phi_j is estimated on its own.
        spread = np.einsum("rvj,rj->rv", path**4, 2 * (d * unit) ** 2 / freedom)
        added = np.zeros_like(variance)
        for a in range(1, d.shape[1]):
            through = path[:, :, a]
            inverse = self.information[a]
            if small_sample == "kenward_roger":
                expected = _inverse(self.covariance[:, :a, :a])
                excess = a * unit[:, a] - np.einsum("rbc,rcb->r", expected, given[:, :a, :a])
                added += through**2 * (d[:, a] / freedom[:, a] * excess)[:, None]
                inverse = expected / freedom[:, a, None, None]
            slope = 2 * through[:, :, None] * given[:, :, :a]
            spread += np.einsum("rvb,rbc,rvc->rv", slope, inverse, slope) * d[:, a, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            se, df = np.sqrt(np.where(known, variance + 2 * added, np.nan)), 2 * variance**2 / spread
            p = 2 * stdtr(df, -np.abs(estimate / se))
        return Comparison(estimate, se, np.where(np.isfinite(se), df, 0), p)


def mmrm(
    outcome: tuple[np.ndarray, np.ndarray],
    baseline: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    small_sample: SmallSample,
    covariates: np.ndarray | None = None,
    structure: Covariance = "unstructured",
) -> Comparison:
    """Compare two arms at every visit by a mixed model for repeated measures, adjusted for baseline by visit.

    With an unstructured covariance in closed form where patients who leave do not come back, by Fisher scoring in the
    replicates where some do, and with any other structure.
    A replicate counts as not possible where the readings before the first gaps do not suffice to start from.

    Parameters
    ----------
    outcome, seen
        Of the comparator and of the experimental arm, each (visits, replicates, patients).
    baseline
        Of the same, (replicates, patients).
    small_sample
        Standard error and degrees of freedom, see :meth:`RepeatedMeasures.contrast`.
    covariates
        Further columns of the design, of both arms' patients in turn, (replicates, patients, columns).
    structure
        Of the covariance over visits.

    Returns
    -------
    Comparison
        Arrays (replicates, visits); ``df`` is 0 where the analysis was not possible.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(60, 10, (2, 1, 50))
    >>> y = x[:, None] - 20 + rng.normal(0, 5, (2, 3, 1, 50)) - np.array([0.0, 10.0])[:, None, None, None]
    >>> seen = np.ones((3, 1, 50), bool)
    >>> mmrm((y[0], y[1]), (x[0], x[1]), (seen, seen), "satterthwaite").df.round(6).tolist()
    [[97.0, 97.0, 97.0]]
    """
    y = np.moveaxis(np.concatenate(outcome, axis=2), 0, 2)
    here = np.moveaxis(np.concatenate(seen, axis=2), 0, 2)
    x = np.concatenate(baseline, axis=1)
    x = x - x.mean(axis=1, keepdims=True)
    arm = np.concatenate([np.full(b.shape, float(i)) for i, b in enumerate(baseline)], axis=1)
    design = np.stack([np.ones_like(x), x, arm], axis=2)
    if covariates is not None:
        design = np.concatenate([design[:, :, :2], covariates, design[:, :, 2:]], axis=2)
    if structure != "unstructured":
        return structured(y, design, here, np.eye(design.shape[2])[-1], small_sample, structure)
    rows = max(1, _BLOCK // y[0].size)
    parts = [
        _compare(
            y[first : first + rows], design[first : first + rows], here[first : first + rows], small_sample
        )
        for first in range(0, len(y), rows)
    ]
    return _joined(lambda k: np.concatenate([getattr(c, k) for c in parts]))


def _compare(y: np.ndarray, design: np.ndarray, seen: np.ndarray, small_sample: SmallSample) -> Comparison:
    """Compare the arm in the last column of the design."""
    weights = np.eye(design.shape[2])[-1]
    stayed = np.logical_and.accumulate(seen, axis=2)
    found = fit(y, design, stayed)
    closed = found.contrast(weights, small_sample)
    gap = np.flatnonzero((seen != stayed).any(axis=(1, 2)))
    fitted = gap[np.isfinite(found.covariance[gap]).all(axis=(1, 2))]
    parts = []
    rows = max(1, _BLOCK // (y.shape[2] ** 4 * max(1, np.unique(pattern_codes(seen[gap])).size)))
    for first in range(0, len(fitted), rows):
        i = fitted[first : first + rows]
        parts.append(scored(y[i], design[i], seen[i], weights, small_sample, found.covariance[i]))

    def merged(name: str) -> np.ndarray:
        values: np.ndarray = getattr(closed, name).copy()
        values[gap] = 0 if name == "df" else np.nan
        if parts:
            values[fitted] = np.concatenate([getattr(c, name) for c in parts])
        return values

    return _joined(merged)


def _joined(part: Callable[[str], np.ndarray]) -> Comparison:
    return Comparison(part("estimate"), part("se"), part("df"), part("p"))


def fit(outcome: np.ndarray, design: np.ndarray, seen: np.ndarray) -> RepeatedMeasures:
    """Fit the model by REML.

    Parameters
    ----------
    outcome
        (replicates, patients, visits).
    design
        Intercept, covariates and arms, (replicates, patients, columns); each has an effect of its own at every visit.
    seen
        Which readings count, (replicates, patients, visits).

    Returns
    -------
    RepeatedMeasures

    Raises
    ------
    InputError
        If a patient is seen again after a visit that was missed.
    """
    if np.any(seen[:, :, 1:] & ~seen[:, :, :-1]):
        raise InputError(
            Problem("has a patient who is seen again after a missed visit", field="analysis", value="mmrm",
                    hint="compare the arms by scoring instead")
        )  # fmt: skip
    (replicates, _, visits), columns = outcome.shape, design.shape[2]
    centre = (outcome * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    y = np.where(seen, outcome - centre[:, None], 0)
    phi, path = np.zeros((2, replicates, visits, visits))
    alpha, innovation = np.zeros((replicates, visits, columns)), np.full((replicates, visits), np.nan)
    leverage, freedom = np.zeros((replicates, visits, columns, columns)), np.zeros((replicates, visits))
    information, possible = [], np.ones(replicates, bool)
    for j in range(visits):
        here = seen[:, :, j, None]
        both = np.concatenate([design * here, y[:, :, : j + 1] * here], axis=2)
        products = np.swapaxes(both, 1, 2) @ both
        xx, xy, yy = (
            products[:, :columns, :columns],
            products[:, :columns, columns:],
            products[:, columns:, columns:],
        )
        n = here.sum(axis=(1, 2))
        possible = possible & (n > columns + j) & _regular(products[:, :-1, :-1])
        xx = np.where(possible[:, None, None], xx, np.eye(columns))
        inverse = np.linalg.inv(xx)
        slopes = inverse @ xy
        residual = yy - np.swapaxes(xy, 1, 2) @ slopes
        earlier = np.where(possible[:, None, None], residual[:, :j, :j], np.eye(j))
        inverse_earlier = np.linalg.inv(earlier)
        phi[:, j, :j] = np.einsum("rab,rb->ra", inverse_earlier, residual[:, :j, j])
        alpha[:, j] = slopes[:, :, j] - np.einsum("rck,rk->rc", slopes[:, :, :j], phi[:, j, :j])
        rss = residual[:, j, j] - np.einsum("rk,rk->r", residual[:, j, :j], phi[:, j, :j])
        freedom[:, j] = np.where(possible, n - columns, np.nan)
        innovation[:, j] = np.maximum(rss, 0) / freedom[:, j]
        leverage[:, j] = inverse
        information.append(inverse_earlier)
        path[:, j] = np.einsum("rk,rkb->rb", phi[:, j, :j], path[:, :j])
        path[:, j, j] = 1
    known = np.isfinite(innovation)
    covariance = (path * np.where(known, innovation, 0)[:, None]) @ np.swapaxes(path, 1, 2)
    covariance[~(known[:, :, None] & known[:, None])] = np.nan
    coefficients = np.where(known[:, :, None], path @ alpha, np.nan)
    coefficients[:, :, 0] += centre
    return RepeatedMeasures(coefficients, covariance, path, innovation, freedom, leverage, tuple(information))


def _inverse(covariance: np.ndarray) -> np.ndarray:
    """Inverse of each covariance matrix; of one that was not estimated the identity, which later steps leave out."""
    known = np.isfinite(covariance).all(axis=(1, 2), keepdims=True)
    return np.linalg.inv(np.where(known, covariance, np.eye(covariance.shape[1])))


def _regular(products: np.ndarray) -> np.ndarray:
    """Whether the columns behind cross-products are linearly independent, (replicates,)."""
    scale = np.sqrt(np.einsum("raa->ra", products))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = products / scale[:, :, None] / scale[:, None, :]
    correlation = np.where(np.isfinite(correlation), correlation, 0)
    return np.asarray(np.linalg.eigvalsh(correlation)[:, 0] > _SINGULAR)
