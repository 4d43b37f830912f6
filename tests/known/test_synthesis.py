"""The synthesis record: what enters, what does not, and that nothing gets lost between steps."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stemtrial.errors import InputError, NotCredibleError
from stemtrial.evidence import load
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.metaanalysis import analyse, important_difference
from stemtrial.evidence.metarecord import Choices
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.plain import document, plain
from stemtrial.evidence.rating import rate
from stemtrial.evidence.scope import Scope, judged, label, within

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)
CHOICES = Choices(method="REML", test="knha", prediction="test", level=0.95, rules=RULES)


@pytest.fixture(scope="module")
def evidence():
    return load()


def ask(evidence, comparator=("hyaluronic_acid",), month=12.0, window=(9.0, 15.0), choices=CHOICES, **more):
    scoped = {k: more.pop(k) for k in list(more) if k in Scope.__dataclass_fields__}
    scope = Scope(indication="knee_oa", comparator=comparator, **scoped)
    return analyse(evidence, scope=scope, outcome="pain", month=month, window=window, choices=choices, **more)


def test_stages_shrink_and_every_compared_trial_is_in_or_out(evidence):
    found = ask(evidence)
    trials = [set(stage.trials) for stage in found.stages]
    assert all(later <= earlier for earlier, later in pairwise(trials))
    used = {study.contrast.trial_id for study in found.studies}
    out = {trial for trial, _ in found.left_out}
    assert not used & out
    assert used | out == trials[-2]
    assert used == trials[-1]
    rows = found.rows
    assert rows.used <= rows.in_window <= rows.primary_scores <= rows.of_the_outcome


def test_leaving_a_study_out_is_pooling_the_others(evidence):
    found = ask(evidence)
    y, v = np.array(found.y), np.array(found.v)
    for i, (study, variant) in enumerate(zip(found.studies, found.left_one_out, strict=True)):
        keep = np.arange(len(y)) != i
        again = pool(y[keep], v[keep], method="REML", test="knha")
        assert variant.name == f"without {study.label}"
        assert variant.pooled.estimate == pytest.approx(again.estimate, abs=1e-12)


def test_filters_narrow_the_treated_arms(evidence):
    expanded = ask(evidence, product=("culture_expanded",))
    arms = [evidence.arm(s.contrast.trial_id, a) for s in expanded.studies for a in s.contrast.arms]
    assert {arm.product for arm in arms} == {"culture_expanded"}
    assert {s.contrast.trial_id for s in expanded.studies} < {
        s.contrast.trial_id for s in ask(evidence).studies
    }


def test_a_filter_does_not_change_the_imputed_spread(evidence):
    """The median of the printed SDs comes from all trials of the indication, not from those selected."""

    def imputed(found):
        return {s.label: s.contrast.control.sd for s in found.studies if s.imputed}

    whole, part = imputed(ask(evidence)), imputed(ask(evidence, product=("culture_expanded",)))
    assert part
    assert part.items() <= whole.items()


def test_high_risk_leaves_by_the_users_own_judgement(evidence):
    own = judged(evidence, {"vega_2015": "high"})
    found = ask(own, exclude_high_risk=True)
    assert "Vega 2015" in {s.label for s in ask(own).studies}
    assert "Vega 2015" not in {s.label for s in found.studies}
    assert {s.rob_source for s in ask(own).studies if s.label == "Vega 2015"} == {"user"}


def test_one_trial_says_so_and_gives_the_trial(evidence):
    found = ask(evidence, ("saline",))
    assert found.pooled.status == "single_study"
    assert found.pooled.estimate == found.studies[0].contrast.y
    assert (found.variants, found.left_one_out, found.influence.result) == ((), (), None)
    assert found.influence.status == "not assessed: fewer than 3 studies"
    assert found.small_studies.status == "too_few_studies"


def test_moderators_say_what_they_rest_on(evidence):
    found = ask(evidence, moderators=("dose", "origin", "follow_up"), by=("blinding", "follow_up"))
    dose, origin, month = found.moderators
    assert dose.regression.design.names == ("intercept", "log10 dose")
    assert "without a value left out" in dose.status
    assert origin.status == "exploratory: fewer than 10 studies"
    assert month.regression is None
    assert "same in all studies" in month.status
    blinding, same = found.subgroups
    assert sum(p.k for p in blinding.result.pooled) == blinding.k == 8
    assert same.result is None


def test_important_difference_prefers_that_between_groups():
    found = important_difference("knee_oa", "pain")
    assert (found.value, found.kind) == (10.0, "between_group")
    assert important_difference("knee_oa", "biomarker") is None


def test_document_holds_the_record(evidence):
    found = ask(evidence)
    data = document(found)
    assert data["pooled"]["estimate"] == found.pooled.estimate
    assert [s["contrast"]["y"] for s in data["studies"]] == list(found.y)
    assert [s["imputed"] for s in data["studies"]] == [s.imputed for s in found.studies]
    with pytest.raises(NotCredibleError, match="nan"):
        plain({"x": float("nan")})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"comparator": ("sham_procedure",)}, "comparator = sham_procedure leaves nothing of the .* trials"),
        ({"product": ("tissue_allograft",)}, "product = tissue_allograft leaves nothing"),
        ({"source": ("disc",)}, "source = disc leaves nothing.*allowed: .*bone_marrow"),
        ({"source": ("liver",)}, "source = liver is not known"),
        ({"blinding": ("triple",)}, "blinding = triple is not known"),
        (
            {"month": 70.0, "window": (68.0, 72.0)},
            "months = 70 within 68 to 72 leaves nothing.*visits at months",
        ),
        ({"moderators": ("colour",)}, "moderator = colour is not known; allowed: dose"),
        ({"by": ("colour",)}, "subgroup = colour is not known"),
    ],
)
def test_an_empty_or_unknown_question_names_the_condition(evidence, more, words):
    with pytest.raises(InputError, match=words):
        ask(evidence, **more)


def test_no_convergence_is_not_credible(evidence):
    """Two trials with the same difference leave no scatter for Hartung and Knapp's standard error."""
    outcomes = tuple(
        replace(row, value=40.0 if row.arm_id == "msc" else 50.0, scale_min=0.0, scale_max=100.0, sd=20.0)
        if row.trial_id == "vega_2015" and row.construct == "pain" and row.statistic == "mean"
        else row
        for row in evidence.outcomes
    )
    kept = [row for row in outcomes if row.trial_id == "vega_2015"]
    twin = [
        replace(row, trial_id="goncars_2017", arm_id={"msc": "bmmnc"}.get(row.arm_id, row.arm_id))
        for row in kept
    ]
    same = replace(evidence, outcomes=(*kept, *twin))
    with pytest.raises(NotCredibleError, match="use test t or adhoc"):
        ask(same)


def test_side_results_that_fail_say_so_and_leave_the_main_result(evidence):
    """Without shapiro_2018 both trials left at 3 months find -9.0: no scatter for Hartung and Knapp."""
    found = ask(evidence, ("saline",), 3.0, (1.0, 5.0))
    assert found.pooled.k == 3
    assert found.influence.result is None
    assert "use test t or adhoc" in found.influence.status
    failed = [v for v in found.left_one_out if v.pooled is None]
    assert [v.name for v in failed] == ["without Shapiro 2018"]
    assert "use test t or adhoc" in failed[0].status


def test_certainty_takes_its_numbers_from_the_record(evidence):
    found = ask(evidence)
    rated = rate(found, treatment="cells", comparator="hyaluronic acid", indirect=())
    reasons = {each.domain: each for each in rated.judgements}
    assert rated.certainty == "low"
    assert rated.sentence == "Compared with hyaluronic acid, cells may reduce pain at 12 months."
    assert reasons["inconsistency"].number == pytest.approx(found.pooled.i2)
    assert reasons["publication bias"].reason == (
        f"{len(found.without_scores)} compared trials print no usable score at any visit, beside 8"
    )
    lower = rate(found, treatment="cells", comparator="hyaluronic acid", indirect=("population",))
    assert lower.certainty == "very_low"
    assert set(found.without_scores) <= {trial for trial, _ in found.left_out}


def test_outcomes_without_an_important_difference_are_not_rated(evidence):
    found = replace(ask(evidence), mcid=None)
    assert rate(found, treatment="cells", comparator="x", indirect=()) is None


def test_labels_come_from_the_citation(evidence):
    assert label(evidence.trial("lamoespinosa_2016")) == "Lamo-Espinosa 2016"
    assert label(evidence.trial("adipoa2_2025")) == "ADIPOA-2 2025"


def test_an_empty_comparator_takes_every_other_arm(evidence):
    inside = within(evidence, Scope(indication="knee_oa", comparator=()))
    for trial in inside.stages[-1].trials:
        arms = inside.evidence.arms_of(trial)
        assert {arm.intervention == "cell_therapy" for arm in arms} == {True, False}


def test_own_judgements_are_checked(evidence):
    with pytest.raises(InputError, match="allowed: low, some, high, unclear"):
        judged(evidence, {"vega_2015": "awful"})
    with pytest.raises(InputError, match="nearest: vega_2015"):
        judged(evidence, {"vega_2016": "low"})
