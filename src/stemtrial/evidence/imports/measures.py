"""Which instrument a registry's outcome measure is, on which range, and whether its value is a level or a change."""

import re
from dataclasses import dataclass
from functools import cache

from stemtrial.scales import Instrument, Scale, instruments

_FAMILIES = {
    r"\bWOMAC\b|western ontario": {
        r"\bpain\b": "WOMAC_pain",
        r"\bstiffness\b": "WOMAC_stiffness",
        r"\bfunction(?:al|ing)?\b": "WOMAC_function",
        r"\btotal\b": "WOMAC_total",
    },
    r"\bKOOS\b|knee injury and osteoarthritis outcome": {
        r"\bpain\b": "KOOS_pain",
        r"\bsymptoms?\b": "KOOS_symptoms",
        r"\bADL\b|daily living": "KOOS_ADL",
        r"\bsports?\b": "KOOS_sport",
        r"\bQOL\b|quality of life": "KOOS_QoL",
        r"\bKOOS-?PS\b": "KOOS_PS",
    },
    r"\bVAS\b|visual analog(?:ue)?": {
        r"\bpain\b": "VAS",
        r"\bat rest\b|\brest pain\b": "VAS_rest",
        r"\bon movement\b|\bmotion\b|\bwalking\b": "VAS_motion",
        r"\bleg\b": "VAS_leg",
        r"\bsciatic": "VAS_sciatic",
    },
    r"\bNRS\b|\bNPRS\b|numeric(?:al)? (?:pain )?rating": {
        r"\bpain\b|\bNPRS\b": "NRS",
        r"\bleg\b": "NRS_leg",
    },
}
_ALONE = {
    r"\bODI\b|oswestry": "ODI",
    r"\bRMDQ\b|roland[- ]?(?:and )?morris": "RMDQ",
    r"\bQBPDS\b|quebec back pain": "QBPDS",
    r"\bICOAP\b": "ICOAP_pain",
    r"\blequesne\b": "Lequesne",
    r"\bIKDC\b|international knee documentation": "IKDC",
    r"\blysholm\b": "Lysholm",
    r"\bLEFS\b|lower extremity functional": "LEFS",
    r"\bOKS\b|oxford knee": "OKS",
    r"\bOHS\b|oxford hip": "OHS",
    r"\bHHS\b|harris hip": "HHS",
    r"\bMOCART\b": "MOCART",
    r"\bWORMS\b|whole[- ]organ (?:MRI|magnetic)": "WORMS",
    r"pfirrmann": "Pfirrmann",
}
_GENERAL = {"VAS": {"VAS_rest", "VAS_motion", "VAS_leg", "VAS_sciatic"}, "NRS": {"NRS_leg"}}
_OTHER_VAS = re.compile(r"EQ-?5D|EuroQol|\bglobal\b|health state|satisfaction|stiffness", re.I)
_PER_CENT = r"(\d{1,2})\s*(?:%|per ?cent)"
_RELIEF = re.compile(
    rf"\bresponders?\b|{_PER_CENT}\W+(?:\w+\W+){{0,3}}?(?:reduction|improvement|decrease|relief)"
    rf"|(?:reduction|improvement|decrease|relief)\W+(?:\w+\W+){{0,4}}?{_PER_CENT}",
    re.I,
)
_RANGE = re.compile(
    r"(?<![\d.\-/])(?P<low>-?\d+(?:\.\d+)?)\s*"
    r"(?:(?:[-–—]|to\b|through\b)\s*|\((?:[^()]{1,60})\)\s*to\s*|=[^=;.\d]{1,60}?(?:,|;|\bto\b|\band\b)\s*)"
    r"(?P<high>\d+(?:\.\d+)?)(?![\d./])(?!\s*(?:days?|weeks?|months?|years?|participants|patients|%|per ?cent))",
    re.I,
)
_WORSE = r"(?:worse|more (?:severe|pain|disab)|greater (?:pain|disab|severity)|severe|worst)"
_BETTER = r"(?:better|improve|less (?:pain|disab)|greater function|good)"
_CHANGE = re.compile(r"\bchanges?\b", re.I)
_UNSIGNED = re.compile(r"\b(?:improvement|reduction|decrease|increase|difference)\b", re.I)


@dataclass(frozen=True)
class Found:
    """A name or a scale that a text states, or, where ``what`` is None, why it states none."""

    what: str | None
    reason: str


def recognise(title: str, description: str) -> Found:
    """Name the instrument a measure's title speaks of, else the one its description speaks of.

    Examples
    --------
    >>> recognise("Change in WOMAC Physical Function", "").what, recognise("WOMAC score", "").what
    ('WOMAC_function', None)
    """
    for part, text in (("title", title), ("description", description)):
        named = {
            pattern: subscales for pattern, subscales in _FAMILIES.items() if re.search(pattern, text, re.I)
        }
        if any("VAS" in pattern for pattern in named) and _OTHER_VAS.search(text):
            return Found(None, f"the {part} names a scale that is not one of pain")
        alone = {name for pattern, name in _ALONE.items() if re.search(pattern, text, re.I)}
        if len(named) + len(alone) > 1:
            return Found(None, f"the {part} names several instruments")
        if alone:
            return Found(alone.pop(), f"named in the {part}")
        for subscales in named.values():
            return _subscale(subscales, text if part == "title" else f"{title} {text}", part)
    return Found(None, "neither title nor description names an instrument of the tables")


def _subscale(subscales: dict[str, str], text: str, part: str) -> Found:
    names = {name for pattern, name in subscales.items() if re.search(pattern, text, re.I)}
    for general, special in _GENERAL.items():
        if names & special:
            names.discard(general)
    if len(names) == 1:
        return Found(names.pop(), f"named in the {part}")
    which = "several subscales" if names else "no subscale"
    return Found(None, f"the {part} names the instrument with {which}")


def responder(title: str, instrument: str | None) -> Found:
    """Name the share of responders that a count of participants is.

    Examples
    --------
    >>> responder("Participants with 50% reduction in VAS", "VAS").what, responder("Deaths", None).what
    ('responder_VAS_50pct', None)
    """
    match = _RELIEF.search(title)
    if match is None:
        return Found(None, "a count of participants whose title speaks of no response")
    share = next((group for group in match.groups() if group), None)
    name = f"responder_{instrument}_{share}pct"
    if instrument and share and name in known():
        return Found(name, f"the title speaks of {share} % on the {instrument}")
    return Found("responder_pct", "the title speaks of a response as the trial defines it")


def scale_of(name: str, *texts: str) -> tuple[Scale | None, str]:
    """Return the form of a score whose range, and direction if said, the texts state; else None and why.

    Examples
    --------
    >>> scale_of("WOMAC_function", "score on a scale (0-68)")[0].limits
    '0 to 68'
    >>> scale_of("WOMAC_pain", "5 items of 0-10, sum 0-50; higher is worse")[1]
    'the texts state several ranges of WOMAC_pain: 0 to 10, 0 to 50'
    """
    text = " ; ".join(texts)
    stated = {
        (float(match["low"]), float(match["high"]))
        for match in _RANGE.finditer(text)
        if float(match["low"]) < float(match["high"])
    }
    direction = _direction(text)
    if direction == "both":
        return None, "the texts say both that higher is better and that it is worse"
    forms = [form for form in known()[name].scales if (form.low, form.high) in stated]
    limits = dict.fromkeys(form.limits for form in forms)
    if not forms:
        said = ", ".join(f"{low:g} to {high:g}" for low, high in sorted(stated))
        return None, f"{said} is no known form of {name}" if said else "no range of the scale is stated"
    if len(limits) > 1:
        return None, f"the texts state several ranges of {name}: {', '.join(limits)}"
    if direction:
        forms = [form for form in forms if form.higher_is_better == (direction == "better")]
        if not forms:
            return None, f"the texts say that higher is {direction}, against every known form of {name}"
    if len({form.higher_is_better for form in forms}) > 1:
        return None, f"{name} exists in both directions on {forms[0].limits} and none is stated"
    return forms[
        0
    ], f"range {forms[0].limits} stated; direction {'stated' if direction else 'of the known form'}"


def states(scale: Scale, text: str) -> bool:
    """Say whether a text states the range of a scale."""
    return any(
        (float(match["low"]), float(match["high"])) == (scale.low, scale.high)
        for match in _RANGE.finditer(text)
    )


def _direction(text: str) -> str | None:
    """Say whether higher is better or worse, as far as the text says so."""
    found = set()
    for high in re.finditer(r"\bhigh(?:er)?\b[^.;]{0,60}", text, re.I):
        # of "higher is worse, lower is better" only the part before "lower" speaks of higher
        clause = re.split(r"\blow(?:er)?\b", high[0], flags=re.I)[0]
        found |= {
            word
            for word, pattern in (("worse", _WORSE), ("better", _BETTER))
            if re.search(pattern, clause, re.I)
        }
    if match := re.search(r"\b0\s*(?:=|\()\s*(no pain|best|no disab|worst|extreme)", text, re.I):
        found.add("better" if match[1].lower() in ("worst", "extreme") else "worse")
    return "both" if len(found) > 1 else next(iter(found), None)


def is_change(
    title: str, description: str, unit: str, time_frame: str, visits: int
) -> tuple[bool | None, str]:
    """Say whether a mean is a change (True) or a level (False); None where the texts leave it open.

    Parameters
    ----------
    visits
        Number of classes of the measure that are titled as visits.
    """
    text = f"{title} ; {description} ; {unit}"
    if _UNSIGNED.search(f"{title} ; {unit}") and not _CHANGE.search(title):
        return None, "speaks of an improvement, reduction or difference, whose sign the record does not code"
    if re.search(r"%|per ?cent", unit, re.I):
        return None, "a per cent value of a score, which may be a change of any base"
    if _CHANGE.search(title) or re.search(r"\bchanges? from baseline\b", text, re.I):
        return True, "title or description speaks of a change"
    if _CHANGE.search(description) or _UNSIGNED.search(description):
        return None, "the title speaks of a level, the description of a change"
    if re.search(r"\bbaseline\b", time_frame, re.I) and visits == 0:
        return None, "no word of change, but a time frame from baseline: level or change is open"
    return False, "no word of change in title, description and unit"


@cache
def known() -> dict[str, Instrument]:
    """Return every instrument of the package by name."""
    return {entry.name: entry for entry in instruments()}
