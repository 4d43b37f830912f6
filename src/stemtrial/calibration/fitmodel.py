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

from stemtrial.calibration.arms import Arms, TrialArm
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
        """Coordinates (dimension,) by kind."""
        edges = np.cumsum([0, *self.sizes.values()])
        return {name: z[a:b] for name, a, b in zip(self.sizes, edges[:-1], edges[1:], strict=True)}

    def constants(self, z: Any) -> Constants:
        """All constants, those of the structure set."""
        return self.structure.constants(self.standard.constants(z["constants"], z["learned"]))

    def effects(self, z: Any, c: Constants) -> ArmEffects:
        """Return what differs between the arms; those of pooled effects are typical."""
        import jax.numpy as jnp

        trial = self.trial_of
        extra = 2 * len(self.pooled)
        base = jnp.asarray(np.nan_to_num(self.baselines))
        if len(self.open_baseline):
            own = (
                jnp.zeros(len(self.trials))
                .at[self.open_baseline]
                .set(below(above(c["baseline_mean"] + c["baseline_sd"] * z["baseline"], 3.0), 97.0))
            )
            base = jnp.where(np.isnan(self.baselines), own[trial], base)
        cells = jnp.zeros(len(self.trials))
        if len(self.with_cells):
            cells = cells.at[self.with_cells].set(z["cells"])
        dose = jnp.ones(len(self.arms))
        if len(self.open_dose):
            prior = np.array([DOSES.get(str(self.arms[i].product), OTHER_DOSE) for i in self.open_dose])
            dose = dose.at[self.open_dose].set(prior[:, 0] * jnp.exp(prior[:, 1] * z["dose"]))
        typical = jnp.ones(extra)
        return ArmEffects(
            baseline=jnp.concatenate([base, self.variant.baseline * typical]),
            ctx_Emax=jnp.concatenate(
                [c["ctx_Emax"] + c["tau_ctx"] * heavy(z["context"][trial]), c["ctx_Emax"] * typical]
            ),
            k_B=jnp.concatenate([c["k_B"] * jnp.exp(c["omega_k_B"] * z["onset"][trial]), c["k_B"] * typical]),
            cell_effect=jnp.concatenate([jnp.exp(c["mu_cell"] + c["omega_cell"] * cells[trial]), typical]),
            dose=jnp.concatenate([dose, typical]),
        )

    def spread(self, z: Any, c: Constants) -> Any:
        """SD between patients of the change of pain, by trial."""
        import jax.numpy as jnp

        own = jnp.zeros(len(self.trials))
        if len(self.open_spread):
            own = own.at[self.open_spread].set(z["spread"])
        return c["sd_change"] * jnp.exp(0.2 * own)

    def moments(self, z: Any) -> dict[str, Any]:
        """Return the expected readings and the scales of their errors.

        Returns
        -------
        dict
            By reading ``mean``, ``se``, ``gain`` and ``baseline``: expected value, standard error in points, what a
            point of deviation moves the reading by, and pain at baseline. ``arm_sd`` by arm and ``pooled`` by effect;
            ``tau_visit`` and ``tau_pooled``.
        """
        import jax.numpy as jnp
        from jax.scipy.stats import norm

        c, rows = self.constants(z), self.rows
        effects = self.effects(z, c)
        before, after, weight = self.expectation.patients(c, effects)
        node = after - before[..., None]
        change = (node * weight).sum(axis=-1).mean(axis=1)
        r = len(rows.y)
        slopes = jnp.concatenate([jnp.ones(1), c.take(tuple(dict.fromkeys(SLOPES.values())))])[rows.slope]
        tilt = self.tilt
        bias = tilt @ c.take(("bias_open", "bias_small", "bias_control"))
        sd = self.spread(z, c)[rows.trial]
        mean = slopes * change[:r] + bias[rows.arm]
        base = effects.baseline[rows.arm]
        mean = jnp.where(rows.kind == 0, base + mean, mean)
        se = jnp.where(
            np.isnan(rows.se), rows.factor * sd / jnp.sqrt(rows.n), np.nan_to_num(rows.se, nan=1.0)
        )
        gain = jnp.ones(r)
        if (rows.kind == 2).any():
            within = jnp.sqrt(jnp.maximum(sd**2 - ((node[:r] - change[:r, None, None]) ** 2 * weight).sum(-1).mean(1),
                                          (0.5 * sd) ** 2))  # fmt: skip
            bar = jnp.where(
                np.isnan(rows.fraction)[:, None], np.nan_to_num(rows.threshold)[:, None],
                np.nan_to_num(rows.fraction)[:, None] * before[:r],
            )  # fmt: skip
            score = (-bar[..., None] - node[:r] - bias[rows.arm][:, None, None]) / within[:, None, None]
            share = (norm.cdf(score) * weight).sum(-1).mean(1)
            density = (norm.pdf(score) * weight).sum(-1).mean(1) / within
            chosen = rows.kind == 2
            share = jnp.clip(share, 0.005, 0.995)
            mean = jnp.where(chosen, share, mean)
            gain = jnp.where(chosen, -jnp.maximum(density, 1e-3), gain)
            se = jnp.where(chosen, jnp.sqrt(share * (1 - share) / rows.n) / jnp.abs(gain), se)
        arm_sd = jnp.sqrt(c["tau_arm"] ** 2 + (tilt[:, 0] * c["tau_open"]) ** 2)
        sides = change[r:].reshape(-1, 2)
        return {
            "mean": mean,
            "se": se,
            "gain": gain,
            "arm_sd": arm_sd,
            "baseline": base,
            "pooled": sides[:, 0] - sides[:, 1],
            "tau_visit": c["tau_visit"],
            "tau_pooled": c["tau_pooled"],
        }

    def log_likelihood(self, coordinates: Any, y: Any = None) -> tuple[Any, Any]:
        """Log density of the readings (or others in their place) by arm, (arms,), and of the pooled effects."""
        import jax.numpy as jnp
        from jax.scipy.special import gammaln

        m, rows = self.moments(self.parts(coordinates)), self.rows
        error = ((rows.y if y is None else y) - m["mean"]) / m["gain"]
        shrink = (FREEDOM - 2) / FREEDOM
        own = (m["tau_visit"] ** 2 + (1 - SHARED_ERROR) * m["se"] ** 2) * shrink
        count = np.bincount(rows.arm, minlength=len(self.arms))

        def total(values: Any) -> Any:
            return jnp.zeros(len(self.arms)).at[rows.arm].add(values)

        common = (m["arm_sd"] ** 2 + SHARED_ERROR * total(m["se"] ** 2) / count) * shrink
        precision, weighted = total(1 / own), total(error / own)
        square = total(error**2 / own) - common * weighted**2 / (1 + common * precision)
        log_det = total(jnp.log(own)) + jnp.log1p(common * precision)
        by_arm = (
            gammaln((FREEDOM + count) / 2) - gammaln(FREEDOM / 2) - 0.5 * count * np.log(FREEDOM * np.pi)
            - 0.5 * log_det - 0.5 * (FREEDOM + count) * jnp.log1p(square / FREEDOM)
            - total(jnp.log(jnp.abs(m["gain"])))
        )  # fmt: skip
        if not self.pooled:
            return by_arm, jnp.zeros(0)
        value, se = (np.array([getattr(e, k) for e in self.pooled]) for k in ("value", "se"))
        variance = (se**2 + m["tau_pooled"] ** 2) * shrink
        of_pooled = (
            gammaln((FREEDOM + 1) / 2) - gammaln(FREEDOM / 2) - 0.5 * jnp.log(FREEDOM * np.pi * variance)
            - 0.5 * (FREEDOM + 1) * jnp.log1p((value - m["pooled"]) ** 2 / variance / FREEDOM)
        )  # fmt: skip
        return by_arm, of_pooled

    def log_weighted(self, coordinates: Any, weights: Any, y: Any = None) -> Any:
        """Log likelihood of the arms, each times a weight (0 holds an arm out), and of the pooled effects."""
        by_arm, of_pooled = self.log_likelihood(coordinates, y)
        return (by_arm * weights).sum() + of_pooled.sum()

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
