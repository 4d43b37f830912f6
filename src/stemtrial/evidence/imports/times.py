"""Months in the free text of time frames and visits."""

import re

DAYS_PER_MONTH = 365.25 / 12
RULE = "weeks and days as months of 30.4375 days, rounded to 0.01"

_WORDS = {
    word: str(value)
    for value, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        start=1,
    )
} | {"eighteen": "18", "twenty-four": "24", "a": "1"}
_WRITTEN = re.compile(
    rf"\b({'|'.join(sorted(_WORDS, key=len, reverse=True))})[\s-]+(?=(?:days?|weeks?|months?|years?)\b)", re.I
)
_UNIT = r"(days?|weeks?|wks?|wk|months?|mos?|mths?|years?|yrs?|d|w|m|y)"
_NUMBER = r"\d+(?:\.\d+)?"
_LIST = re.compile(
    rf"(?<![\d.])({_NUMBER}(?:\s*(?:,|/|&|\band\b|\bor\b)+\s*(?:and\s+)?{_NUMBER})*)\s*[- ]?\s*{_UNIT}\b",
    re.I,
)
_REVERSED = re.compile(
    rf"\b(days?|weeks?|wk|months?|mo|years?|[dwmy])\s*[-#]?\s*({_NUMBER}(?:\s*(?:,|&|\band\b)+\s*{_NUMBER})*)"
    rf"(?!\s*(?:\d|{_UNIT}\b))",
    re.I,
)
_BASELINE = re.compile(
    r"\bbaseline\b|\bpre-?(?:treatment|injection|operative|procedure)\b|\bscreening\b", re.I
)
_RANGE = re.compile(rf"(?<![\d.]){_NUMBER}\s*(?:-|–|—|\bto\b|\bthrough\b)\s*{_NUMBER}\s*{_UNIT}\b", re.I)
_SPAN = re.compile(r"\b(?:up to|within|through(?:out)?|during|over|until|maximum|at least)\b", re.I)
_MOST = 2000  # characters of a text that are read
_NESTED = re.compile(r"\b(?:weeks?|months?|years?)\s*\d+\s+(?:days?|weeks?|months?)\s*\d", re.I)
_MONTHS = {"d": 1 / DAYS_PER_MONTH, "w": 7 / DAYS_PER_MONTH, "m": 1.0, "y": 12.0}


def months(text: str) -> tuple[float, ...]:
    """Return the times a text names, in months, each once and in order; baseline is 0.

    Examples
    --------
    >>> months("Baseline, 1, 3 and 6 months"), months("Week 24"), months("one year after injection")
    ((0.0, 1.0, 3.0, 6.0), (5.52,), (12.0,))
    """
    text = _WRITTEN.sub(lambda found: f"{_WORDS[found[1].lower()]} ", text[:_MOST])
    if _NESTED.search(text):  # "Week 4 Day 2" is one visit, not two
        return ()
    found = {0.0} if _BASELINE.search(text) else set()
    rest = text
    for match in _LIST.finditer(text):
        found |= {_month(value, match[2]) for value in re.findall(_NUMBER, match[1])}
        rest = rest.replace(match[0], " ; ")
    for match in _REVERSED.finditer(rest):
        found |= {_month(value, match[1]) for value in re.findall(_NUMBER, match[2])}
    return tuple(sorted(found))


def visit(text: str) -> float | None:
    """Return the one visit after treatment (or, alone, baseline) that a text names, else None.

    A span such as ``up to 12 months`` or ``6-12 months`` names no visit.

    Examples
    --------
    >>> visit("Baseline, 6 months"), visit("up to 6 months"), visit("3 months, 6 months"), visit("Baseline")
    (6.0, None, None, 0.0)
    """
    text = text[:_MOST]
    if _SPAN.search(text) or _RANGE.search(text):
        return None
    named = months(text)
    later = [month for month in named if month > 0]
    return later[0] if len(later) == 1 else (0.0 if named == (0.0,) else None)


def _month(value: str, unit: str) -> float:
    return round(float(value) * _MONTHS[unit[0].lower()], 2)
