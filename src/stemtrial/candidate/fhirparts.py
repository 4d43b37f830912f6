"""Parts of FHIR resources, R4 and R5: codes, sides, days and quantities; what is not of the form is nothing."""

from collections.abc import Iterable
from typing import Any

from stemtrial.candidate import codes


def codings(concept: object) -> list[tuple[str | None, str]]:
    """Return (system, code) of a CodeableConcept."""
    found = concept.get("coding") if isinstance(concept, dict) else None
    return [
        (coding.get("system"), coding["code"])
        for coding in (found if isinstance(found, list) else [])
        if isinstance(coding, dict) and isinstance(coding.get("code"), str)
    ]


def first(values: Iterable[str | None]) -> str | None:
    """Return the first value there is."""
    return next((value for value in values if value is not None), None)


def status(concept: object) -> str | None:
    """Return the code of a status."""
    return first(code for _, code in codings(concept))


def shown(concept: object) -> str:
    """Return a code, never its text, which may hold anything."""
    found = codings(concept)
    return "/".join(code[:20] for _, code in found[:2]) if found else "no code"


def sides(sites: object) -> set[str]:
    """Return the sides that body sites name."""
    listed = sites if isinstance(sites, list) else [sites]
    return {codes.SIDES[code] for site in listed for _, code in codings(site) if code in codes.SIDES}


def site(side: str | None, index: str | None) -> str:
    """Return where something was done, beside the side in question."""
    if side is None or index is None:
        return "unknown_side"
    return "index" if side == index else "other_side"


def when(resource: dict[str, Any], name: str, end: str = "start") -> object:
    """Return the text of a date or time, or of the start or end of a period."""
    period = resource.get(f"{name}Period")
    if isinstance(period, dict):
        return period.get(end) or (period.get("end") if end == "start" else None)
    return None if end == "end" else resource.get(f"{name}DateTime") or resource.get(f"{name}Instant")


def bare(resource: dict[str, Any]) -> float | int | None:
    """Return a number that stands without its unit."""
    quantity = resource.get("valueQuantity")
    for value in (
        resource.get("valueInteger"),
        quantity.get("value") if isinstance(quantity, dict) else None,
    ):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None


def quantity(quantity: object) -> str | None:
    """Return a quantity as a text with its unit; a unit that is missing stays missing."""
    if not isinstance(quantity, dict) or isinstance(quantity.get("value"), bool):
        return None
    if quantity.get("comparator") or not isinstance(quantity.get("value"), int | float):
        return None
    unit = quantity.get("code") or quantity.get("unit") or ""
    return f"{quantity['value']} {codes.UNITS.get(unit, unit)}".strip()
