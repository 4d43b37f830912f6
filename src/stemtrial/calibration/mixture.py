"""Rival structures compared by what they say of trials left out, and their posteriors mixed into one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.calibration.fit import Fit
from stemtrial.calibration.psis import averaged_stacking, stacking
from stemtrial.calibration.structures import STRUCTURES
from stemtrial.calibration.trialwise import Trialwise
from stemtrial.mechanism.parameters import registry

MOST_DRAWS = 1000
"""Draws of a posterior file."""

NO_EFFECT = -50.0
"""Mean of the logarithm of the cell effect where cells do nothing: a factor of 0."""

NOTHING = {"mu_cell": NO_EFFECT, "j0": 0.0, "phi_A": 0.0, "k_I": 0.0}
"""Constants where cells do nothing: neither act, nor flare, nor are killed."""


@dataclass(frozen=True)
class Compared:
    """A structure among its rivals.

    Attributes
    ----------
    name
        Of the structure.
    elpd, se
        Expected log predictive density of trials left out, and its standard error over trials.
    difference, difference_se
        Its distance from the best structure, over trials whose reweighting is to be trusted with every structure, and
        the standard error of that.
    worst_k
        Largest Pareto k of the reweighting.
    unreliable
        Trials whose k is above the threshold.
    optimum
        Weight in the mixture that predicts trials left out best (stacking).
    weight
        Of the structure in the posterior: its stacking weight averaged over all mixtures; 1 where it has no rival.
    """

    name: str
    elpd: float
    se: float
    difference: float
    difference_se: float
    worst_k: float
    unreliable: tuple[str, ...]
    optimum: float
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; an infinite k is ``None``."""
        k = self.worst_k if np.isfinite(self.worst_k) else None
        return {"name": self.name, "elpd": self.elpd, "se": self.se, "difference": self.difference,
                "difference_se": self.difference_se, "optimum": self.optimum, "weight": self.weight, "worst_k": k,
                "unreliable": list(self.unreliable)}  # fmt: skip


def unreliable(parts: Mapping[str, Trialwise]) -> frozenset[str]:
    """Return the trials that cannot be left out by reweighting in at least one structure."""
    return frozenset(trial for part in parts.values() for trial in part.unreliable())


def comparable(parts: Mapping[str, Trialwise]) -> np.ndarray:
    """Trials on which structures can be compared: their reweighting is to be trusted with every one, (trials,)."""
    trials = next(iter(parts.values())).fit.model.trials
    doubtful = unreliable(parts)
    return np.array([trial not in doubtful for trial in trials])


def weigh(parts: Mapping[str, Trialwise], without: int | None = None) -> dict[str, float]:
    """Weights of structures by what they say of trials left out (:func:`.psis.averaged_stacking`).

    Parameters
    ----------
    parts
        Likelihood of every trial given what trials share, by structure.
    without
        Place of a trial that takes no part, so that nothing of it is used where it is predicted.
    """
    used = comparable(parts)
    if without is not None:
        used[without] = False
    if len(parts) == 1 or not used.any():
        return dict.fromkeys(parts, 1 / len(parts))
    return averaged_stacking({name: part.left_out.elpd[used] for name, part in parts.items()})


def compare(parts: Mapping[str, Trialwise]) -> tuple[Compared, ...]:
    """Compare structures fitted to the same trials, by name."""
    left_out, used, weights = (
        {name: part.left_out for name, part in parts.items()},
        comparable(parts),
        weigh(parts),
    )
    optimum = (
        stacking({name: found.elpd[used] for name, found in left_out.items()}) if used.any() else weights
    )
    best = max(left_out, key=lambda name: left_out[name].elpd[used].sum())
    compared = []
    for name, found in left_out.items():
        apart = (found.elpd - left_out[best].elpd)[used]
        compared.append(
            Compared(
                name, found.total, found.se, float(apart.sum()), float(np.sqrt(apart.size * apart.var())),
                float(found.k.max()), parts[name].unreliable(), optimum[name], weights[name],
            )
        )  # fmt: skip
    return tuple(compared)


def shares(weights: Mapping[str, float], draws: int) -> dict[str, int]:
    """Whole numbers of draws in proportion to weights, by largest remainder.

    Examples
    --------
    >>> shares({"a": 0.6, "b": 0.25, "c": 0.15}, 10)
    {'a': 6, 'b': 3, 'c': 1}
    """
    total = sum(weights.values())
    exact = {name: draws * weight / total for name, weight in weights.items()}
    found = {name: int(x) for name, x in exact.items()}
    rest = draws - sum(found.values())
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[:rest]:
        found[name] += 1
    return found


@dataclass(frozen=True)
class Mixture:
    """Joint draws of several structures: what :func:`stemtrial.calibration.posterior.write` takes.

    Attributes
    ----------
    names, values
        Constants, (draws, names).
    coordinates
        Coordinates of what trials share, (draws, ...); those that a structure does not have are 0.
    structures
        Of each draw.
    """

    names: tuple[str, ...]
    values: np.ndarray
    coordinates: np.ndarray
    structures: tuple[str, ...]


def mix(fits: Mapping[str, Fit], weights: Mapping[str, float], draws: int = MOST_DRAWS) -> Mixture:
    """Mix fits in proportion to weights, each thinned evenly; no draw is used twice."""
    most = {name: fit.draws.shape[0] * fit.draws.shape[1] for name, fit in fits.items()}
    draws = min(draws, *(int(most[name] / weights[name]) for name in fits if weights[name] > 0))
    counts = {name: min(count, most[name]) for name, count in shares(weights, draws).items()}
    rows = {name: np.linspace(0, most[name] - 1, count).round().astype(int) for name, count in counts.items()}
    return gather(fits, rows)


def gather(fits: Mapping[str, Fit], rows: Mapping[str, np.ndarray]) -> Mixture:
    """Put draws of several fits together, by their places among the flattened draws of each."""
    names = tuple(dict.fromkeys(name for fit in fits.values() for name in fit.constants[0]))
    width = max(fit.shared for fit in fits.values())
    values, coordinates, structures = [], [], []
    for name, at in rows.items():
        if not len(at):
            continue
        fit = fits[name]
        own = dict(zip(fit.constants[0], fit.constants[1][at].T, strict=True))
        if STRUCTURES[name].inert:
            own |= {n: np.full(len(at), value) for n, value in NOTHING.items()}
        values.append(
            np.column_stack([own[n] if n in own else np.full(len(at), registry()[n].value) for n in names])
        )
        shared = fit.draws.reshape(-1, fit.model.dimension)[at, : fit.shared]
        coordinates.append(np.pad(shared, ((0, 0), (0, width - fit.shared))))
        structures += [name] * len(at)
    return Mixture(names, np.concatenate(values), np.concatenate(coordinates), tuple(structures))
