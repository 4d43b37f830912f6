"""Virtual replicates of a trial: every arm simulated and analysed, reduced to a few numbers a replicate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief, belief
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.schedule import Kind, Schedule, schedule
from stemtrial.population.patients import Constants, People
from stemtrial.simulation import STANDARD_NUMERICS, Numerics, Results, treat
from stemtrial.trial.analysis import Comparison, ancova
from stemtrial.trial.capability import unavailable
from stemtrial.trial.conduct import ArmRecord, Chance, conduct_arm
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.protocol import Conduct, Trial

ARM_STRIDE = 1 << 21
"""Distance of the identities of patients of neighbouring arms, so that an arm's size shifts nobody else."""

IMPROVEMENTS = np.arange(-40, 101, 5)
"""Points of improvement at which the distribution of responses is taken."""

SMALL_SAMPLE: Final = "kenward_roger"
"""Standard error and degrees of freedom of the mixed model for repeated measures."""

RESPONSES = ("mcid", "thirty_percent", "fifty_percent")


@dataclass(frozen=True)
class Cast:
    """Patients of an arm and what chance does to them; the same in every scenario."""

    people: People
    chance: Chance


@dataclass(frozen=True)
class Plan:
    """A trial made ready to simulate.

    Attributes
    ----------
    trial
        The protocol.
    schedules
        By arm, in the order in which arms are shown.
    inert
        The same with what is under question doing nothing: the cells, or else whatever the experimental arm has and
        the comparator lacks. Only arms that change are in it.
    mcid
        Smallest important change of the endpoint, points of 0-100.
    belief
        Where the constants come from.
    numerics
        Time grid and floating-point type.
    """

    trial: Trial
    schedules: dict[str, Schedule]
    inert: dict[str, Schedule]
    mcid: scales.ImportantDifference
    belief: Belief
    numerics: Numerics = STANDARD_NUMERICS

    @classmethod
    def of(cls, trial: Trial, numerics: Numerics = STANDARD_NUMERICS, known: Belief | None = None) -> "Plan":
        """Make a trial ready, with what is known for its indication unless another belief is given.

        Raises
        ------
        InputError
            For what this version cannot simulate or analyse.
        """
        if problems := list(unavailable(trial)):
            raise InputError(*problems)
        schedules = {name: schedule(trial.arms[name].treatments) for name in trial.ordered_arms}
        experimental, comparator = schedules[trial.experimental], schedules[trial.comparator]
        under_question = {Kind.CELLS} & experimental.actions or experimental.actions - comparator.actions
        inert = {n: s.without(under_question) for n, s in schedules.items() if under_question & s.actions}
        mcid = scales.mcid(trial.question.endpoint.instrument, trial.indication)
        if mcid is None:
            raise InputError(
                Problem("has no important difference on record", field="question.endpoint.instrument",
                        value=trial.question.endpoint.instrument)
            )  # fmt: skip
        return cls(trial, schedules, inert, mcid, known or belief(trial.indication), numerics)

    def first_patient(self, arm: str) -> int:
        """Identity of the first patient of an arm."""
        return list(self.schedules).index(arm) * ARM_STRIDE

    def cast(self, arm: str, seed: int, replicates: np.ndarray, visits: int | None = None) -> Cast:
        """Draw the patients of an arm and their chance, for the trial's visits or another number of visits."""
        address = (seed, replicates, self.first_patient(arm), self.trial.arms[arm].n)
        visits = len(self.trial.visits_months) if visits is None else visits
        return Cast(People.draw(self.trial.population, *address), Chance.draw(visits, *address))

    def follow(
        self, cast: Cast, schedule: Schedule, constants: Constants, visits: Sequence[float] | None = None
    ) -> ArmRecord:
        """Simulate an arm on a schedule, measured at the trial's visits or at other months that include them."""
        patients, cohort = treat(cast.people, schedule, constants, self.numerics)
        protocol = self.trial.visits_months
        return conduct_arm(
            cohort,
            patients,
            constants,
            visits or protocol,
            protocol,
            self.trial.question.endpoint.month,
            self._conduct,
            cast.chance,
        )

    @property
    def _conduct(self) -> Conduct:
        """Rules of the trial; the hypothetical estimand asks what would be without rescue medicine."""
        if self.trial.question.estimand == "hypothetical":
            return self.trial.conduct.model_copy(update={"rescue_analgesia": None})
        return self.trial.conduct

    def reading(self, arm: ArmRecord, visit: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the endpoint at a visit and at baseline, 0-100, as the estimand wants it.

        A numeric rating scale knows whole tens only. Under the composite estimand a patient who has begun rescue
        medicine counts as not improved.
        """
        question = self.trial.question
        if question.endpoint.instrument == "NRS":
            outcome, baseline = np.round(arm.readings["VAS"][visit], -1), np.round(arm.baseline["VAS"], -1)
        else:
            name = question.endpoint.instrument
            outcome, baseline = arm.readings[name][visit], arm.baseline[name]
        if question.estimand == "composite":
            outcome = np.where(arm.rescued[visit], np.maximum(outcome, baseline), outcome)
        return outcome, baseline

    def analyse(
        self, comparator: ArmRecord, experimental: ArmRecord, n: tuple[int, int] | None = None
    ) -> tuple[Comparison, ...]:
        """Compare two arms at every visit by the trial's analysis.

        Parameters
        ----------
        comparator, experimental
            What was seen.
        n
            Analyse only so many of the first patients of each arm.

        Returns
        -------
        tuple of Comparison
            One a visit.
        """
        arms, visits = (comparator, experimental), range(len(self.trial.visits_months))
        first = n or (comparator.present.shape[2], experimental.present.shape[2])
        both = [[self.reading(arm, v) for v in visits] for arm in arms]
        y = tuple(np.stack([outcome[:, :k] for outcome, _ in r]) for r, k in zip(both, first, strict=True))
        x = tuple(r[0][1][:, :k] for r, k in zip(both, first, strict=True))
        seen = tuple(arm.present[:, :, :k] for arm, k in zip(arms, first, strict=True))
        if self.trial.question.analysis == "mmrm":
            joint = mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), SMALL_SAMPLE)
            return tuple(
                Comparison(joint.estimate[:, v], joint.se[:, v], joint.df[:, v], joint.p[:, v])
                for v in visits
            )
        return tuple(ancova((y[0][v], y[1][v]), (x[0], x[1]), (seen[0][v], seen[1][v])) for v in visits)

    def gains(self, record: ArmRecord, constants: Constants) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean true improvement of the endpoint by context, and in all, in points, (replicates,) each."""
        context, total = record.relief[0].mean(axis=1), record.relief.sum(axis=0).mean(axis=1)
        match self.trial.question.endpoint.instrument:
            case "WOMAC_pain":
                return constants["womac_slope"] * context, constants["womac_slope"] * total
            case "WOMAC_function":
                return constants["f_B"] * context, record.function_gain.mean(axis=1)
            case _:
                return context, total


Keep = Callable[[np.ndarray, Mapping[str, Cast], Mapping[str, ArmRecord]], None]


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
    question, trial = plan.trial.question, plan.trial
    last = trial.visits_months.index(question.endpoint.month)
    drawn = plan.belief.draw(seed, replicates)
    casts = {arm: plan.cast(arm, seed, replicates) for arm in plan.schedules}
    records = {arm: plan.follow(casts[arm], s, drawn) for arm, s in plan.schedules.items()}
    if keep is not None:
        keep(replicates, casts, records)
    twins = {arm: plan.follow(casts[arm], s, drawn) for arm, s in plan.inert.items()}
    comparator, experimental = records[trial.comparator], records[trial.experimental]

    by_visit = plan.analyse(comparator, experimental)
    main = by_visit[last]
    under_null = plan.analyse(
        twins.get(trial.comparator, comparator), twins.get(trial.experimental, experimental)
    )[last]
    mean = plan.belief.typical(replicates)
    control, treated = (
        plan.follow(casts[arm], plan.schedules[arm], mean) for arm in (trial.comparator, trial.experimental)
    )
    typical = plan.analyse(control, treated)[last]
    relief = {arm: record.relief.mean(axis=2).T for arm, record in records.items()}
    (context, total), (other_context, other_total) = (
        plan.gains(records[arm], drawn) for arm in (trial.experimental, trial.comparator)
    )
    results: dict[str, np.ndarray] = {
        "estimate": main.estimate,
        "se": main.se,
        "p": main.p,
        "success": main.success(question.alpha, question.sides),
        "estimate_by_visit": np.stack([c.estimate for c in by_visit], axis=1),
        "null_estimate": under_null.estimate,
        "null_success": under_null.success(question.alpha, question.sides),
        "typical_estimate": typical.estimate,
        "typical_success": typical.success(question.alpha, question.sides),
        "specific": (other_total - other_context) - (total - context),
        "contextual": other_context - context,
    }
    for arm, record in records.items():
        context, total = plan.gains(record, drawn)
        twin = twins.get(arm, record)
        results |= {f"{arm}/{k}": v for k, v in _reduce(plan, record, last).items()}
        results |= {
            f"{arm}/relief": relief[arm],
            f"{arm}/relief_by_cells": (twin.pain[last] - record.pain[last]).mean(axis=1),
            f"{arm}/contextual": -context,
            f"{arm}/specific": context - total,
            f"{arm}/cells": plan.gains(twin, drawn)[1] - total,
        }
    return results


def _reduce(plan: Plan, arm: ArmRecord, last: int) -> dict[str, np.ndarray]:
    """Summaries of one arm in every replicate."""
    seen = arm.present
    count = np.maximum(seen.sum(axis=2), 1)
    change = np.stack([np.subtract(*plan.reading(arm, v)) for v in range(len(seen))])
    mean = np.where(seen, change, 0).sum(axis=2) / count
    squares = np.where(seen, (change - mean[:, :, None]) ** 2, 0).sum(axis=2)
    gain, start, here = -change[last], plan.reading(arm, last)[1], seen[last]
    responses = [gain >= plan.mcid.value, gain >= 0.3 * start, gain >= 0.5 * start]
    at_least = gain[:, :, None] >= IMPROVEMENTS
    stays = np.concatenate([np.ones((1, *seen.shape[1:]), bool), seen])
    return {
        "change": mean.T,
        "sd": np.sqrt(squares / np.maximum(count - 1, 1)).T,
        "responders": np.stack([(r & here).sum(axis=1) / count[last] for r in responses], axis=1),
        "improved": (at_least & here[:, :, None]).sum(axis=1) / count[last][:, None],
        "dropped": (stays[:-1] & ~stays[1:]).sum(axis=2).T,
        "rescued": arm.rescued[-1].sum(axis=1),
        "analysed": here.sum(axis=1),
    }


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
    result = {}
    for arm, given in plan.schedules.items():
        record = plan.follow(plan.cast(arm, seed, replicates, len(months)), given, drawn, months)
        rows = {}
        for name, instrument in (("pain", "VAS"), ("function", "WOMAC_function")):
            values = np.concatenate([record.baseline[instrument][None], record.readings[instrument]])
            values = values.reshape(len(months) + 1, -1)
            rows[name] = np.vstack([values.mean(axis=1), np.quantile(values, QUANTILES, axis=1)])
        result[arm] = {"months": np.array([0.0, *months]), **rows}
    return result
