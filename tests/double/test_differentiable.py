"""The differentiable courses: their values against the engine of virtual trials, their derivatives against differences.

Differences are of fourth order in the step, of the values of the same forward pass: they check that the adjoint is the
derivative of what the fit computes.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stemtrial.calibration import prior
from stemtrial.mechanism import _adjoint, equations
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.differentiable import DEPENDENCE, LANES, Steps
from stemtrial.mechanism.grid import Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind, schedule
from stemtrial.mechanism.treatments import (
    Cells,
    Corticosteroid,
    Exercise,
    HyaluronicAcid,
    Nsaid,
    Opioid,
    Paracetamol,
)
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

SPEC = PopulationSpec(
    age={"mean": 58, "sd": 9, "min": 40, "max": 75},
    bmi={"mean": 28.5, "sd": 4, "max": 35},
    female=0.55,
    kl_grade={1: 0.1, 2: 0.35, 3: 0.35, 4: 0.2},
    baseline_pain={"mean": 58, "sd": 14, "min": 30},
)


@dataclass(frozen=True)
class Plain(Grid):
    """A grid that is not refined for a schedule, as in a fit."""

    def suited(self, schedule, *, rescue=False):
        return self


GRID = Plain(first=1.0, growth=0.6, longest=90.0)


def cells(origin, months):
    return Cells(
        source="bone_marrow", origin=origin, product="culture_expanded", dose_million=60, at_months=months
    )


ARMS = {
    "own cells, again at a visit": ([cells("autologous", (0, 3))], (1, 3, 6, 12)),
    "donor cells, exercise, opioid": (
        [cells("allogeneic", (0.5,)), Exercise(from_month=0, to_month=4), Opioid(from_month=1, to_month=6)],
        (0.25, 6, 24),
    ),
    "corticosteroid, hyaluronic acid, paracetamol": (
        [Corticosteroid(at_months=(0, 3)), HyaluronicAcid(at_months=(1,)), Paracetamol(from_month=0, to_month=2)],
        (1, 2.5, 9),
    ),
    "NSAID": ([Nsaid(from_month=0)], (1, 3)),
}  # fmt: skip
"""Together every kind of event of the model; visits between, at and after switches."""


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def steps():
    schedules = [schedule(treatments) for treatments, _ in ARMS.values()]
    assert {k for s in schedules for k in s.actions} == {k for k in Kind if k < Kind.CONTEXT_INJECTION}
    days = [[m * DAYS_PER_MONTH for m in months] for _, months in ARMS.values()]
    return Steps.of(schedules, days, [GRID] * len(schedules))


@pytest.fixture(scope="module")
def people():
    """Constants of a replicate an arm, drawn from the prior, and its patients; nobody responds to context here."""
    arms = np.arange(len(ARMS))
    shared = prior.draw(11, arms)
    patients = enrol(People.draw(SPEC, 11, arms, 0, LANES), shared, autologous=True)
    constants = {**patients.constants, "ctx": np.zeros((len(arms), LANES))}
    return shared, patients.states, constants


@pytest.fixture(scope="module")
def arguments(steps, people):
    """Arguments of ``Steps.visited``; the inputs' constants, which arms of a fit share, are those of the first arm."""
    shared, states, constants = people
    donor = np.array([float(bool(s.allogeneic)) for s in steps.schedules])
    per_day = {name: shared[name] / equations.DAYS_PER_YEAR for name in ("sig_X", "lam_C")}
    known = {**shared, **per_day, "allo": donor}
    return {
        "x0": np.stack([states[n] for n in equations.STATES], axis=1).astype(float),
        "q": np.stack([constants[n] for n in equations.PATIENT], axis=1).astype(float),
        "p": np.stack([known[n] for n in equations.SHARED], axis=1),
        "inputs": np.array([shared[n][0] for n in INPUT_CONSTANTS]),
        "given": np.array([shared["f_ret"][arm] * amount for arm, _, amount in steps.doses]),
    }


@pytest.fixture(scope="module")
def seen(steps, arguments):
    return np.asarray(steps.visited(*map(jnp.asarray, arguments.values())))


def test_values_do_not_depend_on_who_computes_them(steps, arguments, seen):
    assert np.array_equal(steps.visited(*arguments.values()), seen)


def test_values_are_those_of_the_engine(steps, people, arguments, seen):
    shared, states, constants = people
    shared = {**shared, **dict.fromkeys(INPUT_CONSTANTS)}
    shared |= {n: np.full(len(ARMS), v) for n, v in zip(INPUT_CONSTANTS, arguments["inputs"], strict=True)}
    visit = 0
    for g, (given, ends) in enumerate(zip(steps.schedules, steps.at, strict=True)):
        cohort = Cohort(
            {n: np.asarray(v)[[g]] for n, v in states.items()},
            {n: np.asarray(v)[[g]] for n, v in constants.items()},
            {n: v[[g]] for n, v in shared.items()},
            given,
            GRID,
        )
        slack = 2e-3 if given.allogeneic else 1e-9
        opioid = steps.opioid({n: shared[n][g] for n in INPUT_CONSTANTS})
        for end in ends:
            cohort.advance(steps.starts[end] + steps.h[end])
            for i, name in enumerate(equations.STATES):
                # The engine sets fewer than 1e-9 million cells to none at a switch or visit. In arms without donor
                # cells nothing depends on alloimmune memory: the engine lets it decay exactly, these steps do not.
                # Donor cells killed at once overshoot zero by tens of cells; the engine stops them at a visit.
                rel = 1e-3 if name == "A" and not given.allogeneic else 1e-9
                expected = pytest.approx(cohort.state(name)[0], rel=rel, abs=slack)
                assert seen[visit, i] == expected, (g, end, name)
            U, V, T = (seen[visit, equations.STATES.index(n)] for n in "UVT")
            z = (U + V) * (1 - shared["E_op"][g] * opioid[visit] * (1 - shared["th_T"][g] * T))
            assert 100 * z / (1 + z) == pytest.approx(cohort.pain()[0], abs=5 * slack)
            visit += 1


def test_grid_passes_through_visits_and_switches(steps):
    for g, (given, (_, months)) in enumerate(zip(steps.schedules, ARMS.values(), strict=True)):
        own = slice(steps.first[g], steps.first[g + 1])
        ends = steps.starts[own] + steps.h[own]
        horizon = max(months) * DAYS_PER_MONTH
        assert steps.starts[own][0] == 0
        assert steps.starts[own][1:] == pytest.approx(ends[:-1])
        assert ends[-1] == pytest.approx(horizon)
        for day in (d for d in given.switches() if 0 < d < horizon):
            assert np.abs(steps.starts[own] - day).min() < 1e-9
        assert [steps.starts[k] + steps.h[k] for k in steps.at[g]] == pytest.approx(
            [m * DAYS_PER_MONTH for m in months]
        )
    assert [(g, a) for g, _, a in steps.doses] == [(0, 60), (0, 60), (1, 60)]


@pytest.fixture(scope="module")
def weights(seen):
    """Weights of a functional of the courses on which every state has a say of its size."""
    size = np.sqrt((seen**2).mean(axis=(0, 2), keepdims=True)) + 1e-6
    return np.random.default_rng(3).standard_normal(seen.shape) / size


@pytest.fixture(scope="module")
def gradient(steps, arguments, weights):
    given = [jnp.asarray(a) for a in arguments.values()]
    found = jax.grad(lambda *a: (steps.visited(*a) * weights).sum(), argnums=tuple(range(5)))(*given)
    return dict(zip(arguments, map(np.asarray, found), strict=True))


def difference(steps, arguments, weights, name, place, step):
    """Central difference of fourth order; differences are taken before the sum, where they lose no digits."""

    def course(times):
        moved = arguments[name].copy()
        moved[place] += times * step
        return np.asarray(
            steps.visited(*(jnp.asarray(moved if n == name else a) for n, a in arguments.items()))
        )

    inner, outer = course(1) - course(-1), course(2) - course(-2)
    return float((weights * (8 * inner - outer)).sum() / (12 * step))


def names_of(argument):
    return {"x0": equations.STATES, "q": equations.PATIENT, "p": equations.SHARED}[argument]


@pytest.mark.parametrize("argument", ["x0", "q", "p"])
def test_gradient_by_state_and_constant(steps, arguments, weights, gradient, argument):
    rng = np.random.default_rng([5, len(argument), ord(argument[0])])
    for i, name in enumerate(names_of(argument)):
        if name == "allo":
            continue
        place = (rng.integers(len(ARMS)), i, *([rng.integers(LANES)] if argument != "p" else []))
        step = 3e-4 * max(abs(arguments[argument][place]), 0.1 if argument == "p" else 0.02)
        expected = difference(steps, arguments, weights, argument, place, step)
        assert gradient[argument][place] == pytest.approx(expected, rel=1e-5, abs=1e-7), (name, place)


def test_gradient_by_cells_given(steps, arguments, weights, gradient):
    for dose in range(len(steps.doses)):
        expected = difference(steps, arguments, weights, "given", (dose,), 1e-3)
        assert gradient["given"][dose] == pytest.approx(expected, rel=1e-5, abs=1e-7), dose


@pytest.mark.parametrize("name", INPUT_CONSTANTS)
def test_gradient_by_constants_of_the_inputs(steps, arguments, weights, gradient, name):
    """What the registry fixes is no coordinate of any fit: its derivative is left at 0."""
    i = INPUT_CONSTANTS.index(name)
    expected = difference(steps, arguments, weights, "inputs", (i,), 1e-3 * arguments["inputs"][i])
    if registry()[name].level == "fixed":
        assert gradient["inputs"][i] == 0
    elif name.startswith("route"):
        # Nobody of this test responds to context: the derivative is 0 on both sides.
        assert gradient["inputs"][i] == expected == 0
    else:
        assert name in DEPENDENCE
        assert abs(expected) > 1e-6
        assert gradient["inputs"][i] == pytest.approx(expected, rel=1e-5)


def test_gradient_along_a_random_direction(steps, arguments, weights, gradient):
    """All arguments at once, every entry moved."""
    rng = np.random.default_rng(8)
    uncertain = np.array([registry()[n].level == "uncertain" for n in INPUT_CONSTANTS])
    direction = {n: 0.1 * a * rng.standard_normal(a.shape) for n, a in arguments.items()}
    direction["inputs"] *= uncertain
    direction["given"] = 0.1 * rng.standard_normal(len(steps.doses))

    def course(t):
        return np.asarray(steps.visited(*(jnp.asarray(a + t * direction[n]) for n, a in arguments.items())))

    e = 3e-3
    inner, outer = course(e) - course(-e), course(2 * e) - course(-2 * e)
    expected = (weights * (8 * inner - outer)).sum() / (12 * e)
    found = sum((gradient[n] * direction[n]).sum() for n in arguments)
    assert found == pytest.approx(expected, rel=1e-5)


def test_arms_do_not_touch_each_other(steps, arguments, seen):
    """An arm alone has the courses of the arm among others."""
    g = 1
    alone = Steps.of([steps.schedules[g]], [[m * DAYS_PER_MONTH for m in list(ARMS.values())[g][1]]], [GRID])
    own = {"given": [arm == g for arm, _, _ in steps.doses], "inputs": slice(None)}
    cut = {n: a[own.get(n, [g])] for n, a in arguments.items()}
    found = alone.visited(*map(jnp.asarray, cut.values()))
    first = sum(len(ends) for ends in steps.at[:g])
    assert np.array_equal(np.asarray(found), seen[first : first + len(steps.at[g])])


def test_gradients_do_not_depend_on_what_was_asked_before(steps, arguments, weights, gradient):
    """Derivatives come from the path of their own value, whatever has been computed since."""
    given = [jnp.asarray(a) for a in arguments.values()]
    _, back = jax.vjp(steps.visited, *given)
    steps.visited(*(1.01 * a for a in given))
    for found, expected in zip(back(jnp.asarray(weights)), gradient.values(), strict=True):
        assert np.array_equal(np.asarray(found), expected)


def test_generated_module_fits_the_equations():
    assert (equations.JOINT.name, equations.STATES) == (_adjoint.MODEL, _adjoint.STATES)
