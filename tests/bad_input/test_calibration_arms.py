"""Impossible arms and readings, and spoiled files of arms: the message names file, row, column and what is allowed."""

import pytest

from stemtrial.calibration.armcolumns import COLUMNS
from stemtrial.calibration.armfile import read_fit_file, read_prediction_file
from stemtrial.calibration.arms import Arms, Reading, TrialArm
from stemtrial.calibration.given import given
from stemtrial.calibration.published import published_arms
from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.mechanism.schedule import Schedule

ROW = {
    "trial_id": "mine",
    "arm_id": "cells",
    "indication": "knee_oa",
    "intervention": "cell_therapy",
    "cell_source": "adipose",
    "origin": "autologous",
    "product": "svf",
    "n": "20",
    "time_months": "6",
}
READING = {
    "month": 6,
    "instrument": "VAS",
    "kind": "level",
    "statistic": "mean",
    "value": 40,
    "reference_id": "x",
}
ARM = {
    "trial_id": "t",
    "arm_id": "a",
    "indication": "knee_oa",
    "intervention": "saline",
    "schedule": Schedule(()),
}


def write(tmp_path, *rows, extra=()):
    columns = [*COLUMNS, *extra]
    path = tmp_path / "arms.csv"
    lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def problems(read, path):
    with pytest.raises(InputError) as caught:
        read(path)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("cells", "column", "what", "allowed"),
    [
        ({"trial_id": ""}, "trial_id", "is empty", "every row"),
        ({"indication": "hip_oa"}, "indication", "vocabulary", "knee_oa"),
        ({"intervention": "stem_cells"}, "intervention", "vocabulary", "cell_therapy"),
        ({"product": "exosomes"}, "product", "vocabulary", "svf"),
        ({"time_months": "36"}, "time_months", "out of range", "at most 24"),
        ({"time_months": "0"}, "time_months", "out of range", "above 0"),
        ({"time_months": "nan"}, "time_months", "not a finite number", "finite"),
        ({"age_mean": "inf"}, "age_mean", "not a finite number", "finite"),
        ({"age_mean": "sixty"}, "age_mean", "not a number", "finite"),
        ({"n": "20.5"}, "n", "not a whole number", "whole"),
        ({"n": "0"}, "n", "out of range", "at least 1"),
        ({"female_pct": "101"}, "female_pct", "out of range", "at most 100"),
        ({"bmi_mean": "3"}, "bmi_mean", "out of range", "at least 10"),
        ({"baseline_pain_mean": "-1"}, "baseline_pain_mean", "out of range", "at least 0"),
        ({"baseline_pain_sd": "0"}, "baseline_pain_sd", "out of range", "above 0"),
        ({"dose_million_cells": "3000"}, "dose_million_cells", "out of range", "at most 2000"),
        ({"injection_times_months": "2;1"}, "injection_times_months", "increasing", "0;1;2"),
        ({"injection_times_months": "0;1", "n_injections": "3"}, "injection_times_months", "miscounts", "3"),
        ({"n_injections": "0"}, "n_injections", "contradicts", "1 or more"),
        ({"severity_distribution": "mild"}, "severity_distribution", "grades and counts", "2:12;3:18"),
        ({"cell_source": "placenta", "product": ""}, "origin", "impossible", "allogeneic"),
        ({"cell_source": "bone_marrow"}, "cell_source", "impossible", "adipose"),
        ({"intervention": "saline", "origin": "", "product": ""}, "cell_source", "without cells", "empty"),
    ],
)
def test_one_spoiled_cell(tmp_path, cells, column, what, allowed):
    (found,) = problems(read_prediction_file, write(tmp_path, ROW, ROW | {"arm_id": "b"} | cells))
    assert (found.row, found.column) == (2, column)
    assert what in found.what
    assert allowed in found.allowed


def test_every_fault_at_once(tmp_path):
    path = write(tmp_path, ROW | {"n": "-1", "age_mean": "x"}, ROW | {"bmi_mean": "nan"})
    assert [(p.row, p.column) for p in problems(read_prediction_file, path)] == [
        (1, "n"), (1, "age_mean"), (2, "bmi_mean"),
    ]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [("n", "21"), ("cell_source", ""), ("blinding", "open")])
def test_rows_of_an_arm_must_agree(tmp_path, column, value):
    path = write(tmp_path, ROW, ROW | {"time_months": "12", column: value})
    (found,) = problems(read_prediction_file, path)
    assert (found.row, found.column) == (2, column)
    assert "row 1" in found.what


def test_a_visit_stands_once(tmp_path):
    (found,) = problems(read_prediction_file, write(tmp_path, ROW, ROW))
    assert (found.row, found.column) == (2, "time_months")


def test_arms_of_a_trial_share_its_indication(tmp_path):
    path = write(tmp_path, ROW, ROW | {"arm_id": "b", "indication": "disc_degeneration"})
    (found,) = problems(read_prediction_file, path)
    assert (found.row, found.column) == (2, "indication")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("trial_id;arm_id;time_months\nt;a;6\n", "has one column"),
        ("trial_id,arm_id,indication,intervention\n", "is missing from the header"),
        ("trial_id,trial_id,arm_id,indication,intervention,time_months\n", "stands twice in the header"),
        ("trial_id,arm_id,indication,intervention,time_months,age_meen\n", "is not a known column"),
        ("trial_id,arm_id,indication,intervention,time_months\n", "holds no rows"),
        ("trial_id,arm_id,indication,intervention,time_months\nt,a,knee_oa\n", "has 3 cells"),
    ],
)
def test_spoiled_files(tmp_path, text, what):
    path = tmp_path / "arms.csv"
    path.write_text(text, encoding="utf-8")
    assert what in problems(read_prediction_file, path)[0].what


def test_files_that_cannot_be_read(tmp_path):
    assert "does not exist" in problems(read_prediction_file, tmp_path / "none.csv")[0].what
    assert "cannot be read" in problems(read_prediction_file, tmp_path)[0].what
    path = tmp_path / "latin.csv"
    path.write_bytes("trial_id,Gr\xf6\xdfe\n".encode("latin-1"))
    assert "UTF-8" in problems(read_prediction_file, path)[0].what


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"follow_up_mean": "104"}, "follow_up_mean"),
        ({"change_mean": "-101"}, "change_mean"),
        ({"change_mean": "-70", "follow_up_mean": "40"}, "change_mean"),
        ({"change_mean": "-10", "sd": "0"}, "sd"),
        ({"change_mean": "-10", "instrument": "ODI"}, "instrument"),
        ({"change_mean": "-10", "instrument": "painometer"}, "instrument"),
        ({"change_mean": "-10", "design": "cohort"}, "design"),
        ({}, None),
    ],
)
def test_rows_without_a_possible_reading(tmp_path, cells, column):
    extra = ("follow_up_mean", "change_mean", "sd", "instrument", "design")
    (found,) = problems(read_fit_file, write(tmp_path, ROW | cells, extra=extra))
    assert (found.row, found.column) == (1, column)


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [
        ({"value": float("nan")}, "value"),
        ({"value": 101}, "value"),
        ({"month": 0}, "month"),
        ({"month": 25}, "month"),
        ({"sd": 0}, "sd"),
        ({"se": float("inf")}, "se"),
        ({"n": 0}, "n"),
        ({"threshold": 10}, "threshold or threshold_fraction"),
        ({"kind": "responders", "value": 0.4}, "threshold or threshold_fraction"),
    ],
)
def test_impossible_readings(spoiled, field):
    with pytest.raises(InputError) as caught:
        Reading(**(READING | spoiled))
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [
        ({"n": 0}, "n"),
        ({"female": 55}, "female"),
        ({"baseline_mean": float("nan")}, "baseline_mean"),
        ({"grades": {2: 0.5}}, "grades"),
        ({"schedule": None}, "no_input"),
        ({"readings": (Reading(**READING), Reading(**(READING | {"month": 3})))}, "readings"),
    ],
)
def test_impossible_arms(spoiled, field):
    with pytest.raises(InputError) as caught:
        TrialArm(**(ARM | spoiled))
    assert [problem.field for problem in caught.value.problems] == [field]


def test_arms_stand_once_in_their_indication():
    one = TrialArm(**ARM)
    with pytest.raises(InputError, match="stands twice"):
        Arms("knee_oa", (one, one))
    with pytest.raises(InputError, match="belongs to knee_oa"):
        Arms("disc_degeneration", (one,))
    with pytest.raises(InputError, match="not among the trials"):
        Arms("knee_oa", (one,)).without(["typo"])


def test_impossible_treatments_and_constructs():
    with pytest.raises(InputError, match="origin"):
        given("knee_oa", "cell_therapy", source="placenta", origin="autologous")
    with pytest.raises(InputError, match="no arm has a usable reading of biomarker"):
        published_arms(load(), "knee_oa", construct="biomarker")
