"""What would be believed without one of the fitted trials: draws of the constants, reweighted as if it were not there.

The draws of each structure are resampled by Pareto-smoothed weights (:mod:`stemtrial.calibration.trialwise`) and the
structures weighted anew from the other trials. Where a weight is not to be trusted the trial is named; a refit
(``stemtrial validate``) is then the only way to know.
"""

from collections.abc import Mapping

import numpy as np

from stemtrial.calibration.mixture import gather, shares, weigh
from stemtrial.calibration.posterior import Posterior
from stemtrial.calibration.trialwise import Trialwise


def without(
    posterior: Posterior, parts: Mapping[str, Trialwise], trial: str, draws: int, seed: int
) -> Posterior:
    """Return a posterior as if a trial had not been fitted.

    Parameters
    ----------
    posterior
        Of the same fits; what it says about itself is kept.
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
    rng = np.random.default_rng([seed, place])
    rows = {
        name: rng.permutation(parts[name].rows_without(place, count, seed))
        for name, count in shares(weights, draws).items()
        if count
    }
    mixed = gather({name: part.fit for name, part in parts.items()}, rows)
    about = {**posterior.about, "trials": len(trials) - 1, "structure_weights": weights, "without": trial}
    return Posterior(
        mixed.names, mixed.values, mixed.coordinates, mixed.structures, about, posterior.fingerprint
    )
