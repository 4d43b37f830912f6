"""Exported data sets, analysed elsewhere, give the numbers of the run."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest

from stemtrial import scales
from stemtrial.documents import Document
from stemtrial.errors import InputError
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.trial import adverse, datasets
from stemtrial.trial.export import export
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.nonmem import COMPARTMENTS
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import SMALL_SAMPLE, Plan, simulate
from stemtrial.trial.run import run

REPLICATES, SEED = 12, 5
EXACT = 1e-9
"""Readings are stored in double precision: what is left is the rounding of another algorithm."""


EVENTS = """
    - {kind: surgery, pain_above: 50, by_month_12: 0.3, relief: 15}
    - {kind: prohibited_injection, pain_above: 40, by_month_12: 0.2, relief: 10, lasting_months: 3}
"""


def variant(example, folder, **changes):
    """Write the example with other sizes and the given fields of the question."""
    values = {
        ("arms", "saline", "n"): 24,
        ("arms", "cells", "n"): 40,
        ("conduct", "rescue_analgesia", "pain_above"): 55,
    }
    values |= {("question", *name.split("_")) if name.startswith("endpoint_") else ("question", name): value
               for name, value in changes.items()}  # fmt: skip
    path = folder / "trial.yaml"
    text = Document.read(example).replaced(values).text
    if changes.get("estimand") != "hypothetical":
        text = text.replace("\nquestion:", f"  events: {EVENTS}\n\nquestion:")
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def made(example, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    path = variant(example, folder)
    run(path, REPLICATES, SEED, folder / "run", 1, lambda _: None, patients=True)
    export(folder / "run", folder / "parquet", "parquet")
    return folder


@pytest.fixture(scope="module")
def found(made):
    return {name: pd.read_parquet(made / "parquet" / f"{name}.parquet") for name in ("adsl", "adqs", "adae")}


@pytest.mark.parametrize(
    ("estimand", "instrument"),
    [
        ("treatment_policy", "VAS"), ("composite", "VAS"), ("composite", "NRS"), ("hypothetical", "WOMAC_function"),
        ("while_on_treatment", "VAS"), ("while_on_treatment", "NRS"),
    ],
)  # fmt: skip
def test_ancova_of_the_marked_records_is_the_estimate_of_every_replicate(
    example, tmp_path, estimand, instrument
):
    path = variant(example, tmp_path, estimand=estimand, endpoint_instrument=instrument)
    run(path, REPLICATES, SEED, tmp_path / "run", 1, lambda _: None, patients=True)
    export(tmp_path / "run", tmp_path / "out", "parquet")
    rows = pd.read_parquet(tmp_path / "out" / "adqs.parquet")
    rows = rows[rows["ANL02FL"] == "Y"]
    assert not rows.duplicated("USUBJID").any()
    expected = simulate(Plan.of(Trial.read(path)), SEED, np.arange(REPLICATES))["estimate"]
    estimates = []
    for _, own in rows.groupby("REPL"):
        design = np.column_stack([np.ones(len(own)), own["BASE"], own["TRTPN"] == 2])
        estimates.append(np.linalg.lstsq(design, own["AVAL"].to_numpy(), rcond=None)[0][2])
    assert np.abs(np.array(estimates) - expected).max() < EXACT
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert abs(np.mean(estimates) - summary["contrast"]["estimate"]) < EXACT
    derived = {"composite": "COMPOSITE", "while_on_treatment": "LOCF"}.get(estimand)
    assert set(rows["DTYPE"].dropna()) == ({derived} if derived else set())
    assert derived is None or (rows["DTYPE"] == derived).sum() > 20
    subjects = pd.read_parquet(tmp_path / "out" / "adsl.parquet")
    assert (subjects["SURGFL"] == "Y").any() == (estimand != "hypothetical")


def test_mixed_model_of_the_marked_records_is_the_estimate_too(example, tmp_path):
    path = variant(example, tmp_path, analysis="mmrm")
    run(path, 4, SEED, tmp_path / "run", 1, lambda _: None, patients=True)
    export(tmp_path / "run", tmp_path / "out", "parquet", (2, 2))
    rows = pd.read_parquet(tmp_path / "out" / "adqs.parquet")
    rows = rows[rows["ANL02FL"] == "Y"]
    y, x, seen = [], [], []
    for number in (1, 2):
        own = rows[rows["TRTPN"] == number]
        wide = own.pivot_table(index="USUBJID", columns="AVISITN", values="AVAL").to_numpy().T[:, None, :]
        seen.append(~np.isnan(wide))
        y.append(np.nan_to_num(wide))
        x.append(own.groupby("USUBJID")["BASE"].first().to_numpy()[None])
    # Patients who left before the first visit have no record, and add nothing to the likelihood.
    estimate = mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), SMALL_SAMPLE).estimate[0, -1]
    expected = simulate(Plan.of(Trial.read(path)), SEED, np.array([2]))["estimate"][0]
    assert estimate == pytest.approx(expected, abs=EXACT)


def test_records_of_an_interval_of_replicates_are_those_of_the_whole(made, found, tmp_path):
    export(made / "run", tmp_path / "part", "parquet", (3, 5))
    for name, whole in found.items():
        part = pd.read_parquet(tmp_path / "part" / f"{name}.parquet")
        expected = whole[whole["REPL"].between(3, 5)].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, expected)
        assert len(part)


def test_outcomes_are_those_of_the_run(made, found):
    patients = pd.read_parquet(made / "run" / "patients.parquet")
    rows = found["adqs"]
    assert not rows.duplicated(["USUBJID", "PARAMCD", "AVISITN"]).any()
    for code, name in (("VAS", "VAS"), ("WOMACP", "WOMAC_pain"), ("WOMACF", "WOMAC_function")):
        for month in (0, 3, 12):
            own = rows[(rows["PARAMCD"] == code) & (rows["AVISITN"] == month)]
            values = patients.sort_values(["replicate", "arm", "patient"], key=_comparator_first)
            assert (
                own["AVAL"].to_numpy().tolist() == values[f"{name}_{month}"].dropna().astype(float).tolist()
            )
    after = rows[rows["AVISITN"] > 0]
    assert np.allclose(after["CHG"], after["AVAL"] - after["BASE"], atol=0)
    some = after["BASE"] > 0
    assert np.allclose(after["PCHG"][some], (100 * after["CHG"] / after["BASE"])[some])
    assert after.loc[~some, "PCHG"].isna().all()
    assert (rows["ADY"] == np.rint(rows["AVISITN"] * DAYS_PER_MONTH) + 1).all()
    assert rows.loc[rows["AVISITN"] == 0, "CHG"].isna().all()
    assert (after["ANL01FL"] == "Y").all()


def _comparator_first(column):
    return column.map({"saline": 0, "cells": 1}) if column.name == "arm" else column


def test_responder_flags_follow_the_thresholds(found):
    rows = found["adqs"]
    after = rows[(rows["AVISITN"] > 0) & (rows["PARAMCD"] == "VAS")]
    mcid = scales.mcid("VAS", "knee_oa").value
    limits = {"CRIT1FL": mcid, "CRIT2FL": 0.3 * after["BASE"], "CRIT3FL": 0.5 * after["BASE"]}
    for flag, limit in limits.items():
        assert ((after[flag] == "Y") == (-after["CHG"] >= limit)).all()
        assert set(after[flag]) == {"Y", "N"}
    assert rows.loc[rows["AVISITN"] == 0, "CRIT2FL"].isna().all()


def test_subjects_are_the_patients_of_the_run(made, found):
    patients = pd.read_parquet(made / "run" / "patients.parquet")
    subjects = found["adsl"]
    assert len(subjects) == REPLICATES * 64
    assert subjects["USUBJID"].is_unique
    assert subjects["USUBJID"].is_monotonic_increasing
    assert (subjects.groupby("REPL")["TRT01PN"].value_counts().unstack() == [24, 40]).all(axis=None)
    assert set(subjects.loc[subjects["TRT01PN"] == 1, "ARM"]) == {"saline"}
    assert subjects["AGE"].sum() == pytest.approx(patients["age"].astype(float).sum(), rel=1e-12)
    assert (subjects["SEX"] == "F").sum() == patients["female"].sum()
    assert (subjects["EOSSTT"] == "DISCONTINUED").sum() == patients["left_by_month"].notna().sum()
    assert (subjects.loc[subjects["EOSSTT"] == "COMPLETED", "EOSDY"] == 366).all()
    assert (subjects["RESCFL"] == "Y").sum() == patients["rescue_month"].notna().sum()
    assert subjects["RESCDY"].notna().sum() == patients["rescue_month"].notna().sum()
    seen = found["adqs"].query("AVISITN == 12 and PARAMCD == 'VAS'")["USUBJID"]
    assert set(seen) == set(subjects.loc[subjects["EOSSTT"] == "COMPLETED", "USUBJID"])


def words(column):
    return column.astype(object).where(column.notna(), "").tolist()


def test_transport_files_hold_the_same_under_their_limits(made, found):
    export(made / "run", made / "xpt", "xpt")
    for name, rows in found.items():
        frame, about = pyreadstat.read_xport(made / "xpt" / f"{name}.xpt")
        schema = pq.read_schema(made / "parquet" / f"{name}.parquet")
        assert about.column_names == schema.names
        assert about.column_labels == [field.metadata[b"label"].decode() for field in schema]
        assert about.table_name == name.upper()
        assert about.file_label == schema.metadata[b"label"].decode()
        assert all(len(c) <= 8 and c.isupper() for c in about.column_names)
        assert all(0 < len(label) <= 40 for label in about.column_labels)
        assert len(frame) == len(rows)
        for column in rows:
            if rows[column].dtype.kind in "if":
                assert np.array_equal(frame[column], rows[column].astype(float), equal_nan=True), column
            else:
                assert words(frame[column]) == words(rows[column]), column
        raw = (made / "xpt" / f"{name}.xpt").read_bytes()
        assert raw.startswith(b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!")
        assert len(raw) % 80 == 0


def test_csv_files_hold_the_same(made, found):
    export(made / "run", made / "csv", "csv")
    for name, rows in found.items():
        again = pd.read_csv(made / "csv" / f"{name}.csv")
        assert list(again) == list(rows)
        for column in rows:
            if rows[column].dtype.kind in "if":
                assert np.array_equal(again[column], rows[column].astype(float), equal_nan=True), column
            else:
                assert words(again[column]) == words(rows[column]), column


def test_every_variable_is_described(made, found):
    with (made / "parquet" / "variables.csv").open() as file:
        described = {(row["dataset"].lower(), row["variable"]) for row in csv.DictReader(file)}
    assert described == {(name, column) for name, rows in found.items() for column in rows}
    about = json.loads((made / "parquet" / "export.json").read_text())
    assert about["rows"] == {f"{name}.parquet": len(rows) for name, rows in found.items()}
    assert about["simulated"] is True


# ---- adverse events ----------------------------------------------------------------------------------------------


def test_events_carry_their_published_counts(made, found):
    trial = Trial.read(made / "trial.yaml")
    for arm in trial.arms:
        risks = {adverse.TERMS[r.category]: r for r in adverse.published_risks(trial, arm)}
        own = found["adae"][found["adae"]["TRTP"] == arm]
        assert set(own["AETERM"]) <= set(risks)
        for term, source in zip(own["AETERM"], own["AESRC"], strict=True):
            assert source == risks[term].source
            assert "simulated from published risks" in source
    assert set(found["adae"]["USUBJID"]) <= set(found["adsl"]["USUBJID"])
    assert not found["adae"].duplicated(["USUBJID", "AESEQ"]).any()


def test_events_occur_as_often_as_published():
    """Share of 4000 virtual trials of 50 patients against the mean of the Beta distribution.

    The mean of the trials' risks has a standard error of at most 0.04/sqrt(4000) here; at 5 standard errors of
    binomial and Beta spread together the false-alarm rate is below 1e-6 for each of the two risks.
    """
    risks = (adverse.Risk("cells", "infection", 3, 60, 2), adverse.Risk("saline", "infection", 20, 40, 2))
    happened = adverse.events(risks, 11, np.arange(4000), 0, 50)
    for risk, own in zip(risks, happened, strict=True):
        a, b = risk.events + 0.5, risk.patients - risk.events + 0.5
        mean = a / (a + b)
        spread = mean * (1 - mean) / (a + b + 1)
        se = np.sqrt((spread + (mean * (1 - mean) - spread) / 50) / 4000)
        assert abs(own.mean() - mean) < 5 * se
        between = own.mean(axis=1).var()
        expected = spread + (mean * (1 - mean) - spread) / 50
        assert between == pytest.approx(expected, rel=0.15)


def test_events_do_not_depend_on_who_else_is_drawn():
    risks = (adverse.Risk("cells", "other", 30, 60, 2), adverse.Risk("cells", "immune", 30, 60, 2))
    together = adverse.events(risks, 11, np.arange(20), 0, 30)
    alone = adverse.events(risks[1:], 11, np.array([7]), 12, 5)
    assert (together[1, 7, 12:17] == alone[0, 0]).all()
    assert (together[0] != together[1]).any()


def test_streams_of_events_are_not_those_of_anything_else():
    from stemtrial.draws import Stream
    from stemtrial.mechanism.treatments import TREATMENTS
    from stemtrial.trial.replicates import ARM_STRIDE

    used = range(Stream.HARMS + 1, Stream.HARMS + len(TREATMENTS))
    assert not set(used) & set(map(int, Stream))
    assert adverse._RISKS >= 6 * ARM_STRIDE


# ---- NONMEM ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records(made):
    export(made / "run", made / "nonmem", "nonmem")
    return pd.read_csv(made / "nonmem" / "nonmem.csv", na_values=".")


def test_nonmem_records_are_in_order_and_numbers(made, records):
    lines = (made / "nonmem" / "nonmem.csv").read_text().splitlines()
    assert lines[0].startswith("ID,REP,TIME,AMT,RATE,DV,EVID,MDV,CMT")
    assert '"' not in "".join(lines[:50])
    assert all(records[c].dtype.kind in "if" for c in records)
    assert records["ID"].is_monotonic_increasing
    assert records["ID"].nunique() == REPLICATES * 64
    assert (records.groupby("ID")["TIME"].diff().fillna(0) >= 0).all()
    first = records.groupby("ID").first()
    assert (first["TIME"] == 0).all()
    assert (first["EVID"] == 0).all()
    assert records.loc[records["EVID"] == 1, "DV"].isna().all()
    assert records.loc[records["EVID"] == 0, "DV"].notna().all()
    assert (records["MDV"] == records["EVID"]).all()


def test_nonmem_doses_and_observations_are_those_of_the_trial(made, records, found):
    observed = records[records["EVID"] == 0]
    assert len(observed) == len(found["adqs"])
    own = observed[observed["CMT"] == COMPARTMENTS["VAS"]]
    expected = found["adqs"][found["adqs"]["PARAMCD"] == "VAS"]
    assert own["DV"].tolist() == expected["AVAL"].tolist()
    doses = records[records["EVID"] == 1]
    cells = doses[doses["CMT"] == COMPARTMENTS["cells"]]
    assert set(cells["AMT"]) == {50.0}
    assert set(cells["ARM"]) == {2}
    assert len(cells) == REPLICATES * 40
    assert len(doses[doses["CMT"] == COMPARTMENTS["saline"]]) == REPLICATES * 24
    rescue = doses[doses["CMT"] == COMPARTMENTS["nsaid"]]
    assert (rescue["RATE"] == 1).all()
    subjects = found["adsl"].reset_index(drop=True)
    end = (subjects["EOSDY"].to_numpy() - 1)[rescue["ID"].to_numpy() - 1]
    assert np.allclose(rescue["TIME"] + rescue["AMT"], end, atol=0.51)
    begun = (subjects["RESCFL"] == "Y") & (subjects["RESCDY"] < subjects["EOSDY"])
    assert len(rescue) == begun.sum()


# ---- bad input ---------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a run folder"):
        export(tmp_path, tmp_path / "out", "csv")


def test_a_run_without_patients_is_refused(example, tmp_path):
    run(variant(example, tmp_path), 2, 1, tmp_path / "run", 1, lambda _: None)
    with pytest.raises(InputError, match="simulate again with --patients"):
        export(tmp_path / "run", tmp_path / "out", "csv")


def test_a_changed_run_is_refused(made, tmp_path):
    import shutil

    shutil.copytree(made / "run", tmp_path / "run")
    with (tmp_path / "run" / "trial.yaml").open("a") as file:
        file.write("# another\n")
    with pytest.raises(InputError, match=r"trial\.yaml.*was changed after the run"):
        export(tmp_path / "run", tmp_path / "out", "csv")


@pytest.mark.parametrize("span", [(0, REPLICATES), (5, 4), (-1, 3)])
def test_a_range_outside_the_run_is_refused(made, tmp_path, span):
    with pytest.raises(InputError, match=f"within 0-{REPLICATES - 1}"):
        export(made / "run", tmp_path / "out", "csv", span)
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten_and_nothing_half_written(made, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        export(made / "run", out, "csv")
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine"]
    monkeypatch.setattr(datasets, "XPT_ROWS", 100)
    with pytest.raises(InputError, match=r"ADSL has more than 100 rows.*--replicates"):
        export(made / "run", tmp_path / "xpt", "xpt")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_transport_files_need_their_package(made, tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"stemtrial\[export\]"):
        export(made / "run", tmp_path / "out", "xpt")


def test_texts_too_long_for_a_transport_file_are_refused(tmp_path):
    data = datasets.Dataset("LONG", "Too long", (datasets.Variable("WORDS", "Words", "text"),))
    with pytest.raises(InputError, match=r"LONG\.WORDS has a text of 201 bytes"):
        datasets.write_xport(tmp_path / "long.xpt", data, [data.table({"WORDS": ["x" * 201]})])


@pytest.mark.parametrize(("name", "label"), [("NINELETTER", "ok"), ("lower", "ok"), ("FINE", "x" * 41)])
def test_names_and_labels_fit_a_transport_file(name, label):
    with pytest.raises(ValueError, match="transport file"):
        datasets.Variable(name, label, "text")
    with pytest.raises(ValueError, match="transport file"):
        datasets.Dataset(name, label, ())
