"""Adaptive integration of single patients, against which the batched solver is checked.

Same equations (``derivative`` of the generated source) and same inputs (:mod:`stemtrial.mechanism.inputs`) as the
batched solver, but SciPy's LSODA with error control, restarted at every dose and every switch of an input.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from stemtrial.compiled import jit
from stemtrial.errors import NumericalError
from stemtrial.mechanism import _generated, equations
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.device import Advance
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, evaluate
from stemtrial.mechanism.schedule import Schedule

_derivative = _generated.derivative
_FADING = (("n_fading", "tau_N", -1), ("o_fading", "k_op", 1))


_N_X, _N_U = len(equations.STATES), len(equations.INPUTS)
_N_Q, _N_P, _N_C = len(equations.PATIENT), len(equations.SHARED), len(INPUT_CONSTANTS)
_FIXED = 1 + _N_Q + _N_P + _N_C + 2 * _N_U + _N_X


@jit
def _rhs(t, x, work):  # type: ignore[no-untyped-def]
    """Return the derivatives; ``work`` carries all but the states, because every argument of a call costs time."""
    q = work[1 : 1 + _N_Q]
    p = work[1 + _N_Q : 1 + _N_Q + _N_P]
    inputs = 1 + _N_Q + _N_P + _N_C
    u = work[inputs : inputs + _N_U]
    du = work[inputs + _N_U : inputs + 2 * _N_U]
    out = work[_FIXED - _N_X : _FIXED]
    n = (work.shape[0] - _FIXED) // 4
    kinds, starts = work[_FIXED : _FIXED + n], work[_FIXED + n : _FIXED + 2 * n]
    stops, amounts = work[_FIXED + 2 * n : _FIXED + 3 * n], work[_FIXED + 3 * n :]
    evaluate(kinds, starts, stops, amounts, work[1 + _N_Q + _N_P : inputs], work[0], t, u, du)
    _derivative(x, q, p, u, out)
    return out


@dataclass(frozen=True)
class Course:
    """Course of one patient.

    Attributes
    ----------
    days
        Output days, (days,).
    states
        In the order of ``equations.STATES``, (days, states).
    pain, function
        Before clipping, points of 0-100, (days,).
    """

    days: np.ndarray
    states: np.ndarray
    pain: np.ndarray
    function: np.ndarray


def solve(
    states: Mapping[str, float],
    patient: Mapping[str, float],
    shared: Mapping[str, float],
    schedule: Schedule,
    days: Sequence[float],
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Course:
    """Integrate one patient with LSODA.

    Conventions are those of :class:`stemtrial.mechanism.cohort.Cohort`: what is due on an output day is given
    after the output, and inputs at an output day are their values just before it.

    Parameters
    ----------
    states
        Initial states by name.
    patient
        Constants of the patient by name (``equations.PATIENT``); the fading parts of rescue medicine count from
        day 0.
    shared
        Constants by registry symbol, in the units of the registry.
    schedule
        What is given and when.
    days
        Output days, not decreasing, from 0.
    rtol, atol
        Tolerances of LSODA on every state.

    Returns
    -------
    Course
        States, pain and function on the output days.

    Raises
    ------
    NumericalError
        Where LSODA does not reach an output day.
    """
    from scipy.integrate import odeint

    per_day = {name: shared[name] / equations.DAYS_PER_YEAR for name in ("sig_X", "lam_C")}
    known = {**shared, **per_day, "allo": float(bool(schedule.allogeneic))}
    x = np.array([states[name] for name in equations.STATES], float)
    q = np.array([patient[name] for name in equations.PATIENT], float)
    p = np.array([known[name] for name in equations.SHARED], float)
    constants = np.array([shared[name] for name in INPUT_CONSTANTS], float)
    events = schedule.arrays()
    u, du = np.zeros(_N_U), np.zeros(_N_U)
    fading = [(equations.PATIENT.index(name), float(shared[rate]) ** sign) for name, rate, sign in _FADING]
    whole = [q[index] for index, _ in fading]

    wanted = np.asarray(days, float)
    nodes = np.unique([0.0, *wanted, *(d for d in schedule.switches() if d < wanted[-1])])
    pending = list(schedule.doses)
    courses = {0.0: (x.copy(), _outputs(x, q, known, u))}
    for start, stop in pairwise(nodes.tolist()):
        while pending and pending[0].start <= start + 1e-9:
            x[0] += shared["f_ret"] * pending.pop(0).amount
        for (index, rate), amount in zip(fading, whole, strict=True):
            q[index] = amount * np.exp(-rate * start)
        work = np.concatenate([[start], q, p, constants, u, du, x, *events])
        path, info = odeint(
            _rhs,
            x,
            (start, stop),
            (work,),
            tfirst=True,
            rtol=rtol,
            atol=atol,
            mxstep=100_000,
            tcrit=(stop,),
            full_output=True,
        )
        x = path[-1].copy()
        if info["message"] != "Integration successful." or not np.isfinite(x).all():
            raise NumericalError(
                f"the reference integration stopped between days {start:g} and {stop:g}: {info['message']}"
            )
        evaluate(*events, constants, start, stop, u, du)
        courses[stop] = (x.copy(), _outputs(x, q, known, u))
    return Course(
        wanted,
        np.array([courses[d][0] for d in wanted]),
        np.array([courses[d][1][0] for d in wanted]),
        np.array([courses[d][1][1] for d in wanted]),
    )


def _outputs(x: np.ndarray, q: np.ndarray, known: Mapping[str, float], u: np.ndarray) -> tuple[float, float]:
    named = (
        SimpleNamespace(**dict(zip(equations.STATES, x.tolist(), strict=True))),
        SimpleNamespace(**{**known, **dict(zip(equations.PATIENT, q.tolist(), strict=True))}),
        SimpleNamespace(**dict(zip(equations.INPUTS, u.tolist(), strict=True))),
    )
    return float(equations.pain(*named)), float(equations.function(*named))


@dataclass(frozen=True)
class WorstError:
    """Largest difference of pain between batched solver and reference, points, and where it occurs."""

    points: float
    group: int
    patient: int
    day: float


def worst_error(
    states: Mapping[str, np.ndarray],
    patient: Mapping[str, np.ndarray],
    shared: Mapping[str, np.ndarray],
    schedule: Schedule,
    grid: Grid,
    dtype: type[np.floating],
    days: Sequence[float],
    picks: Iterable[tuple[int, int]],
    rtol: float = 1e-8,
    advance: Advance | None = None,
) -> WorstError:
    """Numerical error of pain at the visits, over a sample of a run's own patients.

    Parameters
    ----------
    states, patient, shared, schedule, grid, dtype, advance
        As given to :class:`stemtrial.mechanism.cohort.Cohort`.
    days
        Visits, increasing.
    picks
        Group and patient of each member of the sample.
    rtol
        Relative tolerance of the reference.
    """
    chosen = np.array(list(picks))
    groups, members = chosen[:, 0], chosen[:, 1]
    cohort = Cohort(
        {name: np.asarray(v)[groups, members][:, None] for name, v in states.items()},
        {name: np.asarray(v)[groups, members][:, None] for name, v in patient.items()},
        {name: np.asarray(v)[groups] for name, v in shared.items()},
        schedule,
        grid,
        dtype,
        advance,
    )
    batched = np.empty((len(chosen), len(days)))
    for column, day in enumerate(days):
        cohort.advance(day)
        batched[:, column] = cohort.pain()[:, 0]
    exact = np.array(
        [
            solve(
                {name: float(v[g, i]) for name, v in states.items()},
                {name: float(v[g, i]) for name, v in patient.items()},
                {name: float(v[g]) for name, v in shared.items()},
                schedule,
                days,
                rtol=rtol,
                atol=rtol / 100,
            ).pain
            for g, i in chosen
        ]
    )
    error = np.abs(batched - exact)
    row, column = divmod(int(error.argmax()), error.shape[1])
    return WorstError(float(error[row, column]), int(groups[row]), int(members[row]), float(days[column]))
