"""Scores against closed forms and values worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration import scores
from stemtrial.errors import InputError


def quantiles_of_normal(mean, sd, m=20_001):
    return stats.norm.ppf((np.arange(m) + 0.5) / m, mean, sd)[:, None]


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.0), (0.0, 1.0, 2.5), (-12.0, 4.0, -3.0)])
def test_crps_of_a_normal(mean, sd, y):
    observed = np.array([y])
    ensemble = scores.crps(quantiles_of_normal(mean, sd), observed, fair=False)
    assert ensemble == pytest.approx(scores.crps_normal(mean, sd, observed), abs=2e-4 * sd)


def test_crps_normal_is_the_integral_of_the_squared_distance_of_distribution_functions():
    x = np.linspace(-40, 40, 800_001)
    for mean, sd, y in [(0.0, 1.0, 0.3), (2.0, 3.0, -4.0)]:
        integrand = (stats.norm.cdf(x, mean, sd) - (x >= y)) ** 2
        closed = scores.crps_normal(np.array(mean), np.array(sd), np.array(y))
        assert np.trapezoid(integrand, x) == pytest.approx(float(closed), abs=1e-4)


def test_crps_by_hand_and_of_a_point():
    draws = np.array([[0.0], [1.0], [5.0]])
    # |x - 2|: 2, 1, 3 -> 2; pairs: 1, 5, 4 -> 10 of 9 and 6 ordered pairs, twice each
    assert scores.crps(draws, np.array([2.0]), fair=False) == pytest.approx(2 - 0.5 * 20 / 9)
    assert scores.crps(draws, np.array([2.0]), fair=True) == pytest.approx(2 - 0.5 * 20 / 6)
    assert scores.crps(np.full((4, 1), 7.0), np.array([4.5]), fair=False) == pytest.approx(2.5)


def test_coverage_and_wilson():
    # Newcombe 1998 (Stat Med 17:857), table I, method 3: 81/263 and 15/148
    assert scores.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert scores.wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert scores.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    draws = np.tile(quantiles_of_normal(0, 1), (1, 999))
    at = stats.norm.ppf(np.arange(1, 1000) / 1000)
    assert [c.share for c in scores.coverage(draws, at)] == pytest.approx([0.5, 0.8, 0.95], abs=0.0021)


def test_pit_bias_and_log_score_of_a_normal():
    draws = quantiles_of_normal(3.0, 2.0)
    assert scores.pit(draws, np.array([3.0])) == pytest.approx(0.5, abs=1e-3)
    assert scores.bias(draws, np.array([1.0])) == pytest.approx(2.0, abs=1e-6)
    assert scores.log_score(draws, np.array([4.0])) == pytest.approx(stats.norm.logpdf(4, 3, 2), abs=0.02)
    log_density = np.log(np.array([[0.1], [0.3]]))
    assert scores.log_mean_density(log_density) == pytest.approx(np.log(0.2))


def test_pit_spreads_ties_over_their_step():
    draws = np.zeros((9, 4000))
    assert np.abs(np.sort(scores.pit(draws, np.zeros(4000), 1)) - np.arange(4000) / 4000).max() < 0.035


def test_chi_square_against_scipy():
    ranks = np.random.default_rng(3).integers(0, 80, 400)
    found = scores.chi_square(ranks, 79, 20)
    expected = stats.chisquare(np.histogram(ranks, 20, (-0.5, 79.5))[0])
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))


def test_ecdf_test_of_one_point_is_an_exact_binomial_test():
    """With two ranks the ECDF is one binomial count, so the p-value sums the outcomes that are as unlikely."""
    for ones in (0, 3, 9, 15, 20):
        ranks = np.repeat([1, 0], [ones, 20 - ones])
        tail = 2 * min(stats.binom.cdf(ones, 20, 0.5), stats.binom.sf(ones - 1, 20, 0.5))
        assert scores.ecdf_test(ranks, 1).p_value == pytest.approx(min(1.0, tail))


def test_ecdf_test_sees_each_kind_of_miscalibration():
    rng, most = np.random.default_rng(5), 99
    draws, truth = rng.normal(size=(99, 400)), rng.normal(size=400)
    for shift, stretch in [(0.3, 1.0), (-0.3, 1.0), (0.0, 1.5), (0.0, 0.7)]:
        ranks = (draws < shift + stretch * truth).sum(axis=0)
        assert scores.ecdf_test(ranks, most).p_value < 0.01


@pytest.mark.parametrize("n", [1, 10, 200])
def test_band_holds_its_confidence_and_narrower_does_not(n):
    band = scores.ecdf_band(n, 99, points=20)
    low, high = np.round(band.low * n).astype(int), np.round(band.high * n).astype(int)
    assert scores._inside_band(n, band.z, low, high) >= 0.95
    assert scores._inside_band(n, band.z, np.zeros(20, int), np.full(20, n)) == pytest.approx(1.0)


def test_bad_scores_input():
    with pytest.raises(ValueError, match="must be"):
        scores.crps(np.zeros((3, 2)), np.zeros(3), fair=False)
    with pytest.raises(InputError, match="finite"):
        scores.crps(np.array([[0.0], [np.nan]]), np.zeros(1), fair=False)
    with pytest.raises(InputError, match="no density"):
        scores.log_score(np.zeros((3, 1)), np.zeros(1))
    with pytest.raises(ValueError, match="do not divide"):
        scores.chi_square(np.arange(100), 99, 7)
    with pytest.raises(ValueError, match="too few"):
        scores.chi_square(np.arange(20), 99, 20)
    with pytest.raises(ValueError, match="integers from 0"):
        scores.ecdf_test(np.array([0, 100]), 99)
    with pytest.raises(ValueError, match="no proportion"):
        scores.wilson(3, 2)
