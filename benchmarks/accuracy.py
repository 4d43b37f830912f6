"""How often the time grid is not accurate enough, as shipped and as a run refines it.

    python benchmarks/accuracy.py [--patients 5000]

Constants of the model are drawn from the prior, evenly over every range, or at one of the two ends of every range. A
grid is chosen on a sample of 4,096 patients as a run does it, and tried on others, whose true course is that of steps
an eighth as long (of a sixteenth where the chosen ones are that short).
"""

import argparse

import numpy as np

from stemtrial.calibration import prior
from stemtrial.mechanism.accuracy import Sample, suited_grid
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, HyaluronicAcid, Nsaid, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

LIMIT = 0.05
DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 12, 24))
SPEC = PopulationSpec.model_validate(
    {
        "age": {"mean": 58, "sd": 9, "min": 40, "max": 75},
        "bmi": {"mean": 28.5, "sd": 4, "max": 35},
        "female": 0.55,
        "kl_grade": {1: 0.1, 2: 0.35, 3: 0.35, 4: 0.2},
        "baseline_pain": {"mean": 58, "sd": 14, "min": 30},
    }
)


def _cells(origin, dose, months):
    return [
        Cells(
            source="bone_marrow",
            origin=origin,
            product="culture_expanded",
            dose_million=dose,
            at_months=months,
        )
    ]


ARMS = {
    "saline": [Saline(at_months=(0,))],
    "own cells": _cells("autologous", 50, (0, 6)),
    "donor cells": _cells("allogeneic", 50, (0, 6)),
    "donor cells, 150 million three times": _cells("allogeneic", 150, (0, 1, 6)),
    "corticosteroid": [Corticosteroid(at_months=(0, 3))],
    "hyaluronic acid": [HyaluronicAcid(at_months=(0, 6))],
    "NSAID": [Nsaid(from_month=0)],
}


def constants(how, seed, replicates):
    """Constants of every replicate."""
    found = dict(prior.draw(seed, np.arange(replicates)))
    rng = np.random.default_rng(seed)
    for p in registry().values():
        if p.level == "uncertain" and how != "prior":
            share = rng.random(replicates) if how == "ranges" else rng.integers(0, 2, replicates)
            low, high = np.log(p.range) if p.scale == "log" else p.range
            value = low + (high - low) * share
            found[p.symbol] = np.exp(value) if p.scale == "log" else value
    return found


def sample(how, given, seed, replicates, patients):
    drawn = constants(how, seed, replicates)
    people = People.draw(SPEC, seed, np.arange(replicates), 0, patients)
    enrolled = enrol(people, drawn, autologous=given.allogeneic is False)
    return Sample(enrolled.states, enrolled.constants, drawn, given)


def pain(of, grid):
    cohort = Cohort(of.states, of.patient, of.shared, of.schedule, grid, np.float64)
    found = []
    for day in DAYS:
        cohort.advance(day)
        found.append(cohort.pain())
    return np.array(found)


def off(of, grid, truth):
    """Courses off by more than the limit, and the largest error."""
    error = np.abs(pain(of, grid) - truth).max(axis=0)
    return f"{(error > LIMIT).sum()}, {error.max():.3f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=5000)
    count = parser.parse_args().patients
    print(f"courses of {count} off by more than {LIMIT} points, and the largest error")
    print(f"{'constants':8} {'arm':38} {'standard grid':>14} {'shorter by':>10} {'chosen grid':>12}")
    for how in ("prior", "ranges", "ends"):
        for arm, treatments in ARMS.items():
            given = schedule(treatments)
            chosen = suited_grid({arm: sample(how, given, 7, 1024, 4)}, STANDARD, np.float64, DAYS, LIMIT)
            others = sample(how, given, 100, count, 1)
            truth = pain(others, STANDARD.refined(max(8, 2 * chosen.refinement)))
            standard, refined = (off(others, grid, truth) for grid in (STANDARD, chosen.grid))
            print(f"{how:8} {arm:38} {standard:>14} {chosen.refinement:10} {refined:>12}", flush=True)


if __name__ == "__main__":
    main()
