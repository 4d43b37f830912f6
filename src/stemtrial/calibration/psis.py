"""Pareto-smoothed importance sampling, its leave-one-out use, and stacking of predictive distributions.

Vehtari, Simpson, Gelman, Yao and Gabry 2024 (arXiv:1507.02646): the largest importance ratios are replaced by expected
order statistics of a generalised Pareto distribution fitted to them; its shape k says how far the estimate can be
trusted. Yao, Vehtari, Simpson and Gelman 2018 (doi:10.1214/17-BA1091) for stacking.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from stemtrial.errors import InputError, NotCredibleError, Problem

GOOD_K = 0.7
"""Shape above which the smoothed estimate is not to be trusted, for 2200 draws or more."""


def threshold(draws: int) -> float:
    """Largest trusted k for a number of draws, ``min(1 - 1 / log10(draws), 0.7)``.

    Examples
    --------
    >>> round(threshold(1000), 3), threshold(4000)
    (0.667, 0.7)
    """
    return float(min(1 - 1 / np.log10(draws), GOOD_K)) if draws > 10 else 0.0


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Smoothed weights.

    Attributes
    ----------
    log_weights
        (draws, rows), normalised: the weights of a row sum to 1.
    k
        (rows,), shape of the tail; infinite where the tail is too short to fit one.
    ess
        (rows,), effective number of draws, ``1 / sum(w**2)`` times their relative efficiency.
    """

    log_weights: np.ndarray
    k: np.ndarray
    ess: np.ndarray


def generalised_pareto(x: np.ndarray) -> tuple[float, float]:
    """Fit a generalised Pareto distribution with location 0.

    Zhang and Stephens 2009 (doi:10.1198/tech.2009.08017): a posterior mean under a data-dependent prior; the shape
    is drawn towards 0.5 with the weight of ten values.

    Parameters
    ----------
    x
        Exceedances above 0 in rising order, 5 or more.

    Returns
    -------
    (float, float)
        Shape k and scale sigma.
    """
    n = len(x)
    m = 30 + int(n**0.5)
    theta = (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * x[int(n / 4 + 0.5) - 1]) + 1 / x[-1]
    k = np.log1p(-theta[:, None] * x).mean(axis=1)
    profile = n * (np.log(-theta / k) - k - 1)
    weights = np.exp(profile - logsumexp(profile))
    weights = np.where(weights >= 10 * np.finfo(float).eps, weights, 0.0)
    chosen = float((theta * weights).sum() / weights.sum())
    shape = float(np.log1p(-chosen * x).mean())
    return (n * shape + 5.0) / (n + 10.0), -shape / chosen


def _smooth(log_ratios: np.ndarray, tail: int) -> tuple[np.ndarray, float]:
    """Smooth one row of log ratios; return them normalised, with k."""
    x = log_ratios - log_ratios.max()
    order = np.argsort(x, kind="stable")
    cut = max(x[order[-tail - 1]], np.log(np.finfo(float).tiny)) if tail < len(x) else -np.inf
    places = order[x[order] > cut]
    k = np.inf
    if len(places) > 4:
        excess = np.exp(x[places]) - np.exp(cut)
        if excess[-1] > excess[0]:
            k, sigma = generalised_pareto(excess)
            if np.isfinite(k):
                p = (np.arange(len(places)) + 0.5) / len(places)
                # expm1 keeps the quantile exact where k is close to 0
                quantile = (
                    -sigma * np.log1p(-p) if abs(k) < 1e-12 else sigma * np.expm1(-k * np.log1p(-p)) / k
                )
                x[places] = np.minimum(np.log(quantile + np.exp(cut)), 0.0)
    return x - logsumexp(x), float(k)


def psis(log_ratios: np.ndarray, efficiency: float | np.ndarray = 1.0) -> Smoothed:
    """Smooth importance ratios.

    Parameters
    ----------
    log_ratios
        Log of target over proposal density, up to a constant a row; (draws, rows) or (draws,).
    efficiency
        Effective over actual number of draws (Markov chains: below 1), for all or (rows,).

    Raises
    ------
    InputError
        Ratios that are not finite (minus infinity is a weight of 0 and allowed).

    Examples
    --------
    >>> smoothed = psis(np.random.default_rng(1).normal(0, 0.5, 4000))
    >>> bool(smoothed.k[0] < 0.7)
    True
    """
    ratios = np.array(log_ratios, dtype=float, ndmin=2)
    ratios = ratios.T if np.ndim(log_ratios) == 1 else ratios
    draws, rows = ratios.shape
    if draws < 25 or np.isnan(ratios).any() or np.isposinf(ratios).any():
        raise InputError(Problem("log ratios must be finite, 25 draws or more", allowed="finite numbers"))
    r_eff = np.broadcast_to(np.asarray(efficiency, dtype=float), (rows,))
    if not ((r_eff > 0) & np.isfinite(r_eff)).all():
        raise InputError(Problem("relative efficiencies must be above 0"))
    weights, k = np.empty_like(ratios), np.empty(rows)
    for row in range(rows):
        tail = int(np.ceil(min(0.2 * draws, 3 * np.sqrt(draws / r_eff[row]))))
        weights[:, row], k[row] = _smooth(ratios[:, row], tail)
    return Smoothed(weights, k, r_eff / np.exp(2 * weights).sum(axis=0))


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Expected log predictive density of each row when it is left out.

    Attributes
    ----------
    elpd, k, ess
        (rows,).
    total, se
        Sum of ``elpd`` and its standard error over rows.
    p_loo
        Effective number of parameters: how much higher the density is with the row included.
    """

    elpd: np.ndarray
    k: np.ndarray
    ess: np.ndarray
    total: float
    se: float
    p_loo: float


def leave_one_out(log_likelihood: np.ndarray, efficiency: float | np.ndarray = 1.0) -> LeaveOneOut:
    """PSIS leave-one-out from the log likelihood of each row (or trial: sum its rows first), (draws, rows)."""
    smoothed = psis(-log_likelihood, efficiency)
    elpd = logsumexp(smoothed.log_weights + log_likelihood, axis=0)
    full = logsumexp(log_likelihood, axis=0) - np.log(len(log_likelihood))
    rows = elpd.size
    se = float(np.sqrt(rows * elpd.var())) if rows > 1 else float("nan")
    return LeaveOneOut(elpd, smoothed.k, smoothed.ess, float(elpd.sum()), se, float((full - elpd).sum()))


def stacking(elpd: Mapping[str, np.ndarray], tolerance: float = 1e-8) -> dict[str, float]:
    """Weights of the mixture of models with the highest held-out log score.

    Maximises ``mean_i log sum_k w_k exp(elpd_ik)`` over the simplex, a concave problem. The result is certified: the
    mean score is within ``max_k mean_i(p_ik / sum_l w_l p_il) - 1`` of the optimum.

    Parameters
    ----------
    elpd
        Held-out log density by model, (rows,) each, of the same rows in the same order.
    tolerance
        Largest distance from the best mean log score.

    Raises
    ------
    NotCredibleError
        The optimum was not reached.

    Examples
    --------
    >>> stacking({"one": np.array([-1.0, -2.0]), "worse": np.array([-3.0, -4.0])})
    {'one': 1.0, 'worse': 0.0}
    """
    from scipy.optimize import LinearConstraint, minimize

    names = list(elpd)
    score = np.column_stack([np.asarray(elpd[name], dtype=float) for name in names])
    if not np.isfinite(score).all():
        raise InputError(Problem("held-out log densities must be finite numbers"))
    density = np.exp(score - score.max(axis=1, keepdims=True))

    def loss(w: np.ndarray) -> float:
        return float(-np.log(density @ w).mean())

    def slope(w: np.ndarray) -> np.ndarray:
        result: np.ndarray = -(density / (density @ w)[:, None]).mean(axis=0)
        return result

    count = len(names)
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=slope,
        method="SLSQP",
        # away from 0, so that no step meets log 0
        bounds=[(1e-12, 1.0)] * count,
        constraints=LinearConstraint(np.ones(count), 1.0, 1.0),
        options={"ftol": 1e-14, "maxiter": 1000},
    ).x
    w = np.clip(found, 0.0, 1.0) / np.clip(found, 0.0, 1.0).sum()
    # expectation-maximisation climbs without fail from wherever the optimiser stopped
    for _ in range(100_000):
        gain = -slope(w)
        if gain.max() - 1 <= tolerance:
            w = np.where(w < 1e-9, 0.0, w)
            return {name: float(x) for name, x in zip(names, w / w.sum(), strict=True)}
        w = w * gain
    raise NotCredibleError(f"stacking weights are {gain.max() - 1:.2g} from the optimum, above {tolerance:g}")


AVERAGED = 200_000
"""Mixtures over which stacking weights are averaged."""


def averaged_stacking(elpd: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Stacking weights averaged over all mixtures, each counted by how well it predicts what is held out.

    The mean of weights ``w``, uniform on the simplex beforehand, given ``prod_i sum_k w_k exp(elpd_ik)`` (Yao et al.
    2022, doi:10.1214/21-BA1287, without covariates). The optimum itself (:func:`stacking`) jumps to one model where the
    rows hardly tell them apart; the average then stays near equal weights.

    Parameters
    ----------
    elpd
        Held-out log density by model, (rows,) each, of the same rows in the same order.

    Examples
    --------
    >>> import numpy as np
    >>> alike = averaged_stacking({"one": np.array([-1.0]), "other": np.array([-1.01])})
    >>> [round(w, 2) for w in alike.values()]
    [0.5, 0.5]
    """
    score = np.column_stack([np.asarray(values, dtype=float) for values in elpd.values()])
    if not np.isfinite(score).all():
        raise InputError(Problem("held-out log densities must be finite numbers"))
    density = np.exp(score - score.max(axis=1, keepdims=True))
    mixtures = np.random.default_rng(0).dirichlet(np.ones(len(elpd)), AVERAGED)
    log_score = np.log(mixtures @ density.T).sum(axis=1)
    mean = np.average(mixtures, axis=0, weights=np.exp(log_score - log_score.max()))
    return dict(zip(elpd, (float(w) for w in mean / mean.sum()), strict=True))
