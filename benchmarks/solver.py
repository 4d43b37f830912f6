"""Work against precision of the methods and grids that the batched solver could use.

    python benchmarks/solver.py [--json] [--patients 200] [--figure FILE.svg]

For every method and refinement of the grid: steps for 24 months, nanoseconds a patient (processor time of one thread),
both as means over four arms, and the largest error of pain at seven visits against LSODA (rtol 1e-10) over random
patients of the prior. Explicit steps need short ones throughout, and LSODA chooses its own. Every method integrates all
states here; the shipped solver leaves out those that an arm does not use. Marked are the shipped combination and each
method's cheapest with an error below 0.03 points.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import sympy as sp

import stemtrial.compiled
from stemtrial.calibration import prior
from stemtrial.errors import NumericalError
from stemtrial.mechanism import codegen, reference
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.equations import JOINT
from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.rosenbrock import DEFAULT, METHODS
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Opioid, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

LIMIT, PROMISED = 0.03, 0.05
LANES = 32
DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 9, 12, 18, 24))
REFINEMENTS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
LSODA = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class Even(Grid):
    """Short steps throughout, whatever the schedule, as explicit methods need them."""

    def suited(self, schedule, *, rescue=False):
        return self


EXPLICIT_GRIDS = [Even(0.06, 0.06, longest) for longest in (0.9, 0.7, 0.5, 0.35, 0.25)]
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
    text += f"STATES = {JOINT.states!r}\nINPUTS = {JOINT.inputs!r}\n"
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


def exact(crowd, given, rtol):
    """Pain by LSODA, (visits, groups, 1)."""
    drawn, enrolled = crowd
    rows = [
        reference.solve(
            {name: float(v[g, 0]) for name, v in enrolled.states.items()},
            {name: float(v[g, 0]) for name, v in enrolled.constants.items()},
            {name: float(v[g]) for name, v in drawn.items()},
            given,
            DAYS,
            rtol,
            rtol / 100,
        ).pain
        for g in range(len(drawn["f_ret"]))
    ]
    return np.array(rows).T[:, :, None]


def nanoseconds(work):
    """Processor time a patient takes on average over the arms, the best of three runs of each.

    ``work`` runs an arm and returns the number of patients.
    """
    spent = []
    for given in ARMS.values():
        runs = []
        for _ in range(3):
            start = time.thread_time()
            patients = work(given)
            runs.append((time.thread_time() - start) / patients * 1e9)
        spent.append(min(runs))
    return float(np.mean(spent))


def steps(grid, given):
    """Steps for 24 months."""
    switches = [d for d in given.switches() if d < DAYS[-1]]
    nodes = sorted({0.0, *DAYS, *switches})
    last = {b: max((d for d in switches if d <= a), default=0.0) for a, b in pairwise(nodes)}
    return sum(len(grid.suited(given).steps(a, b, last[b])) for a, b in pairwise(nodes))


def measure(patients):
    """Rows of the table, in the order of the methods."""
    few, many = people(patients, 1), people(32, 256)
    truth = {name: exact(few, given, 1e-10) for name, given in ARMS.items()}

    def row(method, setting, count, errors, ns, *, shipped=False):
        return {
            "method": method, "setting": setting, "steps": count, "ns_per_patient": ns, "errors": errors,
            "error": max(errors.values()), "shipped": shipped,
        }  # fmt: skip

    def error(pain, arm):
        return float(np.abs(pain - truth[arm]).max())

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        kernels = [("rk4", load("rk4", rk4_source(), folder), EXPLICIT_GRIDS, (np.float64,))]
        kernels += [
            (
                m.name,
                load(m.name, codegen.source(JOINT, m, LANES), folder),
                [STANDARD.refined(f) for f in REFINEMENTS],
                (np.float64, np.float32),
            )
            for m in METHODS
        ]
        for name, module, grids, dtypes in kernels:
            for grid in grids:
                try:
                    errors = {a: error(course(module, few, g, grid, dtypes[-1]), a) for a, g in ARMS.items()}
                except NumericalError:
                    continue  # explicit steps too long to be stable
                ns = {
                    d.__name__: nanoseconds(
                        lambda given, m=module, g=grid, d=d: course(m, many, given, g, d)[0].size
                    )
                    for d in dtypes
                }
                setting = grid.longest if name == "rk4" else STANDARD.longest / grid.longest
                count = float(np.mean([steps(grid, given) for given in ARMS.values()]))
                rows.append(
                    row(name, setting, count, errors, ns, shipped=name == DEFAULT.name and setting == 1)
                )
    sample = people(32, 1)
    for rtol in LSODA:
        errors = {arm: error(exact(few, given, rtol), arm) for arm, given in ARMS.items()}
        ns = nanoseconds(lambda given, r=rtol: exact(sample, given, r)[0].size)
        rows.append(row("lsoda", rtol, None, errors, {"float64": ns}))
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


LOOKS = {
    "rk4": ("RK4", "#000000", ":", "x"),
    "ros2": ("ROS2", "#56b4e9", "--", "^"),
    "ros3": ("ROS3 (shipped)", "#0072b2", "-", "o"),
    "rodas3": ("RODAS3", "#009e73", "-.", "s"),
    "ros4": ("ROS4", "#e69f00", "--", "D"),
    "rodas4": ("RODAS4", "#d55e00", "-.", "v"),
    "lsoda": ("LSODA, SciPy", "#cc79a7", ":", "P"),
}
"""Name, Okabe-Ito colour, line and marker of each method."""


def draw(rows, file):
    """Error against time a patient, double precision."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "stemtrial", "svg.fonttype": "none", "font.size": 11})
    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for name, (label, colour, line, marker) in LOOKS.items():
        own = [row for row in rows if row["method"] == name]
        cost = [row["ns_per_patient"]["float64"] / 1000 for row in own]
        axes.loglog(
            cost,
            [row["error"] for row in own],
            label=label,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=5,
        )
    axes.axhline(PROMISED, color="#595959", linewidth=1)
    axes.text(0.5, PROMISED * 1.1, "allowed: 0.05 points", transform=axes.get_yaxis_transform(), ha="center")
    axes.set(xlabel="microseconds a patient, one thread", ylabel="largest error of pain, points")
    axes.set_title("Work and precision: 24 months, mean of four arms", loc="left", fontsize=11)
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.set_yticks([1e-4, 1e-3, 1e-2, 1e-1], ["0.0001", "0.001", "0.01", "0.1"])
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(file, metadata={"Date": None, "Title": "Work and precision of methods of integration"})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--patients", type=int, default=200, help="random patients of the error")
    parser.add_argument("--figure", type=Path, help="write the work-precision figure, SVG")
    arguments = parser.parse_args()
    rows = measure(arguments.patients)
    if arguments.figure:
        draw(rows, arguments.figure)
    best = cheapest(rows)
    if arguments.json:
        print(json.dumps({"limit": LIMIT, "patients": arguments.patients, "rows": rows}))
        return
    print(f"{'method':8} {'setting':>8} {'steps':>6} {'ns f64':>10} {'ns f32':>8} {'largest error':>14}")
    for row in rows:
        ns = row["ns_per_patient"]
        mark = " <- cheapest below 0.03" if best.get(row["method"]) is row else ""
        mark += " <- shipped" if row["shipped"] else ""
        single = f"{ns['float32']:8.0f}" if "float32" in ns else f"{'':8}"
        count = f"{row['steps']:6.0f}" if row["steps"] else f"{'':6}"
        print(
            f"{row['method']:8} {row['setting']:8g} {count} {ns['float64']:10.0f} {single} {row['error']:14.4f}{mark}"
        )
    print("setting: refinement of the standard grid; longest step in days (rk4); relative tolerance (lsoda)")


if __name__ == "__main__":
    main()
