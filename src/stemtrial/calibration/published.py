"""The arms that the evidence tables describe, in the model's terms."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stemtrial.calibration.arms import Arms, LeftOut, Reading, TrialArm
from stemtrial.calibration.given import POOLED, given, grades_of
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.groups import SELF_CONTROLLED
from stemtrial.evidence.medians import mean_from_quartiles, sd_from_interval, sd_from_quartiles, sd_from_se
from stemtrial.evidence.schema import Arm, Common, Outcome, Trial
from stemtrial.evidence.tables import Evidence
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.mechanism.treatments import LONGEST_MONTHS, Indication

_MEDIAN_FACTOR = math.sqrt(math.pi / 2)  # standard error of a median over that of a mean, normal values
_Z95 = 1.959963984540054
_RESPONDER = re.compile(r"responder_.+_([0-9]+)pct")
COMPOSITE_RULES = {"OARSI_OMERACT_strict_responder_pct": 0.5}
"""Responder rules that are taken for a fraction of pain alone: the strict one wants pain or function halved."""

_DOUBTFUL_SPREAD = re.compile(r"spread may be")
_FROM_LAST = "visits counted from last injection"


def published_arms(evidence: Evidence, indication: Indication, construct: str = "pain") -> Arms:
    """Return the arms of an indication, from the primary rows of the tables.

    Scores become 0-100, lower better. SDs come from standard errors, intervals and quartiles where no SD was printed;
    a spread that its note doubts counts as unknown. A percent change becomes a change only where the baseline of the
    arm or of its trial is known. A baseline that was not printed follows from a change and the percent change of the
    same arm and visit. Visits counted from the last injection are moved to months since the first.

    Raises
    ------
    InputError
        If the tables hold no arm of the indication, or an impossible treatment.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> (arm, *_) = published_arms(load(), "knee_oa").of("vega_2015")
    >>> arm.dose_million, [(reading.month, reading.value) for reading in arm.readings][0]
    (40.0, (3.0, 40.599999999999994))
    """
    rows: dict[str, list[tuple[int, Outcome]]] = {}
    for number, row in enumerate(evidence.outcomes, 1):
        if row.construct == construct or (construct == "pain" and row.instrument in COMPOSITE_RULES):
            rows.setdefault(row.trial_id, []).append((number, row))
    arms: list[TrialArm] = []
    left_out: list[LeftOut] = []
    for trial in evidence.trials:
        if trial.indication in POOLED[indication]:
            found = _of_trial(evidence, trial, indication, rows.get(trial.trial_id, []))
            arms += found[0]
            left_out += found[1]
    if not arms:
        raise InputError(
            Problem(f"no arm has a usable reading of {construct}", field="indication", value=indication)
        )
    return Arms(indication, tuple(arms), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Baseline:
    mean: float
    sd: float | None
    note: str | None = None


def _of_trial(
    evidence: Evidence, trial: Trial, indication: Indication, rows: list[tuple[int, Outcome]]
) -> tuple[list[TrialArm], list[LeftOut]]:
    members = evidence.arms_of(trial.trial_id)
    by_arm = {arm.arm_id: [(k, row) for k, row in rows if row.arm_id == arm.arm_id] for arm in members}
    baselines = {arm.arm_id: _baseline(arm, by_arm[arm.arm_id]) for arm in members}
    of_trial = _mean_baseline([(arm, baselines[arm.arm_id]) for arm in members])
    arms, left_out = [], []
    for arm in members:
        follow_up = [
            (k, row) for k, row in by_arm[arm.arm_id] if row.analysis_set == "primary" and row.time_months > 0
        ]
        baseline = baselines[arm.arm_id]
        try:
            treatment = given(
                indication,
                arm.intervention,
                source=arm.cell_source,
                origin=arm.origin,
                product=arm.product,
                dose_million=arm.dose_million_cells,
                n_injections=arm.n_injections,
                months=arm.injection_times_months,
                adjunct=arm.carrier_or_adjunct,
            )
        except InputError as error:
            place = f"{trial.trial_id}.{arm.arm_id}"
            raise InputError(
                *(replace(p, file="arms.csv", field=f"{place}.{p.field}") for p in error.problems)
            ) from None
        reasons: Counter[str] = Counter()
        readings: dict[float, Reading] = {}
        if treatment.schedule is None:
            reasons[treatment.reason or ""] = len(follow_up)
        else:
            later = max((e.start for e in treatment.schedule.events), default=0.0) / DAYS_PER_MONTH
            for number, row in follow_up:
                reading = _reading(arm, row, number, baseline, of_trial, later)
                if isinstance(reading, str):
                    reasons[reading] += 1
                elif reading.month in readings:
                    reasons["a second number of the same visit"] += 1
                else:
                    readings[reading.month] = reading
        if not follow_up and not reasons:
            reasons["no primary number of it after treatment"] = 0
        left_out += [LeftOut(trial.trial_id, arm.arm_id, count, reason) for reason, count in reasons.items()]
        if not readings or treatment.schedule is None:
            continue
        notes = list(treatment.notes)
        grades = _grades(arm, indication, notes)
        if baseline and baseline.note:
            notes.append(baseline.note)
        arms.append(
            TrialArm(
                trial_id=trial.trial_id,
                arm_id=arm.arm_id,
                indication=indication,
                intervention=arm.intervention,
                schedule=treatment.schedule,
                source=arm.cell_source,
                origin=arm.origin,
                product=arm.product,
                dose_million=arm.dose_million_cells,
                n=arm.n or max((r.n for r in readings.values() if r.n), default=None),
                age_mean=arm.age_mean,
                female=None if arm.female_pct is None else arm.female_pct / 100,
                bmi_mean=arm.bmi_mean,
                grades=grades,
                baseline_mean=baseline.mean if baseline else None,
                baseline_sd=baseline.sd if baseline else None,
                blinding=trial.blinding,
                risk_of_bias=trial.risk_of_bias,
                randomised=trial.design == "rct",
                same_patients=trial.trial_id in SELF_CONTROLLED,
                readings=tuple(readings[month] for month in sorted(readings)),
                assumed=treatment.assumed,
                notes=tuple(notes),
            )
        )
    return arms, left_out


def _grades(arm: Arm, indication: Indication, notes: list[str]) -> Mapping[int, float] | None:
    """Return the shares of the grades, and note what cannot be read or was split."""
    text = arm.severity_distribution
    if text is None:
        return None
    try:
        grades = grades_of(text, indication)
    except ValueError:
        grades = None
    if grades is None:
        notes.append(f"grades on another scale: {text}")
    elif "-" in text:
        notes.append(f"grades printed as a range: {text}")
    return grades


def _baseline(arm: Arm, rows: list[tuple[int, Outcome]]) -> _Baseline | None:
    """Return the arm's pain before treatment, printed or derived from a change and its percentage."""
    for _, row in rows:
        if (
            row.time_months == 0
            and row.analysis_set == "primary"
            and row.is_level
            and row.scale_kind == "score"
        ):
            numbers = row.common
            n = row.n or arm.n
            sd, _, note = _spread(row, numbers, n)
            if row.statistic == "mean":
                return _Baseline(numbers.value, sd, note)
            if n and n > 1 and numbers.iqr_low is not None and numbers.iqr_high is not None:
                mean = float(mean_from_quartiles(numbers.iqr_low, numbers.value, numbers.iqr_high, n)[0])
                return _Baseline(mean, sd, "baseline mean and SD from median and quartiles")
            return _Baseline(numbers.value, sd, "baseline mean taken from a median")
    change = {
        row.time_months: row.common.value
        for _, row in rows
        if row.analysis_set == "primary" and row.statistic == "mean_change" and row.scale_kind == "score"
    }
    for _, row in rows:
        if row.time_months in change and _is_percent_change(row) and row.value < 0 > change[row.time_months]:
            mean = 100 * change[row.time_months] / row.value
            if mean <= 100:
                return _Baseline(mean, None, "baseline mean from a change and its percentage")
    return None


def _mean_baseline(baselines: Iterable[tuple[Arm, _Baseline | None]]) -> float | None:
    known = [(arm.n or 1, baseline.mean) for arm, baseline in baselines if baseline]
    return sum(n * mean for n, mean in known) / sum(n for n, _ in known) if known else None


def _is_percent_change(row: Outcome) -> bool:
    return row.instrument.endswith("percent_change") and row.statistic == "mean_change"


def _reading(
    arm: Arm, row: Outcome, number: int, baseline: _Baseline | None, of_trial: float | None, later: float
) -> Reading | str:
    """Return a row as a reading, or the reason why it is none."""
    counted_from_last = _FROM_LAST in (row.reliability_note or "")
    month = row.time_months + (later if counted_from_last else 0.0)
    if month > LONGEST_MONTHS:
        return f"follow-up beyond {LONGEST_MONTHS} months"
    if row.statistic in ("difference_between_arms", "ratio_between_arms"):
        return "a difference between arms, without the arms"
    n = row.n or arm.n
    notes = ["month counted from the first injection"] if counted_from_last else []
    found = Reading(
        month=month, instrument=row.instrument, kind="change", statistic="mean", value=0.0, n=n,
        reference_id=row.reference_id, row=number,
    )  # fmt: skip
    if row.statistic == "percent":
        rule = _RESPONDER.fullmatch(row.instrument)
        fraction = int(rule[1]) / 100 if rule else COMPOSITE_RULES.get(row.instrument)
        if fraction is None:
            return f"{row.instrument} names no threshold in points or per cent of pain"
        return replace(found, kind="responders", value=row.value / 100, threshold_fraction=fraction)
    if _is_percent_change(row):
        start = baseline.mean if baseline else of_trial
        if start is None:
            return "a percent change, with no baseline of the arm or the trial"
        notes.append(f"percent change of a baseline of {start:.1f}")
        sd = None if row.sd is None else row.sd * start / 100
        se = sd / math.sqrt(n) if sd and n else None
        return replace(found, value=row.value * start / 100, sd=sd, se=se, note="; ".join(notes))
    if row.scale_kind != "score":
        return f"{row.instrument} is no score"
    numbers = row.common
    sd, se, doubt = _spread(row, numbers, n)
    notes += [doubt] if doubt else []
    return replace(
        found,
        kind="level" if row.is_level else "change",
        statistic="median" if row.statistic in ("median", "median_change") else "mean",
        value=numbers.value,
        sd=sd,
        se=se,
        note="; ".join(notes) or None,
    )


def _spread(row: Outcome, numbers: Common, n: int | None) -> tuple[float | None, float | None, str | None]:
    """Return the SD between patients, the standard error of the statistic, and a note, on 0-100."""
    if not row.has_spread:
        return None, None, None
    if _DOUBTFUL_SPREAD.search(row.reliability_note or ""):
        return None, None, "printed spread not used: it may be mislabelled"
    median = row.statistic in ("median", "median_change")
    several = n is not None and n > 1
    sd, se, note = numbers.sd or None, numbers.se or None, None
    low, high = numbers.ci_low, numbers.ci_high
    if sd is None and se is None and low is not None and high is not None:
        if not low < high or not low <= numbers.value <= high:
            return None, None, "printed interval not used: it does not contain the estimate"
        if median or not several:
            se, note = (high - low) / (2 * _Z95), "standard error from the interval"
        else:
            sd, note = float(sd_from_interval(low, high, n or 0)[0]), "SD from the interval"
    low, high = numbers.iqr_low, numbers.iqr_high
    if sd is None and se is None and several and low is not None and high is not None and low < high:
        sd, note = float(sd_from_quartiles(low, high, n or 0)[0]), "SD from the quartiles"
    if sd is None and se is not None and several and not median:
        sd, note = float(sd_from_se(se, n or 0)[0]), note or "SD from the standard error"
    if se is None and sd is not None and n:
        se = sd / math.sqrt(n) * (_MEDIAN_FACTOR if median else 1.0)
    return sd, se, note
