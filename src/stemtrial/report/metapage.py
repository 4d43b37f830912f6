"""What the page of a pairwise synthesis of a score says."""

from stemtrial.evidence.certainty import Profile
from stemtrial.evidence.heterogeneity import critical
from stemtrial.evidence.metarecord import MetaAnalysis
from stemtrial.evidence.tables import Evidence
from stemtrial.report.evidence_words import (
    either,
    finding,
    heading,
    heterogeneity,
    marked,
    p_words,
    whose,
    words,
)
from stemtrial.report.figure import Figure, Table
from stemtrial.report.forest import forest, method
from stemtrial.report.funnel import funnel, small_studies
from stemtrial.report.pageparts import certainty_table, certainty_words, cited, omitted
from stemtrial.report.prisma import prisma
from stemtrial.report.synthesispage import Page, Section
from stemtrial.report.trafficlight import traffic_light
from stemtrial.report.variants import leave_one_out, sensitivity
from stemtrial.report.wording import interval, number


def figures(synthesis: MetaAnalysis) -> tuple[Figure, ...]:
    """Draw every figure of a synthesis of a score, in the page's order."""
    drawn = (
        forest(synthesis),
        traffic_light(synthesis),
        sensitivity(synthesis),
        leave_one_out(synthesis),
        funnel(synthesis) if len(synthesis.studies) > 1 else None,
        prisma(synthesis.stages, marked(synthesis.left_out, synthesis.users), synthesis.rows),
    )
    return tuple(figure for figure in drawn if figure is not None)


def meta_page(
    synthesis: MetaAnalysis, evidence: Evidence, command: str, certainty: Profile | None = None
) -> Page:
    """Return the page of a synthesis of a score, with its certainty where it was rated."""
    scope, pooled = synthesis.scope, synthesis.pooled
    treated, control = words(scope.intervention), either(scope.comparator)
    title = f"{heading(treated)} against {control}: {words(synthesis.outcome)} at about {synthesis.month:g} months"
    groups = [side for s in synthesis.studies for side in (s.contrast.treated, s.contrast.control) if side]
    persons = number(sum(group.n for group in groups), 0)
    return Page(
        kind="Evidence synthesis",
        title=title,
        facts=f"{heading(words(scope.indication))} · {pooled.k} {'study' if pooled.k == 1 else 'studies'}, "
        f"{persons} persons with printed numbers · visits from {synthesis.window[0]:g} "
        f"to {synthesis.window[1]:g} months",
        finding=f"{certainty.sentence} {finding(synthesis)}" if certainty else finding(synthesis),
        remarks=(certainty_words(certainty), *cautions(synthesis), small_studies(synthesis)),
        summary=summary(synthesis),
        figures=figures(synthesis),
        sections=(
            *_certainty(certainty),
            *_explanations(synthesis),
            *_influence(synthesis),
            omitted(marked(synthesis.left_out, synthesis.users)),
        ),
        choices=choices(synthesis),
        sources=_sources(evidence, synthesis),
        command=command,
        evidence_hash=synthesis.evidence_hash,
    )


def _certainty(certainty: Profile | None) -> tuple[Section, ...]:
    if certainty is None:
        return ()
    text = (
        "Fixed rules turn numbers into judgements, so that the same numbers always give the same rating; they do not "
        "replace a reading of the trials by a panel. Indirectness counts only what was declared with --indirect."
    )
    return (Section("Certainty", text, (certainty_table(certainty),)),)


def summary(synthesis: MetaAnalysis) -> Table:
    """Return the result as a table of name and value."""
    pooled, mcid = synthesis.pooled, synthesis.mcid
    rows = [
        (
            "Difference (95 % CI)",
            f"{number(pooled.estimate)} ({interval(*pooled.ci)}), {p_words(pooled.p)}",
        ),
        (
            "95 % prediction interval",
            interval(*pooled.prediction) if pooled.prediction else "none for one study or equal effects",
        ),
        ("Heterogeneity", heterogeneity(synthesis)),
        ("Method", method(synthesis)),
        (
            "Smallest important difference",
            f"{number(mcid.value, 0)} ({mcid.kind.replace('_', ' ')}; {mcid.population}"
            f"{', other population' if mcid.indirect else ''})"
            if mcid
            else "none known",
        ),
    ]
    return Table(
        "Difference in points of 0–100, lower is better: negative favours "
        + words(synthesis.scope.intervention),
        ("Result", "Value"),
        tuple(rows),
        keys=2,
    )


def cautions(synthesis: MetaAnalysis) -> tuple[str, ...]:
    """Say what a reader must know before using the result."""
    some = 0 < len(synthesis.users) < len(synthesis.stages[-2].trials)
    found = [whose(synthesis.users)] if some else []
    if (usual := _narrowed(synthesis)) is not None:
        found.append(
            f"The studies scatter less than chance alone would make them, so the Hartung-Knapp interval is narrower "
            f"than the usual one ({interval(*usual)}), which is the safer reading here (--test adhoc)."
        )
    imputed = [study.label for study in synthesis.studies if study.imputed]
    if imputed:
        found.append(
            f"Standard deviations were imputed in {len(imputed)} of {len(synthesis.studies)} studies: "
            f"{', '.join(imputed)}."
        )
    mixed = [s.label for s in synthesis.studies if any(" in place of " in flag for flag in s.flags)]
    if mixed:
        wanted = synthesis.choices.rules.basis.replace("_", "-")
        found.append(f"The other kind of number stands in place of {wanted} values in: {', '.join(mixed)}.")
    if "saline" in synthesis.scope.comparator and "placebo" not in synthesis.scope.comparator:
        found.append(
            "Placebo injections whose composition was not read are not counted as saline; "
            "add --comparator placebo to include them."
        )
    compared = len(synthesis.stages[-2].trials)
    if synthesis.left_out:
        found.append(
            f"{len(synthesis.left_out)} of {compared} compared trials are left out; the reasons stand below. If "
            "trials without a difference print less, the result leans towards larger effects."
        )
    return tuple(found)


def _narrowed(synthesis: MetaAnalysis) -> tuple[float, float] | None:
    """Return the normal interval where the Hartung-Knapp adjustment shrinks it (Jackson 2017, 10.1002/sim.7411)."""
    pooled = synthesis.pooled
    if pooled.test != "knha" or pooled.tau2 is None:
        return None
    weight = sum(1 / (v + pooled.tau2) for v in synthesis.v)
    half = critical(pooled.level, None) / weight**0.5
    usual = (pooled.estimate - half, pooled.estimate + half)
    return usual if half > (pooled.ci[1] - pooled.ci[0]) / 2 else None


def choices(synthesis: MetaAnalysis) -> tuple[tuple[str, str], ...]:
    """Name every choice that moves the result, defaults of the command line included."""
    c, rules = synthesis.choices, synthesis.choices.rules
    return (
        ("Model and interval", f"{method(synthesis)} ({c.method}, {c.test})"),
        (
            "Prediction interval",
            "t of the chosen test" if c.prediction == "test" else "t with k − 2 degrees of freedom",
        ),
        (
            "Visit",
            f"nearest to month {synthesis.month:g} within {synthesis.window[0]:g} to {synthesis.window[1]:g}",
        ),
        (
            "Numbers",
            f"{rules.basis.replace('_', '-')} values"
            f"{' only' if rules.strict else ' where printed, else the other kind'}",
        ),
        ("Correlation of baseline and follow-up", f"{rules.correlation:g}, to derive the SD of a change"),
        ("Correlation of two knees of one person", f"{rules.pair_correlation:g}"),
        (
            "Missing standard deviation",
            "median of the printed ones of the same indication, construct and kind"
            if rules.missing_sd == "median"
            else "trial left out",
        ),
        (
            "Several treated arms",
            "combined into one group" if rules.shared_control == "combine" else "control split evenly",
        ),
        ("Rows", "analysis set primary only"),
    )


def _explanations(synthesis: MetaAnalysis) -> tuple[Section, ...]:
    sections = []
    if synthesis.moderators:
        sections.append(
            Section(
                "Meta-regression",
                "One moderator at a time. With fewer than ten studies a slope or its absence says little, and "
                "trials that differ in one thing differ in others.",
                (moderator_table(synthesis),),
            )
        )
    if synthesis.subgroups:
        sections.append(
            Section("Subgroups", "One τ² for all subgroups. Exploratory.", (subgroup_table(synthesis),))
        )
    return tuple(sections)


def moderator_table(synthesis: MetaAnalysis) -> Table:
    """Return the coefficients of every meta-regression, or why there are none."""
    rows: list[tuple[str, ...]] = []
    for each in synthesis.moderators:
        fitted = each.regression
        if fitted is None:
            rows.append((each.name, "", each.status, str(each.k), "", "", ""))
            continue
        for i, name in enumerate(fitted.design.names):
            rows.append(
                (
                    each.name,
                    "per tenfold dose" if name == "log10 dose" else name,
                    each.status if i == 0 else "",
                    str(each.k),
                    number(float(fitted.estimate[i])),
                    interval(float(fitted.ci_low[i]), float(fitted.ci_high[i])),
                    p_words(float(fitted.p[i])),
                )
            )
    columns = ("Moderator", "Coefficient", "Status", "Studies", "Points", "95 % CI", "p")
    return Table("Meta-regressions, points of difference", columns, tuple(rows), keys=3)


def subgroup_table(synthesis: MetaAnalysis) -> Table:
    """Return the pooled result of each subgroup and the test between them, or why there is none."""
    rows: list[tuple[str, ...]] = []
    for each in synthesis.subgroups:
        if each.result is None:
            rows.append((each.name, "", each.status, str(each.k), "", "", ""))
            continue
        for i, (name, pooled) in enumerate(zip(each.result.groups, each.result.pooled, strict=True)):
            rows.append(
                (
                    each.name,
                    words(name),
                    each.status if i == 0 else "",
                    str(pooled.k),
                    number(pooled.estimate),
                    interval(*pooled.ci),
                    p_words(each.result.p) if i == 0 else "",
                )
            )
    columns = ("By", "Subgroup", "Status", "Studies", "Difference", "95 % CI", "Test of no difference")
    return Table("Subgroups, points of difference", columns, tuple(rows), keys=3)


def _influence(synthesis: MetaAnalysis) -> tuple[Section, ...]:
    found = synthesis.influence.result
    if found is None:
        return (Section("Influence", f"{heading(synthesis.influence.status)}.", ()),)
    rows = tuple(
        (
            study.label,
            number(float(found.rstudent[i]), 2),
            number(float(found.dffits[i]), 2),
            number(float(found.cooks_distance[i]), 2),
            number(float(found.tau2_deleted[i])),
            "yes" if found.influential[i] else "no",
        )
        for i, study in enumerate(synthesis.studies)
    )
    columns = ("Study", "Standardised residual", "DFFITS", "Cook's distance", "τ² without it", "Influential")
    return (
        Section(
            "Influence",
            "Case diagnostics of Viechtbauer and Cheung (2010, 10.1002/jrsm.11). A residual beyond ±2 is "
            "unexpected for a model fitted without the study.",
            (Table("Influence of each study", columns, rows),),
        ),
    )


def _sources(evidence: Evidence, synthesis: MetaAnalysis) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for study in synthesis.studies:
        names[evidence.trial(study.contrast.trial_id).reference_id] = None
        for group in (study.contrast.treated, study.contrast.control):
            names |= dict.fromkeys(group.references if group else ())
    if synthesis.mcid:
        names[synthesis.mcid.reference_id] = None
    return cited(evidence, tuple(names))
