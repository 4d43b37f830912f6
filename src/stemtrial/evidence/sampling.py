"""NUTS with its own checks: draws that did not converge never leave this module."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stemtrial.errors import InputError, NotCredibleError, Problem
from stemtrial.evidence.heterogeneity import Floats

MAX_R_HAT = 1.01
MIN_ESS = 400.0
MAX_DIVERGENT = 0.001
"""Limits of Vehtari et al. 2021 (doi:10.1214/20-BA1221), and the share of divergent steps accepted."""


@dataclass(frozen=True)
class Sampler:
    """How long to sample; ``seed`` fixes every draw."""

    seed: int
    chains: int = 4
    warmup: int = 400
    draws: int = 500
    target_accept: float = 0.9

    def __post_init__(self) -> None:
        for field, low in (("seed", 0), ("chains", 2), ("warmup", 1), ("draws", 4)):
            if getattr(self, field) < low:
                raise InputError(
                    Problem("is too small", field=field, value=getattr(self, field), allowed=f"{low} or more")
                )
        if not 0.5 <= self.target_accept < 1:
            raise InputError(
                Problem(
                    "is out of range", field="target_accept", value=self.target_accept, allowed="0.5 to 1"
                )
            )


@dataclass(frozen=True)
class Convergence:
    """Worst split R-hat and smallest effective sample size over all quantities, and the divergent steps."""

    r_hat: float
    ess: float
    divergences: int
    draws: int


def nuts(model: Callable[[], None], sampler: Sampler) -> tuple[dict[str, Floats], int]:
    """Sample a numpyro model in float64; return draws by site, each (chains, draws), and divergent steps."""
    import jax
    from numpyro.infer import MCMC, NUTS

    with jax.enable_x64(True):
        kernel = NUTS(
            model,
            target_accept_prob=sampler.target_accept,
            dense_mass=True,
        )
        mcmc = MCMC(
            kernel,
            num_warmup=sampler.warmup,
            num_samples=sampler.draws,
            num_chains=sampler.chains,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(jax.random.PRNGKey(sampler.seed), extra_fields=("diverging",))
        draws = {name: np.asarray(x) for name, x in mcmc.get_samples(group_by_chain=True).items()}
        return draws, int(np.asarray(mcmc.get_extra_fields()["diverging"]).sum())


def checked_convergence(draws: dict[str, Floats], divergences: int) -> Convergence:
    """Return the diagnostics of draws, each (chains, draws, ...), or refuse them.

    Raises
    ------
    NotCredibleError
        R-hat, effective sample size or divergences beyond their limits, with what to try.
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    total = next(iter(draws.values())).shape[:2]
    count = total[0] * total[1]
    varying = {name: x for name, x in draws.items() if np.ptp(x) > 0}
    r_hat = {name: float(np.max(split_gelman_rubin(x))) for name, x in varying.items()}
    ess = {name: float(np.min(effective_sample_size(x))) for name, x in varying.items()}
    found = Convergence(max(r_hat.values()), min(ess.values()), divergences, count)
    faults = []
    if not found.r_hat <= MAX_R_HAT:
        faults.append(
            f"R-hat of {max(r_hat, key=r_hat.__getitem__)} is {found.r_hat:.3f} (limit {MAX_R_HAT})"
        )
    if not found.ess >= MIN_ESS:
        faults.append(
            f"effective sample size of {min(ess, key=ess.__getitem__)} is {found.ess:.0f} (limit {MIN_ESS:.0f})"
        )
    if divergences > MAX_DIVERGENT * count:
        faults.append(f"{divergences} of {count} steps diverged")
    if faults:
        raise NotCredibleError(
            f"the sampler did not converge: {'; '.join(faults)}. Try, in this order: more warm-up and draws; a "
            "target acceptance of 0.99; fewer nodes (scheme all_cells); priors nearer to what is known"
        )
    return found
