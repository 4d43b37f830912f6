"""Follow-up: what visits teach about a person, what to expect next, and whether the course is still as expected.

Everything is updated at once: constants, trial, biology, own course. Before any visit persons scatter at least as much
as participants of published arms do, as in an outlook (:mod:`stemtrial.candidate.spread`); visits narrow that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief
from stemtrial.candidate.applicability import applicability
from stemtrial.candidate.deviations import Mixture, Reading
from stemtrial.candidate.ensemble import Rescue
from stemtrial.candidate.options import Option
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.summaries import Distribution
from stemtrial.candidate.timepoint import MONTHS, RESPONSES
from stemtrial.candidate.tracking import FEW, Cloud
from stemtrial.candidate.visits import BAND, Seen, Visit
from stemtrial.errors import InputError, Problem
from stemtrial.simulation import STANDARD_NUMERICS, Numerics

PATIENTS = 4
"""Virtual patients for each draw of the constants."""

LEAST_PARTICLES = 1000


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
        Later months of :data:`stemtrial.candidate.timepoint.MONTHS`.
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
    *,
    widened: bool = True,
) -> tuple[Cloud, tuple[Step, ...]]:
    """Return the particles before any visit, and each visit's forecasts with the particles after it.

    ``months`` are those at which the particles can be asked for forecasts besides the visits; ``widened`` is whether
    persons scatter at least as participants of trials do, or as the model says; the other parameters are those of
    :func:`follow_up`.
    """
    constants = belief.draw(seed, np.arange(-(-particles // PATIENTS)))
    given = option.schedule
    rescue = tuple(Rescue(v.month, v.rescue) for v in visits if v.rescue is not None)
    kept = tuple(sorted({0.0, *months, *(v.month for v in visits)}))
    trials = participants(person.indication)
    cloud = Cloud.draw(person, trials, constants, given, kept, rescue, seed, PATIENTS, numerics)
    readings: list[Reading] = []
    if person.function is not None:
        readings.append(Reading(0.0, "function", person.function))
        cloud = cloud.learn(readings[0])
    if widened:
        cloud = cloud.widened(trials, PATIENTS)
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
