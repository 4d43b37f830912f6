"""The claim file: a promise and what must hold for it, each part with its estimand and threshold."""

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from stemtrial.documents import Document, Fault, FrozenDict, Record, reject
from stemtrial.errors import InputError, Problem
from stemtrial.evidence import vocabulary as v
from stemtrial.evidence.certainty import Indirect
from stemtrial.trial.templates import templates

Kind: TypeAlias = Literal[
    "difference", "marker", "events", "durability", "response_spread", "protocol_spread"
]
"""What is computed; :mod:`stemtrial.claims.estimating` says how."""

UNITS: dict[Kind, str] = {
    "difference": "points of 0-100",
    "marker": "standard deviations",
    "events": "persons per 1,000",
    "durability": "share of the earlier effect",
    "response_spread": "ratio of standard deviations",
    "protocol_spread": "per cent of the variance",
}
"""Unit of the threshold and of the important difference of each kind."""

SCALES: dict[Kind, tuple[float, float]] = {
    "difference": (-100.0, 100.0),
    "marker": (-5.0, 5.0),
    "events": (-1000.0, 1000.0),
    "durability": (0.0, 1.5),
    "response_spread": (0.2, 5.0),
    "protocol_spread": (0.0, 100.0),
}
"""Range in which a threshold of each kind makes sense."""

_NEEDED: dict[Kind, tuple[str, ...]] = {
    "difference": ("outcome", "month", "window"),
    "marker": ("outcome", "month", "window", "instruments"),
    "events": ("event",),
    "durability": ("outcome", "month", "window", "from_month", "correlation"),
    "response_spread": ("outcome", "month", "window"),
    "protocol_spread": ("outcome", "month", "window"),
}
_ALLOWED: dict[Kind, tuple[str, ...]] = {
    "difference": ("given", "next_trial", "model"),
    "marker": ("next_trial",),
    "events": ("against", "next_trial"),
    "durability": ("next_trial", "model"),
    "response_spread": ("next_trial",),
    "protocol_spread": (),
}
_OPTIONAL = (
    "outcome", "month", "window", "instruments", "event", "from_month", "correlation", "given", "against", "next_trial",
    "model",
)  # fmt: skip

_STEM = re.compile(r"[\w-]{1,60}", re.ASCII)

Text = Annotated[str, Field(min_length=3, max_length=300)]
Name = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$", description="letters, digits and _, a letter first")
]
Month = Annotated[float, Field(gt=0, le=120)]


class Cells(Record):
    """Which cells; an empty list takes every word of the vocabulary.

    Parameters
    ----------
    product, origin, source
        Words of the evidence tables; of several any will do.
    """

    product: Annotated[tuple[v.Product, ...], Field(strict=False, description="products")] = ()
    origin: Annotated[tuple[v.Origin, ...], Field(strict=False, description="own or donor cells")] = ()
    source: Annotated[tuple[v.CellSource, ...], Field(strict=False, description="tissues")] = ()


class NextTrial(Record):
    """The further trial whose size is sought: two equal arms, blinded, at low risk of bias.

    Parameters
    ----------
    if_true, if_false
        Plausible true value if the part holds and if it does not, in the unit of the threshold; for
        ``durability`` a share of the early effect of the studies, or of the important difference without any.
    sd
        Between persons at the visit, in points (``difference``, ``durability``); for events the risk of the
        comparator per 1,000. Not used by the other kinds.
    """

    if_true: Annotated[float, Field(description="plausible true value if it holds", examples=[-15])]
    if_false: Annotated[float, Field(description="plausible true value if it does not", examples=[0])]
    sd: Annotated[
        float | None, Field(gt=0, description="between persons; events: comparator's risk", examples=[22])
    ] = None


class Part(Record):
    """One thing that must hold: an estimand, and the side of a threshold on which it must lie.

    Parameters
    ----------
    asks
        What must hold, as a clause that can follow "that".
    kind
        What is computed.
    population, cells, comparator
        Indication, treated arms, and arms they are held against; no comparator takes every arm without cells.
    holds, threshold
        The part holds if the estimand lies ``below`` or ``above`` the threshold.
    important
        Smallest difference that matters, in the unit of the threshold; points of 0-100 for ``durability``.
    indirect
        What of the trials differs from the promise.
    outcome, month, window
        Construct, and the visit wanted with the months accepted to either side.
    instruments
        For ``marker``: parts of the instruments' names; case and signs do not matter.
    event
        For ``events``: a category or an event by its name.
    against
        For ``events``: other cells in place of the comparator, through the comparator both have.
    from_month, correlation
        For ``durability``: the earlier visit, and the correlation of its difference with that of ``month``.
    given
        For ``difference``: only cells ``added`` to the comparator's treatment, or given ``instead`` of it.
    next_trial
        For the smallest trial that could change the verdict.
    model
        For ``difference`` and ``durability``: a design of ``stemtrial init --list`` whose virtual trials are
        shown beside the part; they never enter the verdict.
    """

    asks: Annotated[Text, Field(description="what must hold, as a clause after `that`")]
    kind: Annotated[Kind, Field(description="what is computed", examples=["difference"])]
    population: Annotated[v.Indication, Field(description="indication", examples=["knee_oa"])]
    cells: Annotated[Cells, Field(description="which cells", examples=["{origin: [autologous]}"])]
    comparator: Annotated[
        tuple[v.Intervention, ...],
        Field(strict=False, description="what they are held against", examples=["[saline, placebo]"]),
    ]
    holds: Annotated[Literal["below", "above"], Field(description="side of the threshold")]
    threshold: Annotated[float, Field(description="in the unit of the kind", examples=[-10])]
    important: Annotated[float, Field(gt=0, description="smallest difference that matters", examples=[10])]
    indirect: Annotated[tuple[Indirect, ...], Field(strict=False, description="what differs")] = ()
    outcome: Annotated[v.Construct | None, Field(description="construct", examples=["pain"])] = None
    month: Annotated[Month | None, Field(description="visit wanted", examples=[12])] = None
    window: Annotated[float | None, Field(ge=0, le=60, description="months to either side", examples=[2])] = (
        None
    )
    instruments: Annotated[
        tuple[Text, ...], Field(strict=False, description="parts of instruments' names")
    ] = ()
    event: Annotated[Text | None, Field(description="category or event", examples=["serious_any"])] = None
    against: Annotated[Cells | None, Field(description="other cells")] = None
    from_month: Annotated[Month | None, Field(description="earlier visit", examples=[6])] = None
    correlation: Annotated[float | None, Field(gt=-1, lt=1, description="of the two visits")] = None
    given: Annotated[Literal["added", "instead"] | None, Field(description="added or instead")] = None
    next_trial: Annotated[NextTrial | None, Field(description="a further trial")] = None
    model: Annotated[
        Text | None, Field(description="design to simulate", examples=["knee_saline_phase3"])
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> "Part":
        needed, fields = _NEEDED[self.kind], _NEEDED[self.kind] + _ALLOWED[self.kind]
        faults = [
            Fault(f"is missing for the kind {self.kind}", (name,))
            for name in needed
            if getattr(self, name) in (None, ())
        ]
        faults += [
            Fault(f"has no meaning for the kind {self.kind}", (name,), hint="remove it")
            for name in _OPTIONAL
            if name not in fields and getattr(self, name) not in (None, ())
        ]
        low, high = SCALES[self.kind]
        values: list[tuple[tuple[str, ...], float]] = [(("threshold",), self.threshold)]
        if self.next_trial is not None:
            values += [
                (("next_trial", name), getattr(self.next_trial, name)) for name in ("if_true", "if_false")
            ]
            if self.next_trial.sd is None and self.kind in ("difference", "durability", "events"):
                faults.append(Fault(f"is missing for the kind {self.kind}", ("next_trial", "sd")))
        faults += [
            Fault("is off the scale", path, f"{low:g} to {high:g} {UNITS[self.kind]}")
            for path, value in values
            if not low <= value <= high
        ]
        if self.kind == "response_spread" and self.important <= 1:
            faults.append(Fault("is no ratio of a larger to a smaller spread", ("important",), "above 1"))
        if self.from_month is not None and self.month is not None and self.from_month >= self.month:
            faults.append(Fault("is not before month", ("from_month",), f"below {self.month:g}"))
        if self.model is not None and self.model not in (designs := [each.name for each in templates()]):
            hint = f"nearest: {v.nearest(self.model, designs)}"
            faults.append(Fault("is not a shipped design", ("model",), hint=hint))
        if "cell_therapy" in self.comparator:
            faults.append(Fault("holds cells against cells", ("comparator",), hint="use against for events"))
        if self.given is not None and not self.comparator:
            faults.append(
                Fault("needs to know to what", ("given",), hint="name the treatment under comparator")
            )
        reject(faults)
        return self


class Claim(Record):
    """A promise made for the therapy; it holds if every part holds.

    Parameters
    ----------
    title
        As headings print it.
    promise
        The promise as it is made, quoted.
    parts
        What must hold, by name.
    """

    title: Annotated[Text, Field(description="as headings print it", examples=["Is generally safe"])]
    promise: Annotated[Text, Field(description="the promise as it is made")]
    parts: Annotated[
        Mapping[Name, Part],
        Field(min_length=1, max_length=6, description="what must hold, by name"),
        AfterValidator(FrozenDict),
    ]

    @classmethod
    def read(cls, path: str | Path) -> "Claim":
        """Read and check a claim file; an :class:`~stemtrial.errors.InputError` holds every fault by line."""
        return Document.read(path).validate(cls)

    @property
    def hash(self) -> str:
        """SHA-256 of what the claim asks, free of comments and layout."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def shipped() -> dict[str, Claim]:
    """Return the ten shipped claims by name, in their order.

    Examples
    --------
    >>> list(shipped())[:2]
    ['calms_inflammation', 'regenerates_cartilage']
    """
    found = sorted((file for file in _folder().iterdir() if file.name.endswith(".yaml")), key=_number)
    return {
        _name(file): Document.parse(file.read_text(encoding="utf-8"), file.name).validate(Claim)
        for file in found
    }


def find(words: tuple[str, ...]) -> dict[str, Claim]:
    """Return claims by shipped name or by file; all shipped ones where none is asked for.

    Raises
    ------
    InputError
        An unknown name, a file that cannot be used, or two claims of one name.
    """
    own = shipped()
    found: dict[str, Claim] = {}
    for word in words or tuple(own):
        if word in own:
            name, claim = word, own[word]
        elif Path(word).suffix.lower() in (".yaml", ".yml", ".json"):
            name, claim = Path(word).stem, Claim.read(word)
            if name in own or name == "index" or not _STEM.fullmatch(name):
                problem = Problem(
                    "is no name for a claim",
                    file=word,
                    allowed="letters, digits, _ and -, before the ending",
                    hint="index and the names of shipped claims are taken",
                )
                raise InputError(problem)
        else:
            hint = f"nearest: {v.nearest(word, own)}; or name a .yaml file"
            raise InputError(Problem("is no claim", field="claim", value=word, hint=hint))
        if name in found:
            raise InputError(Problem("is asked for twice", field="claim", value=name))
        found[name] = claim
    return found


def _folder() -> Traversable:
    return files("stemtrial.claims") / "data"


def _number(file: Traversable) -> int:
    return int(file.name.partition("_")[0])


def _name(file: Traversable) -> str:
    return file.name.partition("_")[2].removesuffix(".yaml")
