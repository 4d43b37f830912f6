"""What the page of a network synthesis says: effects with their intervals, ranks with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from stemtrial.evidence.consistency import Consistency, Split, design_by_treatment, node_splits
from stemtrial.evidence.network import Network
from stemtrial.evidence.networkdata import Comparison
from stemtrial.evidence.scope import label, of_the_user
from stemtrial.evidence.synthesis import Coefficient, Effect, Ranks, Synthesis
from stemtrial.evidence.tables import Evidence
from stemtrial.report.evidence_words import heading, marked, p_words, whose, words
from stemtrial.report.figure import Figure, Table
from stemtrial.report.networkgraph import network_graph
from stemtrial.report.pageparts import cited
from stemtrial.report.synthesispage import Page, Section
from stemtrial.report.timecourseplot import EffectCourse, time_course_plot
from stemtrial.report.wording import interval, number

STATUS = {
    "ok": "",
    "indirect_only": "indirect only",
    "unblinded_only": "through unblinded trials only",
    "beyond_data": "after its last visit",
    "no_common_comparator": "no common comparator",
}


@dataclass(frozen=True, eq=False)
class NetworkReview:
    """A fitted network and what is shown of it.

    Attributes
    ----------
    synthesis, outcome, indication, reference
        The fit and its question.
    months
        Months at which effects are printed; one for a network at one visit.
    effects, ranks
        Effects against the reference, all treatments of the data at each month, and ranks at each month.
    consistency, splits
        Test of the whole network and direct against indirect evidence; of one visit only.
    """

    synthesis: Synthesis
    outcome: str
    indication: str
    reference: str
    months: tuple[float, ...]
    effects: tuple[Effect, ...]
    ranks: tuple[Ranks, ...]
    consistency: Consistency | None
    splits: tuple[Split, ...]


def review(synthesis: Synthesis, *, indication: str, outcome: str, months: Sequence[float]) -> NetworkReview:
    """Read effects, ranks and consistency off a fitted network.

    Parameters
    ----------
    months
        Months wanted of a network over time; of a network at one visit its own month.
    """
    reference = synthesis.treatments[0]
    over_time = synthesis.knots is not None
    at = [month if over_time else None for month in months]
    others = [name for name in synthesis.data.treatments if name != reference]
    effects = [synthesis.effect(name, reference, month=month) for month in at for name in others]
    network = None if over_time else Network.of(synthesis.used, synthesis.treatments)
    return NetworkReview(
        synthesis=synthesis,
        outcome=outcome,
        indication=indication,
        reference=reference,
        months=tuple(months),
        effects=tuple(effects),
        ranks=tuple(synthesis.ranks(month=month) for month in at),
        consistency=None if network is None else design_by_treatment(network),
        splits=() if network is None else node_splits(network),
    )


def network_figures(found: NetworkReview, evidence: Evidence, mcid: float | None) -> tuple[Figure, ...]:
    """Draw the graph of the network and, of a network over time, its courses."""
    when = "all visits" if found.synthesis.knots is not None else f"about {found.months[0]:g} months"
    title = f"Direct comparisons, {words(found.outcome)} at {when}"
    graph = network_graph(*_graph(found.synthesis.data.comparisons, evidence), found.reference, title)
    if found.synthesis.knots is None:
        return (graph,)
    return (graph, time_course_plot(_courses(found), found.reference, mcid))


def _graph(
    rows: Sequence[Comparison], evidence: Evidence
) -> tuple[dict[str, float], dict[tuple[str, str], int]]:
    """Return patients of each treatment (arm sizes at baseline) and trials of each direct comparison."""
    arms: dict[tuple[str, str], str] = {}
    members: dict[str, set[str]] = {}
    for row in rows:
        for joined, treatment in ((row.arm, row.treatment), (row.reference_arm, row.reference)):
            arms |= {(row.trial_id, arm): treatment for arm in joined.split("+")}
            members.setdefault(row.trial_id, set()).add(treatment)
    patients: dict[str, float] = {}
    for (trial, arm), treatment in arms.items():
        patients[treatment] = patients.get(treatment, 0.0) + (evidence.arm(trial, arm.strip()).n or 0)
    trials: dict[tuple[str, str], int] = {}
    for nodes in members.values():
        for pair in combinations(sorted(nodes), 2):
            trials[pair] = trials.get(pair, 0) + 1
    return patients, trials


def _courses(found: NetworkReview) -> list[EffectCourse]:
    synthesis = found.synthesis
    assert synthesis.knots is not None
    last = float(synthesis.knots[-1])
    months = np.linspace(0.5, last, 48)
    draws = synthesis.course(months)
    noise = np.random.default_rng(0).standard_normal((draws.shape[0], 1))
    courses = []
    for place, name in enumerate(synthesis.treatments[1:], 1):
        course = draws[:, place]
        low, high = np.quantile(course, [0.025, 0.975], axis=0)
        new = course + noise * np.asarray(synthesis.posterior.scales["tau"])[:, None]
        first, end = np.quantile(new, [0.025, 0.975], axis=0)
        courses.append(
            EffectCourse(
                treatment=name,
                months=tuple(months.tolist()),
                mean=tuple(course.mean(axis=0).tolist()),
                low=tuple(low.tolist()),
                high=tuple(high.tolist()),
                prediction_low=tuple(first.tolist()),
                prediction_high=tuple(end.tolist()),
                observed=tuple(_observed(synthesis.used, name, found.reference)),
            )
        )
    return courses


def _observed(
    rows: Sequence[Comparison], treatment: str, reference: str
) -> list[tuple[float, float, float, float]]:
    found = []
    for row in rows:
        sign = {(treatment, reference): 1.0, (reference, treatment): -1.0}.get((row.treatment, row.reference))
        if sign is not None:
            half = 1.959964 * (row.own_se**2 + row.reference_se**2) ** 0.5
            found.append((row.month, sign * row.y, sign * row.y - half, sign * row.y + half))
    return sorted(found)


def effects_table(found: NetworkReview) -> Table:
    """Return every effect against the reference, with both intervals and its status."""
    rows = tuple(
        (
            heading(words(e.treatment)),
            STATUS[e.status],
            f"{e.month:g}" if e.month is not None else f"{found.months[0]:g}",
            _direct(found, e),
            "" if e.value is None else number(e.value),
            "" if e.interval is None else interval(*e.interval),
            "" if e.prediction is None else interval(*e.prediction),
        )
        for e in found.effects
    )
    columns = (
        "Treatment",
        "Remark",
        "Month",
        "Direct trials",
        "Difference",
        "95 % credible",
        "95 % prediction",
    )
    return Table(
        f"Difference against {words(found.reference)}, points of 0–100, negative favours the treatment",
        columns,
        rows,
        keys=2,
    )


def _direct(found: NetworkReview, effect: Effect) -> str:
    """Count the trials that compare two treatments, and the user's among them."""
    pair = {effect.treatment, effect.comparator}
    own = users_of(found.synthesis.data.comparisons, pair)
    return f"{effect.k} ({len(own)} yours)" if own else str(effect.k)


def users_of(rows: Sequence[Comparison], pair: set[str] | None = None) -> tuple[str, ...]:
    """Return the user's trials, all or those that compare two treatments."""
    own = dict.fromkeys(row.trial_id for row in rows if row.provenance == "user")
    nodes = {
        name: {node for row in rows if row.trial_id == name for node in (row.treatment, row.reference)}
        for name in own
    }
    return tuple(name for name in own if pair is None or pair <= nodes[name])


def trials_table(found: NetworkReview, evidence: Evidence) -> Table:
    """Return every comparison that entered, trial by trial and visit by visit."""
    rows = tuple(
        (
            label(evidence.trial(row.trial_id)),
            f"{words(row.treatment)} − {words(row.reference)}",
            f"{row.month:g}",
            number(row.n, 0),
            number(row.y),
            number((row.own_se**2 + row.reference_se**2) ** 0.5),
        )
        for row in found.synthesis.data.comparisons
    )
    return Table(
        "Differences as they entered, points",
        ("Trial", "Comparison", "Month", "n", "Difference", "SE"),
        rows,
        keys=2,
    )


def ranks_table(found: NetworkReview) -> Table:
    """Return the scaled rank of each treatment with its interval; there is no best treatment."""
    rows = tuple(
        (
            heading(words(name)),
            f"{ranks.month if ranks.month is not None else found.months[0]:g}",
            number(mean, 2),
            interval(*ends, 2),
        )
        for ranks in found.ranks
        for name, mean, ends in zip(ranks.treatments, ranks.mean, ranks.interval, strict=True)
    )
    return Table(
        "Rank scaled from 1 (always least pain) to 0 (always most)",
        ("Treatment", "Month", "Mean scaled rank", "95 % credible"),
        rows,
    )


def split_table(found: NetworkReview) -> Table:
    """Return direct against indirect evidence of each comparison that has both."""
    rows = tuple(
        (
            f"{words(s.treatment)} − {words(s.comparator)}",
            str(s.k_direct),
            number(s.direct),
            number(s.indirect),
            f"{number(s.difference)} (SE {number(s.difference_se)})",
            p_words(s.p),
        )
        for s in found.splits
    )
    columns = ("Comparison", "Direct trials", "Direct", "Indirect", "Difference", "p")
    return Table("Direct against indirect evidence, points", columns, rows)


def network_finding(found: NetworkReview) -> str:
    """Say what the network holds and how wide it leaves its answers."""
    data = found.synthesis.data
    trials = {row.trial_id for row in data.comparisons}
    known = [e for e in found.effects if e.interval is not None and e.month in (None, found.months[0])]
    clear = [e for e in known if e.interval and not e.interval[0] <= 0 <= e.interval[1] and e.status == "ok"]
    predicted = [e for e in clear if e.prediction and not e.prediction[0] <= 0 <= e.prediction[1]]
    return (
        f"{len(trials)} trials compare {len(data.treatments)} treatments on {words(found.outcome)}. Against "
        f"{words(found.reference)} at {found.months[0]:g} months, the 95 % credible interval of the mean effect "
        f"excludes no difference for {len(clear)} of {len(known)} treatments with direct or indirect evidence, and the "
        f"prediction interval of a further blinded trial for {len(predicted)}. Few trials stand behind each line: "
        "differences between treatments are very uncertain."
        + "".join(f" {_coefficient_words(c)}" for c in found.synthesis.coefficients())
    )


def _coefficient_words(found: Coefficient) -> str:
    """Say what the slope on dose or the bias of open trials is."""
    size = f"{number(found.value)} points (95 % credible interval {interval(*found.interval)})"
    if found.name == "dose":
        return f"Ten times the dose of expanded cells changes their effect by {size}."
    return (
        f"Unblinded comparisons differ from blinded ones by {size}; below 0 they favour the treatment more."
    )


def consistency_words(found: NetworkReview) -> str:
    """Say whether trials of different designs agree."""
    test = found.consistency
    if test is None:
        return "Consistency is tested at one visit only; run the network without --course."
    if test.p is None:
        return "Consistency cannot be assessed: no comparison is informed by trials of two designs."
    text = (
        f"Design-by-treatment interaction: χ² = {number(test.statistic)} on {test.df} df, {p_words(test.p)}. "
    )
    if test.p < 0.1:
        return text + (
            "Trials of different designs disagree by more than chance would explain, so the mixed effects above "
            "average over a conflict and need to be read with caution."
        )
    return text + "With few trials a large p value does not show that direct and indirect evidence agree."


def network_page(
    found: NetworkReview,
    evidence: Evidence,
    command: str,
    choices: Sequence[tuple[str, str]],
    mcid: float | None,
) -> Page:
    """Return the page of a network synthesis."""
    data, fit = found.synthesis.data, found.synthesis.convergence
    names = dict.fromkeys(evidence.trial(row.trial_id).reference_id for row in data.comparisons)
    sections = [
        Section(
            "Ranks",
            "Shown with their intervals, which are wide unless treatments differ clearly; a rank "
            "says nothing of how large a difference is.",
            (ranks_table(found),),
        )
    ]
    sections.append(
        Section("Consistency", consistency_words(found), (split_table(found),) if found.splits else ())
    )
    sections.append(Section("Trials", "", (trials_table(found, evidence),)))
    users = of_the_user(evidence, (row.trial_id for row in data.comparisons))
    if data.left_out:
        apart = of_the_user(evidence, (name for name, _ in data.left_out))
        left = Table("Trials that did not enter", ("Trial", "Reason"), marked(data.left_out, apart), keys=2)
        sections.append(Section("Left out", "", (left,)))
    return Page(
        kind="Evidence synthesis: network",
        title=f"{heading(words(found.indication))}: {words(found.outcome)}, all treatments compared",
        facts=f"{len({row.trial_id for row in data.comparisons})} trials · {len(data.treatments)} treatments · "
        f"reference: {words(found.reference)}",
        finding=network_finding(found),
        remarks=(
            *((whose(users),) if users else ()),
            consistency_words(found),
            f"Sampler: R-hat at most {fit.r_hat:.3f}, effective sample size at least {fit.ess:.0f}, {fit.draws} draws.",
        ),
        summary=effects_table(found),
        figures=network_figures(found, evidence, mcid),
        sections=tuple(sections),
        choices=tuple(choices),
        sources=cited(evidence, tuple(names)),
        command=command,
        evidence_hash=evidence.hash,
    )
