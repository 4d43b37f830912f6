"""The record of one candidate: what is known, in known units; what is not written is unknown."""

import datetime
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stemtrial.candidate.findings import MEANINGS
from stemtrial.candidate.units import ANALYTES, score
from stemtrial.documents import Fault, Record, nearest, reject
from stemtrial.errors import InputError
from stemtrial.scales import instrument

BMI_SLACK = 0.5
"""Difference from weight over height squared, kg/m², above which a body-mass index contradicts them."""

_FUNCTION = re.compile(r"\s*([A-Za-z][\w -]*?)\s+(\d+(?:\.\d+)?)\s*(?:/\s*(\d+(?:\.\d+)?))?\s*$")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}$")


def _day(text: str) -> str:
    try:
        if not _ISO.match(text):
            raise ValueError
        datetime.date.fromisoformat(text)
    except ValueError:
        what = "is not a day of the calendar"
        reject([Fault(what, allowed="year-month-day", hint='write for example `"2026-03-31"`')])
    return text


def _measured(name: str, bare: bool = False) -> BeforeValidator:
    """Return the reader of a quantity; ``bare`` lets a number stand without its unit."""

    def read(value: Any) -> Any:
        try:
            if value is None:
                return None
            if bare and isinstance(value, int | float) and not isinstance(value, bool):
                return ANALYTES[name].convert(float(value), ANALYTES[name].unit)
            return ANALYTES[name].read(value)
        except ValueError as error:
            return reject([error.args[0]])

    return BeforeValidator(read)


def _scored(value: Any) -> Any:
    try:
        return None if value is None else score(value)
    except ValueError as error:
        return reject([error.args[0]])


def _finding(name: str) -> str:
    if name not in MEANINGS:
        near = nearest(name, MEANINGS)
        hint = f"did you mean `{near}`?" if near else "the findings are listed in the documentation"
        reject([Fault("is not a known finding", hint=hint)])
    return name


def _functional(text: str) -> str:
    found = _FUNCTION.match(text)
    if found is None:
        what = "is not a score of an instrument"
        reject([Fault(what, hint="write instrument, score and top, for example `WOMAC_function 30/68`")])
        raise AssertionError
    try:
        scale = instrument(found[1]).scale(high=float(found[3]) if found[3] else None)
        scale.to_common(float(found[2]))
    except InputError as error:
        problem = error.problems[0]
        reject([Fault(problem.what, allowed=problem.allowed, hint=problem.hint)])
    return f"{scale.instrument} {float(found[2]):g}/{scale.high:g}"


def common(function: str) -> tuple[str, float]:
    """Return instrument and score on 0-100, 100 the worst, of a function as a record keeps it.

    Examples
    --------
    >>> common("WOMAC_function 34/68")
    ('WOMAC_function', 50.0)
    """
    name, _, written = function.rpartition(" ")
    value, _, top = written.partition("/")
    return name, instrument(name).scale(high=float(top)).to_common(float(value))


Day = Annotated[str, AfterValidator(_day)]
Pain = Annotated[float | None, BeforeValidator(_scored)]
Months = Annotated[float, Field(ge=0, le=1200)]
Degrees = Annotated[float, Field(ge=0, le=60)]
FindingName = Annotated[str, AfterValidator(_finding)]

Substance = Literal[
    "corticosteroid", "hyaluronic_acid", "prp", "cells_autologous", "cells_donor", "saline", "other"
]
Operated = Literal[
    "knee_arthroscopy", "knee_replacement", "knee_other", "disc_procedure", "lumbar_decompression",
    "lumbar_fusion", "lumbar_other", "other",
]  # fmt: skip
Site = Literal["index", "adjacent", "other_side", "unknown_side", "elsewhere"]


class Injection(Record):
    """An injection that was given.

    Parameters
    ----------
    substance
        What was injected.
    site
        The joint or disc in question (``index``), the ``other_side``, a knee of ``unknown_side``, an ``adjacent`` level
        of the spine, or ``elsewhere``.
    date
        Day; left out if unknown.
    """

    substance: Annotated[Substance, Field(examples=["corticosteroid"])]
    site: Annotated[Site, Field(examples=["index"])]
    date: Annotated[Day | None, Field(examples=['"2026-03-31"'])] = None


class Operation(Record):
    """An operation that was done.

    Parameters
    ----------
    kind
        What was done.
    site
        As of an injection; left out if unknown.
    date
        Day; left out if unknown.
    """

    kind: Annotated[Operated, Field(examples=["knee_arthroscopy"])]
    site: Annotated[Site | None, Field(examples=["index"])] = None
    date: Annotated[Day | None, Field(examples=['"2022-05-17"'])] = None


class FollowUp(Record):
    """A visit after the treatment began.

    Parameters
    ----------
    month
        Since the assessment, on which treatment began.
    pain, function
        As before treatment; at least one.
    rescue
        Rescue medicine begun at the visit and taken from then on.
    """

    month: Annotated[float, Field(gt=0, le=24, examples=[3])]
    pain: Pain = None
    function: Annotated[str, Field(max_length=60), AfterValidator(_functional)] | None = None
    rescue: Literal["nsaid", "paracetamol", "opioid"] | None = None

    @model_validator(mode="after")
    def _read(self) -> "FollowUp":
        if self.pain is None and self.function is None:
            reject([Fault("has no reading", hint="give pain, function or both")])
        return self


class Candidate(Record):
    """One person before a decision. Every field but ``indication`` may be left out, and is then unknown.

    Parameters
    ----------
    indication
        Which rules and which model apply.
    date
        Day of the assessment; today if left out.
    age, sex
        Years; sex as the trials record it.
    bmi, height, weight
        kg/m², or height and weight with units.
    smoking, effusion
        In words.
    kl_grade, kl_grade_other_side
        Kellgren-Lawrence grade of the knee in question and of the other.
    pfirrmann, modified_pfirrmann
        Grade 1 to 5 of the original and 1 to 8 of the modified grading of the disc; neither follows from the other.
    modic, symptomatic_levels, spondylolisthesis_grade, disc_height
        Of the lumbar spine; height of the disc in per cent of a healthy neighbour.
    varus_deg, valgus_deg
        Deviation of the leg's axis, degrees.
    pain, pain_other_side, leg_pain
        With the top of the range: ``6/10`` or ``58/100``, 0 no pain. ``pain`` is that of the knee or the back.
    pain_months, daily_pain_months
        How long there has been pain, and pain on every day.
    failed_conservative_months
        How long conservative treatment was tried without enough effect.
    function
        Instrument, score and top: ``WOMAC_function 30/68``, ``ODI 42/100``.
    hba1c, creatinine, alt, ast, ejection_fraction
        With units.
    drug_allergies, food_allergies
        How many.
    injections, operations
        All of them, or an empty list for none; left out if unknown.
    investigational_products
        Days on which products of other trials were last given; an empty list for none.
    history_complete
        Whether those three lists name everything; if not, there may have been more, and only what is listed counts.
    present, absent
        Findings (:data:`stemtrial.candidate.findings.FINDINGS`).
    what_matters
        What matters to the person, in their words.
    treated, visits
        The option that was begun at the assessment, and what later visits read, in order of time.

    Examples
    --------
    >>> person = Candidate.model_validate({"indication": "knee_oa", "pain": "6/10", "hba1c": "53 mmol/mol"})
    >>> person.pain, person.hba1c, person.bmi
    (60.0, 7.0, None)
    """

    indication: Annotated[Literal["knee_oa", "disc_degeneration"], Field(examples=["knee_oa"])]
    date: Annotated[Day | None, Field(examples=['"2026-03-31"'])] = None
    age: Annotated[float | None, Field(ge=0, le=115)] = None
    sex: Literal["female", "male"] | None = None
    bmi: Annotated[float | None, _measured("bmi", bare=True)] = None
    height: Annotated[float | None, _measured("height")] = None
    weight: Annotated[float | None, _measured("weight")] = None
    smoking: Literal["never", "former", "current"] | None = None
    kl_grade: Annotated[int | None, Field(ge=0, le=4)] = None
    kl_grade_other_side: Annotated[int | None, Field(ge=0, le=4)] = None
    effusion: Literal["none", "small", "moderate", "large"] | None = None
    varus_deg: Degrees | None = None
    valgus_deg: Degrees | None = None
    pfirrmann: Annotated[int | None, Field(ge=1, le=5)] = None
    modified_pfirrmann: Annotated[int | None, Field(ge=1, le=8)] = None
    modic: Annotated[int | None, Field(ge=0, le=3)] = None
    symptomatic_levels: Annotated[int | None, Field(ge=0, le=5)] = None
    spondylolisthesis_grade: Annotated[int | None, Field(ge=0, le=5)] = None
    disc_height: Annotated[float | None, _measured("disc_height")] = None
    pain: Pain = None
    pain_other_side: Pain = None
    leg_pain: Pain = None
    pain_months: Months | None = None
    daily_pain_months: Months | None = None
    failed_conservative_months: Months | None = None
    function: Annotated[str, Field(max_length=60), AfterValidator(_functional)] | None = None
    hba1c: Annotated[float | None, _measured("hba1c")] = None
    creatinine: Annotated[float | None, _measured("creatinine")] = None
    alt: Annotated[float | None, _measured("alt")] = None
    ast: Annotated[float | None, _measured("ast")] = None
    ejection_fraction: Annotated[float | None, _measured("ejection_fraction")] = None
    drug_allergies: Annotated[int | None, Field(ge=0, le=100)] = None
    food_allergies: Annotated[int | None, Field(ge=0, le=100)] = None
    injections: Annotated[tuple[Injection, ...], Field(strict=False)] | None = None
    operations: Annotated[tuple[Operation, ...], Field(strict=False)] | None = None
    investigational_products: Annotated[tuple[Day, ...], Field(strict=False)] | None = None
    history_complete: bool = True
    present: Annotated[tuple[FindingName, ...], Field(strict=False)] = ()
    absent: Annotated[tuple[FindingName, ...], Field(strict=False)] = ()
    what_matters: Annotated[
        tuple[Annotated[str, Field(max_length=160)], ...], Field(strict=False, max_length=6)
    ] = ()

    treated: Annotated[str, Field(max_length=120, examples=["corticosteroid"])] | None = None
    visits: Annotated[tuple[FollowUp, ...], Field(strict=False, max_length=24)] = ()

    @property
    def body_mass_index(self) -> float | None:
        """Body-mass index, kg/m², from the field or from height and weight, to one decimal."""
        if self.bmi is not None or self.height is None or self.weight is None:
            return self.bmi
        return round(self.weight / (self.height / 100) ** 2, 1)

    @property
    def limitation(self) -> tuple[str, float] | None:
        """Instrument of ``function`` and its score on 0-100, 100 the worst."""
        return None if self.function is None else common(self.function)

    def known(self, finding: str) -> bool | None:
        """Whether a finding is present, absent or (``None``) unknown."""
        if finding in ("pregnant", "breastfeeding", "planning_pregnancy") and self.sex == "male":
            return False
        return True if finding in self.present else False if finding in self.absent else None

    def events(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the place and the day of everything that happened."""
        for name in ("injections", "operations"):
            for index, event in enumerate(getattr(self, name) or ()):
                if event.date is not None:
                    yield (name, index, "date"), event.date
        for index, day in enumerate(self.investigational_products or ()):
            yield ("investigational_products", index), day

    def as_of(self, today: datetime.date) -> datetime.date:
        """Return the day of the assessment; a day after ``today`` is an error of the record."""
        return today if self.date is None else datetime.date.fromisoformat(self.date)

    def future(self, today: datetime.date) -> Iterator[Fault]:
        """Yield the dates that lie after ``today``, and the events after the assessment."""
        day = self.as_of(today)
        if day > today:
            yield Fault("lies in the future", ("date",), allowed=f"up to {today}")
        for index, visit in enumerate(self.visits):
            if day + datetime.timedelta(days=30 * visit.month) > today:
                yield Fault("lies in the future", ("visits", index, "month"), allowed=f"up to {today}")
        for place, text in self.events():
            if datetime.date.fromisoformat(text) > min(day, today):
                what = (
                    "lies in the future"
                    if datetime.date.fromisoformat(text) > today
                    else "lies after the assessment"
                )
                yield Fault(what, place, allowed=f"up to {min(day, today)}")

    @model_validator(mode="after")
    def _consistent(self) -> "Candidate":
        reject(self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Fault]:
        hint = "keep the one that is right, or leave both out"
        for name in sorted(set(self.present) & set(self.absent)):
            yield Fault(f"names {name}, which is also in `present`", ("absent",), hint=hint)
        for name in ("pregnant", "breastfeeding"):
            if self.sex == "male" and name in self.present:
                yield Fault(f"names {name}, which contradicts sex: male", ("present",), hint=hint)
        if self.visits and self.treated is None:
            hint_ = "name the option that was begun"
            yield Fault("are given without `treated`", ("visits",), hint=hint_)
        for index, (earlier, later) in enumerate(pairwise(self.visits), 1):
            if later.month <= earlier.month:
                yield Fault(
                    "is not after the visit before",
                    ("visits", index, "month"),
                    allowed=f"above {earlier.month:g}",
                )
        if self.varus_deg and self.valgus_deg:
            yield Fault("contradicts varus_deg: a leg deviates to one side", ("valgus_deg",), hint=hint)
        if self.bmi is not None and self.height is not None and self.weight is not None:
            expected = self.weight / (self.height / 100) ** 2
            if abs(expected - self.bmi) > BMI_SLACK:
                yield Fault(f"contradicts height and weight, which give {expected:.1f}", ("bmi",), hint=hint)
        for name in ("daily_pain_months", "failed_conservative_months"):
            months = getattr(self, name)
            if months is not None and self.pain_months is not None and months > self.pain_months:
                yield Fault("is longer than pain_months", (name,), allowed=f"up to {self.pain_months:g}")
        if self.age is not None and self.pain_months is not None and self.pain_months > 12 * (self.age + 1):
            yield Fault("is longer than the person has lived", ("pain_months",))
