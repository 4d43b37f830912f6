"""Effect sizes and conversions against SciPy, closed forms and exact expectations under the normal."""

import numpy as np
import pytest
from scipy import integrate, stats

from stemtrial.evidence import effectsize as es
from stemtrial.evidence import medians


def test_hedges_correction_is_the_mean_of_the_inverse_chi():
    for m in (4, 18, 120):
        mean = stats.chi(m).expect(lambda s, m=m: np.sqrt(m) / s)
        assert float(es.small_sample_factor(m)) == pytest.approx(1 / mean, rel=1e-7)
    assert float(es.small_sample_factor(1e4)) == pytest.approx(1 - 3 / (4e4 - 1), rel=1e-8)


def test_mean_difference_reproduces_welch():
    d = es.mean_difference(30, 18, 40, 37, 25, 35)
    welch = stats.ttest_ind_from_stats(30, 18, 40, 37, 25, 35, equal_var=False)
    assert float(d.y[0] / d.v[0] ** 0.5) == pytest.approx(welch.statistic, rel=1e-12)


def test_change_sd_is_the_variance_of_a_difference_and_its_inverse():
    before, after, r = 15.0, 21.0, 0.6
    cov = np.array([[before**2, r * before * after], [r * before * after, after**2]])
    c = np.array([-1.0, 1.0])
    sd = es.change_sd(before, after, r)
    assert float(sd[0]) == pytest.approx(float(np.sqrt(c @ cov @ c)))
    assert float(es.baseline_correlation(before, after, sd)[0]) == pytest.approx(r)


def test_paired_design_gains_from_correlation_and_equals_the_paired_t():
    rng = np.random.default_rng(3)
    a = rng.normal(30, 10, 12)
    b = a + rng.normal(8, 6, 12)
    r = np.corrcoef(a, b)[0, 1]
    d = es.paired_difference(a.mean(), a.std(ddof=1), b.mean(), b.std(ddof=1), 12, r)
    assert float(d.y[0] / d.v[0] ** 0.5) == pytest.approx(stats.ttest_rel(a, b).statistic, rel=1e-10)
    apart = es.mean_difference(a.mean(), a.std(ddof=1), 12, b.mean(), b.std(ddof=1), 12)
    assert float(d.v[0]) < float(apart.v[0])


def test_exchanging_the_groups_turns_the_sign_only():
    for function in (es.risk_ratio, es.odds_ratio, es.risk_difference):
        one, other = (
            function([3, 0], [40, 25], [9, 4], [38, 30]),
            function([9, 4], [38, 30], [3, 0], [40, 25]),
        )
        assert one.y == pytest.approx(-other.y)
        assert one.v == pytest.approx(other.v)


def test_conversions_undo_what_made_the_numbers():
    n, sd, mean = 24, 17.0, 41.0
    se = sd / n**0.5
    low, high = stats.t.interval(0.95, n - 1, mean, se)
    assert float(medians.sd_from_se(se, n)[0]) == pytest.approx(sd)
    assert float(medians.sd_from_interval(low, high, n)[0]) == pytest.approx(sd)
    test = stats.ttest_ind_from_stats(41, sd, n, 30, sd, 30)
    assert float(medians.sd_from_t(11, test.statistic, n, 30)[0]) == pytest.approx(sd)
    assert float(medians.sd_from_p(-11, test.pvalue, n, 30)[0]) == pytest.approx(sd, rel=1e-9)


def order_statistic_mean(rank: int, n: int) -> float:
    """Mean of the rank-th smallest of n standard normal values, by integration."""
    density = stats.beta(rank, n - rank + 1).pdf
    return integrate.quad(lambda z: z * density(stats.norm.cdf(z)) * stats.norm.pdf(z), -8, 8, epsabs=1e-12)[
        0
    ]


@pytest.mark.parametrize(("quarter", "tolerance"), [(2, 0.02), (6, 0.01), (25, 0.005)])
def test_sd_estimators_are_near_unbiased_for_normal_values(quarter, tolerance):
    n = 4 * quarter + 1
    q3, top = order_statistic_mean(3 * quarter + 1, n), order_statistic_mean(n, n)
    assert float(medians.sd_from_quartiles(-q3, q3, n)[0]) == pytest.approx(1, abs=tolerance)
    assert float(medians.sd_from_range(-top, top, n)[0]) == pytest.approx(1, abs=tolerance)
    assert float(medians.sd_from_five_numbers(-top, -q3, q3, top, n)[0]) == pytest.approx(1, abs=tolerance)


def test_means_from_quantiles_move_with_the_data_and_keep_symmetry():
    for n in (9, 40, 400):
        assert float(medians.mean_from_quartiles(20, 30, 40, n)[0]) == pytest.approx(30)
        assert float(medians.mean_from_range(0, 30, 60, n)[0]) == pytest.approx(30)
        assert float(medians.mean_from_five_numbers(0, 20, 30, 40, 60, n)[0]) == pytest.approx(30)
        skew, moved = (medians.mean_from_five_numbers(*(a + b * np.array(x)), n) for a, b, x in
                       ((0, 1, (0, 20, 25, 40, 90)), (7, 2, (0, 20, 25, 40, 90))))  # fmt: skip
        assert moved == pytest.approx(7 + 2 * skew)
        assert float(skew[0]) > 25


def test_weights_of_luo_by_hand():
    """Luo 2018, scenario 3: w = 0.7 + 0.39/n on the mid-quartile."""
    w = 0.7 + 0.39 / 39
    assert float(medians.mean_from_quartiles(20, 30, 44, 39)[0]) == pytest.approx(w * 32 + (1 - w) * 30)
