"""Results of the shipped examples stand still; moving them is a deliberate act (see CONTRIBUTING)."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BASELINE = json.loads((ROOT / "regression" / "baseline.json").read_text(encoding="utf-8"))

specification = importlib.util.spec_from_file_location("update", ROOT / "regression" / "update.py")
update = importlib.util.module_from_spec(specification)
specification.loader.exec_module(update)


def test_every_example_has_a_baseline():
    assert BASELINE.keys() == {path.name for path in update.examples()}


@pytest.mark.parametrize("example", sorted(BASELINE))
def test_numbers_of_the_example(example):
    """To 1e-6 points: processors may differ in the last bits, never in what a reader sees."""
    found, kept = update.numbers(ROOT / "examples" / example), BASELINE[example]
    assert found.keys() == kept.keys()
    for name, values in kept.items():
        assert np.allclose(found[name], values, rtol=0, atol=1e-6), name
