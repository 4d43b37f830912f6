"""One candidate evaluated: suitability first, then the outlook under every option, as one document."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stemtrial.candidate.intake import Intake
from stemtrial.candidate.record import Candidate, common
from stemtrial.candidate.rules import State
from stemtrial.candidate.suitability import Suitability, suitability
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.tables import Evidence

if TYPE_CHECKING:
    from stemtrial.calibration.belief import Belief
    from stemtrial.candidate.options import Option
    from stemtrial.candidate.outlook import Outlook
    from stemtrial.candidate.person import Person
    from stemtrial.candidate.updating import Update
    from stemtrial.evidence.benefitharm import HarmLine

STATEMENT: Final = (
    "For research and professional use; never advice, never a verdict: what published trials asked for, and what a "
    "model of them expects."
)
"""Stands on every output."""

WITHOUT_OUTLOOK: Final[Mapping[str, tuple[str, ...]]] = {
    "knee_oa": (
        "exercise",
        "nsaid",
        "corticosteroid",
        "hyaluronic_acid",
        "placebo_injection",
        "cells_autologous",
        "cells_donor",
    ),
    "disc_degeneration": ("nsaid", "paracetamol", "opioid", "disc_cells"),
}
"""Options whose harms are shown where there are no numbers at all, comparators first."""

FUNCTION_SCALES: Final = ("WOMAC_function", "KOOS_ADL")
"""Instruments of function that ask the questions of the model's scale."""


@dataclass(frozen=True)
class Assessment:
    """A person's evaluation.

    Parameters
    ----------
    intake
        The record as read.
    suitability
        Against the published rules.
    outlook
        Under every option; ``None`` where ``text`` says why there are no numbers at all.
    text
        Why not.
    evidence
        The tables it was made with.
    harms
        Of the options without an outlook, from the evidence.
    update
        What visits have taught; ``None`` without visits.
    checks
        How far chances told with these constants could be trusted where the answer is known
        (:mod:`stemtrial.candidate.checks`); ``None`` where that was not found out.
    """

    intake: Intake
    suitability: Suitability
    outlook: "Outlook | None"
    text: str | None
    evidence: Evidence
    harms: "Mapping[str, tuple[HarmLine, ...]]" = field(default_factory=dict)
    update: "Update | None" = None
    checks: Mapping[str, Any] | None = None

    def sources(self) -> Iterator[tuple[str, str]]:
        """Yield the references that are cited, with citation and identifier: rules, important difference, harms."""
        names = [rule.reference_id for rule in self.suitability.rules]
        names += [ref for lines in self.harms.values() for line in lines for ref in line.references]
        if self.outlook is not None:
            names.append(self.outlook.mcid_reference)
            names += [
                ref for option in self.outlook.options for line in option.harms for ref in line.references
            ]
        for name in dict.fromkeys(names):
            found = self.evidence.reference(name)
            yield name, f"{found.citation} {f'doi {found.doi}' if found.doi else found.url}"

    def to_dict(self) -> dict[str, Any]:
        """Return the document: plain data that JSON can hold, options and months by name."""
        intake = self.intake
        return {
            "statement": STATEMENT,
            "row": intake.row,
            "assessed": intake.assessed.isoformat(),
            "indication": intake.record.indication,
            "record": known(intake.record),
            "unmapped": list(intake.unmapped),
            "ignored_fields": intake.ignored,
            "suitability": self.suitability.to_dict(),
            "outlook": None if self.outlook is None else _keyed(self.outlook.to_dict()),
            "outlook_text": self.text,
            "update": None if self.update is None else _course(_json(self.update.to_dict())),
            "harms": {name: [_json(asdict(line)) for line in lines] for name, lines in self.harms.items()},
            "checks": self.checks,
            "evidence_hash": self.evidence.hash,
            "evidence_until": newest(self.evidence),
            "sources": dict(self.sources()),
        }


def newest(evidence: Evidence) -> int | None:
    """Return the year of the newest publication of the tables, as far as citations print years."""
    years = [
        int(year)
        for row in evidence.references
        for year in re.findall(r"(?<![-\d])(20\d\d)(?=;|$)", row.citation)
    ]
    return max(years, default=None)


def known(record: Candidate) -> dict[str, Any]:
    """Return what a record says, without what is unknown."""
    return {
        name: value
        for name, value in record.model_dump(mode="json").items()
        if value is not None and value != () and value != []
    }


def assess(
    intake: Intake,
    evidence: Evidence,
    belief: "Belief",
    seed: int,
    draws: int = 400,
    also: Sequence[str] = (),
    posterior: Path | None = None,
) -> Assessment:
    """Evaluate one candidate.

    Parameters
    ----------
    intake
        The record as read (:func:`stemtrial.candidate.intake.read_candidates`).
    evidence
        The tables whose rules apply.
    belief
        Where the constants of the model come from.
    seed, draws
        Of the outlook (:func:`stemtrial.candidate.outlook.outlook`).
    also
        Combinations to show after the standard options, such as ``nsaid+education_exercise``
        (:func:`stemtrial.candidate.options.named`).
    posterior
        File of the belief where it is not the one of the package: its table of checks is looked for beside it.

    Raises
    ------
    InputError
        For an option that is not known or a combination that is not possible.

    Notes
    -----
    Where a hard stop applies, no numbers are given for cells: the trials with a rule on it admitted nobody like
    this person.
    """
    from stemtrial.candidate.checks import table, told
    from stemtrial.candidate.options import named, standard
    from stemtrial.candidate.outlook import outlook
    from stemtrial.evidence.benefitharm import benefit_harm

    followed = followed_option(intake.record)
    found = suitability(intake.record, evidence, intake.assessed)
    person = person_of(intake.record)
    if isinstance(person, str):
        harms = {
            row.option: row.harms
            for row in benefit_harm(
                evidence,
                indication=intake.record.indication,
                options=WITHOUT_OUTLOOK[intake.record.indication],
                effects={},
                baselines_per_1000={},
            )
        }
        return Assessment(intake, found, None, person, evidence, harms)
    options = standard(person.indication) + named(person.indication, also)
    if found.stopped:
        text = f"no numbers: hard stop ({stops(found)}); trials with a rule on it admitted nobody like this"
        options = tuple(
            replace(option, treatments=(), text=text) if _of_cells(option.harm_options) else option
            for option in options
        )
    return Assessment(
        intake,
        found,
        outlook(person, options, belief, seed, draws),
        None,
        evidence,
        checks=told(table(person.indication, belief.fingerprint, posterior)),
        update=None if followed is None else _followed(intake.record, followed, person, belief, seed),
    )


def followed_option(record: Candidate) -> "Option | None":
    """Return the option that was begun, ``None`` without one or where nothing can be followed.

    Raises
    ------
    InputError
        For a name that is no option, or an option without numbers.
    """
    if record.treated is None or record.indication != "knee_oa":
        return None
    from stemtrial.candidate.options import named

    try:
        (option,) = named(record.indication, [record.treated])
    except InputError as error:
        raise InputError(*(replace(problem, field="treated") for problem in error.problems)) from None
    if option.text is not None:
        raise InputError(Problem(f"cannot be followed: {option.text}", field="treated", value=record.treated))
    return option


def _followed(record: Candidate, option: "Option", person: "Person", belief: "Belief", seed: int) -> "Update":
    from stemtrial.candidate.updating import follow_up
    from stemtrial.candidate.visits import Visit

    visits = []
    for visit in record.visits:
        instrument, level = (None, None) if visit.function is None else common(visit.function)
        kept = level if instrument in FUNCTION_SCALES else None
        if visit.pain is not None or kept is not None:
            visits.append(Visit(visit.month, visit.pain, kept, visit.rescue))
    return follow_up(person, option, visits, belief, seed)


def _course(update: Mapping[str, Any]) -> dict[str, Any]:
    """Months by name, so that every number has a path of names."""
    return dict(update) | {"ahead": {f"{point['month']:g}": point for point in update["ahead"]}}


def stops(found: Suitability) -> str:
    """Name the hard stops that apply."""
    names = [rule.criterion for rule in found.hard_stops if rule.state is State.NOT_MET]
    return ", ".join(dict.fromkeys(name.replace("_", " ") for name in names))


def person_of(record: Candidate) -> "Person | str":
    """Return the person as the model sees one, or why the model cannot see them.

    Function enters only where it was measured with :data:`FUNCTION_SCALES`.
    """
    from stemtrial.candidate.person import LIMITS, Person

    if record.indication != "knee_oa":
        return "No numbers: the model of the disc was fitted to trials of discs and failed its checks."
    limitation = record.limitation
    numbers: dict[str, Any] = {
        "age": record.age,
        "bmi": record.body_mass_index,
        "grade": record.kl_grade,
        "pain": record.pain,
        "function": limitation[1] if limitation and limitation[0] in FUNCTION_SCALES else None,
    }
    for name, (low, high) in LIMITS.items():
        if numbers[name] is not None and not low <= numbers[name] <= high:
            return f"No numbers: {name} {numbers[name]:g} lies outside what the model is made for, {low:g} to {high:g}."
    female = None if record.sex is None else record.sex == "female"
    return Person(indication="knee_oa", female=female, **numbers)


def _of_cells(harm_options: tuple[str, ...]) -> bool:
    return any(name.startswith("cells") for name in harm_options)


def _keyed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name and months as text, so that every number has a path of names."""
    options = {
        option["name"]: dict(option) | {"course": {f"{p['month']:g}": p for p in option["course"]}}
        for option in data["options"]
    }
    plain: dict[str, Any] = _json(dict(data) | {"options": options})
    return plain


def _json(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {f"{key:g}" if isinstance(key, float) else key: _json(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_json(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data.item() if hasattr(data, "item") else data
