"""What a patient can be given, as declared in a trial file.

A treatment only says what is given and when; the mechanism decides what that does. In a file, the treatments
of an arm are a list of mappings with one name each::

    treatments:
      - saline: {at_months: [0, 6]}
      - exercise: {from_month: 0, to_month: 3}

The vocabulary of cells is that of the evidence tables, so that declared and published arms can be compared.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    model_validator,
)

from stemtrial.documents import Fault, Record, faulty, nearest, reject

Indication: TypeAlias = Literal["knee_oa", "disc_degeneration"]
Route: TypeAlias = Literal["injection", "oral", "programme"]
Source: TypeAlias = Literal[
    "bone_marrow", "adipose", "umbilical_cord", "placenta", "disc", "articular_cartilage"
]
Origin: TypeAlias = Literal["autologous", "allogeneic"]
Product: TypeAlias = Literal[
    "culture_expanded", "bmac", "bmmnc", "svf", "mfat", "chondrocyte", "disc_cell", "hsc", "tissue_allograft"
]

LONGEST_MONTHS = 24
"""The class of question ends at 24 months; nothing is given or observed later."""

LARGEST_DOSE_MILLION = 2000
"""Upper limit of one dose, in million viable cells; more than ten times the largest of the evidence."""

SOURCES_OF_PRODUCT: Mapping[str, tuple[str, ...]] = {
    "bmac": ("bone_marrow",),
    "bmmnc": ("bone_marrow",),
    "hsc": ("bone_marrow", "umbilical_cord"),
    "svf": ("adipose",),
    "mfat": ("adipose",),
    "disc_cell": ("disc",),
    "chondrocyte": ("articular_cartilage", "bone_marrow"),
    "tissue_allograft": ("disc", "umbilical_cord", "placenta"),
}
"""Tissues from which a product is made by definition; a product not listed can come from any."""

WORDS_OF_PRODUCT: Mapping[str, str] = {
    "culture_expanded": "culture-expanded {} cells",
    "bmac": "{} concentrate",
    "bmmnc": "{} mononuclear cells",
    "svf": "stromal vascular fraction of {} tissue",
    "mfat": "microfragmented {} tissue",
    "chondrocyte": "{} chondrocytes",
    "disc_cell": "{} cells",
    "hsc": "{} haematopoietic stem cells",
    "tissue_allograft": "{} tissue allograft",
}
"""How each product is called in a sentence; the blank takes the tissue."""


def ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return the values, or report the first that does not follow upon its predecessor."""
    for index in range(1, len(values)):
        if values[index] <= values[index - 1]:
            raise faulty(
                [
                    Fault(
                        "does not come after the entry before it",
                        (index,),
                        hint="list the months in increasing order",
                    )
                ]
            )
    return values


Month = Annotated[float, Field(ge=0, le=LONGEST_MONTHS)]
Months = Annotated[
    tuple[Month, ...],
    Field(
        min_length=1,
        max_length=24,
        strict=False,
        description="months after the start of treatment at which it is given",
        examples=["[0]"],
    ),
    AfterValidator(ascending),
]


class Treatment(Record):
    """What every treatment has: a name in the trial file, a route, and a first and a last month.

    Attributes
    ----------
    name
        The word used in the trial file.
    route
        ``injection`` into the joint or disc, ``oral``, or ``programme``.
    not_for
        Indications for which the treatment is not modelled, with the reason.
    """

    name: ClassVar[str]
    route: ClassVar[Route]
    not_for: ClassVar[Mapping[str, str]] = {}

    @property
    def written_months(self) -> tuple[tuple[tuple[str | int, ...], float], ...]:
        """Every month the declaration names, with the path of the field that names it."""
        return ()

    def __str__(self) -> str:
        """Return the treatment in words, as reports print it."""
        return self.name.replace("_", " ")


class Injection(Treatment):
    """A treatment injected into the joint or disc at given months."""

    route: ClassVar[Route] = "injection"
    at_months: Months

    @property
    def written_months(self) -> tuple[tuple[tuple[str | int, ...], float], ...]:
        """Months of the injections."""
        return tuple((("at_months", index), month) for index, month in enumerate(self.at_months))

    def __str__(self) -> str:
        """Return the treatment in words, with its months."""
        months = ", ".join(f"{month:g}" for month in self.at_months)
        return f"{super().__str__()} in month{'s' * (len(self.at_months) > 1)} {months}"


class Course(Treatment):
    """A treatment taken or followed over an interval; ``to_month`` ``None`` means to the end of follow-up."""

    from_month: Annotated[
        float, Field(ge=0, lt=LONGEST_MONTHS, description="month in which it starts", examples=[0])
    ]
    to_month: Annotated[
        float | None,
        Field(gt=0, le=LONGEST_MONTHS, description="month in which it ends; leave out for the whole trial"),
    ] = None

    @model_validator(mode="after")
    def _ends_after_start(self) -> "Course":
        if self.to_month is not None and self.to_month <= self.from_month:
            reject(
                [
                    Fault(
                        f"is not after the start in month {self.from_month:g}",
                        ("to_month",),
                        allowed=f"above {self.from_month:g} and up to {LONGEST_MONTHS}",
                        hint="leave it out to treat to the end of follow-up",
                    )
                ]
            )
        return self

    @property
    def written_months(self) -> tuple[tuple[tuple[str | int, ...], float], ...]:
        """First month and, where declared, last month."""
        first = (("from_month",), self.from_month)
        return (first,) if self.to_month is None else (first, (("to_month",), self.to_month))

    def __str__(self) -> str:
        """Return the treatment in words, with its interval."""
        end = "the end of follow-up" if self.to_month is None else f"month {self.to_month:g}"
        return f"{super().__str__()} from month {self.from_month:g} to {end}"


class Cells(Injection):
    """Injection of a cell product.

    Parameters
    ----------
    source, origin, product
        Tissue, donor and preparation; the vocabulary of the evidence tables.
    dose_million
        Million viable cells in each injection, above 0 and up to ``LARGEST_DOSE_MILLION``.
    at_months
        Months of the injections, increasing.

    Examples
    --------
    >>> spec = {"source": "adipose", "origin": "autologous", "product": "svf", "dose_million": 5}
    >>> Cells(at_months=[0], **spec).route
    'injection'
    """

    name: ClassVar[str] = "cells"
    source: Annotated[Source, Field(description="tissue the cells come from", examples=["bone_marrow"])]
    origin: Annotated[Origin, Field(description="the patient's own or a donor's", examples=["autologous"])]
    product: Annotated[
        Product, Field(description="how the cells are prepared", examples=["culture_expanded"])
    ]
    dose_million: Annotated[
        float,
        Field(gt=0, le=LARGEST_DOSE_MILLION, description="million viable cells per injection", examples=[50]),
    ]

    @model_validator(mode="after")
    def _exists(self) -> "Cells":
        faults = []
        if self.origin == "autologous" and self.source in {"umbilical_cord", "placenta"}:
            faults.append(
                Fault(
                    f"is impossible: adult patients have no {self.source.replace('_', ' ')} of their own",
                    ("origin",),
                    allowed="allogeneic",
                )
            )
        if self.product == "tissue_allograft" and self.origin == "autologous":
            faults.append(
                Fault("is impossible: an allograft comes from a donor", ("origin",), allowed="allogeneic")
            )
        sources = SOURCES_OF_PRODUCT.get(self.product)
        if sources and self.source not in sources:
            faults.append(
                Fault(
                    f"is impossible: {self.product} is not made from {self.source.replace('_', ' ')}",
                    ("source",),
                    allowed=", ".join(sources),
                    hint="correct `source` or `product`",
                )
            )
        reject(faults)
        return self

    def __str__(self) -> str:
        """Return the treatment in words: kind of cells, dose and months."""
        product = WORDS_OF_PRODUCT[self.product].format(self.source.replace("_", " "))
        given = super().__str__().removeprefix(self.name)
        return f"{self.origin} {product}, {self.dose_million:g} million cells{given}"


class Saline(Injection):
    """Injection of saline, the usual placebo of injection trials."""

    name: ClassVar[str] = "saline"


class Sham(Injection):
    """Sham procedure: the handling of an injection without one."""

    name: ClassVar[str] = "sham"


_NO_DISC_INPUT = "the disc variant of the model has no such input, and no trial to fit one"


class Corticosteroid(Injection):
    """Intra-articular corticosteroid."""

    name: ClassVar[str] = "corticosteroid"
    not_for: ClassVar[Mapping[str, str]] = {"disc_degeneration": _NO_DISC_INPUT}


class HyaluronicAcid(Injection):
    """Intra-articular hyaluronic acid."""

    name: ClassVar[str] = "hyaluronic_acid"
    not_for: ClassVar[Mapping[str, str]] = {"disc_degeneration": _NO_DISC_INPUT}


PRP_HAS_NO_INPUT = "has no input in the model: its action in the joint is not described by published numbers"
"""Why platelet-rich plasma can be declared but not simulated."""


class Prp(Injection):
    """Platelet-rich plasma."""

    name: ClassVar[str] = "prp"


class Nsaid(Course):
    """Oral non-steroidal anti-inflammatory drug at a full daily dose."""

    name: ClassVar[str] = "nsaid"
    route: ClassVar[Route] = "oral"


class Paracetamol(Course):
    """Oral paracetamol at a full daily dose."""

    name: ClassVar[str] = "paracetamol"
    route: ClassVar[Route] = "oral"


class Opioid(Course):
    """Oral opioid, titrated to a steady daily dose."""

    name: ClassVar[str] = "opioid"
    route: ClassVar[Route] = "oral"


class Exercise(Course):
    """Supervised exercise programme."""

    name: ClassVar[str] = "exercise"
    route: ClassVar[Route] = "programme"


class UsualCare(Treatment):
    """Care as usual, without a treatment of the trial's own."""

    name: ClassVar[str] = "usual_care"
    route: ClassVar[Route] = "programme"


TREATMENTS: Mapping[str, type[Treatment]] = {
    kind.name: kind
    for kind in (
        Cells,
        Saline,
        Sham,
        Corticosteroid,
        HyaluronicAcid,
        Prp,
        Nsaid,
        Paracetamol,
        Opioid,
        Exercise,
        UsualCare,
    )
}
"""Every treatment by its name in the trial file."""


def _named(value: Any) -> Any:
    """Refuse an entry that is not one known treatment under its name; return it unchanged otherwise."""
    if isinstance(value, Treatment):
        return value
    if isinstance(value, str) and value in TREATMENTS:
        raise faulty(
            [Fault("lacks its fields", hint=f"write `{value}: {{...}}`, or `{value}: {{}}` if it has none")]
        )
    if not isinstance(value, Mapping) or len(value) != 1:
        count = f"names {len(value)} treatments" if isinstance(value, Mapping) else "is not a treatment"
        raise faulty(
            [Fault(count, hint="write one treatment an entry, such as `- saline: {at_months: [0]}`")]
        )
    (name,) = value
    if name not in TREATMENTS:
        near = nearest(name, TREATMENTS)
        hint = f"did you mean `{near}`?" if near else None
        raise faulty([Fault("is not a known treatment", (name,), allowed=", ".join(TREATMENTS), hint=hint)])
    if value[name] is None:
        if TREATMENTS[name].model_fields:
            raise faulty([Fault("is empty", (name,), allowed=", ".join(TREATMENTS[name].model_fields))])
        return {name: {}}
    return value


def _name_of(value: Any) -> str:
    return value.name if isinstance(value, Treatment) else str(next(iter(value)))


def _fields_of(value: Any) -> Any:
    return value if isinstance(value, Treatment) else next(iter(value.values()))


def _as_entry(value: Treatment) -> dict[str, Any]:
    return {value.name: value.model_dump(mode="json", exclude_none=True)}


_Fields = BeforeValidator(_fields_of)

AnyTreatment = Annotated[
    Annotated[Cells, _Fields, Tag("cells")]
    | Annotated[Saline, _Fields, Tag("saline")]
    | Annotated[Sham, _Fields, Tag("sham")]
    | Annotated[Corticosteroid, _Fields, Tag("corticosteroid")]
    | Annotated[HyaluronicAcid, _Fields, Tag("hyaluronic_acid")]
    | Annotated[Prp, _Fields, Tag("prp")]
    | Annotated[Nsaid, _Fields, Tag("nsaid")]
    | Annotated[Paracetamol, _Fields, Tag("paracetamol")]
    | Annotated[Opioid, _Fields, Tag("opioid")]
    | Annotated[Exercise, _Fields, Tag("exercise")]
    | Annotated[UsualCare, _Fields, Tag("usual_care")],
    Discriminator(_name_of),
    BeforeValidator(_named),
    PlainSerializer(_as_entry),
]
"""One entry of an arm's list of treatments: a mapping with the treatment's name in a file."""
