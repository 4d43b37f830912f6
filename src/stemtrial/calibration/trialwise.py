"""Each trial's part in a fit: its likelihood given what trials share, and what the fit would say without it.

The effects of a trial are integrated out by importance sampling from a Student t distribution around its own posterior,
so that leaving a trial out is one reweighting of what the trials share (integrated importance sampling: Vehtari et al.
2016; Merkle et al. 2019), smoothed by Pareto tails, whose k says where only a refit will do.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln, logsumexp

from stemtrial.calibration.arms import TrialArm
from stemtrial.calibration.fit import Fit
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.prediction import Predicted, predict
from stemtrial.calibration.psis import LeaveOneOut, leave_one_out, psis, threshold

DRAWS = 400
PROPOSALS = 40
"""Draws of the effects of a trial for each draw of what trials share."""

WIDER = 1.3
DEGREES = 7.0


def places(model: FitModel) -> list[np.ndarray]:
    """Coordinates of each trial's own effects."""
    edges = dict(zip(model.sizes, np.cumsum([0, *model.sizes.values()])[:-1], strict=True))
    of_trial: list[list[int]] = [[] for _ in model.trials]
    by_kind = {
        "context": range(len(model.trials)), "onset": range(len(model.trials)), "cells": model.with_cells,
        "baseline": model.open_baseline, "dose": model.trial_of[model.open_dose], "spread": model.open_spread,
    }  # fmt: skip
    for kind, trials in by_kind.items():
        for k, trial in enumerate(trials):
            of_trial[int(trial)].append(edges[kind] + k)
    return [np.array(own) for own in of_trial]


@dataclass(frozen=True)
class Trialwise:
    """Likelihood of every trial given what trials share.

    Attributes
    ----------
    fit
        The fit.
    rows
        Draws of the fit that were used, places in its flattened draws.
    log_likelihood
        Trial effects integrated out, (draws, trials).
    """

    fit: Fit
    rows: np.ndarray
    log_likelihood: np.ndarray

    @cached_property
    def left_out(self) -> LeaveOneOut:
        """Expected log predictive density of every trial from the others, with Pareto k."""
        return leave_one_out(self.log_likelihood)

    def rows_without(self, trial: int, draws: int, seed: int) -> np.ndarray:
        """Places of draws of the fit as if a trial had not been fitted, in proportion to their weights, (draws,)."""
        smoothed = psis(-self.log_likelihood[:, [trial]])
        weight = np.exp(smoothed.log_weights[:, 0])
        rng = np.random.default_rng([seed, trial])
        # Systematic resampling: least noise for given weights.
        edges = np.cumsum(weight / weight.sum())
        picked = np.searchsorted(edges, (np.arange(draws) + rng.uniform()) / draws)
        return np.asarray(self.rows[np.minimum(picked, len(self.rows) - 1)])

    def known(self, trial: int, draws: int, seed: int) -> np.ndarray:
        """Draws of what trials share as if a trial had not been fitted, (draws, shared)."""
        flat = self.fit.draws.reshape(-1, self.fit.model.dimension)
        shared: np.ndarray = flat[self.rows_without(trial, draws, seed), : self.fit.shared]
        return shared

    def unreliable(self) -> tuple[str, ...]:
        """Trials whose reweighting is not to be trusted: Pareto k above its threshold."""
        return tuple(
            t
            for t, k in zip(self.fit.model.trials, self.left_out.k, strict=True)
            if k > threshold(len(self.rows))
        )


def trialwise(fit: Fit, seed: int, draws: int = DRAWS, proposals: int = PROPOSALS) -> Trialwise:
    """Integrate the effects of every trial out of its likelihood, for some draws of a fit."""
    model = fit.model
    flat = fit.draws.reshape(-1, model.dimension)
    rng = np.random.default_rng([seed, 31])
    rows = np.linspace(0, len(flat) - 1, min(draws, len(flat))).astype(int)
    own = places(model)
    z = np.repeat(flat[rows][:, None], proposals, axis=1)
    correction = np.zeros((len(rows), proposals, len(own)))
    for trial, where in enumerate(own):
        mean, covariance = (
            flat[:, where].mean(axis=0),
            np.cov(flat[:, where].T).reshape(len(where), len(where)),
        )
        factor = WIDER * np.linalg.cholesky(covariance + 1e-9 * np.eye(len(where)))
        shape = (len(rows), proposals, len(where))
        t = rng.standard_normal(shape) * np.sqrt(DEGREES / rng.chisquare(DEGREES, shape[:2]))[..., None]
        z[:, :, where] = mean + t @ factor.T
        p = len(where)
        log_q = (
            gammaln((DEGREES + p) / 2) - gammaln(DEGREES / 2) - 0.5 * p * np.log(DEGREES * np.pi)
            - np.log(np.diag(factor)).sum() - 0.5 * (DEGREES + p) * np.log1p((t**2).sum(axis=-1) / DEGREES)
        )  # fmt: skip
        log_prior = -0.5 * (z[:, :, where] ** 2).sum(axis=-1) - 0.5 * p * np.log(2 * np.pi)
        correction[:, :, trial] = log_prior - log_q
    found = model.log_likelihoods(z.reshape(-1, model.dimension))
    by_trial = np.zeros((len(found), len(own)))
    np.add.at(by_trial.T, model.trial_of, found.T)
    total = by_trial.reshape(len(rows), proposals, len(own)) + correction
    return Trialwise(fit, rows, logsumexp(total, axis=1) - np.log(proposals))


def predict_left_out(
    parts: Trialwise, trial: int, arms: list[TrialArm], asked: list[Asked], draws: int, seed: int
) -> Predicted:
    """Predict a trial from a fit reweighted as if it had not been there."""
    return predict(parts.known(trial, draws, seed), arms, asked, seed, parts.fit.model.structure)
