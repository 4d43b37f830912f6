"""A fit from beginning to end: chains side by side, a verdict on their convergence, what the data moved."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial.calibration.arms import Arms, TrialArm
from stemtrial.calibration.comparators import PooledEffect
from stemtrial.calibration.diagnostics import converge
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.processes import side_by_side
from stemtrial.calibration.sampling import Chain, Sampler, Shape, in_double_precision
from stemtrial.calibration.standard import LEARNED, LIKELIHOOD_VERSION, Learned
from stemtrial.calibration.structures import STRUCTURES, Structure
from stemtrial.errors import NotCredibleError
from stemtrial.mechanism.parameters import Parameter

MOST_R_HAT = 1.01
LEAST_ESS = 400.0

INFORMED = 0.3
"""Share of its prior variance that a quantity has to lose to count as informed by the data."""


@dataclass(frozen=True)
class Settings:
    """Length of a fit.

    Attributes
    ----------
    chains, warmup, draws
        Number of chains, and iterations of each before and after adaptation.
    seed
        Of everything.
    """

    chains: int = 4
    warmup: int = 250
    draws: int = 1000
    seed: int = 1


@dataclass(frozen=True)
class Fit:
    """A finished fit of one structure.

    Attributes
    ----------
    model
        What was fitted.
    settings
        How.
    chains
        The draws.
    wall_seconds
        Of the sampling, from its first start, interruptions apart.
    """

    model: FitModel
    settings: Settings
    chains: tuple[Chain, ...]
    wall_seconds: float

    @property
    def shared(self) -> int:
        """Number of coordinates that are not of one trial or arm."""
        return self.model.sizes["constants"] + self.model.sizes["learned"]

    @cached_property
    def draws(self) -> np.ndarray:
        """Coordinates, (chains, draws, dimension)."""
        return np.stack([c.draws for c in self.chains])

    @cached_property
    def diagnostics(self) -> dict[str, float | int]:
        """Worst of the diagnostics over all coordinates, and the cost of the draws."""
        found = converge(self.draws)
        leaps = sum(int(c.leaps.sum()) for c in self.chains)
        return {
            "chains": len(self.chains),
            "draws_per_chain": self.draws.shape[1],
            "r_hat_max": float(found.r_hat.max()),
            "ess_bulk_min": float(found.bulk.min()),
            "ess_tail_min": float(found.tail.min()),
            "divergences": sum(int(c.divergent.sum()) for c in self.chains),
            "gradients": leaps,
            "wall_seconds": round(self.wall_seconds, 1),
            "ess_per_second": float(found.bulk.min() / self.wall_seconds),
        }

    def require(self) -> None:
        """Raise where the draws may not be believed.

        Raises
        ------
        NotCredibleError
            R-hat of 1.01 or more, an effective sample size of 400 or less, or a divergence.
        """
        d = self.diagnostics
        if (
            d["r_hat_max"] < MOST_R_HAT
            and min(d["ess_bulk_min"], d["ess_tail_min"]) > LEAST_ESS
            and not d["divergences"]
        ):
            return
        raise NotCredibleError(
            f"the fit has not converged: R-hat {d['r_hat_max']:.3f} (below {MOST_R_HAT} wanted), effective sample size "
            f"{min(d['ess_bulk_min'], d['ess_tail_min']):.0f} (above {LEAST_ESS:.0f} wanted), {d['divergences']} "
            "divergences (none wanted); try more --draws, which go on from these, or more --warmup, or look for an arm "
            "that contradicts the others with `stemtrial validate`"
        )

    @cached_property
    def constants(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names and values of the constants of all draws, (draws, names)."""
        in_double_precision()
        import jax
        import jax.numpy as jnp

        model, flat = self.model, self.draws.reshape(-1, self.model.dimension)
        example = model.constants(model.parts(jnp.asarray(flat[0])))
        touched = {p.symbol for p in model.standard.parameters} | {q.name for q in LEARNED}
        touched |= set(model.structure.set_to(example)) & set(example)
        names = tuple(n for n in example if n in touched and not n.endswith("per day"))
        values = jax.jit(jax.vmap(lambda z: model.constants(model.parts(z)).take(names)))(jnp.asarray(flat))
        return names, np.asarray(values)

    @property
    def quantities(self) -> tuple[Parameter | Learned, ...]:
        """Everything that trials share, in the order of its coordinates."""
        standard = self.model.standard
        return (*standard.parameters, *standard.learned)

    def values(self, z: np.ndarray) -> np.ndarray:
        """Values of :attr:`quantities` at coordinates, (shared,); each rises with its own coordinate alone."""
        standard = self.model.standard
        count = len(standard.parameters)
        in_double_precision()
        return np.asarray(standard.constants(z[:count], z[count:]).take(standard.names))

    def contraction(self) -> list[dict[str, Any]]:
        """How far the data moved each quantity from its prior, most moved first.

        ``contraction`` is 1 less the ratio of posterior to prior variance of the standard normal coordinate, ``shift``
        its posterior mean: what stays near 0 in both is prior.
        """
        shared = self.draws.reshape(-1, self.model.dimension)[:, : self.shared]
        low, median, high = (self.values(z) for z in np.quantile(shared, (0.025, 0.5, 0.975), axis=0))
        rows = []
        for i, (name, quantity) in enumerate(zip(self.model.standard.names, self.quantities, strict=True)):
            contraction, shift = float(1 - shared[:, i].var()), float(shared[:, i].mean())
            rows.append(
                {
                    "name": name,
                    "meaning": quantity.meaning,
                    "unit": quantity.unit,
                    "q025": float(low[i]),
                    "median": float(median[i]),
                    "q975": float(high[i]),
                    "contraction": contraction,
                    "shift": shift,
                    "status": "learned" if contraction > INFORMED or abs(shift) > 0.7 else "prior",
                }
            )
        return sorted(rows, key=lambda row: -max(row["contraction"], abs(row["shift"])))


def fit(
    arms: Arms,
    pooled: tuple[PooledEffect, ...],
    structure: Structure,
    settings: Settings,
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fit:
    """Fit a structure to arms; chains run in processes of their own and resume where they ended.

    Parameters
    ----------
    arms, pooled, structure
        What to fit.
    settings
        How long.
    folder
        Where chains save themselves; another fit's are not used.
    workers
        Chains at a time.
    progress
        Called with iterations done and in all.
    """
    model = FitModel.of(arms, pooled, structure)
    begun = asdict(replace(settings, draws=0))  # More draws go on from those that are there.
    key = hashlib.sha256(
        json.dumps(
            [arms.hash, repr(pooled), structure.name, begun, LIKELIHOOD_VERSION]
            + [own for own in (model.variant.fingerprint,) if own]
        ).encode()
    ).hexdigest()[:16]
    folder = folder / f"{structure.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    spent, each = folder / "seconds", settings.warmup + settings.draws
    started = time.perf_counter() - (float(spent.read_text()) if spent.is_file() else 0.0)

    def watch() -> None:
        done = (_done(folder / f"chain-{k}.npz") for k in range(settings.chains))
        progress(sum(min(n, each) for n in done), settings.chains * each)
        partial = spent.with_suffix(".partial")
        partial.write_text(f"{time.perf_counter() - started:.1f}")
        os.replace(partial, spent)

    calls = [(model.arms, model.pooled, structure.name, settings, k, folder) for k in range(settings.chains)]
    chains = side_by_side(_chain, calls, workers, watch)
    watch()
    return Fit(model, settings, tuple(chains), time.perf_counter() - started)


def _done(file: Path) -> int:
    try:
        with np.load(file, allow_pickle=False) as saved:
            return int(saved["done"])
    except (OSError, ValueError, KeyError, EOFError):
        return 0


_READY: dict[Path, tuple[Sampler, Shape]] = {}
"""In a process that runs chains: what all chains of a fit share, compiled once, by the fit's folder."""


def _chain(
    arms: tuple[TrialArm, ...],
    pooled: tuple[PooledEffect, ...],
    structure: str,
    settings: Settings,
    k: int,
    folder: Path,
) -> Chain:
    if folder not in _READY:
        made = Sampler(FitModel(arms, pooled, STRUCTURES[structure]), settings.warmup)
        _READY[folder] = made, made.shape()
    sampler, shape = _READY[folder]
    return sampler.chain(settings.seed * 1000 + k, settings.draws, shape, file=folder / f"chain-{k}.npz")
