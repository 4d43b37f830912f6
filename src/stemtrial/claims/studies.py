"""The studies that bear on a part of a claim: what each contributes, and why the others do not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import TypedDict

from stemtrial.claims.claim import Cells, Part
from stemtrial.errors import InputError
from stemtrial.evidence.contrasts import Contrast, contrasts
from stemtrial.evidence.effectsize import standardised_mean_difference
from stemtrial.evidence.events2x2 import event_tables
from stemtrial.evidence.groups import Group, Rules, usable
from stemtrial.evidence.rareevents import exact_risk
from stemtrial.evidence.schema import Arm, Outcome, Trial
from stemtrial.evidence.scope import Scope, Stage, label, within
from stemtrial.evidence.tables import Evidence

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)
"""How rows become contrasts of a claim."""

_ADDED = {
    "hyaluronic_acid": ("hyaluronic_acid",),
    "prp": ("prp", "prgf", "platelet"),
    "surgery": ("surgery", "hto", "sequestrectomy"),
    "usual_care": ("conventional care", "usual care", "usual_care"),
    "exercise": ("exercise", "physiotherapy"),
}
"""How the tables write that something was given with the cells; other treatments by their own name."""


@dataclass(frozen=True)
class Datum:
    """What one study contributes.

    Attributes
    ----------
    y, v
        Effect and sampling variance in the unit of the kind (logarithm of a ratio); of events the risk
        difference, without a variance where nothing happened on either side.
    counts
        Events and persons of the treated and of the control side.
    side
        1, or -1 for the other cells of a comparison ``against`` them.
    early
        Effect at the earlier visit and its variance.
    control, treated
        Persons and numbers of each side as printed.
    """

    trial_id: str
    label: str
    month: float
    y: float
    v: float | None
    n: float
    sd: float | None
    counts: tuple[int, int, int, int] | None
    side: int
    early: tuple[float, float] | None
    control: tuple[str, str]
    treated: tuple[str, str]
    risk_of_bias: str
    blinding: str
    randomised: bool
    provenance: str
    references: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Body:
    """The studies of a part.

    Attributes
    ----------
    left_out, stages
        Compared trials that gave none, with the reason; trials left by each condition.
    silent
        Compared trials without any usable score of the outcome, or count of the event, at any visit.
    empty
        What left no study, where none is left.
    """

    data: tuple[Datum, ...]
    left_out: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    silent: int
    empty: str | None


def collect(part: Part, evidence: Evidence) -> Body:
    """Return the studies of a part; a selection without any is no error, and ``empty`` says what emptied it.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> from stemtrial.evidence import load
    >>> body = collect(shipped()["relieves_back_pain"].parts["pain"], load())
    >>> [datum.label for datum in body.data]
    ['Noriega 2017']
    """
    if part.kind == "events" and part.against is not None:
        one, other = (_body(part, cells, evidence) for cells in (part.cells, part.against))
        data = (*one.data, *(replace(datum, side=-1) for datum in other.data))
        left_out = tuple(dict.fromkeys((*one.left_out, *other.left_out)))
        return Body(data, left_out, one.stages, one.silent + other.silent, one.empty or other.empty)
    return _body(part, part.cells, evidence)


def _body(part: Part, cells: Cells, evidence: Evidence) -> Body:
    kept = _given(part, evidence)
    scope = Scope(
        indication=part.population,
        comparator=part.comparator,
        product=cells.product,
        origin=cells.origin,
        source=cells.source,
    )
    try:
        inside = within(kept, scope)
    except InputError as error:
        return Body((), (), (), 0, str(error))
    tables = inside.evidence
    try:
        if part.kind == "events":
            data, left_out = _events(part, tables)
        elif part.kind == "marker":
            data, left_out = _markers(part, tables, inside.stages[-1].trials)
        elif part.kind == "durability":
            data, left_out = _lasting(part, tables)
        else:
            data, left_out = _scores(part, tables)
    except InputError:
        what = (
            "such event on both sides"
            if part.kind == "events"
            else f"usable score of {part.outcome} in the window"
        )
        data, left_out = [], [(trial, f"prints no {what}") for trial in inside.stages[-1].trials]
    compared = inside.stages[-1].trials
    silent = sum(not _speaks(part, tables, trial) for trial in compared)
    empty = None if data else f"none of the {len(compared)} compared trials prints it"
    return Body(tuple(data), tuple(left_out), inside.stages, silent, empty)


def _speaks(part: Part, evidence: Evidence, trial: str) -> bool:
    """Say whether a trial prints anything of the kind that the part asks for."""
    if part.kind == "events":
        return any(part.event in (row.event, row.category) for row in evidence.events_of(trial))
    rows = [row for row in evidence.outcomes_of(trial) if row.time_months > 0]
    if part.kind == "marker":
        wanted = [_plain(name) for name in part.instruments]
        return any(any(name in _plain(row.instrument) for name in wanted) for row in rows)
    return any(usable(row, part.outcome or "") for row in rows)


def _given(part: Part, evidence: Evidence) -> Evidence:
    """Keep treated arms that were given with the comparator's treatment, or without it."""
    if part.given is None:
        return evidence

    def added(arm: Arm) -> bool:
        with_it = (arm.carrier_or_adjunct or "").lower()
        return any(word in with_it for name in part.comparator for word in _ADDED.get(name, (name,)))

    def keep(arm: Arm) -> bool:
        return arm.intervention != "cell_therapy" or added(arm) == (part.given == "added")

    return replace(evidence, arms=tuple(arm for arm in evidence.arms if keep(arm)))


def _found(
    part: Part, evidence: Evidence, month: float
) -> tuple[tuple[Contrast, ...], tuple[tuple[str, str], ...]]:
    assert part.outcome is not None
    assert part.window is not None
    against = part.comparator or tuple(
        {arm.intervention for arm in evidence.arms if arm.intervention != "cell_therapy"}
    )
    found = contrasts(
        evidence,
        indication=part.population,
        comparator=sorted(against),
        construct=part.outcome,
        month=month,
        window=(max(0.0, month - part.window), month + part.window),
        rules=RULES,
    )
    return found.found, found.left_out


def _scores(part: Part, evidence: Evidence) -> tuple[list[Datum], list[tuple[str, str]]]:
    """Differences of scores, or logarithms of the ratio of their standard deviations."""
    assert part.month is not None
    found, left_out = _found(part, evidence, part.month)
    data, reasons = [], list(left_out)
    for contrast in found:
        datum = _datum(evidence, contrast)
        if part.kind != "response_spread":
            data.append(datum)
            continue
        treated, control = contrast.treated, contrast.control
        if treated is None or control is None or contrast.design != "parallel":
            reasons.append((contrast.trial_id, "no standard deviations of two independent groups"))
        elif any("imputed" in flag for flag in (*treated.flags, *control.flags)):
            reasons.append((contrast.trial_id, "standard deviation imputed"))
        elif min(treated.n, control.n) < 3:
            reasons.append((contrast.trial_id, "a group of fewer than three persons"))
        else:
            parts = [1 / (2 * (group.n - 1)) for group in (treated, control)]
            y = log(treated.sd / control.sd) + parts[0] - parts[1]
            data.append(replace(datum, y=y, v=sum(parts)))
    return data, reasons


def _lasting(part: Part, evidence: Evidence) -> tuple[list[Datum], list[tuple[str, str]]]:
    """Late difference minus the threshold's share of the early one, in trials that print both."""
    assert part.month is not None
    assert part.from_month is not None
    assert part.correlation is not None
    late, left_out = _found(part, evidence, part.month)
    before, _ = _found(part, evidence, part.from_month)
    early = {(contrast.trial_id, contrast.arms): contrast for contrast in before}
    data, reasons = [], list(left_out)
    for contrast in late:
        first = early.get((contrast.trial_id, contrast.arms))
        if first is None or first.month >= contrast.month:
            reasons.append(
                (contrast.trial_id, f"no difference at about {part.from_month:g} months beside it")
            )
            continue
        if _basis(first) != _basis(contrast):
            reasons.append((contrast.trial_id, "levels at one visit and changes at the other"))
            continue
        share = part.threshold
        shared = 2 * share * part.correlation * (contrast.v * first.v) ** 0.5
        data.append(
            replace(
                _datum(evidence, contrast),
                y=contrast.y - share * first.y,
                v=contrast.v + share**2 * first.v - shared,
                early=(first.y, first.v),
            )
        )
    return data, reasons


def _basis(contrast: Contrast) -> str | None:
    return contrast.treated.basis if contrast.treated else None


def _markers(
    part: Part, evidence: Evidence, trials: tuple[str, ...]
) -> tuple[list[Datum], list[tuple[str, str]]]:
    """Standardised differences of measures in any unit, negative where the treated side is better."""
    assert part.month is not None
    assert part.window is not None
    month, window = part.month, part.window
    wanted = [_plain(name) for name in part.instruments]
    data: list[Datum] = []
    reasons: list[tuple[str, str]] = []
    for trial_id in trials:
        rows = [
            row
            for row in evidence.outcomes_of(trial_id)
            if row.construct == part.outcome
            and row.analysis_set == "primary"
            and row.statistic in ("mean", "mean_change")
            and any(name in _plain(row.instrument) for name in wanted)
            and row.time_months > 0
            and abs(row.time_months - month) <= window
        ]
        arms = {arm.arm_id: arm for arm in evidence.arms_of(trial_id)}
        pairs = list(_pairs(rows, arms))
        if not pairs:
            reasons.append((trial_id, "prints no such measure of both sides with a spread"))
            continue
        one, other = min(
            pairs,
            key=lambda pair: (abs(pair[0].time_months - month), -pair[0].time_months, pair[0].instrument),
        )
        n1, n2 = one.n or arms[one.arm_id].n, other.n or arms[other.arm_id].n
        if not n1 or not n2 or not one.sd or not other.sd:
            reasons.append((trial_id, "no number of persons"))
            continue
        found = standardised_mean_difference(one.value, one.sd, n1, other.value, other.sd, n2)
        sign = -1.0 if one.higher_is_better else 1.0
        trial = evidence.trial(trial_id)
        data.append(
            Datum(
                trial_id=trial_id,
                label=label(trial),
                month=one.time_months,
                y=sign * float(found.y[0]),
                v=float(found.v[0]),
                n=float(n1 + n2),
                sd=1.0,
                counts=None,
                side=1,
                early=None,
                control=(f"{n2}", f"{other.value:g} ({other.sd:g})"),
                treated=(f"{n1}", f"{one.value:g} ({one.sd:g})"),
                references=tuple(dict.fromkeys((one.reference_id, other.reference_id))),
                flags=(one.instrument,),
                **_of_trial(trial),
            )
        )
    return data, reasons


def _pairs(rows: list[Outcome], arms: dict[str, Arm]) -> Iterator[tuple[Outcome, Outcome]]:
    """Yield rows of a treated and a control arm of one instrument, visit and statistic, both with an SD."""
    usable = [row for row in rows if row.arm_id in arms and row.sd]
    for one in usable:
        for other in usable:
            sides = arms[one.arm_id].intervention, arms[other.arm_id].intervention
            alike = all(
                getattr(one, name) == getattr(other, name)
                for name in ("instrument", "time_months", "statistic", "scale_min", "scale_max")
            )
            if sides[0] == "cell_therapy" != sides[1] and alike:
                yield one, other


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _events(part: Part, evidence: Evidence) -> tuple[list[Datum], list[tuple[str, str]]]:
    """Return the counts of both sides, with the difference of risks per 1,000."""
    assert part.event is not None
    found = event_tables(evidence, event=part.event, intervention="cell_therapy", shared_control="combine")
    data = []
    for table in found.found:
        treated, control = (
            exact_risk(side.events, side.n, level=0.95) for side in (table.treated, table.control)
        )
        spread = sum(risk.estimate * (1 - risk.estimate) / risk.n for risk in (treated, control))
        trial = evidence.trial(table.trial_id)
        data.append(
            Datum(
                trial_id=table.trial_id,
                label=label(trial),
                month=table.months,
                y=1000 * (treated.estimate - control.estimate),
                v=1e6 * spread if spread > 0 else None,
                n=float(treated.n + control.n),
                sd=None,
                counts=(treated.events, treated.n, control.events, control.n),
                side=1,
                early=None,
                control=(f"{control.n}", f"{control.events}"),
                treated=(f"{treated.n}", f"{treated.events}"),
                references=table.references,
                flags=table.flags,
                **_of_trial(trial),
            )
        )
    return data, list(found.left_out)


def _datum(evidence: Evidence, contrast: Contrast) -> Datum:
    trial = evidence.trial(contrast.trial_id)
    groups = [group for group in (contrast.treated, contrast.control) if group is not None]
    sizes = [group.n for group in groups]
    flags = dict.fromkeys(flag for group in groups for flag in group.flags)
    return Datum(
        trial_id=contrast.trial_id,
        label=label(trial),
        month=contrast.month,
        y=contrast.y,
        v=contrast.v,
        n=(max(sizes) if contrast.design == "paired" else sum(sizes)) if sizes else 0.0,
        sd=_spread(groups),
        counts=None,
        side=1,
        early=None,
        control=_cells(contrast.control),
        treated=_cells(contrast.treated),
        references=tuple(
            dict.fromkeys((*(ref for group in groups for ref in group.references), trial.reference_id))
        ),
        flags=(*flags, *contrast.flags),
        **_of_trial(trial),
    )


class _OfTrial(TypedDict):
    risk_of_bias: str
    blinding: str
    randomised: bool
    provenance: str


def _of_trial(trial: Trial) -> _OfTrial:
    return {
        "risk_of_bias": trial.risk_of_bias,
        "blinding": trial.blinding,
        "randomised": trial.design == "rct",
        "provenance": trial.provenance,
    }


def _spread(groups: list[Group]) -> float | None:
    degrees = sum(group.n - 1 for group in groups)
    return (sum((g.n - 1) * g.sd**2 for g in groups) / degrees) ** 0.5 if degrees > 0 else None


def _cells(group: Group | None) -> tuple[str, str]:
    return (
        ("", "difference only") if group is None else (f"{group.n:g}", f"{group.mean:.1f} ({group.sd:.1f})")
    )
