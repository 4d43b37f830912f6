"""What the arms of a trial report, as rows that a model is asked to predict: one row an arm, visit and unit.

A level becomes a change where the arm's own baseline is known; where it is not, the row stays a level, and the
baseline that the arms of a randomised trial share is for the model to predict. Several readings of one arm at one
visit (pain on two instruments, say) are averaged, because they come from the same persons on the same day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stemtrial.calibration.arms import TrialArm

Unit = Literal["change", "level"]


@dataclass(frozen=True)
class Asked:
    """One row to predict: the observed mean of an arm (its place in the list of arms) at a month."""

    arm: int
    month: float
    unit: Unit


@dataclass(frozen=True)
class Row:
    """One row with its answer: mean and its standard error, NaN where not known."""

    asked: Asked
    value: float
    se: float


def rows_of(arms: Sequence[TrialArm]) -> tuple[Row, ...]:
    """Return the means that the arms report, by arm, month and unit; responder shares are not among them.

    The standard error of a change made from a level is that of the level: they are equal where baseline and
    follow-up have the same SD and correlate by 1/2.
    """
    found: dict[Asked, list[tuple[float, float]]] = {}
    for place, arm in enumerate(arms):
        for reading in arm.readings:
            if reading.kind == "responders":
                continue
            value, unit = reading.value, reading.kind
            if unit == "level" and arm.baseline_mean is not None:
                value, unit = value - arm.baseline_mean, "change"
            se = float("nan") if reading.se is None else reading.se
            found.setdefault(Asked(place, reading.month, unit), []).append((value, se))
    ordered = sorted(found, key=lambda asked: (asked.arm, asked.month, asked.unit))
    return tuple(
        Row(asked, float(np.mean([v for v, _ in found[asked]])), _mean([se for _, se in found[asked]]))
        for asked in ordered
    )


def _mean(errors: Sequence[float]) -> float:
    there = [se for se in errors if np.isfinite(se)]
    return float(np.mean(there)) if there else float("nan")


def by_trial(arms: Sequence[TrialArm]) -> dict[str, tuple[TrialArm, ...]]:
    """Return the arms of each trial, trials in order of first mention."""
    trials: dict[str, list[TrialArm]] = {}
    for arm in arms:
        trials.setdefault(arm.trial_id, []).append(arm)
    return {trial: tuple(members) for trial, members in trials.items()}


PLACEBO = ("saline", "placebo", "sham_procedure", "sham", "vehicle")

_CLASSES = {
    "cell_therapy": "cells",
    "cells": "cells",
    **dict.fromkeys(PLACEBO, "placebo"),
    "hyaluronic_acid": "hyaluronic_acid",
    "corticosteroid": "corticosteroid",
    "usual_care": "usual_care",
}

CLASSES = ("cells", "placebo", "hyaluronic_acid", "corticosteroid", "other", "usual_care")
"""Classes of arms; ``placebo`` holds saline, placebo, sham and vehicle, ``other`` further drugs and exercise."""


def arm_class(arm: TrialArm) -> str:
    """Return the class of an arm, one of :data:`CLASSES`."""
    return _CLASSES.get(arm.intervention, "other")
