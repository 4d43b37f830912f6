"""Variants of the model: the constants in which an indication differs from the knee, as a table.

A variant has the equations and the coordinates of the knee and changes numbers only: values and ranges of constants of
the registry, priors of what a fit learns beside them, and who the usual patient is. None of its numbers was fitted.
"""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from stemtrial.mechanism.parameters import Parameter, registry
from stemtrial.mechanism.treatments import Indication

NOT_RELEASED: Mapping[str, str] = {
    "disc_degeneration": "was fitted to 17 trials of discs and back pain and failed its checks: 1 blinded trial "
    "compares cells with a sham or placebo (3 are wanted), and the effect of cells stayed at its prior"
}
"""Indications without a posterior in the package, and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """A constant that differs from the knee's.

    Attributes
    ----------
    symbol
        Of the registry, or of what a fit learns beside it.
    value
        Mode of the prior of a constant with a range, median of what is learned, or the fixed value.
    low, high
        Range of an uncertain constant of the registry, else ``None``.
    sd
        Of the prior of what is learned, of the logarithm where that is lognormal, else ``None``.
    unit, meaning, source
        As in the registry.
    knowledge
        How it is known; ``assumed`` throughout.
    """

    symbol: str
    value: float
    low: float | None
    high: float | None
    sd: float | None
    unit: str
    meaning: str
    source: str
    knowledge: Literal["assumed"]


@dataclass(frozen=True)
class Variant:
    """What an indication's model consists of beside the equations.

    Attributes
    ----------
    indication
        Whose.
    grades, age, bmi, baseline
        Shares of the grades of severity, means and baseline pain where a trial's are unknown.
    function
        Instrument on which the model's limitation of function, 0-100, is read.
    changes
        Constants that differ from the knee's.
    """

    indication: Indication
    grades: Mapping[int, float]
    age: float
    bmi: float
    baseline: float
    function: str
    changes: tuple[Change, ...] = ()

    @cached_property
    def constants(self) -> Mapping[str, Parameter]:
        """All constants by symbol: the registry with the changes, which keep what is uncertain uncertain."""
        if not self.changes:
            return registry()
        table = dict(registry())
        for change in self.changes:
            old = table.get(change.symbol)
            if change.sd is not None:
                continue
            if old is None:
                table[change.symbol] = Parameter(
                    change.symbol, "structure", change.value, None, None, change.unit, change.meaning, change.source,
                    "assumption", "fixed", "linear",
                )  # fmt: skip
                continue
            if (old.level == "fixed") != (change.low is None):
                raise ValueError(f"{change.symbol}: a variant keeps what is fixed and what is uncertain")
            table[change.symbol] = replace(
                old, value=change.value, low=change.low, high=change.high, meaning=change.meaning,
                source=change.source, quality="assumption",
            )  # fmt: skip
        return MappingProxyType(table)

    @cached_property
    def priors(self) -> Mapping[str, Change]:
        """Changed priors of what a fit learns beside the registry, by name."""
        return {change.symbol: change for change in self.changes if change.sd is not None}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that makes the variant differ from the knee; empty for the knee."""
        return hashlib.sha256(repr(self).encode()).hexdigest() if self.changes else ""


@cache
def variant(indication: Indication) -> Variant:
    """Return the variant of an indication; the knee's changes nothing.

    Examples
    --------
    >>> variant("knee_oa").changes
    ()
    >>> disc = variant("disc_degeneration").constants["k_M"]
    >>> disc.value, registry()["k_M"].value
    (0.05, 0.03)
    """
    if indication == "knee_oa":
        return Variant("knee_oa", {2: 0.45, 3: 0.55}, 58.0, 28.5, 55.0, "WOMAC_function")
    return Variant(
        "disc_degeneration", {3: 0.5, 4: 0.5}, 43.0, 28.5, 65.0, "ODI", _changes("disc_degeneration")
    )


def _changes(indication: Indication) -> tuple[Change, ...]:
    def number(text: str) -> float | None:
        return float(text) if text else None

    found = []
    with files("stemtrial.calibration").joinpath("data/variants.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.pop("indication") == indication:
                numbers = {name: number(row[name]) for name in ("value", "low", "high", "sd")}
                found.append(Change(**{**row, **numbers}))  # type: ignore[arg-type]
    return tuple(found)
