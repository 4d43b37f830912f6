"""The exported SBML is consistent, and libroadrunner running it reproduces the courses to 0.05 points."""

import builtins

import libsbml
import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.mechanism import equations, sbml
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind, schedule
from stemtrial.mechanism.targets import TypicalPatient
from stemtrial.mechanism.treatments import (
    Cells,
    Corticosteroid,
    Exercise,
    HyaluronicAcid,
    Nsaid,
    Opioid,
    Paracetamol,
)

DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 9, 12, 24))
DONOR = {"source": "bone_marrow", "origin": "allogeneic", "product": "culture_expanded"}
ARMS = {
    "donor cells twice, NSAID, exercise": [
        Cells(**DONOR, dose_million=100, at_months=(0, 6)),
        Nsaid(from_month=0, to_month=1),
        Exercise(from_month=0, to_month=3),
    ],
    "corticosteroid, hyaluronic acid, opioid, paracetamol": [
        Corticosteroid(at_months=(0, 3)),
        HyaluronicAcid(at_months=(0, 6)),
        Opioid(from_month=1, to_month=6),
        Paracetamol(from_month=2),
    ],
}


@pytest.fixture(scope="module")
def patient():
    typical = TypicalPatient.at(60, 3)
    rescued = {**typical.constants, "n_steady": 0.1, "n_fading": 0.15}
    return TypicalPatient(typical.states, rescued, typical.shared)


@pytest.fixture(params=ARMS, scope="module")
def given(request):
    return schedule(ARMS[request.param])


@pytest.fixture(scope="module")
def document(given, patient):
    return sbml.export(given, patient.states, patient.constants, patient.shared)


def test_document_is_consistent(document):
    parsed = libsbml.readSBMLFromString(document)
    parsed.checkConsistency()
    messages = [parsed.getError(i) for i in range(parsed.getNumErrors())]
    assert [m.getMessage() for m in messages if m.getSeverity() >= libsbml.LIBSBML_SEV_ERROR] == []
    assert (parsed.getLevel(), parsed.getVersion()) == (3, 1)


def test_document_has_every_state_input_and_dose(document, given):
    model = libsbml.readSBMLFromString(document).getModel()
    rules = {rule.getVariable(): rule for rule in model.getListOfRules()}
    assert {name for name, rule in rules.items() if rule.isRate()} == set(equations.STATES)
    assert {*equations.INPUTS, "pain", "function"} <= {name for name, r in rules.items() if r.isAssignment()}
    assert model.getNumEvents() == sum(e.kind is Kind.CELLS for e in given.events)


def test_libroadrunner_reproduces_the_course(document, given, patient):
    roadrunner = pytest.importorskip("roadrunner")
    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_ERROR)
    runner = roadrunner.RoadRunner(document)
    runner.integrator.relative_tolerance = 1e-8
    runner.integrator.absolute_tolerance = 1e-10
    runner.integrator.maximum_time_step = 0.5
    runner.timeCourseSelections = ["time", "pain", "function", *equations.STATES]
    result = np.array([_just_before(runner, day) for day in DAYS])
    course = patient.course(given, DAYS)
    assert result[:, 1] == pytest.approx(course.pain, abs=0.05)
    assert result[:, 2] == pytest.approx(course.function, abs=0.05)
    assert result[:, 3:] == pytest.approx(course.states, abs=0.005, rel=0.005)


def _just_before(runner, day):
    """Values on a visit; what is given on the same day comes after them."""
    runner.reset()
    return np.array(runner.simulate(0, day - 1e-6, 2))[-1]


def test_without_libsbml_the_message_names_the_extra(monkeypatch, patient):
    def refuse(name, *args, **kwargs):
        if name == "libsbml":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"stemtrial\[sbml\]"):
        sbml.export(schedule([]), patient.states, patient.constants, patient.shared)
