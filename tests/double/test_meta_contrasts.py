"""Contrasts of the shipped tables: by hand, by the Cochrane formulas, and pooled as R metafor pools them.

``fixtures/metafor/contrasts.R`` made the pooled results from the contrasts in ``contrasts_input.json``.
After a change of the tables run this file as a script, look at what moved in that file, and run the R
script again.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.evidence.contrasts import Rules, contrasts, features
from stemtrial.evidence.groups import Group, combined, observed_correlations
from stemtrial.evidence.pairwise import pool

FOLDER = Path(__file__).parent / "fixtures" / "metafor"
QUESTIONS = json.loads((FOLDER / "contrasts.json").read_text())["questions"]
GIVEN = {q["name"]: q for q in json.loads((FOLDER / "contrasts_input.json").read_text())}
RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)


@pytest.fixture(scope="module")
def evidence():
    return load()


def ask(evidence, comparator="hyaluronic_acid", month=12.0, window=(9.0, 15.0), rules=RULES, **more):
    question = {"indication": "knee_oa", "construct": "pain", **more}
    return contrasts(evidence, comparator=comparator, month=month, window=window, rules=rules, **question)


def by_trial(found):
    return {contrast.trial_id: contrast for contrast in found.found}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["name"])
def test_the_shipped_tables_pool_as_in_r(evidence, question):
    given = GIVEN[question["name"]]
    found = ask(evidence, given["comparator"], given["month"], tuple(given["window"]))
    assert found.y == pytest.approx(question["y"], abs=1e-9)
    assert found.v == pytest.approx(question["v"], abs=1e-9)
    for key, r in question["fits"].items():
        method, test = key.split("_")
        ours = pool(found.y, found.v, method=method, test=test)
        printed = {name: r[name] for name in ("estimate", "se", "tau2", "i2", "q")}
        assert {name: getattr(ours, name) for name in printed} == pytest.approx(printed, rel=1e-6, abs=1e-6)
        assert ours.ci == pytest.approx(r["ci"], rel=1e-6, abs=1e-6)
        if method != "EE":
            assert ours.prediction == pytest.approx(r["prediction"], rel=1e-6, abs=1e-6)


def test_a_plain_trial_by_hand(evidence):
    """vega_2015: VAS 0-10 at 12 months, 3.307 (2.51) against 5.093 (3.01), 15 persons a side."""
    found = by_trial(ask(evidence))["vega_2015"]
    assert found.y == pytest.approx(33.07 - 50.93)
    assert found.v == pytest.approx((25.1**2 + 30.1**2) / 15)
    assert (found.design, found.flags, found.treated.flags, found.month) == ("parallel", (), (), 12.0)


def test_combined_arms_keep_all_persons_and_their_spread(evidence):
    found = by_trial(ask(evidence))["lamoespinosa_2016"]
    assert found.treated.arms == ("msc_10m", "msc_100m")
    assert found.treated.n == 20
    assert any("combined" in flag for flag in found.treated.flags)
    rng = np.random.default_rng(1)
    parts = [rng.normal(m, s, n) for m, s, n in ((30, 10, 12), (45, 20, 9))]
    groups = [
        Group((str(i),), x.size, x.mean(), x.std(ddof=1), "follow_up", None, ("VAS",), ("r",), ())
        for i, x in enumerate(parts)
    ]
    whole = np.concatenate(parts)
    one = combined(groups)
    assert (one.n, one.mean, one.sd) == pytest.approx((21, whole.mean(), whole.std(ddof=1)))


def test_a_split_control_is_counted_once(evidence):
    split = ask(evidence, rules=replace(RULES, shared_control="split"))
    arms = [x for x in split.found if x.trial_id == "lamoespinosa_2016"]
    whole = by_trial(ask(evidence))["lamoespinosa_2016"]
    assert len(arms) == 2
    assert sum(x.control.n for x in arms) == whole.control.n
    assert sum(x.treated.n for x in arms) == whole.treated.n


def test_two_knees_of_one_person_are_paired(evidence):
    low, high = (
        by_trial(ask(evidence, "saline", rules=replace(RULES, pair_correlation=r)))["shapiro_2018"]
        for r in (0.0, 0.8)
    )
    assert low.design == high.design == "paired"
    assert high.v == pytest.approx(0.2 * low.v)
    assert any("imputed" in flag for flag in low.treated.flags)


def test_trials_without_a_spread_leave_when_asked_to(evidence):
    dropped = ask(evidence, "saline", 6.0, (5.0, 8.0), replace(RULES, missing_sd="drop"))
    assert "lee_2019" not in by_trial(dropped)
    assert dict(dropped.left_out)["lee_2019"] == "no standard deviation"


def test_change_from_baseline_uses_the_correlation(evidence):
    """lamoespinosa_2020: VAS 5.3 (1.9) to 3.5 (2.5) with cells, 5.0 (1.8) to 4.5 (2.2) without."""
    rules = replace(RULES, basis="change", correlation=0.6)
    found = by_trial(ask(evidence, "prp", rules=rules))["lamoespinosa_2020"]
    assert found.y == pytest.approx((35 - 53) - (45 - 50))
    treated = 19**2 + 25**2 - 2 * 0.6 * 19 * 25
    control = 18**2 + 22**2 - 2 * 0.6 * 18 * 22
    assert found.v == pytest.approx(treated / 24 + control / 26)
    assert found.treated.baseline_month == 0


def test_strict_rules_leave_the_other_kind_of_number_out(evidence):
    mixed = by_trial(ask(evidence))
    assert "change in place of follow-up" in mixed["ruane_2021"].treated.flags
    strict = ask(evidence, rules=replace(RULES, strict=True))
    assert dict(strict.left_out)["ruane_2021"] == "only change numbers"


def test_a_printed_difference_stands_for_its_arms(evidence):
    """freitag_2024: -2.25 (-4.47 to ...) on 0-10 at 12 months, arms not printed."""
    found = by_trial(ask(evidence, ("saline", "placebo")))["freitag_2024"]
    assert (found.design, found.treated, found.y) == ("reported", None, pytest.approx(-22.5))


def test_every_compared_trial_is_in_or_out_with_a_reason(evidence):
    found = ask(evidence)
    compared = {
        trial.trial_id
        for trial in evidence.trials
        if trial.indication == "knee_oa"
        and {"cell_therapy", "hyaluronic_acid"}
        <= {arm.intervention for arm in evidence.arms_of(trial.trial_id)}
    }
    assert set(by_trial(found)) | {trial for trial, _ in found.left_out} == compared
    assert not set(by_trial(found)) & {trial for trial, _ in found.left_out}


def test_correlation_comes_from_arms_that_print_three_spreads(evidence):
    """dorio_2021 alone does: for PRP at 1.38 months SDs 1.6, 2.4 and 2.7 of baseline, follow-up and change."""
    found = observed_correlations(evidence, "knee_oa", "pain")
    assert len(found) == 9
    assert min(abs(r - (1.6**2 + 2.4**2 - 2.7**2) / (2 * 1.6 * 2.4)) for r in found) < 1e-12
    assert all(-1 < r < 1 for r in found)


def test_features_of_arms_survive_only_where_the_arms_agree(evidence):
    combined_arms = features(evidence, by_trial(ask(evidence))["lamoespinosa_2016"])
    assert combined_arms["dose_million_cells"] is None
    assert (combined_arms["origin"], combined_arms["month"]) == ("autologous", 12.0)
    split = ask(evidence, rules=replace(RULES, shared_control="split")).found
    apart = [features(evidence, x)["dose_million_cells"] for x in split if x.trial_id == "lamoespinosa_2016"]
    assert sorted(apart) == [10.0, 100.0]
    reported = by_trial(ask(evidence, ("saline", "placebo")))["freitag_2024"]
    assert features(evidence, reported)["cell_source"] == "adipose"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"comparator": "sham_procedure"}, "no trial of cell_therapy against sham_procedure"),
        ({"indication": "hand_oa"}, "no trial of hand_oa"),
        ({"month": 100.0, "window": (90.0, 120.0)}, "no primary score"),
        ({"month": 3.0}, "first <= month <= last"),
    ],
)
def test_an_empty_question_says_what_emptied_it(evidence, more, words):
    with pytest.raises(InputError, match=words):
        ask(evidence, **more)


@pytest.mark.parametrize("field", ["correlation", "pair_correlation"])
def test_correlations_are_correlations(field):
    with pytest.raises(InputError, match=rf"{field} = 1.2"):
        replace(RULES, **{field: 1.2})


if __name__ == "__main__":
    tables = load()
    for asked in GIVEN.values():
        again = ask(tables, asked["comparator"], asked["month"], tuple(asked["window"]))
        asked.update(y=again.y, v=again.v)
    (FOLDER / "contrasts_input.json").write_text(json.dumps(list(GIVEN.values()), indent=1) + "\n")
