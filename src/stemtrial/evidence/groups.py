"""One arm at one visit as mean, SD and number of persons on 0-100, with every derivation flagged."""

from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.effectsize import baseline_correlation, change_sd
from stemtrial.evidence.heterogeneity import choice
from stemtrial.evidence.medians import mean_from_quartiles, sd_from_interval, sd_from_quartiles, sd_from_se
from stemtrial.evidence.schema import Arm, Common, Outcome
from stemtrial.evidence.tables import Evidence

SELF_CONTROLLED = ("hong_2019", "shapiro_2018")
"""Shipped trials whose two arms are the two knees of the same persons."""

Basis = Literal["follow_up", "change"]
MissingSd = Literal["median", "drop"]
SharedControl = Literal["combine", "split"]


@dataclass(frozen=True)
class Rules:
    """The choices between rows and contrasts; none has a default but the names of the self-controlled trials.

    Attributes
    ----------
    basis
        Preferred numbers: ``follow_up`` levels or ``change`` from baseline. Trials with only the other kind
        stay, with a flag, unless ``strict``: in a randomised trial both estimate the same difference.
    strict
        Leave out trials that give only the other kind.
    correlation
        Between baseline and follow-up of one person, to derive the SD of a change.
    pair_correlation
        Between the two sides of one person in self-controlled trials.
    missing_sd
        ``median``: the median of the printed SDs of the same indication, construct and basis, flagged;
        ``drop``: leave the trial out.
    shared_control
        Several treated arms: ``combine`` them, and several controls, into one group each (Cochrane
        Handbook, section 6.5.2.10), or ``split`` the control's persons evenly among the treated arms
        (section 23.3.4).
    """

    basis: Basis
    strict: bool
    correlation: float
    pair_correlation: float
    missing_sd: MissingSd
    shared_control: SharedControl
    self_controlled: tuple[str, ...] = SELF_CONTROLLED

    def __post_init__(self) -> None:
        choice("basis", self.basis, Basis)
        choice("missing_sd", self.missing_sd, MissingSd)
        choice("shared_control", self.shared_control, SharedControl)
        for field in ("correlation", "pair_correlation"):
            if not -1 < getattr(self, field) < 1:
                problem = Problem(
                    "is no correlation", field=field, value=getattr(self, field), allowed="-1 to 1"
                )
                raise InputError(problem)


@dataclass(frozen=True)
class Group:
    """One side of a contrast: mean, SD and persons on 0-100, and the visits and derivations behind them."""

    arms: tuple[str, ...]
    n: float
    mean: float
    sd: float
    basis: Basis
    baseline_month: float | None
    instruments: tuple[str, ...]
    references: tuple[str, ...]
    flags: tuple[str, ...]


class Unusable(Exception):
    """A trial that cannot enter, with the reason."""


def usable(row: Outcome, construct: str) -> bool:
    """Say whether a row is a primary score of the construct (not a share of patients or a ratio)."""
    return (
        row.analysis_set == "primary"
        and row.construct == construct
        and row.scale_kind == "score"
        and row.statistic not in ("percent", "ratio_between_arms")
    )


def observed_correlations(evidence: Evidence, indication: str, construct: str) -> tuple[float, ...]:
    """Return the correlations of baseline with follow-up implied by arms that print all three SDs.

    One value an arm, instrument and visit, whatever its analysis set; empty where no arm prints the SD of
    baseline, follow-up and change. Several values of one trial are not independent; a median of few says
    little.
    """
    found = []
    for trial in evidence.trials:
        rows = [r for r in evidence.outcomes_of(trial.trial_id) if r.construct == construct and r.sd]
        rows = [r for r in rows if trial.indication == indication and r.scale_kind == "score"]
        levels = {(r.arm_id, r.instrument, r.time_months): r.common.sd for r in rows if r.statistic == "mean"}
        for row in rows:
            before = levels.get((row.arm_id, row.instrument, 0.0))
            after = levels.get((row.arm_id, row.instrument, row.time_months))
            if row.statistic == "mean_change" and before and after and row.common.sd:
                found.append(float(baseline_correlation(before, after, row.common.sd)[0]))
    return tuple(found)


def group_of(evidence: Evidence, indication: str, row: Outcome, arm: Arm, rules: Rules) -> Group:
    """Bring an arm at a visit to mean, SD and n on the wanted basis where its rows allow."""
    n = row.n or arm.n
    if n is None:
        raise Unusable(f"arm {arm.arm_id} without a number of persons")
    if n < 2:
        raise Unusable(f"arm {arm.arm_id} has one person")
    flags: list[str] = [] if row.n else ["n of the arm at baseline"]
    mean, sd = _mean_and_sd(row, n, flags)
    basis: Basis = "follow_up" if row.is_level else "change"
    before = None
    if rules.basis == "change" and row.is_level:
        before = next(
            (
                r
                for r in evidence.outcomes_of(row.trial_id, row.arm_id)
                if r.time_months == 0
                and r.instrument == row.instrument
                and r.is_level
                and usable(r, row.construct)
            ),
            None,
        )
        if before is not None:
            start, start_sd = _mean_and_sd(before, n, flags)
            mean, basis = mean - start, "change"
            if sd is not None and start_sd is not None:
                sd = float(change_sd(start_sd, sd, rules.correlation)[0])
                flags.append(f"SD of change with correlation {rules.correlation:g}")
            else:
                sd = None
    if basis != rules.basis:
        if rules.strict:
            raise Unusable(f"only {basis.replace('_', '-')} numbers")
        flags.append(f"{basis.replace('_', '-')} in place of {rules.basis.replace('_', '-')}")
    if sd is None:
        sd = _imputed(evidence, indication, row.construct, basis, rules, flags)
    rows = (row, before) if before is not None else (row,)
    return Group(
        arms=(arm.arm_id,),
        n=n,
        mean=mean,
        sd=sd,
        basis=basis,
        baseline_month=None if before is None else before.time_months,
        instruments=(row.instrument,),
        references=tuple(dict.fromkeys(r.reference_id for r in rows)),
        flags=tuple(flags),
    )


def _mean_and_sd(row: Outcome, n: int, flags: list[str]) -> tuple[float, float | None]:
    """Return mean and SD on 0-100; the SD is ``None`` where nothing printed gives one."""
    numbers: Common = row.common
    mean, sd = numbers.value, numbers.sd
    quartiles = numbers.iqr_low is not None and numbers.iqr_high is not None
    if row.statistic.startswith("median"):
        if quartiles and numbers.iqr_low <= mean <= numbers.iqr_high:  # type: ignore[operator]
            mean = float(mean_from_quartiles(numbers.iqr_low, mean, numbers.iqr_high, n)[0])  # type: ignore[arg-type]
            flags.append("mean from median and quartiles (Luo 2018)")
        else:
            flags.append("median taken as mean")
    if not sd and numbers.se:
        sd = float(sd_from_se(numbers.se, n)[0])
        flags.append("SD from SE")
    if (
        not sd
        and numbers.ci_low is not None
        and numbers.ci_high is not None
        and numbers.ci_high > numbers.ci_low
    ):
        sd = float(sd_from_interval(numbers.ci_low, numbers.ci_high, n)[0])
        flags.append("SD from the 95 % interval")
    if not sd and quartiles and numbers.iqr_high > numbers.iqr_low:  # type: ignore[operator]
        sd = float(sd_from_quartiles(numbers.iqr_low, numbers.iqr_high, n)[0])  # type: ignore[arg-type]
        flags.append("SD from quartiles (Wan 2014)")
    return mean, sd or None


def _imputed(
    evidence: Evidence, indication: str, construct: str, basis: Basis, rules: Rules, flags: list[str]
) -> float:
    if rules.missing_sd == "drop":
        raise Unusable("no standard deviation")
    known = [
        row.common.sd
        for row in evidence.outcomes
        if usable(row, construct)
        and row.sd
        and row.is_level == (basis == "follow_up")
        and row.statistic != "difference_between_arms"
        and (row.time_months > 0 or basis == "change")
        and evidence.trial(row.trial_id).indication == indication
    ]
    values = [sd for sd in known if sd is not None]
    if not values:
        raise Unusable("no standard deviation, and none to impute from")
    flags.append(f"SD imputed: median {median(values):.1f} of {len(values)} rows")
    return float(median(values))


def combined(groups: list[Group]) -> Group:
    """Combine groups into one, keeping the spread between their means (Cochrane Handbook, table 6.5.a)."""
    if len(groups) == 1:
        return groups[0]
    n = np.array([group.n for group in groups])
    means, sds = np.array([group.mean for group in groups]), np.array([group.sd for group in groups])
    mean = float(np.average(means, weights=n))
    squares = float(np.sum((n - 1) * sds**2 + n * (means - mean) ** 2))
    return Group(
        arms=tuple(arm for group in groups for arm in group.arms),
        n=float(n.sum()),
        mean=mean,
        sd=float(np.sqrt(squares / (n.sum() - 1))),
        basis=groups[0].basis,
        baseline_month=groups[0].baseline_month,
        instruments=tuple(dict.fromkeys(name for group in groups for name in group.instruments)),
        references=tuple(dict.fromkeys(ref for group in groups for ref in group.references)),
        flags=(
            *dict.fromkeys(flag for group in groups for flag in group.flags),
            f"{len(groups)} arms combined",
        ),
    )
