"""Counts of the shipped tables as their README states them, and the examples of the docstrings."""

import doctest
import importlib
from collections import Counter

import pytest

from stemtrial.evidence import load

COUNTS = {
    "references": 257,
    "trials": 92,
    "arms": 194,
    "outcomes": 848,
    "events": 190,
    "effects": 90,
    "harms": 110,
    "natural_history": 79,
    "thresholds": 59,
    "predictors": 81,
    "criteria": 96,
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_number_of_rows(name, count):
    assert len(getattr(load(), name)) == count


def test_primary_pain_rows_with_a_spread():
    indication = {trial.trial_id: trial.indication for trial in load().trials}
    rows = [row for row in load().outcomes if row.construct == "pain" and row.analysis_set == "primary"]
    found = Counter(indication[row.trial_id] for row in rows if row.has_spread)
    assert found == {"knee_oa": 183, "disc_degeneration": 7, "other": 6}


def test_values_read_by_eye():
    (before, *_), *_ = (load().outcomes_of("atluri_2022", arm) for arm in ("bmc", "conventional"))
    assert (before.instrument, before.value, before.common.value) == ("ODI", 46.1, 46.1)
    reversed_rows = [row for row in load().outcomes if row.instrument == "KOOS_pain" and row.higher_is_better]
    assert all(row.common.value == pytest.approx(100 - row.value) for row in reversed_rows if row.is_level)
    assert load().arm("gupta_2016", "msc_pooled").pooled_of == ("msc_25m", "msc_50m", "msc_75m", "msc_150m")
    assert load().arm("gupta_2016", "msc_25m").injection_times_months == (0.0,)


@pytest.mark.parametrize("module", ["scales", "evidence.tables", "evidence.reading", "evidence.selection"])
def test_examples_of_the_docstrings(module):
    failed, tried = doctest.testmod(importlib.import_module(f"stemtrial.{module}"))
    assert tried > 0
    assert failed == 0
