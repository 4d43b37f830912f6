"""What the page of benefit beside harm says, option by option."""

from collections.abc import Sequence

from stemtrial.evidence.benefitharm import BenefitHarm, HarmLine
from stemtrial.evidence.eventrisk import EventRisk
from stemtrial.evidence.tables import Evidence
from stemtrial.report.benefitharmplane import Option, benefit_harm_plane
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Figure, Table
from stemtrial.report.pageparts import cited
from stemtrial.report.synthesispage import Page, Section
from stemtrial.report.wording import interval, number

BAND = (6.0, 12.0)
"""Months at risk of the serious events on the plane: above the first, up to the second."""
KINDS = {
    "systemic_or_serious": "Systemic or serious",
    "local_or_transient": "Local or transient",
    "unclassified": "Totals and unclassified",
}


def plane(options: Sequence[BenefitHarm], risks: Sequence[EventRisk], mcid: float | None) -> Figure | None:
    """Draw the options that have both a benefit and serious events counted over the same time in trials."""
    serious = {r.option: r for r in risks if r.category == "serious_any" and r.months == BAND}
    drawn = []
    for each in options:
        known = [e for e in each.benefits if e.value is not None and e.interval is not None]
        if not known or each.option not in serious:
            continue
        effect, risk = known[0], serious[each.option]
        assert effect.value is not None
        assert effect.interval is not None
        low, high = effect.interval
        drawn.append(
            Option(
                name=each.option,
                benefit=-effect.value,
                benefit_ci=(-high, -low),
                per_1000=risk.per_1000,
                per_1000_ci=risk.ci if risk.events else (0.0, risk.upper),
                no_events=not risk.events,
                source=f"pain: {effect.k} trials against {words(effect.comparator)}; events: {risk.events} of "
                f"{risk.persons} persons in {len(risk.trials)} trials",
            )
        )
    if not drawn:
        return None
    return benefit_harm_plane(
        drawn, "pain", f"any serious event, above {BAND[0]:g} to {BAND[1]:g} months", mcid
    )


def benefits_table(options: Sequence[BenefitHarm]) -> Table:
    """Return what each option does to pain, with the comparator of each line."""
    rows = [
        (
            heading(words(each.option)),
            f"against {words(effect.comparator)}",
            "" if effect.value is None else number(effect.value),
            "" if effect.interval is None else interval(*effect.interval),
            "" if effect.prediction is None else interval(*effect.prediction),
            str(effect.k or ""),
        )
        for each in options
        for effect in each.benefits
    ]
    rows += [
        (heading(words(each.option)), "no estimate here", "", "", "", "")
        for each in options
        if not each.benefits
    ]
    columns = ("Option", "Comparison", "Difference in pain", "95 % interval", "95 % prediction", "Trials")
    return Table("Pain, points of 0–100, negative is better", columns, tuple(rows), keys=2)


def harms_table(option: BenefitHarm, kind: str) -> Table:
    """Return the harms of one kind of an option, each with its time and its source."""
    rows = tuple(
        (
            heading(words(line.event)),
            line.time_at_risk,
            line.population,
            _value(line),
            line.measure + (f" against {words(line.comparator)}" if line.comparator else ""),
            _source(line),
        )
        for line in option.harms
        if line.kind == kind
    )
    columns = ("Harm", "Time at risk", "Persons", "Value (95 %)", "Measure", "Source")
    return Table(KINDS[kind], columns, rows, keys=3)


def _source(line: HarmLine) -> str:
    if line.source == "literature":
        return ", ".join(line.references) + (" (yours)" if line.users else "")
    return "trials here" + (f", of them yours: {', '.join(line.users)}" if line.users else "")


def _value(line: HarmLine) -> str:
    digits = 2 if line.scale == "relative" else 1
    if line.upper_if_none is not None:
        return f"none seen; at most {number(line.upper_if_none)}"
    ends = line.low is not None and line.high is not None
    text = number(line.value, digits)
    if ends and line.low is not None and line.high is not None:
        text += f" ({interval(line.low, line.high, digits)})"
    return text


def benefit_harm_page(
    options: Sequence[BenefitHarm],
    risks: Sequence[EventRisk],
    evidence: Evidence,
    *,
    indication: str,
    month: float,
    mcid: float | None,
    command: str,
    choices: Sequence[tuple[str, str]],
) -> Page:
    """Return the page: benefits first, then the harms of each option, serious ones first."""
    drawn = plane(options, risks, mcid)
    sections = []
    for each in options:
        present = {line.kind for line in each.harms}
        tables = tuple(harms_table(each, kind) for kind in KINDS if kind in present)
        text = "" if tables else "No harm of this option was read; that is no sign of safety."
        sections.append(Section(heading(words(each.option)), text, tables))
    references = dict.fromkeys(ref for each in options for line in each.harms for ref in line.references)
    return Page(
        kind="Evidence synthesis: benefit and harm",
        title=f"{heading(words(indication))}: benefit and harm of the options",
        facts=f"Pain at about {month:g} months · {len(options)} options · harms as trials and reviews print them",
        finding=(
            "Options stand beside each other, not in order: each was studied in its own trials, persons and lengths "
            "of follow-up. Few events are behind most harms of cells, so rare harms cannot be excluded."
        ),
        remarks=(
            "Rates over different times at risk are never added up. A relative number becomes an absolute one only "
            "with a stated baseline.",
        ),
        summary=benefits_table(options),
        figures=(drawn,) if drawn else (),
        sections=tuple(sections),
        choices=tuple(choices),
        sources=cited(evidence, tuple(references)),
        command=command,
        evidence_hash=evidence.hash,
    )
