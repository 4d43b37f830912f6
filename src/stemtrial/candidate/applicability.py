"""How far a person lies from the participants of the published trials.

Numbers of the trials say nothing certain about persons unlike the participants. Each known covariate is held against
the range of the trials' arms, and all of them together against the participants' joint distribution by the
Mahalanobis distance of their normal scores.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import chdtrc

from stemtrial.candidate.participants import Participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.suitability import label
from stemtrial.population.covariates import COVARIATES, correlations

Place = Literal["inside", "edge", "outside"]

FAR = 0.001
"""A person is outside by all covariates together where fewer participants than this share lie as far out."""

RARE = 0.01
"""Share of the participants that a grade must have not to count as outside, unless a trial's rules admit it."""

WORDS = {"age": "age", "bmi": "body-mass index", "grade": "Kellgren-Lawrence grade", "pain": "reported pain"}


@dataclass(frozen=True)
class Standing:
    """One covariate of the person beside the trials' participants.

    Attributes
    ----------
    covariate
        ``age``, ``bmi``, ``grade`` or ``pain``.
    value
        The person's.
    low, high
        Where 95 % of the participants of at least one arm lie; for the grade, the grades that at least 1 % have.
    mean, sd
        Of the participants, over persons.
    arms
        Number of arms behind the range; for the grade, the number of participants of that grade.
    place
        ``inside``; ``edge``, beyond the central 95 % of all participants; ``outside``, beyond the range of every arm.
    admitted
        For a grade that few participants had: trials whose rules admit it without printing how many had it.
    """

    covariate: str
    value: float
    low: float
    high: float
    mean: float
    sd: float
    arms: int
    place: Place
    admitted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Applicability:
    """Whether the numbers of the trials apply to a person.

    Attributes
    ----------
    standings
        Every known covariate.
    distance
        Mahalanobis distance of the known continuous covariates, 0 where none is known.
    farther
        Share of participants at least as far out.
    place
        The worst of the covariates and of the distance.
    unknown
        Covariates that are unknown and drawn from the participants.
    text
        The finding in a sentence.
    """

    standings: tuple[Standing, ...]
    distance: float
    farther: float
    place: Place
    unknown: tuple[str, ...]
    text: str


def applicability(person: Person, trials: Participants) -> Applicability:
    """Hold a person against the participants of the trials.

    Examples
    --------
    >>> from stemtrial.candidate.participants import participants
    >>> applicability(Person("knee_oa", age=60, bmi=28, pain=55), participants("knee_oa")).place
    'inside'
    """
    spec = trials.spec
    moments = {
        "age": (spec.age.mean, spec.age.sd),
        "bmi": (spec.bmi.mean, spec.bmi.sd),
        "pain": (spec.baseline_pain.mean, spec.baseline_pain.sd),
    }
    standings = [
        _standing(name, float(value), *trials.range(name), *moments[name], len(trials.arms[name]))
        for name in moments
        if (value := getattr(person, name)) is not None
    ]
    scores = {s.covariate: (s.value - s.mean) / s.sd for s in standings}
    if person.grade is not None:
        standings.append(_of_grade(person.grade, trials))
    index = [COVARIATES.index(name) for name in scores]
    z = np.array(list(scores.values()))
    squared = float(z @ np.linalg.solve(correlations()[np.ix_(index, index)], z)) if scores else 0.0
    farther = float(chdtrc(len(scores), squared)) if scores else 1.0
    places = [s.place for s in standings]
    place: Place = (
        "outside"
        if "outside" in places or farther < FAR
        else "edge"
        if "edge" in places or farther < 0.05
        else "inside"
    )
    unknown = tuple(name for name in COVARIATES if getattr(person, name) is None)
    return Applicability(
        tuple(standings), squared**0.5, farther, place, unknown, _sentence(place, standings, farther)
    )


def _standing(
    name: str, value: float, low: float, high: float, mean: float, sd: float, arms: int
) -> Standing:
    outside = not low <= value <= high
    place: Place = "outside" if outside else "edge" if abs(value - mean) > 1.96 * sd else "inside"
    return Standing(name, value, low, high, mean, sd, arms, place)


def _of_grade(grade: int, trials: Participants) -> Standing:
    total = sum(trials.grades.values())
    usual = [g for g, count in trials.grades.items() if count >= RARE * total]
    values, counts = np.array(list(trials.grades)), np.array(list(trials.grades.values()))
    mean = float(np.average(values, weights=counts))
    sd = float(np.average((values - mean) ** 2, weights=counts)) ** 0.5
    share = trials.grades.get(grade, 0) / total
    admitted = trials.admitted.get(grade, ()) if share < 0.05 else ()
    place: Place = "outside" if share < RARE and not admitted else "edge" if share < 0.05 else "inside"
    return Standing(
        "grade", float(grade), min(usual), max(usual), mean, sd, trials.grades.get(grade, 0), place, admitted
    )


def _sentence(place: Place, standings: list[Standing], farther: float) -> str:
    named = [s for s in standings if s.place == place]
    values = ", ".join(map(_beside, named))
    if place == "inside":
        return "the participants of the trials include people like this"
    if place == "edge":
        return f"few participants of the trials were like this: {values or 'the combination is unusual'}"
    reason = values or f"fewer than {1000 * FAR:g} in 1,000 participants lie as far from the average"
    return f"outside the participants of the trials: {reason}; what they found may not hold here"


def _beside(standing: Standing) -> str:
    """Print a covariate beside the participants, with the trials that admit it all the same."""
    admitted = f"; admitted by {', '.join(map(label, standing.admitted))}" if standing.admitted else ""
    value, ends = f"{standing.value:g}", f"{standing.low:.0f} to {standing.high:.0f}"
    return f"{WORDS[standing.covariate]} {value} (participants {ends}{admitted})"
