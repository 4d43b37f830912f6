"""When the posterior of an indication may ship, and what data that takes.

A fit is released only if its chains converge, its intervals on trials left out are honest, it is no less accurate there
than the better statistical model, and blinded trials have told the effect of the cells from the response to being
treated: :data:`LEAST_TRIALS` or more, by which the variance of that effect has shrunk by :data:`LEAST_LEARNED` of its
prior's or more. The first three are the checks of ``stemtrial validate``; the last is what a fit without contrasts can
pass without knowing anything of cells.
"""

import math
from collections.abc import Sequence

from stemtrial.calibration.arms import TrialArm
from stemtrial.calibration.observed import arm_class

LEAST_TRIALS = 3
"""Blinded trials of cells against a sham or placebo: fewer cannot tell the spread between trials from error."""

LEAST_LEARNED = 0.3
"""Contraction of the mean effect of the cells from which it counts as learned."""


def blinded_contrasts(arms: Sequence[TrialArm]) -> tuple[str, ...]:
    """Return the blinded trials in which cells and a sham or placebo report at one visit in one unit.

    Examples
    --------
    >>> from stemtrial.calibration.published import published_arms
    >>> from stemtrial.evidence import load
    >>> blinded_contrasts(published_arms(load(), "disc_degeneration").arms)
    ('levi_2025',)
    """
    found = []
    for trial in dict.fromkeys(arm.trial_id for arm in arms):
        seen: dict[str, set[tuple[float, str]]] = {"cells": set(), "placebo": set()}
        for arm in arms:
            name = arm_class(arm)
            if (
                arm.trial_id == trial
                and name in seen
                and arm.randomised
                and arm.blinding in ("double", "single")
            ):
                seen[name] |= {(reading.month, reading.kind) for reading in arm.readings}
        if seen["cells"] & seen["placebo"]:
            found.append(trial)
    return tuple(found)


def trials_needed(
    prior_sd: float,
    persons: int,
    sd_change: float,
    tau_arm: float,
    tau_effect: float,
    learned: float = LEAST_LEARNED,
) -> int:
    r"""Return how many equal blinded trials bring the mean effect of the cells to a contraction.

    Each gives one contrast of variance ``v = 2 (sd_change ** 2 / persons + tau_arm ** 2) + tau_effect ** 2``; with a
    normal prior, k of them leave the share ``v / (v + k prior_sd ** 2)`` of its variance.

    Parameters
    ----------
    prior_sd
        Of the mean effect of the cells over trials, points.
    persons
        Of each arm.
    sd_change
        SD between patients of the change of pain, points.
    tau_arm
        SD of an arm's own deviation, points.
    tau_effect
        SD of the effect between trials, points.
    learned
        Contraction wanted, between 0 and 1.

    Examples
    --------
    >>> trials_needed(prior_sd=5.0, persons=40, sd_change=25.0, tau_arm=5.0, tau_effect=2.0)
    2
    """
    v = 2 * (sd_change**2 / persons + tau_arm**2) + tau_effect**2
    return math.ceil(learned / (1 - learned) * v / prior_sd**2)
