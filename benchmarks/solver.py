"""Work against precision of the methods and grids that the batched solver could use.

    python benchmarks/solver.py [--json] [--patients 200]

For every method and grid: steps for 24 months of the saline arm, nanoseconds a patient (processor time of one thread,
mean of four arms), and the largest error of pain at seven visits against LSODA (rtol 1e-10) over random patients of
the prior. Marked are the shipped combination and each method's cheapest with an error below 0.03 points.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import sympy as sp

import stemtrial.compiled
from stemtrial.calibration import prior
from stemtrial.mechanism import codegen, reference
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.equations import JOINT
from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.rosenbrock import DEFAULT, METHODS
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Opioid, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

LIMIT = 0.03
LANES = 32
DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 9, 12, 18, 24))
GRIDS = [
    Grid(first, growth, 60.0)
    for first, growth in ((0.5, 0.3), (0.5, 0.2), (0.25, 0.25), (0.25, 0.2), (0.25, 0.15), (0.125, 0.1), (0.06, 0.05))
]  # fmt: skip
EXPLICIT_GRIDS = [Grid(0.125, 0.02, longest) for longest in (0.5, 0.25, 0.125)]
SPEC = PopulationSpec.model_validate(
    {
        "age": {"mean": 58, "sd": 9, "min": 40, "max": 75},
        "bmi": {"mean": 28.5, "sd": 4, "max": 35},
        "female": 0.55,
        "kl_grade": {1: 0.1, 2: 0.35, 3: 0.35, 4: 0.2},
        "baseline_pain": {"mean": 58, "sd": 14, "min": 30},
    }
)


def _cells(origin, months, dose=50):
    return Cells(
        source="bone_marrow", origin=origin, product="culture_expanded", dose_million=dose, at_months=months
    )


ARMS = {
    "saline": schedule([Saline(at_months=(0,))]),
    "own cells": schedule([_cells("autologous", (0,))]),
    "donor cells, three large doses": schedule([_cells("allogeneic", (0, 1, 6), 150)]),
    "steroid and opioid": schedule([Corticosteroid(at_months=(0, 3)), Opioid(from_month=0, to_month=6)]),
}


def rk4_source():
    """Source of a module like the generated one, with classical Runge-Kutta steps; double precision only."""
    x, q, p, u = (
        [sp.Symbol(f"{letter}_{name}") for name in names]
        for letter, names in zip(
            "xqpu", (JOINT.states, JOINT.patient, JOINT.shared, JOINT.inputs), strict=True
        )
    )
    rates = JOINT.rates(
        SimpleNamespace(**dict(zip(JOINT.states, x, strict=True))),
        SimpleNamespace(**dict(zip(JOINT.patient + JOINT.shared, q + p, strict=True))),
        SimpleNamespace(**dict(zip(JOINT.inputs, u, strict=True))),
    )
    shared, reduced = sp.cse(list(rates), symbols=sp.numbered_symbols("t"))
    text = "from stemtrial.compiled import inline, jit\nimport numpy as np\n"
    text += "STAGE_TIMES = (0.0, 0.5, 1.0)\nCONSTANTS = ()\n\n\n"
    text += f"@inline\ndef rates({', '.join(map(str, [*x, *q, *p, *u]))}):\n"
    text += "".join(f"    {name} = {sp.pycode(e)}\n" for name, e in shared)
    text += f"    return ({', '.join(map(sp.pycode, reduced))},)\n\n\n"
    n, q_args = len(x), ", ".join(f"q[{i}, l]" for i in range(len(q)))
    p_args = ", ".join(f"p{i}" for i in range(len(p)))
    text += "@jit\ndef advance(states, patient, shared, h_steps, u_steps, constants):\n"
    text += f"    x = np.empty(({n}, {LANES}))\n    q = np.empty(({len(q)}, {LANES}))\n"
    text += "    for g in range(states.shape[1]):\n"
    text += "".join(f"        p{i} = shared[g, {i}]\n" for i in range(len(p)))
    text += f"        for first in range(0, states.shape[2], {LANES}):\n"
    text += f"            for l in range({LANES}):\n                i = min(first + l, states.shape[2] - 1)\n"
    text += "".join(f"                x[{i}, l] = states[{i}, g, i]\n" for i in range(n))
    text += "".join(f"                q[{i}, l] = patient[{i}, g, i]\n" for i in range(len(q)))
    text += "            for k in range(h_steps.shape[0]):\n                h = h_steps[k]\n"
    text += "".join(
        f"                u{s}_{i} = u_steps[g, k, {s}, {i}]\n" for s in range(3) for i in range(len(u))
    )
    text += f"                for l in range({LANES}):\n"
    text += "".join(f"                    y{i} = x[{i}, l]\n" for i in range(n))
    for stage, (time_index, weight, before) in enumerate(((0, 0, 0), (1, 0.5, 0), (1, 0.5, 1), (2, 1.0, 2))):
        point = (f"y{i} + {weight} * h * k{before}[{i}]" if stage else f"y{i}" for i in range(n))
        inputs = ", ".join(f"u{time_index}_{i}" for i in range(len(u)))
        text += f"                    k{stage} = rates({', '.join(point)}, {q_args}, {p_args}, {inputs})\n"
    text += "".join(
        f"                    x[{i}, l] = y{i} + h / 6 * (k0[{i}] + 2 * k1[{i}] + 2 * k2[{i}] + k3[{i}])\n"
        for i in range(n)
    )
    text += f"            for l in range(min({LANES}, states.shape[2] - first)):\n"
    return text + "".join(f"                states[{i}, g, first + l] = x[{i}, l]\n" for i in range(n))


def load(name, text, folder):
    """Import a generated module, compiled in memory so that nothing stays on disk."""
    path = Path(folder) / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    kept = stemtrial.compiled.jit, stemtrial.compiled.inline
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    stemtrial.compiled.jit = numba.njit(**options)
    stemtrial.compiled.inline = numba.njit(forceinline=True, **options)
    try:
        spec.loader.exec_module(module)
    finally:
        stemtrial.compiled.jit, stemtrial.compiled.inline = kept
    return module


def people(groups, patients):
    """Constants and enrolled patients of the prior."""
    replicates = np.arange(groups)
    drawn = prior.draw(1, replicates)
    return drawn, enrol(People.draw(SPEC, 1, replicates, 0, patients), drawn, autologous=True)


def course(module, crowd, given, grid, dtype):
    """Pain at the visits, (visits, groups, patients)."""
    drawn, enrolled = crowd
    cohort_type = type("BenchmarkCohort", (Cohort,), {"whole": module})
    cohort = cohort_type(
        enrolled.states, enrolled.constants, drawn, given, grid, dtype, advance=module.advance
    )
    pain = []
    for day in DAYS:
        cohort.advance(day)
        pain.append(cohort.pain())
    return np.array(pain)


def exact(crowd, given):
    """Pain by LSODA, (visits, groups, 1)."""
    drawn, enrolled = crowd
    rows = [
        reference.solve(
            {name: float(v[g, 0]) for name, v in enrolled.states.items()},
            {name: float(v[g, 0]) for name, v in enrolled.constants.items()},
            {name: float(v[g]) for name, v in drawn.items()},
            given,
            DAYS,
        ).pain
        for g in range(len(drawn["f_ret"]))
    ]
    return np.array(rows).T[:, :, None]


def nanoseconds(module, crowd, grid, dtype):
    """Time a patient takes on average over the arms, the best of three runs of each."""
    spent = []
    for given in ARMS.values():
        runs = []
        for _ in range(3):
            start = time.thread_time()
            pain = course(module, crowd, given, grid, dtype)
            runs.append((time.thread_time() - start) / pain[0].size * 1e9)
        spent.append(min(runs))
    return float(np.mean(spent))


def measure(patients):
    """Rows of the table, in the order of the methods."""
    few, many = people(patients, 1), people(32, 256)
    truth = {name: exact(few, given) for name, given in ARMS.items()}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        kernels = [("rk4", load("rk4", rk4_source(), folder), EXPLICIT_GRIDS, (np.float64,))]
        kernels += [
            (m.name, load(m.name, codegen.source(JOINT, m, LANES), folder), GRIDS, (np.float64, np.float32))
            for m in METHODS
        ]
        for name, module, grids, dtypes in kernels:
            for grid in grids:
                errors = {
                    arm: float(np.abs(course(module, few, given, grid, dtypes[-1]) - truth[arm]).max())
                    for arm, given in ARMS.items()
                }
                starts = (0.0, *DAYS[:-1])
                rows.append(
                    {
                        "method": name,
                        "grid": [grid.first, grid.growth, grid.longest],
                        "steps": sum(len(grid.steps(a, b, 0.0)) for a, b in zip(starts, DAYS, strict=True)),
                        "ns_per_patient": {d.__name__: nanoseconds(module, many, grid, d) for d in dtypes},
                        "errors": errors,
                        "error": max(errors.values()),
                        "shipped": name == DEFAULT.name and grid == STANDARD,
                    }
                )
    return rows


def cheapest(rows):
    """Rows that reach the limit at the least cost, one a method."""
    best = {}
    for row in rows:
        if row["error"] < LIMIT:
            cost = row["ns_per_patient"]["float64"]
            if row["method"] not in best or cost < best[row["method"]]["ns_per_patient"]["float64"]:
                best[row["method"]] = row
    return best


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--patients", type=int, default=200, help="random patients of the error")
    arguments = parser.parse_args()
    rows = measure(arguments.patients)
    best = cheapest(rows)
    if arguments.json:
        print(json.dumps({"limit": LIMIT, "patients": arguments.patients, "rows": rows}))
        return
    print(f"{'method':8} {'grid':>20} {'steps':>6} {'ns f64':>8} {'ns f32':>8} {'largest error':>14}")
    for row in rows:
        ns = row["ns_per_patient"]
        mark = " <- cheapest below 0.03" if best.get(row["method"]) is row else ""
        mark += " <- shipped" if row["shipped"] else ""
        single = f"{ns['float32']:8.0f}" if "float32" in ns else f"{'':8}"
        print(
            f"{row['method']:8} {row['grid']!s:>20} {row['steps']:6} {ns['float64']:8.0f} {single}"
            f" {row['error']:14.4f}{mark}"
        )


if __name__ == "__main__":
    main()
