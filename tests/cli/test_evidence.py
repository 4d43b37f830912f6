"""The evidence commands as a user runs them."""

import csv
import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from command import here
from stemtrial.cli import app
from stemtrial.errors import InputError
from stemtrial.evidence import load


def run(*arguments):
    return here("evidence", *arguments)


def invoke(*arguments, columns=150):
    result = CliRunner().invoke(
        app, ["evidence", *arguments], env={"COLUMNS": str(columns)}, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def test_json_is_one_document_on_stdout():
    done = run("list", "--indication", "knee_oa", "--comparator", "saline", "--blinding", "double", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["evidence_hash"] == load().hash
    assert document["filters"] == {
        "indication": ["knee_oa"],
        "blinding": ["double"],
        "comparator": ["saline"],
    }
    assert document["count"] == len(document["rows"]) > 3
    assert all("saline" in row["comparators"] and row["source_url"] for row in document["rows"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "gupta2016", "--json"), "error: trial = gupta2016 is not known; nearest: gupta_2016"),
        (
            ("list", "--blinding", "tripple"),
            "error: blinding = tripple is not known; allowed: double, single, open",
        ),
        (
            ("list", "--indication", "hip_oa", "--blinding", "double"),
            "leaves nothing of the 3 trials before it",
        ),
    ],
)
def test_bad_input_exits_with_2_and_one_line(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("list", "--json", "--csv"), ("show", "lee_2019", "--json", "--csv")])
def test_two_formats_exclude_each_other(arguments):
    with pytest.raises(InputError, match="exclude each other"):
        invoke(*arguments)


def test_unknown_table():
    with pytest.raises(InputError, match="allowed: trials, arms, outcomes, events"):
        invoke("list", "--table", "patients")


@pytest.mark.parametrize("table", ["trials", "arms", "outcomes", "events"])
def test_csv_holds_every_row_of_the_table(table):
    rows = list(csv.DictReader(io.StringIO(invoke("list", "--table", table, "--csv"))))
    shipped = getattr(load(), table)
    assert len(rows) == len(shipped)
    for row, record in zip(rows, shipped, strict=True):
        assert row["reference_id"] == record.reference_id
        assert row["source_citation"] == load().reference(record.reference_id).citation
    assert set(shipped[0].columns()) <= set(rows[0])


def test_csv_of_outcomes_has_the_common_scale():
    rows = list(csv.DictReader(io.StringIO(invoke("show", "lee_2019", "--csv"))))
    vas = [row for row in rows if row["instrument"] == "VAS"]
    assert vas
    for row in vas:
        assert float(row["common_value"]) == pytest.approx(10 * float(row["value"]))
        assert row["higher_is_better"] == "false"


def test_show_json_resolves_every_reference():
    document = json.loads(invoke("show", "gupta_2016", "--json"))
    assert document["trial"]["trial_id"] == "gupta_2016"
    named = {row["reference_id"] for part in ("arms", "outcomes", "events") for row in document[part]}
    assert named <= {reference["reference_id"] for reference in document["references"]}
    assert len(document["outcomes"]) == len(load().outcomes_of("gupta_2016"))


def test_show_prints_arms_outcomes_events_and_sources():
    text = invoke("show", "lee_2019")
    assert text.startswith("lee_2019\n")
    assert text.index("saline") < text.index("admsc")  # comparator first
    assert text.index("Pain: Visual analogue scale") < text.index("Function: WOMAC physical function")
    for part in (
        "10/12",
        "83 %",
        "5.03 (SD 1.5)",
        "50.3 (SD 15)",
        "[3] arm data, analysis 1.1",
        "moderate (b)",
    ):
        assert part in text
    assert "https://doi.org/10.1002/sctm.18-0122 (read: abstract)" in text


@pytest.mark.parametrize("trial", [trial.trial_id for trial in load().trials])
def test_every_trial_can_be_shown(trial):
    text = invoke("show", trial)
    assert "Arms, comparators first" in text
    assert "Sources" in text
    assert ("No outcome of this trial was read." in text) == (not load().outcomes_of(trial))


def test_list_prints_every_trial_within_the_width():
    text = invoke("list")
    assert all(trial.trial_id in text for trial in load().trials)
    assert "92 of 92 trials" in text
    assert max(map(len, text.splitlines())) <= 150


def test_no_column_is_lost_on_a_narrow_terminal():
    text = invoke("list", "--indication", "knee_oa", columns=80)
    heading = text.split("─")[0]
    assert all(word in heading for word in ("Trial", "Against", "Pain", "Bias"))


def test_selection_without_events_says_so():
    assert "No adverse event" in invoke("list", "--table", "events", "--indication", "chronic_low_back_pain")


def test_help_does_not_load_the_evidence():
    code = "import sys, stemtrial.cli; print('pydantic' in sys.modules, 'stemtrial.evidence' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "False"]
