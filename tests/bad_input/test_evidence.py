"""One spoiled cell, column or file at a time: the message names table, row, column, value and range."""

import csv
import shutil
from importlib.resources import files

import pytest
from pydantic import ValidationError

from stemtrial.errors import InputError
from stemtrial.evidence import Selection, load
from stemtrial.evidence.schema import Event, Outcome
from stemtrial.evidence.tables import ROWS

DATA = files("stemtrial.evidence") / "data"


@pytest.fixture
def folder(tmp_path):
    for name in ROWS:
        shutil.copy(str(DATA / f"{name}.csv"), tmp_path / f"{name}.csv")
    return tmp_path


def read(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(folder, name, lines):
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


def spoil(folder, name, row, **cells):
    lines = read(folder, name)
    for column, value in cells.items():
        lines[row][lines[0].index(column)] = value
    write(folder, name, lines)


def faults(folder):
    with pytest.raises(InputError) as caught:
        load(folder)
    assert all(str(folder) in (problem.file or "") for problem in caught.value.problems)
    return caught.value.problems


FIRST_SCORE = 1  # row 1 of outcomes.csv: ODI, 0 to 100, a mean


@pytest.mark.parametrize(
    ("name", "row", "cells", "column", "what", "allowed"),
    [
        (
            "trials",
            3,
            {"blinding": "tripple"},
            "blinding",
            "not in the vocabulary",
            "double, single, open or unclear",
        ),
        ("trials", 3, {"n_randomised": "0"}, "n_randomised", "out of range", "at least 1"),
        ("trials", 3, {"n_randomised": "4.5"}, "n_randomised", "not of the type", "a whole number"),
        ("trials", 3, {"n_randomised": "many"}, "n_randomised", "not of the type", "a whole number"),
        (
            "trials",
            3,
            {"is_comparator_only": "maybe"},
            "is_comparator_only",
            "not of the type",
            "true or false",
        ),
        (
            "trials",
            3,
            {"is_comparator_only": "true"},
            "is_comparator_only",
            "contradicts the cell arm",
            "false",
        ),
        (
            "trials",
            3,
            {"reference_id": "nobody_1900"},
            "reference_id",
            "not in references.csv",
            "references.csv",
        ),
        ("trials", 3, {"citation": ""}, "citation", "is empty", "a value"),
        ("references", 2, {"url": "jamanetwork.com"}, "url", "not written as", "https"),
        ("references", 2, {"doi": "doi:10.1/x"}, "doi", "not written as", "10"),
        ("arms", 1, {"female_pct": "101"}, "female_pct", "out of range", "at most 100"),
        ("arms", 1, {"age_sd": "-1"}, "age_sd", "out of range", "at least 0"),
        ("arms", 1, {"dose_million_cells": "0"}, "dose_million_cells", "out of range", "above 0"),
        (
            "arms",
            1,
            {"injection_times_months": "0;1"},
            "injection_times_months",
            "one time an injection",
            "1 times",
        ),
        (
            "arms",
            1,
            {"injection_times_months": "0;x"},
            "injection_times_months",
            "not of the type",
            "finite number",
        ),
        ("arms", 2, {"product": "svf"}, "product", "cells in an arm without cells", "empty"),
        ("arms", 1, {"pooled_of": "ghost"}, "pooled_of", "not an arm of atluri_2022", "other arms"),
        ("arms", 1, {"pooled_of": "conventional"}, "pooled_of", "primary outcomes together", "one side"),
        ("arms", 2, {"arm_id": "bmc"}, "arm_id", "repeats row 1", None),
        ("outcomes", FIRST_SCORE, {"value": "146.1"}, "value", "off the scale of ODI", "0 to 100"),
        ("outcomes", FIRST_SCORE, {"value": "nan"}, "value", "not of the type", "a finite number"),
        ("outcomes", FIRST_SCORE, {"value": "1e999"}, "value", "not of the type", "a finite number"),
        ("outcomes", FIRST_SCORE, {"value": "46,1"}, "value", "not of the type", "a finite number"),
        (
            "outcomes",
            FIRST_SCORE,
            {"statistic": "mean_change", "value": "-101"},
            "value",
            "off the scale",
            "-100 to 100",
        ),
        ("outcomes", FIRST_SCORE, {"scale_min": "100"}, "scale_min", "not below scale_max", "below 100"),
        ("outcomes", FIRST_SCORE, {"sd": "-2"}, "sd", "out of range", "at least 0"),
        ("outcomes", FIRST_SCORE, {"ci_low": "50", "ci_high": "40"}, "ci_low", "above ci_high", "at most 40"),
        (
            "outcomes",
            FIRST_SCORE,
            {"iqr_low": "-5", "iqr_high": "40"},
            "iqr_low",
            "off the scale",
            "0 to 100",
        ),
        (
            "outcomes",
            FIRST_SCORE,
            {"statistic": "percent"},
            "scale_kind",
            "contradicts the statistic",
            "percent",
        ),
        ("outcomes", FIRST_SCORE, {"arm_id": "ghost"}, "arm_id", "not in arms.csv", "arms.csv"),
        ("outcomes", FIRST_SCORE, {"time_months": "-1"}, "time_months", "out of range", "at least 0"),
        ("events", 1, {"n_with_event": "61"}, "n_with_event", "above n_at_risk", "0 to 60"),
        ("events", 1, {"category": "death"}, "category", "not in the vocabulary", "infection"),
        ("effects", 1, {"ci_low": "9"}, "ci_low", "above ci_high", "at most -3.3"),
        ("effects", 13, {"value": "47.8"}, "value", "not a proportion", "0 to 1"),
        ("harms", 1, {"value": "140"}, "value", "not a per cent", "0 to 100"),
        ("natural_history", 2, {"low": "5"}, "low", "above high", "at most -1.7"),
        ("thresholds", 1, {"value": ""}, "value", "empty in a row without a rule", "a rule"),
        (
            "predictors",
            1,
            {"reference_id": "nobody"},
            "reference_id",
            "not in references.csv",
            "references.csv",
        ),
        ("criteria", 1, {"indication": "knee_oa;elbow"}, "indication", "not in the vocabulary", "knee_oa"),
    ],
)
def test_one_bad_cell_gives_one_message(folder, name, row, cells, column, what, allowed):
    spoil(folder, name, row, **cells)
    if column == "is_comparator_only" and cells[column] == "true":
        assert read(folder, name)[row][0] == "rothoerl_2023"
    (problem,) = [found for found in faults(folder) if found.file == str(folder / f"{name}.csv")]
    assert (problem.row, problem.column) == (row, column)
    assert what in problem.what
    assert allowed is None or allowed in (problem.allowed or "")
    assert problem.value is not None or "empty" in problem.what


def test_the_line_as_printed(folder):
    spoil(folder, "trials", 3, blinding="tripple")
    assert str(*faults(folder)) == (
        f"{folder / 'trials.csv'}, row 3, column blinding: tripple is not in the vocabulary; "
        "allowed: double, single, open or unclear"
    )


def test_every_fault_is_collected_without_follow_up_faults(folder):
    spoil(folder, "references", 1, read_as="hearsay")
    spoil(folder, "trials", 1, funding="lottery", design="guess")
    spoil(folder, "arms", 1, role="hero")
    spoil(folder, "events", 4, n_at_risk="0")
    found = {(problem.file.rsplit("/")[-1], problem.row, problem.column) for problem in faults(folder)}
    assert found == {
        ("references.csv", 1, "read_as"),
        ("trials.csv", 1, "funding"),
        ("trials.csv", 1, "design"),
        ("arms.csv", 1, "role"),
        ("events.csv", 4, "n_at_risk"),
    }


def test_two_primary_rows_for_one_visit(folder):
    lines = read(folder, "outcomes")
    twin = dict(zip(lines[0], lines[1], strict=True)) | {
        "instrument": "RMDQ",
        "scale_max": "24",
        "value": "12",
    }
    write(folder, "outcomes", [*lines, list(twin.values())])
    (problem,) = faults(folder)
    assert (problem.row, problem.column) == (len(lines), "analysis_set")
    assert "is primary, as is row 1, for the same arm, construct and visit" in problem.what


@pytest.mark.parametrize("name", ROWS)
def test_a_repeated_row(folder, name):
    lines = read(folder, name)
    write(folder, name, [*lines, lines[1]])
    problems = faults(folder)
    assert any("repeats row 1" in problem.what and problem.row == len(lines) for problem in problems)


def test_columns(folder):
    lines = read(folder, "arms")
    lines[0][lines[0].index("cell_source")] = "cell_sorce"
    write(folder, "arms", lines)
    unknown, missing = faults(folder)
    assert unknown.column == "cell_sorce"
    assert unknown.hint.startswith("nearest: cell_source")
    assert (missing.column, missing.what) == ("cell_source", "is missing from the header")


def test_a_repeated_column_and_a_short_row(folder):
    lines = read(folder, "arms")
    write(folder, "arms", [[*lines[0], "label"], *[[*line, ""] for line in lines[1:]]])
    assert [problem.what for problem in faults(folder)] == ["stands twice in the header"]
    write(folder, "arms", [*lines[:4], lines[4][:-2], *lines[5:]])
    (problem,) = faults(folder)
    assert (problem.row, problem.allowed) == (4, f"{len(lines[0])} cells")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00trial_id", b'trial_id,"open\n'])
def test_unreadable_files(folder, content):
    (folder / "trials.csv").write_bytes(content)
    (problem,) = faults(folder)
    assert problem.file == str(folder / "trials.csv")


def test_missing_files(tmp_path):
    assert len(faults(tmp_path)) == len(ROWS)


def test_rows_made_by_hand_are_checked_too():
    row = load().events[0]
    with pytest.raises(ValidationError, match="above n_at_risk"):
        Event(**row.cells() | {"n_with_event": row.n_at_risk + 1})
    with pytest.raises(ValidationError, match="colour"):
        Outcome(**load().outcomes[0].cells() | {"colour": "red"})


def test_other_measures_have_no_common_scale():
    row = next(row for row in load().outcomes if row.scale_kind == "percent")
    with pytest.raises(InputError, match="has no conversion to 0-100"):
        _ = row.common


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"blinding": "tripple"}, "blinding = tripple is not known; allowed: double, single, open, unclear"),
        (
            {"construct": "pain", "blinding": "double", "indication": "hip_oa"},
            "blinding = double leaves nothing of the 3 trials before it; allowed: open",
        ),
        ({"product": "hsc", "comparator": "saline"}, "comparator = saline leaves nothing of the 1 trials"),
        ({"indication": "hip_oa", "construct": "biomarker"}, "construct = biomarker leaves nothing"),
    ],
)
def test_an_empty_selection_names_its_filter(filters, message):
    with pytest.raises(InputError, match=message):
        Selection(**filters).of(load())


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: load().trial("gupta2016"), "gupta_2016"),
        (lambda: load().reference("osteloo_2008"), "ostelo_2008"),
        (lambda: load().arm("gupta_2016", "msc25m"), "msc_25m"),
        (lambda: load().outcomes_of("nothing"), "nearest"),
    ],
)
def test_unknown_ids_name_near_matches(call, near):
    with pytest.raises(InputError, match=near):
        call()
