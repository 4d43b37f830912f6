"""How many patients a trial needs: chance of success against its size, on the same virtual patients.

An arm's first patients are the same whatever its size, so one simulation of the largest trial serves every smaller one:
its first patients are analysed again and again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.simulation import PATIENTS_A_BATCH, Results, in_batches
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan

SCENARIOS = ("assurance", "power", "type_one_error")
"""Constants drawn anew for each virtual trial; all at their mean; what is under question doing nothing."""


@dataclass(frozen=True)
class Curve:
    """Chance of success against the size of the trial.

    Attributes
    ----------
    sizes
        Patients in all arms that are compared, (sizes,).
    share
        Share of virtual trials that succeed, (sizes,).
    low, high
        95 % Wilson interval of the share from the number of virtual trials, (sizes,).
    """

    sizes: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, success: np.ndarray) -> "Curve":
        """Summarise ``success`` (replicates, sizes)."""
        n, z2 = len(success), 1.959964**2
        share = success.mean(axis=0)
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
        return cls(sizes, share, middle - half, middle + half)

    def size_for(self, target: float) -> "Answer":
        """Smallest size whose chance of success reaches the target, by interpolation of the rising curve.

        The shares are first made to rise with size (pooling of adjacent violators), since more patients never make a
        fixed design less likely to succeed by more than chance.
        """
        low, size, high = (self._crossing(curve, target) for curve in (self.high, self.share, self.low))
        return Answer(target, size, low, high, float(_rising(self.share)[-1]))

    def _crossing(self, curve: np.ndarray, target: float) -> int | None:
        rising = _rising(curve)
        if rising[-1] < target:
            return None
        at = int(np.argmax(rising >= target))
        if at == 0:
            return int(self.sizes[0])
        fraction = (target - rising[at - 1]) / (rising[at] - rising[at - 1])
        return int(np.ceil(self.sizes[at - 1] + fraction * (self.sizes[at] - self.sizes[at - 1])))


@dataclass(frozen=True)
class Answer:
    """Size that reaches a target, with the range left open by the number of virtual trials.

    ``size`` is ``None`` where no size that was tried reaches it, ``high`` where the lower limit of the curve does not;
    ``ceiling`` is the chance of success of the largest size.
    """

    target: float
    size: int | None
    low: int | None
    high: int | None
    ceiling: float


@dataclass(frozen=True)
class Search:
    """Curves by scenario and visit, for the endpoint's instrument.

    Attributes
    ----------
    months
        Visits, (visits,).
    main
        Index of the endpoint's visit.
    curves
        By scenario, one curve a visit.
    """

    months: tuple[float, ...]
    main: int
    curves: dict[str, tuple[Curve, ...]]

    @property
    def best_month(self) -> float:
        """Visit at which the largest trial is most likely to succeed under the model."""
        return self.months[int(np.argmax([curve.share[-1] for curve in self.curves["assurance"]]))]


def _rising(values: np.ndarray) -> np.ndarray:
    """Closest values, in least squares, that never fall (pooling of adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values.tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, weight = blocks.pop()
            before, count = blocks.pop()
            blocks.append([(value * weight + before * count) / (weight + count), weight + count])
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks])


def enlarged(trial: Trial, factor: float) -> Trial:
    """Return the trial with the arms that are compared larger by a factor, their ratio kept."""
    data = trial.model_dump(mode="json")
    for arm in trial.question.compare:
        data["arms"][arm]["n"] = max(2, round(trial.arms[arm].n * factor))
    return Trial.model_validate(data)


def _successes(plan: Plan, sizes: Sequence[tuple[int, int]], seed: int, replicates: np.ndarray) -> Results:
    """Success of every replicate by scenario, (replicates, visits, sizes)."""
    trial, question = plan.trial, plan.trial.question
    names = (trial.comparator, trial.experimental)
    casts = {arm: plan.cast(arm, seed, replicates) for arm in names}
    drawn, mean = plan.belief.draw(seed, replicates), plan.belief.typical(replicates)
    inert = {arm: plan.inert.get(arm, plan.schedules[arm]) for arm in names}
    found = {}
    for scenario, schedules, constants in zip(
        SCENARIOS, (plan.schedules, plan.schedules, inert), (drawn, mean, drawn), strict=True
    ):
        arms = [plan.follow(casts[arm], schedules[arm], constants) for arm in names]
        analyses = [plan.analyse(arms[0], arms[1], n) for n in sizes]
        success = [[visit.success(question.alpha, question.sides) for visit in size] for size in analyses]
        found[scenario] = np.moveaxis(np.array(success), 2, 0).swapaxes(1, 2)
    return found


def search(
    plan: Plan,
    sizes: Sequence[int],
    replicates: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Search:
    """Chance of success of the trial at several sizes.

    Parameters
    ----------
    plan
        The trial; the ratio of its compared arms is kept, other arms are left out.
    sizes
        Patients in both compared arms together, increasing.
    replicates, seed, workers, progress
        Virtual trials, seed of all draws, threads, and what to call with the number finished.

    Raises
    ------
    InputError
        For sizes that do not increase or leave an arm with fewer than four patients.
    """
    trial = plan.trial
    control, treated = trial.arms[trial.comparator].n, trial.arms[trial.experimental].n
    declared = control + treated
    pairs = [(round(control * size / declared), round(treated * size / declared)) for size in sizes]
    if list(sizes) != sorted(set(sizes)) or min(min(pair) for pair in pairs) < 4:
        raise InputError(
            Problem(
                "must increase and give every arm four patients or more", field="sizes", value=list(sizes)
            )
        )
    largest = Plan.of(enlarged(trial, sizes[-1] / declared), plan.numerics, plan.belief)
    batch = max(1, PATIENTS_A_BATCH // max(pairs[-1]))
    found = in_batches(
        lambda ids: _successes(largest, pairs, seed, ids), replicates, batch, workers, progress=progress
    )
    total = np.array([sum(pair) for pair in pairs])
    curves = {
        name: tuple(Curve.of(total, found[name][:, v]) for v in range(len(trial.visits_months)))
        for name in SCENARIOS
    }
    return Search(trial.visits_months, trial.visits_months.index(trial.question.endpoint.month), curves)
