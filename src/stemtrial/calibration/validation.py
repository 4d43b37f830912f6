"""How good a fit is: what it says of the trials it was fitted to, and of each trial when that trial is left out.

The mechanism takes part in :func:`stemtrial.calibration.holdout.leave_one_trial_out` like the baselines do. What it
knows without a trial comes from reweighting the draws of the fit; where the reweighting is not to be trusted, from a
refit in which the trial's arms weigh nothing. Structures are weighted without the trial, too.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from stemtrial.calibration import scores
from stemtrial.calibration.arms import TrialArm
from stemtrial.calibration.baselines import FITS, refitted
from stemtrial.calibration.credibility import Check
from stemtrial.calibration.diagnostics import converge
from stemtrial.calibration.fit import Fit
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.holdout import Difference, LeftOutTrials, Predictor, leave_one_trial_out
from stemtrial.calibration.mixture import shares, weigh
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.prediction import predict
from stemtrial.calibration.sampling import Sampler, Shape
from stemtrial.calibration.simulated import Simulated, simulate_readings
from stemtrial.calibration.standard import LIKELIHOOD_VERSION
from stemtrial.calibration.trialwise import Trialwise, places

MECHANISM = "mechanism"
"""Name of the model among the predictors."""

HONEST = {0.5: (0.40, 0.60), 0.95: (0.90, 0.99)}
"""Coverage on trials left out that counts as honest, by level, with trials weighing equally."""

UNIFORM = 0.05
"""Smallest accepted p-value of simulation-based calibration, all quantities together."""

REFIT_R_HAT = 1.05
"""Largest accepted R-hat of what trials share in a refit."""

SHRINKAGE = 0.2
"""Share of the diagonal in the covariance by which a refit is preconditioned."""


# ---- the trials that were fitted ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Predictive:
    """What a fit says of its own readings.

    Attributes
    ----------
    model
        Whose rows they are.
    draws
        Simulated readings, (draws, readings), as in the rows of the model.
    """

    model: FitModel
    draws: np.ndarray

    def coverage(self) -> dict[str, list[dict[str, Any]]]:
        """Coverage of central intervals over means, and over shares of responders where there are any."""
        rows = self.model.rows
        found = {}
        for name, chosen in (("means", rows.kind < 2), ("responders", rows.kind == 2)):
            if chosen.any():
                found[name] = [asdict(c) for c in scores.coverage(self.draws[:, chosen], rows.y[chosen])]
        return found

    def outside(self) -> list[dict[str, Any]]:
        """List readings outside their 95 % interval, farthest first."""
        low, high = np.quantile(self.draws, [0.025, 0.975], axis=0)
        y, found = self.model.rows.y, []
        for place in np.flatnonzero((y < low) | (y > high)):
            arm, reading = self._reading(place)
            gap = max(low[place] - y[place], y[place] - high[place]) / max(high[place] - low[place], 1e-9)
            found.append(
                {
                    "trial_id": arm.trial_id, "arm_id": arm.arm_id, "month": reading.month, "kind": reading.kind,
                    "observed": float(y[place]), "q025": float(low[place]), "q975": float(high[place]),
                    "beyond": float(gap),
                }
            )  # fmt: skip
        return sorted(found, key=lambda row: -row["beyond"])

    def _reading(self, place: int | np.integer[Any]) -> tuple[TrialArm, Any]:
        arm = int(self.model.rows.arm[place])
        first = int(np.flatnonzero(self.model.rows.arm == arm)[0])
        return self.model.arms[arm], self.model.arms[arm].readings[place - first]

    def trials(self) -> list[dict[str, Any]]:
        """Bands and published means of every trial and arm, as the page of a fit takes them."""
        rows = self.model.rows
        quantiles = dict(
            zip(
                ("q025", "q25", "q50", "q75", "q975"),
                np.quantile(self.draws, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0),
                strict=True,
            )
        )
        found: dict[str, dict[str, Any]] = {}
        for a, arm in enumerate(self.model.arms):
            for kind, unit in ((1, "change"), (0, "level")):
                at = np.flatnonzero((rows.arm == a) & (rows.kind == kind))
                months = [self._reading(place)[1].month for place in at]
                at = at[np.unique(months, return_index=True)[1]] if len(at) else at
                if not len(at):
                    continue
                own = found.setdefault(
                    arm.trial_id, {"trial_id": arm.trial_id, "label": arm.trial_id, "arms": []}
                )
                readings = [self._reading(place)[1] for place in at]
                own["arms"].append(
                    {
                        "arm_id": arm.arm_id, "label": arm.arm_id.replace("_", " "), "unit": unit,
                        "months": [r.month for r in readings],
                        **{name: q[at].tolist() for name, q in quantiles.items()},
                        "observed": [{"month": r.month, "value": float(rows.y[place]), "se": r.se}
                                     for place, r in zip(at, readings, strict=True)],
                    }
                )  # fmt: skip
        return list(found.values())


def posterior_predictive(
    fits: Mapping[str, Fit], weights: Mapping[str, float], draws: int, seed: int
) -> Predictive:
    """Simulate the readings that were fitted, with the effects of their own trials, mixed over structures."""
    found = []
    for name, count in shares(weights, draws).items():
        if count:
            fit = fits[name]
            flat = fit.draws.reshape(-1, fit.model.dimension)
            rows = np.linspace(0, len(flat) - 1, count).round().astype(int)
            found.append(simulate_readings(fit.model, flat[rows], seed))
    return Predictive(next(iter(fits.values())).model, np.concatenate(found))


# ---- trials left out ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refits:
    """How to refit without a trial.

    Attributes
    ----------
    chains, warmup, draws
        Of each refit.
    folder
        Where they save themselves.
    """

    chains: int = 2
    warmup: int = 150
    draws: int = 600
    folder: Path | None = None


@dataclass(frozen=True)
class Refitted:
    """A refit without a trial, and whether it converged."""

    structure: str
    trial_id: str
    r_hat_max: float
    divergences: int


def _silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(eq=False)
class Mechanism:
    """The mechanism as a predictor of trials left out.

    Parameters
    ----------
    parts
        Likelihood of every trial given what trials share, by structure.
    seed
        Of reweighting and refits.
    refits
        How to refit where reweighting is not to be trusted; ``None`` keeps to reweighting.
    progress
        Called with what is being refitted, iterations done and in all.
    """

    parts: Mapping[str, Trialwise]
    seed: int
    refits: Refits | None = None
    progress: Callable[[str, int, int], None] = field(default_factory=lambda: _silent)
    done: list[Refitted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unreliable = {name: set(part.unreliable()) for name, part in self.parts.items()}
        self._samplers: dict[str, Sampler] = {}

    def weights_without(self, trial: int) -> dict[str, float]:
        """Weights of the structures from all trials but one."""
        return weigh(self.parts, trial)

    def __call__(
        self,
        training: Sequence[TrialArm],
        held_out: Sequence[TrialArm],
        rows: Sequence[Asked],
        draws: int,
        seed: int,
    ) -> np.ndarray:
        """Draw the observed means asked of a trial that was left out (:class:`.holdout.Predictor`)."""
        trials = next(iter(self.parts.values())).fit.model.trials
        trial = trials.index(held_out[0].trial_id)
        found = []
        for name, count in shares(self.weights_without(trial), draws).items():
            if not count:
                continue
            model = self.parts[name].fit.model
            if self.refits is not None and trials[trial] in self._unreliable[name]:
                known = self._refit(name, trial, self.refits, count)
            else:
                known = self.parts[name].known(trial, count, self.seed)
            drawn = predict(known, list(held_out), list(rows), seed, model.structure)
            level = np.array([asked.unit == "level" for asked in rows])
            found.append(np.where(level, drawn.follow_up, drawn.change))
        # structures are shuffled, so that any part of the draws is a fair sample
        order = np.random.default_rng([seed, 43]).permutation(draws)
        return np.concatenate(found)[order]

    def sampler(self, name: str, warmup: int) -> Sampler:
        """Return the sampler of a structure, compiled once; the warm-up is that of the first call."""
        if name not in self._samplers:
            self._samplers[name] = Sampler(self.parts[name].fit.model, warmup)
        return self._samplers[name]

    def _refit(self, name: str, trial: int, how: Refits, count: int) -> np.ndarray:
        fit = self.parts[name].fit
        sampler = self.sampler(name, how.warmup)
        weights = np.where(fit.model.trial_of == trial, 0.0, 1.0)
        shape = shape_without(fit, trial)
        total = how.chains * (how.warmup + how.draws)
        what = f"{fit.model.trials[trial]}, {name}"
        chains = []
        for k in range(how.chains):
            file = None
            if how.folder is not None:
                how.folder.mkdir(parents=True, exist_ok=True)
                key = [name, fit.model.trials[trial], k, asdict(fit.settings), self.seed, how.warmup, how.draws,
                       LIKELIHOOD_VERSION, hashlib.sha256(shape.factor.tobytes()).hexdigest()]  # fmt: skip
                file = how.folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.npz"
            before = k * (how.warmup + how.draws)
            chains.append(
                sampler.chain(
                    self.seed * 1000 + 10 * trial + k, how.draws, shape, weights=weights, file=file,
                    progress=lambda done, before=before: self.progress(what, before + done, total),  # type: ignore[misc]
                )
            )  # fmt: skip
        draws = np.stack([chain.draws for chain in chains])[:, :, : fit.shared]
        worst = float(converge(draws).r_hat.max()) if how.chains > 1 else float("nan")
        self.done.append(
            Refitted(name, fit.model.trials[trial], worst, sum(int(c.divergent.sum()) for c in chains))
        )
        flat = draws.reshape(-1, fit.shared)
        return np.asarray(flat[np.arange(count) * len(flat) // count])


def shape_without(fit: Fit, trial: int | None) -> Shape:
    """Return the coordinates in which to sample without a trial: the posterior's, its effects at their prior.

    Any shape gives the same posterior; a good one gives it sooner. ``None`` leaves no trial out.
    """
    flat = fit.draws.reshape(-1, fit.model.dimension)
    covariance = np.cov(flat.T)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
    mode = flat.mean(axis=0)
    if trial is not None:
        own = places(fit.model)[trial]
        mode[own] = 0.0
        covariance[own], covariance[:, own] = 0.0, 0.0
        covariance[own, own] = 1.0
    return Shape(mode, np.linalg.cholesky(covariance + 1e-9 * np.eye(len(mode))))


def left_out(
    arms: Sequence[TrialArm],
    mechanism: Mechanism,
    draws: int,
    seed: int,
    folder: Path | None,
    key: Mapping[str, object],
    progress: Callable[[int, int, str], None] = lambda done, total, trial: None,
) -> LeftOutTrials:
    """Predict every trial from the others by the mechanism and by the two baselines, refitted to the same arms.

    Parameters
    ----------
    arms
        All arms that were fitted.
    mechanism
        The fitted model.
    draws, seed
        Joint draws a trial, and what fixes them.
    folder, key
        Where finished trials are kept, and all on which the mechanism's predictions depend.
    progress
        Called with trials done, in all, and the trial just done.
    """
    baselines = {name: cast(Predictor, refitted(fit)) for name, fit in FITS.items()}
    predictors: dict[str, Predictor] = {MECHANISM: mechanism, **baselines}
    return leave_one_trial_out(
        arms, predictors, draws=draws, seed=seed, folder=folder, key=key, progress=progress
    )


def left_out_rows(found: LeftOutTrials) -> list[dict[str, Any]]:
    """Return every row and contrast that was predicted, with what each model said."""
    rows = []
    for held in found.held:
        row: dict[str, Any] = {
            "kind": held.kind, "trial_id": held.trial_id, "arm_id": held.arm_id, "comparator_id": held.comparator_id,
            "month": held.month, "unit": held.unit, "observed": held.observed,
            "se": held.se if np.isfinite(held.se) else "",
        }  # fmt: skip
        for name, draws in held.draws.items():
            words = name.replace(" ", "_")
            low, high = np.quantile(draws, [0.025, 0.975])
            row |= {
                f"{words}_mean": float(draws.mean()),
                f"{words}_q025": float(low),
                f"{words}_q975": float(high),
            }
            row[f"{words}_crps"] = float(scores.crps(draws[:, None], np.array([held.observed]), fair=True)[0])
        rows.append(row)
    return rows


# ---- what the checks say --------------------------------------------------------------------------------------------


def checks(
    predictive: Predictive | None,
    held_out: LeftOutTrials | None,
    refits: Sequence[Refitted],
    unreliable: Sequence[str],
    simulated: Simulated | None,
) -> dict[str, Check]:
    """Return the items of a credibility record that validation fills; what was not run is left out."""
    found: dict[str, Check] = {}
    if predictive is not None:
        means = predictive.coverage().get("means", [])
        shown = ", ".join(f"{100 * c['level']:.0f} % intervals held {100 * c['share']:.0f} %" for c in means)
        found["posterior_predictive"] = Check(
            "reported", f"{shown} of {means[0]['n'] if means else 0} fitted means"
        )
    if held_out is not None:
        found |= _left_out_checks(held_out, refits, unreliable)
    if simulated is not None:
        fits = len(next(iter(simulated.ranks.values())))
        met = simulated.smallest_p >= UNIFORM and fits >= 200
        found["simulation_based_calibration"] = Check(
            "met" if met else "not met",
            f"{fits} fits, {len(simulated.ranks)} quantities, smallest p-value of uniform ranks "
            f"{simulated.smallest_p:.3f} (Bonferroni), {simulated.divergences} divergences",
            f"200 fits, p at least {UNIFORM}",
        )  # fmt: skip
    return found


def _left_out_checks(
    held_out: LeftOutTrials, refits: Sequence[Refitted], unreliable: Sequence[str]
) -> dict[str, Check]:
    own = [s for s in held_out.scores if s.predictor == MECHANISM]
    best = [held_out.against_best(MECHANISM, score.kind) for score in own]
    honest = all(
        HONEST[level][0] <= share <= HONEST[level][1]
        for score in own
        for level, share in zip(scores.LEVELS, score.coverage_by_trial, strict=True)
        if level in HONEST
    )
    said = "; ".join(
        f"{score.kind}s: "
        + ", ".join(
            f"{100 * c.level:.0f} % held {100 * share:.1f} % by trial, {100 * c.share:.1f} % by row"
            for c, share in zip(score.coverage, score.coverage_by_trial, strict=True)
        )
        for score in own
    )
    doubtful = sum(r.r_hat_max > REFIT_R_HAT or bool(r.divergences) for r in refits)
    said += f"; {len(refits)} refits" + (f", {doubtful} of them not converged" if doubtful else "")
    if unreliable and not refits:
        said += f"; {len(unreliable)} trials reweighted beyond the Pareto threshold and not refitted"
    accuracy = "; ".join(
        f"{score.kind}s, {score.trials} trials: CRPS {score.crps_by_trial:.2f} by trial ({score.crps:.2f} by row), "
        f"{difference(gap)}; bias {score.bias_by_trial:+.2f}"
        for score, gap in zip(own, best, strict=True)
    )
    return {
        "held_out_coverage": Check(
            "met" if honest and not doubtful else "not met",
            said,
            "by trial 50 % held 40 to 60 %, 95 % held 90 to 99 %",
        ),
        "held_out_accuracy": Check(
            "met" if all(gap.crps_by_trial <= 0 for gap in best) else "not met",
            accuracy,
            "CRPS by trial no worse than that of the better baseline",
        ),
    }


def difference(gap: Difference) -> str:
    """Say by how much one model's CRPS differs from another's, both ways, and how sure that is."""
    interval = (
        ""
        if gap.se_by_trial is None or gap.q025_by_trial is None or gap.q975_by_trial is None
        else f" ± {gap.se_by_trial:.2f} (95 % interval {gap.q025_by_trial:+.2f} to {gap.q975_by_trial:+.2f})"
    )
    return f"less {gap.against} {gap.crps_by_trial:+.2f}{interval}, by row {gap.crps:+.2f} ± {gap.se:.2f}"


def to_dict(
    predictive: Predictive | None,
    held_out: LeftOutTrials | None,
    mechanism: Mechanism | None,
    simulated: Simulated | None,
    seed: int,
) -> dict[str, Any]:
    """Return all checks as plain data; what was not run is ``None``."""
    return {
        "posterior_predictive": None
        if predictive is None
        else {
            "draws": len(predictive.draws),
            "coverage": predictive.coverage(),
            "outside_95": predictive.outside(),
        },
        "held_out": None if held_out is None else held_out.as_dict(MECHANISM, seed),
        "left_out_trials": None
        if mechanism is None
        else {
            "pareto_k": {
                name: {
                    trial: float(k) if np.isfinite(k) else None
                    for trial, k in zip(part.fit.model.trials, part.left_out.k, strict=True)
                }
                for name, part in mechanism.parts.items()
            },
            "unreliable": {name: list(part.unreliable()) for name, part in mechanism.parts.items()},
            "refitted": [asdict(r) for r in mechanism.done],
        },
        "simulation_based": None if simulated is None else simulated.to_dict(),
    }
