"""Predictions for a file of arms from a posterior: the numbers of every row, and the joint draws behind them.

Every trial is drawn with a seed of its own, so that its predictions do not depend on what else is in the file; draw k
of all trials takes the same draw of the posterior.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from stemtrial.calibration.armfile import PredictionRow
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.posterior import Posterior
from stemtrial.calibration.prediction import Predicted, predict
from stemtrial.calibration.standard import LEARNED, sampled
from stemtrial.calibration.structures import STRUCTURES

QUANTILES = (0.025, 0.10, 0.25, 0.50, 0.75, 0.90, 0.975)

COLUMNS = (
    "follow_up_mean", "follow_up_sd", "change_mean", "change_sd", "change_q025", "change_q10", "change_q25",
    "change_q50", "change_q75", "change_q90", "change_q975",
)  # fmt: skip
"""What is said of every row: the predictive distribution of the arm's observed mean, points of 0-100."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Joint draws for the rows of a file.

    Attributes
    ----------
    follow_up, change
        Observed mean at the visit, and its change, (draws, rows).
    """

    follow_up: np.ndarray
    change: np.ndarray

    def summaries(self) -> list[dict[str, float]]:
        """Return the columns :data:`COLUMNS` of every row."""
        spread = np.quantile(self.change, QUANTILES, axis=0)
        found = np.vstack([
            self.follow_up.mean(axis=0), self.follow_up.std(axis=0), self.change.mean(axis=0), self.change.std(axis=0),
            spread,
        ])  # fmt: skip
        return [dict(zip(COLUMNS, map(float, column), strict=True)) for column in found.T]


def seed_of(*parts: object) -> int:
    """Return a seed that names determine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def shared_coordinates(structure: str) -> int:
    """Return how many coordinates trials share in a structure."""
    return len(sampled()) + len(LEARNED) + len(STRUCTURES[structure].learned)


def predict_file(
    posterior: Posterior,
    rows: Sequence[PredictionRow],
    samples: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Predictions:
    """Predict the rows of a file.

    Parameters
    ----------
    posterior
        Of the indication of all arms.
    rows
        Arms with a schedule, and months.
    samples
        Joint draws.
    seed
        Of effects of trials, deviations and errors.
    progress
        Called with trials done and in all.
    """
    picked = np.arange(samples) * len(posterior.values) // samples
    labels = np.array(posterior.structures)[picked]
    found = np.empty((2, samples, len(rows)))
    by_trial = sorted(
        range(len(rows)), key=lambda i: (rows[i].arm.trial_id, rows[i].arm.arm_id, rows[i].month)
    )
    trials = [(name, list(places)) for name, places in groupby(by_trial, lambda i: rows[i].arm.trial_id)]
    for done, (trial, places) in enumerate(trials):
        progress(done, len(trials))
        arms = list({rows[i].arm.arm_id: rows[i].arm for i in places}.values())
        ids = [arm.arm_id for arm in arms]
        asked = [Asked(ids.index(rows[i].arm.arm_id), rows[i].month, "change") for i in places]
        for name in dict.fromkeys(posterior.structures):
            own = np.flatnonzero(labels == name)
            if not len(own):
                continue
            known = posterior.coordinates[picked[own], : shared_coordinates(name)].astype(float)
            drawn: Predicted = predict(known, arms, asked, seed_of(seed, trial, name), STRUCTURES[name])
            found[0][np.ix_(own, np.array(places))] = drawn.follow_up
            found[1][np.ix_(own, np.array(places))] = drawn.change
    progress(len(trials), len(trials))
    return Predictions(found[0], found[1])
