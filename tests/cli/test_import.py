"""The import and completeness commands as a user runs them."""

import csv
import io
import json
from pathlib import Path

import pytest

from command import here
from stemtrial.evidence import load

RECORD = Path(__file__).parents[2] / "examples" / "made_registry_record.json"


def run(*arguments):
    return here("evidence", *arguments, env={"COLUMNS": "150"})


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("import") / "own"
    done = run("import", RECORD, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "outcomes       8 taken in, 7 for review" in done.stdout
    return folder


def test_folder(own):
    names = {path.relative_to(own).as_posix() for path in own.rglob("*") if path.is_file()}
    assert {
        "mapping.csv",
        "manifest.json",
        "trials.csv",
        "effects.csv",
        "review/outcomes.csv",
        "review/events.csv",
    } <= names


def test_json_is_one_document(tmp_path):
    done = run("import", RECORD, "--out", tmp_path / "own", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["taken"] == {"references": 1, "trials": 1, "arms": 3, "outcomes": 8, "events": 7}
    assert len(document["for_review"]["outcomes"]) == 7
    assert document["evidence_hash"] == load(tmp_path / "own").hash


def test_the_users_rows_stay_marked_in_every_output(own):
    listed = run("list", "--indication", "knee_oa", "--also", own)
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("nct99999998")]
    assert "yours" in line
    assert sum("yours" in line for line in listed.stdout.splitlines()) == 1
    assert "rows          yours" in run("show", "nct99999998", "--also", own).stdout
    for table in ("trials", "arms", "outcomes", "events"):
        rows = list(csv.DictReader(io.StringIO(run("list", "--table", table, "--also", own, "--csv").stdout)))
        marks = {(row["trial_id"] == "nct99999998", row["provenance"]) for row in rows}
        assert marks == {(True, "user"), (False, "shipped")}
    document = json.loads(run("show", "nct99999998", "--also", own, "--json").stdout)
    assert {document["trial"]["provenance"], *(row["provenance"] for row in document["outcomes"])} == {"user"}
    assert "yours" not in run("list", "--indication", "knee_oa").stdout


def test_rows_completed_in_review_are_taken_in(tmp_path):
    own = tmp_path / "own"
    run("import", RECORD, "--out", own)
    review = own / "review" / "outcomes.csv"
    with review.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row["instrument"] == "Lequesne":
            row |= {"scale_min": "0", "scale_max": "24", "higher_is_better": "false"}
    with review.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    done = run("import", review, "--table", "outcomes", "--out", own)
    assert done.returncode == 2
    assert "6 rows were not taken in; kept for review" in done.stderr
    (row,) = [row for row in load(own).outcomes if row.instrument == "Lequesne"]
    assert (row.value, row.iqr_low, row.iqr_high, row.scale_max) == (8, 6, 11, 24)
    with review.open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 6


def test_results_still_missing(tmp_path):
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    del record["resultsSection"]
    record["hasResults"] = False
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    done = run("import", tmp_path / "record.json", "--out", tmp_path / "own")
    assert done.returncode == 0
    assert "note: the record has no results yet: only trial and arms were read" in done.stdout
    read = load(tmp_path / "own")
    assert (len(read.trials), len(read.arms), len(read.outcomes), len(read.events)) == (1, 3, 0, 0)
    assert read.trials[0].follow_up_months == 5.52  # planned: 24 weeks


def test_another_condition_is_kept_for_review(tmp_path):
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    record["protocolSection"]["conditionsModule"]["conditions"] = ["Rheumatoid Arthritis of the Knee"]
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    done = run("import", tmp_path / "record.json", "--out", tmp_path / "own")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "the conditions (Rheumatoid Arthritis of the Knee) name none of the package" in done.stdout
    assert load(tmp_path / "own").trials == load(tmp_path / "own").outcomes == ()
    with (tmp_path / "own" / "review" / "arms.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3
    assert all("is not in trials.csv" in row["problems"] for row in rows)
    said = run("import", tmp_path / "record.json", "--out", tmp_path / "said", "--indication", "other")
    assert said.returncode == 0
    assert load(tmp_path / "said").trials[0].indication == "other"


def test_completeness(own):
    done = run("completeness", "--indication", "knee_oa", "--also", own)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Not recorded in the tables: viability" in done.stdout
    assert "yours" in next(line for line in done.stdout.splitlines() if line.startswith("nct99999998"))
    document = json.loads(run("completeness", "--also", own, "--json").stdout)
    assert len(document["findings"]) == len(document["items"]) * len(document["trials"])
    rows = list(csv.DictReader(io.StringIO(run("completeness", "--csv").stdout)))
    assert {row["provenance"] for row in rows} == {"shipped"}
    assert {row["state"] for row in rows if row["item"] == "passage"} == {"not recorded in the tables"}


KNEE = ("--indication", "knee_oa")
PAIN = (*KNEE, "--outcome", "pain", "--months", "6")
HARM = (*KNEE, "--outcome", "harm", "--event", "serious_any", "--comparator", "hyaluronic_acid")


def test_a_synthesis_takes_the_users_rows_beside_the_shipped_and_marks_them(own, tmp_path):
    asked = ("meta", *PAIN, "--comparator", "hyaluronic_acid")
    before, done = run(*asked, "--json"), run(*asked, "--also", own, "--out", tmp_path / "page", "--json")
    assert (before.returncode, done.returncode, done.stderr) == (0, 0, "")
    shipped, both = json.loads(before.stdout), json.loads(done.stdout)
    assert shipped["users"] == []
    assert both["users"] == ["nct99999998"]
    assert both["evidence_hash"] != shipped["evidence_hash"] == load().hash
    marks = {study["contrast"]["trial_id"]: study["provenance"] for study in both["studies"]}
    assert {name for name, mark in marks.items() if mark == "user"} == {"nct99999998"}
    assert marks.keys() - {"nct99999998"} == {s["contrast"]["trial_id"] for s in shipped["studies"]}
    assert "(yours)" in (tmp_path / "page" / "forest.svg").read_text(encoding="utf-8")
    assert "(yours)" in (tmp_path / "page" / "synthesis.html").read_text(encoding="utf-8")
    printed = run(*asked, "--also", own).stdout
    assert sum(line.startswith("Nct99999998 (yours)") for line in printed.splitlines()) == 1
    assert "Rows of yours stand beside the shipped ones" in printed
    rows = list(csv.DictReader(io.StringIO(run(*asked, "--also", own, "--csv").stdout)))
    assert [row["trial_id"] for row in rows if row["provenance"] == "user"] == ["nct99999998"]
    assert "yours" not in run(*asked).stdout


def test_a_synthesis_of_harms_names_the_users_trial_even_where_it_is_left_out(own):
    done = run("meta", *HARM, "--also", own)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nct99999998 (yours): not reported for the comparator" in done.stdout
    assert json.loads(run("meta", *HARM, "--also", own, "--json").stdout)["users"] == ["nct99999998"]


def test_a_network_and_benefit_and_harm_mark_the_users_rows(own, tmp_path):
    asked = ("network", *PAIN, "--reference", "hyaluronic_acid", "--scheme", "all_cells")
    done = run(*asked, "--also", own, "--out", tmp_path / "network", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["users"] == ["nct99999998"]
    assert {row["trial_id"] for row in found["comparisons"] if row["provenance"] == "user"} == {"nct99999998"}
    page = (tmp_path / "network" / "synthesis.html").read_text(encoding="utf-8")
    assert "Nct99999998 (yours)" in page
    assert "(1 yours)" in page
    done = run("benefit-harm", *KNEE, "--also", own, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for option in json.loads(done.stdout)["options"] for line in option["harms"]]
    assert {name for line in lines for name in line["users"]} == {"nct99999998"}
    assert any(not line["users"] for line in lines)
    assert "of them yours" in " ".join(run("benefit-harm", *KNEE, "--also", own).stdout.split())


def test_own_rows_stand_beside_the_shipped_or_in_their_place(own):
    done = run("meta", *PAIN, "--comparator", "saline", "--also", own, "--evidence", own)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--evidence and --also exclude each other" in done.stderr


def test_no_command_changes_the_shipped_tables(own):
    assert run("list", "--json").returncode == 0
    assert json.loads(run("list", "--json").stdout)["evidence_hash"] == load().hash
