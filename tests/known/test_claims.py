"""Claims: every number of a verdict against a closed form."""

from dataclasses import replace
from itertools import product
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from stemtrial.claims.assessing import assess, document
from stemtrial.claims.claim import Cells, Claim, shipped
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import Estimate, Nothing, estimate, probability
from stemtrial.claims.grading import certainty
from stemtrial.claims.nexttrial import SHARE, SIZES, Change, changes, of_claim
from stemtrial.claims.rule import judge, rule_hash, together
from stemtrial.claims.sensitivity import variants
from stemtrial.claims.sentences import cells_words, sentence
from stemtrial.claims.studies import collect
from stemtrial.documents import Document
from stemtrial.evidence import load
from stemtrial.evidence.pairwise import pool


def part(claim, name, **changed):
    return shipped()[claim].parts[name].model_copy(update=changed)


def datum(y, v, trial="a", **more):
    return Datum(
        **{
            "trial_id": trial, "label": trial.upper(), "month": 12.0, "y": y, "v": v, "n": 100.0, "sd": 20.0,
            "counts": None, "side": 1, "early": None, "control": ("50", "40"), "treated": ("50", "30"),
            "risk_of_bias": "low", "blinding": "double", "randomised": True, "provenance": "shipped",
            "references": ("gupta_2016",), "flags": (),
        } | more
    )  # fmt: skip


PAIN = part("relieves_back_pain", "pain")  # holds below -15


def test_ten_promises_in_order():
    assert list(shipped()) == [
        "calms_inflammation", "regenerates_cartilage", "relieves_back_pain", "generally_safe", "safer_autologous",
        "fewer_side_effects", "needs_individual_evaluation", "needs_standard_protocols", "complements", "long_lasting",
    ]  # fmt: skip


# ---- estimates ---------------------------------------------------------------------------------------------------


def test_one_study_is_read_with_the_normal_distribution():
    found = estimate(PAIN, [datum(-18.0, 9.0)])
    assert found.p == pytest.approx(stats.norm.cdf((-15 + 18) / 3))
    assert found.interval == pytest.approx((-18 - 1.959963985 * 3, -18 + 1.959963985 * 3))
    above = estimate(PAIN.model_copy(update={"holds": "above"}), [datum(-18.0, 9.0)])
    assert above.p == pytest.approx(1 - found.p)


def test_several_studies_are_read_with_the_t_distribution():
    data = [datum(y, v, name) for y, v, name in ((-30, 9, "a"), (-12, 16, "b"), (-16, 25, "c"))]
    pooled = pool([-30, -12, -16], [9, 16, 25], method="REML", test="adhoc")
    found = estimate(PAIN, data)
    assert found.p == pytest.approx(stats.t.cdf((-15 - pooled.estimate) / pooled.se, 2))
    assert (found.value, found.interval, found.prediction) == (pooled.estimate, pooled.ci, pooled.prediction)
    assert probability(PAIN, data) == pytest.approx(found.p, abs=1e-12)


def test_interval_is_never_narrower_than_that_of_the_t_distribution():
    same = [datum(-20.0, 9.0, name) for name in "abc"]
    found = estimate(PAIN, same)
    assert found.interval[1] - found.value == pytest.approx(stats.t.ppf(0.975, 2) * sqrt(9 / 3))


def test_durability_is_late_minus_a_share_of_early():
    year = part("long_lasting", "year")
    rows = collect(year, load()).data
    early = {d.trial_id: d for d in collect(part("long_lasting", "early"), load()).data}
    later = {d.trial_id: d for d in collect(part("long_lasting", "early", month=12.0), load()).data}
    assert rows
    for row in rows:
        first, last = early[row.trial_id], later[row.trial_id]
        assert row.y == pytest.approx(last.y - 0.5 * first.y)
        shared = 2 * 0.5 * 0.6 * sqrt(first.v * last.v)
        assert row.v == pytest.approx(last.v + 0.25 * first.v - shared)


def test_share_left_of_effects_that_stay_is_one():
    year = part("long_lasting", "year")
    data = [datum(-10 + 5.0, 4.0, "a", early=(-10.0, 4.0)), datum(-20 + 10.0, 9.0, "b", early=(-20.0, 9.0))]
    found = estimate(year, data)
    assert found.share_left == pytest.approx(1.0)
    assert found.p > 0.5


def test_one_table_of_events_gives_its_risk_difference():
    safe = part("generally_safe", "serious")
    found = estimate(safe, [datum(0.0, None, counts=(3, 100, 1, 100))])
    assert found.value == pytest.approx(20.0)
    se = 1000 * sqrt((0.03 * 0.97 + 0.01 * 0.99) / 100)
    assert found.interval[1] - found.value == pytest.approx(1.959963985 * se, rel=0.02)


def test_other_cells_are_compared_through_their_comparators():
    safer = part("safer_autologous", "serious")
    alone = safer.model_copy(update={"against": None})
    one, other = datum(0, None, "a", counts=(6, 200, 2, 200)), datum(0, None, "b", counts=(9, 100, 4, 100))
    first, second = (estimate(alone, [each]) for each in (one, other))
    found = estimate(safer, [one, replace(other, side=-1)])
    assert found.value == pytest.approx(first.value - second.value)

    def half(estimated):
        return estimated.interval[1] - estimated.value

    assert half(found) == pytest.approx(sqrt(half(first) ** 2 + half(second) ** 2))
    head = estimate(safer, [replace(one, side=0)])
    assert head.value == pytest.approx(first.value)


def test_no_event_at_all_gives_no_estimate():
    found = estimate(part("generally_safe", "serious"), [datum(0, None, counts=(0, 50, 0, 50))])
    assert isinstance(found, Nothing)
    assert "no event" in found.reason


def test_heterogeneity_has_the_distribution_of_its_own_interval():
    spread = part("needs_standard_protocols", "spread")
    body = collect(spread, load())
    found = estimate(spread, body.data)
    for end, p in ((found.interval[0], 0.975), (found.interval[1], 0.025)):
        again = estimate(spread.model_copy(update={"threshold": end}), body.data)
        assert again.p == pytest.approx(p, abs=1e-9)
    pooled = pool([d.y for d in body.data], [d.v for d in body.data], method="REML", test="adhoc")
    assert found.value == pytest.approx(pooled.i2)


def test_ratio_of_spreads_is_pooled_as_a_logarithm():
    response = part("needs_individual_evaluation", "response")
    data = [datum(log(1.3), 0.02, "a"), datum(log(1.3), 0.02, "b")]
    found = estimate(response, data)
    assert found.value == pytest.approx(1.3)
    assert found.p == pytest.approx(stats.t.sf((log(1.1) - log(1.3)) / sqrt(0.01), 1))


# ---- the rule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.05, 0.0501, 0.5, 0.9499, 0.95, 1.0])
@pytest.mark.parametrize("level", ["high", "moderate", "low", "very_low"])
def test_rule(p, level):
    sure = level in ("high", "moderate")
    expected = "supported" if sure and p >= 0.95 else "contradicted" if sure and p <= 0.05 else "uncertain"
    assert judge((p, p), level).verdict == expected


@pytest.mark.parametrize("ps", list(product([0.0, 0.3, 0.9, 1.0], repeat=2)))
def test_parts_together_stay_within_frechets_bounds(ps):
    found = together([judge((p, p), "high") for p in ps])
    low, high = found.p
    independent = ps[0] * ps[1]
    assert low <= independent <= high
    assert low == pytest.approx(max(0, sum(ps) - 1))
    assert high == min(ps)


def test_one_contradicted_part_contradicts_the_whole():
    parts = [judge((0.99, 0.99), "high"), judge((0.01, 0.01), "moderate"), judge((0.0, 1.0), "very_low")]
    assert together(parts).verdict == "contradicted"
    assert together([parts[0], parts[2]]).verdict == "uncertain"
    assert together([parts[0], judge((0.97, 0.97), "moderate")]).verdict == "supported"


# ---- certainty, sensitivity, the next trial ----------------------------------------------------------------------


def test_blinded_precise_and_alike_studies_are_of_high_certainty():
    data = [datum(-24.0 + x, 4.0, name, n=300.0) for x, name in ((0, "a"), (1, "b"), (-1, "c"), (0.5, "d"))]
    found = estimate(PAIN, data)
    level, judgements = certainty(PAIN, data, found, 0)
    assert level == "high"
    assert len(judgements) == 5
    assert certainty(PAIN, [replace(d, risk_of_bias="high") for d in data], found, 0)[0] == "low"
    assert certainty(PAIN, data, found, 4)[0] == "moderate"
    assert certainty(PAIN.model_copy(update={"indirect": ("product",)}), data, found, 0)[0] == "moderate"
    assert judge((found.p, found.p), level).verdict == "supported"


def test_sensitivity_is_the_estimate_of_the_studies_that_stay():
    instead = part("complements", "instead")
    body = collect(instead, load())
    closed, sound, without = variants(instead, body.data, len(body.silent))
    kept = [d for d in body.data if d.blinding != "open"]
    assert 0 < len(kept) < len(body.data)
    assert closed.found == estimate(instead, kept)
    assert sound.k == sum(d.risk_of_bias != "high" for d in body.data)
    moves = {
        d.label: abs(
            probability(instead, [e for e in body.data if e is not d]) - probability(instead, body.data)
        )
        for d in body.data
    }
    assert max(moves, key=moves.get) in without.name


def test_first_trial_has_the_size_of_the_textbook():
    """Without studies: P(holds) >= 0.95 in 80 % of trials needs N = 4 sd² (z95 + z80)² / (true - threshold)²."""
    function = part("relieves_back_pain", "function")
    found = {change.towards: change for change in changes(function, (), Nothing(0, "no study"), 0)}
    for towards, away in (("supported", 5.0), ("contradicted", 10.0)):
        needed = 4 * 20.0**2 * (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) ** 2 / away**2
        assert found[towards].persons == next(n for n in SIZES if n >= needed)
        assert found[towards].share >= SHARE
        assert found[towards].certainty in ("high", "moderate")


def test_one_part_is_enough_to_contradict_and_none_to_support_a_claim_of_several():
    small = Change("contradicted", 0.0, 150, 0.9, "moderate", "")
    large, never = replace(small, persons=600), replace(small, persons=None, reason="too wide")
    up = Change("supported", -15.0, 400, 0.8, "moderate", "")
    assert of_claim([("pain", [up, small])]) == (up, small)
    supported, contradicted = of_claim([("pain", [up, large]), ("function", [never, small])])
    assert supported.persons is None
    assert "every part" in supported.reason
    assert (contradicted.persons, contradicted.reason) == (150, "by its part function")
    assert of_claim([("pain", []), ("function", [])]) == ()


def test_next_trial_in_force_is_not_asked_for():
    data = [datum(-24.0 + x, 4.0, name, n=300.0) for x, name in ((0, "a"), (1, "b"), (-1, "c"), (0.5, "d"))]
    found = estimate(PAIN, data)
    assert [change.towards for change in changes(PAIN, data, found, 0)] == ["contradicted"]
    assert changes(PAIN.model_copy(update={"next_trial": None}), data, found, 0) == ()


# ---- words and records -------------------------------------------------------------------------------------------


def test_sentences_hedge_by_certainty():
    found = estimate(PAIN, [datum(-20.0, 4.0)])
    assert sentence(PAIN, found, "moderate").startswith("Compared with saline or placebo")
    assert "probably reduce pain at 12 months" in sentence(PAIN, found, "moderate")
    assert "may reduce" in sentence(PAIN, found, "low")
    assert "very uncertain" in sentence(PAIN, found, "very_low")
    spread = part("needs_standard_protocols", "spread")
    known = estimate(spread, collect(spread, load()).data)
    assert "may be above 50 %" in sentence(spread, known, "low")
    assert "is probably above 50 %" in sentence(spread, known, "moderate")
    response = part("needs_individual_evaluation", "response")
    alike = estimate(response, [datum(0.0, 0.01, "a"), datum(0.01, 0.01, "b")])
    assert "Pain may scatter as much between persons after cells as after" in sentence(response, alike, "low")
    year = part("long_lasting", "year")
    left = estimate(year, [datum(-5.0, 1.0, early=(-10.0, 1.0))])
    assert "at least 50 % is probably left at 12 months" in sentence(year, left, "moderate")


def test_the_page_shows_the_example_as_it_is():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "how-to" / "claims.md").read_text(encoding="utf-8")
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    example = root / "examples" / "claims" / "donor_cells_six_months.yaml"
    assert Document.parse(shown).validate(Claim) == Claim.read(example)
    assert shown in example.read_text(encoding="utf-8")


def test_cells_are_named():
    assert (
        cells_words(Cells(origin=("autologous",), product=("bmac", "svf"))) == "autologous BMAC or SVF cells"
    )


def test_record_says_all_that_a_verdict_needs():
    found = assess("complements", shipped()["complements"], load())
    data = document(found)
    assert data["evidence_hash"] == load().hash
    assert data["rule_hash"] == rule_hash(shipped()["complements"])
    assert data["model"].startswith("none")
    assert data["structures"].startswith("not compared")
    assert data["seed"] is None
    assert [row["name"] for row in data["sensitivity"]] == [
        "without open-label trials", "without trials at high risk of bias", "without the most influential",
    ]  # fmt: skip
    for each in data["parts"]:
        assert each["sentence"].endswith(".")
        assert all(study["provenance"] == "shipped" for study in each["studies"])
        assert each["p"][0] == pytest.approx(each["estimate"]["p"])


def test_where_nothing_bears_on_it_the_claim_says_what_is_missing():
    found = assess("calms_inflammation", shipped()["calms_inflammation"], load())
    (result,) = found.parts
    assert found.verdict == "uncertain"
    assert found.judged.p == (0.0, 1.0)
    assert "Needed: controlled trials of cells and any comparator in knee osteoarthritis" in result.missing[0]
    assert "IL_6" in result.missing[0]
    assert "compared trials prints it" in result.missing[1]


def test_an_empty_selection_is_no_error():
    asked = part("generally_safe", "serious", cells=Cells(product=("hsc",)))
    body = collect(asked, load())
    assert body.data == ()
    assert "product = hsc leaves nothing" in body.empty
    claim = Claim.model_construct(title="x", promise="y", parts={"serious": asked})
    assert "leaves nothing" in assess("x", claim, load()).parts[0].missing[1]


def test_context_stands_beside_the_estimate():
    spread = assess("x", shipped()["needs_standard_protocols"], load()).parts[0]
    said = dict(spread.context)
    assert "culture expanded" in said["Products of the studies"]
    assert "not computed" in said["Smallest next trial"]
    assert "of the variance between" in said["Explained by product"]
    response = assess("x", shipped()["needs_individual_evaluation"], load()).parts[0]
    rows = [
        row for row in load().predictors if row.treatment in ("cell_therapy", "bmac", "bmmnc", "svf", "mfat")
    ]
    assert len(response.context) == sum(row.indication in ("knee_oa", "osteoarthritis_any") for row in rows)
    assert assess("x", shipped()["generally_safe"], load()).parts[0].context == ()


def test_added_and_instead_share_no_trial():
    against = ("hyaluronic_acid", "exercise", "usual_care", "prp")
    groups = [
        {
            d.trial_id
            for d in collect(part("complements", "added", given=given, comparator=against), load()).data
        }
        for given in ("added", "instead")
    ]
    assert groups[0]
    assert groups[1]
    assert not groups[0] & groups[1]


def test_markers_are_standardised_and_turned():
    rows = load()
    template = next(r for r in rows.outcomes if r.construct == "biomarker" and r.trial_id == "gupta_2023")
    mine = [
        replace(
            template, arm_id=arm, instrument="synovial_fluid_IL_6", time_months=6.0, value=value, sd=sd, n=40
        )
        for arm, value, sd in (("msc_25m", 8.0, 2.0), ("placebo", 10.0, 3.0))
    ]
    body = collect(part("calms_inflammation", "marker"), replace(rows, outcomes=(*rows.outcomes, *mine)))
    (found,) = body.data
    g = (1 - 3 / (4 * 78 - 1)) * (8 - 10) / sqrt((4 + 9) / 2)
    sign = -1 if template.higher_is_better else 1
    assert found.y == pytest.approx(sign * g, rel=1e-3)
    assert isinstance(estimate(part("calms_inflammation", "marker"), body.data), Estimate)
    assert np.isclose(found.v, 2 / 40 + g**2 / 160, rtol=1e-3)
