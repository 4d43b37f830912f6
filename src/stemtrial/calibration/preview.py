"""What a fit will have to learn from what, and how long it will take: said before hours are spent."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.calibration.arms import Arms
from stemtrial.calibration.comparators import PooledEffect
from stemtrial.calibration.fit import INFORMED, Settings
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.sampling import DEEPEST, Sampler
from stemtrial.calibration.structures import STRUCTURES

GRADIENTS_PER_DRAW = (15, 2**DEEPEST - 1)
"""Leapfrog steps of an iteration: few that fits have taken, and the most."""

STEP = 1e-5


@dataclass(frozen=True)
class Preview:
    """A fit before it starts.

    Attributes
    ----------
    trials, arms, readings, pooled
        What is fitted to.
    left_out
        Readings that are not used, by reason.
    unknown
        Arms by what was not printed of them.
    coordinates
        Numbers to learn by kind; ``constants`` and ``learned`` are shared by all trials.
    gradient_seconds
        One evaluation of the log density with its gradient, on this machine, now.
    gradient_error
        Largest difference from a central difference in four directions, relative to the gradient's length.
    informed
        Names of shared quantities whose variance will shrink by ``INFORMED`` of the prior's or more, as far as the
        curvature at the mode can tell; the most informed first.
    """

    trials: int
    arms: int
    readings: int
    pooled: int
    left_out: dict[str, int]
    unknown: dict[str, int]
    coordinates: dict[str, int]
    gradient_seconds: float
    gradient_error: float
    informed: tuple[str, ...] = ()

    def minutes(self, settings: Settings, structures: int, workers: int) -> tuple[float, float]:
        """Return the expected time of the sampling, low and high."""
        rounds = -(-settings.chains // min(workers, settings.chains)) * structures
        each = (settings.warmup + settings.draws) * self.gradient_seconds / 60 * rounds
        return GRADIENTS_PER_DRAW[0] * each, GRADIENTS_PER_DRAW[1] * each

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without what differs from call to call."""
        return {
            "trials": self.trials, "arms": self.arms, "readings": self.readings, "pooled_effects": self.pooled,
            "left_out": self.left_out, "unknown": self.unknown, "coordinates": self.coordinates,
        }  # fmt: skip


def preview(arms: Arms, pooled: Sequence[PooledEffect], seconds: float = 1.0) -> Preview:
    """Look at a fit before it starts.

    Parameters
    ----------
    arms, pooled
        What would be fitted to.
    seconds
        For how long gradients are timed.

    Raises
    ------
    InputError
        Too few trials.
    NumericalError
        The density or its gradient is not finite.
    """
    model = FitModel.of(arms, pooled, max(STRUCTURES.values(), key=lambda s: len(s.learned)))
    sampler = Sampler(model, 1)
    w, y = sampler._data(None, None)
    sampler._require(np.zeros(model.dimension), w, y)
    rng = np.random.default_rng(0)
    at = 0.3 * rng.standard_normal(model.dimension)
    gradient = np.asarray(sampler._density(at, w, y)[1])
    error = 0.0
    for _ in range(4):
        d = rng.standard_normal(model.dimension)
        d /= np.linalg.norm(d)
        up, down = (float(sampler._density(at + s * d, w, y)[0]) for s in (STEP, -STEP))
        error = max(
            error, abs((up - down) / (2 * STEP) - float(gradient @ d)) / float(np.linalg.norm(gradient))
        )
    calls, started = 0, time.perf_counter()
    while calls < 3 or time.perf_counter() - started < seconds:
        sampler._density(at + 0.01 * rng.standard_normal(model.dimension), w, y)[0].block_until_ready()
        calls += 1
    cost = (time.perf_counter() - started) / calls
    names = model.standard.names
    left = dict(zip(names, (sampler.shape().factor[: len(names)] ** 2).sum(axis=1), strict=True))
    left_out: Counter[str] = Counter()
    for row in arms.left_out:
        left_out[row.reason] += row.readings
    return Preview(
        trials=len(model.trials), arms=len(model.arms), readings=len(model.rows.y), pooled=len(pooled),
        left_out=dict(left_out.most_common()),
        unknown=dict(Counter(name for arm in model.arms for name in arm.unknown).most_common()),
        coordinates=dict(model.sizes), gradient_seconds=cost, gradient_error=error,
        informed=tuple(n for n in sorted(left, key=left.__getitem__) if left[n] <= 1 - INFORMED),
    )  # fmt: skip
