"""From evidence rows to study contrasts: what one trial says of treatment against comparator at one time.

Numbers are on 0-100, lower better, so a negative contrast favours the treatment. Only rows of the analysis
set ``primary`` count. Whatever was derived rather than printed stands in the ``flags`` of its group or
contrast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.effectsize import mean_difference, paired_difference
from stemtrial.evidence.groups import Group as Group
from stemtrial.evidence.groups import Rules as Rules
from stemtrial.evidence.groups import Unusable, combined, group_of, usable
from stemtrial.evidence.heterogeneity import critical
from stemtrial.evidence.schema import Arm, Outcome
from stemtrial.evidence.tables import Evidence


@dataclass(frozen=True)
class Contrast:
    """Treated minus control of one trial at one visit: ``y`` with variance ``v``; ``arms`` the treated ones.

    ``treated`` and ``control`` are ``None`` when the trial printed only the difference (``design``
    ``reported``).
    """

    trial_id: str
    arms: tuple[str, ...]
    month: float
    y: float
    v: float
    treated: Group | None
    control: Group | None
    design: Literal["parallel", "paired", "reported"]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Contrasts:
    """The contrasts of a question, and the trials of that comparison left out with the reason."""

    found: tuple[Contrast, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def y(self) -> tuple[float, ...]:
        """Effects, in the order of ``found``."""
        return tuple(contrast.y for contrast in self.found)

    @property
    def v(self) -> tuple[float, ...]:
        """Sampling variances, in the order of ``found``."""
        return tuple(contrast.v for contrast in self.found)


def contrasts(
    evidence: Evidence,
    *,
    indication: str,
    comparator: str | Sequence[str],
    construct: str,
    month: float,
    window: tuple[float, float],
    rules: Rules,
    intervention: str = "cell_therapy",
) -> Contrasts:
    """Return one contrast a trial (or one a treated arm, when the control is split).

    Parameters
    ----------
    evidence
        Tables, whole or already selected.
    indication, comparator, construct, intervention
        Words of the tables; any of several comparators will do.
    month, window
        Visit wanted, and first and last month accepted for it; of the visits that both sides report the
        nearest is used, the later of two equally near.
    rules
        How rows become contrasts.

    Raises
    ------
    InputError
        An impossible window, or nothing left: the message says which condition emptied the selection.
    """
    if not 0 <= window[0] <= month <= window[1]:
        text = f"{month:g} in {window[0]:g} to {window[1]:g}"
        raise InputError(
            Problem("is no window", field="month", value=text, allowed="0 <= first <= month <= last")
        )
    against = (comparator,) if isinstance(comparator, str) else tuple(comparator)
    trials = [trial.trial_id for trial in evidence.trials if trial.indication == indication]
    sides = {
        trial: (
            [arm for arm in evidence.arms_of(trial) if arm.intervention == intervention],
            [
                arm
                for arm in evidence.arms_of(trial)
                if arm.intervention in against and arm.intervention != intervention
            ],
        )
        for trial in trials
    }
    compared = [trial for trial in trials if all(sides[trial])]
    found: list[Contrast] = []
    left_out: list[tuple[str, str]] = []
    for trial in compared:
        rows = [r for r in evidence.outcomes_of(trial) if usable(r, construct)]
        try:
            found += _of_trial(evidence, indication, trial, rows, sides[trial], month, window, rules)
        except Unusable as reason:
            left_out.append((trial, str(reason)))
    if not found:
        steps = ((indication, trials), (f"{intervention} against {' or '.join(against)}", compared))
        empty = next((f"no trial of {name}" for name, left in steps if not left), None)
        reasons = "; ".join(f"{trial}: {reason}" for trial, reason in left_out)
        raise InputError(
            Problem("the selection is empty", hint=empty or f"every trial was left out ({reasons})")
        )
    return Contrasts(tuple(found), tuple(left_out))


def _of_trial(
    evidence: Evidence,
    indication: str,
    trial: str,
    rows: list[Outcome],
    sides: tuple[list[Arm], list[Arm]],
    month: float,
    window: tuple[float, float],
    rules: Rules,
) -> list[Contrast]:
    def nearest(times: Iterable[float]) -> float:
        return min(times, key=lambda time: (abs(time - month), -time))

    within = [row for row in rows if window[0] <= row.time_months <= window[1]]
    if not within:
        raise Unusable("no primary score of this construct in the window")
    own = {(row.arm_id, row.time_months): row for row in within if row.statistic != "difference_between_arms"}
    treated_times, control_times = (
        {time for name, time in own if name in {arm.arm_id for arm in side}} for side in sides
    )
    if not treated_times & control_times:
        printed = [row for row in within if row.statistic == "difference_between_arms"]
        if not printed:
            raise Unusable("no visit that both sides report")
        return [_reported(trial, printed, nearest(row.time_months for row in printed), sides)]
    visit = nearest(treated_times & control_times)
    treated, control = (
        [
            group_of(evidence, indication, own[arm.arm_id, visit], arm, rules)
            for arm in side
            if (arm.arm_id, visit) in own
        ]
        for side in sides
    )
    if len({group.basis for group in (*treated, *control)}) > 1:
        raise Unusable("one side gives levels and the other changes")
    against = combined(control)
    if trial in rules.self_controlled:
        return [_contrast(trial, visit, combined(treated), against, rules.pair_correlation)]
    if rules.shared_control == "combine" or len(treated) == 1:
        return [_contrast(trial, visit, combined(treated), against, None)]
    part = replace(
        against, n=against.n / len(treated), flags=(*against.flags, f"1/{len(treated)} of the control")
    )
    if part.n <= 1:
        raise Unusable("the control is too small to split")
    return [_contrast(trial, visit, group, part, None) for group in treated]


def _reported(trial: str, rows: list[Outcome], visit: float, sides: tuple[list[Arm], list[Arm]]) -> Contrast:
    """Take a difference that was printed without the arms: its variance from SE or 95 % interval."""
    treated = {arm.arm_id for arm in sides[0]}
    at = [row for row in rows if row.time_months == visit and row.arm_id in treated]
    if len(at) != 1 or len(sides[1]) != 1:
        raise Unusable("a difference between arms whose two arms are not certain")
    numbers, arms = at[0].common, (at[0].arm_id,)
    if numbers.se is not None:
        return Contrast(trial, arms, visit, numbers.value, numbers.se**2, None, None, "reported", ())
    if numbers.ci_low is None or numbers.ci_high is None:
        raise Unusable("a difference between arms without a spread")
    se = (numbers.ci_high - numbers.ci_low) / (2 * critical(0.95, None))
    return Contrast(
        trial, arms, visit, numbers.value, se**2, None, None, "reported", ("variance from the 95 % interval",)
    )


def _contrast(trial: str, visit: float, treated: Group, control: Group, pair: float | None) -> Contrast:
    flags = ("instruments differ",) if treated.instruments != control.instruments else ()
    if pair is None:
        found = mean_difference(treated.mean, treated.sd, treated.n, control.mean, control.sd, control.n)
        return Contrast(
            trial,
            treated.arms,
            visit,
            float(found.y[0]),
            float(found.v[0]),
            treated,
            control,
            "parallel",
            flags,
        )
    persons = min(treated.n, control.n)
    found = paired_difference(treated.mean, treated.sd, control.mean, control.sd, persons, pair)
    flags = (*flags, f"paired with correlation {pair:g}")
    return Contrast(
        trial, treated.arms, visit, float(found.y[0]), float(found.v[0]), treated, control, "paired", flags
    )


def features(evidence: Evidence, contrast: Contrast) -> dict[str, str | float | None]:
    """Return what a meta-regression or a subgroup may ask of a contrast.

    ``month``, ``blinding``, ``risk_of_bias``, ``design`` and ``funding`` of the trial;
    ``dose_million_cells``, ``n_injections``, ``cell_source``, ``origin`` and ``product`` of its treated
    arms, ``None`` where unknown or where arms combined into the contrast differ (``shared_control="split"``
    keeps them apart).
    """
    trial = evidence.trial(contrast.trial_id)
    of_trial = {name: getattr(trial, name) for name in ("blinding", "risk_of_bias", "design", "funding")}
    arms = [evidence.arm(contrast.trial_id, arm) for arm in contrast.arms]
    of_arms = {}
    for name in ("dose_million_cells", "n_injections", "cell_source", "origin", "product"):
        values = {getattr(arm, name) for arm in arms}
        of_arms[name] = values.pop() if len(values) == 1 else None
    return {"month": contrast.month, **of_trial, **of_arms}
