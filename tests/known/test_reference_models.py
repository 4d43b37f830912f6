"""Published models run by the project's own solver give their published numbers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import fsolve

from models import published
from stemtrial.mechanism import parameters
from stemtrial.mechanism.schedule import Event, Kind, Schedule
from stemtrial.mechanism.targets import TypicalPatient


@pytest.mark.parametrize("row", published.WEN_TABLE_2, ids=str)
def test_wen_2022_table_2(row):
    computed = [published.wen_change(*row, week) for week in published.WEN_WEEKS]
    assert computed == pytest.approx(published.WEN_TABLE_2[row], abs=0.0051)


@pytest.mark.parametrize("baseline", [15, 25, 35])
def test_contextual_response_of_the_model_is_wen_2022(baseline):
    """Placebo by mouth on 0-100 is twice Table 2; what is left is the untreated course, below 0.3 points."""
    patient = TypicalPatient.at(2 * baseline, 3)
    placebo = Schedule((Event(Kind.CONTEXT_ORAL, 0.0, math.inf),))
    days = tuple(7.0 * week for week in published.WEN_WEEKS)
    untreated = patient.course(Schedule(()), days).pain
    change = patient.course(placebo, days).pain - untreated
    assert change / 2 == pytest.approx(published.WEN_TABLE_2["pain", baseline], abs=0.012)
    assert np.abs(untreated - 2 * baseline).max() < 0.3


def test_registry_holds_the_constants_of_wen_2022():
    emax, k, theta, _ = published.WEN["pain"]
    registry = parameters.registry()
    assert registry["ctx_Emax"].value == pytest.approx(2 * emax)
    assert registry["ctx_slope"].value == pytest.approx(theta / 2)
    assert registry["k_B"].value == pytest.approx(k / 7, abs=5e-5)
    assert registry["f_B"].value == pytest.approx((13.2 / 170) / (emax / 50), abs=0.002)


BOUCHER = {  # our run, change from baseline at weeks 1, 2, 4, 6, 8, 12
    (False, False): (-0.686, -0.862, -0.989, -1.040, -1.068, -1.097),
    (True, False): (-1.606, -1.761, -1.851, -1.883, -1.899, -1.916),
    (False, True): (-1.171, -1.472, -1.688, -1.776, -1.823, -1.872),
    (True, True): (-2.281, -2.502, -2.629, -2.674, -2.698, -2.721),
}


@pytest.mark.parametrize(("naproxen", "flare"), BOUCHER)
def test_boucher_2018_courses(naproxen, flare):
    weeks = (1, 2, 4, 6, 8, 12)
    computed = [published.boucher_change(w, naproxen=naproxen, flare=flare) for w in weeks]
    assert computed == pytest.approx(BOUCHER[naproxen, flare], abs=0.00051)


def test_boucher_2018_onset_is_the_peripheral_rate():
    """Published half-effect times 0.69 and 0.21 weeks; k_U is the rate whose half-life is the second."""
    assert math.exp(-0.37) == pytest.approx(0.69, abs=0.005)
    assert math.exp(-0.37 - 1.17) == pytest.approx(0.21, abs=0.005)
    assert math.log(2) / parameters.registry()["k_U"].value / 7 == pytest.approx(0.214, abs=0.001)


def test_plan_2012_scores():
    """Our run; half of the effect is there at the half-time of 27.7 days."""
    computed = [published.plan_score(day) for day in (0, 56, 84, 126)]
    assert computed == pytest.approx([6.207, 5.319, 5.172, 5.079], abs=0.00051)
    assert published.plan_score(27.7045) == pytest.approx(6.20667 * (1 - 0.18986 / 2), abs=1e-12)


@pytest.fixture(scope="module")
def baker(tmp_path_factory):
    return published.compiled(published.BAKER_2017, tmp_path_factory.mktemp("baker"))


def _baker_rhs(values):
    x = SimpleNamespace(**dict(zip(published.BAKER_2017.states, values, strict=True)))
    return np.array(published.BAKER_2017.rates(x, None, None))


def _eigenvalues(point):
    step = 1e-6
    columns = [(_baker_rhs(point + step * e) - _baker_rhs(point - step * e)) / (2 * step) for e in np.eye(4)]
    return np.linalg.eigvals(np.array(columns).T)


@pytest.mark.parametrize(
    ("point", "leading"),
    [
        ((0.01308, 0.00308, 0.01171, 0.01171), -0.497),
        ((0.05376, 0.04386, 0.03882, 0.03882), 0.453),
        ((0.26036, 3.57166, 0.64482, 0.64482), 0.015 + 0.781j),
    ],
    ids=["healthy", "saddle", "inflamed"],
)
def test_baker_2017_steady_states(point, leading):
    """Our run: three steady states with the real part that decides stability."""
    root = fsolve(_baker_rhs, point, xtol=1e-13)
    assert root == pytest.approx(point, abs=6e-6)
    assert np.abs(_eigenvalues(root) - leading).min() < 6e-4
    assert _eigenvalues(root).real.max() == pytest.approx(np.real(leading), abs=6e-4)


START = ((0.18,), (5.0,), (0.55,), (0.75,))


def test_baker_2017_course_and_removal_of_one_mediator(baker):
    """Our run of the file of Figure 14, with its event p -> 0.1 p on day 20."""
    at_20 = published.integrate(baker, START, 20, 0.01)
    assert at_20[:, 0] == pytest.approx([0.29540, 2.08051, 0.51120, 0.40987], abs=2e-5)
    at_20[0] *= 0.1
    later = [published.integrate(baker, at_20, days, 0.01)[0, 0] for days in (1, 5, 19)]
    assert later == pytest.approx([0.2474, 0.2196, 0.4348], abs=1e-4)


def test_baker_2017_limit_cycle(baker):
    state, path = published.integrate(baker, START, 2000, 0.05), []
    for _ in range(2000):
        state = published.integrate(baker, state, 0.01, 0.01)
        path.append(state[:, 0])
    path = np.array(path)
    assert path.min(0) == pytest.approx([0.1645, 2.026, 0.3225, 0.3730], rel=3e-4)
    assert path.max(0) == pytest.approx([0.4244, 5.817, 1.2706, 1.1106], rel=3e-4)
    p = path[:, 0] - 0.26
    up = np.flatnonzero((p[:-1] < 0) & (p[1:] >= 0))
    crossing = 0.01 * (up - p[up] / (p[up + 1] - p[up]))
    assert np.diff(crossing) == pytest.approx(8.281, abs=2e-3)


def test_baker_2017_only_removal_of_several_mediators_resolves(baker):
    """Our run, and the claim of the paper: 90 % off p, f or m alone never resolves, off p, m and f always does."""
    state, phases = published.integrate(baker, START, 2000, 0.05), []
    for _ in range(24):
        state = published.integrate(baker, state, 8.281 / 24, 0.01)
        phases.append(state[:, 0])
    phases = np.array(phases).T
    resolved = {}
    for removed in ("p", "f", "m", "pf", "pmf"):
        treated = phases.copy()
        for name in removed:
            treated[published.BAKER_2017.states.index(name)] *= 0.1
        resolved[removed] = np.mean(published.integrate(baker, treated, 200, 0.02)[0] < 0.02)
    assert resolved == {"p": 0, "f": 0, "m": 0, "pf": 0, "pmf": 1}


def test_reynolds_2006_outcomes(tmp_path):
    """Our run of the three files: healthy, aseptic death, septic death; at 100 h and in the end."""
    module = published.compiled(published.REYNOLDS_2006, tmp_path)
    start = ((1, 1.5, 1), (0, 0, 0), (0, 0, 0), (0.125, 0.125, 0.125))
    rates = [(0.3, 0.3, 0.6)]
    at_100 = published.integrate(module, start, 100, 0.02, rates)
    healthy, aseptic, septic = at_100.T
    assert healthy == pytest.approx([0, 0.14407, 1.97590, 0.50949], abs=2e-5)
    assert aseptic == pytest.approx([0, 0.49825, 13.69427, 0.52210], abs=2e-5)
    assert septic == pytest.approx([5.24947, 0.96754, 15.01705, 0.52240], abs=2e-5)
    healthy, aseptic, septic = published.integrate(module, at_100, 3000, 0.2, rates).T
    assert healthy == pytest.approx([0, 0, 0, 0.125], abs=1e-5)
    assert aseptic == pytest.approx([0, 0.63501, 17.39896, 0.52286], abs=1e-5)
    assert septic == pytest.approx([4.93635, 0.98097, 17.49252, 0.52288], abs=1e-5)
    border = ((1.03566, 1.03568), (0, 0), (0, 0), (0.125, 0.125))
    end = published.integrate(module, border, 4000, 0.05, [(0.3, 0.3)])
    assert end[2, 0] < 1e-3
    assert end[2, 1] > 17


def test_baker_2013_start_is_a_fixed_point(tmp_path):
    module = published.compiled(published.BAKER_2013, tmp_path)
    start = np.array([[0.0057767], [0.0203298]])
    assert published.integrate(module, start, 100, 0.1) == pytest.approx(start, abs=2e-7)


def test_glucosamine_model_reproduces_only_part_of_its_own_claims():
    """A negative example: placebo -0.21 mm holds; 0.24 mm of treatment effect and pain 29.7 do not."""
    placebo, treated = (published.glucosamine(c, 156)[0] for c in (0.0, 0.30))
    assert placebo - 4.2 == pytest.approx(-0.2141, abs=5e-5)
    assert treated - placebo == pytest.approx(0.2109, abs=5e-5)
    assert published.glucosamine(0.0, 24)[1] == pytest.approx(31.07, abs=0.005)
