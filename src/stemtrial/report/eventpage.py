"""What the page of a synthesis of an adverse event says."""

import math

from stemtrial.evidence.eventsynthesis import EventSynthesis
from stemtrial.evidence.tables import Evidence
from stemtrial.report.eventforest import event_forest, per_1000, ratio
from stemtrial.report.evidence_words import either, heading, marked, whose, words
from stemtrial.report.figure import Table
from stemtrial.report.pageparts import cited, omitted
from stemtrial.report.prisma import prisma
from stemtrial.report.synthesispage import Page
from stemtrial.report.wording import interval, number


def event_finding(synthesis: EventSynthesis) -> str:
    """Say what was counted, and whether a ratio can be given."""
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    head = (
        f"{heading(words(synthesis.event))}: {per_1000(synthesis.control)} with {control} and "
        f"{per_1000(synthesis.treated)} with {treated}, in {len(synthesis.studies)} "
        f"{'trial' if len(synthesis.studies) == 1 else 'trials'}."
    )
    pooled = synthesis.pooled[0]
    if pooled.estimate is None or pooled.ci is None:
        return f"{head} A ratio cannot be given: {ratio(pooled)}. The upper bounds are the numbers to read."
    low, high = (math.exp(end) for end in pooled.ci)
    reading = (
        "The interval includes fewer and more events with either."
        if low <= 1 <= high
        else f"The interval lies on the side of {'fewer' if high < 1 else 'more'} events with {treated}."
    )
    return f"{head} Risk ratio {ratio(pooled)} (Mantel-Haenszel). {reading}"


def event_summary(synthesis: EventSynthesis) -> Table:
    """Return the risks of both sides and every pooled ratio as a table of name and value."""
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    rows = [
        (
            f"{heading(control)}",
            f"{synthesis.control.events}/{synthesis.control.n}: {per_1000(synthesis.control)}",
        ),
        (
            f"{heading(treated)}",
            f"{synthesis.treated.events}/{synthesis.treated.n}: {per_1000(synthesis.treated)}",
        ),
    ]
    if synthesis.all_treated:
        every = synthesis.all_treated
        rows.append(
            (
                f"{heading(treated)}, all {every.arms} arms of {every.trials} trials, with or without comparator",
                f"{every.risk.events}/{every.risk.n}: {per_1000(every.risk)}",
            )
        )
    names = {"RR": "Risk ratio", "OR": "Odds ratio", "RD": "Risk difference per 1,000"}
    rows += [(f"{names[p.measure]}, {p.method}", ratio(p)) for p in synthesis.pooled]
    model = synthesis.model
    for group, risk, ci in zip(model.groups, model.risk, model.risk_ci, strict=True):
        name = control if group == "control" else treated
        rows.append(
            (
                f"{heading(name)}, beta-binomial",
                f"{number(1000 * risk)} per 1,000 ({interval(1000 * ci[0], 1000 * ci[1])})",
            )
        )
    rows.append(("Odds ratio, beta-binomial", _odds(synthesis)))
    return Table(
        "Patients with the event; exact 95 % intervals, patients of all trials added up",
        ("Result", "Value"),
        tuple(rows),
        keys=2,
    )


def _odds(synthesis: EventSynthesis) -> str:
    model = synthesis.model
    if model.ci is None:
        return "no event on one side or both: not estimable"
    ends = ["" if end is None else number(math.exp(end), 2) for end in model.ci]
    if model.log_odds_ratio is None:
        return (
            f"no finite estimate; at most {ends[1]}" if ends[1] else f"no finite estimate; at least {ends[0]}"
        )
    return f"{number(math.exp(model.log_odds_ratio), 2)} ({ends[0]} to {ends[1]})"


def event_cautions(synthesis: EventSynthesis) -> tuple[str, ...]:
    """Say what a reader must know before using the counts."""
    months = [study.table.months for study in synthesis.studies]
    return (
        *((whose(synthesis.users),) if 0 < len(synthesis.users) < len(synthesis.stages[-2].trials) else ()),
        f"Follow-up differs between trials ({min(months):g} to {max(months):g} months). Trials of this size cannot "
        "show rare harms: no event is not the same as no risk.",
        "Counts come from what reports print; an event that is not printed is not counted as zero.",
    )


def event_page(synthesis: EventSynthesis, evidence: Evidence, command: str) -> Page:
    """Return the page of a synthesis of an adverse event."""
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    names = dict.fromkeys(ref for study in synthesis.studies for ref in study.table.references)
    return Page(
        kind="Evidence synthesis: harms",
        title=f"{heading(treated)} against {control}: {words(synthesis.event)}",
        facts=f"{heading(words(synthesis.scope.indication))} · {len(synthesis.studies)} trials, "
        f"{synthesis.treated.n + synthesis.control.n:,} patients",
        finding=event_finding(synthesis),
        remarks=event_cautions(synthesis),
        summary=event_summary(synthesis),
        figures=(
            event_forest(synthesis),
            prisma(synthesis.stages, marked(synthesis.left_out, synthesis.users)),
        ),
        sections=(omitted(marked(synthesis.left_out, synthesis.users)),),
        choices=event_choices(synthesis),
        sources=cited(evidence, tuple(names)),
        command=command,
        evidence_hash=synthesis.evidence_hash,
    )


def event_choices(synthesis: EventSynthesis) -> tuple[tuple[str, str], ...]:
    """Name every choice that moves the counts."""
    return (
        ("Pooling", "Mantel-Haenszel without correction; beta-binomial with one overdispersion; Peto beside"),
        ("Follow-up", "the same on both sides; of several the longest"),
        (
            "Several treated arms",
            "combined into one group" if synthesis.shared_control == "combine" else "control split evenly",
        ),
        ("Two knees of one person", "left out: pairs were not read"),
        ("Rows", "analysis set primary only; rows of a category are never summed within an arm"),
    )
