"""The commands ``stemtrial fit``, ``predict`` and ``validate``: what they refuse, and what follows a fit."""

import csv
import inspect
import json
import signal
import subprocess
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from command import STEMTRIAL, apart, here
from models.made_chains import ARMS, made_folder
from stemtrial.calibration.fit import Settings
from stemtrial.cli.fit import fit

HEAD = "trial_id,arm_id,indication,intervention,cell_source,origin,product,dose_million_cells,blinding,n,\
baseline_pain_mean,time_months,note\n"
NEW = [
    "new,saline,knee_oa,saline,,,,,double,50,57,6,as printed\n",
    "new,cells,knee_oa,cell_therapy,bone_marrow,autologous,culture_expanded,40,double,50,57,6,\n",
    "new,cells,knee_oa,cell_therapy,bone_marrow,autologous,culture_expanded,40,double,50,57,12,\n",
]
OTHER = "other,care,knee_oa,usual_care,,,,,open,,,6,\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("fit") / "made"
    made_folder(made)
    return made


@pytest.fixture(scope="module")
def predicted(folder, tmp_path_factory):
    """The same arms twice: in another order, and beside another trial."""
    work = tmp_path_factory.mktemp("predict")
    (work / "one.csv").write_text(HEAD + "".join(NEW), encoding="utf-8")
    (work / "two.csv").write_text(HEAD + OTHER + "".join(reversed(NEW)), encoding="utf-8")
    found = []
    for name in ("one", "two"):
        done = here(
            "predict", work / f"{name}.csv", "--posterior", folder / "knee_oa.posterior", "--samples", 200, "--seed", 5,
            "--out", work / f"{name}_out.csv", "--draws", work / f"{name}.parquet", *(["--json"] * (name == "one")),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    return work, found


def rows(file):
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# ---- predict ---------------------------------------------------------------------------------------------------------


def test_predictions_keep_the_rows_and_add_the_columns(predicted):
    work, (document, table) = predicted
    found = rows(work / "one_out.csv")
    assert [(row["arm_id"], row["time_months"], row["note"]) for row in found] == [
        ("saline", "6", "as printed"), ("cells", "6", ""), ("cells", "12", "")
    ]  # fmt: skip
    quantiles = [f"change_{q}" for q in ("q025", "q10", "q25", "q50", "q75", "q90", "q975")]
    for row in found:
        values = [float(row[name]) for name in quantiles]
        assert values == sorted(values)
        assert float(row["follow_up_mean"]) - 57 == pytest.approx(float(row["change_mean"]), abs=1e-3)
    told = json.loads(document)
    assert [round(row["change_mean"], 4) for row in told["rows"]] == [float(r["change_mean"]) for r in found]
    assert (told["seed"], told["samples"]) == (5, 200)
    assert "Seed 5, 200 draws" in table


def test_predictions_of_a_trial_depend_neither_on_other_trials_nor_on_order(predicted):
    work, _ = predicted
    one = {(r["arm_id"], r["time_months"]): r for r in rows(work / "one_out.csv")}
    two = {(r["arm_id"], r["time_months"]): r for r in rows(work / "two_out.csv") if r["trial_id"] == "new"}
    assert one == two


def test_joint_draws_give_the_summaries(predicted):
    import pyarrow.parquet as pq

    work, _ = predicted
    table = pq.read_table(work / "one.parquet")
    assert table.column_names == ["draw", "trial_id", "arm_id", "time_months", "follow_up", "change"]
    assert table.num_rows == 200 * 3
    arm, month, change = (np.array(table[name].to_pylist()) for name in ("arm_id", "time_months", "change"))
    for row in rows(work / "one_out.csv"):
        own = change[(arm == row["arm_id"]) & (month == float(row["time_months"]))]
        assert own.mean() == pytest.approx(float(row["change_mean"]), abs=1e-4)
        assert np.quantile(own, 0.9) == pytest.approx(float(row["change_q90"]), abs=1e-4)
    # visits of an arm share its deviation, its trial and its constants
    six, twelve = (change[(arm == "cells") & (month == m)] for m in (6.0, 12.0))
    assert np.corrcoef(six, twelve)[0, 1] > 0.3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "t,p,knee_oa,prp,,,,,open,20,50,6,\nt,o,knee_oa,prp,,,,,open,20,50,12,\n",
         ["row 1", "row 2", "prp has no input in the model"]),
        (HEAD.replace("note", "change_mean") + NEW[0], ["change_mean", "is not a known column"]),
        (HEAD + NEW[0].replace("knee_oa", "disc_degeneration"), ["posterior was fitted to knee_oa"]),
        (HEAD + NEW[0].replace(",6,", ",six,"), ["row 1", "time_months", "is not a number"]),
    ],
)  # fmt: skip
def test_predict_refuses(folder, tmp_path, content, said):
    (tmp_path / "arms.csv").write_text(content, encoding="utf-8")
    done = here(
        "predict", "arms.csv", "--out", "out.csv", "--posterior", folder / "knee_oa.posterior", cwd=tmp_path
    )
    assert done.returncode == 2
    assert all(words in done.stderr for words in said), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_an_indication_without_a_posterior_is_refused(tmp_path):
    (tmp_path / "arms.csv").write_text(
        HEAD + NEW[0].replace("knee_oa", "disc_degeneration"), encoding="utf-8"
    )
    done = here("predict", "arms.csv", "--out", "out.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "disc_degeneration has no posterior in the package" in done.stderr


# ---- fit -------------------------------------------------------------------------------------------------------------


def test_fit_refuses_before_it_computes(tmp_path):
    (tmp_path / "own.csv").write_text(ARMS, encoding="utf-8")
    two = "".join(line for line in ARMS.splitlines(keepends=True) if not line.startswith(("m3", "m4")))
    (tmp_path / "two.csv").write_text(two, encoding="utf-8")
    (tmp_path / "known.csv").write_text(ARMS.replace("m1,cells", "vega_2015,bm_msc"), encoding="utf-8")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    base = ("fit", "--indication", "knee_oa", "--out")
    for arguments, said in (
        ((*base, "f", "--only"), "add --arms"),
        ((*base, "f", "--arms", "two.csv", "--only"), "too few"),
        ((*base, "taken"), "is not a run folder"),
        ((*base, "f", "--arms", "none.csv"), "does not exist"),
        (("fit", "--indication", "hip", "--out", "f"), "hip"),
    ):
        done = here(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "f").exists()


@pytest.mark.slow
def test_a_fit_that_is_interrupted_goes_on_and_one_that_has_not_converged_is_refused(tmp_path):
    (tmp_path / "own.csv").write_text(ARMS, encoding="utf-8")
    words = ("fit", "--indication", "knee_oa", "--arms", "own.csv", "--only", "--structure", "contextual", "--out", "f",
             "--chains", "2", "--warmup", "25", "--draws")  # fmt: skip

    def draws():
        return {
            file.name: np.load(file)["kept0"] for file in tmp_path.glob(".f.fit/contextual-*/chain-*.npz")
        }

    with subprocess.Popen(
        [STEMTRIAL, *words, "100000"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as run:
        while sum(len(values) > 0 for values in draws().values()) < 2 and run.poll() is None:
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    assert "interrupted; draws are kept in" in said
    assert "one gradient takes" in said
    assert "by the curvature at the mode these arms inform" in said
    before = draws()
    done = apart(*words, "25", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "contextual: the fit has not converged: R-hat" in done.stderr
    assert "Traceback" not in said + done.stderr
    assert not done.stdout
    assert not (tmp_path / "f").exists()
    for name, values in draws().items():
        assert np.array_equal(values[: len(before[name])], before[name])


# ---- the folder and its validation -----------------------------------------------------------------------------------


def test_the_folder_of_a_fit_is_complete_and_can_be_read_back(folder):
    from stemtrial.calibration.fitfolder import read_fit
    from stemtrial.evidence import load

    names = {str(path.relative_to(folder)) for path in folder.glob("**/*") if path.is_file()}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert names == set(manifest["files"]) | {"manifest.json"}
    found = read_fit(folder, load())
    about = found.posterior.about
    assert (about["trials"], about["arms"], about["readings"]) == (4, 7, 9)
    assert "m2.cells" in about["user_arms"]
    assert found.fits["paracrine"].draws.shape[:2] == (4, 250)
    assert "created" not in about
    assert "wall_seconds" not in json.dumps(dict(about))


def test_validate_refuses(folder, tmp_path):
    alone = tmp_path / "alone.posterior"
    alone.write_bytes((folder / "knee_oa.posterior").read_bytes())
    for arguments, said in (
        ((), "is needed"),
        (("--posterior", alone), "chains are needed"),
        (("--fit", tmp_path), "is no folder of a fit"),
    ):
        done = here("validate", "--indication", "knee_oa", "--out", tmp_path / "v", *arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
    done = here("validate", "--indication", "disc_degeneration", "--fit", folder, "--out", tmp_path / "v")
    assert done.returncode == 2
    assert "was fitted to knee_oa" in done.stderr


@pytest.mark.slow
def test_validate_writes_its_folder(folder, tmp_path):
    done = here(
        "validate", "--indication", "knee_oa", "--fit", folder, "--out", tmp_path / "v", "--samples", 100, "--no-refit",
        "--no-machinery", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "v" / "validation.json").read_text())
    assert {s["predictor"] for s in document["held_out"]["scores"]} == {
        "mechanism",
        "pooled mean",
        "time course",
    }
    assert document["left_out_trials"]["refitted"] == []
    verdicts = {i["key"]: i["verdict"] for i in document["credibility"]["validation"]}
    assert verdicts["held_out_coverage"] in ("met", "not met")
    checked = {i["key"]: i["verdict"] for i in document["credibility"]["verification"]}
    assert checked["convergence"] == "met"
    assert checked["simulation_based_calibration"] == checked["reproducibility"] == "not available"
    gaps = [d for d in document["held_out"]["differences"] if d["predictor"] == "mechanism"]
    assert {(d["against"], d["kind"]) for d in gaps} == {
        (name, kind) for name in ("pooled mean", "time course") for kind in ("arm", "contrast")
    }
    accuracy = next(i for i in document["credibility"]["validation"] if i["key"] == "held_out_accuracy")
    better = [
        min((d for d in gaps if d["kind"] == kind), key=lambda d: -d["crps_by_trial"])
        for kind in ("arm", "contrast")
    ]
    assert (accuracy["verdict"] == "met") == all(d["crps_by_trial"] <= 0 for d in better)
    for d in better:
        assert f"{d['crps_by_trial']:+.2f} ± {d['se_by_trial']:.2f}" in accuracy["result"]
    assert "Trials left out" in (tmp_path / "v" / "calibration.html").read_text()
    assert len(rows(tmp_path / "v" / "left_out.csv")) == sum(
        s["rows"] for s in document["held_out"]["scores"] if s["predictor"] == "mechanism"
    )
    assert not list(Path(tmp_path).glob(".v*"))


def test_a_fit_without_options_has_the_length_of_the_library():
    """The options repeat the defaults, so that help needs no library."""
    options = inspect.signature(fit).parameters
    ours = {field.name: field.default for field in fields(Settings)}
    assert {name: options[name].default for name in ours} == ours
