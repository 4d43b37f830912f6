"""What the model predicts for arms that it has not seen: joint draws of their observed means.

A draw takes constants from the posterior, gives the trial effects of its own, and adds an arm's own deviation and the
sampling error of its size: the likelihood of the fit, read forward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stemtrial.calibration.arms import Reading, TrialArm
from stemtrial.calibration.fitmodel import FREEDOM, SHARED_ERROR, FitModel
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.structures import PARACRINE, Structure


@dataclass(frozen=True)
class Predicted:
    """Joint draws for the asked rows.

    Attributes
    ----------
    baseline, change
        Mean pain at baseline and observed mean change, points of 0-100, (draws, rows).
    """

    baseline: np.ndarray
    change: np.ndarray

    @property
    def follow_up(self) -> np.ndarray:
        """Observed mean at the visit, (draws, rows)."""
        level: np.ndarray = self.baseline + self.change
        return level


def errors(model: FitModel, moments: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw what readings deviate by from their expected values, points, (draws, readings).

    An arm's own deviation and the part of sampling error that its visits share, a deviation of the visit and the rest
    of sampling error, scaled together so that the errors of an arm follow a multivariate Student t distribution.

    Parameters
    ----------
    model
        Whose readings they are.
    moments
        Of :meth:`.FitModel.moments_of`, (draws, ...).
    rng
        Source of the draws.
    """
    arm, se = model.rows.arm, moments["se"]
    draws, arms = len(se), len(model.arms)
    mean_square = np.zeros((draws, arms))
    np.add.at(mean_square.T, arm, (se**2).T)
    mean_square /= np.maximum(np.bincount(arm, minlength=arms), 1)
    common = np.sqrt(moments["arm_sd"] ** 2 + SHARED_ERROR * mean_square)
    own = np.sqrt(moments["tau_visit"][:, None] ** 2 + (1 - SHARED_ERROR) * se**2)
    shrink = np.sqrt((FREEDOM - 2) / rng.chisquare(FREEDOM, (draws, arms)))
    deviation = common * rng.standard_normal((draws, arms))
    return np.asarray(shrink[:, arm] * (deviation[:, arm] + own * rng.standard_normal(own.shape)))


def predict(
    known: np.ndarray,
    arms: Sequence[TrialArm],
    asked: Sequence[Asked],
    seed: int,
    structure: Structure = PARACRINE,
) -> Predicted:
    """Draw the observed means of arms, jointly over arms and visits of all trials.

    Parameters
    ----------
    known
        Coordinates of constants and of what is learned beside them, (draws, ...), from a fit of the structure.
    arms
        Arms with a schedule; their readings are not looked at.
    asked
        Arm and month of every row.
    seed
        Of the effects of trials, deviations and errors.
    structure
        Of the fit.
    """
    order: list[int] = []
    with_readings = []
    for place, own in enumerate(arms):
        rows = sorted((i for i, a in enumerate(asked) if a.arm == place), key=lambda i: asked[i].month)
        order += rows
        readings = tuple(
            Reading(month=asked[i].month, instrument="VAS", kind="change", statistic="mean", value=0.0, n=own.n,
                    reference_id="") for i in rows
        )  # fmt: skip
        with_readings.append(replace(own, readings=readings))
    model = FitModel(tuple(with_readings), (), structure)
    draws, shared = known.shape
    rng = np.random.default_rng([seed, 23])
    z = np.concatenate([known, rng.standard_normal((draws, model.dimension - shared))], axis=1)

    m = model.moments_of(z)
    error = errors(model, m, rng)
    change = np.clip(m["mean"] + error, -m["baseline"], 100 - m["baseline"])
    back = np.argsort(order)
    return Predicted(m["baseline"][:, back], change[:, back])
