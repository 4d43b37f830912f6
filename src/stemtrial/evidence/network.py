"""Network meta-analysis by generalised least squares: the design of a network and its pooled effects.

The comparisons ``y`` of all trials at one visit follow ``y = X d + u + e``: ``d`` are the effects of the
treatments against a reference, ``e`` has the known covariance ``V`` of comparisons that share an arm, and the
true effects of trials vary with covariance ``tau2 R``, where ``R`` has 1 on its diagonal and 1/2 between two
comparisons of one trial (Lu and Ades 2004, doi:10.1002/sim.1875). Agrees with R ``metafor::rma.mv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.special import chdtrc

from stemtrial.errors import InputError, NumericalError, Problem
from stemtrial.evidence.heterogeneity import Floats, critical
from stemtrial.evidence.networkdata import Comparison


@dataclass(frozen=True, eq=False)
class Network:
    """One visit of a network as arrays.

    Attributes
    ----------
    treatments
        Nodes; the first is the reference of the columns of ``x``.
    trials
        Trial of each comparison.
    y, v, r, x
        Differences (m,), their covariance (m, m), the pattern of heterogeneity (m, m) and the design
        (m, treatments - 1).
    """

    treatments: tuple[str, ...]
    trials: tuple[str, ...]
    y: Floats
    v: Floats
    r: Floats
    x: Floats

    @classmethod
    def build(
        cls,
        treatments: Sequence[str],
        trials: Sequence[str],
        pairs: Sequence[tuple[str, str]],
        y: Sequence[float],
        v: Floats,
    ) -> "Network":
        """Make a network of comparisons ``treatment minus reference``, given in ``pairs`` in that order.

        Raises
        ------
        InputError
            If the network falls apart: the message names what has no common comparator.
        """
        nodes = tuple(treatments)
        parts = components(pairs)
        if len(parts) > 1:
            raise InputError(
                Problem(
                    "no common comparator",
                    field="treatments",
                    value=" | ".join(", ".join(part) for part in parts),
                    hint="synthesise each connected part on its own",
                )
            )
        x = np.zeros((len(pairs), len(nodes)))
        for i, (treatment, reference) in enumerate(pairs):
            x[i, nodes.index(treatment)] += 1
            x[i, nodes.index(reference)] -= 1
        same = np.array(trials)[:, None] == np.array(trials)[None, :]
        return cls(
            nodes, tuple(trials), np.asarray(y, float), v, 0.5 * same + 0.5 * np.eye(len(pairs)), x[:, 1:]
        )

    @classmethod
    def of(cls, comparisons: Sequence[Comparison], treatments: Sequence[str]) -> "Network":
        """Make a network of comparisons at one visit a trial, in the order of the trials."""
        rows = sorted(comparisons, key=lambda row: row.trial_id)
        names = [row.trial_id for row in rows]
        same = np.array(names)[:, None] == np.array(names)[None, :]
        shared = np.array([row.reference_se for row in rows])
        v = np.diag([row.own_se**2 for row in rows]) + same * np.outer(shared, shared)
        pairs = [(row.treatment, row.reference) for row in rows]
        return cls.build(treatments, names, pairs, [row.y for row in rows], v)

    @property
    def designs(self) -> tuple[tuple[str, ...], ...]:
        """The set of treatments compared by the trial of each comparison."""
        members: dict[str, set[str]] = {}
        for trial, pair in zip(self.trials, self.pairs, strict=True):
            members.setdefault(trial, set()).update(pair)
        return tuple(tuple(sorted(members[trial])) for trial in self.trials)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Treatment and reference of each comparison."""
        full = np.column_stack([-self.x.sum(axis=1), self.x])
        return tuple((self.treatments[int(row.argmax())], self.treatments[int(row.argmin())]) for row in full)


def components(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Return the connected parts of a network, the largest first, each sorted.

    Examples
    --------
    >>> components([("a", "b"), ("c", "d"), ("b", "e")])
    (('a', 'b', 'e'), ('c', 'd'))
    """
    parts: list[set[str]] = []
    for pair in pairs:
        touched = [part for part in parts if part & set(pair)]
        parts = [part for part in parts if part not in touched] + [set(pair).union(*touched)]
    return tuple(tuple(sorted(part)) for part in sorted(parts, key=lambda part: (-len(part), min(part))))


@dataclass(frozen=True, eq=False)
class Gls:
    """Fit of a network: effects against the first treatment, their covariance, and heterogeneity.

    ``rss`` is the weighted residual sum of squares at ``tau2``; ``q`` the one at ``tau2 = 0`` with ``q_df``
    degrees of freedom and p-value ``q_p`` (``None`` without degrees of freedom).
    """

    treatments: tuple[str, ...]
    effects: Floats
    covariance: Floats
    tau2: float
    rss: float
    q: float
    q_df: int
    q_p: float | None
    k: int

    def contrast(self, treatment: str, comparator: str, *, level: float) -> tuple[float, float, float, float]:
        """Return estimate, SE and the ends of the normal interval of one treatment against another."""
        weights = np.zeros(len(self.treatments))
        weights[self.treatments.index(treatment)] += 1
        weights[self.treatments.index(comparator)] -= 1
        estimate = float(weights[1:] @ self.effects)
        se = float(np.sqrt(weights[1:] @ self.covariance @ weights[1:]))
        half = critical(level, None) * se
        return estimate, se, estimate - half, estimate + half


def fit_gls(network: Network, *, tau2: float | None = None, x: Floats | None = None) -> Gls:
    """Fit a network by GLS with tau2 by REML, or given.

    Parameters
    ----------
    tau2
        Variance of the true effects; ``None`` estimates it (0 where there are no degrees of freedom).
    x
        Design in place of the network's own, (m, p), of full rank.

    Raises
    ------
    NumericalError
        The REML equation has no finite solution.
    """
    design = network.x if x is None else x
    df = network.y.size - design.shape[1]
    if tau2 is None:
        tau2 = _reml(network, design) if df > 0 else 0.0
    effects, covariance, rss = _solve(network, design, tau2)
    q = _solve(network, design, 0.0)[2]
    return Gls(
        network.treatments,
        effects,
        covariance,
        tau2,
        rss,
        q,
        df,
        float(chdtrc(df, q)) if df > 0 else None,
        len(set(network.trials)),
    )


def _solve(network: Network, x: Floats, tau2: float) -> tuple[Floats, Floats, float]:
    factor = cho_factor(network.v + tau2 * network.r)
    covariance = np.asarray(np.linalg.inv(x.T @ cho_solve(factor, x)), dtype=float)
    effects = np.asarray(covariance @ (x.T @ cho_solve(factor, network.y)), dtype=float)
    residual = network.y - x @ effects
    return effects, covariance, float(residual @ cho_solve(factor, residual))


def _reml(network: Network, x: Floats) -> float:
    """Solve the REML equation ``y'P R P y = tr(P R)``; of several roots the most likely one."""

    def parts(tau2: float) -> tuple[float, float]:
        inverse = np.linalg.inv(network.v + tau2 * network.r)
        middle = x.T @ inverse @ x
        p = inverse - inverse @ x @ np.linalg.solve(middle, x.T @ inverse)
        py = p @ network.y
        information = np.linalg.slogdet(middle)[1]
        likelihood = -0.5 * (-np.linalg.slogdet(inverse)[1] + information + network.y @ py)
        return float(py @ network.r @ py - np.sum(p * network.r)), float(likelihood)

    scale = float(np.var(network.y)) + float(np.mean(np.diag(network.v)))
    grid = np.concatenate([[0.0], scale * np.geomspace(1e-6, 1e4, 60)])
    slopes = [parts(tau2)[0] for tau2 in grid]
    if slopes[-1] > 0:
        raise NumericalError("tau2 has no finite REML estimate; look for a comparison far from all others")
    roots = [
        float(brentq(lambda tau2: parts(tau2)[0], low, high, xtol=1e-14 * scale, rtol=1e-14))
        for low, high, a, b in zip(grid[:-1], grid[1:], slopes[:-1], slopes[1:], strict=True)
        if a > 0 >= b
    ]
    return max([0.0, *roots], key=lambda tau2: parts(tau2)[1])
