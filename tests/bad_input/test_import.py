"""Files that are no evidence: one clear message, exit 2, and nothing half written."""

import copy
import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemtrial.cli import app
from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.evidence.imports import import_record, import_table, jsontext

RECORD = Path(__file__).parents[2] / "examples" / "made_registry_record.json"
MADE = json.loads(RECORD.read_text(encoding="utf-8"))
COLUMNS = "reference_id,citation,url,read_as,id_basis"


def refused(tmp_path, name, content, match, **options):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    bring_in = import_record if name.endswith(".json") else import_table
    with pytest.raises(InputError, match=match) as caught:
        bring_in(file, tmp_path / "own", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert str(file) in str(caught.value) or "--" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"),
        ("{", "not readable as JSON"),
        ("[]", "is not one record"),
        ("null", "is not one record"),
        ("{}", "protocolSection is missing"),
        (b"\xff\xfe{\x00}", "not UTF-8"),
        ('{"protocolSection": NaN}', "holds NaN"),
        ('{"protocolSection": {}, "protocolSection": {}}', "twice"),
        ('{"protocolSection": {"a": "\\ud800"}}', "surrogate"),
        ('{"protocolSection": ' + "9" * 5000 + "}", "too long"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested deeper than 40"),
        ('{"protocolSection": {}}', "is no registry number"),
        ('{"protocolSection": {"identificationModule": {"nctId": "NCT1"}}}', "is no registry number"),
        ('{"FullStudiesResponse": {}}', "former API"),
        ('{"Study": {"ProtocolSection": {}}}', "former API"),
        ('{"apiVersion": "3.1.0", "protocolSection": {}}', "is of API version 3.1.0"),
        ('{"apiVersion": "2.0.3", "dataTimestamp": "2026-01-12"}', "answer of /version"),
        ('{"studies": [], "nextPageToken": "x"}', "list of studies"),
        ('{"resourceType": "ResearchStudy"}', "FHIR"),
    ],
)
def test_records_that_are_none(tmp_path, content, match):
    refused(tmp_path, "record.json", content, match)


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(jsontext, "MOST_BYTES", 1000)
    refused(tmp_path, "record.json", json.dumps(MADE), "allowed: at most")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"arms": {"HA control": "ha"}},
            "is no arm of the record; allowed: low_dose, high_dose, hyaluronic_acid",
        ),
        ({"arms": {"Group Z": "low_dose"}}, "is no title of a group"),
        ({"indication": "asthma"}, "--indication = asthma is not known"),
    ],
)
def test_options_that_name_nothing(tmp_path, options, match):
    refused(tmp_path, "record.json", json.dumps(MADE), match, **options)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"),
        (COLUMNS + "\n", "holds no rows"),
        ("reference_id;citation;url\na;b;c\n", "separate columns by commas"),
        ("wrong,header\n1,2\n", "has no column of the table references"),
        ("reference_id,reference_id\na,b\n", "twice in the header"),
        (b"reference_id,citation\n\xe4,b\n", "not UTF-8"),
        ('reference_id,citation\n"a,b\n', "not readable as CSV"),
        ("reference_id,citation\na," + "x" * 200_000 + "\n", "not readable as CSV"),
    ],
)
def test_tables_that_are_none(tmp_path, content, match):
    refused(tmp_path, "references.csv", content, match, table="references")


def test_tables_that_take_no_rows(tmp_path):
    refused(tmp_path, "effects.csv", "value\n1\n", "takes no rows; allowed: references", table="effects")


def test_bad_rows_wait_and_good_rows_are_read(tmp_path):
    file = tmp_path / "references.csv"
    file.write_text(
        f"{COLUMNS},colour\n"
        "good,A report,https://example.org/1,primary,page,red\n"
        "Bad Id,A report,https://example.org/2,primary,page,\n"
        "bad_url,A report,example,primary,page,\n"
        "bad_word,A report,https://example.org/3,somewhere,page,\n"
        "short,row\n"
        "good,Again,https://example.org/4,primary,page,\n",
        encoding="utf-8",
    )
    done = import_table(file, tmp_path / "own", table="references")
    assert [row.reference_id for row in done.evidence.references] == ["good"]
    problems = [draft.said for draft in done.waiting["references"]]
    assert ["reference_id" in problems[0], "url" in problems[1], "vocabulary" in problems[2]] == [True] * 3
    assert "has 2 cells where the header has 6" in problems[3]
    assert "repeats row 1" in problems[4]
    (colour,) = [entry for entry in done.unmapped if entry.value == "red"]
    assert (colour.source, colour.how) == ("row 1, column colour", "not mapped")
    with (tmp_path / "own" / "review" / "references.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["reference_id"] for row in rows] == ["Bad Id", "bad_url", "bad_word", "", "good"]


def test_rows_of_an_unknown_trial_wait(tmp_path):
    file = tmp_path / "arms.csv"
    file.write_text(
        "trial_id,arm_id,label,role,intervention,reference_id,age_mean\nt,a,A,control,saline,r,NA\n",
        encoding="utf-8",
    )
    done = import_table(file, tmp_path / "own", table="arms")
    assert done.evidence.arms == ()
    assert "is not in trials.csv" in done.waiting["arms"][0].said
    assert "age_mean" not in done.waiting["arms"][0].problems


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "3,5", "five"])
def test_numbers_that_are_none_wait(tmp_path, value):
    file = tmp_path / "arms.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["trial_id", "arm_id", "age_mean"], ["t", "a", value]])
    done = import_table(file, tmp_path / "own", table="arms")
    assert value in done.waiting["arms"][0].problems["age_mean"]


def test_groups_without_denominators(tmp_path):
    record = copy.deepcopy(MADE)
    for measure in record["resultsSection"]["outcomeMeasuresModule"]["outcomeMeasures"]:
        measure.pop("denoms", None)
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    done = import_record(tmp_path / "record.json", tmp_path / "own")
    rows = done.evidence.outcomes
    assert {row.n for row in rows} == {None}
    assert not [
        row
        for row in rows
        if row.statistic == "percent" or (row.instrument == "WOMAC_pain" and row.has_spread)
    ]
    assert any("without the number of participants" in entry.reason for entry in done.unmapped)
    assert any("unknown number of participants" in draft.said for draft in done.waiting["outcomes"])


def changed(tmp_path, change):
    record = copy.deepcopy(MADE)
    change(record["protocolSection"], record["resultsSection"])
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return import_record(tmp_path / "record.json", tmp_path / "own")


def test_a_change_at_baseline_waits(tmp_path):
    def change(protocol, results):
        results["outcomeMeasuresModule"]["outcomeMeasures"][4]["classes"][0]["title"] = "Baseline"

    done = changed(tmp_path, change)
    (draft,) = [draft for draft in done.waiting["outcomes"] if draft.cells.get("instrument") == "NRS"]
    assert "a change at baseline" in draft.problems["statistic"]


@pytest.mark.parametrize("name", ["Made substance", "MSC-derived exosomes"])
def test_a_treatment_that_is_not_recognised_waits(tmp_path, name):
    def change(protocol, results):
        protocol["armsInterventionsModule"]["interventions"][0] |= {"name": name, "description": ""}
        for arm in protocol["armsInterventionsModule"]["armGroups"][:2]:
            arm["interventionNames"] = [f"Biological: {name}"]

    done = changed(tmp_path, change)
    assert "not recognised" in done.waiting["trials"][0].problems["is_comparator_only"]
    assert done.evidence.trials == done.evidence.arms == done.evidence.outcomes == ()


def test_groups_are_not_linked_to_one_of_two_arms_of_the_same_label(tmp_path):
    def change(protocol, results):
        protocol["armsInterventionsModule"]["armGroups"][1]["label"] = "Low Dose"

    done = changed(tmp_path, change)
    assert [arm.arm_id for arm in done.evidence.arms] == ["low_dose", "low_dose_2", "hyaluronic_acid"]
    assert {row.arm_id for row in done.evidence.outcomes} == {"hyaluronic_acid"}
    assert any("fits the arms low_dose, low_dose_2" in entry.reason for entry in done.unmapped)


def test_a_name_that_is_no_text_is_still_written(tmp_path):
    file = tmp_path / "re\udce9cord.json"
    file.write_bytes(RECORD.read_bytes())
    assert import_record(file, tmp_path / "own").mapping[0].file == "re?cord.json"


@pytest.mark.parametrize(
    "unit", ["9", "a", "1,", "one ", "0-", "reduction ", "knee ", "((", "10^", "higher ", "= "]
)
def test_long_texts_are_read_in_no_more_than_linear_time(tmp_path, unit):
    """Texts of 100 000 characters; patterns that go back over a text would take minutes here."""
    long = unit * (100_000 // len(unit))
    record = copy.deepcopy(MADE)
    protocol, results = record["protocolSection"], record["resultsSection"]
    protocol["conditionsModule"]["conditions"].append(long)
    protocol["armsInterventionsModule"]["interventions"][0]["description"] = long
    protocol["armsInterventionsModule"]["armGroups"][0]["description"] = long
    measure = results["outcomeMeasuresModule"]["outcomeMeasures"][0]
    measure |= {"title": f"WOMAC pain {long}", "description": long, "timeFrame": long}
    results["adverseEventsModule"]["timeFrame"] = long
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    assert len(import_record(tmp_path / "record.json", tmp_path / "own").evidence.trials) == 1


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="is not the folder of an import"):
        import_record(RECORD, tmp_path / "mine")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="is not the folder of an import"):
        import_record(RECORD, tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        import_record(RECORD, tmp_path / "file" / "own")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_the_same_file_twice_changes_nothing(tmp_path):
    done = import_record(RECORD, tmp_path / "own")
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="was imported into this folder before"):
        import_record(RECORD, tmp_path / "own")
    assert {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()} == before
    assert load(tmp_path / "own").hash == done.evidence.hash


def test_a_failure_while_writing_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    from stemtrial.evidence.imports import folder

    file = tmp_path / "references.csv"
    file.write_text(f"{COLUMNS}\na,A report,https://example.org/1,primary,page\n", encoding="utf-8")
    import_record(RECORD, tmp_path / "own")
    before = load(tmp_path / "own").hash
    rename = folder.os.rename

    def fail(source, target):
        if (
            Path(target).name == "own"
            and (Path(source) / "manifest.json").exists()
            and "again" not in fail.__dict__
        ):
            fail.again = True
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(folder.os, "rename", fail)
    with pytest.raises(InputError, match="No space left"):
        import_table(file, tmp_path / "own", table="references")
    assert load(tmp_path / "own").hash == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "references.csv"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["x.txt"], "neither a .csv nor a .json"),
        (["x.csv"], "--table is needed"),
        (["x.json", "--table", "arms"], "for .csv files only"),
        (["x.csv", "--table", "arms", "--arm", "A=b"], "for .json records only"),
        (["x.json"], "does not exist"),
        (["x.json", "--arm", "A"], "is not TITLE=ARM"),
    ],
)
def test_options(tmp_path, arguments, match):
    command = [
        "evidence",
        "import",
        str(tmp_path / arguments[0]),
        *arguments[1:],
        "--out",
        str(tmp_path / "own"),
    ]
    with pytest.raises(InputError, match=match):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_evidence_cannot_stand_beside_it(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        CliRunner().invoke(app, ["evidence", "list", "--also", str(tmp_path)], catch_exceptions=False)
