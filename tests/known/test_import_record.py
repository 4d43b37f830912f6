"""A made record of the registry's shape against the rows a reader would take from it."""

import json
import re
from pathlib import Path

import pytest

from stemtrial.evidence import load
from stemtrial.evidence.imports import import_record
from stemtrial.evidence.imports.node import Node, leaves

FIXTURES = Path(__file__).parents[1] / "fixtures" / "registry"
RECORD = Path(__file__).parents[2] / "examples" / "made_registry_record.json"
IN_CLASS = ".categories[0].measurements"


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    return import_record(RECORD, tmp_path_factory.mktemp("import") / "own")


def test_the_fixture_has_the_shape_of_the_published_description():
    """The list holds the leaf paths of OpenAPI description 2.0.3 for the modules that are read."""
    published = set((FIXTURES / "api_v2_paths.txt").read_text(encoding="utf-8").split())
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert {
        re.sub(r"\[\d+\]", "[]", re.sub(r"(\w)\[\d+\]", r"\1[]", leaf.path))
        for leaf in leaves(Node(record, ""))
    } <= published


def test_trial(imported):
    (trial,) = imported.evidence.trials
    assert (trial.trial_id, trial.registry_id, trial.indication, trial.design) == (
        "nct99999998",
        "NCT99999998",
        "knee_oa",
        "rct",
    )
    assert (trial.blinding, trial.n_randomised, trial.follow_up_months, trial.funding) == (
        "single",
        44,
        12,
        "unclear",
    )
    assert (trial.risk_of_bias, trial.rob_source, trial.is_comparator_only) == (
        "unclear",
        "not judged",
        False,
    )
    assert trial.provenance == "user"


def test_arms(imported):
    arms = imported.evidence.arms
    assert [(arm.arm_id, arm.role, arm.intervention, arm.n) for arm in arms] == [
        ("low_dose", "experimental", "cell_therapy", 15),
        ("high_dose", "experimental", "cell_therapy", 15),
        ("hyaluronic_acid", "control", "hyaluronic_acid", 14),
    ]
    assert [(arm.cell_source, arm.origin, arm.product, arm.dose_million_cells) for arm in arms] == [
        ("adipose", "autologous", "culture_expanded", None),
        ("adipose", "autologous", "culture_expanded", 100),
        (None, None, None, None),
    ]
    assert [(arm.n_injections, arm.injection_times_months) for arm in arms] == [
        (1, (0.0,)),
        (1, (0.0,)),
        (3, ()),
    ]
    assert [(arm.age_mean, arm.bmi_mean, arm.bmi_sd) for arm in arms] == [
        (None, 27.9, 2.8),
        (None, 28.4, 3.1),
        (None, None, None),
    ]


def ninety(width, t):
    """The standard error behind a 90 % interval, with t as printed in a table (13 and 12 degrees of freedom)."""
    return pytest.approx(width / (2 * t), rel=1e-4)


def test_outcomes(imported):
    rows = [
        (
            row.arm_id,
            row.instrument,
            row.time_months,
            row.n,
            row.statistic,
            row.value,
            row.sd,
            row.se,
            row.analysis_set,
        )
        for row in imported.evidence.outcomes
    ]
    assert rows == [
        ("hyaluronic_acid", "WOMAC_pain", 5.52, 14, "mean", 9.0, None, ninety(2.8, 1.7709), "primary"),
        ("high_dose", "WOMAC_pain", 5.52, 13, "mean", 6.1, None, ninety(2.4, 1.7823), "primary"),
        ("low_dose", "WOMAC_pain", 5.52, 15, "mean", 7.0, None, None, "primary"),
        ("high_dose", "KOOS_pain", 12, 13, "mean", 71.2, 15.0, None, "primary"),
        ("low_dose", "KOOS_pain", 12, 14, "mean", 66.0, 17.3, None, "primary"),
        ("high_dose", "KOOS_QoL", 12, 13, "mean", 55.4, 19.8, None, "primary"),
        ("low_dose", "NRS", 12, 14, "mean_change", -2.4, None, 0.5, "sensitivity"),
        ("hyaluronic_acid", "responder_pct", 12, 14, "percent", 42.8571, None, None, "primary"),
    ]  # fmt: skip
    scales = {
        row.instrument: (row.scale_min, row.scale_max, row.higher_is_better)
        for row in imported.evidence.outcomes
    }
    assert scales["WOMAC_pain"] == (0, 20, False)
    assert scales["KOOS_pain"] == scales["KOOS_QoL"] == (0, 100, True)
    assert all(
        row.reliability in ("moderate", "low") and row.provenance == "user"
        for row in imported.evidence.outcomes
    )
    assert "time frame: Week 24" in imported.evidence.outcomes[0].source_locator


def test_events(imported):
    rows = [
        (row.arm_id, row.event, row.category, row.serious, row.n_with_event, row.n_at_risk)
        for row in imported.evidence.events
    ]
    assert rows == [
        ("low_dose", "serious adverse event", "serious_any", True, 0, 15),
        ("high_dose", "serious adverse event", "serious_any", True, 1, 15),
        ("low_dose", "septic arthritis", "infection", True, 0, 15),
        ("high_dose", "septic arthritis", "infection", True, 1, 15),  # at risk from the totals of the group
        ("high_dose", "joint swelling", "joint_swelling", False, 4, 15),
        ("low_dose", "withdrawal due to adverse events", "withdrawal", False, 1, 15),
        ("hyaluronic_acid", "withdrawal due to adverse events", "withdrawal", False, 0, 14),
    ]
    assert {row.follow_up_months for row in imported.evidence.events} == {12}


def test_what_waits_for_review_and_why(imported):
    waiting = {draft.name: draft.problems for drafts in imported.waiting.values() for draft in drafts}
    assert "whose sign the record does not code" in waiting["high_dose / VAS / 6 / ?"]["statistic"]
    assert waiting["high_dose / Lequesne / 12 / median"]["scale_min"] == "no range of the scale is stated"
    assert "up to 12 months" in waiting["low_dose / WOMAC_total / ? / mean"]["time_months"]
    assert "which is a response is not coded" in waiting["low_dose / ? / 6 / ?"]["instrument"]
    assert "unknown number of participants" in waiting["high_dose / responder_pct / 12 / percent"]["value"]
    assert "n_at_risk" in waiting["hyaluronic_acid / serious adverse event"]


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("baselineCharacteristicsModule.groups[3].title", "Total", "would count the patients of the arms twice"),
        ("[4].classes[0]…[1].value", "-1.1", "fits no label of an arm"),
        ("[1].classes[1]…[1].value", "NA", "Made: too few"),
        ("[5].classes[0]…[0].upperLimit", "70", "Full Range"),
        ("[0].classes[0]…[2].lowerLimit", "6.5", "evenly about the mean"),
        ("[8].title", "Cartilage Thickness", "no results are posted"),
        ("adverseEventsModule.eventGroups[0].otherNumAffected", "6", "below 5 %"),
        ("adverseEventsModule.seriousEvents[0].stats[1].numEvents", "1", "participants, not events"),
    ],
)  # fmt: skip
def test_what_has_no_place_is_listed_with_its_value_and_reason(imported, path, value, reason):
    start = "resultsSection." + ("outcomeMeasuresModule.outcomeMeasures" if path[0] == "[" else "")
    (entry,) = [entry for entry in imported.unmapped if entry.source == start + path.replace("…", IN_CLASS)]
    assert entry.value == value
    assert reason in entry.reason


def test_the_note_names_the_open_group(imported):
    assert any("'HA control' was not linked" in note for note in imported.notes)


def test_the_user_can_say_which_arm_a_group_is(tmp_path):
    done = import_record(RECORD, tmp_path / "own", arms={"HA control": "hyaluronic_acid"})
    (row,) = [row for row in done.evidence.outcomes if row.value == -1.1]
    assert (row.arm_id, row.instrument, row.se, row.n) == ("hyaluronic_acid", "NRS", 0.6, 12)
    assert done.notes == ()


def test_the_folder_loads_as_the_users(imported):
    read = load(imported.folder)
    assert read == imported.evidence
    assert {
        row.provenance
        for table in (read.trials, read.arms, read.outcomes, read.events, read.references)
        for row in table
    } == {"user"}


def test_manifest(imported):
    import hashlib

    manifest = json.loads((imported.folder / "manifest.json").read_text(encoding="utf-8"))
    (source,) = manifest["sources"]
    assert source["sha256"] == hashlib.sha256(RECORD.read_bytes()).hexdigest()
    assert source["nct_id"] == "NCT99999998"
    assert source["api_version"].startswith("2")
    assert source["rows"] == {"references": 1, "trials": 1, "arms": 3, "outcomes": 8, "events": 7}
    assert source["rows_for_review"] == {"outcomes": 7, "events": 2}
    assert manifest["evidence_hash"] == imported.evidence.hash
    assert sum(source["values"].values()) == len(imported.mapping)
