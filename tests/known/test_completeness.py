"""Completeness against counts made from the table files alone, without the package's readers."""

import csv
from dataclasses import replace
from importlib.resources import files

import pytest

from stemtrial.evidence import load
from stemtrial.evidence.completeness import ITEMS, completeness


def table(name):
    return list(
        csv.DictReader((files("stemtrial.evidence") / "data" / f"{name}.csv").read_text("utf-8").splitlines())
    )


@pytest.fixture(scope="module")
def found():
    return completeness(load())


@pytest.mark.parametrize(
    ("item", "column"),
    [("dose", "dose_million_cells"), ("source", "cell_source"), ("origin", "origin"), ("product", "product")],
)
def test_cell_items(found, item, column):
    cells = [arm for arm in table("arms") if arm["intervention"] == "cell_therapy"]
    expected = {"reported": 0, "partly": 0, "missing": 0}
    for trial in {arm["trial_id"] for arm in cells}:
        arms = [arm for arm in cells if arm["trial_id"] == trial]
        asked = [arm for arm in arms if not arm["pooled_of"]] or arms
        have = [bool(arm[column]) for arm in asked]
        expected["reported" if all(have) else "partly" if any(have) else "missing"] += 1
    counted = found.of_item(item)
    assert {state: counted[state] for state in expected} == expected
    assert counted["not applicable"] == 92 - sum(expected.values())


@pytest.mark.parametrize(
    ("item", "column", "empty"),
    [
        ("blinding", "blinding", "unclear"),
        ("funding", "funding", "unclear"),
        ("registration", "registry_id", ""),
    ],
)
def test_trial_items(found, item, column, empty):
    have = sum(trial[column] != empty for trial in table("trials"))
    assert found.of_item(item)["reported"] == have
    assert found.of_item(item)["missing"] == 92 - have


def test_items_without_a_column_are_not_called_missing(found):
    for name in ("viability", "donor", "passage", "markers", "storage", "site", "guidance"):
        assert found.of_item(name)["not recorded in the tables"] == 92
    columns = {
        f"{name}.{column}" for name in ("trials", "arms", "outcomes", "events") for column in table(name)[0]
    }
    assert {place for item in ITEMS for place in item.columns} <= columns


def test_counts_add_up(found):
    assert len(found.findings) == 92 * len(ITEMS)
    assert all(sum(found.of_item(item.name).values()) == 92 for item in ITEMS)
    assert all(sum(found.of_trial(trial.trial_id).values()) == len(ITEMS) for trial in found.trials)
    assert all(0 <= each.have <= each.of for each in found.findings)


def test_a_trial_loses_an_item_with_its_last_row(found):
    whole = load()
    bare = replace(whole, events=tuple(row for row in whole.events if row.trial_id != "wang_2017"))
    assert "adverse_events" not in found.items_of("wang_2017", "missing")
    assert "adverse_events" in completeness(bare).items_of("wang_2017", "missing")
