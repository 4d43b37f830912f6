"""The sheet in plain words: short sentences, ranges in words, the same order of options, no verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from stemtrial.report import colours
from stemtrial.report.wording import number

Document = Mapping[str, Any]

MONTH: Final = "12"
"""The pictures show one year, the time of most trials."""

_CRITERIA: Final = {
    "radiographic_severity_KL": "Kellgren-Lawrence grade",
    "bmi": "BMI",
    "other_joint_oa": "other joint matters more",
    "contralateral_knee": "other knee hurts more",
    "recent_intra_articular_injection": "recent injection or steroid",
    "recent_knee_surgery": "recent knee surgery",
    "other_trial": "product of another trial",
    "diabetes_control": "HbA1c",
    "renal_function": "creatinine",
    "liver_function": "ALT, AST",
    "cardiac_function": "ejection fraction",
    "product_allergy": "allergy to the product",
    "disability": "Oswestry index",
    "disc_degeneration_grade": "modified Pfirrmann grade",
    "pain_duration_upper_limit": "pain duration, upper limit",
    "anticoagulation_coagulopathy": "anticoagulant, coagulopathy",
    "inflammatory_or_secondary_arthritis": "another arthritis",
    "meniscus_ligament_damage": "meniscus, ligament damage",
    "systemic_corticosteroids": "systemic corticosteroid",
    "immunosuppression": "immunosuppression",
    "transmissible_viral_infection": "viral infection, syphilis",
    "pregnancy_lactation": "pregnancy, breastfeeding",
    "haematology_biochemistry": "other laboratory findings",
}

OPTIONS: Final = {
    "education_exercise": "Advice and exercise",
    "exercise": "Exercise",
    "nsaid": "Anti-inflammatory pills",
    "corticosteroid": "Cortisone injection",
    "hyaluronic_acid": "Hyaluronic acid injection",
    "saline": "Salt water injection",
    "placebo_injection": "Salt water injection",
    "paracetamol": "Paracetamol",
    "opioid": "Strong pain pills (opioids)",
    "disc_cells": "Cells into the disc",
    "cells_autologous": "Own cells",
    "cells_donor": "Donor cells",
    "culture_expanded_bone_marrow": "grown cells from bone marrow",
    "culture_expanded_adipose": "grown cells from fat",
    "culture_expanded_umbilical_cord": "grown cells from a birth cord",
    "bmac_bone_marrow": "bone marrow, made thicker",
    "svf_adipose": "cells washed out of fat",
    "mfat_adipose": "fat cut into small bits",
}
"""Options in plain words, by the names of the outlook."""

EVENTS: Final = {
    "complicated upper gastrointestinal event": "bleeding or a hole in the stomach",
    "serious cardiovascular event": "heart attack or stroke",
    "serious adverse event": "any serious harm",
    "septic arthritis": "germs in the joint",
    "infection": "an infection",
    "misuse": "misuse of the pills",
    "fatal overdose": "a deadly overdose",
    "addiction": "addiction",
}
"""Serious events in plain words."""

_NAMES: Final = {
    "education_exercise": "education and exercise",
    "exercise": "exercise",
    "nsaid": "NSAID by mouth",
    "corticosteroid": "corticosteroid injection",
    "hyaluronic_acid": "hyaluronic acid injection",
    "saline": "saline injection (context)",
    "placebo_injection": "saline injection",
    "paracetamol": "paracetamol",
    "opioid": "opioid",
    "disc_cells": "cells into the disc",
    "cells_autologous": "own cells",
    "cells_donor": "donor cells",
}
_PRODUCTS: Final = {"culture_expanded": "expanded", "bmac": "BMAC", "svf": "SVF", "mfat": "MFAT"}

BANDS: Final = ("above 6 to 12 months", "above 1 to 6 months", "above 12 to 24 months", "up to 1 months")
"""Times at risk in the order in which a count of harms is looked for."""
ENOUGH: Final = 100
"""Persons from which a count of trials goes before what reviews print."""

STOPS: Final = {
    "malignancy": "cancer",
    "active_infection": "an infection",
    "pregnancy_lactation": "pregnancy or breastfeeding",
    "product_allergy": "an allergy to what is in the product",
    "spinal_infection": "an infection of the spine",
}
"""Hard stops in plain words."""

BOTH: Final = "the harms of each of the two count"
"""Harms of a combination."""

UNKNOWN: Final = (
    "We do not know if cells work better than salt water for you. The studies are small and do not agree.",
    "We do not know how long any effect lasts. Few studies looked longer than two years.",
    "We do not know about rare harms. A harm that hits 1 in 1,000 people can be missed.",
    "We do not know which kind of cells is best, or how many are needed.",
    "We do not know that cells repair the joint or disc. This was not shown.",
)

QUESTIONS: Final = (
    "What can I try first that is safer or costs less?",
    "Is this product allowed here, or is it part of a study that is checked?",
    "How many people like me have you treated, and what happened to them?",
    "What does it cost me, and who pays if something goes wrong?",
    "What will we do if it does not help?",
)


def criterion_words(name: str) -> str:
    """Return a criterion of the table in words.

    Examples
    --------
    >>> criterion_words("bmi"), criterion_words("active_infection")
    ('BMI', 'active infection')
    """
    return _CRITERIA.get(name, name.replace("_", " "))


def statement_of(document: Document) -> str:
    """Return the sentence that stands on every sheet."""
    return str(document["statement"])


def option_name(name: str) -> str:
    """Return an option in the fewest technical words.

    Examples
    --------
    >>> option_name("autologous_culture_expanded_bone_marrow"), option_name("nsaid")
    ('own expanded bone marrow', 'NSAID by mouth')
    """
    if "+" in name:
        return " + ".join(map(option_name, name.split("+")))
    if name in _NAMES:
        return _NAMES[name]
    owner, _, rest = name.partition("_")
    product = next(code for code in _PRODUCTS if rest.startswith(code))
    source = rest.removeprefix(f"{product}_").removeprefix("umbilical_").replace("_", " ")
    source = source if product == "culture_expanded" else ""
    return " ".join(filter(None, ("own" if owner == "autologous" else "donor", _PRODUCTS[product], source)))


def telling(lines: Sequence[Document], serious: bool) -> list[Document]:
    """Return the harms that tell most: trials that counted in :data:`ENOUGH` persons, else reviews, else any count.

    Of what reviews print, rows on the treatment as a whole go before rows on one drug or dose.
    """
    event = "serious_any" if serious else "any_ae"
    counts = [line for line in lines if line["source"] == "trials" and line["event"] == event]
    counts.sort(
        key=lambda line: BANDS.index(line["time_at_risk"]) if line["time_at_risk"] in BANDS else len(BANDS)
    )
    for line in counts:
        if int(line["population"].split()[0]) >= ENOUGH:
            return [line]
    told = [x for x in lines if x["severity"] == "serious" and x["event"] != "septic arthritis"]
    general = min((x["treatment"] for x in told), key=len, default="")
    for measure in ("per 1,000 person-years", "events per 1,000"):
        printed = [x for x in told if (x["treatment"], x["measure"]) == (general, measure)]
        if printed and serious:
            return printed
    return counts[:1]


def count(value: float) -> str:
    """Print a number per 1,000: whole from 10, else one decimal."""
    return number(value, 0 if value >= 10 else 1)


def option_words(name: str) -> str:
    """Return an option in plain words.

    Examples
    --------
    >>> option_words("saline"), option_words("allogeneic_svf_adipose")
    ('Salt water injection', 'Donor: cells washed out of fat')
    """
    if "+" in name:
        return " with ".join(map(option_words, name.split("+")))
    if name in OPTIONS:
        return OPTIONS[name]
    owner, _, product = name.partition("_")
    return f"{'Own' if owner == 'autologous' else 'Donor'}: {OPTIONS[product]}"


def plain_sheet(document: Document) -> dict[str, Any]:
    """Return what the second sheet shows."""
    outlook = document["outlook"]
    options = {} if outlook is None else outlook["options"]
    shown = {name: option for name, option in options.items() if option["course"]}
    return {
        "stop": list(_stops(document["suitability"])),
        "options": [_picture(name, option) for name, option in shown.items()],
        "without": _without(options),
        "outside": _no_numbers(document),
        "pain": document["record"].get("pain"),
        "mcid": None if outlook is None else number(outlook["mcid"], 0),
        "harms": list(
            _harms({name: option["harms"] for name, option in options.items()} or document["harms"])
        ),
        "unknown": UNKNOWN,
        "questions": QUESTIONS,
        "tested": _tested(document),
        "wishes": document["record"].get("what_matters", ()),
        "calibrated": outlook is not None and not str(outlook["belief"]).startswith("prior"),
    }


def _tested(document: Document) -> str:
    """Say how predicted and observed responders of past studies agree; empty where that was not found out."""
    if document["checks"] is None or _no_numbers(document):
        return ""
    whole = document["checks"]["left_out"]["all"]
    predicted, observed = (number(whole[name], 0) for name in ("predicted", "observed"))
    return (
        f"We tested this on {whole['trials']} past studies. We would have said {predicted} of 100 get better. "
        f"It was {observed}. In one study alone it can be far off."
    )


def _no_numbers(document: Document) -> str:
    """Say why the sheet has no numbers at all; empty where it has some."""
    outlook = document["outlook"]
    if outlook is None and document["indication"] != "knee_oa":
        return "We have no tested way yet to tell what will happen to pain from a disc."
    if outlook is None or outlook["applicability"]["place"] == "outside":
        return "The studies did not have enough people like you."
    return ""


def _picture(name: str, option: Document) -> dict[str, Any]:
    point = option["course"][MONTH]
    share = point["responders"]["mcid"]
    low, high = round(share["low"]), round(share["high"])
    return {
        "name": option_words(name),
        "icons": icons(low, high),
        "low": low,
        "high": high,
        "guess": round(share["estimate"]),
        "pain": (number(point["pain"]["q10"], 0), number(point["pain"]["q90"], 0)),
    }


def icons(low: int, high: int) -> Markup:
    """Draw 100 circles: full up to ``low``, half full up to ``high``, empty beyond; told apart without colour."""
    parts = []
    for index in range(100):
        x, y = 5 + 10 * (index % 10), 5 + 10 * (index // 10)
        ring = f'<circle cx="{x}" cy="{y}" r="3.7" fill="none" stroke="{colours.INK}" stroke-width="0.8"/>'
        if index < low:
            parts.append(f'<circle cx="{x}" cy="{y}" r="4.1" fill="{colours.INK}"/>')
        elif index < high:
            parts.append(f'{ring}<path d="M{x - 3.7} {y}a3.7 3.7 0 0 0 7.4 0z" fill="{colours.INK}"/>')
        else:
            parts.append(ring)
    title = f"{low} of 100 full, {high - low} half full, {100 - high} empty"
    return Markup('<svg viewBox="0 0 100 100" role="img" aria-label="{}">{}</svg>').format(
        title, Markup("".join(parts))
    )


def _stops(found: Document) -> Iterator[str]:
    names = [rule["criterion"] for rule in found["hard_stops"] if rule["state"] == "not met"]
    yield from dict.fromkeys(STOPS.get(name, criterion_words(name)) for name in names)


def _without(options: Document) -> list[tuple[str, str]]:
    """Return the options without numbers by their reason in plain words."""
    found: dict[str, list[str]] = {}
    for name, option in options.items():
        if not option["course"]:
            why = "too few studies say how many cells were given"
            if "hard stop" in option["text"]:
                why = "the studies did not take people with your illness"
            elif "outside" in option["text"]:
                why = "the studies did not have people like you"
            found.setdefault(why, []).append(option_words(name))
    return [(_joined(names) if len(names) > 3 else ", ".join(names), why) for why, names in found.items()]


def _harms(harms: Mapping[str, Sequence[Document]]) -> Iterator[tuple[str, str]]:
    """Yield serious harms in plain words, one line for options with the same numbers."""
    told: dict[str, list[str]] = {}
    for name, lines in harms.items():
        text = BOTH if "+" in name else _serious(lines)
        told.setdefault(text, []).append(option_words(name))
    for text, names in told.items():
        yield _joined(names), text


def _serious(lines: Sequence[Document]) -> str:
    chosen = telling(lines, serious=True)
    if not chosen:
        return "the studies we have did not count serious harms"
    line = chosen[0]
    if line["source"] == "literature":
        when = " in each year" if line["measure"] == "per 1,000 person-years" else ""
        told = {
            each["event"]: f"{EVENTS.get(each['event'], each['event'])} in {_about(each['value'])}"
            for each in chosen
        }
        return f"{', '.join(list(told.values())[:2])} of 1,000 people{when}"
    if line["upper_if_none"] is not None:
        return f"none seen; but it could be up to {number(line['upper_if_none'], 0)} of 1,000 people"
    low, high = (number(line[end], 0) for end in ("low", "high"))
    return f"about {number(line['value'], 0)} of 1,000 people; it could be {low} to {high}"


def _about(value: float) -> str:
    return "fewer than 1" if value < 1 else f"about {number(value, 0)}"


def _joined(names: Sequence[str]) -> str:
    """Join names; kinds of cells of one owner are told together."""
    own = [name for name in names if name.startswith("Own: ")]
    donor = [name for name in names if name.startswith("Donor: ")]
    rest = [name for name in names if name not in own and name not in donor]
    return ", ".join([*rest, *(["Own cells"] if own else []), *(["Donor cells"] if donor else [])])
