"""What a person like this may expect under each option: distributions, natural frequencies, harms, and their limits.

Pain and function are readings as a trial would take them, on 0-100 with 100 the worst; changes are negative when
better. An *interval* of a share or of a mean says how far the constants of the model and the trial (or clinic) are
unknown; a *distribution* adds how persons differ and how readings scatter. Persons scatter at least as much as the
participants of published arms of equal baseline pain do. All options meet the same virtual persons.
"""

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief
from stemtrial.calibration.structures import inert_share
from stemtrial.candidate.applicability import Applicability, applicability
from stemtrial.candidate.duration import GRID, Duration, duration
from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.options import Option, harms
from stemtrial.candidate.pairs import COMPARED, Pair, pair
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.spread import widening
from stemtrial.candidate.summaries import effective
from stemtrial.candidate.timepoint import MONTHS, Timepoint, expected_change, timepoint
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.benefitharm import HarmLine
from stemtrial.mechanism.schedule import Schedule
from stemtrial.simulation import STANDARD_NUMERICS, Numerics

LEAST_DRAWS, LEAST_PATIENTS = 100, 10
"""Fewest draws for a 95 % interval, and fewest patients a draw to tell chance from draws."""

_AVERAGE_PATIENTS = 10


@dataclass(frozen=True)
class OptionOutlook:
    """Outlook under one option.

    Attributes
    ----------
    name, label
        Identifier and words.
    course
        One entry a month of :data:`MONTHS`; empty where ``text`` says why there are no numbers.
    duration
        ``None`` where there are no numbers.
    text
        Why no numbers are given; ``None`` where they are.
    dose_note
        Where the dose that was simulated comes from; ``None`` for options without one.
    harms
        Harms from the evidence, absolute ones per 1,000 with bounds (:class:`stemtrial.evidence.benefitharm.HarmLine`).
    harms_note
        What the evidence does not count; ``None`` where nothing is missing.
    """

    name: str
    label: str
    course: tuple[Timepoint, ...]
    duration: Duration | None
    text: str | None
    dose_note: str | None
    harms: tuple[HarmLine, ...]
    harms_note: str | None

    def at(self, month: float) -> Timepoint:
        """Return the outlook at a month of :data:`MONTHS`."""
        return next(point for point in self.course if point.month == month)


@dataclass(frozen=True)
class Outlook:
    """All options for one person.

    Attributes
    ----------
    person
        Whom it is for.
    options
        In the order asked for.
    pairs
        Every pair of options with numbers, at months 6 and 12.
    applicability
        How far the person lies from the trials' participants; outside, no option has numbers.
    mcid, mcid_reference
        Smallest important change of pain for a person, points, and its reference.
    belief, fingerprint
        Where the constants come from, and what identifies them.
    inert
        Share of their draws in which cells do nothing of their own; ``None`` where structures were not compared.
    seed, draws, within
        Seed; draws of constants and trial; virtual persons for each draw.
    effective_draws
        Draws of equal weight that carry as much information, once weighted by the person's reported function.
    """

    person: Person
    options: tuple[OptionOutlook, ...]
    pairs: tuple[Pair, ...]
    applicability: Applicability
    mcid: float
    mcid_reference: str
    belief: str
    fingerprint: str
    inert: float | None
    seed: int
    draws: int
    within: int
    effective_draws: float

    def option(self, name: str) -> OptionOutlook:
        """Return the outlook under an option."""
        return next(option for option in self.options if option.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: dictionaries, tuples, numbers, text and ``None``."""
        return asdict(self)


def outlook(
    person: Person,
    options: tuple[Option, ...],
    belief: Belief,
    seed: int,
    draws: int = 400,
    within: int = 30,
    numerics: Numerics = STANDARD_NUMERICS,
) -> Outlook:
    """Return what a person like this may expect under each option.

    Parameters
    ----------
    person
        What is known; the unknown is integrated over the participants of the trials.
    options
        In the order of the result (:func:`stemtrial.candidate.options.standard`).
    belief
        Where the constants come from.
    seed
        Same seed, same numbers, on any number of threads.
    draws
        Draws of the constants with the effects of a trial.
    within
        Virtual persons for each draw.
    numerics
        Time grid and floating-point type.

    Raises
    ------
    InputError
        For no option, the same option twice, or too few draws.
    """
    _check(options, draws, within)
    trials = participants(person.indication)
    where = applicability(person, trials)
    important = scales.mcid("VAS", person.indication)
    if important is None:
        raise InputError(
            Problem("has no important difference on record", field="indication", value=person.indication)
        )
    mcid, constants = important.value, belief.draw(seed, np.arange(draws))
    like = Ensemble.like(person, trials, constants, seed, within, GRID)
    shown: list[OptionOutlook] = []
    truths: dict[str, Truth] = {}
    if where.place == "outside":
        shown = [_without_numbers(option, person, option.text or where.text) for option in options]
    else:
        nobody = Person(person.indication)
        average = Ensemble.like(nobody, trials, constants, seed, _AVERAGE_PATIENTS, MONTHS)
        followed: dict[Schedule, Truth] = {}

        def follow(given: Schedule) -> Truth:
            if given not in followed:
                followed[given] = like.follow(given, numerics)
            return followed[given]

        for option in options:
            if option.text is not None:
                shown.append(_without_numbers(option, person, option.text))
                continue
            truth, context = follow(option.schedule), follow(option.context)
            truths[option.name], wider = truth, widening(like, truth, trials)
            others = average.follow(option.schedule, numerics)
            usual = {month: expected_change(average, others, month) for month in MONTHS}
            shown.append(
                OptionOutlook(
                    option.name,
                    option.label,
                    tuple(
                        timepoint(like, truth, context, month, mcid, wider, usual[month]) for month in MONTHS
                    ),
                    duration(like, truth, context, mcid, wider),
                    None,
                    option.dose_note,
                    *harms(option, person.indication),
                )
            )
    return Outlook(
        person,
        tuple(shown),
        tuple(
            pair(like, first, second, truths, month, mcid)
            for first, second in combinations(truths, 2)
            for month in COMPARED
        ),
        where,
        mcid,
        important.reference_id,
        belief.label,
        belief.fingerprint,
        inert_share(belief.structure_weights),
        seed,
        draws,
        within,
        effective(like.weight),
    )


def _check(options: tuple[Option, ...], draws: int, within: int) -> None:
    names = [option.name for option in options]
    problems = [
        Problem("is too small", field=field, value=value, allowed=f"{least} or more")
        for field, value, least in (("draws", draws, LEAST_DRAWS), ("within", within, LEAST_PATIENTS))
        if value < least
    ]
    if not names:
        problems.append(Problem("is empty", field="options", hint="name at least one option"))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        problems.append(Problem("is named twice", field="options", value=twice))
    if problems:
        raise InputError(*problems)


def _without_numbers(option: Option, person: Person, text: str) -> OptionOutlook:
    return OptionOutlook(
        option.name, option.label, (), None, text, option.dose_note, *harms(option, person.indication)
    )
