"""Follow-up: what visits teach about a person, what to expect next, and whether the course is still as expected.

Everything of the model proper is updated at once: constants, trial, biology, own course. Before any visit the forecasts
are those of the model; the scatter that an outlook adds where the model's is too small is not part of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief
from stemtrial.candidate.applicability import applicability
from stemtrial.candidate.ensemble import Rescue
from stemtrial.candidate.options import Option
from stemtrial.candidate.outlook import MONTHS, RESPONSES
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.summaries import Distribution
from stemtrial.candidate.tracking import FEW, Cloud, Mixture, Reading
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import LONGEST_MONTHS
from stemtrial.simulation import STANDARD_NUMERICS, Numerics

Drug = Literal["nsaid", "paracetamol", "opioid"]

PATIENTS = 4
"""Virtual patients for each draw of the constants."""

LEAST_PARTICLES = 1000

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


@dataclass(frozen=True)
class Ahead:
    """What to expect at a later month.

    Attributes
    ----------
    month
        After the start of treatment.
    pain, function
        Forecasts from everything seen.
    before
        Forecast of pain before any visit.
    responders, responders_before
        By response: chance per 100 that the reading shows it, from everything seen and before any visit.
    """

    month: float
    pain: Distribution
    function: Distribution
    before: Distribution
    responders: Mapping[str, float]
    responders_before: Mapping[str, float]


@dataclass(frozen=True)
class Update:
    """A person's course so far and what to expect.

    Attributes
    ----------
    person, option
        Who, and the name of the option that is followed.
    seen
        Every visit.
    ahead
        Later months of :data:`stemtrial.candidate.outlook.MONTHS`.
    early_response
        Whether the last reading of pain shows an important improvement; ``None`` where the pain before treatment is
        unknown or pain was never read.
    lasting, lasting_before
        Chance per 100 of an important improvement at the last month ahead, from everything seen and before any visit;
        ``None`` where no month is ahead.
    flag
        What left its 95 % band at the last visit, in words; ``None`` where nothing did.
    text
        Why no numbers are given; ``None`` where they are.
    particles, belief, fingerprint, seed
        How many virtual patients, where the constants come from, and the seed.
    """

    person: Person
    option: str
    seen: tuple[Seen, ...]
    ahead: tuple[Ahead, ...]
    early_response: bool | None
    lasting: float | None
    lasting_before: float | None
    flag: str | None
    text: str | None
    particles: int
    belief: str
    fingerprint: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """State of the update after a visit: forecasts made for it, and the particles that know it."""

    visit: Visit
    forecasts: Mapping[str, Mixture]
    cloud: Cloud
    accepted: float | None


def follow_up(
    person: Person,
    option: Option,
    visits: Sequence[Visit],
    belief: Belief,
    seed: int,
    particles: int = 8192,
    numerics: Numerics = STANDARD_NUMERICS,
) -> Update:
    """Update a person's posterior with visits, and forecast the rest.

    Parameters
    ----------
    person
        What was known before treatment.
    option
        What the person is given.
    visits
        In order of time; none is fine and gives the forecasts before any visit.
    belief
        Where the constants come from.
    seed
        Same seed, same numbers, on any number of threads.
    particles
        Virtual patients like the person.
    numerics
        Time grid and floating-point type.

    Raises
    ------
    InputError
        For visits out of order, an option that cannot be simulated, or too few particles.
    """
    _check(option, visits, particles)
    where = applicability(person, participants(person.indication))
    important = scales.mcid("VAS", person.indication)
    if important is None:
        what = "has no important difference on record"
        raise InputError(Problem(what, field="indication", value=person.indication))

    def result(seen: tuple[Seen, ...], ahead: tuple[Ahead, ...], text: str | None) -> Update:
        pains = [visit.pain for visit in visits if visit.pain is not None]
        early = None if person.pain is None or not pains else pains[-1] <= person.pain - important.value
        outside = seen[-1].outside if seen else ()
        return Update(
            person,
            option.name,
            seen,
            ahead,
            early,
            ahead[-1].responders["mcid"] if ahead else None,
            ahead[-1].responders_before["mcid"] if ahead else None,
            f"{' and '.join(outside)} outside the 95 % band expected from what was known before"
            if outside
            else None,
            text,
            particles,
            belief.label,
            belief.fingerprint,
            seed,
        )

    if where.place == "outside":
        return result((), (), where.text)
    last = visits[-1].month if visits else 0.0
    months = tuple(month for month in MONTHS if month > last)
    start, steps = track(person, option, visits, months, belief, seed, particles, numerics)
    now = steps[-1].cloud if steps else start
    if any(visit.rescue for visit in visits):  # nobody knew of it before the visits
        start = track(person, option, (), months, belief, seed, particles, numerics)[0]
    return result(
        tuple(_seen(step) for step in steps),
        tuple(_ahead(start, now, month, important.value) for month in months),
        None,
    )


def track(
    person: Person,
    option: Option,
    visits: Sequence[Visit],
    months: Sequence[float],
    belief: Belief,
    seed: int,
    particles: int,
    numerics: Numerics = STANDARD_NUMERICS,
) -> tuple[Cloud, tuple[Step, ...]]:
    """Return the particles before any visit, and each visit's forecasts with the particles after it.

    ``months`` are those at which the particles can be asked for forecasts besides the visits; the other parameters are
    those of :func:`follow_up`.
    """
    constants = belief.draw(seed, np.arange(-(-particles // PATIENTS)))
    given = option.schedule
    rescue = tuple(Rescue(v.month, v.rescue) for v in visits if v.rescue is not None)
    kept = tuple(sorted({0.0, *months, *(v.month for v in visits)}))
    cloud = Cloud.draw(
        person, participants(person.indication), constants, given, kept, rescue, seed, PATIENTS, numerics
    )
    readings: list[Reading] = []
    if person.function is not None:
        readings.append(Reading(0.0, "function", person.function))
        cloud = cloud.learn(readings[0])
    start, steps = cloud, []
    for generation, visit in enumerate(visits):
        forecasts = {what: cloud.forecast(visit.month, what) for what in ("pain", "function")}
        for reading in visit.readings:
            readings.append(reading)
            cloud = cloud.learn(reading)
        accepted = None
        if cloud.effective < FEW * len(cloud.log_weight):
            cloud, accepted = cloud.refreshed(readings, given, rescue, seed, generation, numerics)
        steps.append(Step(visit, forecasts, cloud, accepted))
    return start, tuple(steps)


def chance_of(cloud: Cloud, month: float, mcid: float) -> dict[str, float]:
    """Return the chance, 0 to 1, of each response at a month."""
    pain, reported = cloud.forecast(month, "pain"), cloud.reported
    limits = (reported - mcid, 0.7 * reported, 0.5 * reported)
    return {name: pain.below(limit) for name, limit in zip(RESPONSES, limits, strict=True)}


def _check(option: Option, visits: Sequence[Visit], particles: int) -> None:
    problems = []
    if option.text is not None:
        problems.append(Problem(f"cannot be followed: {option.text}", field="option", value=option.name))
    for earlier, later in pairwise(visits):
        if later.month <= earlier.month:
            hint = "list the visits in the order of time, each month once"
            problems.append(
                Problem(
                    "does not come after the visit before it",
                    field="visits.month",
                    value=later.month,
                    hint=hint,
                )
            )
    drugs = [visit.rescue for visit in visits if visit.rescue is not None]
    if twice := {drug for drug in drugs if drugs.count(drug) > 1}:
        problems.append(Problem("is begun twice", field="visits.rescue", value=", ".join(sorted(twice))))
    if particles < LEAST_PARTICLES:
        problems.append(
            Problem("is too small", field="particles", value=particles, allowed=f"{LEAST_PARTICLES} or more")
        )
    if problems:
        raise InputError(*problems)


def _seen(step: Step) -> Seen:
    ranks = {r.what: step.forecasts[r.what].rank(r.value) for r in step.visit.readings}
    low, high = BAND
    return Seen(
        step.visit,
        step.forecasts["pain"].distribution(),
        step.forecasts["function"].distribution(),
        ranks,
        tuple(what for what, (below, at_most) in ranks.items() if at_most < low or below > high),
        step.cloud.effective,
        step.accepted,
    )


def _ahead(start: Cloud, now: Cloud, month: float, mcid: float) -> Ahead:
    chances = ({name: 100 * p for name, p in chance_of(cloud, month, mcid).items()} for cloud in (now, start))
    return Ahead(
        month,
        now.forecast(month, "pain").distribution(),
        now.forecast(month, "function").distribution(),
        start.forecast(month, "pain").distribution(),
        *chances,
    )
