"""A patient is the same to the byte whoever is enrolled beside."""

from dataclasses import fields

import numpy as np
import pytest

from stemtrial.calibration import prior
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.schedule import schedule
from stemtrial.mechanism.treatments import Cells
from stemtrial.population.patients import People, enrol
from stemtrial.trial.protocol import Trial

REPLICATES, PATIENTS = np.array([4, 9, 30, 2, 77]), 40


def _enrolled(spec, replicates, first, patients):
    constants = prior.draw(6, replicates)
    return constants, enrol(People.draw(spec, 6, replicates, first, patients), constants, autologous=False)


def _arrays(patients):
    flat = {f"states.{k}": v for k, v in patients.states.items()}
    flat |= {f"constants.{k}": v for k, v in patients.constants.items()}
    flat |= {f.name: getattr(patients, f.name) for f in fields(patients)}
    flat |= {f.name: getattr(patients.covariates, f.name) for f in fields(patients.covariates)}
    return {k: v for k, v in flat.items() if isinstance(v, np.ndarray) and v.ndim == 2}


PARTS = [([2], 0, 40), ([4, 0], 7, 20), ([0, 1, 2, 3, 4], 39, 1), ([3, 2, 1], 0, 13)]


@pytest.fixture(scope="module")
def spec(example):
    return Trial.read(example).population


@pytest.mark.parametrize(("rows", "first", "patients"), PARTS)
def test_any_part_of_a_population_is_the_same_alone(spec, rows, first, patients):
    whole = _arrays(_enrolled(spec, REPLICATES, 0, PATIENTS)[1])
    part = _arrays(_enrolled(spec, REPLICATES[rows], first, patients)[1])
    assert len(part) > 25
    for name, values in part.items():
        expected = np.ascontiguousarray(whole[name][rows][:, first : first + patients])
        assert values.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("rows", "first", "patients"), PARTS)
def test_any_part_of_a_cohort_has_the_same_course(spec, rows, first, patients, dtype):
    given = schedule(
        [
            Cells(
                source="adipose",
                origin="allogeneic",
                product="culture_expanded",
                dose_million=80,
                at_months=(0, 3),
            )
        ]
    )

    def course(replicates, first, patients):
        constants, enrolled = _enrolled(spec, replicates, first, patients)
        cohort = Cohort(enrolled.states, enrolled.constants, constants, given, STANDARD, dtype)
        cohort.advance(200.0)
        return cohort.x

    whole, part = course(REPLICATES, 0, PATIENTS), course(REPLICATES[rows], first, patients)
    assert part.tobytes() == np.ascontiguousarray(whole[:, rows, first : first + patients]).tobytes()


def test_stopping_more_often_changes_only_the_numerical_error(spec):
    constants, enrolled = _enrolled(spec, REPLICATES, 0, PATIENTS)
    given = schedule([])
    once = Cohort(enrolled.states, enrolled.constants, constants, given, STANDARD)
    often = Cohort(enrolled.states, enrolled.constants, constants, given, STANDARD)
    once.advance(365.25)
    for day in (10.0, 91.0, 91.0, 300.0, 365.25):
        often.advance(day)
    assert often.pain() == pytest.approx(once.pain(), abs=0.01)
