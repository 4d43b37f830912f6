"""Whether forecasts for one person keep what they promise: persons simulated from the same belief, followed up.

Each simulated person is a patient of a trial of their own, with constants, trial and biology drawn anew and readings
made by the conduct of trials; the forecasts see only what a clinic would, and take the scatter of persons as the model
says it, as simulated persons have it. If the update is right, its intervals cover as often as they say at every visit,
and of those told a chance of 40 in 100 about 40 in 100 respond. This shows that the calculation is right, not that the
model is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief
from stemtrial.candidate.options import Option
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.updating import chance_of, track
from stemtrial.candidate.visits import Visit
from stemtrial.draws import Stream, uniforms
from stemtrial.errors import InputError, Problem
from stemtrial.population.patients import People
from stemtrial.simulation import STANDARD_NUMERICS, treat
from stemtrial.trial.conduct import Chance, conduct_arm
from stemtrial.trial.protocol import Conduct

LEVELS = (0.50, 0.80, 0.95)
"""Central intervals whose coverage is counted."""

COVARIATES = ("age", "female", "bmi", "grade", "pain", "function")
"""What a forecast may know before treatment."""

_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_SERIES = 1_000_003


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of a forecast covered the reading.

    Attributes
    ----------
    month, what
        Of the reading; the forecast is from everything seen before that visit.
    level
        What the intervals promise.
    covered, persons
        Counts.
    low, high
        Counts between which a right forecast stays.
    """

    month: float
    what: str
    level: float
    covered: int
    persons: int
    low: int
    high: int

    @property
    def within(self) -> bool:
        """Whether the count is as a right forecast's."""
        return self.low <= self.covered <= self.high


@dataclass(frozen=True)
class Calibration:
    """Persons of similar chance of a response, and how many responded.

    Attributes
    ----------
    seen
        Visits known when the chance was told.
    chances
        Lowest and highest chance of the group.
    persons
        How many were told so.
    expected, responded
        Sum of their chances, and how many responded.
    low, high
        Counts between which right chances stay.
    """

    seen: int
    chances: tuple[float, float]
    persons: int
    expected: float
    responded: int
    low: int
    high: int

    @property
    def within(self) -> bool:
        """Whether the count is as for right chances."""
        return self.low <= self.responded <= self.high


@dataclass(frozen=True)
class Backtest:
    """Result of a backtest.

    Attributes
    ----------
    option, months, persons, known
        What was followed, at which visits, for how many persons, of whom what was known.
    coverage, calibration
        One entry a check.
    false_alarm
        Probability that a right forecast leaves at least one band, at most.
    ranks
        Rank of every reading in its forecast, by what was read, (persons, months); uniform for right forecasts.
    particles, belief, fingerprint, seed
        How it was computed.
    """

    option: str
    months: tuple[float, ...]
    persons: int
    known: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    calibration: tuple[Calibration, ...]
    false_alarm: float
    ranks: Mapping[str, np.ndarray]
    particles: int
    belief: str
    fingerprint: str
    seed: int

    @property
    def within(self) -> bool:
        """Whether every check is within its band."""
        return all(c.within for c in self.coverage) and all(c.within for c in self.calibration)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the ranks as plain data."""
        return {name: value for name, value in asdict(self).items() if name != "ranks"}


def backtest(
    option: Option,
    belief: Belief,
    seed: int,
    persons: int = 200,
    months: Sequence[float] = (1.0, 3.0, 6.0, 12.0),
    known: Sequence[str] = COVARIATES,
    particles: int = 2000,
    false_alarm: float = 0.001,
    indication: str = "knee_oa",
) -> Backtest:
    """Follow simulated persons and count how often forecasts hold.

    Parameters
    ----------
    option
        What all of them are given.
    belief
        Where constants come from, of the persons and of the forecasts.
    seed
        Same seed, same numbers.
    persons
        How many; each has constants and a trial of their own.
    months
        Visits; the response is that at the last one.
    known
        What of :data:`COVARIATES` the forecasts know before treatment.
    particles
        Virtual patients for each forecast.
    false_alarm
        Probability, at most, that right forecasts leave any of the bands; shared equally among them.
    indication
        Of the persons.

    Raises
    ------
    InputError
        For fewer than 20 persons, an unknown covariate or an option that cannot be simulated.
    """
    problems = [
        Problem("is not known of a person", field="known", value=name, allowed=", ".join(COVARIATES))
        for name in known
        if name not in COVARIATES
    ]
    if persons < 20:
        problems.append(Problem("is too small", field="persons", value=persons, allowed="20 or more"))
    if option.text is not None:
        problems.append(Problem(f"cannot be followed: {option.text}", field="option", value=option.name))
    important = scales.mcid("VAS", indication)
    if important is None:
        problems.append(
            Problem("has no important difference on record", field="indication", value=indication)
        )
    if problems or important is None:
        raise InputError(*problems)
    start, pain, function = _simulate(option, belief, seed, persons, months, indication)
    coin = uniforms(seed, Stream.CONDUCT, np.arange(persons), 1, 1, 2 * len(months))[:, :, 0]
    ranks = {what: np.empty((persons, len(months))) for what in ("pain", "function")}
    chances = np.empty((len(months), persons))
    for i in range(persons):
        person = Person(indication, **{name: start[name][i].item() for name in known})
        visits = [
            Visit(month, pain=float(pain[k, i]), function=float(function[k, i]))
            for k, month in enumerate(months)
        ]
        before, steps = track(
            person, option, visits, months, belief, seed + _SERIES * (i + 1), particles, widened=False
        )
        for k, step in enumerate(steps):
            for j, reading in enumerate(step.visit.readings):
                low, high = step.forecasts[reading.what].rank(reading.value)
                ranks[reading.what][i, k] = low + (high - low) * coin[2 * k + j, i]
        clouds = [before, *(step.cloud for step in steps[:-1])]
        chances[:, i] = [chance_of(cloud, months[-1], important.value)["mcid"] for cloud in clouds]
    responded = pain[-1] <= start["pain"] - important.value
    told = dict.fromkeys((0, len(months) // 2, len(months) - 1))
    groups = [(seen, low) for seen in told for low in range(len(_EDGES) - 1)]
    each = false_alarm / (2 * len(months) * len(LEVELS) + len(groups))
    return Backtest(
        option.name,
        tuple(months),
        persons,
        tuple(known),
        tuple(
            _coverage(month, what, level, ranks[what][:, k], each)
            for k, month in enumerate(months)
            for what in ranks
            for level in LEVELS
        ),
        tuple(
            group
            for seen, low in groups
            if (group := _calibration(seen, _EDGES[low : low + 2], chances[seen], responded, each))
        ),
        false_alarm,
        ranks,
        particles,
        belief.label,
        belief.fingerprint,
        seed,
    )


def _simulate(
    option: Option, belief: Belief, seed: int, persons: int, months: Sequence[float], indication: str
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return what is known before treatment by name, and readings of pain and function, (months, persons)."""
    address = (seed, np.arange(persons), 0, 1)
    constants = belief.draw(seed, address[1])
    people = People.draw(participants(indication).spec, *address)
    patients, cohort = treat(people, option.schedule, constants, STANDARD_NUMERICS)
    rules = Conduct(dropout_by_month_12=0.0, rescue_analgesia=None)
    chance = Chance.draw(len(months), *address)
    seen = conduct_arm(cohort, patients, constants, months, (), months[-1], rules, chance)
    c = people.covariates
    start = {"age": c.age, "female": c.female, "bmi": c.bmi, "grade": c.grade, "pain": c.pain}
    start["function"] = seen.baseline["WOMAC_function"]
    readings = seen.readings["VAS"], seen.readings["WOMAC_function"]
    return {name: values[:, 0] for name, values in start.items()}, readings[0][:, :, 0], readings[1][:, :, 0]


def band(chances: np.ndarray, false_alarm: float) -> tuple[int, int]:
    """Return the counts between which the number of events stays but for a false alarm, each side half of it.

    Exact: the distribution of a sum of independent events of given chances is their convolution.

    Examples
    --------
    >>> import numpy as np
    >>> band(np.full(20, 0.5), 0.05)
    (6, 14)
    """
    mass = np.ones(1)
    for p in chances:
        mass = np.convolve(mass, (1 - p, p))
    below = np.cumsum(mass)
    return int(np.searchsorted(below, false_alarm / 2, side="right")), int(
        np.searchsorted(below, 1 - false_alarm / 2)
    )


def _coverage(month: float, what: str, level: float, ranks: np.ndarray, false_alarm: float) -> Coverage:
    inside = int((np.abs(ranks - 0.5) <= level / 2).sum())
    return Coverage(month, what, level, inside, len(ranks), *band(np.full(len(ranks), level), false_alarm))


def _calibration(
    seen: int, limits: Sequence[float], chances: np.ndarray, responded: np.ndarray, false_alarm: float
) -> Calibration | None:
    low, high = limits
    told = (chances >= low) & ((chances < high) | (high == 1))
    if not told.any():
        return None
    p = chances[told]
    return Calibration(
        seen, (low, high), len(p), float(p.sum()), int(responded[told].sum()), *band(p, false_alarm)
    )
