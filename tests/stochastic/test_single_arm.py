"""A single-arm trial shows its counterfactual and tests its goal as a t test does; what needs two arms refuses it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from stemtrial.calibration.belief import Prior
from stemtrial.cli import app
from stemtrial.documents import Document
from stemtrial.errors import InputError
from stemtrial.trial.plan import Plan
from stemtrial.trial.protocol import Trial
from stemtrial.trial.singlearm import COUNTERFACTUAL, STATEMENT, SingleArmTrial
from stemtrial.trial.singlearmrun import simulate

FILE = Path(__file__).parents[1] / "fixtures" / "single_arm.yaml"
TEXT = FILE.read_text(encoding="utf-8")
SEED, IDS = 3, np.arange(12)


@pytest.fixture(scope="module")
def trial() -> SingleArmTrial:
    return SingleArmTrial.read(FILE)


@pytest.fixture(scope="module")
def plan(trial) -> Plan:
    return Plan.of(trial.against_inert(), known=Prior())  # whose cells always act


@pytest.fixture(scope="module")
def results(trial, plan):
    return simulate(trial, plan, SEED, IDS)


def test_counterfactual_is_the_same_patients_with_an_inert_injection(plan, results):
    assert (results["cells/contextual"] == results[f"{COUNTERFACTUAL}/contextual"]).all()
    assert (results[f"{COUNTERFACTUAL}/cells"] == 0).all()
    apart = results["cells/specific"] - results[f"{COUNTERFACTUAL}/specific"]
    assert np.allclose(results["cells/cells"], apart, atol=1e-9)
    assert (results["cells/cells"] < 0).all()
    assert list(plan.schedules) == [COUNTERFACTUAL, "cells"]


def test_a_replicate_alone_is_the_one_of_the_run(trial, plan, results):
    alone = simulate(trial, plan, SEED, np.array([7]))
    assert all(alone[k][0].tobytes() == results[k][7].tobytes() for k in results)


def test_goal_is_tested_by_a_t_test_of_one_sample(trial, plan, results):
    """Against SciPy, on the readings of each replicate's patients."""
    kept = []
    simulate(trial, plan, SEED, IDS, lambda ids, casts, records: kept.append((casts, records)))
    ((casts, records),) = kept
    assert list(records) == ["cells"]
    record, pain = records["cells"], casts["cells"].people.covariates.pain
    for r in IDS:
        here = record.present[2, r]
        change = record.readings["VAS"][2, r][here] - pain[r][here]
        test = stats.ttest_1samp(change, -10.0, alternative="less")
        assert results["estimate"][r] == pytest.approx(change.mean(), abs=1e-9)
        assert results["se"][r] == pytest.approx(stats.sem(change), rel=1e-9)
        assert results["met"][r] == (test.pvalue < 0.025)
    assert set(results["met"].tolist()) == {False, True}


def test_without_a_goal_nothing_is_tested(trial, plan):
    plain = trial.model_copy(update={"question": trial.question.model_copy(update={"goal": None})})
    assert not [k for k in simulate(plain, plan, SEED, IDS[:2]) if k.endswith("met")]


def test_a_trial_that_everybody_leaves_has_no_result(trial, plan):
    cast = plan.cast("cells", SEED, IDS[:2])
    record = plan.follow(cast, plan.schedules["cells"], plan.belief.draw(SEED, IDS[:2]))
    from stemtrial.trial.singlearmrun import change

    nobody = change(plan, replace(record, present=np.zeros_like(record.present)))
    assert np.isnan(nobody.estimate).all()
    assert (nobody.df == 0).all()


@pytest.mark.parametrize(
    ("treatments", "inert"),
    [
        ("- corticosteroid: {at_months: [0, 3]}", ["saline in months 0, 3"]),
        ("- nsaid: {from_month: 0, to_month: 6}", ["usual care"]),
    ],
)
def test_counterfactual_of_other_treatments(treatments, inert):
    start, end = TEXT.index("      - cells:"), TEXT.index("visits_months")
    trial = Document.parse(TEXT[:start] + f"      {treatments}\n" + TEXT[end:]).validate(SingleArmTrial)
    assert [str(t) for t in trial.against_inert().arms[COUNTERFACTUAL].treatments] == inert


def test_what_is_given_beside_cells_stays_in_the_counterfactual():
    added = "      - exercise: {from_month: 0, to_month: 3}\n      - saline: {at_months: [6]}\nvisits_months"
    trial = Document.parse(TEXT.replace("visits_months", added, 1)).validate(SingleArmTrial)
    saline, exercise = trial.against_inert().arms[COUNTERFACTUAL].treatments
    assert saline.at_months == (0, 6)
    assert exercise.name == "exercise"


@pytest.mark.parametrize(
    ("old", "new", "field", "what"),
    [
        ("blinding: open", "blinding: double", "blinding", "not in the vocabulary"),
        ("month: 12}", "month: 9}", "question.endpoint.month", "is not a visit"),
        ("improvement: 10", "improvement: -10", "question.goal.improvement", "out of range"),
        (
            "  cells:\n    n",
            "  inert_injection:\n    n",
            "arms.inert_injection",
            "name of the counterfactual",
        ),
        (
            "conduct:\n",
            "conduct:\n  unblinding: {share: 0.2, points: 4}\n",
            "conduct.unblinding",
            "nobody is blind",
        ),
        ("sides: 2", "sides: 2\n  analysis: ancova", "question.analysis", "not a known field"),
        (
            "at_months: [0]",
            "at_months: [12]",
            "arms.cells.treatments[0].cells.at_months[0]",
            "is not observed",
        ),
    ],
)
def test_faults_of_a_single_arm_file(old, new, field, what):
    with pytest.raises(InputError) as caught:
        Document.parse(TEXT.replace(old, new), "one.yaml").validate(SingleArmTrial)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert what in str(problem)
    assert problem.line is not None


def test_what_needs_a_comparator_refuses_in_one_sentence():
    with pytest.raises(InputError) as caught:
        Trial.read(FILE)
    (problem,) = caught.value.problems
    assert problem.field == "arms"
    assert "has one arm" in problem.what


def test_commands_on_a_single_arm_file(tmp_path):
    run, runner = tmp_path / "run", CliRunner()

    def stemtrial(*words, fails=False):
        found = runner.invoke(app, [str(word) for word in words])
        assert (found.exit_code != 0) == fails, found.output
        return " ".join(found.output.split()) if not fails else str(found.exception)

    printed = stemtrial(
        "simulate", FILE, "--replicates", 20, "--seed", 1, "--out", run, "--workers", 1, "--patients"
    )
    assert STATEMENT in printed
    assert "if what is studied does nothing" in printed
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["statement"] == STATEMENT
    assert list(summary["arms"]) == [COUNTERFACTUAL, "cells"]
    assert not {"power", "assurance", "contrast", "type_one_error"} & summary.keys()
    assert summary["goal"]["met"]["value"] >= summary["goal"]["met_though_inert"]["value"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert STATEMENT in page
    assert page.index("inert injection") < page.index("as the trial sees it")
    (run / "report.html").unlink()
    stemtrial("report", run)
    assert (run / "report.html").read_text(encoding="utf-8") == page
    assert "valid single-arm trial" in stemtrial("check", FILE)
    assert json.loads(runner.invoke(app, ["check", str(FILE), "--json"]).output)["kind"] == "single_arm_trial"
    for words in (
        ("design", FILE, "--target", 0.8, "--seed", 1, "--replicates", 50),
        ("export", run, "--out", tmp_path / "adam", "--format", "parquet"),
    ):
        assert "has one arm" in stemtrial(*words, fails=True)
