"""Evidence on the terminal: tables of trials, arms, outcomes and events, with numbered sources and notes."""

from collections.abc import Iterable
from itertools import groupby
from typing import get_args

from rich.console import Console
from rich.table import Table

from stemtrial.cli import terminal
from stemtrial.evidence import Evidence
from stemtrial.evidence.schema import Arm, Event, Outcome, Row, Trial
from stemtrial.evidence.vocabulary import Construct
from stemtrial.scales import instrument

_LEGEND = "0-100: the printed scores on 0 to 100, lower is better; a change is negative when better."
_ACRONYMS = {"bmac", "bmmnc", "hsc", "mfat", "nsaid", "oa", "prp", "rct", "svf"}
_STATISTICS = {
    "mean": "mean",
    "median": "median",
    "mean_change": "mean change",
    "median_change": "median change",
    "percent": "%",
    "difference_between_arms": "difference",
    "ratio_between_arms": "ratio",
}


class Sources:
    """Number the references in order of first mention, and the remarks on reliability by letter."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.numbers: dict[str, int] = {}
        self.notes: dict[str, str] = {}

    def cite(self, reference_id: str, locator: str | None = None) -> str:
        """Return ``[3] table 2`` for a reference and the place in it."""
        number = self.numbers.setdefault(reference_id, len(self.numbers) + 1)
        return f"[{number}] {locator}" if locator else f"[{number}]"

    def grade(self, reliability: str, note: str | None) -> str:
        """Return ``low (b)``, where b stands for the reason."""
        if note is None:
            return reliability
        return f"{reliability} ({self.notes.setdefault(note, _letter(len(self.notes)))})"

    def print(self, console: Console) -> None:
        """Print the reasons and the references."""
        if self.notes:
            terminal.heading(console, "Reasons for the reliability")
            for note, letter in self.notes.items():
                console.print(f"  ({letter}) {note}")
        terminal.heading(console, "Sources")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right")
        grid.add_column(overflow="fold")
        for reference_id, number in self.numbers.items():
            found = self.evidence.reference(reference_id)
            caution = {
                "general_knowledge": "; identifier not read, check before citing",
                "none": "; no identifier known, the address is the review it was read in",
            }.get(found.id_basis, "")
            link = f"https://doi.org/{found.doi}" if found.doi else found.url
            grid.add_row(f"[{number}]", f"{found.citation}\n{link} (read: {_words(found.read_as)}{caution})")
        console.print(grid)


def print_list(table: str, selected: Evidence, whole: Evidence) -> None:
    """Print the selected trials, arms, outcomes or events and what share of the evidence they are."""
    console = terminal.console()
    sources = Sources(whole)
    if table == "trials":
        _print_trials(console, selected)
        console.print(
            "Pain: primary rows with a printed spread / all primary rows. Bias: judged from the design only."
        )
    elif table == "arms":
        _print_arms(console, selected.arms, sources, with_trial=True)
    elif table == "outcomes":
        _print_outcomes(console, selected.outcomes, sources, with_trial=True)
        console.print(_LEGEND)
    elif selected.events:
        _print_events(console, selected.events, sources, with_trial=True)
    else:
        console.print("No adverse event of these trials was read.")
    if sources.numbers:
        sources.print(console)
    console.print(
        f"\n{len(selected.trials)} of {len(whole.trials)} trials; arms: {len(selected.arms)}; "
        f"outcome rows: {len(selected.outcomes)}; evidence: {whole.hash[:12]}"
    )


def print_trial(evidence: Evidence) -> None:
    """Print the one trial of the evidence: design, arms, outcomes by instrument, adverse events, sources."""
    (trial,) = evidence.trials
    console = terminal.console()
    sources = Sources(evidence)
    _print_design(console, trial, sources)
    terminal.heading(console, "Arms, comparators first")
    arms = sorted(evidence.arms, key=lambda arm: arm.role != "control")
    _print_arms(console, arms, sources)
    order = {arm.arm_id: place for place, arm in enumerate(arms)}
    rows = sorted(evidence.outcomes, key=lambda row: (_measure(row), row.time_months, order[row.arm_id]))
    for _, group in groupby(rows, key=_measure):
        outcomes = tuple(group)
        first = outcomes[0]
        title = f"{_words(first.construct).capitalize()}: {_label(first.instrument)}"
        terminal.heading(console, f"{title} ({_range(first)})")
        _print_outcomes(console, outcomes, sources)
    console.print(f"\n{_LEGEND}" if rows else "\nNo outcome of this trial was read.")
    if evidence.events:
        terminal.heading(console, "Adverse events")
        events = sorted(evidence.events, key=lambda row: (row.event, row.follow_up_months, order[row.arm_id]))
        _print_events(console, events, sources)
    sources.print(console)


def _print_design(console: Console, trial: Trial, sources: Sources) -> None:
    console.print(trial.trial_id, style="bold")
    console.print(f"{trial.citation} {sources.cite(trial.reference_id)}")
    judged = "judged from the design only" if trial.rob_source == "project" else trial.rob_source
    facts = (
        ("rows", "yours" if trial.provenance == "user" else ""),
        ("indication", _words(trial.indication)),
        ("design", f"{_words(trial.design)}; blinding {trial.blinding} ({_words(trial.blinding_basis)})"),
        ("size", f"{_number(trial.n_randomised) or 'unknown number'} randomised"),
        ("follow-up", f"{_number(trial.follow_up_months)} months" if trial.follow_up_months else ""),
        ("risk of bias", f"{trial.risk_of_bias} ({judged})"),
        ("funding", trial.funding),
        ("registry", trial.registry_id),
        ("country", (trial.country or "").replace(";", ", ")),
        ("notes", trial.notes),
    )
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts:
        if fact:
            grid.add_row(name, fact)
    console.print(grid)


def _print_trials(console: Console, evidence: Evidence) -> None:
    def cells(trial: Trial) -> tuple[str, ...]:
        arms = evidence.arms_of(trial.trial_id)
        outcomes = evidence.outcomes_of(trial.trial_id)
        pain = [row for row in outcomes if row.construct == "pain" and row.analysis_set == "primary"]
        return (
            trial.trial_id,
            _whose(trial),
            _words(trial.indication),
            f"{_words(trial.design)}, {trial.blinding}",
            _number(trial.n_randomised),
            _number(trial.follow_up_months),
            _unique(_treatment(arm) for arm in arms if arm.role == "experimental") or "no cells",
            _unique(_treatment(arm) for arm in arms if arm.role == "control") or "no control",
            f"{sum(row.has_spread for row in pain)}/{len(pain)}" if pain else "",
            trial.risk_of_bias,
        )

    columns = ("Trial", "Whose", "Indication", "Design, blinding", "N>", "Months>", "Under study", "Against")
    terminal.print_table(console, (*columns, "Pain>", "Bias"), map(cells, evidence.trials))


def _print_arms(console: Console, arms: Iterable[Arm], sources: Sources, with_trial: bool = False) -> None:
    def cells(arm: Arm) -> tuple[str, ...]:
        added = f" + {_words(arm.carrier_or_adjunct)}" if arm.carrier_or_adjunct else ""
        parts = f" (pools {', '.join(arm.pooled_of)})" if arm.pooled_of else ""
        grades = (arm.severity_distribution or "").replace(";", ", ")
        return (
            arm.trial_id if with_trial else "",
            _whose(arm) if with_trial else "",
            arm.arm_id,
            arm.role,
            _treatment(arm) + added + parts,
            _number(arm.dose_million_cells),
            ", ".join(map(_number, arm.injection_times_months)),
            _number(arm.n),
            _with_spread(arm.age_mean, sd=arm.age_sd, digits=1),
            f"{_number(arm.female_pct)} %" if arm.female_pct is not None else "",
            _with_spread(arm.bmi_mean, sd=arm.bmi_sd, digits=1),
            " ".join(filter(None, (arm.severity_scale, grades))),
            sources.cite(arm.reference_id),
        )

    columns = (
        "Trial",
        "Whose",
        "Arm",
        "Role",
        "Treatment",
        "Dose 10⁶>",
        "At months",
        "N>",
        "Age>",
        "Female>",
    )
    terminal.print_table(console, (*columns, "BMI>", "Severity", "Source"), map(cells, arms))


def _print_outcomes(
    console: Console, rows: Iterable[Outcome], sources: Sources, with_trial: bool = False
) -> None:
    def cells(row: Outcome) -> tuple[str, ...]:
        return (
            row.trial_id if with_trial else "",
            _whose(row) if with_trial else "",
            f"{row.instrument}, {_range(row)}" if with_trial else "",
            _number(row.time_months),
            row.arm_id,
            _number(row.n),
            _STATISTICS[row.statistic],
            _with_spread(row.value, row.sd, row.se, (row.ci_low, row.ci_high), (row.iqr_low, row.iqr_high)),
            _on_common(row),
            _words(row.analysis_set),
            sources.grade(row.reliability, row.reliability_note),
            sources.cite(row.reference_id, row.source_locator),
        )

    columns = ("Trial", "Whose", "Instrument", "Month>", "Arm", "N>", "Statistic", "As printed>", "0-100>")
    terminal.print_table(console, (*columns, "Use", "Reliability", "Source"), map(cells, rows))


def _print_events(
    console: Console, rows: Iterable[Event], sources: Sources, with_trial: bool = False
) -> None:
    def cells(row: Event) -> tuple[str, ...]:
        return (
            row.trial_id if with_trial else "",
            _whose(row) if with_trial else "",
            row.event + (" (serious)" if row.serious and "serious" not in row.event else ""),
            row.arm_id,
            f"{row.n_with_event}/{row.n_at_risk}",
            f"{100 * row.n_with_event / row.n_at_risk:.0f} %",
            _number(row.follow_up_months),
            _words(row.analysis_set),
            sources.grade(row.reliability, row.reliability_note),
            sources.cite(row.reference_id, row.source_locator),
        )

    columns = ("Trial", "Whose", "Event", "Arm", "Patients>", "Share>", "Months>", "Use", "Reliability")
    terminal.print_table(console, (*columns, "Source"), map(cells, rows))


def _whose(row: Row) -> str:
    return "yours" if row.provenance == "user" else ""


def _on_common(row: Outcome) -> str:
    if row.scale_kind != "score":
        return ""
    found = row.common
    return _with_spread(
        found.value,
        found.sd,
        found.se,
        (found.ci_low, found.ci_high),
        (found.iqr_low, found.iqr_high),
        digits=1,
    )


def _with_spread(
    value: float | None,
    sd: float | None = None,
    se: float | None = None,
    ci: tuple[float | None, float | None] = (None, None),
    iqr: tuple[float | None, float | None] = (None, None),
    digits: int | None = None,
) -> str:
    def text(number: float) -> str:
        return _number(number if digits is None else round(number, digits) + 0.0)  # + 0.0 turns -0 into 0

    parts = [f"SD {text(sd)}"] if sd is not None else []
    parts += [f"SE {text(se)}"] if se is not None else []
    for name, (low, high) in (("CI", ci), ("IQR", iqr)):
        if low is not None and high is not None:
            parts.append(f"{name} {text(low)} to {text(high)}")
    return "" if value is None else text(value) + (f" ({', '.join(parts)})" if parts else "")


def _measure(row: Outcome) -> tuple[int, str, float, float, bool]:
    """Return what makes rows comparable as printed; it sorts pain first, then function."""
    place = get_args(Construct).index(row.construct)
    return place, row.instrument, row.scale_min, row.scale_max, row.higher_is_better


def _range(row: Outcome) -> str:
    direction = "higher" if row.higher_is_better else "lower"
    limits = f"{row.scale_min:g} to {row.scale_max:g}, " if row.scale_kind == "score" else ""
    return f"{limits}{direction} is better"


def _label(name: str) -> str:
    from stemtrial.errors import InputError

    try:
        return instrument(name).label
    except InputError:
        return name


def _treatment(arm: Arm) -> str:
    parts = (
        (arm.origin, arm.cell_source, arm.product)
        if arm.intervention == "cell_therapy"
        else (arm.intervention,)
    )
    return " ".join(_words(part) for part in parts if part)


def _unique(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _words(coded: str) -> str:
    return " ".join(word.upper() if word in _ACRONYMS else word for word in coded.split("_"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _letter(index: int) -> str:
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)
