"""The print-out of a candidate: one sheet for the professional, one in plain words.

It is made from the document of an evaluation alone (:meth:`stemtrial.candidate.assessment.Assessment.to_dict`), prints
on two A4 or Letter sheets, reads without colour, and never gives a verdict.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from stemtrial import __version__
from stemtrial.report import colours
from stemtrial.report.candidatewords import (
    BANDS,
    count,
    criterion_words,
    option_name,
    plain_sheet,
    statement_of,
    telling,
)
from stemtrial.report.templating import templates
from stemtrial.report.wording import interval, number

Document = Mapping[str, Any]

SIGNS: Final = {"met": "✓", "not met": "✗", "unknown": "?", None: ""}
"""Signs of the matrix; every state is also a word for those who cannot see it."""

OF_ALL: Final = "those of each part"
"""Harms of a combination, whose parts stand in rows of their own."""

MONTHS: Final = ("1", "3", "6", "12", "24")
MAIN_MONTH: Final = "12"
BAND_SIGNS: Final = ("ᵃ", "ᵇ", "ᶜ", "ᵈ")
"""Mark the time at risk of a harm, in the order of :data:`stemtrial.report.candidatewords.BANDS`."""
CROWDED: Final = ((1400, "tightest"), (1000, "tight"), (600, "dense"))
"""Characters on what fails, what is unknown and the course from which the first sheet is set smaller, to stay one."""
ROOM: Final = 10
"""Options with numbers for which there is room; each further one takes the place of :data:`TAKES` characters."""
TAKES: Final = 350
SHORT: Final = {
    "complicated upper gastrointestinal event": "upper GI",
    "serious cardiovascular event": "cardiovascular",
}


@dataclass(frozen=True)
class MatrixRow:
    """A criterion of the matrix: its name, what the person has, and the state under each trial."""

    label: str
    value: str
    stop: bool
    states: tuple[str | None, ...]


@dataclass(frozen=True)
class OutlookRow:
    """An option of the outlook: its cells as printed, or the text that stands instead."""

    label: str
    dose: str
    text: str
    pain: tuple[str, ...]
    function: tuple[str, ...]
    chances: tuple[str, ...]
    rest: tuple[str, ...]
    harms: tuple[str, ...]


def render(document: Document) -> str:
    """Return the print-out as one HTML document; the same evaluation gives the same text."""
    environment = templates()
    sheet = professional(document)
    return environment.get_template("candidate.html.j2").render(
        document=document,
        sheet=sheet,
        plain=plain_sheet(document),
        statement=statement_of(document),
        signs=SIGNS,
        version=__version__,
        months=MONTHS,
        colour=colours,
    )


def write(document: Document, folder: Path, name: str = "candidate.html") -> Path:
    """Write the print-out into a folder, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from stemtrial.report.page import write_whole

    return write_whole(Path(folder) / name, render(document))


def professional(document: Document) -> dict[str, Any]:
    """Return what the first sheet shows."""
    found = document["suitability"]
    rows = list(matrix(found))
    half = -(-(len(rows) + len(SIGNS)) // 2)
    outlook = document["outlook"]
    options = list(without_outlook(document["harms"]) if outlook is None else outlook_rows(outlook))
    silent_text = silent(document)
    fails, unknown, visits = list(failing(found)), missing(found), list(course(document))
    return {
        "concordance": concordance(found),
        "facts": list(facts(document)),
        "stops": list(hard_stops(found)),
        "trials": found["trials"],
        "matrix": [part for part in (rows[:half], rows[half:]) if part],
        "failing": fails,
        "missing": unknown,
        "setting": setting(fails + unknown + visits, sum(not row.text for row in options)),
        "flags": [flag for flag in found["flags"] if flag["state"] != "met"],
        "outlook": options,
        "without": without(options),
        "silent": silent_text,
        "merged": merged(options, bool(silent_text)),
        "drivers": "" if outlook is None else drivers(outlook),
        "course": visits,
        "checked": checked(document),
        "rules_read": len([rule for rule in found["rules"] if not rule["rule"].startswith("flag_if")]),
    }


def setting(texts: Sequence[str], options: int) -> str:
    """Return how small the first sheet is set, by its texts and the number of options with numbers.

    Examples
    --------
    >>> setting(["a few words"], 10), setting(["a few words"], 12)
    ('', 'dense')
    """
    taken = sum(map(len, texts)) + TAKES * max(options - ROOM, 0)
    return next((name for most, name in CROWDED if taken > most), "")


def checked(document: Document) -> str:
    """Say how far chances told with the same constants could be trusted; who will respond is never claimed."""
    if document["checks"] is None:
        return "Checks: predicted and observed responders were not compared with these constants."
    return f"Checks: {document['checks']['text']}. That single responders can be told from others is not claimed."


def facts(document: Document) -> Iterator[str]:
    """Yield what is known of the person in a line, most important first."""
    record = document["record"]
    side = "the other knee"
    yield {"knee_oa": "knee osteoarthritis", "disc_degeneration": "disc degeneration"}[document["indication"]]
    for name, form in (
        ("age", "{:g} years"), ("sex", "{}"), ("kl_grade", "Kellgren-Lawrence {}"), ("pfirrmann", "Pfirrmann {}"),
        ("modified_pfirrmann", "modified Pfirrmann {}"), ("pain", "pain {:g} of 100"),
        ("pain_other_side", f"{side} {{:g}}"), ("leg_pain", "leg {:g}"), ("pain_months", "for {:g} months"),
        ("function", "{}"), ("effusion", "effusion {}"), ("smoking", "smoking: {}"),
    ):  # fmt: skip
        if name in record:
            yield form.format(record[name]).replace("_", " ")
    bmi = record.get("bmi")
    if bmi is None and "height" in record and "weight" in record:
        bmi = record["weight"] / (record["height"] / 100) ** 2
    if bmi is not None:
        yield f"BMI {bmi:.1f}"
    medicines = [
        m for m in ("anticoagulant", "immunosuppressant", "systemic_corticosteroid", "opioid", "nsaid")
    ]
    taken = [
        name.replace("_", " ").replace("nsaid", "NSAID")
        for name in medicines
        if name in record.get("present", ())
    ]
    if taken:
        yield f"takes: {', '.join(taken)}"
    if "widespread_pain" in record.get("present", ()):
        yield "widespread pain"


def concordance(found: Document) -> str:
    """Say how many trials' rules are met, not met and open."""
    states = [trial["state"] for trial in found["trials"]]
    return (
        f"Meets the rules of {states.count('met')} of {len(states)} trials; fails {states.count('not met')}; "
        f"{states.count('unknown')} undecided."
    )


def merged(options: Sequence[OutlookRow], silent_: bool) -> list[OutlookRow]:
    """Return the options of the second table; those without numbers and with the same harms share a row."""
    kept: dict[object, list[OutlookRow]] = {}
    for row in options:
        key: object = ("", row.harms) if row.text or silent_ else row.label
        label = f"{row.label}, {row.dose} M" if row.dose and not row.text else row.label
        kept.setdefault(key, []).append(replace(row, label=label))
    return [replace(rows[0], label=together([row.label for row in rows])) for rows in kept.values()]


def together(labels: Sequence[str]) -> str:
    """Join the names of options; many products of one owner are counted.

    Examples
    --------
    >>> together(["own BMAC", "own SVF"]), together(["own expanded adipose", "own BMAC", "own SVF", "own MFAT"])
    ('own BMAC, own SVF', 'own cells, 4 products')
    """
    found = list(labels)
    for owner in ("own", "donor"):
        products = [label for label in labels if label.startswith(f"{owner} ")]
        if len(products) > 2:
            found = [label for label in found if label not in products]
            found.append(f"{owner} cells, {len(products)} products")
    return ", ".join(found)


def without(options: Sequence[OutlookRow]) -> list[tuple[str, str]]:
    """Return the options without numbers, (names, reason), one line a reason."""
    found: dict[str, list[str]] = {}
    for row in options:
        if row.text:
            found.setdefault(row.text.removeprefix("no numbers: "), []).append(row.label)
    return [(together(names), reason) for reason, names in found.items()]


def hard_stops(found: Document) -> Iterator[tuple[str, str, str]]:
    """Yield criterion, state in words and the trials with a rule on it, one line a criterion."""
    by_criterion: dict[str, list[Document]] = {}
    for rule in found["hard_stops"]:
        by_criterion.setdefault(rule["criterion"], []).append(rule)
    for name, rules in by_criterion.items():
        states = [rule["state"] for rule in rules]
        state = "STOP" if "not met" in states else "unknown" if "unknown" in states else "absent"
        yield criterion_words(name), state, ", ".join(dict.fromkeys(_trial_label(found, r) for r in rules))


def matrix(found: Document) -> Iterator[MatrixRow]:
    """Yield the criteria × trials, hard stops first, in the order of the table."""
    by_criterion: dict[str, list[Document]] = {}
    for rule in found["rules"]:
        if not rule["rule"].startswith("flag_if"):
            by_criterion.setdefault(rule["criterion"], []).append(rule)
    ordered = sorted(by_criterion.items(), key=lambda item: item[1][0]["kind"] != "absolute_contraindication")
    for name, rules in ordered:
        states = []
        for trial in found["trials"]:
            own = [rule["state"] for rule in rules if rule["reference_id"] in trial["reference_ids"]]
            states.append(next((s for s in ("not met", "unknown", "met") if s in own), None))
        if any(state is not None for state in states):
            stop = rules[0]["kind"] == "absolute_contraindication"
            yield MatrixRow(criterion_words(name), _person_value(rules), stop, tuple(states))


def failing(found: Document) -> Iterator[str]:
    """Yield what fails, on which limits and trials, and when or how that may change."""
    for each in found["failing"]:
        subject, _, unit = each["meaning"].partition(", ")
        value = each["value"]
        text = (
            subject if isinstance(value, bool) else f"{subject} {printed(value)}{f' {unit}' if unit else ''}"
        )
        if each["limits"]:
            plural = "s" if len(each["limits"]) > 1 else ""
            text += f" (limit{plural} {' and '.join(f'{limit:g}' for limit in each['limits'])})"
        days: dict[str, list[str]] = {}
        for trial, day in each["met_on"]:
            days.setdefault(day, []).append(trial)
        others = [trial for trial in each["trials"] if trial not in dict(each["met_on"])]
        way = each["change"] or "not expected to change"
        parts = [f"{', '.join(trials)}: met from {day}" for day, trials in sorted(days.items())]
        parts += [f"{', '.join(others)}: {way}"] if others else []
        yield f"{text} — {'; '.join(parts)}"


def missing(found: Document) -> list[str]:
    """Return what is unknown and would decide: hard stops first, then trial by trial."""
    stops = [each["meaning"].partition(", ")[0] for each in found["missing"] if each["hard_stop"]]
    lines = [f"hard stops: {', '.join(stops)}"] if stops else []
    by_trials: dict[str, list[str]] = {}
    for each in found["missing"]:
        if each["trials"]:
            by_trials.setdefault(", ".join(each["trials"]), []).append(each["meaning"].partition(", ")[0])
    return lines + [f"{trials}: {', '.join(names)}" for trials, names in by_trials.items()]


def silent(document: Document) -> str | None:
    """Return the one text that stands instead of all numbers, if it is the same for every option."""
    outlook = document["outlook"]
    if outlook is None:
        return str(document["outlook_text"]).removeprefix("No numbers: ").rstrip(".")
    return str(outlook["applicability"]["text"]) if outlook["applicability"]["place"] == "outside" else None


def drivers(outlook: Document) -> str:
    """Say what the spread of the outlook consists of, over the options with numbers."""
    points = [o["course"][MAIN_MONTH] for o in outlook["options"].values() if o["course"]]
    if not points:
        return ""
    words = {"parameters": "unknown constants", "trial": "differences between trials",
             "person": "differences between persons", "measurement": "measurement"}  # fmt: skip
    parts = []
    for name, word in words.items():
        shares = [100 * point["variance"][name] for point in points]
        parts.append(f"{word} {number(min(shares), 0)}–{number(max(shares), 0)} %")
    return ", ".join(parts)


def outlook_rows(outlook: Document) -> Iterator[OutlookRow]:
    """Yield the options in their fixed order."""
    equal = {
        (pair["first"], pair["second"]): pair["no_important_difference"]
        for pair in outlook["pairs"]
        if f"{pair['month']:g}" == MAIN_MONTH
    }
    for name, option in outlook["options"].items():
        # One count of a combination would hide the other part's harms.
        told = (harm(option["harms"], True), harm(option["harms"], False))
        harms = (OF_ALL, OF_ALL) if "+" in name else told
        dose, _, _ = (option["dose_note"] or "").partition(" million cells")
        head = (option_name(name), dose)
        if not option["course"]:
            yield OutlookRow(*head, option["text"] or "", (), (), (), (), harms)
            continue
        main = option["course"][MAIN_MONTH]
        equipoise = equal.get(("saline", name), equal.get((name, "saline")))
        yield OutlookRow(
            *head,
            "",
            tuple(_ranged(option["course"][month]["pain"]) for month in MONTHS),
            tuple(_ranged(option["course"][month]["function"]) for month in MONTHS),
            (
                _of_hundred(option["course"]["3"]["responders"]["mcid"]),
                *(_of_hundred(main["responders"][r]) for r in ("mcid", "thirty_percent", "fifty_percent")),
            ),
            (
                f"{number(main['specific']['estimate'], 0)} "
                f"({interval(main['specific']['low'], main['specific']['high'], 0)})",
                f"{number(main['average'], 0)}; {_signed(main['moved'])}",
                _months(option["duration"]["months"]),
                "" if equipoise is None else f"{number(100 * equipoise, 0)} %",
            ),
            harms,
        )


def course(document: Document) -> Iterator[str]:
    """Yield what visits since the assessment have taught, each beside what was expected of it."""
    update = document["update"]
    if update is None:
        return
    yield f"Since the assessment: {option_name(update['option'])}."
    if update["text"]:
        yield f"No numbers: {update['text']}."
    for seen in update["seen"]:
        parts = []
        for what in ("pain", "function"):
            if seen["visit"][what] is not None:
                mark = " — outside" if what in seen["outside"] else ""
                parts.append(f"{what} {number(seen['visit'][what], 0)}, expected {_ranged(seen[what])}{mark}")
        rescue = f"; rescue: {seen['visit']['rescue']}" if seen["visit"]["rescue"] else ""
        yield f"Month {seen['visit']['month']:g}: {'; '.join(parts)}{rescue}."
    for month, ahead in update["ahead"].items():
        now, before = (number(ahead[key]["mcid"], 0) for key in ("responders", "responders_before"))
        yield (
            f"Month {month} ahead: pain {_ranged(ahead['pain'])}, before any visit {_ranged(ahead['before'])}; "
            f"better by the MCID {now} of 100, before any visit {before}."
        )
    if update["flag"]:
        yield f"Flag: {update['flag']}."


def without_outlook(harms: Mapping[str, Sequence[Document]]) -> Iterator[OutlookRow]:
    """Yield options of which only harms are known."""
    for name, lines in harms.items():
        told = (harm(lines, True), harm(lines, False))
        yield OutlookRow(option_name(name), "", "no outlook", (), (), (), (), told)


def harm(lines: Sequence[Document], serious: bool) -> str:
    """Return one harm of an option per 1,000 persons with its bounds and time, as :func:`telling` chooses it."""
    chosen = telling(lines, serious)
    if not chosen:
        return "not counted"
    line = chosen[0]
    if line["source"] == "literature":
        yearly = " a year" if line["measure"] == "per 1,000 person-years" else ""
        return (
            "; ".join(
                f"{count(each['value'])} {SHORT.get(each['event'], each['event'])}" for each in chosen[:2]
            )
            + yearly
        )
    sign = dict(zip(BANDS, BAND_SIGNS, strict=True)).get(line["time_at_risk"], "")
    if line["upper_if_none"] is not None:
        return f"0 (to {number(line['upper_if_none'], 0)}){sign}"
    return f"{count(line['value'])} ({count(line['low'])}–{count(line['high'])}){sign}"


def printed(value: object) -> str:
    """Print a value of the document as on the sheet."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{round(value, 1):g}" if isinstance(value, int | float) else str(value)


def _person_value(rules: Sequence[Document]) -> str:
    """Print what the person has, where the criterion is about one number that is known."""
    values = {name: value for rule in rules for name, value in rule["values"]}
    numbers = {
        "" if value is None or isinstance(value, bool) else printed(value) for value in values.values()
    }
    return numbers.pop().replace("at most ", "≤") if len(numbers) == 1 else ""


def _trial_label(found: Document, rule: Document) -> str:
    labels = [str(t["label"]) for t in found["trials"] if rule["reference_id"] in t["reference_ids"]]
    return labels[0]


def _ranged(distribution: Document) -> str:
    low, high = (number(distribution[end], 0) for end in ("q025", "q975"))
    return f"{number(distribution['q50'], 0)} ({low}–{high})"


def _of_hundred(share: Document) -> str:
    low, high = (number(share[end], 0) for end in ("low", "high"))
    return f"{number(share['estimate'], 0)} ({low}–{high})"


def _months(distribution: Document) -> str:
    low, high = (number(distribution[end], 0) for end in ("q10", "q90"))
    return f"{number(distribution['q50'], 0)} ({low}–{high})"


def _signed(value: float) -> str:
    text = number(value, 0)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"
