"""Table of operating characteristics: what a trial's design does, in one place."""

from collections.abc import Sequence

from stemtrial.report.contract import Happening, Proportion, Report, Summary, SummaryArm
from stemtrial.report.figure import Table
from stemtrial.report.wording import THIN, interval, number, percent


def adverse_events(report: Report, summary: Summary) -> Table | None:
    """Tabulate what simulated trials see of harms; ``None`` for a run that did not simulate them.

    For each arm: patients with each event, with any serious one, and how often a harm can be that is not seen at all.
    """
    found = event_rows([(report.arms[name].heading, summary.arms[name]) for name in report.ordered])
    return found if found.rows else None


def event_rows(arms: Sequence[tuple[str, SummaryArm]]) -> Table:
    """Tabulate what simulated trials see of harms in arms under their headings; without rows where nothing is told."""
    rows: list[tuple[str, ...]] = []
    for head, arm in arms:
        told = arm.adverse_events
        if told is None or arm.detectable_harm is None:
            continue
        found: list[tuple[str, Happening]] = [
            (f"{words(e.category)} ({words(e.treatment)})", e) for e in told.events
        ]
        if told.serious is not None and sum(e.serious for e in told.events) > 1:
            found.append(("any serious event", told.serious))
        rows += [
            (
                head,
                label,
                f"{number(e.patients.mean)} ({interval(e.patients.q025, e.patients.q975, 0)})",
                percent(e.seen.value),
            )
            for label, e in found
        ]
        silent = f"; not counted for {', '.join(map(words, told.not_counted))}" if told.not_counted else ""
        unseen = f"a harm that is not seen in {arm.n} patients{silent}"
        rows.append((head, unseen, f"true rate up to {percent(arm.detectable_harm, 1)}", f"5{THIN}%"))
    return Table(
        "Adverse events that a simulated trial sees, drawn from published risks and their uncertainty",
        ("Arm", "Event", f"Patients, mean (95{THIN}% of trials)", "Trials with any"),
        tuple(rows),
        keys=2,
    )


def words(name: str) -> str:
    """Return a name of the vocabulary as words."""
    return name.replace("_", " ")


def characteristics(summary: Summary) -> Table:
    """Return the operating characteristics of a run; those that an older run does not know are left out."""
    rows: list[tuple[str, str, str]] = []

    def share(label: str, found: Proportion | None, meaning: str) -> None:
        if found is not None:
            rows.append((label, f"{percent(found.value, 1)} ± {percent(found.mc_se, 1)}", meaning))

    share("Assurance", summary.assurance, "success, over all that the constants may be")
    share("Power", summary.power, "success, with the constants at their mean")
    share("Type I error", summary.type_one_error, "success although what is under question does nothing")
    margin = "success with the true difference at the margin: the level of the test"
    share("Type I error at the margin", summary.type_one_error_at_margin, margin)
    if (found := summary.estimation) is not None:
        error = f"{number(found.bias, 2)} ± {number(found.bias_mc_se, 2)} points"
        rows.append(
            (
                "Bias of the estimate",
                error,
                f"true difference {number(found.truth, 2)} points, nobody leaving",
            )
        )
        rows.append(
            ("Root mean squared error", f"{number(found.rmse, 2)} points", "of the estimate at the end")
        )
        share(
            f"Coverage of the {percent(found.confidence)} interval",
            found.coverage,
            "of the analysis's own interval",
        )
    if (wrong := summary.misleading) is not None:
        share("Misleading conclusion", wrong, "of which:")
        share("shown though absent", wrong.shown_though_absent, "the true difference does not bear it out")
        share(
            "missed though important", wrong.missed_though_important, "the true difference exceeds the MCID"
        )
        if wrong.exaggeration is not None:
            meaning = "mean estimate of successful trials over their true difference"
            rows.append(("Exaggeration", f"{number(wrong.exaggeration, 2)} times", meaning))
    rows.append(("Patients randomised", number(summary.expected_n, 0), "mean until the trial ends"))
    if summary.duration is not None:
        months = summary.duration["assurance"]
        text = f"{number(months.mean)} ({interval(months.q025, months.q975)}) months"
        rows.append(("Duration", text, f"first patient to the end; 95{THIN}% of trials"))
    return Table(
        "Operating characteristics, ± Monte-Carlo standard error",
        ("Characteristic", "Value", "Meaning"),
        tuple(rows),
    )
