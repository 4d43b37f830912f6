"""Visits in their windows, patients who cross over, and intercurrent events that an estimand does away with."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration import prior
from stemtrial.calibration.belief import Prior
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.simulation import treat
from stemtrial.trial import adverse
from stemtrial.trial.characteristics import adverse_events, flow
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate

ALARM = 1e-6
"""Chance that one assertion of these tests fails although the code is right."""

SEED, IDS = 9, np.arange(20)
CROSSOVER = {"from_arm": "saline", "to_arm": "cells", "from_month": 3, "pain_above": 40.0, "share": 0.6}


def changed(plan: Plan, conduct: dict, question: dict | None = None) -> Plan:
    data = plan.trial.model_dump(mode="json")
    data["conduct"] |= {"rescue_analgesia": None} | conduct
    data["question"] |= question or {}
    return Plan.of(Trial.model_validate(data), known=Prior())  # whose cells always act


@pytest.mark.parametrize(("arm", "half"), [("saline", 14.0), ("cells", 7.0)])
def test_reading_in_a_window_is_the_course_on_that_day(plan, arm, half):
    """Against the solver stopped on the very day: what lies between the days of the window is within 0.05 points."""
    windows = changed(plan, {"visit_window_days": half})
    cast, constants = windows.cast(arm, SEED, IDS), prior.draw(SEED, IDS)
    for share in (0.1, 0.35, 0.8):
        timing = np.full_like(cast.chance.timing, share)
        moved = replace(cast, chance=replace(cast.chance, timing=timing))
        record = windows.follow(moved, windows.schedules[arm], constants)
        _, cohort = treat(cast.people, windows.schedules[arm], constants, windows.numerics)
        for k, month in enumerate(windows.trial.visits_months):
            cohort.advance(month * DAYS_PER_MONTH + (2 * share - 1) * half)
            assert np.abs(record.pain[k] - cohort.pain()).max() < 0.05
            assert np.abs(record.function[k] - cohort.function()).max() < 0.05


def test_visits_fall_on_every_day_of_the_window_alike(plan):
    timing = changed(plan, {"visit_window_days": 10.0}).cast("saline", SEED, IDS).chance.timing
    assert stats.kstest(timing.ravel(), "uniform").pvalue > ALARM
    assert abs(np.corrcoef(timing.reshape(len(timing), -1))[0, 1]) < 5 / np.sqrt(timing[0].size)


def test_windows_leave_means_alone_and_time_courses_too(plan):
    """Being early or late averages out; figures of the course are drawn on their own days."""
    plain, windows = changed(plan, {}), changed(plan, {"visit_window_days": 10.0})
    one, other = (simulate(p, SEED, IDS) for p in (plain, windows))
    assert (one["estimate"] != other["estimate"]).all()
    difference = one["saline/change"] - other["saline/change"]
    assert (np.abs(difference.mean(axis=0)) < 1.0).all()
    assert (one["saline/relief"] == other["saline/relief"]).mean() > 0.1  # up to the steps of the solver
    assert np.abs(one["saline/relief"] - other["saline/relief"]).max() < 0.02


def test_patients_who_cross_over_gain_what_the_other_arm_gives(plan):
    """At the visit six months later it is the difference of the same patients' courses at month 6."""
    conduct = {"crossover": CROSSOVER, "dropout_by_month_12": 0.0}
    crossing, plain = changed(plan, conduct), changed(plan, {"dropout_by_month_12": 0.0})
    cast, constants = crossing.cast("saline", SEED, IDS), prior.draw(SEED, IDS)
    found = crossing.follow(cast, crossing.schedules["saline"], constants)
    before = plain.follow(cast, plain.schedules["saline"], constants)
    happened = found.events["crossover"]
    months = list(crossing.trial.visits_months)
    three, nine = months.index(3), months.index(9)
    assert not happened[: three + 1].any()
    at_three = happened[three + 1]
    asked = before.readings["VAS"][three] > 40
    assert (at_three == (asked & (cast.chance.events["crossover"] < 0.6))).all()
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], asked.sum(), 0.6)
    assert low <= at_three.sum() <= high
    gain = []
    for arm in ("saline", "cells"):
        _, cohort = treat(cast.people, crossing.schedules[arm], constants, crossing.numerics)
        cohort.advance(6 * DAYS_PER_MONTH)
        gain.append(cohort.pain())
    expected = np.where(at_three, gain[0] - gain[1], 0.0)[at_three]
    assert np.abs((before.pain - found.pain)[nine][at_three] - expected).max() < 0.05
    assert (before.pain == found.pain)[:, ~happened[-1]].all()


def test_crossing_over_to_cells_that_do_nothing_does_nothing(plan):
    crossing, plain = changed(plan, {"crossover": CROSSOVER}), changed(plan, {})
    with_it, without = simulate(crossing, SEED, IDS), simulate(plain, SEED, IDS)
    assert np.allclose(with_it["null_estimate"], without["null_estimate"], atol=1e-6)
    # Saline patients get what the cells do: the arms come closer.
    assert with_it["typical_estimate"].mean() > without["typical_estimate"].mean()
    assert (with_it["saline/relief_by_cells"] > 0).all()


def test_crossing_over_is_an_intercurrent_event_of_the_flow(plan):
    crossing = changed(plan, {"crossover": CROSSOVER})
    results = simulate(crossing, SEED, IDS)
    assert flow(crossing, "saline", results)["events"]["crossover"] > 1
    assert flow(crossing, "cells", results)["events"] == {}
    composite = changed(plan, {"crossover": CROSSOVER}, {"estimand": "composite"})
    assert (
        simulate(composite, SEED, IDS)["saline/change"][:, -1].mean() > results["saline/change"][:, -1].mean()
    )


def test_hypothetical_estimand_with_declared_events_counts_none(plan):
    """Events that do not happen are counted as none; they were missing from the flow, which could not be made."""
    event = {"kind": "surgery", "pain_above": 0.0, "by_month_12": 0.5, "relief": 15.0}
    declared = {"events": [event], "crossover": CROSSOVER}
    hypothetical = changed(plan, declared, {"estimand": "hypothetical"})
    results = simulate(hypothetical, SEED, IDS)
    assert flow(hypothetical, "saline", results)["events"] == {"surgery": 0.0, "crossover": 0.0}
    without = simulate(changed(plan, {}, {"estimand": "hypothetical"}), SEED, IDS)
    assert (results["estimate"] == without["estimate"]).all()


def test_adverse_events_of_virtual_trials_have_their_published_rate(plan):
    """Counts are beta-binomial: their mean over trials is that of the risk's own distribution."""
    ids = np.arange(4000)
    risks = adverse.published_risks(plan.trial, "cells")
    happened = adverse.events(risks, SEED, ids, plan.first_patient("cells"), 30)
    counts = np.concatenate([happened, happened.any(axis=0)[None]]).sum(axis=2).T
    told = adverse_events(plan, "cells", counts)
    assert [row["category"] for row in told["events"]] == [risk.category for risk in risks]
    for risk, row in zip(risks, told["events"], strict=True):
        a, b = risk.events + 0.5, risk.patients - risk.events + 0.5
        expected = stats.betabinom(30, a, b)
        error = stats.norm.isf(ALARM / 2) * expected.std() / np.sqrt(len(ids))
        assert abs(row["patients"]["mean"] - expected.mean()) < error
        low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], len(ids), 1 - expected.pmf(0))
        assert low <= row["seen"]["value"] * len(ids) <= high
