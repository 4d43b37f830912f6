"""Suitability of made persons, worked out by hand from the shipped rules."""

from datetime import date
from pathlib import Path

import pytest

from stemtrial.candidate.intake import read_candidates
from stemtrial.candidate.record import Candidate
from stemtrial.candidate.rules import State
from stemtrial.candidate.suitability import suitability
from stemtrial.candidate.units import ANALYTES, score
from stemtrial.evidence import load

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY = date(2025, 6, 30)


def judged(**fields):
    return suitability(Candidate.model_validate({"indication": "knee_oa"} | fields), load(), DAY)


def state_of(found, trial):
    return next(each.state for each in found.trials if each.trial == trial)


def example(name):
    (intake,) = read_candidates(EXAMPLES / f"candidate_{name}.yaml", date(2025, 7, 1))
    return suitability(intake.record, load(), intake.assessed)


# ---- units: pairs as the sources print them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analyte", "text", "value"),
    [
        ("hba1c", "48 mmol/mol", 6.54),  # 6.5, 7.0 and 9.0 in the table of NGSP, which rounds
        ("hba1c", "53 mmol/mol", 7.00),
        ("hba1c", "75 mmol/mol", 9.01),
        ("hba1c", "8.5 %", 8.5),
        ("creatinine", "176.8 µmol/L", 2.0),
        ("creatinine", "88.42 umol/l", 1.0),
        ("alt", "1.67 ukat/L", 100.2),
        ("ast", "31 IU/L", 31.0),
        ("height", "1.78 m", 178.0),
        ("height", "70 in", 177.8),
        ("weight", "200 lb", 90.72),
        ("bmi", "30.5 kg/m²", 30.5),
    ],
)
def test_quantities_are_converted(analyte, text, value):
    assert ANALYTES[analyte].read(text) == pytest.approx(value, rel=2e-3)


def test_scores_keep_their_range():
    assert (score("6/10"), score("6.5 / 10"), score("58/100"), score("0/10")) == (60, 65, 58, 0)


# ---- single trials ------------------------------------------------------------------------------------------------


def test_body_mass_index_is_held_against_every_limit():
    found = judged(bmi=33.2)
    (failing,) = found.failing
    assert (failing.value, failing.limits) == (33.2, (30.0, 30.5))
    assert failing.trials == ("Alnajar 2017", "Zhao 2019", "Kuah 2018")
    assert "BMI 33.2 kg/m², limits 30 and 30.5" in found.finding
    assert judged(bmi=19.0).failing[0].limits == (20.0,)
    assert not judged(bmi=29.9).failing


def test_publication_and_registry_record_of_one_trial_are_one():
    found = judged(kl_grade=4, age=70)
    (miles,) = [trial for trial in found.trials if "nct03818737" in trial.reference_ids]
    assert miles.reference_ids == ("mautner_2023", "nct03818737")
    assert (miles.state, miles.met, miles.unknown) == (State.MET, 2, 0)
    assert state_of(judged(kl_grade=2, age=39), "mautner_2023") is State.NOT_MET
    assert len(found.trials) == 7


def test_a_trial_fails_on_one_rule_whatever_is_unknown_and_is_open_until_all_are_known():
    assert state_of(judged(), "kim_2023") is State.UNKNOWN
    assert state_of(judged(bmi=36), "kim_2023") is State.NOT_MET
    known = ["rheumatoid_arthritis", "crystal_arthritis", "septic_arthritis", "other_inflammatory_arthritis",
             "pregnant", "breastfeeding", "planning_pregnancy"]  # fmt: skip
    assert state_of(judged(bmi=30, absent=known), "kim_2023") is State.MET
    assert state_of(judged(bmi=30, sex="male", absent=known[:4]), "kim_2023") is State.MET
    assert state_of(judged(bmi=30, absent=known[1:]), "kim_2023") is State.UNKNOWN


def test_every_count_adds_up():
    found = judged(bmi=33.2, present=["malignancy"])
    for trial in found.trials:
        own = [rule for rule in found.rules if rule.reference_id in trial.reference_ids]
        assert (trial.met + trial.not_met + trial.unknown) == len(own)
    assert sum(found.count(state) for state in State) == len(found.trials)


# ---- hard stops ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "finding", ["malignancy", "local_infection", "pregnant", "allergy_to_culture_components"]
)
def test_absolute_contraindications_stop(finding):
    assert judged(present=[finding]).stopped
    assert not judged(absent=[finding]).stopped
    assert not judged().stopped  # unknown is no stop, and is asked for
    assert finding in {field for missing in judged().missing if missing.hard_stop for field in missing.fields}


def test_past_malignancy_stays_open_where_the_rule_gives_no_look_back():
    found = judged(present=["previous_malignancy"], absent=["malignancy"])
    states = {rule.reference_id: rule.state for rule in found.rules if rule.criterion == "malignancy"}
    assert states["nct05751564"] is State.NOT_MET
    assert {states[name] for name in ("sadri_2023", "alnajar_2017", "zhao_2019")} == {State.UNKNOWN}
    assert not found.stopped


# ---- time and change ----------------------------------------------------------------------------------------------


def test_wash_out_ends_on_a_day():
    given = [{"substance": "corticosteroid", "site": "index", "date": "2025-04-24"}]
    found = judged(injections=given, absent=["systemic_corticosteroid"])
    failing = {each.name: dict(each.met_on) for each in found.failing}
    assert failing["months_since_ia_injection"]["Zhao 2019"] == date(2025, 7, 25)
    assert failing["months_since_ia_injection"]["Alnajar 2017"] == date(2025, 10, 24)
    assert failing["months_since_steroid_or_ha"]["NCT05751564"] == date(2025, 10, 24)
    later = suitability(
        Candidate.model_validate({"indication": "knee_oa", "injections": given}), load(), date(2025, 10, 24)
    )
    assert not [each for each in later.failing if each.name == "months_since_ia_injection"]


def test_pain_comes_to_last_long_enough():
    (failing,) = [each for each in judged(pain_months=4.0).failing if each.name == "pain_months"]
    (_, day), *_ = failing.met_on
    assert 2 / 12 * 365 - 1 <= (day - DAY).days <= 2 / 12 * 366 + 2


def test_what_may_change_and_what_will_not():
    found = {each.name: each for each in judged(hba1c="9.1 %", kl_grade=4, bmi=31.0).failing}
    assert "diabetes" in found["hba1c"].change
    assert "weight" in found["bmi"].change
    assert found["kl_grade"].change is None
    assert not any(each.met_on for each in found.values())


def test_an_incomplete_history_can_only_exclude():
    old = [{"substance": "hyaluronic_acid", "site": "index", "date": "2021-01-01"}]
    recent = [{"substance": "hyaluronic_acid", "site": "unknown_side", "date": "2025-06-01"}]

    def states(**fields):
        return {r.state for r in judged(**fields).rules if "months_since_ia_injection" in r.rule}

    assert states(injections=[]) == states(injections=old) == {State.MET}
    assert states() == states(injections=old, history_complete=False) == {State.UNKNOWN}
    assert states(injections=recent, history_complete=False) == {State.NOT_MET}
    open_ended = judged(injections=recent, history_complete=False).failing[0]
    assert (open_ended.met_on, open_ended.change) == ((), "with time, if nothing is added")
    assert states(injections=[{"substance": "prp", "site": "elsewhere", "date": "2025-06-01"}]) == {State.MET}
    assert states(injections=[{"substance": "prp", "site": "index"}]) == {State.UNKNOWN}


def test_a_leg_deviates_to_one_side():
    def rule(**fields):
        return next(r for r in judged(**fields).rules if r.rule.startswith("exclude_if valgus_deg"))

    assert rule(varus_deg=4).state is State.MET
    assert rule(varus_deg=6).against == (("varus_deg", 5.0),)
    assert rule(varus_deg=0).state is State.UNKNOWN


# ---- discs --------------------------------------------------------------------------------------------------------


def test_discs_have_their_own_rules():
    found = suitability(
        Candidate.model_validate(
            {
                "indication": "disc_degeneration", "age": 44, "pain": "7/10", "leg_pain": "4/10", "pain_months": 30,
                "function": "ODI 42/100", "modified_pfirrmann": 8, "pfirrmann": 4, "modic": 3,
            }
        ),
        load(),
        DAY,
    )  # fmt: skip
    assert {trial.trial for trial in found.trials} == {
        "brtx100_p2",
        "gornet_2024",
        "nct06325566",
        "matrilin_2023",
    }
    assert "NCT04042844" in {trial.label for trial in found.trials}
    failing = {each.name: each.limits for each in found.failing}
    assert failing == {"modified_pfirrmann": (7.0,), "modic": (2.0, 3.0), "leg_pain": ()}
    odi = [rule.state for rule in found.rules if rule.criterion == "disability"]
    assert odi == [State.MET, State.MET]
    womac = Candidate.model_validate({"indication": "disc_degeneration", "function": "WOMAC_function 30/68"})
    states = [r.state for r in suitability(womac, load(), DAY).rules if r.criterion == "disability"]
    assert states == [State.UNKNOWN, State.UNKNOWN]


# ---- shipped examples ---------------------------------------------------------------------------------------------


def test_the_worked_candidates_are_what_they_are_called():
    trial, stop, out = example("trial"), example("hard_stop"), example("out_of_range")
    assert trial.count(State.MET) == len(trial.trials)
    assert not trial.missing
    assert stop.stopped
    assert out.count(State.NOT_MET) == 6
    assert not out.stopped
    for found in (trial, stop, out):
        assert [flag.criterion for flag in found.flags] == ["approved_product_or_trial"]
        assert found.to_dict()["finding"] == found.finding
