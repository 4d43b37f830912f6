"""Refinement of the grid, with constants of the model drawn evenly over their ranges and at their ends."""

from dataclasses import replace

import numpy as np
import pytest

from stemtrial.calibration import prior
from stemtrial.errors import NumericalError
from stemtrial.mechanism import accuracy, reference
from stemtrial.mechanism.accuracy import Sample, suited_grid
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

TOLERANCE = 0.05
DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 12, 24))
SPEC = PopulationSpec(
    age={"mean": 58, "sd": 9, "min": 40, "max": 75},
    bmi={"mean": 28.5, "sd": 4, "max": 35},
    female=0.55,
    kl_grade={1: 0.1, 2: 0.35, 3: 0.35, 4: 0.2},
    baseline_pain={"mean": 58, "sd": 14, "min": 30},
)


def _cells(origin, dose=50, months=(0, 6)):
    return Cells(
        source="bone_marrow", origin=origin, product="culture_expanded", dose_million=dose, at_months=months
    )


ARMS = {
    "saline": [Saline(at_months=(0,))],
    "own cells": [_cells("autologous")],
    "donor cells": [_cells("allogeneic")],
    "corticosteroid": [Corticosteroid(at_months=(0, 3))],
}


def drawn(how, seed, replicates):
    """Constants by replicate: from the prior, evenly over every range, or at one of the ends of every range."""
    found = dict(prior.draw(seed, np.arange(replicates)))
    rng = np.random.default_rng(seed)
    for p in registry().values():
        if p.level == "uncertain" and how != "prior":
            share = (
                rng.random(replicates) if how == "ranges" else rng.integers(0, 2, replicates).astype(float)
            )
            low, high = np.log(p.range) if p.scale == "log" else p.range
            value = low + (high - low) * share
            found[p.symbol] = np.exp(value) if p.scale == "log" else value
    return found


def sample(how, arm, seed, replicates, patients=1):
    constants = drawn(how, seed, replicates)
    given = schedule(ARMS[arm])
    people = People.draw(SPEC, seed, np.arange(replicates), 0, patients)
    enrolled = enrol(people, constants, autologous=given.allogeneic is False)
    return Sample(enrolled.states, enrolled.constants, constants, given)


def test_the_prior_needs_no_refinement():
    samples = {arm: sample("prior", arm, 1, 500) for arm in ARMS}
    found = suited_grid(samples, STANDARD, np.float64, DAYS, TOLERANCE)
    assert found.refinement == 1
    assert found.grid == STANDARD.refined(1)
    assert (found.screened, found.checked) == (2000, 32)
    assert found.error.points < 0.04


@pytest.mark.parametrize("how", ["ranges", "ends"])
def test_refined_until_the_sample_is_accurate(how):
    """The sample's own error holds afterwards; asked of the reference for patients chosen at random as well."""
    samples = {arm: sample(how, arm, 2, 1500) for arm in ARMS}
    found = suited_grid(samples, STANDARD, np.float64, DAYS, TOLERANCE)
    assert found.refinement > 1
    assert found.error.points <= TOLERANCE
    picks = [(g, 0) for g in range(0, 1500, 60)]
    for s in samples.values():
        other = reference.worst_error(
            s.states, s.patient, s.shared, s.schedule, found.grid, np.float64, DAYS, picks
        )
        assert other.points <= TOLERANCE


def test_the_reference_is_asked_where_the_error_is():
    """The worst of all patients by the reference is among those that halving the steps picks."""
    s = sample("ranges", "donor cells", 3, 150)
    found = suited_grid({"a": s}, STANDARD, np.float64, DAYS, 5.0)
    everybody = reference.worst_error(
        s.states, s.patient, s.shared, s.schedule, STANDARD, np.float64, DAYS, [(g, 0) for g in range(150)]
    )
    assert found.error == everybody


def test_refinement_depends_on_nothing_but_the_sample():
    samples = {arm: sample("ends", arm, 4, 300) for arm in ARMS}
    first = suited_grid(samples, STANDARD, np.float64, DAYS, TOLERANCE)
    again = suited_grid(dict(reversed(samples.items())), STANDARD, np.float64, DAYS, TOLERANCE)
    assert (first.grid, first.error, first.arm) == (again.grid, again.error, again.arm)


def test_a_run_that_cannot_be_made_accurate_is_refused(monkeypatch):
    monkeypatch.setattr(accuracy, "FINEST", 2)
    coarse = replace(STANDARD, first=20.0, growth=2.0, longest=400.0, start=20.0)
    with pytest.raises(NumericalError, match=r"patient 0 of replicate \d+ in arm donor cells on day"):
        suited_grid(
            {"donor cells": sample("prior", "donor cells", 1, 20)}, coarse, np.float64, DAYS, TOLERANCE
        )
