"""What the model expects an arm to show: mean pain of its patients at each visit, differentiable for calibration.

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
    """What differs between arms beyond their situation, JAX arrays (arms,).

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
        return (((after - before[..., None]) * weight).sum(axis=-1)).mean(axis=1)

    def patients(self, constants: Constants, effects: ArmEffects) -> tuple[Any, Any, np.ndarray]:
        """Pain of the patients who represent the arms.

        Returns
        -------
        before, after, weight
            At baseline (readings, LANES), at every reading (readings, LANES, RESPONSES), and the weights of the last
            axis.
        """
        import jax.numpy as jnp

        nodes, weight = np.polynomial.hermite_e.hermegauss(RESPONSES)
        weight = weight / weight.sum()

        d = design()
        c = _Named(constants)
        spread = np.array([s.pain_sd for s in self.situations])
        noise = c.sd_fluct**2 + c.sd_read**2
        own = jnp.sqrt(jnp.maximum(spread**2 - noise, (0.25 * spread) ** 2))
        pain = below(above(effects.baseline[:, None] + own[:, None] * d[0], 1.0), 99.0)
        reported = effects.baseline[:, None] + spread[:, None] * d[0]
        response = jnp.exp(c.sd_ln_ctx * nodes - 0.5 * c.sd_ln_ctx**2)
        context = above(effects.ctx_Emax[:, None] * (1 + c.ctx_slope * (reported - 50)), 0.0)
        context = below(context[:, :, None] * response, pain[:, :, None] / c.route_injection)

        on, off, oral, injected, programme = self._context
        route = jnp.maximum(jnp.maximum(oral, injected * c.route_injection), programme * c.route_programme)
        k_B = effects.k_B[self.arm_of]
        strength = route[self.arm_of] * -jnp.expm1(-k_B * on) * jnp.exp(-k_B * off)
        before = pain[self.arm_of]
        latent = before
        if self._active:
            where = np.flatnonzero(np.isin(self.arm_of, self._active))
            latent = before.at[where].set(self._latent(c, constants, effects, pain, d))
        after = above(latent[:, :, None] - strength[:, None, None] * context[self.arm_of], 0.0)
        return before, after, weight

    def _latent(
        self, c: "_Named", constants: Constants, effects: ArmEffects, pain: Any, d: np.ndarray
    ) -> Any:
        """Pain before the contextual response at the readings of arms with an action, (readings, LANES)."""
        import jax.numpy as jnp

        active = np.array(self._active)
        own = [self.situations[i] for i in self._active]
        graded = sorted(name for name in constants if name.startswith("X0_"))
        by_grade = constants.take(graded)
        shares = np.zeros((len(own), len(graded)))
        for row, s in zip(shares, own, strict=True):
            for grade, share in s.grades:
                row[grade - 1] = share
        mean = shares @ by_grade
        spread = jnp.sqrt(shares @ by_grade**2 - mean**2 + c.sd_X0**2)
        X0 = jnp.clip(mean[:, None] + spread[:, None] * d[6], 0.05, 0.98)
        bmi = np.array([s.bmi for s in own])[:, None]
        age = np.array([s.age for s in own])[:, None]
        donor = np.array([float(bool(s.schedule.allogeneic)) for s in own])
        own_cells = np.array([float(s.schedule.allogeneic is False) for s in own])[:, None]
        P0 = jnp.exp(c.sd_ln_P0 * d[1] + c.P0_bmi * (bmi - MEAN_BMI))
        total = c.s_P + c.s_X + c.s_c + c.s_V
        inflamed = c.s_P / total
        s_P = inflamed + jnp.sqrt(inflamed * (1 - inflamed) / (c.shares_concentration + 1)) * d[5]
        s_P = jnp.clip(s_P, 0.02, 0.95)
        rest = (1 - s_P) / (1 - inflamed)
        rho_X = c.rho_X / equations.DAYS_PER_YEAR
        shared = SimpleNamespace(R_b=c.R_b, sig_X=c.sig_X / equations.DAYS_PER_YEAR)
        zero = jnp.zeros_like(P0)
        states, derived = equations.baseline(
            pain[active],
            X0,
            P0,
            s_P + zero,
            rest * c.s_X / total + zero,
            rest * c.s_c / total + zero,
            rho_X,
            shared,
        )
        states.A = zero + c.presensitised * c.A_presensitised
        potency = effects.cell_effect[active][:, None] * jnp.exp(
            c.sd_ln_potency * d[2] - own_cells * c.potency_age * (age - MEAN_AGE)
        )
        patient = {
            **vars(derived),
            "k_M": zero + c.k_M * jnp.exp(c.sd_ln_k_M * d[3]),
            "potency": potency,
            **dict.fromkeys(("ctx", "n_steady", "n_fading", "o_steady", "o_fading"), zero),
        }
        x0 = jnp.stack([getattr(states, name) + zero for name in equations.STATES], axis=1)
        q = jnp.stack([patient[name] + zero for name in equations.PATIENT], axis=1)
        per_day = {"sig_X": "sig_X per day", "lam_C": "lam_C per day"}
        shared_by_arms = constants.take([per_day.get(name, name) for name in equations.SHARED[:-1]])
        p = jnp.concatenate(
            [jnp.broadcast_to(shared_by_arms, (len(own), len(shared_by_arms))), donor[:, None]], axis=1
        )

        steps = self._steps
        gain = jnp.zeros((len(steps.h), LANES))
        if steps.doses:
            arms, at, amount = (np.array(v) for v in zip(*steps.doses, strict=True))
            gain = gain.at[at].add((c.f_ret * amount * effects.dose[active][arms])[:, None])
        path = steps.solve(x0, q, p, constants.take(INPUT_CONSTANTS), gain)
        rows = np.array([k for arm in steps.at for k in arm])
        U, V, T = (path[rows, equations.STATES.index(name)] for name in "UVT")
        z = (U + V) * (1 - c.E_op * self._opioid[:, None] * (1 - c.th_T * T))
        return 100 * z / (1 + z)


class _Named:
    """Constants as attributes."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants

    def __getattr__(self, name: str) -> Any:
        return self._constants[name]


def above(x: Any, floor: Any) -> Any:
    """Smooth maximum: a mean over patients has no kink where the first of them reaches the end of the scale."""
    import jax

    return floor + SOFTNESS * jax.nn.softplus((x - floor) / SOFTNESS)


def below(x: Any, ceiling: Any) -> Any:
    """Smooth minimum."""
    return -above(-x, -ceiling)


def days(months: Sequence[float]) -> tuple[float, ...]:
    """Days of months."""
    return tuple(m * DAYS_PER_MONTH for m in months)
