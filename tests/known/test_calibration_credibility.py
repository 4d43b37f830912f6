"""The credibility record: every item stands in it, and what no check covers says so."""

import json

import pytest

from stemtrial.calibration.credibility import ITEMS, MISSING, Check, Use, record
from stemtrial.errors import InputError

USE = Use("Does it help?", "Planning of a trial of 200 patients", "medium", "low")
CHECKS = {
    "convergence": Check("met", "R-hat 1.004", "below 1.01"),
    "held_out_coverage": Check("not met", "95 % intervals held 84 %", "90 to 99 %"),
    "contraction": Check("reported", "9 of 31 constants are informed | the others stay"),
}


def test_every_item_stands_once_and_is_filled_from_its_check():
    found = record("knee", "abc", USE, CHECKS, ["Pain only."])
    keys = [item.key for items in found.sections.values() for item in items]
    assert sorted(keys) == sorted(key for items in ITEMS.values() for key in items)
    assert len(keys) == len(set(keys))
    checks = {item.key: item.check for items in found.sections.values() for item in items}
    assert {key: checks[key] for key in CHECKS} == CHECKS
    assert all(check.result == MISSING for key, check in checks.items() if key not in CHECKS)
    assert found.count() == {"met": 1, "not met": 1, "reported": 1, "not available": len(keys) - 3}


def test_limitations_name_what_failed_and_what_is_missing():
    found = record("knee", "abc", Use("q", "c"), CHECKS, ["Pain only."])
    assert found.limitations[0] == "Pain only."
    assert any("not met (95 % intervals held 84 %; limit 90 to 99 %)" in text for text in found.limitations)
    assert not any(text.startswith("Convergence") for text in found.limitations)
    assert "Model influence: not available." in found.limitations
    assert len(found.limitations) == 1 + 1 + found.count()["not available"] + 2


@pytest.mark.parametrize(
    ("influence", "consequence", "risk"),
    [("low", "low", "low"), ("low", "high", "high"), ("medium", "low", "medium"), (None, "low", None)],
)
def test_risk_is_the_higher_of_influence_and_consequence(influence, consequence, risk):
    assert Use(influence=influence, consequence=consequence).risk == risk


def test_as_data_and_as_markdown():
    found = record("knee", "abc", USE, CHECKS, [])
    data = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert data["model_risk"] == "medium"
    assert data["verification"][3]["result"] == "R-hat 1.004"
    text = found.as_markdown()
    for section, items in ITEMS.items():
        assert f"## {section.capitalize()}" in text
        assert all(title in text for title in items.values())
    rows = [line for line in text.splitlines() if line.startswith("| ") and "informed" in line]
    assert rows == ["| " + ITEMS["uncertainty"]["contraction"] + " | reported | 9 of 31 constants are informed "
                    "\\| the others stay |  |"]  # fmt: skip


def test_faults():
    with pytest.raises(InputError, match="coverage is no item of the record"):
        record("knee", "abc", USE, {"coverage": CHECKS["convergence"]}, [])
    with pytest.raises(InputError, match="needs the limit"):
        Check("met", "fine")
    with pytest.raises(InputError, match="is empty"):
        Check("reported", "")
