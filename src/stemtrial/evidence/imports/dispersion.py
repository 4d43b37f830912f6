"""Spreads of a registry record in the columns of the outcome table.

The registry names the spread in an enumeration (baseline) or in free text (outcomes). Standard deviations,
standard errors, 95 % intervals and quartiles have columns. Another two-sided interval of a mean becomes a standard
error, ``(upper - lower) / (2 t)`` with the quantile ``t`` of Student's distribution on ``n - 1`` degrees of freedom
(Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.2), if it lies evenly about the mean.
"""

import re
from typing import NamedTuple

from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node

_EVEN = 0.05  # by how much of its width the middle of an interval may miss the mean


class Kind(NamedTuple):
    """What a spread is: ``sd``, ``se``, ``ci`` (with its level in per cent), ``iqr`` or ``other``."""

    name: str
    level: float | None = None


def kind(text: str) -> Kind:
    """Recognise the name of a spread.

    Examples
    --------
    >>> kind("STANDARD_DEVIATION").name, kind("90% Confidence Interval"), kind("Full Range").name
    ('sd', Kind(name='ci', level=90.0), 'other')
    """
    plain = " ".join(re.split(r"[^a-z0-9.%]+", text.lower())).strip()
    if plain in ("standard deviation", "sd"):
        return Kind("sd")
    if plain in ("standard error", "standard error of the mean", "standard error of mean", "se", "sem"):
        return Kind("se")
    if plain in ("inter quartile range", "interquartile range", "iqr"):
        return Kind("iqr")
    if found := re.fullmatch(
        r"(\d{2}(?:\.\d+)?) ?% ?confidence interval|confidence (\d{2}(?:\.\d+)?)", plain
    ):
        return Kind("ci", float(found[1] or found[2]))
    return Kind("other")


def put_spread(ledger: Ledger, draft: Draft, measurement: Node, called: Node, n: int | None) -> None:
    """Write the spread of one measurement into its row, or note why it has no place there."""
    spread, low, high = measurement["spread"], measurement["lowerLimit"], measurement["upperLimit"]
    given = [node for node in (spread, low, high) if node.value is not None]
    found = kind(called.text)
    reason = ""
    if not called.text:
        reason = "the record does not say what this spread is"
    elif found.name in ("sd", "se"):
        if spread.number is not None and spread.number >= 0:
            ledger.put(draft, found.name, spread.text, spread, reason=called.text)
            given.remove(spread)
        reason = f"no number of 0 or more for a {called.text}"
    elif found.name == "iqr" or found == Kind("ci", 95.0):
        if low.number is not None and high.number is not None:
            ledger.put(draft, f"{found.name}_low", low.text, low, reason=called.text)
            ledger.put(draft, f"{found.name}_high", high.text, high, reason=called.text)
            given = [node for node in given if node is spread]
        reason = f"{called.text} without two limits that are numbers"
    elif found.name == "ci":
        reason = _standard_error(ledger, draft, low, high, found.level or 0.0, n)
        if not reason:
            given = [node for node in given if node is spread]
    else:
        reason = f"the tables have no column for a spread called {called.text}"
    for node in given:
        ledger.refuse(node, reason)


def standard_error(low: float, high: float, level: float, n: int) -> float:
    """Return the standard error behind a two-sided interval of a mean at ``level`` per cent.

    Examples
    --------
    >>> round(standard_error(15.0, 22.8, 95, 29), 3)
    1.904
    """
    from scipy.special import stdtrit

    return float((high - low) / (2 * stdtrit(n - 1, 0.5 + level / 200)))


def _standard_error(ledger: Ledger, draft: Draft, low: Node, high: Node, level: float, n: int | None) -> str:
    """Write the standard error of an interval that is not 95 %, or say why that is not possible."""
    value = float(draft.cells["value"])
    if not draft.cells.get("statistic", "").startswith("mean"):
        return f"the interval columns hold 95 %; a {level:g} % interval is converted for means only"
    if low.number is None or high.number is None or not 50 <= level < 100:
        return f"{level:g} % interval without two limits that are numbers"
    if n is None or n < 2:
        return f"a {level:g} % interval cannot be converted without the number of participants"
    width = high.number - low.number
    if width <= 0 or abs((low.number + high.number) / 2 - value) > _EVEN * width:
        return f"a {level:g} % interval that does not lie evenly about the mean is not converted"
    error = round(standard_error(low.number, high.number, level, n), 6)
    rule = f"{level:g} % interval: width / (2 t), t on {n - 1} degrees of freedom"
    ledger.put(draft, "se", error, low, high, how="converted", reason=rule)
    return ""
