"""Operating characteristics of virtual trials against what theory says; false-alarm rates are stated."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration import prior
from stemtrial.mechanism.schedule import Schedule
from stemtrial.trial.conduct import dropout_rate
from stemtrial.trial.replicates import Plan, simulate

ALARM = 1e-5
"""Chance that one of these tests fails although the code is right."""


@pytest.fixture(scope="module")
def found(small):
    return simulate(small, 2024, np.arange(4000))


def test_inert_cells_are_declared_better_in_half_of_alpha(found):
    """Two-sided 5 % in both directions, so 2.5 % in favour of the cells."""
    n, k = len(found["null_success"]), int(found["null_success"].sum())
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], n, 0.025)
    assert low <= k <= high


def test_the_estimate_under_no_effect_is_unbiased(found):
    estimate = found["null_estimate"]
    z = estimate.mean() / (estimate.std() / np.sqrt(len(estimate)))
    assert abs(z) < stats.norm.isf(ALARM / 2)


def test_the_estimate_is_the_true_contrast_on_average(found):
    """Rescue and the ends of the scale take off a little: less than 0.5 points here."""
    difference = found["estimate"] - found["specific"] - found["contextual"]
    error = stats.norm.isf(ALARM / 2) * difference.std() / np.sqrt(len(difference))
    assert abs(difference.mean()) < 0.5 + error
    assert found["specific"].mean() < -0.5


def test_standard_error_is_the_spread_of_the_estimate(found):
    """Coverage of the 95 % interval for the null twin's expectation of zero."""
    ratio = found["null_estimate"].std() / found["se"].mean()
    assert 0.9 < ratio < 1.1


def test_dropout_has_the_declared_rate(plan):
    replicates = np.arange(60)
    cast = plan.cast("saline", 9, replicates)
    record = plan.follow(cast, plan.schedules["saline"], prior.draw(9, replicates))
    n, lost = record.present[-1].size, int((~record.present[-1]).sum())
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], n, 0.12)
    assert low <= lost <= high
    assert np.isclose(1 - np.exp(-12 * dropout_rate(plan.trial.conduct)), 0.12)


def test_an_arm_that_gets_nothing_falls_back_by_the_regression_to_the_mean_alone(plan):
    data = plan.trial.model_dump(mode="json")
    data["conduct"]["rescue_analgesia"] = None
    untreated = Plan.of(type(plan.trial).model_validate(data))
    replicates = np.arange(300)
    constants = prior.draw(4, replicates)
    cast = untreated.cast("saline", 4, replicates)
    record = untreated.follow(cast, Schedule(()), constants)
    change = (record.readings["VAS"][0] - record.baseline["VAS"]).mean(axis=1)
    from stemtrial.population.patients import enrol

    expected = -enrol(cast.people, constants, autologous=False).regression_to_mean
    difference = change - expected
    z = difference.mean() / (difference.std() / np.sqrt(len(difference)))
    assert abs(z) < stats.norm.isf(ALARM / 2) + 3  # clipping at the ends of the scale adds a little bias
    assert expected.mean() < -1


def under(plan, estimand):
    data = plan.trial.model_dump(mode="json")
    data["question"]["estimand"] = estimand
    return Plan.of(type(plan.trial).model_validate(data))


def test_estimands_order_the_improvement_of_an_arm(plan):
    """The same patients improve most with rescue counted, less without rescue, least if rescue counts as failure."""
    replicates = np.arange(40)
    found = {
        e: simulate(under(plan, e), 3, replicates) for e in ("treatment_policy", "hypothetical", "composite")
    }
    change = {e: r["saline/change"][:, -1].mean() for e, r in found.items()}
    assert change["treatment_policy"] < change["hypothetical"] < change["composite"] < 0
    assert found["hypothetical"]["saline/rescued"].sum() == 0
    assert (found["composite"]["saline/rescued"] == found["treatment_policy"]["saline/rescued"]).all()


def test_composite_counts_rescued_patients_as_not_improved(plan):
    replicates = np.arange(5)
    composite = under(plan, "composite")
    record = composite.follow(
        composite.cast("saline", 3, replicates), composite.schedules["saline"], prior.draw(3, replicates)
    )
    outcome, baseline = composite.reading(record, 4)
    rescued = record.rescued[4]
    assert rescued.any()
    assert (outcome[rescued] >= baseline[rescued]).all()
    assert (outcome[~rescued] == record.readings["VAS"][4][~rescued]).all()
