"""From evidence rows to a network: which arms of which trials are compared, with what error, at what visits.

Only rows of the analysis set ``primary`` count; how a row becomes mean, SD and number of persons is decided by
:class:`~stemtrial.evidence.groups.Rules`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log10, sqrt

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.effectsize import paired_difference
from stemtrial.evidence.groups import Group, Rules, Unusable, combined, group_of, usable
from stemtrial.evidence.heterogeneity import choice, critical
from stemtrial.evidence.networkdata import REFERENCE_DOSE, Comparison, NetworkData, Scheme, node
from stemtrial.evidence.schema import Arm, Outcome, Trial
from stemtrial.evidence.tables import Evidence


def network_data(
    evidence: Evidence,
    *,
    indication: str,
    construct: str,
    scheme: Scheme,
    rules: Rules,
    unblinded: Sequence[str],
    by_dose: bool,
    randomised_only: bool,
) -> NetworkData:
    """Return the comparisons of all controlled trials of an indication, at all their visits.

    Parameters
    ----------
    evidence
        Tables, whole or already selected.
    indication, construct
        Words of the tables.
    scheme
        How arms become nodes, see :func:`node`.
    rules
        How rows become means; ``shared_control`` plays no part, because a network shares arms exactly.
    unblinded
        Values of ``blinding`` taken as unblinded, such as ``("open",)``.
    by_dose
        Keep the dose arms of one node apart (for a dose slope) rather than combine them.
    randomised_only
        Leave out controlled trials without randomisation.

    Raises
    ------
    InputError
        If nothing is left; the message says why.
    """
    choice("scheme", scheme, Scheme)
    found: list[Comparison] = []
    left_out: list[tuple[str, str]] = []
    for trial in evidence.trials:
        if trial.indication != indication or len(evidence.arms_of(trial.trial_id)) < 2:
            continue
        try:
            if randomised_only and trial.design != "rct":
                raise Unusable("not randomised")
            found += _of_trial(
                evidence, trial, construct, scheme, rules, trial.blinding in unblinded, by_dose
            )
        except Unusable as reason:
            left_out.append((trial.trial_id, str(reason)))
    if not found:
        why = "; ".join(f"{trial}: {reason}" for trial, reason in left_out) or "no controlled trial"
        raise InputError(Problem(f"no trial of {indication} compares treatments on {construct}", hint=why))
    return NetworkData(tuple(found), tuple(left_out))


@dataclass(frozen=True)
class _Side:
    """What a node of a trial gave at one visit, with what is needed to compare it."""

    group: Group
    log_dose: float
    experimental: bool
    extras: tuple[str, ...]


def _of_trial(
    evidence: Evidence,
    trial: Trial,
    construct: str,
    scheme: Scheme,
    rules: Rules,
    unblinded: bool,
    by_dose: bool,
) -> list[Comparison]:
    arms: dict[tuple[str, float | None], list[Arm]] = {}
    for arm in evidence.arms_of(trial.trial_id):
        dose = arm.dose_million_cells if by_dose else None
        arms.setdefault((node(arm, scheme), dose), []).append(arm)
    rows = [
        row for row in evidence.outcomes_of(trial.trial_id) if usable(row, construct) and row.time_months > 0
    ]
    if not rows:
        raise Unusable("no primary score of this construct")
    printed = [row for row in rows if row.statistic == "difference_between_arms"]
    if len(printed) == len(rows):
        return _reported(evidence, trial, printed, scheme, unblinded)
    rows = [row for row in rows if row not in printed]
    by_visit = {
        month: sides
        for month in sorted({row.time_months for row in rows})
        if len(sides := _sides(evidence, trial, arms, rows, month, rules)) > 1
    }
    if len({name for sides in by_visit.values() for name, _ in sides}) < 2:
        raise Unusable("no visit at which two different treatments report")
    reference = max(
        {key for sides in by_visit.values() for key in sides},
        key=lambda key: (
            sum(key in sides for sides in by_visit.values()),
            key[0] == "placebo",
            not any(sides[key].experimental for sides in by_visit.values() if key in sides),
            str(key),
        ),
    )
    return [
        _comparison(trial, month, key, reference, side, sides[reference], rules, unblinded)
        for month, sides in by_visit.items()
        if reference in sides
        for key, side in sides.items()
        if key != reference
    ]


def _sides(
    evidence: Evidence,
    trial: Trial,
    arms: dict[tuple[str, float | None], list[Arm]],
    rows: list[Outcome],
    month: float,
    rules: Rules,
) -> dict[tuple[str, float | None], _Side]:
    """Return what each node of a trial reports at a visit; levels and changes are never mixed."""
    at = {row.arm_id: row for row in rows if row.time_months == month}
    sides = {}
    for key, members in arms.items():
        reporting = [arm for arm in members if arm.arm_id in at]
        if reporting:
            groups = [group_of(evidence, trial.indication, at[a.arm_id], a, rules) for a in reporting]
            doses = [arm.dose_million_cells for arm in reporting]
            extras = dict.fromkeys(a.carrier_or_adjunct for a in reporting if a.carrier_or_adjunct)
            sides[key] = _Side(
                group=combined(groups),
                log_dose=_log_dose(doses),
                experimental=any(arm.role == "experimental" for arm in reporting),
                extras=tuple(f"given with {name}" for name in extras)
                + (("dose unknown",) if key[0].startswith("cells_expanded") and None in doses else ()),
            )
    bases = [side.group.basis for side in sides.values()]
    if len(set(bases)) > 1:
        kept = max(sorted(set(bases)), key=bases.count)
        sides = {key: side for key, side in sides.items() if side.group.basis == kept}
    return sides


def _log_dose(doses: Iterable[float | None]) -> float:
    known = [log10(dose / REFERENCE_DOSE) for dose in doses if dose]
    return sum(known) / len(known) if known else 0.0


def _comparison(
    trial: Trial,
    month: float,
    key: tuple[str, float | None],
    reference_key: tuple[str, float | None],
    side: _Side,
    reference: _Side,
    rules: Rules,
    unblinded: bool,
) -> Comparison:
    own, other = side.group, reference.group
    y, own_se, reference_se = own.mean - other.mean, own.sd / sqrt(own.n), other.sd / sqrt(other.n)
    flags = (*own.flags, *other.flags, *side.extras, *reference.extras)
    if trial.trial_id in rules.self_controlled:
        pairs = min(own.n, other.n)
        paired = paired_difference(own.mean, own.sd, other.mean, other.sd, pairs, rules.pair_correlation)
        own_se, reference_se = float(paired.v[0]) ** 0.5, 0.0
        flags = (*flags, f"paired with correlation {rules.pair_correlation:g}")
    return Comparison(
        trial_id=trial.trial_id,
        month=month,
        arm="+".join(own.arms),
        reference_arm="+".join(other.arms),
        treatment=key[0],
        reference=reference_key[0],
        y=y,
        own_se=own_se,
        reference_se=reference_se,
        n=own.n + other.n,
        log_dose=side.log_dose - reference.log_dose,
        role=int(side.experimental) - int(reference.experimental),
        unblinded=unblinded,
        risk_of_bias=trial.risk_of_bias,
        provenance=trial.provenance,
        flags=tuple(dict.fromkeys(flags)),
    )


def _reported(
    evidence: Evidence, trial: Trial, rows: list[Outcome], scheme: Scheme, unblinded: bool
) -> list[Comparison]:
    """Take differences printed without the arms, in trials of two arms."""
    treated = {row.arm_id for row in rows}
    controls = [arm for arm in evidence.arms_of(trial.trial_id) if arm.role == "control"]
    if len(treated) != 1 or len(controls) != 1:
        raise Unusable("differences between arms whose two arms are not certain")
    arm, control = evidence.arm(trial.trial_id, treated.pop()), controls[0]
    if node(arm, scheme) == node(control, scheme):
        raise Unusable("both arms are one treatment")
    found = []
    for row in rows:
        numbers = row.common
        se = numbers.se
        if se is None and numbers.ci_low is not None and numbers.ci_high is not None:
            se = (numbers.ci_high - numbers.ci_low) / (2 * critical(0.95, None))
        if not se:
            raise Unusable("a difference between arms without a spread")
        found.append(
            Comparison(
                trial_id=trial.trial_id,
                month=row.time_months,
                arm=arm.arm_id,
                reference_arm=control.arm_id,
                treatment=node(arm, scheme),
                reference=node(control, scheme),
                y=numbers.value,
                own_se=se,
                reference_se=0.0,
                n=float(row.n or (arm.n or 0) + (control.n or 0) or trial.n_randomised or 0),
                log_dose=_log_dose([arm.dose_million_cells]),
                role=int(arm.role == "experimental"),
                unblinded=unblinded,
                risk_of_bias=trial.risk_of_bias,
                provenance=trial.provenance,
                flags=("difference as printed", *(() if numbers.se else ("SE from the 95 % interval",))),
            )
        )
    return found
