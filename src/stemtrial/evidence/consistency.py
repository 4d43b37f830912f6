"""Whether direct and indirect evidence of a network agree."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import chdtrc

from stemtrial.evidence.heterogeneity import p_value
from stemtrial.evidence.network import Network, fit_gls


@dataclass(frozen=True)
class Consistency:
    """Test of design-by-treatment interaction: whether trials of different designs agree.

    Wald test of all inconsistency parameters at the ``tau2`` of the model with a free effect for every
    comparison of every design (Higgins et al. 2012, doi:10.1002/jrsm.1044). ``status`` is ``not_assessable``
    where no comparison is informed twice.
    """

    statistic: float
    df: int
    p: float | None
    tau2: float
    status: Literal["ok", "not_assessable"]


def design_by_treatment(network: Network) -> Consistency:
    """Test the consistency of a whole network."""
    designs = sorted(set(network.designs))
    blocks = []
    for design in designs:
        rows = np.array([own == design for own in network.designs])
        basis = network.x[rows]
        block = np.zeros((network.y.size, basis.shape[1]))
        block[rows] = basis
        blocks.append(block)
    left, singular, _ = np.linalg.svd(np.hstack(blocks), full_matrices=False)
    free = left[:, singular > 1e-10 * singular.max()]
    df = int(free.shape[1] - np.linalg.matrix_rank(network.x))
    if df == 0:
        return Consistency(0.0, 0, None, fit_gls(network).tau2, "not_assessable")
    loose = fit_gls(network, x=free)
    statistic = fit_gls(network, tau2=loose.tau2).rss - loose.rss
    return Consistency(statistic, df, float(chdtrc(df, statistic)), loose.tau2, "ok")


@dataclass(frozen=True)
class Split:
    """Direct against indirect evidence on one comparison, and the test of their difference."""

    treatment: str
    comparator: str
    direct: float
    direct_se: float
    indirect: float
    indirect_se: float
    difference: float
    difference_se: float
    p: float
    tau2: float
    k_direct: int


def node_splits(network: Network) -> tuple[Split, ...]:
    """Split every comparison that has both direct and indirect evidence, symmetrically in its two arms.

    In trials that compare ``a`` and ``b``, half the inconsistency is put on either arm (White 2015,
    doi:10.1177/1536867X1501500403), so that the result does not depend on the trials' reference arms.
    """
    found = []
    for a, b in sorted({pair for design in network.designs for pair in _pairs(design)}):
        both = np.array([a in design and b in design for design in network.designs])
        pairs = network.pairs
        share = np.array([((t == b) - (t == a) - (r == b) + (r == a)) / 2 for t, r in pairs], dtype=float)
        column = np.where(both, share, 0.0)
        x = np.column_stack([network.x, column])
        if np.linalg.matrix_rank(x) < x.shape[1]:
            continue
        model = fit_gls(network, x=x)
        nodes = list(network.treatments)
        indirect = np.zeros(len(nodes) + 1)
        indirect[nodes.index(b)] += 1
        indirect[nodes.index(a)] -= 1
        direct = indirect.copy()
        direct[-1] = 1.0
        (d, d_se), (i, i_se) = (
            (float(w[1:] @ model.effects), float(np.sqrt(w[1:] @ model.covariance @ w[1:])))
            for w in (direct, indirect)
        )
        omega, omega_se = float(model.effects[-1]), float(np.sqrt(model.covariance[-1, -1]))
        k = len({trial for trial, inside in zip(network.trials, both, strict=True) if inside})
        p = float(p_value(omega / omega_se, None))
        found.append(Split(b, a, d, d_se, i, i_se, omega, omega_se, p, model.tau2, k))
    return tuple(found)


def _pairs(design: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(design) for b in design[i + 1 :]]
