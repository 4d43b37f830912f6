"""Quantities with their units: read from text, converted, refused when the unit is missing or another kind.

Sources of the conversions: creatinine 88.42 µmol/L for 1 mg/dL (molar mass 113.12 g/mol); HbA1c by the master equation
of IFCC and NGSP, per cent = 0.09148 mmol/mol + 2.152 (Hoelzel et al., Clin Chem 2004; 50: 166-174); enzymes 1 µkat/L =
60 U/L (SI).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from stemtrial.documents import Fault

_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*(\S.*?)?\s*$")
_SCORE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(10|100)\s*$")

SCORES: Final = ("0-10", "0-100")
"""Ranges of the pain scales that are read: numeric or visual analogue, 0 no pain."""


@dataclass(frozen=True)
class Analyte:
    """A measured quantity.

    Parameters
    ----------
    name
        What it is, in words.
    unit
        The unit it is kept in.
    low, high
        Values a living person can have, in that unit.
    conversions
        From every other unit that is read to the one kept.
    """

    name: str
    unit: str
    low: float
    high: float
    conversions: Mapping[str, Callable[[float], float]]

    @property
    def units(self) -> tuple[str, ...]:
        """Every unit that is read, the one kept first."""
        return (self.unit, *self.conversions)

    def read(self, text: object) -> float:
        """Convert a text such as ``88 umol/L`` to the unit kept.

        Raises
        ------
        ValueError
            With a :class:`~stemtrial.documents.Fault` as its argument: no number, no unit, a unit of something else,
            or a value outside what is possible.

        Examples
        --------
        >>> ANALYTES["hba1c"].read("53 mmol/mol")
        7.0
        """
        found = _QUANTITY.match(text) if isinstance(text, str) else None
        example = f"`{(self.low + self.high) / 2:g} {self.unit}`"
        if found is None:
            what = "has no unit" if isinstance(text, int | float) else "is not a number with a unit"
            raise ValueError(Fault(what, allowed=", ".join(self.units), hint=f"write for example {example}"))
        if found[2] is None:
            raise ValueError(
                Fault("has no unit", allowed=", ".join(self.units), hint=f"write for example {example}")
            )
        return self.convert(float(found[1]), found[2])

    def convert(self, value: float, unit: str) -> float:
        """Convert a value to the unit kept, rounded to four figures after it was converted; errors as in ``read``."""
        known = {_plain(name): name for name in self.units}
        name = known.get(_plain(unit))
        if name is None:
            raise ValueError(
                Fault(
                    f"has the unit {unit!r}, which {self.name} is not read in", allowed=", ".join(self.units)
                )
            )
        kept = value if name == self.unit else float(f"{self.conversions[name](value):.4g}")
        if not (math.isfinite(kept) and self.low <= kept <= self.high):
            allowed = f"{self.low:g} to {self.high:g} {self.unit}"
            raise ValueError(Fault(f"is not a possible {self.name}", allowed=allowed, hint="check the unit"))
        return kept


def score(text: object) -> float:
    """Convert a pain written with its range, ``6/10`` or ``58/100``, to 0-100, 100 the worst.

    Raises
    ------
    ValueError
        With a :class:`~stemtrial.documents.Fault`, as :meth:`Analyte.read`.

    Examples
    --------
    >>> score("6/10"), score("58/100")
    (60.0, 58.0)
    """
    found = _SCORE.match(text) if isinstance(text, str) else None
    if found is None:
        what = "does not say its range" if isinstance(text, int | float) else "is not a score with its range"
        raise ValueError(Fault(what, allowed="6/10 or 58/100, 0 no pain", hint="write for example `58/100`"))
    value, top = float(found[1]), float(found[2])
    if value > top:
        raise ValueError(Fault("is above the top of its range", allowed=f"0 to {top:g}"))
    return 100 * value / top


def _plain(unit: str) -> str:
    return unit.replace("µ", "u").replace("μ", "u").replace(" ", "").lower()


ANALYTES: Final[Mapping[str, Analyte]] = {
    "height": Analyte("height", "cm", 100, 230, {"m": lambda x: 100 * x, "in": lambda x: 2.54 * x}),
    "weight": Analyte("weight", "kg", 25, 350, {"lb": lambda x: 0.45359237 * x}),
    "bmi": Analyte("body-mass index", "kg/m2", 10, 80, {"kg/m²": lambda x: x}),
    "hba1c": Analyte("HbA1c", "%", 3, 20, {"mmol/mol": lambda x: 0.09148 * x + 2.152}),
    "creatinine": Analyte("creatinine", "mg/dL", 0.1, 25, {"umol/L": lambda x: x / 88.42}),
    "alt": Analyte("ALT", "U/L", 1, 20000, {"IU/L": lambda x: x, "ukat/L": lambda x: 60 * x}),
    "ast": Analyte("AST", "U/L", 1, 20000, {"IU/L": lambda x: x, "ukat/L": lambda x: 60 * x}),
    "ejection_fraction": Analyte("ejection fraction", "%", 5, 90, {}),
    "disc_height": Analyte("disc height", "%", 0, 150, {}),
}
"""What is read with a unit. Disc height is the share of the height of the neighbouring healthy disc."""
