"""Risks against counts added by hand from the tables, and conversions against the Cochrane Handbook's formulas."""

import pytest
from scipy.stats import binomtest

from stemtrial.evidence import load
from stemtrial.evidence.benefitharm import OPTIONS, benefit_harm
from stemtrial.evidence.eventrisk import event_risks, kind_of

BASELINES = {("oral_nsaid_coxib", "major vascular event"): 10.0, ("oral_nsaid", "acute kidney injury"): 20.0}


@pytest.fixture(scope="module")
def table():
    found = benefit_harm(
        load(), indication="knee_oa", options=tuple(OPTIONS), effects={}, baselines_per_1000=BASELINES
    )
    return {row.option: row for row in found}


def line(table, option, event, treatment=None):
    return [row for row in table[option].harms if row.event == event and treatment in (None, row.treatment)]


def test_counts_of_one_band_by_hand():
    """Serious events within 1 to 6 months of own cells: kim_2023 1 of 131, lee_2019 0 of 12."""
    found = next(
        risk
        for risk in event_risks(load(), indication="knee_oa")
        if (risk.option, risk.category, risk.months) == ("cells_autologous", "serious_any", (1, 6))
    )
    exact = binomtest(1, 143).proportion_ci(method="exact")
    assert (found.events, found.persons, set(found.trials)) == (1, 143, {"kim_2023", "lee_2019"})
    assert found.per_1000 == pytest.approx(1000 / 143)
    assert found.ci == pytest.approx((1000 * exact.low, 1000 * exact.high))


def test_no_events_give_an_upper_bound(table):
    found = next(
        row
        for row in line(table, "placebo_injection", "serious_any")
        if row.time_at_risk.endswith("12 months")
    )
    assert found.value == 0
    assert found.upper_if_none == pytest.approx(1000 * (1 - 0.05 ** (1 / 54)))


def test_every_row_counts_once_in_one_band():
    risks = event_risks(load(), indication="knee_oa")
    arms = {
        (row.trial_id, row.arm_id)
        for row in load().events
        if load().trial(row.trial_id).indication == "knee_oa"
        and row.analysis_set == "primary"
        and row.category == "serious_any"
    }
    sizes = [
        max(
            row.n_at_risk
            for row in load().events
            if (row.trial_id, row.arm_id) == arm and row.category == "serious_any"
        )
        for arm in arms
    ]
    assert sum(risk.persons for risk in risks if risk.category == "serious_any") == sum(sizes)


def test_relative_numbers_stay_relative_without_a_baseline(table):
    (found,) = line(table, "hyaluronic_acid", "serious adverse event")
    assert (found.scale, found.measure, found.value, found.difference_per_1000) == (
        "relative",
        "risk ratio",
        1.39,
        None,
    )
    assert "relative; no baseline stated" in found.notes


def test_baselines_give_differences(table):
    (ratio,) = line(table, "nsaid", "major vascular event", "oral_nsaid_coxib")
    assert ratio.difference_per_1000 == pytest.approx((3.7, 1.4, 6.6))
    (odds,) = line(table, "nsaid", "acute kidney injury")
    assert odds.difference_per_1000[0] == pytest.approx(1000 * (1.73 * 0.02 / (0.98 + 1.73 * 0.02) - 0.02))


def test_units_of_absolute_rows(table):
    (addiction,) = line(table, "opioid", "addiction")
    assert (addiction.value, addiction.low, addiction.high, addiction.measure) == (
        100,
        80,
        120,
        "events per 1,000",
    )
    overdose = {row.treatment: (row.value, row.measure) for row in line(table, "opioid", "overdose")}
    assert overdose["opioid_100_mg_up"] == (18.0, "per 1,000 person-years")
    assert all(row.time_at_risk for option in table.values() for row in option.harms)


def test_local_apart_from_systemic(table):
    assert kind_of("injection_site_pain", False) == "local_or_transient"
    assert kind_of("joint_swelling", True) == "systemic_or_serious"
    assert kind_of("neoplasm", False) == "systemic_or_serious"
    assert kind_of("any_ae", False) == "unclassified"
    assert line(table, "knee_replacement", "long-term pain")[0].kind == "unclassified"
    assert line(table, "cells_donor", "joint effusion")[0].kind == "local_or_transient"


def test_donor_antibodies_and_harvest_stand_where_they_belong(table):
    assert line(table, "cells_donor", "donor-specific antibodies")
    assert not line(table, "cells_autologous", "donor-specific antibodies")
    assert not [row for row in table["cells_donor"].harms if "harvest" in row.treatment]
