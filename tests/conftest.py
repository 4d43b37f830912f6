"""Shared pieces of the tests."""

import os
from pathlib import Path

import pytest

from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan

ROOT = Path(__file__).parents[1]

# Read when JAX starts. What tests compile runs for seconds, and takes half as long to compile without optimisation.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


@pytest.fixture(scope="session")
def example() -> Path:
    """The trial file of the README."""
    return ROOT / "examples" / "knee_oa_cells_vs_saline.yaml"


@pytest.fixture(scope="session")
def plan(example) -> Plan:
    """The trial of the README, ready to simulate."""
    return Plan.of(Trial.read(example))


@pytest.fixture(scope="session")
def small(plan) -> Plan:
    """The same with 16 and 24 patients an arm and three visits."""
    data = plan.trial.model_dump(mode="json")
    data["arms"]["saline"]["n"], data["arms"]["cells"]["n"] = 16, 24
    data["visits_months"] = [1, 6, 12]
    return Plan.of(Trial.model_validate(data))
