"""From evidence rows to what each study contributes, for each kind of part."""

from collections.abc import Iterator
from dataclasses import replace

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum, of_trial
from stemtrial.evidence.contrasts import Contrast, contrasts
from stemtrial.evidence.effectsize import spread_ratio, standardised_mean_difference
from stemtrial.evidence.events2x2 import event_tables
from stemtrial.evidence.groups import Group, Rules
from stemtrial.evidence.rareevents import exact_risk
from stemtrial.evidence.schema import Arm, Outcome
from stemtrial.evidence.scope import label
from stemtrial.evidence.tables import Evidence

LeftOut = list[tuple[str, str]]

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)
"""How rows become contrasts of a claim."""


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


def scores(part: Part, evidence: Evidence) -> tuple[list[Datum], LeftOut]:
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
            found_ratio = spread_ratio(treated.sd, treated.n, control.sd, control.n)
            data.append(replace(datum, y=float(found_ratio.y[0]), v=float(found_ratio.v[0])))
    return data, reasons


def lasting(part: Part, evidence: Evidence) -> tuple[list[Datum], LeftOut]:
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


def markers(part: Part, evidence: Evidence, trials: tuple[str, ...]) -> tuple[list[Datum], LeftOut]:
    """Standardised differences of measures in any unit, negative where the treated side is better."""
    assert part.month is not None
    assert part.window is not None
    month, window = part.month, part.window
    wanted = [plain_name(name) for name in part.instruments]
    data: list[Datum] = []
    reasons: list[tuple[str, str]] = []
    for trial_id in trials:
        rows = [
            row
            for row in evidence.outcomes_of(trial_id)
            if row.construct == part.outcome
            and row.analysis_set == "primary"
            and row.statistic in ("mean", "mean_change")
            and any(name in plain_name(row.instrument) for name in wanted)
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
                **of_trial(trial),
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


def events(part: Part, evidence: Evidence) -> tuple[list[Datum], LeftOut]:
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
                **of_trial(trial),
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
        **of_trial(trial),
    )


def _spread(groups: list[Group]) -> float | None:
    degrees = sum(group.n - 1 for group in groups)
    return (sum((g.n - 1) * g.sd**2 for g in groups) / degrees) ** 0.5 if degrees > 0 else None


def _cells(group: Group | None) -> tuple[str, str]:
    return (
        ("", "difference only") if group is None else (f"{group.n:g}", f"{group.mean:.1f} ({group.sd:.1f})")
    )


def plain_name(name: str) -> str:
    """Return a name with nothing but its letters and digits, in lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
