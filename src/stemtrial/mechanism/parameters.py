"""Every constant of the model with its value, range, unit, meaning, source and quality.

The table ``data/parameters.csv`` is the registry. ``low`` and ``high`` bound the range over which the accuracy of the
solver is shown and from which uncertain constants are drawn; a constant without a range is held fixed.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, get_args

from stemtrial.errors import InputError, Problem

Quality = Literal["measured_human", "measured_animal", "in_vitro", "model_fit", "derived", "assumption"]
Level = Literal["fixed", "uncertain"]
Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Parameter:
    """One constant of the model."""

    symbol: str
    group: str
    value: float
    low: float | None
    high: float | None
    unit: str
    meaning: str
    source: str
    quality: Quality
    level: Level
    scale: Scale

    def __post_init__(self) -> None:
        for field, vocabulary in (("quality", Quality), ("level", Level), ("scale", Scale)):
            if getattr(self, field) not in get_args(vocabulary):
                raise ValueError(f"{self.symbol}: {field} must be one of {get_args(vocabulary)}")
        if (self.level == "uncertain") != (self.low is not None and self.high is not None):
            raise ValueError(f"{self.symbol}: uncertain constants have a range, fixed ones have none")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.symbol}: the value lies outside its range")
        if self.scale == "log" and not (self.low is not None and self.low > 0):
            raise ValueError(f"{self.symbol}: a range on the log scale must be positive")

    @property
    def range(self) -> tuple[float, float]:
        """Lower and upper bound; both the value itself where the constant is fixed."""
        return (self.value if self.low is None else self.low, self.value if self.high is None else self.high)


def _number(text: str) -> float | None:
    return float(text) if text else None


@cache
def registry() -> Mapping[str, Parameter]:
    """All constants by symbol, in the order of the table.

    Examples
    --------
    >>> registry()["k_U"].unit
    '1/d'
    """
    table: dict[str, Parameter] = {}
    with files("stemtrial.mechanism").joinpath("data/parameters.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {"value": float(row["value"]), "low": _number(row["low"]), "high": _number(row["high"])}
            if row["symbol"] in table:
                raise ValueError(f"{row['symbol']} stands twice in the table of parameters")
            table[row["symbol"]] = Parameter(**{**row, **numbers})  # type: ignore[arg-type]
    return MappingProxyType(table)


def values(**changes: float) -> dict[str, float]:
    """Values of all constants, with the named ones changed.

    Raises
    ------
    InputError
        For a symbol that does not exist or a value outside its range.
    """
    table = registry()
    result = {symbol: p.value for symbol, p in table.items()}
    problems = []
    for symbol, value in changes.items():
        if symbol not in table:
            problems.append(
                Problem("is not a constant of the model", field=symbol, hint="see the registry of parameters")
            )
        elif not table[symbol].range[0] <= value <= table[symbol].range[1]:
            low, high = table[symbol].range
            problems.append(
                Problem(
                    "lies outside the range in which the accuracy is shown",
                    field=symbol,
                    value=value,
                    allowed=f"{low:g} to {high:g}",
                )
            )
        result[symbol] = value
    if problems:
        raise InputError(*problems)
    return result
