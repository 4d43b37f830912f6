"""The main job from the command line, on the shipped example."""

import hashlib
import json
import signal
import subprocess
import time

import pytest

from command import STEMTRIAL, apart, here
from stemtrial.calibration.belief import belief


@pytest.fixture(scope="module")
def folder(example, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    found = here("simulate", example, "--replicates", 40, "--seed", 3, "--out", out, "--patients", "--json")
    assert found.returncode == 0, found.stderr
    (out / "stdout").write_text(found.stdout)
    return out


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_json_on_stdout_is_the_summary_and_nothing_else(folder):
    assert json.loads((folder / "stdout").read_text()) == summary(folder)


def test_summary_has_the_keys_of_the_contract(folder):
    found = summary(folder)
    keys = {
        "trial", "evidence_hash", "posterior_hash", "seed", "replicates", "arms", "contrast", "assurance", "power",
        "type_one_error", "expected_n", "structure_weights", "numerical_error", "wall_seconds",
    }  # fmt: skip
    assert keys <= found.keys()
    assert list(found["arms"]) == ["saline", "cells"]
    for arm in found["arms"].values():
        assert {"n", "change", "responders", "harms"} <= arm.keys()
        assert list(arm["change"]) == ["1", "3", "6", "9", "12"]
        assert all({"mean", "sd", "q025", "q975"} <= visit.keys() for visit in arm["change"].values())
        assert {"mcid", "thirty_percent", "fifty_percent"} == arm["responders"].keys()
    assert {"estimate", "q025", "q975", "specific", "contextual"} <= found["contrast"].keys()
    for probability in ("assurance", "power", "type_one_error"):
        assert 0 <= found[probability]["value"] <= 1
        assert found[probability]["mc_se"] > 0
    assert found["calibration"] == belief("knee_oa").label
    assert found["expected_n"] == 240
    assert found["numerical_error"]["max_points"] <= found["numerical_error"]["tolerance"]


def test_every_output_says_where_its_constants_come_from(folder):
    for name in ("summary.json", "report.json", "report.html"):
        assert belief("knee_oa").label in (folder / name).read_text(encoding="utf-8")


def test_manifest_lists_the_files_with_their_digests(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"summary.json", "report.json", "trial.yaml", "patients.parquet"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert manifest["seed"] == 3


def test_rows_of_patients_agree_with_the_summary(folder):
    import pandas as pd

    rows = pd.read_parquet(folder / "patients.parquet")
    assert len(rows) == 40 * 240
    assert not rows.duplicated(["replicate", "arm", "patient"]).any()
    for name, arm in summary(folder)["arms"].items():
        mine = rows[rows["arm"] == name]
        change = (mine["VAS_12"] - mine["VAS_0"]).groupby(mine["replicate"]).mean().mean()
        assert abs(change - arm["change"]["12"]["mean"]) < 1e-4
    left = rows["left_by_month"] <= 6
    assert rows.loc[left, "VAS_6"].isna().all()
    assert rows.loc[~left, "VAS_6"].notna().all()
    assert (rows["VAS_0"] >= 40).all()


def test_the_same_seed_gives_the_same_bytes_on_one_core_and_on_two(folder, example, tmp_path):
    out = tmp_path / "again"
    found = apart(
        "simulate", example, "--replicates", 40, "--seed", 3, "--out", out, "--patients", "--workers", 1
    )
    assert found.returncode == 0
    for name in ("report.json", "trial.yaml", "patients.parquet"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    once, again = summary(folder), summary(out)
    assert {**once, "wall_seconds": 0} == {**again, "wall_seconds": 0}


def test_the_table_shows_the_comparator_first_and_the_parts_apart(example, tmp_path):
    found = here(
        "simulate", example, "--replicates", 10, "--seed", 1, "--out", tmp_path / "r",
        env={"COLUMNS": "160"},
    )  # fmt: skip
    assert found.returncode == 0
    text = found.stdout
    first = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert first.index("saline") < first.index("cells")
    for words in ("contextual", "specific", "assurance", "type I error", "calibrated on", "Seed 1"):
        assert words in text


def test_rows_kept_from_a_longer_run_stay_out_of_a_shorter_one(example, tmp_path):
    """What an interrupted run of 160 replicates leaves behind is not part of a run of 70 after it."""
    import pandas as pd

    from stemtrial.errors import Interrupted
    from stemtrial.trial.run import run

    def stop_late(stage, done):
        if stage == "simulate" and done >= 136:
            raise Interrupted("now")

    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        run(example, 160, 1, out, 1, lambda folder: None, patients=True, progress=stop_late)
    assert len(list((tmp_path / ".run.partial").glob("*.parquet"))) >= 2
    run(example, 70, 1, out, 1, lambda folder: None, patients=True)
    rows = pd.read_parquet(out / "patients.parquet")
    assert len(rows) == 70 * 240
    assert sorted(rows["replicate"].unique()) == list(range(70))


def test_report_is_rebuilt_from_the_folder(folder):
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert here("report", folder).returncode == 0
    assert (folder / "report.html").read_bytes() == page


def test_interrupt_keeps_what_is_finished_and_the_same_command_resumes(example, tmp_path):
    out = tmp_path / "run"
    command = [STEMTRIAL, "simulate", example, "--replicates", "3000", "--seed", "1", "--out", out]
    process = subprocess.Popen(
        [*map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    partial = tmp_path / ".run.partial"
    deadline = time.monotonic() + 120
    while len(list(partial.glob("*.npz"))) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "the same command resumes" in message
    assert "Traceback" not in message
    assert not out.exists()
    kept = {p.name: p.stat().st_mtime_ns for p in partial.glob("*.npz")}
    assert len(kept) >= 2
    # A shorter run of the same trial uses the kept batches too.
    found = here("simulate", example, "--replicates", 136, "--seed", 1, "--out", out)
    assert found.returncode == 0, found.stderr
    assert summary(out)["replicates"] == 136
    fresh = tmp_path / "fresh"
    assert here("simulate", example, "--replicates", 136, "--seed", 1, "--out", fresh).returncode == 0
    assert (fresh / "report.json").read_bytes() == (out / "report.json").read_bytes()
    assert not partial.exists()
