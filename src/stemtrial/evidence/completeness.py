"""Which minimum-reporting items the rows of each trial hold.

An item is *reported* if every arm (or outcome row) it concerns has it, *partly* if some have, *missing* if none has:
missing in these rows, which were read from abstracts, tables and records, so that the full report may still give it.
The parts of a pooled arm answer for it.
Items for which the tables have no column are *not recorded in the tables*. Cells are asked of arms with cells only; a
trial without such arms is *not applicable* there. No published reporting list is among the references of the package,
so the items are its own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stemtrial.evidence.schema import Row, Trial
from stemtrial.evidence.tables import Evidence

State = Literal["reported", "partly", "missing", "not applicable", "not recorded in the tables"]
Concerns = Literal["trial", "arms", "cell arms", "scores", "nothing"]


@dataclass(frozen=True)
class Item:
    """A minimum-reporting item and where the tables keep it.

    Parameters
    ----------
    name, label
        Short name and what it asks for.
    concerns
        The rows that should hold it; ``nothing`` where no column does.
    columns
        ``table.column`` of the places; any of them will do.
    """

    name: str
    label: str
    concerns: Concerns
    columns: tuple[str, ...] = ()


_SPREADS = tuple(f"outcomes.{name}" for name in ("sd", "se", "ci_low", "iqr_low"))
ITEMS = (
    Item("source", "tissue the cells came from", "cell arms", ("arms.cell_source",)),
    Item("origin", "autologous or allogeneic", "cell arms", ("arms.origin",)),
    Item("product", "product and processing", "cell arms", ("arms.product",)),
    Item("dose", "cells in one injection", "cell arms", ("arms.dose_million_cells",)),
    Item("carrier", "carrier or adjunct; empty also where none was given", "cell arms", ("arms.carrier_or_adjunct",)),
    Item("viability", "share of living cells", "nothing"),
    Item("donor", "age, sex and health of the donor", "nothing"),
    Item("passage", "number of passages", "nothing"),
    Item("markers", "surface markers and differentiation", "nothing"),
    Item("storage", "fresh or frozen, and time to use", "nothing"),
    Item("site", "site and route of injection", "nothing"),
    Item("guidance", "imaging guidance", "nothing"),
    Item("n_injections", "number of injections", "arms", ("arms.n_injections",)),
    Item("timing", "months of the injections", "arms", ("arms.injection_times_months",)),
    Item("n_randomised", "participants randomised", "trial", ("trials.n_randomised",)),
    Item("n", "participants of the arm", "arms", ("arms.n",)),
    Item("age", "age of the participants", "arms", ("arms.age_mean",)),
    Item("sex", "share of women", "arms", ("arms.female_pct",)),
    Item("bmi", "body-mass index", "arms", ("arms.bmi_mean",)),
    Item("severity", "grade of the disease", "arms", ("arms.severity_distribution",)),
    Item("blinding", "who was blinded", "trial", ("trials.blinding",)),
    Item("follow_up", "length of follow-up", "trial", ("trials.follow_up_months",)),
    Item("funding", "who paid", "trial", ("trials.funding",)),
    Item("registration", "registry number", "trial", ("trials.registry_id",)),
    Item("spread", "spread of the scores", "scores", _SPREADS),
    Item("scored_n", "participants behind the scores", "scores", ("outcomes.n",)),
    Item("adverse_events", "counts of adverse events", "arms", ("events.n_with_event",)),
)  # fmt: skip
"""The items, in the order of print."""

_UNKNOWN = (None, (), "unclear")


@dataclass(frozen=True)
class Finding:
    """Whether a trial reports an item: in ``have`` of the ``of`` rows that should hold it."""

    trial_id: str
    item: str
    state: State
    have: int
    of: int


@dataclass(frozen=True)
class Completeness:
    """The findings of all trials, trial by trial in the order of :data:`ITEMS`."""

    trials: tuple[Trial, ...]
    findings: tuple[Finding, ...]

    def of_item(self, name: str) -> dict[State, int]:
        """Count the trials by what they report of an item."""
        return _counted(finding for finding in self.findings if finding.item == name)

    def of_trial(self, trial_id: str) -> dict[State, int]:
        """Count the items by what a trial reports of them."""
        return _counted(finding for finding in self.findings if finding.trial_id == trial_id)

    def items_of(self, trial_id: str, state: State) -> tuple[str, ...]:
        """Name the items that are in this state for a trial."""
        return tuple(each.item for each in self.findings if (each.trial_id, each.state) == (trial_id, state))


def completeness(evidence: Evidence) -> Completeness:
    """Say for every trial which items its rows report.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> found = completeness(load())
    >>> [each.state for each in found.findings if each.trial_id == "gupta_2016" and each.item in ("dose", "passage")]
    ['reported', 'not recorded in the tables']
    """
    return Completeness(
        evidence.trials, tuple(_finding(evidence, trial, item) for trial in evidence.trials for item in ITEMS)
    )


def _finding(evidence: Evidence, trial: Trial, item: Item) -> Finding:
    if item.concerns == "nothing":
        return Finding(trial.trial_id, item.name, "not recorded in the tables", 0, 0)
    if item.name == "n_randomised" and trial.design != "rct":
        return Finding(trial.trial_id, item.name, "not applicable", 0, 0)
    holds = [_holds(rows, item) for rows in _asked(evidence, trial, item)]
    have, asked = sum(holds), len(holds)
    if asked == 0:
        state: State = "not applicable" if item.concerns != "scores" else "missing"
    else:
        state = "reported" if have == asked else "partly" if have else "missing"
    return Finding(trial.trial_id, item.name, state, have, asked)


def _asked(evidence: Evidence, trial: Trial, item: Item) -> list[Sequence[Row]]:
    """Return, for each that should report the item, the rows that may hold it."""
    if item.concerns == "trial":
        return [(trial,)]
    if item.concerns == "scores":
        return [
            (row,)
            for row in evidence.outcomes_of(trial.trial_id)
            if row.scale_kind == "score" and row.analysis_set == "primary"
        ]
    arms = [
        arm
        for arm in evidence.arms_of(trial.trial_id)
        if item.concerns == "arms" or arm.intervention == "cell_therapy"
    ]
    arms = [arm for arm in arms if not arm.pooled_of] or arms  # the parts of a pooled arm answer for it
    if item.name in ("n_injections", "timing"):
        arms = [arm for arm in arms if arm.intervention in _INJECTED]
    if item.name == "adverse_events":
        return [evidence.events_of(trial.trial_id, arm.arm_id) for arm in arms]
    return [(arm,) for arm in arms]


_INJECTED = {
    "cell_therapy", "saline", "placebo", "sham_procedure", "vehicle", "hyaluronic_acid", "corticosteroid", "prp",
    "plasma",
}  # fmt: skip


def _holds(rows: Sequence[Row], item: Item) -> bool:
    names = [place.partition(".")[2] for place in item.columns]
    return any(getattr(row, name) not in _UNKNOWN for row in rows for name in names)


def _counted(findings: Iterable[Finding]) -> dict[State, int]:
    found = Counter(finding.state for finding in findings)
    return {
        state: found[state]
        for state in ("reported", "partly", "missing", "not applicable", "not recorded in the tables")
    }
