"""The equations, their generated forms and the Rosenbrock methods against closed forms and independent integration."""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from models import published
from stemtrial.calibration import prior
from stemtrial.mechanism import _generated, codegen, equations, kernels
from stemtrial.mechanism.rosenbrock import DEFAULT, METHODS
from stemtrial.population.patients import People, enrol
from stemtrial.trial.protocol import Trial

N = 200
NO_INPUT = {name: 0.0 for name in equations.INPUTS}


@pytest.fixture(scope="module")
def patients(example):
    """States, constants and shared constants per day of random patients, one a replicate, arrays (N,)."""
    replicates = np.arange(N)
    drawn = prior.draw(5, replicates)
    people = People.draw(Trial.read(example).population, 5, replicates, 0, 1)
    enrolled = enrol(people, drawn, autologous=True)
    shared = {**drawn, "allo": np.ones(N)}
    for name in ("sig_X", "lam_C"):
        shared[name] = drawn[name] / equations.DAYS_PER_YEAR
    states = {name: value[:, 0].copy() for name, value in enrolled.states.items()}
    return states, {name: value[:, 0] for name, value in enrolled.constants.items()}, shared


def _rates(states, constants, shared, inputs):
    p = SimpleNamespace(**{**shared, **constants})
    return np.array(
        np.broadcast_arrays(*equations.rates(SimpleNamespace(**states), p, SimpleNamespace(**inputs)))
    )


def test_untreated_baseline_is_a_fixed_point(patients):
    """To 1e-10 with the slow losses off; presensitised patients keep their decaying memory apart."""
    states, constants, shared = patients
    states = {**states, "A": np.zeros(N)}
    still = {**constants, "lam_X": shared["sig_X"] * (1 - states["X"]) / states["X"]}
    rates = _rates(states, still, {**shared, "lam_C": np.zeros(N)}, NO_INPUT)
    assert np.abs(rates).max() < 1e-10


def test_with_progress_only_matrix_and_chondrocytes_move(patients):
    states, constants, shared = patients
    states = {**states, "A": np.zeros(N)}
    rates = dict(zip(equations.STATES, _rates(states, constants, shared, NO_INPUT), strict=True))
    moved = {name for name, rate in rates.items() if np.abs(rate).max() > 1e-10}
    assert moved <= {"X", "C"}
    assert rates["C"] == pytest.approx(-shared["lam_C"], abs=1e-14)
    rho = constants["lam_X"] - shared["sig_X"] * (1 - states["X"]) / states["X"]
    assert rates["X"] == pytest.approx(-rho * states["X"], abs=1e-14)
    assert (rho > 0).all()


def test_baseline_pain_is_the_given_pain():
    p = SimpleNamespace(R_b=0.3, sig_X=1e-4, E_op=0.3, th_T=0.4)
    for pain in (5.0, 40.0, 95.0):
        x, own = equations.baseline(pain, 0.7, 1.3, 0.4, 0.3, 0.1, 1e-4, p)
        named = SimpleNamespace(**vars(p), **vars(own), o_steady=0.0, o_fading=0.0)
        assert equations.pain(x, named, SimpleNamespace(**NO_INPUT)) == pytest.approx(pain, abs=1e-12)


@pytest.fixture
def disturbed(patients):
    """Patients away from their baseline, with every input on."""
    states, constants, shared = patients
    rng = np.random.default_rng(0)
    states = {
        name: value * rng.uniform(0.5, 1.5, N) + rng.uniform(0, 0.3, N) for name, value in states.items()
    }
    constants = {
        **constants,
        **{k: rng.uniform(0, 0.4, N) for k in ("n_steady", "n_fading", "o_steady", "o_fading")},
    }
    return states, constants, shared, {name: 0.1 + 0.8 * rng.uniform() for name in equations.INPUTS}


def test_generated_derivative_is_the_equations(disturbed):
    states, constants, shared, inputs = disturbed
    expected = _rates(*disturbed)
    u, out = np.array(list(inputs.values())), np.empty(len(equations.STATES))
    for i in range(N):
        _generated.derivative(
            np.array([states[k][i] for k in equations.STATES]),
            np.array([constants[k][i] for k in equations.PATIENT]),
            np.array([shared[k][i] for k in equations.SHARED]),
            u,
            out,
        )
        assert out == pytest.approx(expected[:, i], rel=1e-11, abs=1e-13)


def test_shipped_source_is_what_the_generator_writes():
    lanes = _generated.LANES
    shipped = Path(_generated.__file__).read_text(encoding="utf-8")
    assert codegen.source(equations.JOINT, DEFAULT, lanes) == shipped


@pytest.mark.parametrize("use", kernels.USES, ids=lambda use: use.name)
def test_shipped_kernels_are_what_the_generator_writes(use):
    shipped = Path(kernels.__file__).with_name(f"_{use.name}.py").read_text(encoding="utf-8")
    assert codegen.kernel_source(use.model(), equations.JOINT, DEFAULT, _generated.LANES) == shipped


def test_jax_runs_and_differentiates_the_same_text(disturbed):
    states, constants, shared, inputs = disturbed
    with jax.enable_x64(True):
        x = {name: jnp.asarray(value) for name, value in states.items()}
        q = SimpleNamespace(**{**shared, **constants})
        u = SimpleNamespace(**inputs)
        rates = jnp.array(jnp.broadcast_arrays(*equations.rates(SimpleNamespace(**x), q, u)))
        assert rates.dtype == np.float64
        assert np.asarray(rates) == pytest.approx(_rates(*disturbed), rel=1e-11, abs=1e-13)

        def total(activity):
            return jnp.sum(equations.rates(SimpleNamespace(**{**x, "P": activity}), q, u)[3])

        step = 1e-6
        up, down = (
            _rates({**states, "P": states["P"] + d}, constants, shared, inputs)[3] for d in (step, -step)
        )
        slope = np.asarray(jax.grad(total)(x["P"]))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-7)


def test_parts_of_the_relief_add_up(disturbed):
    states, constants, shared, inputs = disturbed
    named = SimpleNamespace(**states), SimpleNamespace(**{**shared, **constants}), SimpleNamespace(**inputs)
    u0 = constants["w_P"] * constants["P0"] + constants["w_X"]
    z0 = u0 + constants["v_a"] + constants["v_U"] * u0
    total = 100 * z0 / (1 + z0) - equations.pain(*named)
    assert sum(equations.relief(*named)) == pytest.approx(total, abs=1e-9)


def _rotor(x, p, u):
    return (
        u.cosine * x.y - p.a * x.y * x.w,
        -u.ramp * x.w * x.w + p.b * x.y * x.v,
        p.k * (u.cosine - x.v) + x.y,
    )


ROTOR = equations.Model("rotor", ("y", "w", "v"), ("a",), ("b", "k"), ("cosine", "ramp"), _rotor)
"""Nonlinear, coupled and driven by inputs that change in time, so that every term of a step matters."""

A, B, K, END = 0.7, 0.3, 2.0, 2.0


def _rotor_exact():
    def rhs(t, z):
        u = SimpleNamespace(cosine=np.cos(3 * t), ramp=2 * t)
        return _rotor(SimpleNamespace(y=z[0], w=z[1], v=z[2]), SimpleNamespace(a=A, b=B, k=K), u)

    return solve_ivp(rhs, (0, END), (1.0, 0.8, 0.2), method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


def _rotor_error(module, count):
    h = np.full(count, END / count)
    start = np.cumsum(h) - h
    inputs = np.empty((1, count, len(module.STAGE_TIMES) + 1, 2))
    for s, fraction in enumerate(module.STAGE_TIMES):
        t = start + fraction * h
        inputs[0, :, s, 0], inputs[0, :, s, 1] = np.cos(3 * t), 2 * t
    inputs[0, :, -1, 0], inputs[0, :, -1, 1] = -3 * np.sin(3 * start), 2.0
    x = np.array([1.0, 0.8, 0.2]).reshape(3, 1, 1)
    module.advance(x, np.full((1, 1, 1), A), np.array([[B, K]]), h, inputs, np.array(module.CONSTANTS))
    return np.abs(x[:, 0, 0] - _rotor_exact()).max()


def _square(rows, n):
    return np.array([[*row, *[0.0] * (n - len(row))] for row in rows])


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_coefficients_satisfy_the_order_conditions(method):
    """Conditions of Hairer and Wanner (1996), section IV.7, after undoing the transformation of the coefficients.

    Published coefficients of ROS4 and RODAS4 have 13 to 16 digits.
    """
    n = method.stages
    gamma = np.linalg.inv(np.eye(n) / method.gamma - _square(method.c, n))
    alpha = _square(method.a, n) @ gamma
    b = np.array(method.m) @ gamma
    beta = alpha + gamma
    a, bt = alpha.sum(1), beta.sum(1)
    assert a == pytest.approx(method.alpha, abs=1e-12)
    assert gamma.sum(1) == pytest.approx(method.g, abs=1e-12)
    conditions = [(b.sum(), 1), (b @ bt, 1 / 2)]
    if method.order > 2:
        conditions += [(b @ a**2, 1 / 3), (b @ beta @ bt, 1 / 6)]
    if method.order > 3:
        conditions += [(b @ a**3, 1 / 4), (b @ (a * (alpha @ bt)), 1 / 8)]
        conditions += [(b @ beta @ a**2, 1 / 12), (b @ beta @ beta @ bt, 1 / 24)]
    for found, wanted in conditions:
        assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_methods_converge_with_their_order(method, tmp_path):
    """Coefficients, Jacobian and the terms of the time derivative are right, or the order is lost."""
    module = published.compiled(ROTOR, tmp_path, method)
    errors = np.array([_rotor_error(module, count) for count in (40, 80, 160)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert (orders > method.order - 0.2).all(), errors
    assert (orders < method.order + 0.7).all(), errors


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_methods_damp_fast_modes_completely(method, tmp_path):
    """L-stability, to the digits of the coefficients: one step of y' = -10^9 y leaves nothing."""
    model = equations.Model("decay", ("y",), (), ("k",), (), lambda x, p, u: (-p.k * x.y,))
    module = published.compiled(model, tmp_path, method)
    x = np.ones((1, 1, 1))
    inputs = np.empty((1, 1, len(module.STAGE_TIMES) + 1, 0))
    module.advance(x, np.empty((0, 1, 1)), np.array([[1e9]]), np.ones(1), inputs, np.array(module.CONSTANTS))
    assert abs(x[0, 0, 0]) < 1e-4
