"""What the mechanism refuses, and how it says so."""

import numpy as np
import pytest

from stemtrial.errors import InputError, NumericalError
from stemtrial.mechanism import reference
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.schedule import schedule
from stemtrial.mechanism.targets import TypicalPatient
from stemtrial.mechanism.treatments import Cells, Prp

PRODUCT = {"source": "bone_marrow", "product": "culture_expanded", "dose_million": 50, "at_months": (0,)}


def test_own_and_donor_cells_in_one_arm():
    arm = [Cells(origin="autologous", **PRODUCT), Cells(origin="allogeneic", **PRODUCT)]
    with pytest.raises(InputError, match="both autologous and allogeneic"):
        schedule(arm)


def test_plasma_has_no_input():
    with pytest.raises(InputError, match="no input in the model"):
        schedule([Prp(at_months=(0,))])


def test_non_finite_pain_names_patient_group_and_day():
    patient = TypicalPatient.at(55, 3)
    states = {name: np.full((2, 3), value) for name, value in patient.states.items()}
    states["U"][1, 2] = np.nan
    constants = {name: np.full((2, 3), value) for name, value in patient.constants.items()}
    shared = {name: np.full(2, value) for name, value in patient.shared.items()}
    cohort = Cohort(states, constants, shared, schedule([]), STANDARD)
    cohort.advance(30.0)
    with pytest.raises(NumericalError, match=r"patient 2 in group 1 .* day 30"):
        cohort.pain()


def test_reference_does_not_return_what_it_did_not_reach():
    patient = TypicalPatient.at(55, 3)
    states = {**patient.states, "P": float("nan")}
    with pytest.raises(NumericalError, match="reference integration stopped"):
        reference.solve(states, patient.constants, patient.shared, schedule([]), (30.0,))
