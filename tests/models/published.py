"""Published models, written independently of the package, and how to run the ones that are differential equations.

Sources and reference numbers: Wen 2022 (JAMA Netw Open 5(10):e2235060), Boucher and Bennetts 2018 (CPT:PSP 7:288),
Baker, Brook and Owen 2017 (BIOMD0000000927), Reynolds et al. 2006 (BIOMD0000000714), Plan et al. 2012, Baker et al.
2013 (BIOMD0000000550), Soheili and Gilzad Kohan 2026. "Our run" in a test marks numbers that the papers do not print.
"""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np

import stemtrial.compiled
from stemtrial.mechanism.codegen import source
from stemtrial.mechanism.equations import Model
from stemtrial.mechanism.rosenbrock import RODAS4, Method

WEN = {
    # subscale: Emax, k per week, theta per point, median baseline
    "pain": (4.73, 0.427, 0.0646, 25.0),
    "stiffness": (1.76, 0.327, 0.0836, 10.23),
    "function": (13.2, 0.325, 0.0140, 83.75),
}
WEN_WEEKS = (6, 8, 12, 24, 36)
WEN_TABLE_2 = {
    ("pain", 15): (-1.55, -1.62, -1.66, -1.67, -1.67),
    ("pain", 25): (-4.37, -4.57, -4.70, -4.73, -4.73),
    ("pain", 35): (-7.18, -7.53, -7.74, -7.79, -7.79),
    ("stiffness", 5): (-0.85, -0.92, -0.97, -0.99, -0.99),
    ("stiffness", 10): (-1.48, -1.60, -1.69, -1.73, -1.73),
    ("stiffness", 15): (-2.12, -2.28, -2.41, -2.46, -2.46),
    ("function", 37.5): (-3.99, -4.31, -4.56, -4.65, -4.65),
    ("function", 75): (-9.94, -10.72, -11.35, -11.58, -11.58),
    ("function", 112.5): (-15.88, -17.14, -18.14, -18.51, -18.51),
}


def wen_change(subscale: str, baseline: float, weeks: float) -> float:
    """Change of an oral-placebo arm from baseline, on the scale of the subscale."""
    emax, k, theta, median = WEN[subscale]
    return -emax * (1 + theta * (baseline - median)) * (1 - math.exp(-k * weeks))


def boucher_change(weeks: float, *, naproxen: bool, flare: bool) -> float:
    """Change of WOMAC pain (0-10) from baseline."""
    emax = -1.16 - 0.82 * flare - 0.79 * naproxen
    return emax * weeks / (math.exp(-0.37 - 1.17 * naproxen) + weeks)


def plan_score(day: float) -> float:
    """Daily Likert score (0-10) of neuropathic pain under placebo."""
    return 10 * 0.620667 * (1 - 0.18986 * (1 - 2 ** (-day / 27.7045)))


def glucosamine(concentration: float, weeks: int) -> tuple[float, float]:
    """Joint-space width (mm) and pain after weekly Euler steps of the glucosamine model, a negative example."""
    gag = 0.95
    for _ in range(weeks):
        made = 0.175258 / 52 * (1 + 0.15 * concentration / (2 + concentration))
        lost = 0.207263 / 52 * (1 - concentration / (3 + concentration)) * gag
        gag += made - lost
    placebo = 17.624509 * (1 - math.exp(-0.02 * 7 * weeks))
    pain = 46.651892 + 150 * max(0.0, 0.95 - gag) - placebo - 5 * concentration / (3 + concentration)
    return 4.2 * gag / 0.95, pain


def _hill(x, half=1.0):
    return x * x / (half * half + x * x)


def _baker_rates(x, p, u):
    inflammation = (0.01 + 10 * _hill(x.p) + 10 * _hill(x.f)) / (1 + x.a * x.a)
    return (
        inflammation - x.p,
        10 * _hill(x.p) + 10 * _hill(x.f) - x.a,
        0.01 + 10 * _hill(x.p) - x.m,
        x.m - x.f,
    )


BAKER_2017 = Model("baker2017", ("p", "a", "m", "f"), (), (), (), _baker_rates)
"""Cytokines, their brake, enzymes and matrix fragments, with the parameters of Figure 14."""


def _reynolds_rates(x, p, u):
    def f(v):
        return v / (1 + (x.C / 0.28) * (x.C / 0.28))

    def cube_squared(v):
        return v * v * v * v * v * v

    respond = f(0.01 * x.N + 0.1 * x.P + 0.02 * x.D)
    damage = cube_squared(f(x.N))
    brake = f(x.N + 48 * x.D)
    return (
        p.k_pg * x.P * (1 - x.P / 20) - 0.6 * 0.005 * x.P / (0.002 + 0.01 * x.P) - 1.8 * f(x.N) * x.P,
        0.08 * respond / (0.12 + respond) - 0.05 * x.N,
        0.35 * damage / (0.06**6 + damage) - 0.02 * x.D,
        0.0125 + 0.04 * brake / (1 + brake) - 0.1 * x.C,
    )


REYNOLDS_2006 = Model("reynolds2006", ("P", "N", "D", "C"), ("k_pg",), (), (), _reynolds_rates)
"""Pathogen, activated phagocytes, tissue damage, anti-inflammatory mediator; time in hours."""


def _baker_2013_rates(x, p, u):
    p2 = x.p * x.p
    return (
        -x.a + 3.5 * p2 / (0.25 + p2),
        -1.25 * x.p + (0.025 + p2 / (1 + p2)) / (1 + x.a * x.a),
    )


BAKER_2013 = Model("baker2013", ("a", "p"), (), (), (), _baker_2013_rates)
"""Anti- and pro-inflammatory cytokines in rheumatoid arthritis."""


def compiled(model: Model, folder: Path, method: Method = RODAS4) -> ModuleType:
    """Write the project's solver for a model into a folder and import it, compiled but not cached."""
    name = f"{model.name}_{method.name}"
    path = folder / f"{name}.py"
    path.write_text(source(model, method, lanes=8), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    kept = stemtrial.compiled.jit, stemtrial.compiled.inline
    stemtrial.compiled.jit = stemtrial.compiled.inline = numba.njit
    try:
        sys.modules[name] = module
        spec.loader.exec_module(module)
    finally:
        stemtrial.compiled.jit, stemtrial.compiled.inline = kept
        del sys.modules[name]
    return module


def integrate(module: ModuleType, start, days: float, step: float, patient=()) -> np.ndarray:
    """Advance patients, (states, patients), by equal steps; returns the new states."""
    start = np.array(start, float)
    states = start.reshape(len(start), 1, -1).copy()
    constants = np.empty((len(patient), 1, states.shape[2]))
    for row, values in zip(constants, patient, strict=True):
        row[0] = values
    count = max(1, round(days / step))
    h = np.full(count, days / count)
    inputs = np.zeros((1, count, len(module.STAGE_TIMES) + 1, 0))
    module.advance(states, constants, np.zeros((1, 0)), h, inputs, np.array(module.CONSTANTS))
    return states[:, 0]
