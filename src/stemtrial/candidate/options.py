"""The options a person is told about, in a fixed order, as treatments of the model.

Comparators come first. Cells stand by product; their dose is the median of the published arms with that product, and a
product of which too few arms print a dose gets no numbers, because the model's effect of cells rests on their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import median
from types import MappingProxyType

from stemtrial.errors import InputError, Problem
from stemtrial.evidence import load
from stemtrial.evidence.benefitharm import OPTIONS, HarmLine, benefit_harm
from stemtrial.mechanism.schedule import Schedule, schedule
from stemtrial.mechanism.treatments import (
    WORDS_OF_PRODUCT,
    Cells,
    Corticosteroid,
    Exercise,
    HyaluronicAcid,
    Nsaid,
    Origin,
    Product,
    Saline,
    Source,
    Treatment,
)

ARMS_WITH_DOSE = 3
"""Published arms that must print a dose for a cell product to be simulated."""

PRODUCTS: tuple[tuple[Product, Source, Origin], ...] = (
    ("culture_expanded", "bone_marrow", "autologous"),
    ("culture_expanded", "adipose", "autologous"),
    ("culture_expanded", "bone_marrow", "allogeneic"),
    ("culture_expanded", "adipose", "allogeneic"),
    ("culture_expanded", "umbilical_cord", "allogeneic"),
    ("bmac", "bone_marrow", "autologous"),
    ("svf", "adipose", "autologous"),
    ("mfat", "adipose", "autologous"),
)
"""Cell products in the order in which they are shown: expanded own, expanded donor, processed at the bedside."""

_HARVEST = {"bone_marrow_harvest": "bone_marrow", "fat_harvest": "adipose"}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    name, label
        Identifier and words.
    treatments
        What is given; empty where ``text`` says why it cannot be simulated.
    text, dose_note
        See :class:`stemtrial.candidate.outlook.OptionOutlook`.
    harm_options
        Options of the table of benefits and harms (:data:`stemtrial.evidence.benefitharm.OPTIONS`).
    not_counted
        Treatments of that table that do not concern this option, such as harvesting of another tissue.
    """

    name: str
    label: str
    treatments: tuple[Treatment, ...]
    harm_options: tuple[str, ...]
    text: str | None = None
    dose_note: str | None = None
    not_counted: tuple[str, ...] = ()

    @property
    def schedule(self) -> Schedule:
        """What is given as dated events of the model."""
        return schedule(self.treatments)

    @property
    def context(self) -> Schedule:
        """The same with every treatment inert: what being treated does by itself."""
        given = self.schedule
        return given.without(given.actions)


def standard(indication: str) -> tuple[Option, ...]:
    """Return all options of an indication in their fixed order.

    Examples
    --------
    >>> [option.name for option in standard("knee_oa")][:5]
    ['education_exercise', 'nsaid', 'corticosteroid', 'hyaluronic_acid', 'saline']
    """
    once = (0.0,)
    return (
        _single(
            "education_exercise",
            "education and a supervised exercise programme of 3 months",
            Exercise(from_month=0, to_month=3),
            "exercise",
        ),
        _single("nsaid", "an anti-inflammatory medicine by mouth, taken throughout", Nsaid(from_month=0)),
        _single("corticosteroid", "one corticosteroid injection", Corticosteroid(at_months=once)),
        _single("hyaluronic_acid", "one course of hyaluronic acid", HyaluronicAcid(at_months=once)),
        _single(
            "saline",
            "one saline injection: the effect of being treated",
            Saline(at_months=once),
            "placebo_injection",
        ),
        *(_cells(indication, *product) for product in PRODUCTS),
    )


def _single(name: str, label: str, treatment: Treatment, harm_option: str | None = None) -> Option:
    return Option(name, label, (treatment,), (harm_option or name,))


def combine(first: Option, second: Option) -> Option:
    """Return both options together, from the same day.

    Raises
    ------
    InputError
        Where one of them cannot be simulated, both are cells, or both contain the same treatment.
    """
    names = [t.name for option in (first, second) for t in option.treatments]
    fault = next((o.text for o in (first, second) if o.text), None)
    if fault is None and len(set(names)) < len(names):
        fault = "contain the same treatment"
    if fault:
        raise InputError(
            Problem(f"cannot be combined: {fault}", field="options", value=f"{first.name}, {second.name}")
        )
    return Option(
        f"{first.name}+{second.name}",
        f"{first.label} with {second.label}",
        first.treatments + second.treatments,
        tuple(dict.fromkeys(first.harm_options + second.harm_options)),
        dose_note=first.dose_note or second.dose_note,
        not_counted=tuple(dict.fromkeys(first.not_counted + second.not_counted)),
    )


def named(indication: str, names: Sequence[str]) -> tuple[Option, ...]:
    """Return options by name; names joined by ``+`` are combinations.

    Raises
    ------
    InputError
        For an unknown name or an impossible combination.

    Examples
    --------
    >>> [option.name for option in named("knee_oa", ["saline", "nsaid+education_exercise"])]
    ['saline', 'nsaid+education_exercise']
    """
    known = {option.name: option for option in standard(indication)}
    if unknown := [part for name in names for part in name.split("+") if part not in known]:
        raise InputError(
            *(
                Problem("is not an option", field="options", value=n, allowed=", ".join(known))
                for n in unknown
            )
        )
    found = []
    for name in names:
        option, *others = (known[part] for part in name.split("+"))
        for other in others:
            option = combine(option, other)
        found.append(option)
    return tuple(found)


@cache
def _cells(indication: str, product: Product, source: Source, origin: Origin) -> Option:
    evidence = load()
    arms = [
        arm
        for trial in evidence.trials
        if trial.indication == indication
        for arm in evidence.arms_of(trial.trial_id)
        if (arm.product, arm.cell_source, arm.origin) == (product, source, origin)
    ]
    doses = [arm.dose_million_cells for arm in arms if arm.dose_million_cells is not None]
    owner = "own" if origin == "autologous" else "donor"
    words = WORDS_OF_PRODUCT[product].format(source.replace("_", " "))
    option = Option(
        f"{origin}_{product}_{source}",
        f"{owner} {words}, one injection",
        (),
        ("cells_autologous" if origin == "autologous" else "cells_donor",),
        not_counted=(
            *(harvest for harvest, tissue in _HARVEST.items() if tissue != source),
            *(() if product == "bmac" else ("ia_bmac",)),
        ),
    )
    if len(doses) < ARMS_WITH_DOSE:
        reason = (
            f"no numbers: {len(doses)} of {len(arms)} published arms print how many of these cells were given"
        )
        return replace(option, text=reason)
    dose = median(doses)
    given = Cells(source=source, origin=origin, product=product, dose_million=dose, at_months=(0,))
    note = f"{dose:g} million cells, the median of {len(doses)} published arms that print a dose"
    return replace(option, treatments=(given,), dose_note=note)


def harms(option: Option, indication: str) -> tuple[tuple[HarmLine, ...], str | None]:
    """Return the harms of an option from the evidence, and what the evidence does not count."""
    table = _harm_table(indication)
    lines = tuple(
        line
        for name in option.harm_options
        for line in table[name]
        if line.treatment not in option.not_counted
    )
    missing = [name.replace("_", " ") for name in option.harm_options if not table[name]]
    return lines, f"no row of the evidence counts harms of {', '.join(missing)}" if missing else None


@cache
def _harm_table(indication: str) -> Mapping[str, tuple[HarmLine, ...]]:
    rows = benefit_harm(
        load(), indication=indication, options=tuple(OPTIONS), effects={}, baselines_per_1000={}
    )
    return MappingProxyType({row.option: row.harms for row in rows})
