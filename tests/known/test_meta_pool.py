"""Pooling against closed forms, direct maximisation, published numbers and its own symmetries."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from stemtrial.errors import NotCredibleError
from stemtrial.evidence.influence import influence, leave_one_out
from stemtrial.evidence.metareg import design, regress
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.smallstudy import egger, pet_peese, trim_and_fill
from stemtrial.evidence.subgroups import subgroups

FOLDER = Path(__file__).parents[1] / "double" / "fixtures" / "metafor"
BCG = json.loads((FOLDER / "bcg.json").read_text())
effects = st.lists(st.floats(-20, 20), min_size=3, max_size=12)


def studies(draw_y, seed=0):
    y = np.round(np.array(draw_y), 3)
    return y, np.random.default_rng(seed).uniform(0.5, 5.0, y.size)


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0.1, 20), st.floats(0.1, 20))
@settings(max_examples=60, deadline=None)
def test_two_studies_have_one_closed_form_for_all_estimators(y1, y2, v1, v2):
    tau2 = max(0.0, ((y1 - y2) ** 2 - v1 - v2) / 2)
    w = np.array([1 / (v1 + tau2), 1 / (v2 + tau2)])
    for method in ("DL", "PM", "REML"):
        found = pool([y1, y2], [v1, v2], method=method, test="z")
        assert found.tau2 == pytest.approx(tau2, rel=1e-8, abs=1e-8)
        assert found.estimate == pytest.approx(np.average([y1, y2], weights=w), rel=1e-8, abs=1e-8)
        assert found.se == pytest.approx(w.sum() ** -0.5, rel=1e-8)


def test_equal_variances_give_the_one_sample_t_interval_under_hartung_knapp():
    y = np.array([-12.0, -3.0, -8.5, 1.0, -6.0])
    found = pool(y, np.full(5, 2.0), method="DL", test="knha")
    low, high = stats.t.interval(0.95, 4, y.mean(), stats.sem(y))
    assert found.ci == pytest.approx((low, high), rel=1e-12)
    assert found.p == pytest.approx(stats.ttest_1samp(y, 0).pvalue, rel=1e-10)
    assert found.tau2 == pytest.approx(y.var(ddof=1) - 2.0, rel=1e-12)


@pytest.mark.parametrize("trials", [13, 8, 5])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_likelihood_estimates_maximise_the_likelihood(trials, method):
    y, v = np.array(BCG["y"])[:trials], np.array(BCG["v"])[:trials]

    def minus_log_likelihood(tau2):
        covariance, ones = np.diag(v + tau2), np.ones((trials, 1))
        mean = np.average(y, weights=1 / (v + tau2))
        value = -stats.multivariate_normal(np.full(trials, mean), covariance).logpdf(y)
        return value + (
            0.5 * np.linalg.slogdet(ones.T @ np.linalg.inv(covariance) @ ones)[1] if method == "REML" else 0
        )

    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(0, 5), method="bounded", options={"xatol": 1e-9}
    )
    assert pool(y, v, method=method, test="z").tau2 == pytest.approx(best.x, abs=1e-6)


def test_reml_is_found_where_plain_fisher_scoring_circles():
    d = json.loads((FOLDER / "nielweise2007.json").read_text())
    y, v = np.array(d["y"])[:8], np.array(d["v"])[:8]
    tau2 = pool(y, v, method="REML", test="z").tau2

    def restricted(t):
        w = 1 / (v + t)
        return 0.5 * (np.log(w).sum() - np.log(w.sum()) - np.sum(w * (y - np.average(y, weights=w)) ** 2))

    grid = np.linspace(0, 2, 20001)
    assert tau2 == pytest.approx(grid[np.argmax([restricted(t) for t in grid])], abs=2e-4)


def test_published_pooled_risk_ratio_of_bcg_vaccination():
    """The worked example of metafor's documentation (Colditz et al. 1994, log risk ratio, REML)."""
    found = pool(BCG["y"], BCG["v"], method="REML", test="z")
    printed = (found.estimate, found.se, found.tau2, found.i2, found.q)
    assert tuple(round(x, 4) for x in printed) == (-0.7145, 0.1798, 0.3132, 92.2214, 152.233)


@given(effects, st.floats(-10, 10), st.floats(0.1, 10), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_shift_and_scale_do_what_they_should(draw, shift, scale, rng):
    y, v = studies(draw)
    if np.ptp(y) < 0.1:
        return
    order = list(range(y.size))
    rng.shuffle(order)
    base = pool(y, v, method="REML", test="knha")
    moved = pool(shift + scale * y[order], scale**2 * v[order], method="REML", test="knha")
    assert moved.estimate == pytest.approx(shift + scale * base.estimate, rel=1e-6, abs=1e-6)
    assert moved.se == pytest.approx(scale * base.se, rel=1e-6)
    assert moved.tau2 == pytest.approx(scale**2 * base.tau2, rel=1e-6, abs=1e-6 * scale**2)
    assert moved.i2 == pytest.approx(base.i2, abs=1e-5)
    assert sorted(moved.weights) == pytest.approx(sorted(base.weights), abs=1e-5)


@given(effects)
@settings(max_examples=30, deadline=None)
def test_the_q_profile_interval_holds_paule_mandel_and_the_weights_add_up(draw):
    y, v = studies(draw)
    found = pool(y, v, method="PM", test="z")
    assert found.tau2_ci[0] - 1e-9 <= found.tau2 <= found.tau2_ci[1] + 1e-9
    assert sum(found.weights) == pytest.approx(100)
    assert found.prediction[0] <= found.ci[0] <= found.estimate <= found.ci[1] <= found.prediction[1]


def test_prediction_interval_of_riley_by_hand():
    found = pool(BCG["y"], BCG["v"], method="DL", test="z", prediction="riley")
    half = stats.t.ppf(0.975, 11) * np.hypot(found.se, found.tau2**0.5)
    assert found.prediction == pytest.approx((found.estimate - half, found.estimate + half), rel=1e-12)


def test_one_study_is_given_as_it_is_and_says_so():
    found = pool([-7.0], [4.0], method="REML", test="knha")
    assert (found.status, found.k, found.estimate, found.se) == ("single_study", 1, -7.0, 2.0)
    assert found.ci == pytest.approx((-7 - 1.959964 * 2, -7 + 1.959964 * 2), abs=1e-5)
    assert found.prediction is None
    assert found.tau2 is None


def test_one_factor_model_equals_the_group_means():
    y, v = np.array([-9.0, -7.0, -2.0, 1.0]), np.ones(4)
    arm = ["cells", "cells", "saline", "saline"]
    found = regress(y, v, {"arm": arm}, method="EE", test="z", reference={"arm": "saline"})
    assert found.design.names == ("intercept", "arm=cells")
    assert found.estimate == pytest.approx([-0.5, -7.5])
    assert found.qm == pytest.approx(7.5**2)
    assert subgroups(y, v, arm, tau2="separate", method="EE", test="z").statistic == pytest.approx(7.5**2)


def test_numbers_stay_numbers_and_words_become_levels():
    opened = [True, False, False, True, True, False]
    found = design({"dose": [1, 2, 4, 8, 9, 9], "origin": list("babcac"), "open": opened}, 6)
    assert found.names == ("intercept", "dose", "origin=b", "origin=c", "open=True")
    assert found.levels == {"origin": ("a", "b", "c"), "open": ("False", "True")}


def test_leaving_one_of_two_leaves_single_studies():
    found = leave_one_out([1.0, 2.0], [1.0, 1.0], method="REML", test="z")
    assert [x.status for x in found] == ["single_study"] * 2
    assert [x.estimate for x in found] == [2.0, 1.0]


def test_the_odd_study_out_is_influential():
    y = np.array([-5.0, -6.0, -4.0, -5.5, -4.5, -30.0])
    found = influence(y, np.ones(6), method="DL", test="z")
    assert int(np.argmax(np.abs(found.rstudent))) == 5
    assert found.influential[5]
    assert found.tau2_deleted[5] == 0


def test_small_study_diagnostics_are_refused_below_ten():
    y, v = np.linspace(-9, 0, 9), np.linspace(1, 9, 9)
    line, fill, pet = (
        egger(y, v, model="lm"),
        trim_and_fill(y, v, estimator="L0", method="DL", test="z"),
        pet_peese(y, v),
    )
    assert {line.status, fill.status, pet.status} == {"too_few_studies"}
    assert line.p is fill.pooled is pet.estimate is None


def test_symmetric_funnel_misses_nothing_and_a_halved_one_is_filled():
    up = [1, 4, 5, 8, 9, 12]  # equal rank sums on both sides
    y = np.array([rank if rank in up else -rank for rank in range(1, 13)], dtype=float)
    full = trim_and_fill(y, np.ones(12), estimator="L0", method="EE", test="z", side="left")
    assert (full.missing, full.filled_y) == (0, ())
    # Two large trials around 0 and ten small ones, of which the negative are missing.
    cut, v = np.array([-0.01, 0.01, *np.linspace(0.5, 5, 10)]), np.array([1e-4] * 2 + [1.0] * 10)
    for side, turn in (("left", 1), ("right", -1)):
        found = trim_and_fill(turn * cut, v, estimator="L0", method="EE", test="z", side=side)
        assert found.missing == len(found.filled_y) == 6  # as trimfill of metafor
        assert all(turn * filled < 0 for filled in found.filled_y)
        assert abs(found.pooled.estimate) < abs(pool(cut, v, method="EE", test="z").estimate)


def test_what_does_not_converge_is_no_result():
    with pytest.raises(NotCredibleError, match="method PM or DL"):
        pool(BCG["y"], BCG["v"], method="REML", test="z", max_steps=1)
    with pytest.raises(NotCredibleError, match="test t or adhoc"):
        pool([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], method="REML", test="knha")
