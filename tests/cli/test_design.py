"""The design verb on the shipped example."""

import json
import subprocess
import sys
from pathlib import Path

from stemtrial.calibration.belief import belief

STEMTRIAL = Path(sys.executable).with_name("stemtrial")


def stemtrial(*arguments):
    return subprocess.run(
        [STEMTRIAL, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


def test_json_has_curves_answers_and_the_label(example):
    found = stemtrial(
        "design", example, "--target", 0.3, "--seed", 1, "--replicates", 100, "--max-n", 400, "--json"
    )
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["calibration"] == belief("knee_oa").label
    assert document["curves"].keys() == {"assurance", "power", "type_one_error"}
    assert document["months"] == [1, 3, 6, 9, 12]
    for curves in document["curves"].values():
        assert len(curves) == 5
        for curve in curves:
            assert all(
                lo <= s <= hi for lo, s, hi in zip(curve["low"], curve["share"], curve["high"], strict=True)
            )
    assert document["answers"]["assurance"]["target"] == 0.3


def test_text_says_when_a_target_is_out_of_reach(example):
    found = stemtrial("design", example, "--target", 0.99, "--seed", 1, "--replicates", 60, "--max-n", 100)
    assert found.returncode == 0, found.stderr
    assert "not reached; the largest trial considered has" in found.stdout
    assert "calibrated on" in found.stdout


def test_a_target_off_the_scale_is_refused(example):
    found = stemtrial("design", example, "--target", 1.5, "--seed", 1)
    assert found.returncode == 2
    assert "--target" in found.stderr


def test_a_folder_with_the_report_of_a_design(example, tmp_path):
    """A group-sequential trial: document, page, trial file and manifest agree; the page can be replaced, not others."""
    file = tmp_path / "trial.yaml"
    text = example.read_text(encoding="utf-8")
    text = text.replace("alpha: 0.05", "alpha: 0.025").replace("sides: 2", "sides: 1").rstrip()
    futility = "{kind: non_binding, z: [0.0]}"
    file.write_text(f"{text}\n  interim: {{at: [0.5], spending: lan_demets_of, futility: {futility}}}\n")
    options = ("--target", 0.3, "--seed", 1, "--replicates", 60, "--max-n", 240, "--out", tmp_path / "design")
    found = stemtrial("design", file, *options, "--json")
    assert found.returncode == 0, found.stderr
    names = {path.name for path in (tmp_path / "design").iterdir()}
    assert names == {"design.json", "report.html", "manifest.json", "trial.yaml"}
    document = json.loads((tmp_path / "design" / "design.json").read_text(encoding="utf-8"))
    assert document == json.loads(found.stdout)
    own = document["declared"]
    assert [look["information"] for look in own["looks"]] == [0.5, 1.0]
    assert sum(look["stopping"]["assurance"]["ends_here"] for look in own["looks"]) == 1
    for shares in document["stopping"].values():
        assert all(abs(sum(row) - 1) < 1e-12 for row in shares)
    page = (tmp_path / "design" / "report.html").read_text(encoding="utf-8")
    for words in (
        "Chance of success",
        "Stopping boundaries",
        "Where trials stop",
        "What drives",
        "calibrated on",
    ):
        assert words in page
    assert "<script" not in page
    again = stemtrial("design", file, *options)
    assert again.returncode == 0, again.stderr
    assert "highest assurance" in again.stdout
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused = stemtrial("design", file, *options[:-1], tmp_path / "mine")
    assert refused.returncode == 2
    assert "not a run folder" in refused.stderr
