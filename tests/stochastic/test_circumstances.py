"""Leaving, intercurrent events, recruitment, multiplicity and dose-ranging keep their declared rates and levels."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration import prior
from stemtrial.trial.circumstances import Accrual
from stemtrial.trial.conduct import INSTRUMENTS, ArmRecord
from stemtrial.trial.doseresponse import Range, mcp_mod
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate
from stemtrial.trial.sharing import ADJUST
from stemtrial.trial.timing import entries, order

ALARM = 1e-6
"""Chance that one assertion of these tests fails although the code is right."""


def changed(
    plan: Plan, conduct: dict | None = None, question: dict | None = None, arms: dict | None = None
) -> Plan:
    data = plan.trial.model_dump(mode="json")
    data["conduct"] |= conduct or {}
    data["question"] |= question or {}
    data["arms"] |= arms or {}
    return Plan.of(Trial.model_validate(data))


def followed(plan: Plan, arm: str = "saline", replicates: int = 60) -> ArmRecord:
    ids = np.arange(replicates)
    return plan.follow(plan.cast(arm, 9, ids), plan.schedules[arm], prior.draw(9, ids))


def binomial(count: int, n: int, expected: float) -> bool:
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], n, expected)
    return bool(low <= count <= high)


def test_dropout_by_arm(plan):
    other = changed(plan, {"dropout_by_arm": {"cells": 0.3}})
    for arm, share in (("saline", 0.12), ("cells", 0.3)):
        left = ~followed(other, arm).present[-1]
        assert binomial(int(left.sum()), left.size, share)


@pytest.mark.parametrize("depends_on", ["last_reading", "current_pain"])
def test_leaving_with_pain_takes_the_patients_in_pain(plan, depends_on):
    """At a factor of 1 nothing changes; above it, those who leave hurt more, and more so than by chance."""
    rule = {"depends_on": depends_on, "per_10_points": 1.0, "at_pain": 50.0}
    plain, same = followed(plan), followed(changed(plan, {"leaving": rule}))
    assert (plain.present == same.present).all()
    steep = followed(changed(plan, {"leaving": rule | {"per_10_points": 2.0}}))
    left = ~steep.present[-1]
    assert steep.pain[-1][left].mean() > steep.pain[-1][~left].mean() + 3
    assert (steep.readings["VAS"] == plain.readings["VAS"]).all() or plan.trial.conduct.rescue_analgesia


def test_dropout_not_at_random_biases_and_dropout_by_chance_does_not(plan):
    """Only the arm with more pain loses its worst patients: the estimate of an inert treatment moves."""
    ids = np.arange(400)
    rule = {"depends_on": "current_pain", "per_10_points": 3.0, "at_pain": 45.0}
    heavy = {"dropout_by_month_12": 0.01, "dropout_by_arm": {"saline": 0.4}, "rescue_analgesia": None}
    by_chance = simulate(changed(plan, heavy), 2, ids)
    by_pain = simulate(changed(plan, heavy | {"leaving": rule}), 2, ids)
    for found, biased in ((by_chance, False), (by_pain, True)):
        difference = found["typical_estimate"] - found["typical_complete"]
        z = difference.mean() / (difference.std() / np.sqrt(len(ids)))
        assert (abs(z) > 6) == biased


def test_an_event_has_its_rate_and_its_relief(plan):
    """Every patient is above the level 0, so the share by month 12 is the declared one."""
    event = {"kind": "surgery", "pain_above": 0.0, "by_month_12": 0.2, "relief": 15.0}
    without = changed(plan, {"rescue_analgesia": None})
    having = changed(plan, {"rescue_analgesia": None, "events": [event]})
    plain, found = followed(without), followed(having)
    happened = found.events["surgery"]
    above = (found.readings["VAS"] > 0).all(axis=0)
    assert binomial(int(happened[-1][above].sum()), int(above.sum()), 0.2)
    assert (happened[1:] | ~happened[:-1]).all()
    assert np.allclose(found.pain, plain.pain - 15 * happened)


def test_relief_of_an_event_that_lasts(plan):
    event = {
        "kind": "prohibited_injection",
        "pain_above": 0.0,
        "by_month_12": 0.5,
        "relief": 10.0,
        "lasting_months": 3.0,
    }
    found = followed(changed(plan, {"rescue_analgesia": None, "events": [event]}))
    plain = followed(changed(plan, {"rescue_analgesia": None}))
    relieved = np.isclose(plain.pain - found.pain, 10.0)
    happened = found.events["prohibited_injection"]
    assert (happened | ~relieved).all()
    # Happened by month 6, over by month 12; happened between month 9 and 12, not over by then.
    assert not relieved[-1][happened[2]].any()
    assert relieved[-1][happened[-1] & ~happened[-2]].all()


def test_while_on_treatment_keeps_the_reading_before_the_event(plan):
    other = changed(plan, question={"estimand": "while_on_treatment"})
    record = followed(other, replicates=20)
    outcome, _ = other.reading(record, 4)
    rescued, readings = record.rescued, record.readings["VAS"]
    assert rescued[4].any()
    first = np.argmax(rescued, axis=0)
    expected = np.where(
        rescued[4], np.take_along_axis(readings, np.maximum(first - 1, 0)[None], axis=0)[0], readings[4]
    )
    assert (outcome == expected).all()
    seen = other.seen(record, 4)
    assert (seen[~rescued[4]] == record.present[4][~rescued[4]]).all()
    assert seen[rescued[4]].all()


def test_estimands_beside_the_main_one_are_those_of_runs_of_their_own(plan):
    ids = np.arange(12)
    others = ["hypothetical", "composite", "while_on_treatment"]
    beside = simulate(changed(plan, question={"also_estimands": others}), 3, ids)
    for estimand in others:
        alone = simulate(changed(plan, question={"estimand": estimand}), 3, ids)
        for prefix in ("", "null_", "typical_"):
            assert (alone[f"{prefix}estimate"] == beside[f"{estimand}/{prefix}estimate"]).all()
            assert (alone[f"{prefix}success"] == beside[f"{estimand}/{prefix}success"]).all()
        assert (alone["typical_complete"] == beside[f"{estimand}/typical_complete"]).all()


def test_recruitment_is_a_poisson_process_of_the_open_sites():
    """Eight sites opening every half month, 2 patients a month each: counts by month 2 and 10 against their means."""
    found = entries(
        Accrual(sites=8, opening_every_months=0.5, patients_per_site_month=2.0), 200, 1, np.arange(2000)
    )
    assert (np.diff(found, axis=1) > 0).all()
    for month, mean in ((2.0, 2 * (2 + 1.5 + 1 + 0.5)), (10.0, 2 * sum(10 - 0.5 * j for j in range(8)))):
        counts = (found <= month).sum(axis=1)
        assert abs(counts.mean() - mean) < stats.norm.isf(ALARM / 2) * np.sqrt(mean / len(counts))
        ratio = counts.var() / mean
        assert abs(ratio - 1) < stats.norm.isf(ALARM / 2) * np.sqrt(2 / len(counts)) * 1.1


def test_arms_fill_in_proportion():
    place = order({"a": 30, "b": 60, "c": 10})
    assert sorted(np.concatenate(list(place.values())).tolist()) == list(range(100))
    for first in (10, 37, 80):
        assert [round(first * share) for share in (0.3, 0.6, 0.1)] == pytest.approx(
            [(p < first).sum() for p in place.values()], abs=1
        )


def test_duration_and_cost_of_a_trial_that_cannot_stop(plan):
    other = changed(
        plan,
        {"accrual": {"sites": 4, "opening_every_months": 0.0, "patients_per_site_month": 5.0},
         "prices": {"currency": "EUR", "fixed": 1000.0, "per_patient": 10.0, "per_month": 5.0,
                    "treatment": {"cells": 3.0}}},
    )  # fmt: skip
    found = simulate(other, 1, np.arange(50))
    entry = entries(other.trial.conduct.accrual, 240, 1, np.arange(50))
    assert np.allclose(found["duration"], entry[:, -1] + 12)
    assert np.allclose(found["cost"], 1000 + 10 * 240 + 3 * 120 + 5 * found["duration"])


def test_patients_are_randomised_until_the_look(plan):
    """Fast recruitment: all are in before the first look, so stopping there saves nobody; slow recruitment saves."""
    interim = {"interim": {"at": [0.5], "spending": "pocock", "futility": {"kind": "non_binding", "z": [2.1]}},
               "sides": 1, "alpha": 0.025}  # fmt: skip
    for pace, least, most in ((50.0, 240, 240), (0.5, 121, 200)):
        accrual = {"sites": 10, "opening_every_months": 0.0, "patients_per_site_month": pace}
        found = simulate(changed(plan, {"accrual": accrual}, interim), 1, np.arange(20))
        stopped = found["look"] == 0
        assert stopped.mean() > 0.5
        assert (found["randomised"][stopped] >= least).all()
        assert (found["randomised"][stopped] <= most).all()


@pytest.mark.parametrize("procedure", ADJUST)
def test_several_comparisons_keep_the_familywise_error(plan, procedure):
    """Three inert products against one comparator, all truly equal: at most 2.5 % of trials show any."""
    arms = {
        name: plan.trial.model_dump(mode="json")["arms"]["cells"] | {"n": 20} for name in ("cells", "b", "c")
    }
    arms["saline"] = plan.trial.model_dump(mode="json")["arms"]["saline"] | {"n": 20}
    question = {"also_compare": [["b", "saline"], ["c", "saline"]], "multiplicity": procedure}
    found = simulate(changed(plan, question=question, arms=arms), 5, np.arange(600))
    false = int(found["null_rejected"].any(axis=1).sum())
    assert false <= stats.binom.ppf(1 - ALARM, 600, 0.025)
    assert (found["success"] == found["rejected"][:, 0]).all()
    if procedure == "fixed_sequence":
        assert (found["rejected"][:, 0] | ~found["rejected"][:, 1:].any(axis=1)).all()


def ranging(plan: Plan) -> Plan:
    cells = plan.trial.model_dump(mode="json")["arms"]["cells"]["treatments"][0]["cells"]
    arms = {
        name: {"n": 50, "treatments": [{"cells": cells | {"dose_million": dose}}]}
        for name, dose in (("cells", 100.0), ("low", 10.0), ("mid", 40.0))
    }
    arms["saline"] = {"n": 50, "treatments": [{"saline": {"at_months": [0]}}]}
    sigmoid = {"shape": "sigmoid", "ed50": 40.0, "hill": 3.0}
    candidates = [{"shape": "linear"}, {"shape": "emax", "ed50": 15.0}, sigmoid]
    asked = {"arms": ["saline", "low", "mid", "cells"], "target": 5.0, "candidates": candidates}
    return changed(plan, question={"dose_response": asked}, arms=arms)


@pytest.mark.parametrize(("largest", "shown"), [(0.0, 0.025), (14.0, None)])
def test_dose_response_of_normal_arms_keeps_its_level_and_picks_the_right_dose(plan, largest, shown):
    """Emax response with half-effect dose 10 and SD 15; the smallest dose with 5 points is then the lowest."""
    other = ranging(plan)
    rng, visits, n = np.random.default_rng(8), len(plan.trial.visits_months), 4000
    given = Range.of(other.trial)
    records = []
    for dose in given.doses:
        readings = np.zeros((visits, n, 50))
        readings[-1] = rng.normal(60 - largest * dose / (dose + 10), 15, (n, 50))
        nothing, baseline = np.zeros((visits, n, 50), bool), rng.normal(60, 10, (n, 50))
        records.append(
            ArmRecord(
                dict.fromkeys(INSTRUMENTS, baseline),
                dict.fromkeys(INSTRUMENTS, readings),
                ~nothing,
                nothing,
                readings,
                readings,
                readings[:1],
                baseline,
            )
        )
    found = mcp_mod(other, records)
    successes = (found["z"] > given.critical).any(axis=1)
    if shown is not None:
        assert binomial(int(successes.sum()), n, shown)
        assert (found["picked"][~successes] == -1).all()
    else:
        assert successes.mean() > 0.9
        assert np.bincount(found["picked"] + 1, minlength=5).argmax() == 2
        error = stats.norm.isf(ALARM / 2) * found["improvement"].std(axis=0) / np.sqrt(n)
        truth = largest * np.array(given.doses) / (np.array(given.doses) + 10)
        assert (np.abs(found["improvement"].mean(axis=0) - truth) <= error).all()


def test_factorial_effects_are_the_contrasts_of_four_arms(plan):
    data = plan.trial.model_dump(mode="json")["arms"]
    exercise = {"exercise": {"from_month": 0, "to_month": 6}}
    arms = {
        "saline": data["saline"] | {"n": 30}, "cells": data["cells"] | {"n": 30},
        "exercise": {"n": 30, "treatments": [*data["saline"]["treatments"], exercise]},
        "both": {"n": 30, "treatments": [*data["cells"]["treatments"], exercise]},
    }  # fmt: skip
    asked = {"cells": ["cells", "both"], "exercise": ["exercise", "both"], "neither": "saline"}
    for analysis in ("ancova", "mmrm"):
        other = changed(plan, {"dropout_by_month_12": 0.0}, {"factorial": asked, "analysis": analysis}, arms)
        found = simulate(other, 4, np.arange(150))
        effects = found["factorial/estimates"]
        assert effects.shape == (150, 3)
        assert effects[:, 0].mean() < -0.5
        assert np.isfinite(effects).all()
        if analysis == "ancova":
            first = effects
    assert np.allclose(first, effects, atol=1e-8)  # on complete data both analyses are the same


def test_loss_of_blinding_moves_what_is_reported_and_the_type_one_error(plan):
    """A quarter knows: their readings move, the pain behind them does not, and inert cells are declared better more."""
    lost = {"unblinding": {"share": 0.25, "points": 8.0}, "rescue_analgesia": None}
    blind, told = changed(plan, {"rescue_analgesia": None}), changed(plan, lost)
    for arm, sign in (("saline", 1), ("cells", -1)):
        before, after = followed(blind, arm, 20), followed(told, arm, 20)
        assert (before.pain == after.pain).all()
        moved = after.readings["VAS"] - before.readings["VAS"]
        inside = (before.readings["VAS"] > 8) & (before.readings["VAS"] < 92)
        knows = np.isclose(moved, sign * 8.0)
        assert (knows | np.isclose(moved, 0) | ~inside).all()
        assert binomial(int((knows & inside)[0].sum()), int(inside[0].sum()), 0.25)
    ids = np.arange(300)
    found = simulate(told, 6, ids)["null_success"].mean() - simulate(blind, 6, ids)["null_success"].mean()
    assert found > 0.1
