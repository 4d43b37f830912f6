"""What the model expects an arm to show: mean pain of its patients at each visit, differentiable for calibration.

Constants and effects are JAX arrays at one point, or NumPy arrays at many, whose leading axis counts the draws
(:mod:`stemtrial.calibration.arrays`); shapes below leave that axis out.

An arm is represented by a few patients whose deviations from the arm's mean are the rows of an orthogonal design, so
that means and variances over patients are right without drawing anybody (a cubature of degree two). The contextual
response is exact between the switches of its situation; everything else is integrated by the compiled solver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from stemtrial.calibration.arrays import namespace, softplus
from stemtrial.calibration.standard import Constants
from stemtrial.calibration.variants import variant
from stemtrial.mechanism import equations
from stemtrial.mechanism.differentiable import LANES, Steps
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind, Schedule
from stemtrial.population.patients import MEAN_AGE, MEAN_BMI

GRID = Grid(first=1.0, growth=0.6, longest=90.0)
"""Coarser than that of virtual trials: off by some tenths of a point where a published mean is off by two to five."""

STEROID_GRID = Grid(first=0.5, growth=0.3, longest=45.0)
"""For arms with corticosteroid, whose action ends in a steep fall."""

DONOR_GRID = Grid(first=0.5, growth=0.3, longest=60.0)
"""For arms with donor cells, which can be killed within days."""

DIMENSIONS = ("pain", "inflammation", "potency", "residence", "structure", "share", "matrix")
"""In what the patients who represent an arm differ; each stands for several who differ in contextual response."""

RESPONSES = 7
"""Quadrature points of the contextual responsiveness of each of them: its spread is wide and pain stops at zero."""

SOFTNESS = 1.0
"""Points over which the ends of the scale are rounded off for those who represent an arm."""

USUAL_SEVERITY = variant("knee_oa").grades
"""Kellgren-Lawrence grades where an arm's are unknown: the usual window of the trials (``criteria.csv``)."""

USUAL_PAIN_SD = 15.0
"""SD of baseline pain where an arm's is unknown, points."""

ROUTES = (Kind.CONTEXT_ORAL, Kind.CONTEXT_INJECTION, Kind.CONTEXT_PROGRAMME)


def suited(schedule: Schedule) -> Grid:
    """Return the time grid for an arm."""
    if Kind.STEROID in schedule.actions:
        return STEROID_GRID
    return DONOR_GRID if schedule.allogeneic else GRID


def design() -> np.ndarray:
    """Deviations of the patients who represent an arm, in SDs, (dimensions, patients).

    Examples
    --------
    >>> import numpy as np
    >>> d = design()
    >>> bool((d.sum(axis=1) == 0).all()), bool((d @ d.T == 8 * np.eye(7)).all())
    (True, True)
    """
    a, b, c = (np.array([1.0 - 2 * ((i >> k) & 1) for i in range(8)]) for k in range(3))
    rows = np.stack([a, b, c, a * b, a * c, b * c, a * b * c])
    return np.tile(rows, (1, LANES // 8))


@dataclass(frozen=True)
class Situation:
    """Who is in an arm and what they are given, as far as the model needs it.

    Attributes
    ----------
    schedule
        What is given.
    days
        When its mean is asked for, increasing, later than 0.
    pain_sd
        SD of baseline pain between its patients, points.
    grades
        Shares of the grades of severity.
    age, bmi
        Means.
    """

    schedule: Schedule
    days: tuple[float, ...]
    pain_sd: float = USUAL_PAIN_SD
    grades: tuple[tuple[int, float], ...] = tuple(USUAL_SEVERITY.items())
    age: float = MEAN_AGE
    bmi: float = MEAN_BMI


@dataclass(frozen=True)
class ArmEffects:
    """What differs between arms beyond their situation, arrays (arms,).

    Attributes
    ----------
    baseline
        Mean pain at baseline, points.
    ctx_Emax, k_B
        Size and speed of the contextual response in the arm's trial.
    cell_effect
        The trial's multiplier of the potency of cells.
    dose
        Factor on the schedule's doses (1 where they are known).
    """

    baseline: Any
    ctx_Emax: Any
    k_B: Any
    cell_effect: Any
    dose: Any


class Expectation:
    """The model's expected readings of several arms.

    Parameters
    ----------
    situations
        The arms.
    grid
        Time grid of the solver for all arms; by default those of this module.
    """

    def __init__(self, situations: Sequence[Situation], grid: Grid | None = None) -> None:
        self.situations = tuple(situations)
        self.arm_of = np.array([i for i, s in enumerate(situations) for _ in s.days])
        self.day = np.array([d for s in situations for d in s.days])
        self._active = [i for i, s in enumerate(situations) if s.schedule.actions and s.days]
        self._grid = grid

    @cached_property
    def _steps(self) -> Steps:
        active = [self.situations[i] for i in self._active]
        grids = [self._grid or suited(s.schedule) for s in active]
        return Steps.of([s.schedule for s in active], [s.days for s in active], grids)

    @cached_property
    def _opioid(self) -> np.ndarray:
        """Opioid action at the readings of arms with an action; its speed is fixed in the registry."""
        return self._steps.opioid({name: registry()[name].value for name in INPUT_CONSTANTS})

    @cached_property
    def _context(self) -> tuple[np.ndarray, ...]:
        """Days of the contextual situation before each reading and since its end; by arm, which routes there are."""
        on, off = np.zeros(len(self.day)), np.zeros(len(self.day))
        routes = np.zeros((3, len(self.situations)))
        spans = []
        for i, s in enumerate(self.situations):
            events = [e for e in s.schedule.events if e.kind >= Kind.CONTEXT_INJECTION]
            spans.append(
                (min((e.start for e in events), default=0.0), max((e.stop for e in events), default=0.0))
            )
            for e in events:
                routes[ROUTES.index(e.kind), i] = 1.0
        for r, (arm, day) in enumerate(zip(self.arm_of, self.day, strict=True)):
            start, stop = spans[arm]
            on[r] = max(min(day, stop) - start, 0.0)
            off[r] = max(day - stop, 0.0)
        return on, off, *routes

    def change(self, constants: Constants, effects: ArmEffects) -> Any:
        """Mean change of pain since baseline at every reading, points, (readings,); improvement is negative."""
        before, after, weight = self.patients(constants, effects)
        return (((after - before[..., None]) * weight).sum(axis=-1)).mean(axis=-1)

    def patients(self, constants: Constants, effects: ArmEffects) -> tuple[Any, Any, np.ndarray]:
        """Pain of the patients who represent the arms.

        Returns
        -------
        before, after, weight
            At baseline (readings, LANES), at every reading (readings, LANES, RESPONSES), and the weights of the last
            axis.
        """
        xp = namespace(constants.vector)
        nodes, weight = np.polynomial.hermite_e.hermegauss(RESPONSES)
        weight = weight / weight.sum()

        by_arm, by_patient = _Named(constants, 1), _Named(constants, 2)
        pain = self.pain(constants, effects)
        reported = effects.baseline[..., None] + self._spread[:, None] * design()[0]
        sd = _Named(constants, 3).sd_ln_ctx
        response = xp.exp(sd * nodes - 0.5 * sd**2)
        context = above(effects.ctx_Emax[..., None] * (1 + by_patient.ctx_slope * (reported - 50)), 0.0)
        most = pain / by_patient.route_injection
        context = below(context[..., None] * response, most[..., None])

        on, off, oral, injected, programme = self._context
        route = xp.maximum(
            xp.maximum(oral, injected * by_arm.route_injection), programme * by_arm.route_programme
        )
        k_B = effects.k_B[..., self.arm_of]
        strength = route[..., self.arm_of] * -xp.expm1(-k_B * on) * xp.exp(-k_B * off)
        before = pain[..., self.arm_of, :]
        latent = before
        if self._active:
            # Readings of arms with an action, then of all: each finds its own among both.
            found = self.latent(constants, effects, pain)
            acts = np.isin(self.arm_of, self._active)
            place = np.where(acts, np.cumsum(acts) - 1, acts.sum() + np.arange(len(acts)))
            latent = xp.concatenate([found, before], axis=-2)[..., place, :]
        after = above(latent[..., None] - strength[..., None, None] * context[..., self.arm_of, :, :], 0.0)
        return before, after, weight

    @property
    def _spread(self) -> np.ndarray:
        """SD of reported baseline pain, (arms,)."""
        return np.array([s.pain_sd for s in self.situations])

    @property
    def active(self) -> tuple[int, ...]:
        """Arms with an action, whose courses are integrated."""
        return tuple(self._active)

    def pain(self, constants: Constants, effects: ArmEffects) -> Any:
        """Pain at baseline of those who represent the arms, (arms, LANES)."""
        xp, c, spread = namespace(constants.vector), _Named(constants, 1), self._spread
        noise = c.sd_fluct**2 + c.sd_read**2
        own = xp.sqrt(xp.maximum(spread**2 - noise, (0.25 * spread) ** 2))
        return below(above(effects.baseline[..., None] + own[..., None] * design()[0], 1.0), 99.0)

    def represented(self, constants: Constants, effects: ArmEffects, pain: Any) -> tuple[Any, Any]:
        """Return initial states and constants of those who represent the arms with an action.

        Returns
        -------
        states, patient
            (active arms, STATES, LANES) and (active arms, PATIENT, LANES).
        """
        xp, c, d = namespace(constants.vector), _Named(constants, 2), design()
        active = np.array(self._active)
        own = [self.situations[i] for i in self._active]
        graded = sorted(name for name in constants if name.startswith("X0_"))
        by_grade = constants.take(graded)
        shares = np.zeros((len(own), len(graded)))
        for row, s in zip(shares, own, strict=True):
            for grade, share in s.grades:
                row[grade - 1] = share
        mean = (by_grade @ shares.T)[..., None]
        spread = xp.sqrt((by_grade**2 @ shares.T)[..., None] - mean**2 + c.sd_X0**2)
        X0 = xp.clip(mean + spread * d[6], 0.05, 0.98)
        bmi = np.array([s.bmi for s in own])[:, None]
        age = np.array([s.age for s in own])[:, None]
        own_cells = np.array([float(s.schedule.allogeneic is False) for s in own])[:, None]
        P0 = xp.exp(c.sd_ln_P0 * d[1] + c.P0_bmi * (bmi - MEAN_BMI))
        total = c.s_P + c.s_X + c.s_c + c.s_V
        inflamed = c.s_P / total
        s_P = inflamed + xp.sqrt(inflamed * (1 - inflamed) / (c.shares_concentration + 1)) * d[5]
        s_P = xp.clip(s_P, 0.02, 0.95)
        rest = (1 - s_P) / (1 - inflamed)
        rho_X = c.rho_X / equations.DAYS_PER_YEAR
        shared = SimpleNamespace(R_b=c.R_b, sig_X=c.sig_X / equations.DAYS_PER_YEAR)
        zero = xp.zeros_like(pain[..., active, :])
        states, derived = equations.baseline(
            pain[..., active, :],
            X0,
            P0,
            s_P + zero,
            rest * c.s_X / total + zero,
            rest * c.s_c / total + zero,
            rho_X,
            shared,
        )
        states.A = zero + c.presensitised * c.A_presensitised
        potency = effects.cell_effect[..., active, None] * xp.exp(
            c.sd_ln_potency * d[2] - own_cells * c.potency_age * (age - MEAN_AGE)
        )
        patient = {
            **vars(derived),
            "k_M": zero + c.k_M * xp.exp(c.sd_ln_k_M * d[3]),
            "potency": potency,
            **dict.fromkeys(("ctx", "n_steady", "n_fading", "o_steady", "o_fading"), zero),
        }
        x0 = xp.stack([getattr(states, name) + zero for name in equations.STATES], axis=-2)
        q = xp.stack([patient[name] + zero for name in equations.PATIENT], axis=-2)
        return x0, q

    def latent(self, constants: Constants, effects: ArmEffects, pain: Any) -> Any:
        """Pain before the contextual response at the readings of arms with an action, (readings, LANES)."""
        xp, c = namespace(constants.vector), _Named(constants, 2)
        x0, q = self.represented(constants, effects, pain)
        active = np.array(self._active)
        donor = np.array([float(bool(self.situations[i].schedule.allogeneic)) for i in self._active])
        per_day = {"sig_X": "sig_X per day", "lam_C": "lam_C per day"}
        shared_by_arms = constants.take([per_day.get(name, name) for name in equations.SHARED[:-1]])
        lead, rest_of = shared_by_arms.shape[:-1], shared_by_arms.shape[-1]
        p = xp.concatenate(
            [
                xp.broadcast_to(shared_by_arms[..., None, :], (*lead, len(active), rest_of)),
                xp.broadcast_to(donor[:, None], (*lead, len(active), 1)),
            ],
            axis=-1,
        )

        steps = self._steps
        given = xp.zeros((*lead, 0))
        if steps.doses:
            arms, _, amount = (np.array(v) for v in zip(*steps.doses, strict=True))
            given = constants["f_ret"][..., None] * amount * effects.dose[..., active[arms]]
        seen = steps.visited(x0, q, p, constants.take(INPUT_CONSTANTS), given)
        U, V, T = (seen[..., equations.STATES.index(name), :] for name in "UVT")
        z = (U + V) * (1 - c.E_op * self._opioid[:, None] * (1 - c.th_T * T))
        return 100 * z / (1 + z)


class _Named:
    """Constants as attributes, with some axes of length 1 behind."""

    def __init__(self, constants: Constants, axes: int) -> None:
        self._constants, self._axes = constants, (None,) * axes

    def __getattr__(self, name: str) -> Any:
        return self._constants[name][(..., *self._axes)]


def above(x: Any, floor: Any) -> Any:
    """Smooth maximum: a mean over patients has no kink where the first of them reaches the end of the scale."""
    return floor + SOFTNESS * softplus((x - floor) / SOFTNESS)


def below(x: Any, ceiling: Any) -> Any:
    """Smooth minimum."""
    return -above(-x, -ceiling)


def days(months: Sequence[float]) -> tuple[float, ...]:
    """Days of months."""
    return tuple(m * DAYS_PER_MONTH for m in months)
