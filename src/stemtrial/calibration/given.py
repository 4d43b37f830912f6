"""What an arm was given, from the words of the evidence tables to the events of the model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError

from stemtrial.documents.record import FrozenDict
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Schedule, schedule
from stemtrial.mechanism.treatments import (
    SOURCES_OF_PRODUCT,
    Cells,
    Corticosteroid,
    Course,
    Exercise,
    HyaluronicAcid,
    Indication,
    Injection,
    Nsaid,
    Opioid,
    Origin,
    Paracetamol,
    Product,
    Saline,
    Sham,
    Source,
    Treatment,
    UsualCare,
)

WEEK_MONTHS = 7 / DAYS_PER_MONTH
"""Length of a week, in months."""

ASSUMED_DOSE_MILLION = 1.0
"""What a schedule carries for an unknown dose, so that a fit can scale it by the dose it supposes."""

TREATMENT_OF: Mapping[str, type[Treatment]] = {
    "cell_therapy": Cells,
    "saline": Saline,
    "placebo": Saline,
    "vehicle": Saline,
    "sham_procedure": Sham,
    "hyaluronic_acid": HyaluronicAcid,
    "corticosteroid": Corticosteroid,
    "nsaid": Nsaid,
    "paracetamol": Paracetamol,
    "opioid": Opioid,
    "exercise": Exercise,
    "usual_care": UsualCare,
}
"""Interventions for which the model has an input."""

WITHOUT_INPUT = ("prp", "plasma", "surgery")
"""Interventions for which it has none."""

POOLED: Mapping[Indication, tuple[str, ...]] = {
    "knee_oa": ("knee_oa",),
    "disc_degeneration": ("disc_degeneration", "chronic_low_back_pain"),
}
"""Indications of the tables that inform an indication of the model."""

HIGHEST_GRADE: Mapping[Indication, int] = {"knee_oa": 4, "disc_degeneration": 5}
"""Highest grade of the Kellgren-Lawrence and of the Pfirrmann scale."""

_STRUCTURAL = re.compile(r"fibrin|hydrogel|matrix|membrane|scaffold", re.IGNORECASE)
_SURGERY = re.compile(r"surgery|HTO|microfracture|arthroscop|ectomy", re.IGNORECASE)
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}
_GRADE = re.compile(r"([0-9]+|[IVX]+)(?:-([0-9]+|[IVX]+))?\s*:\s*([0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Given:
    """A treatment in the model's terms; without a schedule ``reason`` says why."""

    schedule: Schedule | None
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str | None = None


def given(
    indication: Indication,
    intervention: str,
    *,
    source: Source | None = None,
    origin: Origin | None = None,
    product: Product | None = None,
    dose_million: float | None = None,
    n_injections: int | None = None,
    months: tuple[float, ...] = (),
    adjunct: str | None = None,
) -> Given:
    """Translate an arm's treatment, filling what was not printed with what is usual and naming it.

    Injections without times start in month 0 and follow weekly (hyaluronic acid) or monthly (others). Tissue, origin
    and preparation of cells decide the biology; where unknown, expanded cells of the patient's own marrow (donor cells
    where the tissue allows no others) stand in. Courses without dates run the whole trial. Hyaluronic acid given with
    another injection acts beside it; platelet products given with cells are noted, but have no input.

    Raises
    ------
    InputError
        If the injections or the cells are impossible; ``field`` of each problem is a parameter of this function.

    Examples
    --------
    >>> found = given("knee_oa", "cell_therapy", product="svf", origin="autologous")
    >>> found.assumed, [event.amount for event in found.schedule.doses]
    (('source', 'n_injections'), [1.0])
    >>> given("knee_oa", "prp").reason
    'prp has no input in the model'
    """
    if reason := _unusable(indication, intervention, product, adjunct):
        return Given(None, reason=reason)
    kind = TREATMENT_OF[intervention]
    notes = [f"given with {adjunct}"] if adjunct else []
    if intervention in ("placebo", "vehicle"):
        notes.append(f"{intervention} taken as saline")
    if not issubclass(kind, Injection):
        course = kind(from_month=0.0) if issubclass(kind, Course) else kind()
        return Given(schedule([course]), notes=tuple(notes))
    assumed: list[str] = []
    fields: dict[str, Any] = {}
    if kind is Cells:
        fields = _cells(source, origin, product, assumed) | {
            "dose_million": dose_million or ASSUMED_DOSE_MILLION
        }
    fields["at_months"] = _months(intervention, n_injections, months, assumed)
    try:
        treatments: list[Treatment] = [kind(**fields)]
        added = (adjunct or "").lower()
        if (
            "hyaluronic_acid" in added
            and indication not in HyaluronicAcid.not_for
            and kind is not HyaluronicAcid
        ):
            treatments.append(HyaluronicAcid(at_months=fields["at_months"]))
        if "saline injections before" in added:
            treatments.append(Saline(at_months=(0.0,)))
    except ValidationError as error:
        raise InputError(*_impossible(error)) from None
    return Given(schedule(treatments), tuple(assumed), tuple(notes))


def grades_of(text: str, indication: Indication) -> Mapping[int, float] | None:
    """Shares of the grades from counts such as ``2:12;3:18``; ``None`` if graded on another scale.

    Grades may be Roman, and a range such as ``1-2:33`` is split evenly.

    Raises
    ------
    ValueError
        If the text is not a list of grades and counts.

    Examples
    --------
    >>> grades_of("2:12;3:18", "knee_oa")
    {2: 0.4, 3: 0.6}
    >>> grades_of("1-2:33", "knee_oa")
    {1: 0.5, 2: 0.5}
    """
    counts: dict[int, float] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        found = _GRADE.fullmatch(part)
        if not found:
            raise ValueError("is not a list of grades and counts")
        first, last = (_ROMAN.get(word) or int(word) for word in (found[1], found[2] or found[1]))
        if last < first:
            raise ValueError("has a range of grades that runs backwards")
        for grade in range(first, last + 1):
            counts[grade] = counts.get(grade, 0.0) + float(found[3]) / (last + 1 - first)
    total = sum(counts.values())
    if not total:
        raise ValueError("counts no patients")
    if not all(1 <= grade <= HIGHEST_GRADE[indication] for grade in counts):
        return None
    return FrozenDict({grade: count / total for grade, count in sorted(counts.items())})


def _unusable(
    indication: Indication, intervention: str, product: str | None, adjunct: str | None
) -> str | None:
    """Return why the model has no input for a treatment, or nothing."""
    if intervention in WITHOUT_INPUT:
        return f"{intervention} has no input in the model"
    kind = TREATMENT_OF[intervention]
    if indication in kind.not_for:
        return f"{intervention}: {kind.not_for[indication]}"
    if adjunct and _SURGERY.search(adjunct):
        return f"given with surgery ({adjunct}), which has no input in the model"
    graft = product in ("chondrocyte", "disc_cell") and adjunct and _STRUCTURAL.search(adjunct)
    if product == "tissue_allograft" or graft:
        return f"a structural graft ({product}), which the model of injected cells does not describe"
    return None


def _cells(
    source: Source | None, origin: Origin | None, product: Product | None, assumed: list[str]
) -> dict[str, str]:
    assumed += [
        name for name, word in (("source", source), ("origin", origin), ("product", product)) if word is None
    ]
    product = product or "culture_expanded"
    source = source or cast(Source, SOURCES_OF_PRODUCT.get(product, ("bone_marrow",))[0])
    donor = source in ("umbilical_cord", "placenta") or product == "tissue_allograft"
    return {
        "source": source,
        "origin": origin or ("allogeneic" if donor else "autologous"),
        "product": product,
    }


def _months(
    intervention: str, n_injections: int | None, months: tuple[float, ...], assumed: list[str]
) -> tuple[float, ...]:
    if n_injections == 0:
        raise InputError(
            Problem("contradicts an injection", field="n_injections", value=0, allowed="1 or more")
        )
    if months:
        if n_injections not in (None, len(months)):
            allowed = f"{n_injections} months, as n_injections says"
            raise InputError(
                Problem("miscounts the injections", field="months", value=months, allowed=allowed)
            )
        return months
    if n_injections is None:
        assumed.append("n_injections")
    elif n_injections > 1:
        assumed.append("injection_times")
    step = WEEK_MONTHS if intervention == "hyaluronic_acid" else 1.0
    return tuple(step * number for number in range(n_injections or 1))


def _impossible(error: ValidationError) -> list[Problem]:
    """Turn what is wrong with a treatment into problems that name the parameters of :func:`given`."""
    problems = []
    for found in error.errors(include_url=False):
        where = str(found["loc"][0]) if found["loc"] else None
        faults = found.get("ctx", {}).get("faults")
        if faults:
            for fault in faults:
                name = where or str(fault.at[0])
                problems.append(Problem(fault.what, field=name, allowed=fault.allowed, hint=fault.hint))
        else:
            what = f"is impossible: {found['msg'].lower()}"
            problems.append(Problem(what, field=where, value=found["input"]))
    return [replace(p, field="months") if p.field == "at_months" else p for p in problems]
