"""Rare events against SciPy, single-table closed forms and an independent likelihood."""

import numpy as np
import pytest
from scipy import optimize, stats

from stemtrial.evidence.betabinomial import beta_binomial
from stemtrial.evidence.rareevents import exact_risk, mantel_haenszel, peto

EVENTS, SIZES = [0, 1, 5, 2, 1, 0, 8, 7], [40, 30, 50, 60, 20, 30, 50, 60]
GROUPS = ["cells"] * 4 + ["saline"] * 4


@pytest.mark.parametrize(("events", "n"), [(0, 35), (1, 20), (7, 60), (20, 20)])
def test_exact_bounds_equal_scipy(events, n):
    found = exact_risk(events, n)
    two = stats.binomtest(events, n).proportion_ci(0.95, method="exact")
    one = stats.binomtest(events, n, alternative="less").proportion_ci(0.95, method="exact")
    assert found.ci == pytest.approx((two.low, two.high), rel=1e-10)
    assert found.upper == pytest.approx(one.high, rel=1e-10)
    assert found.status == ("ok" if events else "no_events")


def test_rule_of_three():
    for n in (30, 100, 1000):
        found = exact_risk(0, n)
        assert found.upper == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-10)
        assert found.upper == pytest.approx(3 / n, rel=0.06)


def test_one_table_pools_to_itself():
    a, n1, c, n2 = 4, 50, 9, 45
    assert np.exp(mantel_haenszel(a, n1, c, n2, measure="OR").estimate) == pytest.approx(4 * 36 / (46 * 9))
    assert np.exp(mantel_haenszel(a, n1, c, n2, measure="RR").estimate) == pytest.approx((4 / 50) / (9 / 45))
    assert mantel_haenszel(a, n1, c, n2, measure="RD").estimate == pytest.approx(4 / 50 - 9 / 45)
    h = stats.hypergeom(95, 13, 50)
    assert peto(a, n1, c, n2).estimate == pytest.approx((4 - h.mean()) / h.var())


def test_tables_without_events_change_no_ratio():
    some = ([1, 3], [40, 50], [4, 6], [38, 52])
    with_empty = ([1, 3, 0], [40, 50, 60], [4, 6, 0], [38, 52, 61])
    for measure in ("OR", "RR"):
        one, two = (mantel_haenszel(*x, measure=measure) for x in (some, with_empty))
        assert two.estimate == pytest.approx(one.estimate)
        assert two.se == pytest.approx(one.se)
        assert two.q_df == one.q_df
    assert peto(*with_empty).estimate == pytest.approx(peto(*some).estimate)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_what_tables_cannot_tell_is_said(measure):
    nothing = mantel_haenszel([0, 0], [20, 30], [0, 0], [20, 30], measure=measure)
    assert (nothing.status, nothing.estimate) == ("no_events", None)
    if measure != "RD":
        bare = mantel_haenszel([0, 0], [20, 30], [3, 1], [20, 30], measure=measure)
        assert (bare.status, bare.estimate) == ("zero_events_in_one_group", None)
    assert peto([0], [20], [0], [20]).status == "no_events"


def independent(mus, rho, events=EVENTS, sizes=SIZES, groups=GROUPS):
    """Log-likelihood by scipy.stats, in the usual two shape parameters."""
    total = 0.0
    for x, n, g in zip(events, sizes, groups, strict=True):
        mu = mus[0] if g == groups[0] else mus[1]
        total += stats.betabinom(n, mu * (1 - rho) / rho, (1 - mu) * (1 - rho) / rho).logpmf(x)
    return total


def maximum(delta=None, first=None):
    """Independent maximum, free, at a fixed log odds ratio or at a fixed first risk."""

    def minus(p):
        one = stats.logistic.ppf(first) if first is not None else p[1]
        two = one + delta if delta is not None else p[2]
        return -independent((stats.logistic.cdf(one), stats.logistic.cdf(two)), stats.logistic.cdf(p[0]))

    found = optimize.minimize(minus, [-3.0, -3.0, -2.5], method="Nelder-Mead",
                              options={"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000})  # fmt: skip
    return -found.fun


def test_beta_binomial_reaches_the_maximum_of_an_independent_likelihood():
    found = beta_binomial(EVENTS, SIZES, GROUPS)
    assert found.log_likelihood == pytest.approx(independent(found.risk, found.overdispersion), abs=1e-9)
    assert found.log_likelihood == pytest.approx(maximum(), abs=1e-6)
    null = maximum(delta=0.0)
    assert found.p == pytest.approx(stats.chi2.sf(2 * (found.log_likelihood - null), 1), abs=1e-5)


def test_beta_binomial_intervals_cut_the_profile_at_the_chi_square():
    found = beta_binomial(EVENTS, SIZES, GROUPS)
    drop = stats.chi2.ppf(0.95, 1) / 2
    for end in found.ci:
        assert found.log_likelihood - maximum(delta=end) == pytest.approx(drop, abs=1e-4)
    for end in found.risk_ci[0]:
        assert found.log_likelihood - maximum(first=end) == pytest.approx(drop, abs=1e-4)


def test_homogeneous_arms_are_binomial():
    found = beta_binomial([2, 2, 2], [40, 40, 40], ["cells"] * 3)
    assert found.overdispersion == pytest.approx(0, abs=1e-6)
    assert found.risk[0] == pytest.approx(0.05)
    assert found.log_likelihood == pytest.approx(3 * stats.binom(40, 0.05).logpmf(2), abs=1e-6)


def test_no_events_leave_an_upper_bound_only():
    found = beta_binomial([0, 0, 0, 0], [40, 30, 25, 20], ["cells", "cells", "saline", "saline"])
    assert (found.status, found.log_odds_ratio, found.ci) == ("no_events", None, None)
    assert [low for low, _ in found.risk_ci] == [0.0, 0.0]
    one = beta_binomial([0, 0, 3, 2], [40, 30, 25, 20], ["cells", "cells", "saline", "saline"])
    assert (one.status, one.log_odds_ratio) == ("zero_events_in_one_group", None)
    assert one.ci[1] is None
    assert one.ci[0] > 0
