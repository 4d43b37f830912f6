"""What would be believed without one of the fitted trials: draws of the constants, reweighted as if it were not there.

The draws of each structure are resampled by Pareto-smoothed weights (:mod:`stemtrial.calibration.trialwise`) and the
structures weighted anew from the other trials. Where a weight is not to be trusted the trial is named; a refit
(``stemtrial validate``) is then the only way to know.
"""

from collections.abc import Mapping

import numpy as np

from stemtrial.calibration.mixture import NOTHING, shares, weigh
from stemtrial.calibration.posterior import Posterior
from stemtrial.calibration.psis import psis
from stemtrial.calibration.structures import STRUCTURES
from stemtrial.calibration.trialwise import Trialwise
from stemtrial.mechanism.parameters import registry


def unreliable(parts: Mapping[str, Trialwise]) -> frozenset[str]:
    """Return the trials that cannot be left out by reweighting in at least one structure."""
    return frozenset(trial for part in parts.values() for trial in part.unreliable())


def without(
    posterior: Posterior, parts: Mapping[str, Trialwise], trial: str, draws: int, seed: int
) -> Posterior:
    """Return a posterior as if a trial had not been fitted.

    Parameters
    ----------
    posterior
        Of the same fits; the names of its constants and its indication are kept.
    parts
        Likelihood of every trial given what trials share, by structure.
    trial
        Which to leave out.
    draws
        How many draws.
    seed
        Of the resampling.
    """
    trials = next(iter(parts.values())).fit.model.trials
    place = trials.index(trial)
    weights = weigh(parts, place)
    values, coordinates, structures = [], [], []
    width = max(part.fit.shared for part in parts.values())
    for name, count in shares(weights, draws).items():
        if not count:
            continue
        fit, rows = parts[name].fit, _resampled(parts[name], place, count, seed)
        own = dict(zip(fit.constants[0], fit.constants[1][rows].T, strict=True))
        if STRUCTURES[name].inert:
            own |= {symbol: np.full(count, value) for symbol, value in NOTHING.items()}
        values.append(
            np.column_stack(
                [own[n] if n in own else np.full(count, registry()[n].value) for n in posterior.names]
            )
        )
        shared = fit.draws.reshape(-1, fit.model.dimension)[rows, : fit.shared]
        coordinates.append(np.pad(shared, ((0, 0), (0, width - fit.shared))))
        structures += [name] * count
    about = {**posterior.about, "trials": len(trials) - 1, "structure_weights": weights, "without": trial}
    return Posterior(
        posterior.names, np.concatenate(values), np.concatenate(coordinates), tuple(structures), about,
        posterior.fingerprint,
    )  # fmt: skip


def _resampled(part: Trialwise, place: int, count: int, seed: int) -> np.ndarray:
    """Draws of a fit in proportion to their weight without a trial, by systematic resampling, shuffled."""
    weight = np.exp(psis(-part.log_likelihood[:, [place]]).log_weights[:, 0])
    rng = np.random.default_rng([seed, place])
    edges = np.cumsum(weight / weight.sum())
    picked = np.searchsorted(edges, (np.arange(count) + rng.uniform()) / count)
    return np.asarray(rng.permutation(part.rows[np.minimum(picked, len(part.rows) - 1)]))
