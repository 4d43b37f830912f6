"""Responder analyses against R's glm and mantelhaen.test, and against themselves one replicate at a time."""

import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.trial.binary import adjusted, cochran_mantel_haenszel, logistic
from stemtrial.trial.replicates import simulate
from stemtrial.trial.responders import DEFINITIONS, compare, improved, omeract_oarsi, responses

SETS = json.loads((Path(__file__).parent / "fixtures" / "responders" / "responders.json").read_text())["sets"]


def split(data, *names):
    """Return arrays of the comparator and of the experimental arm, (1, patients) each."""
    arm = np.array(data["arm"])
    return [tuple(np.array(data[name])[arm == k][None] for k in (0, 1)) for name in names]


@pytest.mark.parametrize("case", SETS, ids=range(1, len(SETS) + 1))
def test_logistic_regression_agrees_with_glm(case):
    data, r = case["data"], case["fit"]
    design = np.column_stack([np.ones(len(data["arm"])), data["base"], data["arm"]])[None]
    found = logistic(np.array(data["response"])[None], design, np.array(data["seen"])[None])
    assert found.coefficients[0] == pytest.approx(r["coefficients"], rel=1e-8, abs=1e-10)
    assert found.covariance[0] == pytest.approx(np.array(r["covariance"]), rel=1e-8)
    response, base, seen = split(data, "response", "base", "seen")
    arms = adjusted(response, base, seen)
    for name in ("estimate", "se", "p"):
        assert getattr(arms, name)[0] == pytest.approx(r[name], rel=1e-8), name
    assert arms.statistic[0] == pytest.approx(r["z"], rel=1e-8)


@pytest.mark.parametrize("case", SETS, ids=range(1, len(SETS) + 1))
def test_common_odds_ratio_agrees_with_mantelhaen(case):
    data, r = case["data"], case["fit"]["cmh"]
    response, grade, seen = split(data, "response", "grade", "seen")
    plain = cochran_mantel_haenszel(response, grade, seen, corrected=False)
    assert np.exp(plain.estimate[0]) == pytest.approx(r["odds_ratio"], rel=1e-8)
    low, high = plain.interval(0.95)
    assert (low[0], high[0]) == pytest.approx((r["low"], r["high"]), rel=1e-8)
    assert plain.statistic[0] == pytest.approx(r["statistic"], rel=1e-8)
    assert plain.p[0] == pytest.approx(r["p"], rel=1e-8)
    corrected = cochran_mantel_haenszel(response, grade, seen, corrected=True)
    assert corrected.statistic[0] == pytest.approx(r["corrected_statistic"], rel=1e-8, abs=1e-12)
    assert corrected.p[0] == pytest.approx(r["corrected_p"], rel=1e-8)


def made(replicates, n, seed):
    rng = np.random.default_rng(seed)
    base = tuple(rng.uniform(40, 95, (replicates, k)) for k in n)
    yes = tuple(rng.random(b.shape) < 0.4 + 0.15 * i for i, b in enumerate(base))
    seen = tuple(rng.random(b.shape) < 0.9 for b in base)
    grade = tuple(rng.integers(2, 5, b.shape) for b in base)
    return yes, base, seen, grade


def test_a_replicate_does_not_depend_on_the_others(monkeypatch):
    from stemtrial.trial import binary

    yes, base, seen, grade = made(50, (30, 45), 3)
    whole, strata = adjusted(yes, base, seen), cochran_mantel_haenszel(yes, grade, seen, corrected=False)
    monkeypatch.setattr(binary, "_BLOCK", 7 * 75)
    parts = adjusted(yes, base, seen)
    for name in ("estimate", "se", "statistic", "p"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    one = [tuple(a[17:18] for a in pair) for pair in (yes, base, seen, grade)]
    assert adjusted(*one[:3]).estimate[0] == pytest.approx(whole.estimate[17], rel=1e-12)
    alone = cochran_mantel_haenszel(one[0], one[3], one[2], corrected=False)
    assert alone.statistic[0] == strata.statistic[17]


def test_swapping_the_arms_turns_the_odds_ratio_over():
    yes, base, seen, grade = made(20, (40, 40), 5)
    for one, other in (
        (adjusted(yes, base, seen), adjusted(yes[::-1], base[::-1], seen[::-1])),
        (
            cochran_mantel_haenszel(yes, grade, seen, corrected=True),
            cochran_mantel_haenszel(yes[::-1], grade[::-1], seen[::-1], corrected=True),
        ),
    ):
        assert one.estimate == pytest.approx(-other.estimate, rel=1e-9)
        assert one.p == pytest.approx(other.p, rel=1e-8)


def test_what_cannot_be_estimated_is_counted_and_leaves_the_rest_alone():
    yes, base, seen, _ = made(6, (20, 20), 8)
    yes, seen = tuple(y.copy() for y in yes), tuple(s.copy() for s in seen)
    before = adjusted(yes, base, seen)
    yes[0][1], yes[1][1] = False, True  # the arms are separated
    yes[0][2], yes[1][2] = False, False  # nobody responds
    seen[0][3] = False  # nobody is left in one arm
    base[0][4], base[1][4] = 50.0, 50.0  # the baseline is constant
    found = adjusted(yes, base, seen)
    assert found.possible.tolist() == [True, False, False, False, False, True]
    assert np.isnan(found.se[~found.possible]).all()
    assert np.isnan(found.p[~found.possible]).all()
    assert found.estimate[[0, 5]] == pytest.approx(before.estimate[[0, 5]], rel=1e-12)
    one = tuple(np.zeros(b.shape, int) for b in base)
    strata = cochran_mantel_haenszel(yes, one, seen, corrected=False)
    assert np.isnan(strata.p).tolist() == [False, False, True, True, False, False]
    assert np.isinf(strata.estimate[1])
    assert strata.p[1] < 1e-6


def test_thresholds_are_met_at_their_edge():
    base = np.array([60.0, 60.0, 60.0])
    assert improved(base, np.array([46.0, 46.01, 45.0]), share=0, points=14).tolist() == [True, False, True]
    assert improved(base, np.array([30.0, 30.01, 0.0]), share=0.5, points=20).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("pain", "function", "responds"),
    [
        ((40, 20), (50, 50), True),     # half and 20 points of pain
        ((38, 19), (50, 50), False),    # half, but 19 points
        ((80, 50), (50, 50), False),    # 30 points, but less than half, and function unchanged
        ((50, 50), (60, 30), True),     # half and 20 points of function
        ((50, 40), (50, 40), True),     # a fifth and 10 points of both
        ((50, 40), (50, 41), False),    # 9 points of function
        ((60, 50), (50, 40), False),    # 10 points but a sixth of pain
    ],
)  # fmt: skip
def test_omeract_oarsi_criteria(pain, function, responds):
    scores = [tuple(np.array([float(v)]) for v in pair) for pair in (pain, function)]
    assert omeract_oarsi(*scores).tolist() == [responds]


@pytest.fixture(scope="module")
def kept(small):
    found = {}
    results = simulate(
        small, 3, np.arange(30), lambda ids, casts, records: found.update(casts=casts, records=records)
    )
    return results, found["casts"], found["records"]


def test_shares_of_responders_are_those_of_the_run(small, kept):
    results, casts, records = kept
    found = compare(small, casts, records, missing="left_out")
    assert tuple(found) == DEFINITIONS
    for i, name in enumerate(("mcid", "thirty_percent", "fifty_percent")):
        for share, arm in zip(found[name].shares, ("saline", "cells"), strict=True):
            assert share == pytest.approx(results[f"{arm}/responders"][:, i], abs=1e-15)


def test_patients_not_seen_count_against_their_arm_if_so_chosen(small, kept):
    _, casts, records = kept
    left, against = (compare(small, casts, records, missing=m) for m in ("left_out", "non_responder"))
    visit = small.main_visit
    for name in DEFINITIONS:
        assert (against[name].shares <= left[name].shares + 1e-15).all()
        for share, arm in zip(against[name].shares, ("saline", "cells"), strict=True):
            responds = responses(small, records[arm], visit)[name] & records[arm].present[visit]
            assert share == pytest.approx(responds.mean(axis=1))
    success = against["mcid"].success(0.05, 2)
    assert set(success) == {"logistic", "cmh"}
    assert success["cmh"].shape == (30,)
