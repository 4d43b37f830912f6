"""From event rows to 2 x 2 tables: counted by hand from the shipped tables, and what must not be counted."""

import math
from dataclasses import replace

import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.evidence.events2x2 import arm_counts, event_tables
from stemtrial.evidence.eventsynthesis import synthesise_events
from stemtrial.evidence.scope import Scope, within


@pytest.fixture(scope="module")
def evidence():
    return load()


def tables(evidence, event, comparator=("saline", "placebo"), shared_control="combine"):
    inside = within(evidence, Scope(indication="knee_oa", comparator=comparator)).evidence
    return event_tables(inside, event=event, intervention="cell_therapy", shared_control=shared_control)


def cells(found):
    return {t.trial_id: (t.treated.events, t.treated.n, t.control.events, t.control.n) for t in found.found}


def test_serious_events_against_placebo_by_hand(evidence):
    found = tables(evidence, "serious_any")
    assert cells(found) == {
        "garza_2020": (0, 26, 0, 13),
        "kim_2023": (1, 131, 3, 130),
        "kuah_2018": (0, 16, 0, 4),  # two dose arms of 8, one placebo arm
        "lee_2019": (0, 12, 0, 12),
        "lee_2025": (0, 12, 0, 12),
    }
    assert dict(found.left_out) == {
        "shapiro_2018": "both arms are the same persons, and their pairs were not read"
    }


def test_an_event_by_its_name(evidence):
    found = tables(evidence, "Treatment failure, knee replacement")
    assert cells(found) == {"garza_2020": (1, 26, 0, 13)}


def test_a_shared_control_is_split_into_whole_patients_or_not_at_all(evidence):
    found = tables(evidence, "serious_any", shared_control="split")
    split = [t for t in found.found if t.trial_id == "kuah_2018"]
    assert [(t.treated.n, t.control.n) for t in split] == [(8, 2), (8, 2)]
    assert all("1/2 of the control" in t.flags for t in split)
    odd = replace(
        evidence,
        events=tuple(
            replace(r, n_at_risk=5) if (r.trial_id, r.arm_id) == ("kuah_2018", "placebo") else r
            for r in evidence.events
        ),
    )
    assert (
        "does not split into 2 whole parts"
        in dict(tables(odd, "serious_any", shared_control="split").left_out)["kuah_2018"]
    )


def test_only_primary_rows_count(evidence):
    """lamoespinosa_2016 has an any_ae row of 12 months that is primary and arms of 48 months that are not."""
    found = tables(evidence, "any_ae", ("hyaluronic_acid",))
    assert cells(found)["lamoespinosa_2016"] == (9, 20, 1, 10)


def test_rows_of_a_category_are_never_summed(evidence):
    """wang_2017 prints several immune events of one arm, which may be the same patients."""
    inside = within(evidence, Scope(indication="other", comparator=("hyaluronic_acid",))).evidence
    with pytest.raises(InputError, match="may share patients; name one"):
        event_tables(inside, event="other", intervention="cell_therapy", shared_control="combine")
    one = event_tables(
        inside,
        event="panel-reactive antibody rise, week 4",
        intervention="cell_therapy",
        shared_control="combine",
    )
    assert cells(one) == {"wang_2017": (5, 6, 1, 4)}


def test_events_of_one_side_only_are_left_out_with_the_reason(evidence):
    with pytest.raises(InputError, match="lu_2019: not reported for the treated arms"):
        tables(evidence, "infection", ("hyaluronic_acid",))
    left = dict(tables(evidence, "serious_any", ("hyaluronic_acid",)).left_out)
    assert left["lu_2019"] == "not reported for the comparator"


def test_different_follow_up_makes_no_table(evidence):
    shifted = replace(
        evidence,
        events=tuple(
            replace(r, follow_up_months=3.0) if (r.trial_id, r.arm_id) == ("lee_2019", "saline") else r
            for r in evidence.events
        ),
    )
    assert dict(tables(shifted, "serious_any").left_out)["lee_2019"] == "not reported for both sides alike"


def test_unknown_events_name_the_categories(evidence):
    with pytest.raises(InputError, match=r"tumour is neither.*categories injection_site_pain"):
        tables(evidence, "tumour")


def test_every_arm_counts_once_with_or_without_a_comparator(evidence):
    found = arm_counts(evidence, indication="knee_oa", event="serious_any", intervention="cell_therapy")
    assert len({(a.trial_id, a.arm_id) for a in found}) == len(found) > 20
    assert {"alnajar_2017", "kim_2023"} <= {a.trial_id for a in found}


def test_risks_of_a_synthesis_by_hand(evidence):
    found = synthesise_events(
        evidence,
        scope=Scope(indication="knee_oa", comparator=("saline", "placebo")),
        event="serious_any",
        shared_control="combine",
        level=0.95,
    )
    assert (found.treated.events, found.treated.n) == (1, 197)
    assert (found.control.events, found.control.n) == (3, 171)
    ratio = found.pooled[0]
    # one informative table: (1/131) / (3/130)
    assert ratio.estimate == pytest.approx(math.log(130 / (3 * 131)))
    assert found.status == "ok"


def test_no_event_at_all_gives_bounds_and_no_ratio(evidence):
    found = synthesise_events(
        evidence,
        scope=Scope(indication="knee_oa", comparator=("corticosteroid",), blinding=("single",)),
        event="procedure-related serious adverse event",
        shared_control="combine",
        level=0.95,
    )
    assert found.status == "no_events"
    assert found.pooled[0].estimate is None
    assert found.treated.upper == pytest.approx(1 - 0.05 ** (1 / found.treated.n))
