"""Outcome instruments: range, direction, important difference, and conversion to a common scale.

The *common scale* runs from 0 to 100 and lower is better, whatever the instrument prints. For a form with
limits ``low`` and ``high``::

    level   100 (y - low) / (high - low), and 100 minus that when higher is better
    change  100 d / (high - low),         with its sign turned when higher is better
    spread  100 s / (high - low)

The tables behind this module are ``data/instruments.csv`` (one row a printed form, the usual form first) and
``data/mcid.csv`` (one row an important difference, its value as printed by its reference).
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Numbers = TypeVar("Numbers", float, "NDArray[np.float64]")
Kind = Literal["score", "percent", "physical", "ratio"]
Indication = Literal["knee_oa", "hip_oa", "disc_degeneration", "chronic_low_back_pain", "other"]
Comparison = Literal["within_person", "between_group"]

_ROUNDING = 1e-9  # share of the range by which rounding may carry a level past a limit


@dataclass(frozen=True)
class Scale:
    """One printed form of a score: its limits and its direction.

    The methods take one number or an array of any shape and return the same. Numbers that are not finite or
    lie off the scale raise :class:`~stemtrial.errors.InputError`.

    Examples
    --------
    >>> Scale("WOMAC_pain", 0, 20).to_common(10.0)
    50.0
    >>> Scale("KOOS_pain", 0, 100, higher_is_better=True).change_to_common(12.0)
    -12.0
    """

    instrument: str
    low: float
    high: float
    higher_is_better: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                Problem(
                    "has limits that do not enclose a range",
                    field=self.instrument,
                    value=self.limits,
                    allowed="two finite numbers, the lower first",
                )
            )

    @property
    def span(self) -> float:
        """Width of the range, in the instrument's own points."""
        return self.high - self.low

    @property
    def limits(self) -> str:
        """The range in print, such as ``0 to 68``."""
        return f"{self.low:g} to {self.high:g}"

    def to_common(self, level: Numbers) -> Numbers:
        """Convert levels to 0-100, lower better."""
        self._require(level, self.low, self.high)
        if self.higher_is_better:
            return 100 * ((self.high - level) / self.span)
        return 100 * ((level - self.low) / self.span)

    def from_common(self, level: Numbers) -> Numbers:
        """Convert levels on 0-100, lower better, to the instrument's own points."""
        self._require(level, 0.0, 100.0)
        if self.higher_is_better:
            return self.high - level * self.span / 100
        return self.low + level * self.span / 100

    def change_to_common(self, change: Numbers) -> Numbers:
        """Convert changes, or differences between arms, to 0-100 with negative meaning better."""
        self._require(change, -self.span, self.span)
        return change * (self._sign * 100 / self.span)

    def change_from_common(self, change: Numbers) -> Numbers:
        """Convert changes on 0-100 (negative means better) to the instrument's own points and direction."""
        self._require(change, -100.0, 100.0)
        return change * (self._sign * self.span / 100)

    def spread_to_common(self, spread: Numbers) -> Numbers:
        """Convert standard deviations, standard errors or widths to points of 0-100."""
        self._require(spread, 0.0, math.inf)
        return spread * (100 / self.span)

    def spread_from_common(self, spread: Numbers) -> Numbers:
        """Convert standard deviations, standard errors or widths on 0-100 to the instrument's own points."""
        self._require(spread, 0.0, math.inf)
        return spread * (self.span / 100)

    @property
    def _sign(self) -> float:
        return -1.0 if self.higher_is_better else 1.0

    def _require(self, numbers: "float | NDArray[np.float64]", low: float, high: float) -> None:
        slack = _ROUNDING * (high - low) if high < math.inf else 0.0
        fits = (numbers >= low - slack) & (numbers <= high + slack) & (numbers < math.inf)
        if fits if isinstance(fits, bool) else fits.all():
            return
        first = float(numbers if isinstance(numbers, float | int) else numbers[~fits].flat[0])
        raise InputError(
            Problem(
                "is off the scale" if math.isfinite(first) else "is not a finite number",
                field=self.instrument,
                value=f"{first:g}",
                allowed=f"{low:g} to {high:g}" if high < math.inf else f"{low:g} or more",
                hint="check the limits and the direction of the form",
            )
        )


@dataclass(frozen=True)
class ImportantDifference:
    """A smallest important difference (MCID) of one instrument.

    ``value`` is in points of 0-100 and ``printed`` as the reference gives it on ``low`` to ``high``. ``kind``
    says whether it judges the change of a person or the difference between the means of two groups;
    ``indirect`` marks a value taken from a population other than the indication.
    """

    instrument: str
    indication: Indication
    kind: Comparison
    value: float
    printed: float
    low: float
    high: float
    population: str
    indirect: bool
    reference_id: str


@dataclass(frozen=True)
class Instrument:
    """An outcome measure and its printed forms, the usual form first.

    Measures that are not scores (shares of patients, per cent changes, lengths, concentrations, ratios) are
    known by name and kind but have no forms and no conversion.
    """

    name: str
    label: str
    construct: str
    kind: Kind
    scales: tuple[Scale, ...]

    def scale(
        self, low: float | None = None, high: float | None = None, higher_is_better: bool | None = None
    ) -> Scale:
        """Return the first form that has the given limits and direction.

        Raises
        ------
        InputError
            If the measure is not a score, or has no such form.

        Examples
        --------
        >>> instrument("WOMAC function").scale(high=68).to_common(34.0)
        50.0
        """
        require_score(self.name, self.kind)
        wanted = {"low": low, "high": high, "higher_is_better": higher_is_better}
        asked = {name: value for name, value in wanted.items() if value is not None}
        for form in self.scales:
            if all(getattr(form, name) == value for name, value in asked.items()):
                return form
        raise InputError(
            Problem(
                f"has no form with {', '.join(f'{name} {value}' for name, value in asked.items())}",
                field="instrument",
                value=self.name,
                allowed="; ".join(
                    f"{form.limits}, {'higher' if form.higher_is_better else 'lower'} better"
                    for form in self.scales
                ),
            )
        )


def require_score(name: str, kind: str) -> None:
    """Raise :class:`~stemtrial.errors.InputError` unless a measure is a score."""
    if kind != "score":
        raise InputError(
            Problem(
                f"is a {kind} measure and has no conversion to 0-100",
                field="instrument",
                value=name,
                allowed="measures of the kind score",
            )
        )


def instrument(name: str) -> Instrument:
    """Look up an instrument by its name in the tables, its label or another usual name.

    Case, spaces and punctuation do not matter.

    Raises
    ------
    InputError
        If the name is unknown; the message lists near matches.

    Examples
    --------
    >>> instrument("oswestry").name
    'ODI'
    >>> [form.limits for form in instrument("VAS").scales]
    ['0 to 100', '0 to 10']
    """
    found = _names().get(_plain(name))
    return found or _unknown(
        "instrument", name, {spelling: entry.name for spelling, entry in _names().items()}
    )


@cache
def instruments() -> tuple[Instrument, ...]:
    """Return every known instrument, in the order of the table."""
    forms: dict[str, list[dict[str, str]]] = {}
    for row in _table("instruments.csv"):
        forms.setdefault(row["instrument"], []).append(row)
    return tuple(
        Instrument(
            name,
            rows[0]["label"],
            rows[0]["construct"],
            rows[0]["kind"],  # type: ignore[arg-type]  # vocabulary held by a test of the table
            tuple(
                Scale(name, float(row["low"]), float(row["high"]), row["higher_is_better"] == "true")
                for row in rows
                if row["kind"] == "score"
            ),
        )
        for name, rows in forms.items()
    )


def mcid(name: str, indication: str, kind: Comparison = "within_person") -> ImportantDifference | None:
    """Return the smallest important difference of an instrument, or None where no reference gives one.

    Only values printed in points on a stated range are used: standardised differences, per cent changes and
    points of an unstated form cannot be placed on 0-100.

    Parameters
    ----------
    name
        Instrument, as for :func:`instrument`.
    indication
        ``knee_oa``, ``hip_oa``, ``disc_degeneration``, ``chronic_low_back_pain`` or ``other``.
    kind
        ``within_person`` for the change of one person, ``between_group`` for a difference between two means.

    Raises
    ------
    InputError
        If the instrument, the indication or the kind is unknown.

    Examples
    --------
    >>> found = mcid("VAS", indication="knee_oa")
    >>> found.value, found.printed, found.reference_id
    (14.0, 1.4, 'bensa_2024')
    """
    for field, value, allowed in (("indication", indication, Indication), ("kind", kind, Comparison)):
        if value not in get_args(allowed):
            _unknown(field, value, {_plain(word): word for word in get_args(allowed)})
    wanted = (instrument(name).name, indication, kind)
    return next((found for found in important_differences() if wanted == _key(found)), None)


@cache
def important_differences() -> tuple[ImportantDifference, ...]:
    """Return every shipped important difference, one an instrument, indication and kind."""
    return tuple(
        ImportantDifference(
            name,
            indication,  # type: ignore[arg-type]
            row["kind"],  # type: ignore[arg-type]
            100 * float(row["printed"]) / (float(row["high"]) - float(row["low"])),
            float(row["printed"]),
            float(row["low"]),
            float(row["high"]),
            row["population"],
            row["indirect"] == "true",
            row["reference_id"],
        )
        for row in _table("mcid.csv")
        for name in row["instruments"].split(";")
        for indication in row["indications"].split(";")
    )


def _key(found: ImportantDifference) -> tuple[str, str, str]:
    return found.instrument, found.indication, found.kind


@cache
def _names() -> dict[str, Instrument]:
    """Map every accepted spelling to its instrument; the tables' own names win."""
    known = {_plain(entry.name): entry for entry in instruments()}
    others = {_plain(entry.label): entry for entry in instruments()}
    for row in _table("instruments.csv"):
        for alias in filter(None, row["aliases"].split(";")):
            others[_plain(alias)] = known[_plain(row["instrument"])]
    return others | known


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _unknown(field: str, value: str, spellings: dict[str, str]) -> NoReturn:
    near = [spellings[match] for match in get_close_matches(_plain(value), spellings, n=5, cutoff=0.5)]
    names = list(dict.fromkeys(spellings.values()))
    raise InputError(
        Problem(
            "is not known",
            field=field,
            value=value,
            allowed=None if near else ", ".join(names),
            hint=f"nearest: {', '.join(dict.fromkeys(near))}" if near else None,
        )
    )


def _table(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader((files("stemtrial") / "data" / name).read_text(encoding="utf-8").splitlines())
