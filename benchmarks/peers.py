"""The same model in other tools, for a comparison in one run at equal accuracy.

Each peer is a function ``run(case, tolerance) -> (seconds, pain)`` where pain has the shape (patients, visits). What a
tool needs to compile is compiled before the clock starts.
"""

import ctypes
import itertools
import math
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from stemtrial.calibration import prior
from stemtrial.mechanism import _generated, equations, reference
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.inputs import INPUT_CONSTANTS, tabulate
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Schedule, schedule
from stemtrial.mechanism.treatments import Cells, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

VISITS = (1.0, 3.0, 6.0, 12.0, 18.0, 24.0)
POPULATION = PopulationSpec.model_validate(
    {
        "age": {"mean": 58, "sd": 9, "min": 40, "max": 75},
        "bmi": {"mean": 28.5, "sd": 4, "max": 35},
        "female": 0.55,
        "kl_grade": {2: 0.45, 3: 0.55},
        "baseline_pain": {"mean": 58, "sd": 14, "min": 40},
    }
)
ARMS = {
    "saline": (Saline(at_months=(0,)),),
    "two doses of cells": (
        Cells(
            source="bone_marrow",
            origin="allogeneic",
            product="culture_expanded",
            dose_million=50,
            at_months=(0, 6),
        ),
    ),
}


@dataclass(frozen=True)
class Case:
    """Groups of patients on one schedule for 24 months."""

    schedule: Schedule
    states: dict
    patient: dict
    shared: dict

    @property
    def shape(self):
        return self.states["P"].shape

    @property
    def size(self):
        return self.states["P"].size

    def part(self, count):
        """The first patient of the first ``count`` groups, as scalars by name."""
        for g in range(count):
            yield (
                {k: float(v[g, 0]) for k, v in self.states.items()},
                {k: float(v[g, 0]) for k, v in self.patient.items()},
                {k: float(v[g]) for k, v in self.shared.items()},
            )


def case(arm, groups, patients):
    given = schedule(ARMS[arm])
    replicates = np.arange(groups)
    shared = prior.draw(7, replicates)
    found = enrol(People.draw(POPULATION, 7, replicates, 0, patients), shared, autologous=False)
    return Case(given, dict(found.states), dict(found.constants), shared)


def days():
    return [m * DAYS_PER_MONTH for m in VISITS]


def timed(run, repeats=3):
    """Seconds of the best of some runs, and the last result."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result


def ours(work: Case, grid: Grid, dtype, advance=None):
    cohort = Cohort(work.states, work.patient, work.shared, work.schedule, grid, dtype, advance)
    start = time.perf_counter()
    pain = []
    for day in days():
        cohort.advance(day)
        pain.append(cohort.pain())
    return time.perf_counter() - start, np.stack(pain, axis=-1)


def scipy_lsoda(work: Case, count: int, rtol: float):
    people = list(work.part(count))
    reference.solve(*people[0], work.schedule, days(), rtol=rtol, atol=rtol / 100)
    seconds, pain = timed(
        lambda: [reference.solve(*p, work.schedule, days(), rtol=rtol, atol=rtol / 100).pain for p in people]
    )
    return seconds, np.array(pain)


def scipy_python(work: Case, count: int, rtol: float):
    """The loop one writes first: ``solve_ivp`` with LSODA and the equations called from Python."""
    from scipy.integrate import solve_ivp

    doses = [(e.start, e.amount) for e in work.schedule.doses]
    nodes = sorted({0.0, *(d for d, _ in doses), days()[-1]})
    donor = float(bool(work.schedule.allogeneic))

    def one(x, q, p):
        rates = {k: p[k] / equations.DAYS_PER_YEAR for k in ("sig_X", "lam_C")}
        constants = SimpleNamespace(**{**p, **rates, **q, "allo": donor})

        def field(t, y):
            flare = sum(
                p["j0"] * math.sqrt(a / 50) * math.exp(-p["k_j"] * (t - d)) for d, a in doses if t >= d
            )
            u = SimpleNamespace(
                flare=flare, steroid=0.0, ha=0.0, nsaid=0.0, opioid=0.0, exercise=0.0, route=p["route_injection"],
                fade_n=1.0, fade_o=1.0,
            )  # fmt: skip
            return equations.rates(
                SimpleNamespace(**dict(zip(equations.STATES, y, strict=True))), constants, u
            )

        y, pain = np.array([x[name] for name in equations.STATES]), []
        for start, stop in itertools.pairwise(nodes):
            y = y.copy()
            y[0] += p["f_ret"] * sum(a for d, a in doses if d == start)
            at = [d for d in days() if start < d <= stop]
            found = solve_ivp(field, (start, stop), y, "LSODA", t_eval=at, rtol=rtol, atol=rtol / 100)
            z = found.y[9] + found.y[10]
            pain.append(100 * z / (1 + z) - found.y[11])
            y = (
                found.y[:, -1]
                if at and at[-1] == stop
                else solve_ivp(field, (start, stop), y, "LSODA", rtol=rtol).y[:, -1]
            )
        return np.concatenate(pain)

    people = list(work.part(count))
    one(*people[0])
    seconds, pain = timed(lambda: [one(*person) for person in people])
    return seconds, np.array(pain)


def roadrunner(work: Case, count: int, rtol: float):
    """One model a patient, all loaded and compiled before the clock starts: what runs is CVODE alone."""
    import roadrunner as rr

    from stemtrial.mechanism import sbml

    rr.Logger.setLevel(rr.Logger.LOG_ERROR)
    models = [rr.RoadRunner(sbml.export(work.schedule, *person)) for person in work.part(count)]
    for model in models:
        model.integrator.relative_tolerance, model.integrator.absolute_tolerance = rtol, rtol / 100
        model.timeCourseSelections = ["time", "pain"]
    times = [0.0, *days()]

    def run():
        for model in models:
            model.resetAll()
        return [np.asarray(model.simulate(times=times))[1:, 1] for model in models]

    seconds, pain = timed(run)
    return seconds, np.array(pain)


def _jax_field(work: Case):
    import jax.numpy as jnp

    doses = [(e.start, e.amount) for e in work.schedule.doses]

    def field(t, y, args):
        q, p = args
        shared = {
            **p,
            "sig_X": p["sig_X"] / equations.DAYS_PER_YEAR,
            "lam_C": p["lam_C"] / equations.DAYS_PER_YEAR,
        }
        flare = sum(
            jnp.where(t >= d, p["j0"] * jnp.sqrt(a / 50) * jnp.exp(-p["k_j"] * jnp.maximum(t - d, 0)), 0.0)
            for d, a in doses
        )
        u = SimpleNamespace(
            flare=flare + 0 * t, steroid=0.0, ha=0.0, nsaid=0.0, opioid=0.0, exercise=0.0,
            route=p["route_injection"], fade_n=1.0, fade_o=1.0,
        )  # fmt: skip
        x = SimpleNamespace(**dict(zip(equations.STATES, y, strict=True)))
        constants = SimpleNamespace(**{**shared, **q, "allo": float(bool(work.schedule.allogeneic))})
        return jnp.stack([jnp.asarray(r) for r in equations.rates(x, constants, u)])

    return field


def _diffrax_solve(work: Case, rtol: float):
    """Function from initial states, patient and shared constants of one patient to pain at the visits."""
    import diffrax
    import jax.numpy as jnp

    field = _jax_field(work)
    doses = [(e.start, e.amount) for e in work.schedule.doses]
    nodes = sorted({0.0, *(d for d, _ in doses), days()[-1]})
    controller = diffrax.PIDController(rtol=rtol, atol=rtol / 10)

    def solve(y, q, p):
        found = []
        for start, stop in itertools.pairwise(nodes):
            amount = sum(a for d, a in doses if d == start)
            y = y.at[0].add(p["f_ret"] * amount)
            inside = [d for d in days() if start < d <= stop]
            at = jnp.array([*inside, *([] if stop in inside else [stop])])
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(field), diffrax.Kvaerno3(), start, stop, 0.1, y, (q, p),
                saveat=diffrax.SaveAt(ts=at), stepsize_controller=controller, max_steps=1024,
            )  # fmt: skip
            found.append(solution.ys[: len(inside)])
            y = solution.ys[-1]
        states = jnp.concatenate(found)
        z = states[:, 9] + states[:, 10]
        return 100 * z / (1 + z) - states[:, 11]

    return solve


def _stacked(work: Case, count: int):
    import jax.numpy as jnp

    people = list(work.part(count))
    y = jnp.array([[x[name] for name in equations.STATES] for x, _, _ in people])
    q = {k: jnp.array([person[1][k] for person in people]) for k in people[0][1]}
    p = {k: jnp.array([person[2][k] for person in people]) for k in people[0][2]}
    return y, q, p


def diffrax_vmap(work: Case, count: int, rtol: float):
    import jax

    jax.config.update("jax_enable_x64", True)
    given = _stacked(work, count)
    run = jax.jit(jax.vmap(_diffrax_solve(work, rtol)))
    jax.block_until_ready(run(*given))
    seconds, pain = timed(lambda: jax.block_until_ready(run(*given)))
    return seconds, np.asarray(pain)


def log_likelihoods(work: Case, count: int):
    """Log likelihood of mean pain at the visits as a function of four log multipliers, by our step and by diffrax.

    The multipliers act on the reprogramming rate, its loss, the contextual response and its rate.
    """
    import jax
    import jax.numpy as jnp

    y, q, p = _stacked(work, count)
    observed = jnp.array([45.0, 43.0, 43.0, 44.0, 45.0, 46.0])

    def changed(theta):
        scale = jnp.exp(theta)
        shared = {**p, "r_on": p["r_on"] * scale[0], "k_R": p["k_R"] * scale[1], "k_B": p["k_B"] * scale[3]}
        return {**q, "ctx": q["ctx"] * scale[2]}, shared

    def likelihood(pain):
        return -0.5 * (((pain.mean(axis=0) - observed) / 2.0) ** 2).sum()

    solve = jax.vmap(_diffrax_solve(work, 1e-3))

    def theirs(theta):
        return likelihood(solve(y, *changed(theta)))

    def ours(theta):
        patient, shared = changed(theta)
        return likelihood(jax_courses(work, y, patient, shared))

    return ours, theirs


def jax_courses(work: Case, y, q, p):
    """Pain at the visits by the generated step in JAX, every patient with constants of their own."""
    import jax
    import jax.numpy as jnp

    shared = {**p, "allo": jnp.full(len(y), float(bool(work.schedule.allogeneic)))}
    shared |= {k: shared[k] / equations.DAYS_PER_YEAR for k in ("sig_X", "lam_C")}
    constants = [shared[k] for k in equations.SHARED]
    own = [q[k] for k in equations.PATIENT]
    inputs = np.ascontiguousarray(np.stack([np.asarray(work.shared[k]) for k in INPUT_CONSTANTS], axis=1))[
        : len(y)
    ]
    nodes = sorted({0.0, *days(), *(d for d in work.schedule.switches() if d < days()[-1])})
    steps, tables, doses, seen, switched = [], [], [], [], 0.0
    grid = STANDARD.suited(work.schedule)
    for start, stop in itertools.pairwise(nodes):
        switched = start if start in work.schedule.switches() else switched
        h = grid.steps(start, stop, switched)
        table = np.empty((len(y), len(h), len(_generated.STAGE_TIMES) + 1, len(equations.INPUTS)))
        tabulate(*work.schedule.arrays(), inputs, start, h, np.array(_generated.STAGE_TIMES), table)
        steps.append(h)
        tables.append(table.transpose(1, 0, 2, 3))
        given = sum(e.amount for e in work.schedule.doses if e.start == start)
        doses.append(np.r_[given, np.zeros(len(h) - 1)])
        seen += [stop in days() and k == len(h) - 1 for k in range(len(h))]

    def one(state, x):
        h, dose, u = x
        flat = [u[:, s, i] for s in range(u.shape[1]) for i in range(u.shape[2])]
        state = (state[0] + p["f_ret"] * dose, *state[1:])
        state = _generated.step.py_func(h, *state, *own, *constants, *flat, *_generated.CONSTANTS)
        z = state[9] + state[10]
        return state, 100 * z / (1 + z) - state[11]

    course = tuple(jnp.array(np.concatenate(part)) for part in (steps, doses, tables))
    _, pain = jax.lax.scan(one, tuple(y.T), course)
    return pain[jnp.array(np.flatnonzero(seen))].T


PEERS = {
    "scipy": scipy_python,
    "scipy_compiled": scipy_lsoda,
    "libroadrunner": roadrunner,
    "diffrax": diffrax_vmap,
}
"""Other tools by name."""


CPP_HEAD = """
#include <cstddef>
#include <algorithm>
typedef {kind} T;
static inline void load(T (*x)[{lanes}], const T* array, const int* rows, int count, std::size_t groups,
                        std::size_t patients, std::size_t g, std::size_t first) {{
  const std::size_t full = std::min<std::size_t>({lanes}, patients - first);
  for (int i = 0; i < count; i++) {{
    const T* values = array + (rows[i] * groups + g) * patients + first;
    for (std::size_t l = 0; l < full; l++) x[i][l] = values[l];
    for (std::size_t l = full; l < {lanes}; l++) x[i][l] = values[full - 1];
  }}
}}
extern "C" void advance(T* states, const T* patient, const T* shared, const T* h_steps, const T* u_steps,
                        const T* constants, std::size_t groups, std::size_t patients, std::size_t steps) {{
"""


def cpp_source(kernel, dtype):
    """The generated ``advance`` line by line in C++: the same loops, the same order of operations."""
    text = Path(kernel.__file__).read_text(encoding="utf-8")
    body = text[text.index("    wide_vectors()") :].splitlines()[1:]
    n_p, n_u = len(equations.SHARED), len(equations.INPUTS)
    width = (len(kernel.STAGE_TIMES) + 1) * n_u
    lines, depth = [], 4
    for line in body:
        indent, line = len(line) - len(line.lstrip()), line.strip()
        while depth > indent:
            lines.append("}")
            depth -= 4
        depth = indent
        if not line or line.startswith(("groups =", "patients =")):
            continue
        if found := re.fullmatch(r"x = empty_like_kind\(states, (\d+), (\d+)\)", line):
            lines.append(f"alignas(64) T x[{found[1]}][{found[2]}];")
        elif found := re.fullmatch(r"for (\w+) in range\((?:0, )?(\S+?)(?:, (\d+))?\):", line):
            name, end, by = found[1], found[2].replace("h_steps.shape[0]", "steps"), found[3] or "1"
            lines.append("#pragma GCC ivdep" if name == "l" else "")
            lines.append(f"for (std::size_t {name} = 0; {name} < {end}; {name} += {by}) {{")
            depth += 4
        elif found := re.fullmatch(r"load\(x, (\d+), (\w+), \((.*?),?\), g, first\)", line):
            rows = found[3]
            lines.append(f"{{ const int rows[] = {{{rows}}};")
            lines.append(
                f"load(x + {found[1]}, {found[2]}, rows, {rows.count(',') + 1}, groups, patients, g, first); }}"
            )
        elif found := re.fullmatch(r"store\(x, states, \((.*?),?\), g, first\)", line):
            lines.append(f"{{ const int rows[] = {{{found[1]}}};")
            lines.append(f"for (int i = 0; i < {found[1].count(',') + 1}; i++)")
            lines.append(
                f"for (std::size_t l = 0; l < std::min<std::size_t>({kernel.LANES}, patients - first); l++)"
            )
            lines.append("states[(rows[i] * groups + g) * patients + first + l] = x[i][l]; }")
        else:
            name, code = line.split(" = ")
            code = re.sub(r"x\[(\d+), l\]", r"x[\1][l]", code)
            code = re.sub(r"shared\[g, (\d+)\]", rf"shared[g * {n_p} + \1]", code)
            code = re.sub(
                r"u_steps\[g, k, (\d+), (\d+)\]",
                rf"u_steps[(g * steps + k) * {width} + \1 * {n_u} + \2]",
                code,
            )
            target = re.sub(r"x\[(\d+), l\]", r"x[\1][l]", name)
            lines.append(f"{target} = {code};" if target != name else f"const T {name} = {code};")
    kind = "float" if dtype == np.float32 else "double"
    return CPP_HEAD.format(kind=kind, lanes=kernel.LANES) + "\n".join(lines) + "\n}" * (depth // 4)


def cpp_advance(
    kernel, dtype, flags=("-O3", "-march=native", "-ffp-contract=fast", "-mprefer-vector-width=512")
):
    """The generated solver translated to C++, or ``None`` without a compiler."""
    if not (compiler := shutil.which("g++")):
        return None
    folder = Path(tempfile.mkdtemp())
    (folder / "step.cpp").write_text(cpp_source(kernel, dtype))
    library = folder / "step.so"
    subprocess.run([compiler, *flags, "-shared", "-fPIC", "-o", library, folder / "step.cpp"], check=True)
    function = ctypes.CDLL(str(library)).advance
    pointer = np.ctypeslib.ndpointer(dtype, flags="C")
    function.argtypes = [pointer] * 6 + [ctypes.c_size_t] * 3

    def advance(states, patient, shared, h, u, constants):
        function(states, patient, shared, h, u, constants, states.shape[1], states.shape[2], len(h))

    return advance


def bare_loop(work: Case, grid: Grid, dtype, kernel, advance=None, repeats=5):
    """Seconds of the integration alone, inputs tabulated beforehand, and the Z that pain is read from."""
    shared = {**work.shared, "allo": np.full(work.shape[0], float(bool(work.schedule.allogeneic)))}
    shared |= {k: shared[k] / equations.DAYS_PER_YEAR for k in ("sig_X", "lam_C")}
    x = np.stack([np.asarray(work.states[k], dtype) for k in equations.STATES])
    q = np.stack([np.asarray(work.patient[k], dtype) for k in equations.PATIENT])
    p = np.ascontiguousarray(np.stack([shared[k] for k in equations.SHARED], axis=1), dtype)
    constants = np.ascontiguousarray(np.stack([shared[k] for k in INPUT_CONSTANTS], axis=1), float)
    nodes = sorted({0.0, *days(), *(d for d in work.schedule.switches() if d < days()[-1])})
    pieces, switched = [], 0.0
    grid = grid.suited(work.schedule)
    for start, stop in itertools.pairwise(nodes):
        switched = start if start in work.schedule.switches() else switched
        h = grid.steps(start, stop, switched)
        table = np.empty((len(p), len(h), len(_generated.STAGE_TIMES) + 1, len(equations.INPUTS)), dtype)
        tabulate(*work.schedule.arrays(), constants, start, h, np.array(_generated.STAGE_TIMES), table)
        pieces.append(
            (sum(e.amount for e in work.schedule.doses if e.start == start), h.astype(dtype), table)
        )
    literals = np.array(kernel.CONSTANTS, dtype)
    advance = advance or kernel.advance
    best = np.inf
    for _ in range(repeats):
        y = x.copy()
        start = time.perf_counter()
        for amount, h, table in pieces:
            y[0] += (shared["f_ret"] * amount)[:, None].astype(dtype)
            advance(y, q, p, h, table, literals)
        best = min(best, time.perf_counter() - start)
    return best, y[9] + y[10]
