"""A pairwise synthesis on the terminal: studies, result, what it rests on and what is left out."""

from pathlib import Path
from typing import Any

from rich.console import Console

from stemtrial.cli import terminal
from stemtrial.evidence.certainty import Profile
from stemtrial.evidence.eventsynthesis import EventSynthesis
from stemtrial.evidence.metarecord import MetaAnalysis, Variant
from stemtrial.evidence.scope import RISK_LETTERS, Stage
from stemtrial.report.eventforest import per_1000
from stemtrial.report.eventpage import event_cautions, event_choices, event_finding, event_summary
from stemtrial.report.evidence_words import either, finding, heading, heterogeneity, marked, p_words, words
from stemtrial.report.forest import cells, marks, method
from stemtrial.report.funnel import small_studies
from stemtrial.report.metapage import cautions, choices, moderator_table, subgroup_table
from stemtrial.report.pageparts import certainty_table, certainty_words
from stemtrial.report.trafficlight import key
from stemtrial.report.wording import interval, number


def print_synthesis(synthesis: MetaAnalysis, certainty: Profile | None, out: Path | None) -> None:
    """Print a synthesis of a score, comparator first."""
    console = terminal.console()
    scope, pooled = synthesis.scope, synthesis.pooled
    treated, control = words(scope.intervention), either(scope.comparator)
    title = f"{heading(words(scope.indication))}: {treated} against {control}, {words(synthesis.outcome)} at about "
    console.print(f"{title}{synthesis.month:g} months", style="bold")
    console.print(
        f"Points of 0-100, lower is better; difference = {treated} minus {control}, negative favours {treated}.\n"
    )
    _print_studies(console, synthesis, treated, control)
    terminal.heading(
        console, "One trial: nothing was pooled" if pooled.k == 1 else f"Pooled ({method(synthesis)})"
    )
    _pairs(
        console,
        [
            (
                "difference",
                f"{number(pooled.estimate)} (95 % CI {interval(*pooled.ci)}), {p_words(pooled.p)}",
            ),
            (
                "prediction",
                f"95 % {interval(*pooled.prediction)}"
                if pooled.prediction
                else "none (one study or equal effects)",
            ),
            ("heterogeneity", heterogeneity(synthesis)),
            ("MCID", _mcid(synthesis)),
        ],
    )
    if certainty:
        console.print(f"\n{certainty.sentence}", style="bold")
    console.print(finding(synthesis) if certainty else f"\n{finding(synthesis)}")
    for caution in cautions(synthesis):
        console.print(caution)
    terminal.heading(console, certainty_words(certainty).rstrip("."))
    if certainty:
        made = certainty_table(certainty)
        terminal.print_table(console, made.columns, made.rows)
    if synthesis.variants:
        terminal.heading(console, "The same with one choice changed")
        terminal.print_table(
            console, ("", "k>", "Difference>", "95 % CI>", "Status"), map(_variant, synthesis.variants)
        )
    _print_robustness(console, synthesis)
    for table, wanted in ((moderator_table, synthesis.moderators), (subgroup_table, synthesis.subgroups)):
        if wanted:
            made = table(synthesis)
            terminal.heading(console, made.caption)
            terminal.print_table(console, made.columns, made.rows)
    _print_flow(console, synthesis.stages, marked(synthesis.left_out, synthesis.users))
    terminal.heading(console, "Choices")
    _pairs(console, list(choices(synthesis)))
    _print_end(console, synthesis.evidence_hash, out)


def _print_studies(console: Console, synthesis: MetaAnalysis, treated: str, control: str) -> None:
    letters = marks(synthesis.studies)

    def line(study: Any) -> tuple[str, ...]:
        return (
            study.label,
            f"{study.contrast.month:g}",
            *cells(study.contrast.control),
            *cells(study.contrast.treated),
            number(study.contrast.y),
            interval(*study.ci),
            number(study.weight),
            RISK_LETTERS[study.risk_of_bias],
            ", ".join(sorted(letters[flag] for flag in study.flags)),
        )

    columns = (
        "Study",
        "Month>",
        f"{heading(control)} n>",
        "mean (SD)>",
        f"{heading(treated)} n>",
        "mean (SD)>",
    )
    terminal.print_table(
        console,
        (*columns, "Difference>", "95 % CI>", "Weight %>", "Bias", "Notes"),
        map(line, synthesis.studies),
    )
    for flag, letter in letters.items():
        console.print(f"  {letter}  {flag}")
    console.print(f"Risk of bias: {key()} (overall, from the design).")


def _mcid(synthesis: MetaAnalysis) -> str:
    found = synthesis.mcid
    if found is None:
        return "none known for this outcome"
    return (
        f"{number(found.value, 0)} points ({found.kind.replace('_', ' ')}; {found.population}"
        f"{', not this population' if found.indirect else ''}; {found.reference_id})"
    )


def _variant(variant: Variant) -> tuple[str, ...]:
    if variant.pooled is None:
        return variant.name, str(variant.k), "", "", variant.status
    status = "one trial, not pooled" if variant.status == "single_study" else ""
    return variant.name, str(variant.k), number(variant.pooled.estimate), interval(*variant.pooled.ci), status


def _print_robustness(console: Console, synthesis: MetaAnalysis) -> None:
    terminal.heading(console, "Robustness")
    known = [v for v in synthesis.left_one_out if v.pooled is not None]
    if known:
        low = min(known, key=lambda v: v.pooled.estimate if v.pooled else 0.0)
        high = max(known, key=lambda v: v.pooled.estimate if v.pooled else 0.0)
        ends = [f"{number(v.pooled.estimate)} ({v.name})" for v in (low, high) if v.pooled]
        console.print(f"Leaving one study out: from {ends[0]} to {ends[1]}.")
    else:
        console.print("Leaving one study out: not possible with one study.")
    found = synthesis.influence.result
    if found is None:
        console.print(f"Influence: {synthesis.influence.status}.")
    else:
        named = [s.label for s, yes in zip(synthesis.studies, found.influential, strict=True) if yes]
        console.print(f"Influential studies (Viechtbauer and Cheung): {', '.join(named) or 'none'}.")
    console.print(small_studies(synthesis))


def _print_flow(console: Console, stages: tuple[Stage, ...], left_out: tuple[tuple[str, str], ...]) -> None:
    terminal.heading(console, "Trials: used and left out")
    console.print(" -> ".join(f"{stage.condition}: {len(stage.trials)}" for stage in stages))
    for trial, reason in left_out:
        console.print(f"  {trial}: {reason}")


def _print_end(console: Console, evidence_hash: str, out: Path | None) -> None:
    console.print(f"\nevidence: {evidence_hash[:12]}" + (f"; page: {out / 'synthesis.html'}" if out else ""))


def _pairs(console: Console, pairs: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        console.print(f"  {name:<{width}}  {value}")


def study_rows(synthesis: MetaAnalysis) -> list[dict[str, Any]]:
    """Return one row a study with its numbers in full."""
    rows = []
    for study in synthesis.studies:
        contrast = study.contrast
        row: dict[str, Any] = {
            "trial_id": contrast.trial_id,
            "arms": list(contrast.arms),
            "month": contrast.month,
        }
        for name, group in (("control", contrast.control), ("treated", contrast.treated)):
            for field in ("n", "mean", "sd"):
                row[f"{name}_{field}"] = getattr(group, field) if group else None
        row |= {
            "difference": contrast.y,
            "variance": contrast.v,
            "ci_low": study.ci[0],
            "ci_high": study.ci[1],
            "weight_percent": study.weight,
            "design": contrast.design,
            "risk_of_bias": study.risk_of_bias,
            "provenance": study.provenance,
            "sd_imputed": study.imputed,
            "flags": list(study.flags),
        }
        rows.append(row)
    return rows


def print_events(synthesis: EventSynthesis, out: Path | None) -> None:
    """Print a synthesis of an adverse event, comparator first."""
    console = terminal.console()
    treated, control = words(synthesis.scope.intervention), either(synthesis.scope.comparator)
    title = (
        f"{heading(words(synthesis.scope.indication))}: {treated} against {control}, {words(synthesis.event)}"
    )
    console.print(f"{title}\n", style="bold")
    columns = (
        "Study",
        "Event",
        "Months>",
        f"{heading(control)}>",
        "per 1,000 (exact 95 %)",
        f"{heading(treated)}>",
    )
    terminal.print_table(
        console,
        (*columns, "per 1,000 (exact 95 %)", "Bias", "Notes"),
        (
            (
                study.label,
                study.table.event,
                f"{study.table.months:g}",
                f"{study.table.control.events}/{study.table.control.n}",
                per_1000(study.control),
                f"{study.table.treated.events}/{study.table.treated.n}",
                per_1000(study.treated),
                RISK_LETTERS[study.risk_of_bias],
                "; ".join(study.table.flags),
            )
            for study in synthesis.studies
        ),
    )
    console.print(f"Risk of bias: {key()} (overall, from the design).")
    table = event_summary(synthesis)
    terminal.heading(console, table.caption)
    _pairs(console, [(row[0], row[1]) for row in table.rows])
    console.print(f"\n{event_finding(synthesis)}")
    for caution in event_cautions(synthesis):
        console.print(caution)
    _print_flow(console, synthesis.stages, marked(synthesis.left_out, synthesis.users))
    terminal.heading(console, "Choices")
    _pairs(console, list(event_choices(synthesis)))
    _print_end(console, synthesis.evidence_hash, out)


def event_rows(synthesis: EventSynthesis) -> list[dict[str, Any]]:
    """Return one row a trial with its counts and exact intervals."""
    return [
        {
            "trial_id": study.table.trial_id,
            "event": study.table.event,
            "category": study.table.category,
            "months": study.table.months,
            "control_events": study.table.control.events,
            "control_n": study.table.control.n,
            "control_ci": list(study.control.ci),
            "treated_events": study.table.treated.events,
            "treated_n": study.table.treated.n,
            "treated_ci": list(study.treated.ci),
            "risk_of_bias": study.risk_of_bias,
            "provenance": study.provenance,
            "flags": list(study.table.flags),
        }
        for study in synthesis.studies
    ]
