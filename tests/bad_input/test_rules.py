"""Contradictory designs: one message with line, field and what is allowed; nothing is simulated."""

import re
from pathlib import Path

import pytest

from stemtrial.documents import Document
from stemtrial.errors import InputError
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXT = (EXAMPLES / "knee_oa_cells_vs_saline.yaml").read_text(encoding="utf-8")


def problems(text: str) -> list[str]:
    """What is said of a trial file, when it is read or made ready."""
    with pytest.raises(InputError) as caught:
        Plan.of(Document.parse(text, "trial.yaml").validate(Trial))
    return [str(problem) for problem in caught.value.problems]


def with_question(line: str, **changes: str) -> str:
    text = TEXT
    for old, new in changes.items():
        assert f"{old}: " in text
        text = "\n".join(
            f"  {old}: {new}" if row.strip().startswith(f"{old}: ") else row for row in text.split("\n")
        )
    return f"{text.rstrip()}\n  {line}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("interim: {at: [0.5, 1.0], spending: pocock}", ["at[1]", "not before the end", "below 1"]),
        ("interim: {at: [0.5, 1.2], spending: pocock}", ["at[1] = 1.2", "not before the end"]),
        ("interim: {at: [0.6, 0.4], spending: pocock}", ["at[1] = 0.4", "0.01 or more after"]),
        ("interim: {at: [0.0], spending: pocock}", ["at[0] = 0.0", "out of range", "above 0"]),
        ("interim: {at: [0.5], spending: obrian}", ["spending", "vocabulary", "obrien_fleming"]),
        ("interim: {at: [0.5], spending: tabulated, alpha_spent: [0.06]}", ["alpha_spent[0]", "0.06", "below 0.05"]),
        ("interim: {at: [0.5], spending: tabulated, alpha_spent: [0.05]}", ["leaves nothing of alpha"]),
        ("interim: {at: [0.3, 0.6], spending: tabulated, alpha_spent: [0.02, 0.01]}", ["cannot be taken back"]),
        ("interim: {at: [0.5], spending: tabulated}", ["alpha_spent", "missing"]),
        ("interim: {at: [0.5], spending: pocock, alpha_spent: [0.01]}", ["no part of pocock"]),
        ("interim: {at: [0.5], spending: hwang_shih_decani}", ["gamma", "missing"]),
        ("interim: {at: [0.5], spending: pocock, gamma: 1}", ["gamma", "no part of pocock"]),
        ("interim: {at: [0.5], spending: pocock, futility: {kind: binding, z: [0]}}", ["sides: 1", "alpha: 0.025"]),
        ("hypothesis: {kind: non_inferiority, margin: -5}", ["margin = -5", "wrong sign", "without a sign"]),
        ("hypothesis: {kind: equivalence, margin: -5}", ["wrong sign"]),
        ("hypothesis: {kind: superiority, margin: -2}", ["wrong sign", "how many points better"]),
        ("hypothesis: {kind: non_inferiority, margin: 0}", ["nothing to show"]),
        ("hypothesis: {kind: non_inferiority}", ["margin", "missing"]),
        ("also_compare: [[cells, placebo]]\n  multiplicity: holm", ["placebo", "nobody is randomised"]),
        ("also_compare: [[saline, cells]]", ["multiplicity", "missing"]),
        ("also_compare: [[cells, saline]]\n  multiplicity: holm", ["asked already"]),
        ("multiplicity: holm", ["among one comparison"]),
        ("covariance: toeplitz", ["no part of ancova", "analysis: mmrm"]),
        ("also_estimands: [treatment_policy]", ["analysed already"]),
        ("dose_response: {arms: [saline, cells, saline], candidates: [{shape: linear}], target: 5}",
         ["range over doses"]),
        ("dose_response: {arms: [saline, cells, high], candidates: [{shape: emax}], target: 5}", ["ed50", "missing"]),
        ("factorial: {cells: [cells, both], exercise: [saline, all], neither: none}", ["not the arm with both"]),
    ],
)  # fmt: skip
def test_rules_that_contradict_each_other(line, words):
    said = "\n".join(problems(with_question(line)))
    for word in words:
        assert word in said, said
    assert "line 3" in said


def test_a_futility_bound_above_the_efficacy_bound():
    interim = "interim: {at: [0.5], spending: pocock, futility: {kind: binding, z: [3.0]}}"
    said = problems(with_question(interim, sides="1", alpha="0.025"))
    assert any("question.interim.futility" in p and "no efficacy bound" in p for p in said), said


def test_futility_needs_one_bound_a_look():
    interim = "interim: {at: [0.3, 0.6], spending: pocock, futility: {kind: binding, z: [0.0]}}"
    said = problems(with_question(interim, sides="1", alpha="0.025"))
    assert "2, one for each look" in said[0]


@pytest.mark.parametrize(
    "futility", ["{kind: binding}", "{kind: binding, z: [0], spending: lan_demets_of, beta: 0.2}"]
)
def test_futility_has_one_rule(futility):
    interim = f"interim: {{at: [0.5], spending: pocock, futility: {futility}}}"
    assert (
        "either bounds or a spending function"
        in problems(with_question(interim, sides="1", alpha="0.025"))[0]
    )


SHARED = "also_compare: [[saline, cells]]\n  interim: {at: [0.5], spending: pocock"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{SHARED}}}\n  multiplicity: holm", ["question.stop_when is missing", "main_decided"]),
        (f"{SHARED}}}\n  multiplicity: hochberg\n  stop_when: any_shown", ["not known to keep", "fixed_sequence"]),
        (f"{SHARED}, futility: {{kind: binding, z: [0]}}}}\n  multiplicity: holm\n  stop_when: any_shown",
         ["futility.kind", "non_binding"]),
        (f"{SHARED}, futility: {{kind: non_binding, spending: lan_demets_of, beta: 0.2}}}}\n  multiplicity: holm\n"
         "  stop_when: any_shown", ["share of alpha", "as `z`"]),
        ("interim: {at: [0.5], spending: pocock}\n  stop_when: all_decided", ["ends nothing"]),
        ("stop_when: all_decided", ["ends nothing"]),
        ("secondary: {responders: [mcid]}", ["secondary.missing", "non_responder, left_out"]),
        ("secondary: {responders: [mcid, mcid], missing: left_out}", ["asked already"]),
        ("secondary: {missing: left_out, time_to_loss: true}", ["says nothing without"]),
        ("secondary: {time_to_loss: false}", ["asks for nothing"]),
        ("secondary: {responders: [seventy_percent], missing: left_out}", ["vocabulary", "omeract_oarsi"]),
    ],
)  # fmt: skip
def test_shared_looks_and_secondary_analyses(line, words):
    said = "\n".join(problems(with_question(line, sides="1", alpha="0.025")))
    for word in words:
        assert word in said, said


def test_time_to_loss_needs_two_visits():
    text = with_question("secondary: {time_to_loss: true}")
    said = problems(re.sub(r"visits_months: .*", "visits_months: [12]", text))
    assert any("needs two visits" in p for p in said), said


def test_crossover_is_refused_with_the_reason():
    said = problems(TEXT + "layout: crossover\n")
    assert "carry over" in said[0]
    assert "parallel" in said[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  dropout_by_arm: {placebo: 0.1}", ["dropout_by_arm.placebo", "not an arm"]),
        ("  dropout_by_arm: {saline: 1.0}", ["out of range"]),
        ("  events: [{kind: surgery, pain_above: 60, by_month_12: 0.1, relief: 20}, "
         "{kind: surgery, pain_above: 70, by_month_12: 0.1, relief: 20}]", ["declared twice"]),
        ("  prices: {currency: EUR, fixed: 1, per_patient: 1, per_month: 1}", ["accrual"]),
        ("  prices: {currency: EUR, fixed: 1, per_patient: -1}", ["per_patient", "out of range"]),
        ("  prices: {currency: EUR, fixed: 1, per_patient: 1, treatment: {drug: 1}}", ["treatment.drug", "not an arm"]),
        ("  accrual: {sites: 0, opening_every_months: 1, patients_per_site_month: 1}", ["sites", "out of range"]),
        ("  leaving: {depends_on: pain, per_10_points: 1.3, at_pain: 45}", ["last_reading, current_pain"]),
    ],
)  # fmt: skip
def test_circumstances_that_make_no_sense(line, words):
    said = "\n".join(problems(TEXT.replace("conduct:\n", f"conduct:\n{line}\n")))
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("line", "n", "analysis"),
    [("interim: {at: [0.1], spending: pocock}", 10, "ancova"), ("alpha: 0.05", 4, "mmrm")],
)
def test_too_few_patients_for_the_analysis(line, n, analysis):
    text = (
        with_question(line, analysis=analysis)
        if line != "alpha: 0.05"
        else with_question("", analysis=analysis)
    )
    said = problems(text.replace("n: 120", f"n: {n}"))
    assert any("too few patients" in p and "in all" in p for p in said), said
