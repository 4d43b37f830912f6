"""Adaptive Metropolis sampling with its own checks: draws that did not converge never leave this module.

Made for posteriors of a handful of scales and correlations whose density costs little, where a random walk needs
neither gradients nor compilation (Haario, Saksman and Tamminen 2001, doi:10.2307/3318737; adaptation stops with
the warm-up, so that the draws are those of one Markov chain).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stemtrial.errors import InputError, NotCredibleError, Problem
from stemtrial.evidence.heterogeneity import Floats

MAX_R_HAT = 1.01
MIN_ESS = 400.0
"""Limits of Vehtari et al. 2021 (doi:10.1214/20-BA1221)."""

_ACCEPTANCE = 0.3


@dataclass(frozen=True)
class Sampler:
    """How long to sample: steps of warm-up, then ``draws`` a chain, ``thin`` steps apart; ``seed`` fixes all."""

    seed: int
    chains: int = 4
    warmup: int = 1500
    draws: int = 500
    thin: int = 10

    def __post_init__(self) -> None:
        for field, low in (("seed", 0), ("chains", 2), ("warmup", 1), ("draws", 4), ("thin", 1)):
            if getattr(self, field) < low:
                raise InputError(
                    Problem("is too small", field=field, value=getattr(self, field), allowed=f"{low} or more")
                )


@dataclass(frozen=True)
class Convergence:
    """Worst split R-hat and smallest effective sample size over all quantities; steps accepted; draws kept."""

    r_hat: float
    ess: float
    acceptance: float
    draws: int


def metropolis(
    log_density: Callable[[Floats], float], dimension: int, positive: int, sampler: Sampler
) -> tuple[Floats, float]:
    """Draw from an unnormalised density whose mass lies within a few units of 0.

    The first ``positive`` coordinates live on the half-line from 0; steps below it are reflected, which leaves
    the proposal symmetric.

    Returns
    -------
    (chains, draws, dimension) array and float
        Draws, and the share of steps accepted after the warm-up.
    """
    rng = np.random.default_rng(sampler.seed)
    x = rng.uniform(-1.5, 1.5, (sampler.chains, dimension))
    x[:, :positive] = abs(x[:, :positive])
    density = np.array([log_density(point) for point in x])
    root: Floats = np.eye(dimension)
    log_scale = np.log(2.4 / np.sqrt(dimension)) - 1.0
    steps = sampler.warmup + sampler.draws * sampler.thin
    path = np.empty((steps, sampler.chains, dimension))
    accepted = 0
    for step in range(steps):
        proposal = x + np.exp(log_scale) * rng.standard_normal(x.shape) @ root.T
        proposal[:, :positive] = abs(proposal[:, :positive])
        offered = np.array([log_density(point) for point in proposal])
        taken = np.log(rng.uniform(size=sampler.chains)) < offered - density
        x = np.where(taken[:, None], proposal, x)
        density = np.where(taken, offered, density)
        path[step] = x
        if step >= sampler.warmup:
            accepted += int(taken.sum())
            continue
        log_scale += (taken.mean() - _ACCEPTANCE) / np.sqrt(1 + step / 10)
        if step >= 100 and step % 50 == 0:
            recent = path[step // 2 : step].reshape(-1, dimension)
            spread = np.cov(recent.T).reshape(dimension, -1) + 1e-6 * np.eye(dimension)
            root = np.asarray(np.linalg.cholesky(spread), dtype=float)
    kept = path[sampler.warmup + sampler.thin - 1 :: sampler.thin]
    return kept.swapaxes(0, 1), accepted / (sampler.chains * sampler.draws * sampler.thin)


def checked_convergence(draws: dict[str, Floats], acceptance: float) -> Convergence:
    """Return the diagnostics of draws, each (chains, draws, ...), or refuse them.

    Raises
    ------
    NotCredibleError
        R-hat or effective sample size beyond their limits, with what to try.
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    total = next(iter(draws.values())).shape[:2]
    count = total[0] * total[1]
    varying = {name: x for name, x in draws.items() if np.ptp(x) > 0}
    r_hat = {name: float(np.max(split_gelman_rubin(x))) for name, x in varying.items()}
    ess = {name: float(np.min(effective_sample_size(x))) for name, x in varying.items()}
    found = Convergence(max(r_hat.values()), min(ess.values()), acceptance, count)
    faults = []
    if not found.r_hat <= MAX_R_HAT:
        faults.append(
            f"R-hat of {max(r_hat, key=r_hat.__getitem__)} is {found.r_hat:.3f} (limit {MAX_R_HAT})"
        )
    if not found.ess >= MIN_ESS:
        faults.append(
            f"effective sample size of {min(ess, key=ess.__getitem__)} is {found.ess:.0f} (limit {MIN_ESS:.0f})"
        )
    if faults:
        raise NotCredibleError(
            f"the sampler did not converge: {'; '.join(faults)}. Try, in this order: more warm-up and a larger "
            "thin; fewer nodes (scheme all_cells); priors nearer to what is known"
        )
    return found
