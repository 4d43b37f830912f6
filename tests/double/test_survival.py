"""Kaplan-Meier curves and the log-rank test against the R package survival."""

import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.trial.survival import (
    Times,
    kaplan_meier,
    log_rank,
    loss_of_response,
    possible_times,
)

SETS = json.loads((Path(__file__).parent / "fixtures" / "survival" / "survival.json").read_text())["sets"]
IDS = range(1, len(SETS) + 1)


def arms(case):
    data = {name: np.array(values) for name, values in case["data"].items()}
    return [
        Times(
            data["time"][own][None].astype(float),
            data["event"][own][None] == 1,
            np.ones((1, own.sum()), bool),
        )
        for own in (data["arm"] == 0, data["arm"] == 1)
    ]


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], float)


@pytest.mark.parametrize("case", SETS, ids=IDS)
def test_curves_agree_with_survfit(case):
    for name, own, median in zip(
        ("comparator", "experimental"), arms(case), case["fit"]["median"], strict=True
    ):
        r, found = case["fit"][name], kaplan_meier(own, np.array(case["months"]))
        low, high = found.interval(0.95)
        values = {
            "survival": found.survival,
            "low": low,
            "high": high,
            "at_risk": found.at_risk,
            "events": found.events,
        }
        for key, value in values.items():
            assert value[0] == pytest.approx(numbers(r[key]), rel=1e-8, nan_ok=True), (name, key)
        se = numbers(r["se"])
        alive = found.survival[0] > 0
        assert found.se[0][alive] == pytest.approx(se[alive], rel=1e-8, abs=1e-12)
        assert found.median[0] == pytest.approx(np.nan if median is None else median, rel=1e-8, nan_ok=True)


@pytest.mark.parametrize("case", SETS, ids=IDS)
def test_log_rank_agrees_with_survdiff(case):
    r, found = case["fit"], log_rank(*arms(case), np.array(case["months"]))
    assert found.observed[0] == r["observed"][1]
    assert found.expected[0] == pytest.approx(r["expected"][1], rel=1e-8)
    assert found.variance[0] == pytest.approx(r["variance"], rel=1e-8)
    assert found.statistic[0] == pytest.approx(r["statistic"], rel=1e-8)
    assert found.p[0] == pytest.approx(r["p"], rel=1e-8)


def test_replicates_are_analysed_apart():
    rng = np.random.default_rng(4)
    times = np.array([1.0, 3.0, 6.0])
    two = [
        Times(rng.choice(times, (40, n)), rng.random((40, n)) < 0.6, rng.random((40, n)) < 0.8)
        for n in (30, 20)
    ]
    whole, curves = log_rank(*two, times), kaplan_meier(two[0], times)
    alone = [Times(t.time[9:10], t.event[9:10], t.counted[9:10]) for t in two]
    assert log_rank(*alone, times).statistic[0] == whole.statistic[9]
    assert (kaplan_meier(alone[0], times).survival[0] == curves.survival[9]).all()
    less = [Times(t.time[:, t.counted[9]][9:10], t.event[:, t.counted[9]][9:10], np.ones((1, t.counted[9].sum()), bool))
            for t in two]  # fmt: skip
    assert log_rank(*less, times).p[0] == whole.p[9]


def test_without_events_there_is_no_test():
    nothing = Times(np.full((2, 5), 6.0), np.zeros((2, 5), bool), np.ones((2, 5), bool))
    found = log_rank(nothing, nothing, np.array([3.0, 6.0]))
    assert np.isnan(found.p).all()
    assert not found.success(0.05, 2).any()
    curve = kaplan_meier(nothing, np.array([3.0, 6.0]))
    assert (curve.survival == 1).all()
    assert np.isnan(curve.median).all()


def test_loss_of_response_of_patients_one_by_one():
    """Visits in months 1, 3, 6, 12: R responds, - does not, a space is a visit missed after leaving."""
    stories = {
        "RRRR": (11, False, True),
        "RR--": (5, True, True),
        "-R-R": (3, True, True),
        "-RR ": (3, False, True),
        "R   ": (0, False, True),
        "----": (0, False, False),
        "    ": (0, False, False),
        "---R": (0, False, True),
    }
    response = np.array([[c == "R" for c in story] for story in stories]).T[:, None]
    present = np.array([[c != " " for c in story] for story in stories]).T[:, None]
    found = loss_of_response(response, present, np.array([1.0, 3.0, 6.0, 12.0]))
    expected = np.array(list(stories.values()))
    assert found.time[0].tolist() == expected[:, 0].tolist()
    assert found.event[0].tolist() == expected[:, 1].astype(bool).tolist()
    assert found.counted[0].tolist() == expected[:, 2].astype(bool).tolist()


def test_every_time_to_loss_is_among_the_possible_ones():
    rng = np.random.default_rng(6)
    months = np.array([0.23, 0.69, 1.0, 3.0, 6.0, 9.0])
    response, leaves = rng.random((6, 20, 50)) < 0.6, rng.integers(1, 8, (20, 50))
    found = loss_of_response(response, np.arange(6)[:, None, None] < leaves, months)
    times = possible_times(months)
    assert np.isin(found.time[found.event], times).all()
    assert kaplan_meier(found, times).events.sum() == found.event.sum()


def test_more_events_in_the_comparator_favour_the_experimental_arm():
    times = np.array([1.0, 2.0])
    soon = Times(np.ones((1, 40)), np.ones((1, 40), bool), np.ones((1, 40), bool))
    late = Times(np.full((1, 40), 2.0), np.ones((1, 40), bool), np.ones((1, 40), bool))
    assert log_rank(soon, late, times).success(0.05, 2).all()
    assert not log_rank(late, soon, times).success(0.05, 2).any()
