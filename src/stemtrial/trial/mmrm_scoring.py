r"""REML for repeated measures where readings are missing in between: Fisher scoring over all replicates at once.

The model is that of :mod:`stemtrial.trial.mmrm`. Patients enter through the cross-products of each pattern of missing
visits, so an iteration costs the same for any number of patients. The covariance is linear in its parameters, the
elements of :math:`\Sigma` or fewer (:mod:`stemtrial.trial.mmrm_structures`); the correction follows Kenward & Roger
(1997, *Biometrics* 53:983), and Satterthwaite's degrees of freedom take the observed information.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import stdtr

from stemtrial.trial.analysis import Comparison
from stemtrial.trial.rules import Covariance

SmallSample: TypeAlias = Literal["satterthwaite", "kenward_roger"]

_ITERATIONS, _TOLERANCE = 200, 1e-10
"""Scoring steps at most, and the step, relative to the variances, at which a replicate has converged."""


def pattern_codes(seen: np.ndarray) -> np.ndarray:
    """Whole number that stands for the visits seen, (replicates, patients)."""
    return np.asarray(seen @ (1 << np.arange(seen.shape[2])))


def basis(structure: Covariance, visits: int) -> np.ndarray:
    """Return the fixed matrices whose weighted sum the covariance is, (parameters, visits, visits).

    Examples
    --------
    >>> basis("compound_symmetry", 2).astype(int).tolist()
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]
    """
    place = np.arange(visits)
    apart = np.abs(place[:, None] - place)
    match structure:
        case "compound_symmetry":
            kinds = np.minimum(apart, 1)
        case "toeplitz":
            kinds = apart
        case _:
            low, high = np.minimum(place[:, None], place), np.maximum(place[:, None], place)
            kinds = high * (high + 1) // 2 + low
    return np.asarray(kinds == np.arange(kinds.max() + 1)[:, None, None], dtype=float)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Cross-products of each pattern of visits seen.

    Attributes
    ----------
    seen
        (patterns, visits).
    n, xx, xy, yy
        Patients and cross-products of design and readings, (replicates, patterns, ...).
    """

    seen: np.ndarray
    n: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    @classmethod
    def of(cls, outcome: np.ndarray, design: np.ndarray, seen: np.ndarray) -> "Patterns":
        """Count and multiply, with readings that do not count set to 0."""
        code = pattern_codes(seen)
        codes = np.unique(code[code > 0])
        y = np.where(seen, outcome, 0)
        members = [(code == c)[:, :, None] * 1.0 for c in codes]
        transposed, readings = np.swapaxes(design, 1, 2), np.swapaxes(y, 1, 2)
        return cls(
            (codes[:, None] >> np.arange(seen.shape[2])) % 2 == 1,
            np.stack([m.sum(axis=(1, 2)) for m in members], axis=1),
            np.stack([transposed @ (design * m) for m in members], axis=1),
            np.stack([transposed @ (y * m) for m in members], axis=1),
            np.stack([readings @ (y * m) for m in members], axis=1),
        )


@dataclass(frozen=True, eq=False)
class _State:
    """What follows from a covariance: inverses by pattern, mean parameters, their covariance, residual products."""

    inverse: np.ndarray
    coefficients: np.ndarray
    phi: np.ndarray
    residual: np.ndarray
    carried: np.ndarray

    @classmethod
    def at(cls, sigma: np.ndarray, data: Patterns) -> "_State":
        visits, columns = sigma.shape[1], data.xx.shape[2]
        size = visits * columns
        block = data.seen[:, :, None] & data.seen[:, None, :]
        inverse = np.linalg.inv(np.where(block, sigma[:, None], np.eye(visits))) * block
        replicates, patterns = data.n.shape
        flat = inverse.reshape(replicates, patterns, -1)
        by_visit = np.swapaxes(flat, 1, 2) @ data.xx.reshape(replicates, patterns, -1)
        by_visit = by_visit.reshape(-1, visits, visits, columns, columns)
        precision = by_visit.transpose(0, 1, 3, 2, 4).reshape(-1, size, size)
        phi = np.linalg.inv(precision)
        moment = np.einsum("rpij,rpkj->rik", inverse, data.xy).reshape(-1, size, 1)
        b = (phi @ moment).reshape(-1, 1, visits, columns)
        cross = b @ data.xy
        residual = data.yy - cross - np.swapaxes(cross, 2, 3) + b @ data.xx @ np.swapaxes(b, 2, 3)
        by_visit = phi.reshape(-1, visits, columns, visits, columns).transpose(0, 2, 4, 1, 3)
        carried = data.xx.reshape(replicates, patterns, -1) @ by_visit.reshape(-1, columns**2, visits**2)
        carried = carried.reshape(inverse.shape)
        return cls(inverse, b[:, 0], phi, residual, carried)


def scored(
    outcome: np.ndarray,
    design: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    small_sample: SmallSample,
    start: np.ndarray,
    structure: Covariance = "unstructured",
) -> Comparison:
    """Fit by REML, and test a combination of the design's columns at every visit.

    Parameters
    ----------
    outcome, design, seen
        As in :func:`stemtrial.trial.mmrm.fit`, but any reading may be missing.
    weights
        One for each column of the design, (columns,).
    small_sample
        As in :meth:`stemtrial.trial.mmrm.RepeatedMeasures.contrast`.
    start
        Covariance to start from, (replicates, visits, visits).
    structure
        Of the covariance over visits; the start has it.

    Returns
    -------
    Comparison
        Arrays (replicates, visits); ``df`` is 0 in a replicate that did not converge.
    """
    data = Patterns.of(outcome, design, seen)
    visits = outcome.shape[2]
    matrices = basis(structure, visits)
    vectors = matrices.reshape(len(matrices), -1)
    sigma, converged = start.copy(), np.zeros(len(start), bool)
    for _ in range(_ITERATIONS):
        state = _State.at(sigma, data)
        u, n = state.inverse, data.n[:, :, None, None]
        score = (
            (u @ (state.residual + state.carried) @ u - n * u).sum(axis=1).reshape(len(u), -1) @ vectors.T / 2
        )
        flat = u.reshape(len(u), u.shape[1], -1)
        # Sum over patterns first: tr(U E_a U E_b) is linear in the products of elements of U.
        pairs = (np.swapaxes(flat * data.n[:, :, None], 1, 2) @ flat).reshape(-1, *(visits,) * 4)
        pairs = pairs.transpose(0, 2, 3, 4, 1).reshape(-1, visits**2, visits**2)
        information = vectors @ pairs @ vectors.T / 2
        step = np.einsum("ra,aij->rij", np.linalg.solve(information, score[:, :, None])[:, :, 0], matrices)
        for _ in range(30):
            outside = np.linalg.eigvalsh(sigma + step)[:, 0] <= 0
            if not outside.any():
                break
            step[outside] /= 2
        sigma = sigma + step
        scale = np.einsum("rii->ri", sigma).max(axis=1)
        converged = np.abs(step).max(axis=(1, 2)) < _TOLERANCE * scale
        if converged.all():
            break
    return _tested(sigma, data, matrices, weights, small_sample, converged)


def _tested(
    sigma: np.ndarray,
    data: Patterns,
    matrices: np.ndarray,
    weights: np.ndarray,
    small_sample: SmallSample,
    converged: np.ndarray,
) -> Comparison:
    """Contrast, standard error and degrees of freedom at every visit."""
    state = _State.at(sigma, data)
    visits, columns, parameters = sigma.shape[1], len(weights), len(matrices)
    moved = state.inverse[:, :, None] @ matrices
    sandwich = moved @ state.inverse[:, :, None]
    contrast = np.kron(np.eye(visits), weights)
    lever = contrast @ state.phi
    variance = np.einsum("rvs,vs->rv", lever, contrast)
    psi = lever.reshape(-1, visits, visits, columns)
    spread = np.einsum("rvik,rpkl,rvjl->rpvij", psi, data.xx, psi, optimize=True)
    slope = np.einsum("rpaij,rpvji->rav", sandwich, spread, optimize=True)
    # The matrices P of Kenward & Roger, with the sign reversed, and the expected information.
    p = np.einsum("rpaij,rpkl->raikjl", sandwich, data.xx, optimize=True)
    p = p.reshape(-1, parameters, visits * columns, visits * columns)
    scaled = p @ state.phi[:, None]
    information = (
        np.einsum("rp,rpaij,rpbji->rab", data.n, moved, moved, optimize=True)
        - 2 * np.einsum("rpaij,rpbjk,rpki->rab", moved, sandwich, state.carried, optimize=True)
        + np.einsum("raij,rbji->rab", scaled, scaled, optimize=True)
    ) / 2
    added = np.zeros_like(variance)
    if small_sample == "kenward_roger":
        w = np.linalg.inv(information)
        half = lever[:, None] @ p
        within = np.einsum("rab,ravs,rst,rbvt->rv", w, half, state.phi, half, optimize=True)
        between = np.einsum("rab,rpaij,rpbjk,rpvki->rv", w, moved, sandwich, spread, optimize=True)
        added = 2 * (between - within)
    else:
        left_over = np.swapaxes(data.xy, 2, 3) - state.coefficients[:, None] @ data.xx
        turned = np.einsum("rpaij,rpjk->raik", sandwich, left_over, optimize=True).reshape(
            -1, parameters, p.shape[2]
        )
        observed = np.einsum("rpaij,rpbjk,rpki->rab", moved, sandwich, state.residual, optimize=True)
        w = np.linalg.inv(observed - turned @ state.phi @ np.swapaxes(turned, 1, 2) - information)
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.where(converged[:, None], np.sqrt(variance + added), np.nan)
        df = 2 * variance**2 / np.einsum("rav,rab,rbv->rv", slope, w, slope)
        estimate = np.where(converged[:, None], state.coefficients @ weights, np.nan)
        p_value = 2 * stdtr(df, -np.abs(estimate / se))
    return Comparison(estimate, se, np.where(np.isfinite(se), df, 0), p_value)
