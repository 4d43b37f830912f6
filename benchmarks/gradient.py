"""Cost of a gradient, of a fit's likelihood and of a patient's course by our solver and by diffrax, and of a draw.

    python benchmarks/gradient.py [--json] [--repeats 9] [--draws 500]

Every course lasts 24 months after two doses of donor cells and is read at six visits; the gradient is that of the log
likelihood of mean pain with respect to four log multipliers of constants. Errors are the largest differences of pain
from the adaptive reference over the visits of a few patients. Effective draws per second are those of one chain of the
paracrine structure, after its warm-up; ``--draws 0`` leaves it out.
"""

import argparse
import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import peers

from stemtrial.calibration.comparators import comparator_effects
from stemtrial.calibration.diagnostics import converge
from stemtrial.calibration.expected import GRID
from stemtrial.calibration.fit import Settings
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.published import published_arms
from stemtrial.calibration.sampling import Sampler
from stemtrial.evidence import load
from stemtrial.mechanism import equations, reference
from stemtrial.mechanism.differentiable import LANES, Steps
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.inputs import INPUT_CONSTANTS

TOLERANCE = 1e-3
"""Relative tolerance of diffrax, as its users choose it."""

CHECKED = 16
"""Patients whose courses are compared with the reference."""


def seconds(function, at, repeats):
    """Median time of a call, the first, which compiles, apart; no two calls are at the same point."""
    points = [at + 1e-3 * (i + 1) for i in range(repeats)]
    jax.block_until_ready(function(at))
    taken = []
    for point in points:
        start = time.perf_counter()
        jax.block_until_ready(function(point))
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def fitted():
    """The fit of the published arms of knee osteoarthritis."""
    evidence = load()
    return FitModel.of(published_arms(evidence, "knee_oa"), comparator_effects(evidence, "knee_oa").effects)


def sampling(draws):
    """Effective draws per second of one chain."""
    sampler = Sampler(fitted(), Settings().warmup)
    start = time.perf_counter()
    shape = sampler.shape()
    mode = time.perf_counter() - start
    times = {}
    chain = sampler.chain(1000, draws, shape, progress=lambda done: times.update({done: time.perf_counter()}))
    taken = times[max(times)] - times[Settings().warmup]
    found = converge(np.stack(np.split(chain.draws[: draws // 2 * 2], 2)))
    return {
        "draws": draws, "gradients": int(chain.leaps.sum()), "seconds": taken, "seconds_to_mode": mode,
        "seconds_per_gradient": taken / int(chain.leaps.sum()), "divergences": int(chain.divergent.sum()),
        "low_bulk_ess_per_second": float(np.quantile(found.bulk, 0.05) / taken),
        "median_bulk_ess_per_second": float(np.median(found.bulk) / taken),
    }  # fmt: skip


def likelihood(repeats):
    """Cost of one value and gradient of the likelihood of the published arms of knee osteoarthritis."""
    model = fitted()
    z = 0.3 * np.random.default_rng(1).standard_normal(model.dimension)
    steps = model.expectation._steps
    value = seconds(jax.jit(model.log_density), jnp.asarray(z), repeats)
    both = seconds(jax.jit(jax.value_and_grad(model.log_density)), jnp.asarray(z), repeats)
    return {
        "arms": len(model.arms), "readings": len(model.rows.y), "coordinates": model.dimension,
        "courses_integrated": LANES * len(steps.schedules), "steps": len(steps.h),
        "seconds_value": value, "seconds_gradient": both, "gradient_over_value": both / value,
    }  # fmt: skip


def ours(work, grid):
    """Pain of every patient of every group by the fit's solver, as a function of four log multipliers."""
    groups = work.shape[0]
    schedules = [work.schedule] * groups
    steps = Steps.of(schedules, [peers.days()] * groups, [grid] * groups)
    donor = np.full(groups, float(bool(work.schedule.allogeneic)))
    per_day = {name: work.shared[name] / equations.DAYS_PER_YEAR for name in ("sig_X", "lam_C")}
    shared = {**work.shared, **per_day, "allo": donor}
    x0 = jnp.asarray(np.stack([work.states[n] for n in equations.STATES], axis=1), float)
    q = jnp.asarray(np.stack([work.patient[n] for n in equations.PATIENT], axis=1), float)
    p = jnp.asarray(np.stack([shared[n] for n in equations.SHARED], axis=1), float)
    # Arms of a fit share the constants of the inputs: those of the first group here.
    inputs = jnp.array([work.shared[n][0] for n in INPUT_CONSTANTS])
    given = jnp.array([work.shared["f_ret"][group] * amount for group, _, amount in steps.doses])
    at = {n: equations.SHARED.index(n) for n in ("r_on", "k_R", "k_B")}
    U, V, B = (equations.STATES.index(n) for n in "UVB")

    def pain(theta):
        scale = jnp.exp(theta)
        own = q.at[:, equations.PATIENT.index("ctx")].multiply(scale[2])
        common = p.at[:, at["r_on"]].multiply(scale[0]).at[:, at["k_R"]].multiply(scale[1])
        common = common.at[:, at["k_B"]].multiply(scale[3])
        path = steps.visited(x0, own, common, inputs, given)
        z = path[:, U] + path[:, V]
        seen = 100 * z / (1 + z) - path[:, B]
        return (
            seen.reshape(groups, len(peers.VISITS), LANES).transpose(0, 2, 1).reshape(-1, len(peers.VISITS))
        )

    return pain


def courses(repeats, groups=32):
    """Cost of the gradient of one patient's course by our solver on two grids and by diffrax."""
    work = peers.case("two doses of cells", groups, LANES)
    first = {n: np.full(groups, work.shared[n][0]) for n in INPUT_CONSTANTS}
    work = peers.Case(work.schedule, work.states, work.patient, {**work.shared, **first})
    people = list(work.part(min(CHECKED, groups)))
    exact = np.array(
        [reference.solve(*one, work.schedule, peers.days(), rtol=1e-9, atol=1e-11).pain for one in people]
    )
    observed = jnp.array([45.0, 43.0, 43.0, 44.0, 45.0, 46.0])
    zero = jnp.zeros(4)
    found = {}
    for name, grid in (("the fit's grid", GRID), ("standard grid", STANDARD.suited(work.schedule))):
        pain = ours(work, grid)

        def loss(theta, pain=pain):
            return -0.5 * (((pain(theta).mean(axis=0) - observed) / 2.0) ** 2).sum()

        cost = seconds(jax.jit(jax.value_and_grad(loss)), zero, repeats)
        error = np.abs(np.asarray(pain(zero))[::LANES][:CHECKED] - exact).max()
        found[name] = {"seconds": cost / (groups * LANES), "error_points": float(error)}
    theirs = peers.log_likelihoods(work, groups)[1]
    cost = seconds(jax.jit(jax.value_and_grad(theirs)), zero, max(3, repeats // 3))
    _, pain = peers.diffrax_vmap(work, CHECKED, TOLERANCE)
    error = float(np.abs(pain - exact).max())
    found["diffrax"] = {"seconds": cost / groups, "error_points": error}
    for name in ("the fit's grid", "standard grid"):
        found[name]["diffrax_over_ours"] = found["diffrax"]["seconds"] / found[name]["seconds"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    result = {"likelihood": likelihood(options.repeats), "course": courses(options.repeats)}
    if options.draws:
        result["sampling"] = sampling(options.draws)
    print(json.dumps(result, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
