"""Visits after a treatment began: what was read, beside what was expected of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from stemtrial.candidate.deviations import Reading
from stemtrial.candidate.summaries import Distribution
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import LONGEST_MONTHS

Drug = Literal["nsaid", "paracetamol", "opioid"]

BAND = (0.025, 0.975)
"""Ranks of a reading in its forecast between which the course is as expected."""


@dataclass(frozen=True)
class Visit:
    """What was seen at a visit.

    Attributes
    ----------
    month
        After the start of treatment, above 0 and up to 24.
    pain, function
        Readings, 0-100; ``None`` where not taken. At least one is given.
    rescue
        Rescue medicine begun at this visit and taken from then on.

    Raises
    ------
    InputError
        For what is impossible.
    """

    month: float
    pain: float | None = None
    function: float | None = None
    rescue: Drug | None = None

    def __post_init__(self) -> None:
        problems = []
        if not (math.isfinite(self.month) and 0 < self.month <= LONGEST_MONTHS):
            allowed = f"above 0 and up to {LONGEST_MONTHS}"
            problems.append(
                Problem("is no month of follow-up", field="visits.month", value=self.month, allowed=allowed)
            )
        for field in ("pain", "function"):
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and 0 <= value <= 100):
                problems.append(
                    Problem("is not possible", field=f"visits.{field}", value=value, allowed="0 to 100")
                )
        if self.pain is None and self.function is None:
            problems.append(Problem("has no reading", field="visits", hint="give pain, function or both"))
        if self.rescue is not None and self.rescue not in get_args(Drug):
            allowed = ", ".join(get_args(Drug))
            problems.append(
                Problem("is not known", field="visits.rescue", value=self.rescue, allowed=allowed)
            )
        if problems:
            raise InputError(*problems)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What was read, pain first."""
        both = (("pain", self.pain), ("function", self.function))
        return tuple(Reading(self.month, what, value) for what, value in both if value is not None)


@dataclass(frozen=True)
class Seen:
    """A visit beside what was expected of it from what was known before it.

    Attributes
    ----------
    visit
        What was seen.
    pain, function
        Forecasts before the visit.
    ranks
        By reading: chances, by the forecast, of a reading below and of one of at most what was read.
    outside
        Readings outside the central 95 % of their forecast; one in twenty is so by chance.
    effective
        Effective number of particles after the visit.
    accepted
        Share of accepted moves where the particles were resampled and moved, else ``None``.
    """

    visit: Visit
    pain: Distribution
    function: Distribution
    ranks: Mapping[str, tuple[float, float]]
    outside: tuple[str, ...]
    effective: float
    accepted: float | None
