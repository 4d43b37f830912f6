"""Arms with normal readings in place of virtual patients, and counts held against their distribution."""

import numpy as np
from scipy import stats

from stemtrial.trial.conduct import INSTRUMENTS, ArmRecord
from stemtrial.trial.replicates import Plan

ALARM = 1e-6
"""Chance that one comparison fails although the code is right."""

REPLICATES = 10_000


def normal_arm(
    plan: Plan, mean: float, rng: np.random.Generator, n: int, replicates: int = REPLICATES
) -> ArmRecord:
    """Readings that are normal around a mean, with a standard deviation of 20, whatever the baseline."""
    visits, shape = len(plan.trial.visits_months), (replicates, n)
    readings = np.zeros((visits, *shape))
    readings[plan.main_visit] = rng.normal(mean, 20, shape)
    nothing = np.zeros((visits, *shape), bool)
    baseline = rng.normal(60, 10, shape)
    return ArmRecord(
        dict.fromkeys(INSTRUMENTS, baseline), dict.fromkeys(INSTRUMENTS, readings), ~nothing, nothing, readings,
        readings, readings[:1], baseline,
    )  # fmt: skip


def inside(count: int, expected: float, n: int, slack: float) -> bool:
    low = stats.binom.ppf(ALARM / 2, n, max(expected - slack, 0))
    high = stats.binom.ppf(1 - ALARM / 2, n, min(expected + slack, 1))
    return bool(low <= count <= high)
