"""The filter of deviations, predictive mixtures and bands against SciPy."""

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal, norm, truncnorm

from stemtrial.candidate.backtest import band
from stemtrial.candidate.deviations import Deviations, Mixture
from stemtrial.mechanism.schedule import DAYS_PER_MONTH

C = {
    "sd_fluct": np.array([8.0]),
    "tau_fluct": np.array([15.0]),
    "sd_read": np.array([3.0]),
    "sd_course": np.array([14.0]),
    "tau_course": np.array([180.0]),
    "sd_function_patient": np.array([8.0]),
    "sd_function": np.array([5.0]),
    "beta_F": np.array([0.8]),
}
REPORTED, PAIN = 66.0, 60.0
MONTHS = (0.5, 1.0, 3.0)


def joint() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the deviations of pain and function at every month, from their definition."""
    v = {name: float(value[0]) for name, value in C.items()}
    t = np.array(MONTHS) * DAYS_PER_MONTH
    apart = np.abs(np.subtract.outer(t, t))
    course = v["sd_course"] ** 2 * (
        np.exp(-apart / v["tau_course"]) - np.exp(-np.add.outer(t, t) / v["tau_course"])
    )
    part = v["sd_fluct"] ** 2 / (v["sd_fluct"] ** 2 + v["sd_read"] ** 2)
    start = v["sd_fluct"] ** 2 * (1 - part)
    left = np.exp(-np.add.outer(t, t) / v["tau_fluct"])
    fluct = v["sd_fluct"] ** 2 * (np.exp(-apart / v["tau_fluct"]) - left) + start * left
    pain = course + fluct + v["sd_read"] ** 2 * np.eye(3)
    function = v["beta_F"] ** 2 * course + v["sd_function_patient"] ** 2 + v["sd_function"] ** 2 * np.eye(3)
    covariance = np.block([[pain, v["beta_F"] * course], [v["beta_F"] * course, function]])
    mean = np.concatenate([part * (REPORTED - PAIN) * np.exp(-t / v["tau_fluct"]), np.zeros(3)])
    return mean, covariance


def test_likelihood_of_a_course_is_that_of_its_joint_normal_distribution() -> None:
    mean, covariance = joint()
    true_pain, true_function = np.array([50.0, 45.0, 44.0]), np.array([52.0, 48.0, 47.0])
    seen = np.array([58.0, 40.0, 61.0, 60.0, 41.0, 66.0])
    state = Deviations.at_start(C, np.array([REPORTED]), np.array([PAIN]))
    total = 0.0
    for k, month in enumerate(MONTHS):
        state = state.moved(C, month)
        for what, true, value in (
            ("pain", true_pain[k], seen[k]),
            ("function", true_function[k], seen[3 + k]),
        ):
            state, log_likelihood = state.given(C, what, np.array([true]), value)
            total += float(log_likelihood[0])
    expected = multivariate_normal.logpdf(seen, np.concatenate([true_pain, true_function]) + mean, covariance)
    assert total == pytest.approx(expected, rel=1e-12)


def test_forecast_is_the_conditional_distribution() -> None:
    mean, covariance = joint()
    given, asked = (
        [0, 3, 1],
        2,
    )  # pain and function at the first month, pain at the second; then pain at the third
    seen = np.array([58.0, 60.0, 40.0])
    true = np.zeros(6) + 50
    gain = covariance[asked, given] @ np.linalg.inv(covariance[np.ix_(given, given)])
    centre = true[asked] + mean[asked] + gain @ (seen - (true + mean)[given])
    variance = covariance[asked, asked] - gain @ covariance[given, asked]
    state, fifty = (
        Deviations.at_start(C, np.array([REPORTED]), np.array([PAIN])).moved(C, MONTHS[0]),
        np.array([50.0]),
    )
    state = state.given(C, "pain", fifty, 58.0)[0].given(C, "function", fifty, 60.0)[0]
    state = state.moved(C, MONTHS[1]).given(C, "pain", fifty, 40.0)[0].moved(C, MONTHS[2])
    found = state.reading(C, "pain", fifty)
    assert (found[0][0], found[1][0]) == pytest.approx((centre, variance), rel=1e-12)


@pytest.mark.parametrize(("value", "true"), [(0.0, 12.0), (100.0, 80.0), (0.0, 70.0)])
def test_a_reading_at_an_end_of_the_scale_is_a_bound(value: float, true: float) -> None:
    state = Deviations.at_start(C, np.array([REPORTED]), np.array([PAIN])).moved(C, 1.0)
    centre, variance, shared = (x.ravel() for x in state.reading(C, "pain", np.array([true])))
    after, log_likelihood = state.given(C, "pain", np.array([true]), value)
    sd = float(np.sqrt(variance[0]))
    z = (value - centre[0]) / sd
    beyond = truncnorm(-np.inf, z, centre[0], sd) if value == 0 else truncnorm(z, np.inf, centre[0], sd)
    assert log_likelihood[0] == pytest.approx((norm.logcdf if value == 0 else norm.logsf)(z))
    gain = shared / variance[0]
    assert after.mean[:, 0] == pytest.approx(state.mean[:, 0] + gain * (beyond.mean() - centre[0]), abs=1e-6)
    expected = state.covariance[:, :, 0] - np.outer(gain, gain) * (variance[0] - beyond.var())
    assert after.covariance[:, :, 0] == pytest.approx(expected, abs=1e-5)


def test_mixture_is_clipped_to_the_scale() -> None:
    mixture = Mixture(np.array([0.3, 0.7]), np.array([10.0, 60.0]), np.array([12.0, 15.0]))
    draws = np.random.default_rng(1).normal(mixture.mean, mixture.sd, (400_000, 2))
    pick = np.random.default_rng(2).random(400_000) < 0.3
    x = np.clip(np.where(pick, draws[:, 0], draws[:, 1]), 0, 100)
    found = mixture.distribution()
    # Standard errors: mean 0.05, SD 0.03, quantiles below 0.1.
    assert found.mean == pytest.approx(x.mean(), abs=0.25)
    assert found.sd == pytest.approx(x.std(), abs=0.2)
    for name, p in (("q10", 0.1), ("q25", 0.25), ("q50", 0.5), ("q90", 0.9), ("q975", 0.975)):
        assert getattr(found, name) == pytest.approx(np.quantile(x, p), abs=0.6)
    assert found.q025 == 0  # more than 2.5 % read 0
    assert mixture.rank(0.0) == (0.0, pytest.approx((x == 0).mean(), abs=0.005))
    assert mixture.rank(100.0)[1] == 1.0
    assert mixture.below(-1.0) == 0.0


def test_median_of_a_forecast_ranks_one_half() -> None:
    mixture = Mixture(np.array([1.0]), np.array([50.0]), np.array([9.0]))
    assert mixture.rank(mixture.distribution().q50)[0] == pytest.approx(0.5, abs=1e-3)


def test_band_is_that_of_the_binomial_distribution() -> None:
    for n, p, alarm in ((150, 0.95, 1e-3), (200, 0.5, 1e-5), (40, 0.8, 0.05)):
        low, high = band(np.full(n, p), alarm)
        assert binom.cdf(low - 1, n, p) <= alarm / 2 < binom.cdf(low, n, p)
        assert binom.sf(high, n, p) <= alarm / 2 * (1 + 1e-9)
        assert high == 0 or binom.sf(high - 1, n, p) > alarm / 2
