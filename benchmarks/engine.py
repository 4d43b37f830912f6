"""Speed of the virtual-patient engine, beside other tools in the same run and at equal accuracy.

    python benchmarks/engine.py [--json] [--quick]

Every tool integrates patients of the same two arms over 24 months with six visits: saline, and two doses of donor
cells. Its tolerance is the loosest of a decade ladder whose error stays below 0.05 points of pain at every visit on the
patients compared. Tools that are not installed are left out and named.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import peers

from stemtrial.mechanism import kernels
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.grid import STANDARD
from stemtrial.trial import plan as trial_plan
from stemtrial.trial import replicates as trial_replicates
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate

LIMIT = 0.05
LADDER = (1e-2, 1e-3, 1e-4, 1e-5)
EXAMPLE = Path(__file__).parents[1] / "examples" / "knee_oa_cells_vs_saline.yaml"


def threaded(work, dtype, threads, seconds):
    """Patients per second of the whole integration, with inputs and readings of pain; a thread takes whole batches."""
    best, until = np.inf, time.perf_counter() + seconds
    with ThreadPoolExecutor(threads) as pool:
        while time.perf_counter() < until:
            start = time.perf_counter()
            list(pool.map(lambda _: [peers.ours(work, STANDARD, dtype) for _ in range(4)], range(threads)))
            best = min(best, time.perf_counter() - start)
    return 4 * threads * work.size / best


def at_equal_accuracy(peer, work, count, exact):
    """Patients per second at the loosest tolerance that is accurate enough, with tolerance and error."""
    for tolerance in LADDER:
        seconds, pain = peer(work, count, tolerance)
        error = float(np.abs(pain - exact[:count]).max())
        if error <= LIMIT:
            return {"patients_per_second": count / seconds, "tolerance": tolerance, "error": error}
    return {"patients_per_second": None, "error": error}


def gradient(work, count):
    """Seconds of one gradient of a Gaussian likelihood of the arm's mean pain at the visits, and of diffrax's."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    ours, theirs = peers.log_likelihoods(work, count)
    found = {}
    for name, function in (("stemtrial", ours), ("diffrax", theirs)):
        run = jax.jit(jax.value_and_grad(function))
        theta = jnp.zeros(4)
        jax.block_until_ready(run(theta))
        times = []
        for _ in range(10):
            start = time.perf_counter()
            value, slope = jax.block_until_ready(run(theta))
            times.append(time.perf_counter() - start)
        found[name] = {"seconds": min(times), "value": float(value), "gradient": np.asarray(slope).tolist()}
    return found


def shares(replicates):
    """Parts of the processor time of whole replicates: draws, integration, readings, analysis.

    By clocks around a few functions: a profiler would slow what runs in the interpreter and nothing else.
    """
    parts = {
        "integration": [(Cohort, "_integrate")],
        "draws": [(Plan, "casts"), (trial_plan, "enrol")],
        "analysis": [(Plan, "analyse"), (trial_replicates, "reduced")],
        "conduct": [(trial_plan, "conduct_arm")],
    }
    spent = dict.fromkeys(parts, 0.0)

    def clocked(part, function):
        def call(*arguments, **named):
            start = time.process_time()
            found = function(*arguments, **named)
            spent[part] += time.process_time() - start
            return found

        return call

    plan, batch = Plan.of(Trial.read(EXAMPLE)), 68
    simulate(plan, 1, np.arange(batch))
    with ExitStack() as clocks:
        for part, functions in parts.items():
            for owner, name in functions:
                clocks.enter_context(patch.object(owner, name, clocked(part, getattr(owner, name))))
        start = time.process_time()
        for first in range(0, replicates, batch):
            simulate(plan, 1, np.arange(first, first + batch))
        total = time.process_time() - start
    spent["observation, dropout, rescue"] = spent.pop("conduct") - spent["integration"]
    spent["rest"] = total - sum(spent.values())
    return {part: seconds / total for part, seconds in spent.items()}


def startup():
    """Seconds of the first run ever (compiling) and of a later one, two replicates and the whole report included."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STEMTRIAL_CACHE": folder}
        command = [
            Path(sys.executable).with_name("stemtrial"),
            "simulate",
            EXAMPLE,
            "--replicates",
            "2",
            "--seed",
            "1",
        ]
        for name in ("cold", "warm"):
            start = time.perf_counter()
            subprocess.run(
                [*command, "--out", Path(folder) / "run"], env=environment, check=True, capture_output=True
            )
            found[name] = time.perf_counter() - start
    return found


def memory():
    """Peak resident memory of a run of a million patients, report included, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            Path(sys.executable).with_name("stemtrial"),
            "simulate",
            EXAMPLE,
            "--replicates",
            "4200",
            "--seed",
            "1",
        ]
        process = subprocess.Popen([*command, "--out", Path(folder) / "run"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError("the run failed")
    return usage.ru_maxrss / 1024


def measure(quick):
    seconds, groups = (1, 16) if quick else (5, 64)
    table, ratios, rates = [], {}, {}
    for arm in peers.ARMS:
        work = peers.case(arm, groups, 128)
        count = 16 if quick else 64
        _, exact = peers.scipy_lsoda(work, count, 1e-10)
        for dtype in (np.float64, np.float32):
            _, pain = peers.ours(work, STANDARD, dtype)
            error = float(np.abs(pain[:count, 0] - exact).max())
            for threads in (1, 2):
                rate = threaded(work, dtype, threads, seconds)
                rates[arm, dtype.__name__, threads] = rate
                table.append((arm, f"stemtrial, {dtype.__name__}, {threads} thread(s)", rate, error))
            kernel = kernels.suited(work.schedule)
            limit = peers.cpp_advance(kernel, dtype)
            if limit is not None:
                runs = [
                    (
                        peers.bare_loop(work, STANDARD, dtype, kernel),
                        peers.bare_loop(work, STANDARD, dtype, kernel, limit),
                    )
                    for _ in range(5 if quick else 20)
                ]
                assert np.allclose(runs[0][0][1], runs[0][1][1], rtol=1e-4)
                ours, bare = (min((run[side] for run in runs), key=lambda found: found[0]) for side in (0, 1))
                table.append((arm, f"kernel alone, {dtype.__name__}", work.size / ours[0], error))
                table.append(
                    (arm, f"C++ loop of the same step, {dtype.__name__}", work.size / bare[0], error)
                )
                ratios.setdefault("practical_limit", {})[arm, dtype.__name__] = bare[0] / ours[0]
        for name, peer in peers.PEERS.items():
            try:
                found = at_equal_accuracy(peer, work, count, exact)
            except ImportError as missing:
                table.append((arm, f"{name}: not installed ({missing.name})", None, None))
                continue
            rate = found["patients_per_second"]
            table.append((arm, f"{name}, tolerance {found.get('tolerance')}", rate, found["error"]))
            if rate:
                ratios.setdefault(name, {})[arm] = rates[arm, "float32", 1] / rate
    return table, ratios, rates


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer patients; for a look, not for a claim")
    options = parser.parse_args()
    before = {
        "startup_seconds": startup(),
        "memory_peak_mb": memory(),
    }  # a child's peak counts its parent's size
    table, ratios, rates = measure(options.quick)
    result = {
        "table": table,
        "patients_per_second": {" | ".join(map(str, key)): rate for key, rate in rates.items()},
        "ratios": {
            name: {" | ".join(k) if isinstance(k, tuple) else k: v for k, v in by.items()}
            for name, by in ratios.items()
        },
        "gradient": gradient(peers.case("two doses of cells", 64, 1), 64),
        "shares": shares(68 if options.quick else 340),
        **before,
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'arm':20s} {'tool':48s} {'patients/s':>12s} {'max error':>10s}")
    for arm, tool, rate, error in table:
        print(
            f"{arm:20s} {tool:48s} {rate or float('nan'):12,.0f} {error if error is not None else float('nan'):10.4f}"
        )
    for key in ("ratios", "gradient", "shares", "startup_seconds", "memory_peak_mb"):
        print(key, json.dumps(result[key], indent=1))


if __name__ == "__main__":
    main()
