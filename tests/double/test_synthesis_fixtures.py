"""The synthesis record gives what R metafor gives on the shipped tables (fixtures of test_meta_contrasts)."""

import json
from pathlib import Path

import pytest

from stemtrial.evidence import load
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.metaanalysis import analyse
from stemtrial.evidence.metarecord import Choices
from stemtrial.evidence.scope import Scope

FOLDER = Path(__file__).parent / "fixtures" / "metafor"
QUESTIONS = json.loads((FOLDER / "contrasts.json").read_text())["questions"]
GIVEN = {q["name"]: q for q in json.loads((FOLDER / "contrasts_input.json").read_text())}
RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["name"])
@pytest.mark.parametrize("key", ["REML_knha", "REML_z", "DL_z", "PM_knha"])
def test_knee_oa_against_each_comparator_as_in_r(question, key):
    given = GIVEN[question["name"]]
    method, test = key.split("_")
    found = analyse(
        load(),
        scope=Scope(indication="knee_oa", comparator=tuple(given["comparator"])),
        outcome="pain",
        month=given["month"],
        window=tuple(given["window"]),
        choices=Choices(method=method, test=test, prediction="test", level=0.95, rules=RULES),
    )
    r = question["fits"][key]
    assert found.y == pytest.approx(question["y"], abs=1e-9)
    ours = {name: getattr(found.pooled, name) for name in ("estimate", "se", "tau2", "i2", "q")}
    assert ours == pytest.approx({name: r[name] for name in ours}, rel=1e-6, abs=1e-6)
    assert found.pooled.ci == pytest.approx(r["ci"], rel=1e-6, abs=1e-6)
    assert found.pooled.prediction == pytest.approx(r["prediction"], rel=1e-6, abs=1e-6)
    others = {v.name: v.pooled for v in found.variants}
    if key != "DL_z":
        dl = question["fits"]["DL_z"]
        assert others["DerSimonian-Laird, normal interval"].estimate == pytest.approx(
            dl["estimate"], rel=1e-6
        )
