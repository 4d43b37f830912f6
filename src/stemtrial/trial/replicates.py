"""Virtual replicates of a trial: every arm simulated and analysed, reduced to a few numbers a replicate."""

from collections.abc import Callable, Mapping

import numpy as np

from stemtrial.simulation import Results
from stemtrial.trial import adverse, secondary
from stemtrial.trial.alongside import alongside, judge
from stemtrial.trial.conduct import EVERYTHING, ArmRecord, Wanted
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import SMALL_SAMPLE, Cast, Plan
from stemtrial.trial.question import Estimand
from stemtrial.trial.recruitment import ARM_STRIDE
from stemtrial.trial.timing import Calendar, ends

__all__ = [
    "ARM_STRIDE", "IMPROVEMENTS", "RESPONSES", "SMALL_SAMPLE", "Cast", "Keep", "Plan", "course_months",
    "courses", "simulate",
]  # fmt: skip

IMPROVEMENTS = np.arange(-40, 101, 5)
"""Points of improvement at which the distribution of responses is taken."""

RESPONSES = ("mcid", "thirty_percent", "fifty_percent")

Keep = Callable[[np.ndarray, Mapping[str, Cast], Mapping[str, ArmRecord]], None]


def scenarios(
    plan: Plan,
    casts: Mapping[str, Cast],
    seed: int,
    replicates: np.ndarray,
    estimand: Estimand,
    wanted: Wanted = EVERYTHING,
) -> dict[str, dict[str, ArmRecord]]:
    """Follow the same patients in every scenario, under the conduct that an estimand wants.

    Parameters
    ----------
    plan, casts, seed, replicates
        What to simulate, the patients, and the address of the draws.
    estimand
        Whose conduct.
    wanted
        What is measured under the model; elsewhere only what analyses read is.

    Returns
    -------
    dict
        What was seen by arm, under each prefix of :data:`stemtrial.trial.operating.SCENARIOS`; with constants at their
        mean, in compared arms only.
    """
    drawn, mean = plan.belief.draw(seed, replicates), plan.belief.typical(replicates)
    enrolled = {a: plan.enrol(cast, drawn) for a, cast in casts.items()}
    model = {
        a: plan.follow(casts[a], s, drawn, estimand=estimand, wanted=wanted, patients=enrolled[a])
        for a, s in plan.schedules.items()
    }
    read = Wanted(plan.instruments)
    inert = {
        a: plan.follow(
            casts[a],
            plan.inert.get(a, s),
            drawn,
            estimand=estimand,
            inert=True,
            wanted=read,
            patients=enrolled[a],
        )
        for a, s in plan.schedules.items()
        if plan.changes(a)
    }
    read = Wanted(plan.instruments, relief=False)
    typical = {
        a: plan.follow(casts[a], plan.schedules[a], mean, estimand=estimand, wanted=read)
        for a in plan.compared
    }
    return {"": model, "null_": {**model, **inert}, "typical_": typical}


def simulate(plan: Plan, seed: int, replicates: np.ndarray, keep: Keep | None = None) -> Results:
    """Simulate and analyse replicates of a trial three times on the same patients.

    Under the model (constants drawn anew for each replicate: assurance), with what is under question doing nothing
    (type I error), and with all constants at their mean (power).

    Parameters
    ----------
    plan, seed, replicates
        What to simulate, and the address of the draws.
    keep
        Called with the replicates and, by arm, the patients and what was seen of them under the model.

    Returns
    -------
    Mapping
        Arrays whose first axis is the replicate; those of one arm are named ``ARM/...``.
    """
    question, trial, last = plan.trial.question, plan.trial, plan.main_visit
    casts = plan.casts(seed, replicates)
    read = Wanted(plan.instruments)
    wanted = read if keep is None else EVERYTHING
    followed = scenarios(plan, casts, seed, replicates, question.estimand, wanted)
    records, twins = followed[""], followed["null_"]
    if keep is not None:
        keep(replicates, casts, records)

    def compared(prefix: str) -> tuple[ArmRecord, ArmRecord]:
        return followed[prefix][trial.comparator], followed[prefix][trial.experimental]

    by_visit = plan.analyse(*compared(""))
    verdicts = {"": judge(plan, followed[""], final=by_visit[last])}
    verdicts |= {prefix: judge(plan, followed[prefix]) for prefix in ("null_", "typical_")}
    drawn = plan.belief.draw(seed, replicates)
    (context, total), (other_context, other_total) = (
        plan.gains(records[arm], drawn) for arm in (trial.experimental, trial.comparator)
    )
    results: dict[str, np.ndarray] = {
        "se": verdicts[""].found.se,
        "p": verdicts[""].found.p,
        "estimate_by_visit": np.stack([c.estimate for c in by_visit], axis=1),
        "typical_complete": plan.analyse(*compared("typical_"), visits=[last], complete=True)[0].estimate,
        "specific": (other_total - other_context) - (total - context),
        "contextual": other_context - context,
    }
    calendar = Calendar.of(plan, casts, seed, replicates)
    for prefix, verdict in verdicts.items():
        results |= {f"{prefix}{k}": v for k, v in _ended(verdict).items()}
        results |= {f"{prefix}{k}": v for k, v in ends(plan, verdict, calendar).items()}
    results |= alongside(
        plan, followed, verdicts, lambda e: scenarios(plan, casts, seed, replicates, e, read)
    )
    results |= secondary.analyse(plan, casts, followed)
    for arm, record in records.items():
        context, total = plan.gains(record, drawn)
        twin = twins[arm]
        results |= {f"{arm}/{k}": v for k, v in reduced(plan, arm, record, last).items()}
        results |= {
            f"{arm}/adverse": adverse_events(plan, arm, record, seed, replicates),
            f"{arm}/relief": record.mean(record.relief).T,
            f"{arm}/relief_by_cells": record.mean(twin.pain[last] - record.pain[last]),
            f"{arm}/contextual": -context,
            f"{arm}/specific": context - total,
            f"{arm}/cells": plan.gains(twin, drawn)[1] - total,
        }
    return results


def _ended(verdict: Verdict) -> dict[str, np.ndarray]:
    """How the replicates of one scenario ended; ``path`` holds estimate, error and degrees of freedom of every look."""
    path = [np.stack([c.estimate, c.se, c.df], axis=-1) for c in verdict.looks]
    return {
        "estimate": verdict.found.estimate,
        "success": verdict.shown,
        "shown": verdict.shown,
        "opposite": verdict.opposite,
        "look": verdict.look,
        "futile": verdict.futile,
        "path": np.stack(path, axis=1),
    }


def reduced(plan: Plan, name: str, arm: ArmRecord, last: int) -> dict[str, np.ndarray]:
    """Summaries of one arm in every replicate; events that the estimand does away with happen to nobody."""
    visits = range(len(arm.present))
    seen = np.stack([plan.seen(arm, v) for v in visits])
    count = np.maximum(seen.sum(axis=2), 1)
    change = np.stack([np.subtract(*plan.reading(arm, v)) for v in visits])
    mean = np.where(seen, change, 0).sum(axis=2) / count
    squares = np.where(seen, (change - mean[:, :, None]) ** 2, 0).sum(axis=2)
    gain, start, here = -change[last], plan.reading(arm, last)[1], seen[last]
    responses = [gain >= plan.mcid.value, gain >= 0.3 * start, gain >= 0.5 * start]
    at_least = gain[:, :, None] >= IMPROVEMENTS
    stays = np.concatenate([arm.taken[None], arm.present])
    nobody = np.zeros(len(count[last]), np.int64)
    kinds = plan.trial.conduct.kinds_of_events(name)
    return {
        "change": mean.T,
        "sd": np.sqrt(squares / np.maximum(count - 1, 1)).T,
        "responders": np.stack([(r & here).sum(axis=1) / count[last] for r in responses], axis=1),
        "improved": (at_least & here[:, :, None]).sum(axis=1) / count[last][:, None],
        "randomised": arm.taken.sum(axis=1),
        "dropped": (stays[:-1] & ~stays[1:]).sum(axis=2).T,
        "rescued": arm.rescued[-1].sum(axis=1),
        "analysed": here.sum(axis=1),
        **{
            f"events/{kind}": arm.events[kind][-1].sum(axis=1) if kind in arm.events else nobody
            for kind in kinds
        },
    }


def adverse_events(plan: Plan, arm: str, record: ArmRecord, seed: int, replicates: np.ndarray) -> np.ndarray:
    """Count the patients with an event of each risk of an arm, and with any serious one, (replicates, risks + 1)."""
    risks = adverse.published_risks(plan.trial, arm)
    taken = record.taken
    happened = adverse.events(risks, seed, replicates, plan.first_patient(arm), taken.shape[1]) & taken
    serious = happened[[risk.category in adverse.SERIOUS for risk in risks]].any(axis=0)
    return np.asarray(np.concatenate([happened, serious[None]]).sum(axis=2).T)


def course_months(horizon: float) -> list[float]:
    """Months at which the time course is drawn: closer in the first weeks."""
    early = [0.25, 0.5, 1.0, 1.5, 2.0]
    return [
        m
        for m in [*early, *np.arange(3.0, horizon + 1e-9, 1.0 if horizon <= 12 else 2.0).tolist()]
        if m <= horizon
    ]


QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


def courses(plan: Plan, seed: int, replicates: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Distribution of pain and function over time among the patients of all given replicates.

    Returns
    -------
    dict
        By arm: ``months`` and, for ``pain`` and ``function``, mean and quantiles as rows (6, months).
    """
    trial = plan.trial
    months = sorted({*course_months(trial.horizon_months), *trial.visits_months})
    drawn = plan.belief.draw(seed, replicates)
    result, casts = {}, plan.casts(seed, replicates, len(months))
    for arm, given in plan.schedules.items():
        record = plan.follow(casts[arm], given, drawn, months)
        rows = {}
        for name, instrument in (("pain", "VAS"), ("function", "WOMAC_function")):
            values = np.concatenate([record.baseline[instrument][None], record.readings[instrument]])
            values = values[:, record.taken]
            rows[name] = np.vstack([values.mean(axis=1), np.quantile(values, QUANTILES, axis=1)])
        result[arm] = {"months": np.array([0.0, *months]), **rows}
    return result
