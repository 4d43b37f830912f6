"""The hierarchical model of published arms: from standard normal coordinates to a log density.

Every reading is the model's expected mean for its arm in its trial, plus a bias where the trial was not blinded or
small, plus the arm's own deviation, plus sampling error, which the visits of an arm share in part. An arm's errors
follow a multivariate Student t distribution, so that the odd impossible row bends the fit little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import gammaln

from stemtrial.calibration.arms import Arms, TrialArm
from stemtrial.calibration.arrays import namespace, normal, put
from stemtrial.calibration.comparators import PooledEffect
from stemtrial.calibration.expected import (
    USUAL_PAIN_SD,
    ArmEffects,
    Expectation,
    Situation,
    above,
    below,
    days,
)
from stemtrial.calibration.standard import Constants, Standard, heavy, learned_of, sampled
from stemtrial.calibration.structures import PARACRINE, Structure
from stemtrial.calibration.variants import Variant, variant
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.schedule import Kind, Schedule

FREEDOM = 6.0
"""Degrees of freedom of the errors of an arm."""

SHARED_ERROR = 0.5
"""Correlation of the sampling errors of two visits of an arm (the correlation of a patient's visits in trials)."""

UNKNOWN_N = 20
"""Patients of an arm whose number was not printed."""

TYPICAL_SD = 22.0
"""SD between patients of the change of pain by which the standard error of a small trial is judged, points."""

TOGETHER = 64
"""Draws whose moments are computed side by side: as many as fit a processor's cache."""

MEDIAN_FACTOR = 1.2533
"""Standard error of a median over that of a mean, normal distribution."""

DOSES: Mapping[str, tuple[float, float]] = {"culture_expanded": (40.0, 0.8), "chondrocyte": (15.0, 1.0)}
"""Median and SD of the logarithm of an unprinted dose of cells, millions, by product."""

OTHER_DOSE = (5.0, 1.2)
"""The same for concentrates and fractions, whose stromal cells are few among many."""

SLOPES: Mapping[str, str] = {"WOMAC_pain": "womac_slope", "KOOS_pain": "koos_slope", "NRS": "nrs_slope"}
"""Scale factors of instruments by the name of what is learned; others count as the visual analogue scale."""


def openness(arm: TrialArm) -> float:
    """How far an arm's comparison is open to bias: 1 unblinded or at high risk, one half where unclear, else 0."""
    if arm.blinding == "open" or arm.risk_of_bias == "high":
        return 1.0
    return 0.5 if arm.blinding == "unclear" else 0.0


def experimental(arm: TrialArm) -> bool:
    """Whether an arm is what its trial set out to show: all arms with cells."""
    return arm.intervention == "cell_therapy"


def uninjected(arm: TrialArm) -> bool:
    """Whether an arm is a control without an injection."""
    kinds = {e.kind for e in arm.schedule.events} if arm.schedule else set()
    return not experimental(arm) and Kind.CONTEXT_INJECTION not in kinds


@dataclass(frozen=True)
class Rows:
    """Readings as arrays, (readings,) each.

    Attributes
    ----------
    arm, trial
        Places of the arm and the trial.
    kind
        0 level, 1 change, 2 responders.
    y
        Value; levels of arms with a known baseline as changes.
    se
        Standard error; NaN where it follows from the SD that is learned.
    n
        Patients.
    factor
        1, or ``MEDIAN_FACTOR``.
    threshold, fraction
        Of responders, else NaN.
    slope
        Index of the instrument's scale factor, 0 for none.
    """

    arm: np.ndarray
    trial: np.ndarray
    kind: np.ndarray
    y: np.ndarray
    se: np.ndarray
    n: np.ndarray
    factor: np.ndarray
    threshold: np.ndarray
    fraction: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class FitModel:
    """Published arms made ready to fit or to predict.

    Attributes
    ----------
    arms
        The arms of the trials.
    pooled
        Pooled effects of conventional treatments.
    structure
        Which paths of the model are open to the cells.
    """

    arms: tuple[TrialArm, ...]
    pooled: tuple[PooledEffect, ...] = ()
    structure: Structure = PARACRINE

    @classmethod
    def of(
        cls, arms: Arms, pooled: Sequence[PooledEffect] = (), structure: Structure = PARACRINE
    ) -> "FitModel":
        """Make the arms of an indication ready.

        Raises
        ------
        InputError
            Where fewer than three trials with readings are left.
        """
        used = tuple(a for a in arms.arms if a.readings)
        if len({a.trial_id for a in used}) < 3:
            raise InputError(
                Problem(
                    "are too few to learn how trials differ",
                    field="trials with readings",
                    value=len({a.trial_id for a in used}),
                    allowed="at least 3",
                    hint="add arms, or leave out --only",
                )
            )
        return cls(used, tuple(pooled), structure)

    @property
    def variant(self) -> Variant:
        """What the indication of the arms changes in the model."""
        return variant(self.arms[0].indication)

    @cached_property
    def trials(self) -> tuple[str, ...]:
        """Trials in order of first appearance."""
        return tuple(dict.fromkeys(a.trial_id for a in self.arms))

    @cached_property
    def trial_of(self) -> np.ndarray:
        """Place of each arm's trial, (arms,)."""
        return np.array([self.trials.index(a.trial_id) for a in self.arms])

    @cached_property
    def baselines(self) -> np.ndarray:
        """Known mean baseline of every arm, NaN where it is not; an arm borrows that of its randomised trial."""
        found = np.array([np.nan if a.baseline_mean is None else a.baseline_mean for a in self.arms])
        for i, a in enumerate(self.arms):
            others = found[self.trial_of == self.trial_of[i]]
            if np.isnan(found[i]) and a.randomised and not np.isnan(others).all():
                found[i] = np.nanmean(others)
        return found

    @cached_property
    def printed(self) -> np.ndarray:
        """Mean baselines of the trials that printed one, points: what is known of those that did not."""
        own = [
            self.baselines[(self.trial_of == t) & ~np.isnan(self.baselines)] for t in range(len(self.trials))
        ]
        return np.array([known.mean() for known in own if len(known)])

    @cached_property
    def open_baseline(self) -> np.ndarray:
        """Trials whose baseline is a parameter, places."""
        return np.unique(self.trial_of[np.isnan(self.baselines)])

    @cached_property
    def open_dose(self) -> np.ndarray:
        """Arms whose dose is a parameter, places."""
        return np.array(
            [
                i
                for i, a in enumerate(self.arms)
                if a.schedule and a.schedule.doses and a.dose_million is None
            ],
            int,
        )

    @cached_property
    def open_spread(self) -> np.ndarray:
        """Trials whose SD between patients is a parameter, places."""
        return np.unique(self.rows.trial[np.isnan(self.rows.se) & (self.rows.kind < 2)])

    @cached_property
    def with_cells(self) -> np.ndarray:
        """Trials with a cell arm, places."""
        dosed = [t for t, a in zip(self.trial_of, self.arms, strict=True) if a.schedule and a.schedule.doses]
        return np.unique(np.array(dosed, int))

    @cached_property
    def rows(self) -> Rows:
        """All readings of all arms, arm by arm."""
        names = ["", *dict.fromkeys(SLOPES.values())]
        cells: list[tuple[float, ...]] = []
        for i, a in enumerate(self.arms):
            for r in a.readings:
                n = r.n or a.n or UNKNOWN_N
                level = r.kind == "level"
                known = level and a.baseline_mean is not None
                se = np.nan if known or r.se is None else r.se
                if known and r.se is not None and r.sd is None:
                    se = r.se
                cells.append((
                    i, self.trial_of[i], {"level": 0, "change": 1, "responders": 2}[r.kind] + (1 if known else 0),
                    r.value - a.baseline_mean if known and a.baseline_mean is not None else r.value,
                    se, n, MEDIAN_FACTOR if r.statistic == "median" else 1.0,
                    np.nan if r.threshold is None else r.threshold,
                    np.nan if r.threshold_fraction is None else r.threshold_fraction,
                    names.index(SLOPES.get(r.instrument, "")),
                ))  # fmt: skip
        columns = np.array(cells, float).T
        whole = {0, 1, 2, 9}
        return Rows(*(c.astype(int) if k in whole else c for k, c in enumerate(columns)))

    @cached_property
    def data(self) -> np.ndarray:
        """All that is fitted to but pooled effects: values of the readings, then printed baselines."""
        return np.concatenate([self.rows.y, self.printed])

    @cached_property
    def tilt(self) -> np.ndarray:
        """How far each arm is exposed to each bias, (arms, 3).

        Openness of an experimental arm, its smallness (points of standard error), and openness of a control arm whose
        patients know that they were given nothing new.
        """
        return np.array(
            [
                (
                    openness(a) * experimental(a),
                    experimental(a) * TYPICAL_SD * (2.0 / (a.n or UNKNOWN_N)) ** 0.5,
                    openness(a) * uninjected(a),
                )
                for a in self.arms
            ]
        )

    @cached_property
    def novelty(self) -> np.ndarray:
        """How far what an arm is given is new to its patients, (arms,).

        Trials of cells enrol patients whom conventional care has left in pain. A control arm that openly goes on with
        such care has it in its baseline already: it neither hopes for more nor gets more.
        """
        return 1.0 - self.tilt[:, 2] * np.isin(self.trial_of, self.with_cells)

    @cached_property
    def expectation(self) -> Expectation:
        """The model's expected means: of the arms, and of both sides of every pooled effect."""
        situations = [situation(a, self.structure) for a in self.arms]
        for effect in self.pooled:
            for schedule in (effect.schedule, effect.comparator_schedule):
                situations.append(
                    Situation(
                        self.structure.schedule(schedule),
                        days([effect.month]),
                        grades=tuple(self.variant.grades.items()),
                        age=self.variant.age,
                        bmi=self.variant.bmi,
                    )
                )
        return Expectation(situations)

    @cached_property
    def standard(self) -> Standard:
        """The map from coordinates to constants."""
        of = self.variant.indication
        learned = (*learned_of(of), *self.structure.learned)
        return Standard.of(sampled(of), learned, self.variant.constants)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Number of coordinates of each kind, all with a standard normal prior."""
        return {
            "constants": len(self.standard.parameters),
            "learned": len(self.standard.learned),
            "context": len(self.trials),
            "onset": len(self.trials),
            "cells": len(self.with_cells),
            "baseline": len(self.open_baseline),
            "dose": len(self.open_dose),
            "spread": len(self.open_spread),
        }

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return sum(self.sizes.values())

    def parts(self, z: Any) -> dict[str, Any]:
        """Coordinates (..., dimension) by kind: a JAX vector, or NumPy vectors side by side."""
        edges = np.cumsum([0, *self.sizes.values()])
        return {name: z[..., a:b] for name, a, b in zip(self.sizes, edges[:-1], edges[1:], strict=True)}

    def constants(self, z: Any) -> Constants:
        """All constants, those of the structure set."""
        return self.structure.constants(self.standard.constants(z["constants"], z["learned"]))

    def effects(self, z: Any, c: Constants) -> ArmEffects:
        """Return what differs between the arms; those of pooled effects are typical."""
        xp = namespace(c.vector)
        trial, lead = self.trial_of, c.vector.shape[:-1]
        ctx_Emax, tau_ctx, tail_ctx, k_B, omega_k_B, mu_cell, omega_cell, baseline_mean, baseline_sd = (
            c[name][..., None]
            for name in ("ctx_Emax", "tau_ctx", "tail_ctx", "k_B", "omega_k_B", "mu_cell", "omega_cell",
                         "baseline_mean", "baseline_sd")
        )  # fmt: skip
        base = xp.broadcast_to(np.nan_to_num(self.baselines), (*lead, len(self.arms)))
        if len(self.open_baseline):
            own = below(above(baseline_mean + baseline_sd * z["baseline"], 3.0), 97.0)
            own = put(np.zeros(len(self.trials)), self.open_baseline, own)
            base = xp.where(np.isnan(self.baselines), own[..., trial], base)
        cells = put(np.zeros(len(self.trials)), self.with_cells, z["cells"])
        dose = xp.ones((*lead, len(self.arms)))
        if len(self.open_dose):
            prior = np.array([DOSES.get(str(self.arms[i].product), OTHER_DOSE) for i in self.open_dose])
            dose = put(dose, self.open_dose, prior[:, 0] * xp.exp(prior[:, 1] * z["dose"]))
        typical = xp.ones((*lead, 2 * len(self.pooled)))

        def all_sides(of_arms: Any, of_pooled: Any) -> Any:
            return xp.concatenate([of_arms, of_pooled * typical], axis=-1)

        return ArmEffects(
            baseline=all_sides(base, self.variant.baseline),
            ctx_Emax=all_sides(ctx_Emax + tau_ctx * heavy(z["context"], tail_ctx)[..., trial], ctx_Emax),
            k_B=all_sides(k_B * xp.exp(omega_k_B * z["onset"][..., trial]), k_B),
            cell_effect=all_sides(xp.exp(mu_cell + omega_cell * cells[..., trial]), 1.0),
            dose=all_sides(dose, 1.0),
        )

    def spread(self, z: Any, c: Constants) -> Any:
        """SD between patients of the change of pain, by trial."""
        own = put(np.zeros(len(self.trials)), self.open_spread, z["spread"])
        return c["sd_change"][..., None] * namespace(c.vector).exp(0.2 * own)

    def moments(self, z: Any) -> dict[str, Any]:
        """Return the expected readings and the scales of their errors.

        Returns
        -------
        dict
            By reading ``mean``, ``se``, ``gain`` and ``baseline``: expected value, standard error in points, what a
            point of deviation moves the reading by, and pain at baseline. ``arm_sd`` by arm and ``pooled`` by effect;
            ``tau_visit``, ``tau_pooled``, ``baseline_mean`` and ``baseline_sd``. All with the leading axis of the
            coordinates, if any.
        """
        c, rows = self.constants(z), self.rows
        xp, lead = namespace(c.vector), c.vector.shape[:-1]
        effects = self.effects(z, c)
        before, after, weight = self.expectation.patients(c, effects)
        r = len(rows.y)
        novelty = np.concatenate([self.novelty[rows.arm], np.ones(2 * len(self.pooled))])
        node = (after - before[..., None]) * novelty[:, None, None]
        change = (node * weight).sum(axis=-1).mean(axis=-1)
        learned = c.take(tuple(dict.fromkeys(SLOPES.values())))
        slopes = xp.concatenate([xp.ones((*lead, 1)), learned], axis=-1)[..., rows.slope]
        tilt = self.tilt
        bias = c.take(("bias_open", "bias_small", "bias_control")) @ tilt.T
        sd = self.spread(z, c)[..., rows.trial]
        mean = slopes * change[..., :r] + bias[..., rows.arm]
        base = effects.baseline[..., rows.arm]
        mean = xp.where(rows.kind == 0, base + mean, mean)
        se = xp.where(np.isnan(rows.se), rows.factor * sd / np.sqrt(rows.n), np.nan_to_num(rows.se, nan=1.0))
        gain = xp.ones((*lead, r))
        if len(at := np.flatnonzero(rows.kind == 2)):
            own, between, arm = node[..., at, :, :], sd[..., at], rows.arm[at]
            scatter = ((own - change[..., at, None, None]) ** 2 * weight).sum(-1).mean(-1)
            within = xp.sqrt(xp.maximum(between**2 - scatter, (0.5 * between) ** 2))
            bar = xp.where(
                np.isnan(rows.fraction[at])[:, None], np.nan_to_num(rows.threshold[at])[:, None],
                np.nan_to_num(rows.fraction[at])[:, None] * before[..., at, :],
            )  # fmt: skip
            beyond = -bar[..., None] - own - bias[..., arm][..., None, None]
            probability, density = normal(beyond / within[..., None, None])
            share = xp.clip((probability * weight).sum(-1).mean(-1), 0.005, 0.995)
            slope = xp.maximum((density * weight).sum(-1).mean(-1) / within, 1e-3)
            mean, gain = put(mean, at, share), put(gain, at, -slope)
            se = put(se, at, xp.sqrt(share * (1 - share) / rows.n[at]) / slope)
        arm_sd = xp.sqrt(c["tau_arm"][..., None] ** 2 + (tilt[:, 0] * c["tau_open"][..., None]) ** 2)
        sides = change[..., r:].reshape(*lead, -1, 2)
        return {
            "mean": mean,
            "se": se,
            "gain": gain,
            "arm_sd": arm_sd,
            "baseline": base,
            "pooled": sides[..., 0] - sides[..., 1],
            **{name: c[name] for name in ("tau_visit", "tau_pooled", "baseline_mean", "baseline_sd")},
        }

    def moments_of(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Moments of many draws of the coordinates, (draws, dimension), with NumPy and in bounded memory."""
        found = [self.moments(self.parts(part)) for part in np.array_split(z, -(-len(z) // TOGETHER))]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def log_likelihoods(self, z: np.ndarray) -> np.ndarray:
        """Log density of the readings by arm for many draws of the coordinates, (draws, arms), likewise."""
        return np.concatenate(
            [self.log_likelihood(part)[0] for part in np.array_split(z, -(-len(z) // TOGETHER))]
        )

    def log_likelihood(self, coordinates: Any, data: Any = None) -> tuple[Any, Any]:
        """Log density of the data, or of others in their place.

        Returns
        -------
        by_arm, of_rest
            Of the readings, (..., arms), and of printed baselines and pooled effects, (..., both).
        """
        xp = namespace(coordinates)
        m, rows = self.moments(self.parts(coordinates)), self.rows
        data = self.data if data is None else data
        error = (data[: len(rows.y)] - m["mean"]) / m["gain"]
        shrink = (FREEDOM - 2) / FREEDOM
        own = (m["tau_visit"][..., None] ** 2 + (1 - SHARED_ERROR) * m["se"] ** 2) * shrink
        count = np.bincount(rows.arm, minlength=len(self.arms))
        member = (rows.arm[:, None] == np.arange(len(self.arms))).astype(float)

        def total(values: Any) -> Any:
            return values @ member

        common = (m["arm_sd"] ** 2 + SHARED_ERROR * total(m["se"] ** 2) / count) * shrink
        precision, weighted = total(1 / own), total(error / own)
        square = total(error**2 / own) - common * weighted**2 / (1 + common * precision)
        log_det = total(xp.log(own)) + xp.log1p(common * precision)
        by_arm = (
            gammaln((FREEDOM + count) / 2) - gammaln(FREEDOM / 2) - 0.5 * count * np.log(FREEDOM * np.pi)
            - 0.5 * log_det - 0.5 * (FREEDOM + count) * xp.log1p(square / FREEDOM)
            - total(xp.log(xp.abs(m["gain"])))
        )  # fmt: skip
        mean, sd = (m[name][..., None] for name in ("baseline_mean", "baseline_sd"))
        of_printed = -0.5 * ((data[len(rows.y) :] - mean) / sd) ** 2 - xp.log(sd) - 0.5 * np.log(2 * np.pi)
        if not self.pooled:
            return by_arm, of_printed
        value, se = (np.array([getattr(e, k) for e in self.pooled]) for k in ("value", "se"))
        variance = (se**2 + m["tau_pooled"][..., None] ** 2) * shrink
        of_pooled = (
            gammaln((FREEDOM + 1) / 2) - gammaln(FREEDOM / 2) - 0.5 * xp.log(FREEDOM * np.pi * variance)
            - 0.5 * (FREEDOM + 1) * xp.log1p((value - m["pooled"]) ** 2 / variance / FREEDOM)
        )  # fmt: skip
        return by_arm, xp.concatenate([of_printed, of_pooled], axis=-1)

    def log_weighted(self, coordinates: Any, weights: Any, data: Any = None) -> Any:
        """Log likelihood, that of each arm's readings times a weight (0 holds an arm out)."""
        by_arm, of_rest = self.log_likelihood(coordinates, data)
        return (by_arm * weights).sum() + of_rest.sum()

    def log_density(self, coordinates: Any) -> Any:
        """Log posterior density of the coordinates, up to a constant."""
        return self.log_weighted(coordinates, np.ones(len(self.arms))) - 0.5 * (coordinates**2).sum()


def situation(arm: TrialArm, structure: Structure, months: Sequence[float] | None = None) -> Situation:
    """Return what the model needs to know of an arm, at its readings or at other months."""
    asked = [r.month for r in arm.readings] if months is None else months
    usual = variant(arm.indication)
    return Situation(
        structure.schedule(arm.schedule or Schedule(())),
        days(asked),
        arm.baseline_sd or USUAL_PAIN_SD,
        tuple((arm.grades or usual.grades).items()),
        arm.age_mean or usual.age,
        arm.bmi_mean or usual.bmi,
    )
