"""Courses of a few patients of many arms as a function that JAX differentiates, by the compiled solver and its adjoint.

JAX sees one operation whose value and derivative come from compiled code (:mod:`stemtrial.mechanism.adjoint`), which
XLA calls by itself (:mod:`stemtrial.mechanism.foreign`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from stemtrial.compiled import jit
from stemtrial.mechanism import _adjoint, equations, inputs
from stemtrial.mechanism.foreign import (
    asked_for_version,
    block,
    integers,
    matrix,
    operands,
    operation,
    results,
    vector,
)
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import evaluate
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.schedule import Kind, Schedule

_STEP = 1e-7
_ACTING = equations.INPUTS.index("route")
LANES = _adjoint.LANES
"""Patients by whom an arm is represented."""

_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "j0 k_j": (Kind.CELLS,),
    "I_max A50 k_cs": (Kind.STEROID,),
    "h_max k_a k_e": (Kind.HYALURONIC_ACID,),
    "eps_N": (Kind.NSAID,),
    "eps_para": (Kind.PARACETAMOL,),
    "om_N tau_N": (Kind.NSAID, Kind.PARACETAMOL),
    "k_op": (Kind.OPIOID,),
    "k_on k_off": (Kind.EXERCISE,),
}
DEPENDENCE = {name: frozenset(kinds) for names, kinds in _KINDS.items() for name in names.split()}
"""On which kinds of event each constant of the inputs bears, apart from the contexts."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Time grid of several arms, one after another.

    Attributes
    ----------
    schedules
        What the arms are given.
    h
        Step lengths of all arms, days, (steps,).
    first
        Index of each arm's first step, (arms + 1,).
    pieces
        Of each step, the day on which its smooth piece of the inputs began.
    starts
        Day on which each step starts.
    visits
        By arm, the days asked for.
    at
        By arm, the index of the step that ends on each of these days.
    """

    schedules: tuple[Schedule, ...]
    h: np.ndarray
    first: np.ndarray
    pieces: np.ndarray
    starts: np.ndarray
    at: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, schedules: Sequence[Schedule], days: Sequence[Sequence[float]], grids: Sequence[Grid]
    ) -> "Steps":
        """Lay every arm's grid through its visits, all later than day 0."""
        h: list[float] = []
        pieces: list[float] = []
        starts: list[float] = []
        first, at = [0], []
        for schedule, visits, grid in zip(schedules, days, grids, strict=True):
            switched, ends = 0.0, {}
            horizon = max(visits)
            switches = {d for d in schedule.switches() if 0 < d < horizon}
            nodes = sorted({0.0, *visits, *switches})
            for start, stop in pairwise(nodes):
                if start in switches:
                    switched = start
                steps = grid.steps(start, stop, switched)
                h.extend(steps)
                pieces.extend([start] * len(steps))
                starts.extend(start + np.concatenate([[0.0], np.cumsum(steps)[:-1]]))
                ends[stop] = len(h) - 1
            first.append(len(h))
            at.append(tuple(ends[d] for d in visits))
        return cls(
            tuple(schedules), np.array(h), np.array(first), np.array(pieces), np.array(starts), tuple(at)
        )

    @cached_property
    def doses(self) -> tuple[tuple[int, int, float], ...]:
        """Injections of cells: arm, step before which they arrive, million cells."""
        found = []
        for arm, schedule in enumerate(self.schedules):
            own = range(self.first[arm], self.first[arm + 1])
            for event in schedule.doses:
                step = next((k for k in own if abs(self.starts[k] - event.start) < 1e-6), None)
                if step is not None:
                    found.append((arm, step, event.amount))
        return tuple(found)

    @cached_property
    def _events(self) -> tuple[np.ndarray, ...]:
        """Kinds, starts, stops and amounts of all arms' events one after another, and each arm's first."""
        columns = [np.concatenate(c) for c in zip(*(s.arrays() for s in self.schedules), strict=True)]
        first = np.concatenate([[0], np.cumsum([len(s.events) for s in self.schedules])])
        return (*columns, first)

    @cached_property
    def _relevant(self) -> np.ndarray:
        """Which constants of the inputs bear on each arm and are uncertain at all, (arms, INPUT_CONSTANTS)."""
        bears = [
            DEPENDENCE.get(name, frozenset()) if registry()[name].level == "uncertain" else frozenset()
            for name in inputs.INPUT_CONSTANTS
        ]
        return np.array([[bool(kinds & schedule.actions) for kinds in bears] for schedule in self.schedules])

    def opioid(self, constants: Mapping[str, float]) -> np.ndarray:
        """Opioid action on every day asked for, arm after arm, (visits,)."""
        p = np.array([constants[name] for name in inputs.INPUT_CONSTANTS])
        u, du = np.empty(len(equations.INPUTS)), np.empty(len(equations.INPUTS))
        found = []
        for schedule, ends in zip(self.schedules, self.at, strict=True):
            for k in ends:
                inputs.evaluate(*schedule.arrays(), p, self.pieces[k], self.starts[k] + self.h[k], u, du)
                found.append(u[equations.INPUTS.index("opioid")])
        return np.array(found)

    @cached_property
    def _seen(self) -> np.ndarray:
        """Indices of the steps that end on the days asked for, arm after arm, (visits,)."""
        return np.array([k for ends in self.at for k in ends], np.int64)

    def visited(self, x0: Any, q: Any, p: Any, inputs: Any, given: Any) -> Any:
        """States on the days asked for, arm after arm, (visits, states, LANES).

        JAX arrays are differentiated, all of them; NumPy arrays are not, and may all have the same leading axes, which
        the result then has.

        Parameters
        ----------
        x0
            Initial states, (arms, states, LANES).
        q
            Constants of the patients, (arms, patient constants, LANES).
        p
            Constants of the arms, (arms, shared constants).
        inputs
            Constants of the inputs, (INPUT_CONSTANTS,).
        given
            Million cells that arrive by each of :attr:`doses`, (doses,).
        """
        if not isinstance(x0, np.ndarray):
            return self._differentiable(x0, q, p, inputs, given)
        lead = x0.shape[:-3]
        found = np.empty((*lead, len(self._seen), len(equations.STATES), LANES))
        for i in np.ndindex(lead):
            found[i] = self._at_visits(x0[i], q[i], p[i], inputs[i], given[i])
        return found

    @cached_property
    def _static(self) -> tuple[np.ndarray, ...]:
        """What the compiled functions take that does not differ from call to call: events, grid, doses and visits."""
        *events, first_event = self._events
        grid = (
            self.pieces,
            self.starts,
            self.h,
            np.array(_adjoint.STAGE_TIMES),
            np.array(_adjoint.CONSTANTS),
        )
        doses = np.array([step for _, step, _ in self.doses], np.int64)
        return (*events, *(a.astype(np.int64) for a in (first_event, self.first)), *grid, doses, self._seen)

    def _at_visits(self, *args: np.ndarray) -> np.ndarray:
        steps, states = len(self.h), len(equations.STATES)
        path, u = np.empty((steps, states, LANES)), np.empty((steps, *_TABLE))
        seen = np.empty((len(self._seen), states, LANES))
        _courses(tuple(np.ascontiguousarray(a, float) for a in args), self._static, seen, path, u)
        return seen

    @cached_property
    def _differentiable(self) -> Any:
        import jax
        import jax.numpy as jnp

        forward, backward = _operations()
        steps, states = len(self.h), len(equations.STATES)

        def kind(*shape: int) -> Any:
            return jax.ShapeDtypeStruct(shape, jnp.float64)

        kinds = (kind(len(self._seen), states, LANES), kind(steps, states, LANES), kind(steps, *_TABLE))
        relevant = self._relevant.astype(float)

        def value(*args: Any) -> Any:
            return forward(kinds, *args, *self._static)[0]

        def ahead(*args: Any) -> Any:
            seen, path, u = forward(kinds, *args, *self._static)
            return seen, (args, path, u)

        def back(kept: Any, bar: Any) -> Any:
            args, path, u = kept
            of_args = tuple(kind(*a.shape) for a in args)
            return tuple(backward(of_args, *args, *self._static, path, u, bar, relevant))

        visited: Any = jax.custom_vjp(value)
        visited.defvjp(ahead, back)
        return visited


_TABLE = (len(_adjoint.STAGE_TIMES) + 1, len(equations.INPUTS))
"""Shape of the inputs of a step: at the times of its stages, and how fast they change at its start."""


@cache
def _operations() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Courses and their derivatives passed back, as operations of JAX."""
    return operation("stemtrial_courses", _forward), operation("stemtrial_derivatives", _backward)


def _forward(frame):  # type: ignore[no-untyped-def]
    if asked_for_version(frame):
        return 0
    a, r = operands(frame), results(frame)
    arguments = block(a[0]), block(a[1]), matrix(a[2]), vector(a[3]), vector(a[4])
    _courses(arguments, _static(a), block(r[0]), block(r[1]), block(r[2]))
    return 0


def _backward(frame):  # type: ignore[no-untyped-def]
    if asked_for_version(frame):
        return 0
    a, r = operands(frame), results(frame)
    arguments = block(a[0]), block(a[1]), matrix(a[2]), vector(a[3]), vector(a[4])
    kept = block(a[18]), block(a[19]), block(a[20]), matrix(a[21])
    _derivatives(
        arguments, _static(a), *kept, block(r[0]), block(r[1]), matrix(r[2]), vector(r[3]), vector(r[4])
    )
    return 0


@jit
def _static(a):  # type: ignore[no-untyped-def]
    """Return :attr:`Steps._static` from the operands of a call."""
    events = vector(a[5]), vector(a[6]), vector(a[7]), vector(a[8]), integers(a[9])
    grid = integers(a[10]), vector(a[11]), vector(a[12]), vector(a[13]), vector(a[14])
    return (*events, *grid, vector(a[15]), integers(a[16]), integers(a[17]))


@jit
def _arrivals(given, doses, steps):  # type: ignore[no-untyped-def]
    """Cells that arrive before each step, (steps, LANES)."""
    gain = np.zeros((steps, LANES))
    for d in range(doses.shape[0]):
        gain[doses[d]] += given[d]
    return gain


@jit
def _courses(arguments, static, seen, path, u):  # type: ignore[no-untyped-def]
    """Fill ``seen`` with the states on the days asked for, ``path`` with those after every step, ``u`` with inputs."""
    x0, q, p, c, given = arguments
    first, pieces, begin, h, stage, constants, doses, at = static[5:]
    _tabulate(static[:5], c, first, pieces, begin, h, stage, u)
    _adjoint.forward(x0, q, p, h, u, _arrivals(given, doses, h.shape[0]), first, constants, path)
    for i in range(at.shape[0]):
        seen[i] = path[at[i]]


@jit
def _derivatives(arguments, static, path, u, bar, relevant, x0_bar, q_bar, p_bar, c_bar, given_bar):  # type: ignore[no-untyped-def]
    """Pass derivatives with respect to the states on the days asked for, ``bar``, back to the arguments."""
    x0, q, p, c, given = arguments
    first, pieces, begin, h, stage, constants, doses, at = static[5:]
    path_bar = np.zeros(path.shape)
    for i in range(at.shape[0]):
        path_bar[at[i]] += bar[i]  # A day may be asked for twice.
    gain = _arrivals(given, doses, h.shape[0])
    u_bar, gain_bar = np.empty(u.shape), np.empty(gain.shape)
    _adjoint.backward(
        x0, q, p, h, u, gain, first, constants, path, path_bar, x0_bar, q_bar, p_bar, u_bar, gain_bar
    )
    c_bar[:] = 0.0
    _along(static[:5], c, first, pieces, begin, h, stage, u, relevant, u_bar, c_bar)
    for d in range(doses.shape[0]):
        given_bar[d] = gain_bar[doses[d]].sum()


@jit
def _tabulate(events, p, first, pieces, begin, h, stage, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (steps, stage times + 1, inputs) for the steps of all arms."""
    kinds, starts, stops, amounts, first_event = events
    n, last = out.shape[2], stage.shape[0]
    u, du = np.empty(n), np.empty(n)
    for g in range(first.shape[0] - 1):
        a, b = first_event[g], first_event[g + 1]
        for k in range(first[g], first[g + 1]):
            for s in range(last):
                evaluate(
                    kinds[a:b],
                    starts[a:b],
                    stops[a:b],
                    amounts[a:b],
                    p,
                    pieces[k],
                    begin[k] + stage[s] * h[k],
                    u,
                    du,
                )
                out[k, s] = u
                if s == 0:
                    out[k, last] = du


@jit
def _along(events, p, first, pieces, begin, h, stage, u, relevant, bar, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` the derivative of ``sum(bar * inputs)`` with respect to the constants of the inputs.

    Forward differences from the table ``u``: inputs are smooth closed forms, so that seven digits remain.
    """
    kinds, starts, stops, amounts, first_event = events
    n, last = bar.shape[2], stage.shape[0]
    v, dv = np.empty(n), np.empty(n)
    q = p.copy()
    for g in range(first.shape[0] - 1):
        a, b = first_event[g], first_event[g + 1]
        for j in range(p.shape[0]):
            if not relevant[g, j]:
                continue
            step = _STEP * p[j]
            q[j] = p[j] + step
            total = 0.0
            for k in range(first[g], first[g + 1]):
                for s in range(last):
                    t = begin[k] + stage[s] * h[k]
                    evaluate(kinds[a:b], starts[a:b], stops[a:b], amounts[a:b], q, pieces[k], t, v, dv)
                    for i in range(_ACTING):
                        total += bar[k, s, i] * (v[i] - u[k, s, i])
                        if s == 0:
                            total += bar[k, last, i] * (dv[i] - u[k, last, i])
            out[j] += total / (q[j] - p[j])
            q[j] = p[j]
