"""The typed tables against an independent reading of the files with pandas, and against their README."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from stemtrial.evidence import Selection, load
from stemtrial.evidence.tables import ROWS
from stemtrial.scales import important_differences, instrument

DATA = files("stemtrial.evidence") / "data"


def table(name):
    return pd.read_csv(str(DATA / f"{name}.csv"), dtype=str, keep_default_na=False)


@pytest.mark.parametrize("name", ROWS)
def test_every_cell_is_what_the_file_holds(name):
    raw = table(name)
    rows = getattr(load(), name)
    assert len(rows) == len(raw)
    for column in raw.columns:
        for text, row in zip(raw[column], rows, strict=True):
            value = getattr(row, column)
            if isinstance(value, bool):
                assert text == str(value).lower()
            elif isinstance(value, int | float):
                assert float(text) == value
            elif isinstance(value, tuple):
                assert text.split(";") == [
                    f"{part:g}" if isinstance(part, float) else part for part in value
                ] or (text == "" and value == ())
            else:
                assert text == (value or "")


def test_common_scale_follows_the_formulas_of_the_readme():
    raw = table("outcomes")
    numbers = raw[
        ["scale_min", "scale_max", "value", "sd", "ci_low", "ci_high", "iqr_low", "iqr_high"]
    ].apply(pd.to_numeric)
    score = raw["scale_kind"] == "score"
    turned = raw["higher_is_better"] == "true"
    factor = 100 / (numbers["scale_max"] - numbers["scale_min"])
    level = raw["statistic"].isin(["mean", "median"])

    def move(column):
        levels = factor * (numbers[column] - numbers["scale_min"])
        levels = levels.where(~turned, 100 - levels)
        changes = factor * numbers[column]
        return levels.where(level, changes.where(~turned, -changes))

    expected = pd.DataFrame({"value": move("value"), "sd": numbers["sd"] * factor})
    for kind in ("ci", "iqr"):
        low, high = move(f"{kind}_low"), move(f"{kind}_high")
        expected[f"{kind}_low"], expected[f"{kind}_high"] = low.where(~turned, high), high.where(~turned, low)
    found = pd.DataFrame(
        [
            [getattr(row.common, name) for name in expected]
            for row in load().outcomes
            if row.scale_kind == "score"
        ],
        columns=expected.columns,
        dtype=float,
    )
    np.testing.assert_allclose(found, expected[score], rtol=1e-12, atol=1e-10)


def test_selection_agrees_with_a_join_of_the_tables():
    trials, arms, outcomes = table("trials"), table("arms"), table("outcomes")
    blinded = trials[(trials["indication"] == "knee_oa") & trials["blinding"].isin(["double", "single"])]
    studied = arms[arms["product"] == "culture_expanded"]
    control = arms[(arms["role"] == "control") & arms["intervention"].isin(["saline", "placebo"])]
    kept = set(blinded["trial_id"]) & set(studied["trial_id"]) & set(control["trial_id"])
    sides = pd.concat([studied, control])[["trial_id", "arm_id"]]
    sides = sides[sides["trial_id"].isin(kept)]
    rows = outcomes[(outcomes["construct"] == "pain") & (outcomes["reliability"] != "low")].merge(sides)
    found = Selection(
        indication="knee_oa",
        blinding=("double", "single"),
        product="culture_expanded",
        comparator=("saline", "placebo"),
        construct="pain",
        reliability=("high", "moderate"),
    ).of(load())
    assert len(rows) > 10
    assert {trial.trial_id for trial in found.trials} == set(rows["trial_id"])
    assert sorted(float(text) for text in rows["value"]) == sorted(row.value for row in found.outcomes)


def test_counts_of_the_readme():
    """The table of comparisons in data/README.md: rows and trials where the control has a spread too."""
    evidence = load()
    for comparator, rows, trials in (
        ("hyaluronic_acid", 44, 8),
        ("prp", 16, 3),
        (("usual_care", "nsaid", "paracetamol", "exercise"), 16, 3),
        (("saline", "placebo"), 16, 3),
        ("sham_procedure", 6, 1),
        ("corticosteroid", 6, 2),
    ):
        selection = Selection(
            intervention="cell_therapy", comparator=comparator, construct="pain", analysis_set="primary"
        )
        found = selection.of(evidence)
        control = {(arm.trial_id, arm.arm_id) for arm in found.arms if arm.role == "control"}
        spread = [row for row in found.outcomes if row.has_spread]
        both = {row.trial_id for row in spread if (row.trial_id, row.arm_id) in control}
        assert (sum(row.trial_id in both for row in spread), len(both)) == (rows, trials), comparator


def test_every_outcome_is_of_a_known_instrument_and_form():
    for row in load().outcomes:
        entry = instrument(row.instrument)
        assert entry.name == row.instrument
        assert entry.kind == row.scale_kind
        assert entry.construct == row.construct or entry.name == "responder_composite"
        if row.scale_kind == "score":
            entry.scale(row.scale_min, row.scale_max, row.higher_is_better)


def test_every_important_difference_stands_in_the_thresholds():
    printed = {(row.reference_id, row.value, row.threshold) for row in load().thresholds}
    for found in important_differences():
        assert (found.reference_id, found.printed, "mcid") in printed
        assert instrument(found.instrument).kind == "score"
    between = {
        row.reference_id for row in load().thresholds if row.note and row.note.startswith("between-group")
    }
    within = {found.reference_id for found in important_differences() if found.kind == "within_person"}
    assert not within & between
