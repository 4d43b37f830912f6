"""How many patients a trial needs: chance of success against its size, on the same virtual patients.

An arm's first patients are the same whatever its size, so one simulation of the largest trial serves every smaller one:
its first patients are analysed again and again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.simulation import PATIENTS_A_BATCH, Results, in_batches
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import Plan
from stemtrial.trial.protocol import Trial

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
    stopping
        By scenario, share of trials that end at each look at the main visit, (sizes, looks).
    expected
        By scenario, mean number of patients analysed at the end, (sizes,).
    allocation
        Chances of the trial's own size by share of patients in the experimental arm, if asked for.
    """

    months: tuple[float, ...]
    main: int
    curves: dict[str, tuple[Curve, ...]]
    stopping: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    allocation: "Allocation | None" = None

    @property
    def best_month(self) -> float:
        """Visit at which the largest trial is most likely to succeed under the model."""
        return self.months[int(np.argmax([curve.share[-1] for curve in self.curves["assurance"]]))]


@dataclass(frozen=True)
class Allocation:
    """Chance of success of one number of patients, by how they are shared.

    Attributes
    ----------
    n
        Patients in both compared arms.
    experimental
        Share in the experimental arm, increasing.
    curves
        By scenario; their sizes are the patients of the experimental arm.
    """

    n: int
    experimental: tuple[float, ...]
    curves: dict[str, Curve]

    @property
    def best(self) -> float:
        """Share with the highest assurance."""
        return self.experimental[int(np.argmax(self.curves["assurance"].share))]


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
    return resized(
        trial, *(max(2, round(trial.arms[arm].n * factor)) for arm in trial.question.compare[::-1])
    )


def resized(trial: Trial, comparator: int, experimental: int) -> Trial:
    """Return the trial with other numbers of patients in the compared arms, each arm having exactly its own."""
    data = trial.model_dump(mode="json") | {"randomisation": None}
    for arm, n in ((trial.comparator, comparator), (trial.experimental, experimental)):
        data["arms"][arm]["n"] = n
    return Trial.model_validate(data)


def _chances(plan: Plan, pairs: Sequence[tuple[int, int]], seed: int, replicates: np.ndarray) -> Results:
    """Success by scenario, (replicates, visits, pairs), and look of the end at the main visit, (replicates, pairs)."""
    trial, looks, visits = plan.trial, plan.looks, range(len(plan.trial.visits_months))
    names = (trial.comparator, trial.experimental)
    casts = {arm: plan.cast(arm, seed, replicates) for arm in names}
    drawn, mean = plan.belief.draw(seed, replicates), plan.belief.typical(replicates)
    inert = {arm: plan.inert.get(arm, plan.schedules[arm]) for arm in names}
    found = {}
    for scenario, schedules, constants in zip(
        SCENARIOS, (plan.schedules, plan.schedules, inert), (drawn, mean, drawn), strict=True
    ):
        nothing = scenario == "type_one_error"
        arms = [plan.follow(casts[arm], schedules[arm], constants, inert=nothing) for arm in names]
        analysed = {
            seen: plan.analyse(arms[0], arms[1], seen)
            for seen in {(a, b) for pair in pairs for a, b in looks.patients(pair)}
        }
        ends: list[list[Verdict]] = [
            [looks.end([analysed[a, b][v] for a, b in looks.patients(pair)]) for v in visits]
            for pair in pairs
        ]
        shown = np.array([[verdict.shown for verdict in pair] for pair in ends])
        found[scenario] = np.moveaxis(shown, 2, 0).swapaxes(1, 2)
        found[f"{scenario}/look"] = np.stack([pair[plan.main_visit].look for pair in ends], axis=1)
    return found


def search(
    plan: Plan,
    sizes: Sequence[int],
    replicates: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
    shares: Sequence[float] = (),
) -> Search:
    """Chance of success of the trial at several sizes, interim looks included.

    Parameters
    ----------
    plan
        The trial; the ratio of its compared arms is kept, other arms are left out.
    sizes
        Patients in both compared arms together, increasing.
    replicates, seed, workers, progress
        Virtual trials, seed of all draws, threads, and what to call with the number finished.
    shares
        Shares of patients in the experimental arm, at the trial's own size, increasing.

    Raises
    ------
    InputError
        For sizes that do not increase or leave an arm, or its first look, with fewer than four patients.
    """
    trial = plan.trial
    control, treated = trial.arms[trial.comparator].n, trial.arms[trial.experimental].n
    declared = control + treated
    pairs = [(round(control * size / declared), round(treated * size / declared)) for size in sizes]
    shared = [(declared - round(declared * share), round(declared * share)) for share in shares]
    fewest = min(min(plan.looks.patients(pair)[0]) for pair in (*pairs, *shared))
    if list(sizes) != sorted(set(sizes)) or fewest < 4:
        raise InputError(
            Problem(
                "must increase and give every arm four patients or more", field="sizes", value=list(sizes),
                hint="look later, or consider larger trials" if trial.question.interim else None,
            )
        )  # fmt: skip
    every = [*pairs, *shared]
    largest = (max(a for a, _ in every), max(b for _, b in every))
    enough = Plan.of(resized(trial, *largest), plan.numerics, plan.belief)
    batch = max(1, PATIENTS_A_BATCH // max(largest))
    found = in_batches(
        lambda ids: _chances(enough, every, seed, ids), replicates, batch, workers, progress=progress
    )
    total, own = np.array([sum(pair) for pair in pairs]), len(pairs)
    curves = {
        name: tuple(Curve.of(total, found[name][:, v, :own]) for v in range(len(trial.visits_months)))
        for name in SCENARIOS
    }
    seen = np.array([[sum(look) for look in plan.looks.patients(pair)] for pair in pairs])
    stopping = {
        name: np.stack(
            [(found[f"{name}/look"][:, :own] == k).mean(axis=0) for k in range(plan.looks.number)], axis=1
        )
        for name in SCENARIOS
    }
    main = plan.main_visit
    allocation = None
    if shares:
        split = {
            name: Curve.of(np.array([b for _, b in shared]), found[name][:, main, own:]) for name in SCENARIOS
        }
        allocation = Allocation(declared, tuple(b / declared for _, b in shared), split)
    expected = {name: (share * seen).sum(axis=1) for name, share in stopping.items()}
    return Search(trial.visits_months, main, curves, stopping, expected, allocation)
