"""Enrolled patients are as declared. Seeds are fixed; a fresh one would fail an assertion with probability 1e-6."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stemtrial.calibration import prior
from stemtrial.population.covariates import COVARIATES, correlations
from stemtrial.population.patients import People, enrol
from stemtrial.population.spec import PopulationSpec, largest_sd
from stemtrial.population.truncated import TruncatedNormal

LIMIT = stats.norm.isf(0.5e-6)
REPLICATES, PATIENTS = np.arange(200), 150
N = len(REPLICATES) * PATIENTS
DECLARED = {
    "age": {"mean": 58, "sd": 9, "min": 40, "max": 75},
    "bmi": {"mean": 28.5, "sd": 4, "max": 35},
    "female": 0.55,
    "kl_grade": {2: 0.45, 3: 0.55},
    "baseline_pain": {"mean": 58, "sd": 14, "min": 40},
}
SPEC = PopulationSpec(**DECLARED)


@pytest.fixture(scope="module")
def people():
    return People.draw(SPEC, 3, REPLICATES, 0, PATIENTS)


@pytest.fixture(scope="module")
def constants():
    return prior.typical(REPLICATES)


@pytest.fixture(scope="module")
def patients(people, constants):
    return enrol(people, constants, autologous=True)


@pytest.mark.parametrize(("name", "declared"), [("age", "age"), ("bmi", "bmi"), ("pain", "baseline_pain")])
def test_moments_after_truncation_are_the_declared_ones(people, name, declared):
    x, c = getattr(people.covariates, name).ravel(), DECLARED[declared]
    assert abs(x.mean() - c["mean"]) < LIMIT * c["sd"] / np.sqrt(N)
    fourth = ((x - x.mean()) ** 4).mean() / x.var() ** 2
    assert abs(x.std() - c["sd"]) < LIMIT * c["sd"] * np.sqrt((fourth - 1) / 4 / N)
    assert x.min() >= c.get("min", -np.inf)
    assert x.max() <= c.get("max", np.inf)


def test_shares_of_sex_and_grade_are_the_declared_ones(people):
    assert abs(people.covariates.female.mean() - 0.55) < LIMIT * np.sqrt(0.55 * 0.45 / N)
    assert set(np.unique(people.covariates.grade)) == {2, 3}
    assert abs((people.covariates.grade == 3).mean() - 0.55) < LIMIT * np.sqrt(0.55 * 0.45 / N)


def _score(x, declared):
    """Back to a standard normal number by SciPy's truncated normal distribution with the matched parent."""
    c = getattr(SPEC, declared)
    d = TruncatedNormal.matching(c.mean, c.sd, *c.support)
    a, b = (d.low - d.mu) / d.sigma, (d.high - d.mu) / d.sigma
    return stats.norm.ppf(stats.truncnorm(a, b, loc=d.mu, scale=d.sigma).cdf(x.ravel()))


def test_correlations_are_the_declared_ones(people):
    c = people.covariates
    z = {"age": _score(c.age, "age"), "bmi": _score(c.bmi, "bmi"), "pain": _score(c.pain, "baseline_pain")}
    for first, second in (("age", "bmi"), ("age", "pain"), ("bmi", "pain")):
        declared = correlations()[COVARIATES.index(first), COVARIATES.index(second)]
        found = np.corrcoef(z[first], z[second])[0, 1]
        assert abs(found - declared) < LIMIT * (1 - declared**2) / np.sqrt(N)
    cut = stats.norm.ppf(0.45)
    for name in z:  # mean score among those above the cut of the grade's own score
        rho = correlations()[COVARIATES.index(name), COVARIATES.index("grade")]
        above = z[name][c.grade.ravel() == 3]
        assert abs(above.mean() - rho * stats.norm.pdf(cut) / 0.55) < LIMIT / np.sqrt(len(above))


def test_correlation_matrix_is_one():
    assert np.linalg.eigvalsh(correlations()).min() > 0
    assert (np.diag(correlations()) == 1).all()


@pytest.mark.parametrize(
    ("mean", "sd", "low", "high"),
    [
        (58, 14, 40, 100), (28.5, 4, -np.inf, 35), (50, 20, 0, 100), (70, 9, 60, np.inf), (58, 14.58, 40, 100),
        (58, 14.58, 40, np.inf), (42, 14.58, -np.inf, 60), (42, 14.58, 0, 60),
    ],
)  # fmt: skip
def test_truncated_normal_has_the_moments_of_scipy(mean, sd, low, high):
    d = TruncatedNormal.matching(mean, sd, low, high)
    other = stats.truncnorm((low - d.mu) / d.sigma, (high - d.mu) / d.sigma, loc=d.mu, scale=d.sigma)
    assert other.mean() == pytest.approx(mean, abs=1e-6)
    assert other.std() == pytest.approx(sd, abs=1e-6)
    u = np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    assert d.from_normal(stats.norm.ppf(u)) == pytest.approx(other.ppf(u), rel=1e-7)


@given(st.data())
def test_every_population_that_is_accepted_can_be_drawn(data):
    low = data.draw(st.sampled_from([-np.inf, 0.0, 20.0, 40.0]))
    high = data.draw(st.sampled_from([60.0, 100.0, np.inf]))
    inside = st.floats(max(low, 0.0) + 0.5, min(high, 100.0) - 0.5)
    mean = data.draw(inside)
    limit = min(largest_sd(mean, low, high), 50.0)
    sd = limit * data.draw(st.floats(0.02, 0.99))
    d = TruncatedNormal.matching(mean, sd, low, high)
    assert d.mean == pytest.approx(mean, abs=1e-6)
    assert d.sd == pytest.approx(sd, abs=1e-6)
    drawn = d.from_normal(np.array([-4.0, -1.0, 0.0, 1.0, 4.0]))
    assert np.isfinite(drawn).all()
    assert (np.diff(drawn) > 0).all()
    assert low <= drawn[0]
    assert drawn[-1] <= high


def _of_parent(threshold):
    """Population enrolled above a threshold on readings N(50, 15^2 + 8^2), with no reading error."""
    sigma = np.hypot(15, 8)
    cut = stats.truncnorm((threshold - 50) / sigma, (100 - 50) / sigma, loc=50, scale=sigma)
    spec = PopulationSpec(
        **{**DECLARED, "baseline_pain": {"mean": cut.mean(), "sd": cut.std(), "min": threshold}}
    )
    constants = {**prior.typical(REPLICATES), "sd_read": np.zeros(len(REPLICATES))}
    constants["sd_fluct"] = np.full(len(REPLICATES), 8.0)
    return enrol(People.draw(spec, 4, REPLICATES, 0, PATIENTS), constants, autologous=True)


@pytest.mark.parametrize(("threshold", "fall"), [(40, 1.7), (50, 3.0)])
def test_regression_to_the_mean_arises_by_itself(threshold, fall):
    """Between-patient SD 15 and fluctuation SD 8 give -1.7 (threshold 40) and -3.0 (threshold 50) points."""
    enrolled = _of_parent(threshold)
    assert enrolled.regression_to_mean == pytest.approx(fall, abs=0.1)
    drop = enrolled.covariates.pain - enrolled.pain
    assert abs(drop.mean() - enrolled.regression_to_mean.mean()) < LIMIT * drop.std() / np.sqrt(N)
    assert abs(enrolled.fluctuation.mean() - drop.mean()) < 1e-9


def test_regression_to_the_mean_is_not_counted_twice():
    """Fall of the readings and contextual response are together the published response at the reported pain."""
    enrolled = _of_parent(50)
    published = 9.46 * (1 + 0.0323 * (enrolled.covariates.pain - 50))
    whole = (enrolled.covariates.pain - enrolled.pain) + enrolled.constants["ctx"]
    difference = whole - published
    # Less than a quarter of a point is lost to patients whose response is limited by the pain they have.
    limited = (
        enrolled.constants["ctx"] >= enrolled.pain / prior.typical(REPLICATES)["route_injection"][0] - 1e-9
    )
    assert limited.mean() < 0.02
    assert abs(difference.mean()) < LIMIT * difference.std() / np.sqrt(N) + 0.25


def test_nobody_loses_more_pain_to_context_than_there_is():
    replicates = np.arange(400)
    constants = prior.draw(8, replicates)
    patients = enrol(People.draw(SPEC, 8, replicates, 0, 50), constants, autologous=True)
    assert (patients.constants["ctx"] * constants["route_injection"][:, None] <= patients.pain + 1e-9).all()
    assert (patients.constants["ctx"] >= 0).all()


def test_reading_at_screening_is_pain_fluctuation_and_error(patients, constants):
    """Given the pain behind it, what is left after the fluctuation is the reading error of SD 3."""
    c = patients.covariates
    error = c.pain - patients.pain - patients.fluctuation
    centred = error - error.mean()
    inside = (patients.pain > 20) & (patients.pain < 90)
    expected = constants["sd_read"][0]
    assert centred[inside].std() == pytest.approx(expected, rel=0.25)
    assert np.corrcoef(patients.pain.ravel(), c.pain.ravel())[0, 1] > 0.8


def test_biology_varies_between_patients_as_declared(patients, constants, people):
    c, k = people.covariates, {name: value[0] for name, value in constants.items()}
    ln = {
        "potency": (np.log(patients.constants["potency"]) + k["potency_age"] * (c.age - 58))
        / k["sd_ln_potency"],
        "k_M": np.log(patients.constants["k_M"] / k["k_M"]) / k["sd_ln_k_M"],
        "P0": (np.log(patients.constants["P0"]) - k["P0_bmi"] * (c.bmi - 28.5)) / k["sd_ln_P0"],
    }
    for z in ln.values():
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-6
    sensitised = (patients.states["A"] > 0).mean()
    assert abs(sensitised - k["presensitised"]) < LIMIT * np.sqrt(k["presensitised"] / N)
    weights = np.array([k[s] for s in ("s_P", "s_X")])
    total = k["s_P"] + k["s_X"] + k["s_c"] + k["s_V"]
    z0 = patients.pain / (100 - patients.pain)
    shares = [patients.constants["w_P"] * patients.constants["P0"] / z0, patients.constants["w_X"] / z0]
    for share, weight in zip(shares, weights / total, strict=True):
        assert abs(share.mean() - weight) < LIMIT * share.std() / np.sqrt(N)


def test_age_lowers_the_potency_of_own_cells_only(people, constants):
    own, donor = (enrol(people, constants, autologous=a) for a in (True, False))
    ratio = np.log(own.constants["potency"] / donor.constants["potency"])
    assert ratio == pytest.approx(-constants["potency_age"][0] * (people.covariates.age - 58), abs=1e-12)
    for name in set(own.constants) - {"potency"}:
        assert own.constants[name].tobytes() == donor.constants[name].tobytes()
