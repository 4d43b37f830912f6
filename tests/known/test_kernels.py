"""Solvers for arms that use part of the model: what drops out of the equations, and that nothing else changes."""

import numpy as np
import pytest

from stemtrial.calibration import prior
from stemtrial.mechanism import equations, kernels
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.equations import Model
from stemtrial.mechanism.grid import STANDARD
from stemtrial.mechanism.reduction import reduced
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Nsaid, Opioid, Saline
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec

PRODUCT = {"source": "bone_marrow", "product": "culture_expanded", "dose_million": 50, "at_months": (0, 6)}
ARMS = {
    "context": [Saline(at_months=(0,))],
    "medicine": [Corticosteroid(at_months=(0,)), Nsaid(from_month=1)],
    "own_cells": [Cells(origin="autologous", **PRODUCT)],
    "donor_cells": [Cells(origin="allogeneic", **PRODUCT)],
    "everything": [Cells(origin="allogeneic", **PRODUCT), Opioid(from_month=3)],
}
DAYS = tuple(m * DAYS_PER_MONTH for m in (1, 3, 6, 12, 24))


@pytest.fixture(scope="module")
def patients():
    replicates = np.arange(40)
    drawn = prior.draw(3, replicates)
    spec = PopulationSpec(
        age={"mean": 58, "sd": 9, "min": 40, "max": 75},
        bmi={"mean": 28.5, "sd": 4, "max": 35},
        female=0.55,
        kl_grade={2: 0.5, 3: 0.5},
        baseline_pain={"mean": 58, "sd": 14, "min": 30},
    )
    return drawn, enrol(People.draw(spec, 3, replicates, 0, 5), drawn, autologous=True)


class General(Cohort):
    """A cohort that integrates all states, whatever the arm."""

    def _starts_in_steady_state(self):
        return False


def _follow(kind, patients, arm, rescue=None):
    drawn, enrolled = patients
    cohort = kind(enrolled.states, enrolled.constants, drawn, schedule(ARMS[arm]), STANDARD)
    pain = []
    for day in DAYS:
        cohort.advance(day)
        pain.append(cohort.pain())
        if rescue and day == DAYS[1]:
            cohort.rescue(rescue, np.arange(5) % 2 * np.ones((40, 1)) > 0)
    return np.array(pain), cohort


@pytest.mark.parametrize("rescue", [None, "nsaid", "opioid"])
@pytest.mark.parametrize("arm", ARMS)
def test_smaller_solvers_differ_from_the_whole_by_rounding(arm, rescue, patients):
    small, cohort = _follow(Cohort, patients, arm, rescue)
    whole, general = _follow(General, patients, arm, rescue)
    assert small == pytest.approx(whole, abs=1e-9)
    for state in equations.STATES if arm in {"donor_cells", "everything"} else set(equations.STATES) - {"A"}:
        assert cohort.state(state) == pytest.approx(general.state(state), rel=1e-9, abs=1e-9), state


@pytest.mark.parametrize("arm", ["context", "medicine", "own_cells"])
def test_memory_without_donor_cells_only_decays(arm, patients):
    drawn, enrolled = patients
    _, cohort = _follow(Cohort, patients, arm)
    left = enrolled.states["A"] * np.exp(-drawn["k_A"][:, None] * DAYS[-1])
    assert (enrolled.states["A"] > 0).any()
    assert cohort.state("A") == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize("arm", ARMS)
def test_the_smallest_solver_that_covers_the_arm_is_taken(arm):
    expected = "medicine" if arm == "context" else arm
    assert expected == kernels.suited(schedule(ARMS[arm])).MODEL


@pytest.mark.parametrize(
    ("arm", "drug", "expected"),
    [
        ("context", "nsaid", "medicine"),
        ("context", "opioid", "everything"),
        ("donor_cells", "paracetamol", "donor_cells"),
    ],
)
def test_rescue_medicine_needs_a_solver_that_knows_it(arm, drug, expected):
    assert expected == kernels.suited(schedule(ARMS[arm]), {drug}).MODEL


def test_states_that_nothing_moves_are_not_integrated():
    states = {use.name: set(use.model().states) for use in kernels.USES}
    assert states["medicine"] == set("PNECXUV")
    assert states["own_cells"] == states["medicine"] | set("MRG")
    assert states["donor_cells"] == states["own_cells"] | {"A"}
    assert states["everything"] == set(equations.STATES) - {"B"}


def test_every_kind_of_event_is_covered():
    assert kernels.USES[-1].acting == set(Kind)


def test_patients_away_from_steady_state_get_the_whole_solver(patients):
    drawn, enrolled = patients
    states = {**enrolled.states, "R": enrolled.states["R"] * 1.1}
    given = schedule(ARMS["context"])
    moved = Cohort(states, enrolled.constants, drawn, given, STANDARD)
    moved.advance(30.0)
    assert np.abs(moved.state("R") - states["R"]).min() > 1e-6


def test_a_state_that_only_seems_still_is_kept():
    """Constant at the start is not enough: ``slow`` starts with rate zero but is moved by ``fast``."""

    def rates(x, p, u):
        return p.k * (1 - x.fast), p.r * (x.fast - x.slow), 0 * x.still

    whole = Model("m", ("fast", "slow", "still"), (), ("k", "r"), (), rates)
    left = reduced(whole, "part", {}, {"slow": 0, "still": 3}, read=("slow", "still"))
    assert left.states == ("fast", "slow")
    assert reduced(whole, "none", {"k": 0}, {"fast": 0, "slow": 0, "still": 3}, read=("slow",)).states == ()
