"""The design verb on the shipped example."""

import json
import subprocess
import sys
from pathlib import Path

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
    assert document["calibration"] == "prior, not calibrated"
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
    assert "prior, not calibrated" in found.stdout


def test_a_target_off_the_scale_is_refused(example):
    found = stemtrial("design", example, "--target", 1.5, "--seed", 1)
    assert found.returncode == 2
    assert "--target" in found.stderr
