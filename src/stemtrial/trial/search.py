"""How many patients a trial needs: chance of success against its size, on the same virtual patients.

An arm's first patients are the same whatever its size, so one simulation of the largest trial serves every smaller one:
its first patients are analysed again and again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.simulation import PATIENTS_A_BATCH, Results, in_batches
from stemtrial.trial.alongside import EFFECTS, doses, factors
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.conduct import ArmRecord, Wanted
from stemtrial.trial.curves import Allocation, Curve, Further, Kind, Search
from stemtrial.trial.doseresponse import Range
from stemtrial.trial.looks import Verdict
from stemtrial.trial.plan import Plan
from stemtrial.trial.resizing import first_patients, resized
from stemtrial.trial.sharing import SharedVerdict, ended

SCENARIOS = ("assurance", "power", "type_one_error")
"""Constants drawn anew for each virtual trial; all at their mean; what is under question doing nothing."""


class _Analyses:
    """Comparisons of the arms of one scenario, each made once."""

    def __init__(self, plan: Plan, arms: Mapping[str, ArmRecord]) -> None:
        self._plan, self._arms = plan, arms
        self._made: dict[tuple[str, str, tuple[int, ...]], tuple[Comparison, ...]] = {}

    def path(
        self, experimental: str, comparator: str, sizes: Mapping[str, int]
    ) -> list[tuple[Comparison, ...]]:
        """Compare two arms at every look, one comparison a visit."""
        found = []
        for seen in self._plan.looks.patients([sizes[comparator], sizes[experimental]]):
            key = (experimental, comparator, seen)
            if key not in self._made:
                arms, (a, b) = self._arms, seen
                self._made[key] = self._plan.analyse(arms[comparator], arms[experimental], (a, b))
            found.append(self._made[key])
        return found


def _chances(
    plan: Plan, trials: Sequence[Mapping[str, int]], further: int, seed: int, replicates: np.ndarray
) -> Results:
    """Simulate the largest trial and analyse every smaller one among its first patients.

    Parameters
    ----------
    plan
        A trial with as many patients in every arm as any of those analysed.
    trials
        Patients by arm.
    further
        How many of the trials are analysed for every comparison, factor and dose.
    seed, replicates
        Address of the draws.

    Returns
    -------
    Mapping
        By scenario: success, (replicates, visits, trials); ``look`` at which each ends at the main visit, (replicates,
        trials); and where the question asks for them ``comparisons`` that are shown, ``factors`` that are shown, and
        ``doses``: whether a response is shown, then whether each is picked, (replicates, trials, ...).
    """
    question, looks, visits = plan.trial.question, plan.looks, range(len(plan.trial.visits_months))
    casts = {arm: plan.cast(arm, seed, replicates) for arm in plan.compared}
    drawn, mean = plan.belief.draw(seed, replicates), plan.belief.typical(replicates)
    inert = {arm: plan.inert.get(arm, plan.schedules[arm]) for arm in plan.compared}
    wanted, found = Wanted(plan.instruments, relief=False), dict[str, np.ndarray]()
    for scenario, schedules, constants in zip(
        SCENARIOS, (plan.schedules, plan.schedules, inert), (drawn, mean, drawn), strict=True
    ):
        nothing = scenario == "type_one_error"
        arms = {
            a: plan.follow(casts[a], schedules[a], constants, wanted=wanted, inert=nothing)
            for a in plan.compared
        }
        analyses = _Analyses(plan, arms)
        ends: list[list[Verdict]] = []
        for sizes in trials:
            paths = [analyses.path(e, c, sizes) for e, c in question.comparisons]
            ends.append([ended(question, looks, [[look[v] for look in p] for p in paths]) for v in visits])
        shown = np.array([[verdict.shown for verdict in trial] for trial in ends])
        found[scenario] = np.moveaxis(shown, 2, 0).swapaxes(1, 2)
        at_main = [trial[plan.main_visit] for trial in ends]
        found[f"{scenario}/look"] = np.stack([verdict.look for verdict in at_main], axis=1)
        if question.also_compare:
            rejected = [v.shared.rejected for v in at_main[:further] if isinstance(v, SharedVerdict)]
            found[f"{scenario}/comparisons"] = np.stack(rejected, axis=1)
        for sizes in trials[:further]:
            for name, values in _beside(plan, arms, sizes).items():
                before = found.get(f"{scenario}/{name}")
                values = values[:, None]
                found[f"{scenario}/{name}"] = (
                    values if before is None else np.concatenate([before, values], axis=1)
                )
    return found


def _beside(plan: Plan, arms: Mapping[str, ArmRecord], sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Analyse the factors and doses of a trial of some size; what is shown, (replicates, ...) each."""
    question = plan.trial.question
    if question.factorial is None and question.dose_response is None:
        return {}
    small = replace(plan, trial=resized(plan.trial, sizes))
    cut = {arm: first_patients(arms[arm], n) for arm, n in sizes.items()}
    found = {}
    if question.factorial is not None:
        found["factors"] = factors(small, cut)["shown"]
    if question.dose_response is not None:
        given, tested = Range.of(small.trial), doses(small, cut)
        shown = (tested["z"] > given.critical).any(axis=1)
        picked = [tested["picked"] == i for i in range(1, len(given.arms))]
        found["doses"] = np.stack([shown, *picked], axis=1)
    return found


def _happened(plan: Plan, found: Results, scenario: str) -> dict[tuple[Kind, str], np.ndarray]:
    """Whether everything that the question asks besides the success of the trial happens, (replicates, trials) each."""
    question, happened = plan.trial.question, dict[tuple[Kind, str], np.ndarray]()
    if question.also_compare:
        rejected = found[f"{scenario}/comparisons"]
        for i, (experimental, comparator) in enumerate(question.comparisons):
            happened["comparison", f"{experimental} minus {comparator}"] = rejected[:, :, i]
        happened["together", "any comparison"] = np.asarray(rejected.any(axis=2))
        happened["together", "all comparisons"] = np.asarray(rejected.all(axis=2))
    if question.factorial is not None:
        for i, effect in enumerate(EFFECTS):
            happened["factor", effect] = found[f"{scenario}/factors"][:, :, i]
    if question.dose_response is not None:
        tested = found[f"{scenario}/doses"]
        happened["dose_response", "dose response"] = tested[:, :, 0]
        for i, arm in enumerate(Range.of(plan.trial).arms[1:], 1):
            happened["dose", arm] = tested[:, :, i]
    return happened


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
        The trial; the ratio of the arms that its question names is kept, other arms are left out.
    sizes
        Patients in all these arms together, increasing.
    replicates, seed, workers, progress
        Virtual trials, seed of all draws, threads, and what to call with the number finished.
    shares
        Shares of the main comparison's patients in the experimental arm, at the trial's own size, increasing.

    Raises
    ------
    InputError
        For sizes that do not increase or leave an arm, or its first look, with fewer than four patients.
    """
    trial = plan.trial
    declared = {arm: trial.arms[arm].n for arm in plan.compared}
    pair = declared[trial.comparator] + declared[trial.experimental]
    own = [{a: round(n * size / sum(declared.values())) for a, n in declared.items()} for size in sizes]
    treated = [round(pair * share) for share in shares]
    shared = [declared | {trial.comparator: pair - n, trial.experimental: n} for n in treated]
    every = [*own, *shared]
    fewest = min(min(plan.looks.patients(list(each.values()))[0]) for each in every)
    if list(sizes) != sorted(set(sizes)) or fewest < 4:
        raise InputError(
            Problem(
                "must increase and give every arm four patients or more", field="sizes", value=list(sizes),
                hint="look later, or consider larger trials" if trial.question.interim else None,
            )
        )  # fmt: skip
    largest = {arm: max(each[arm] for each in every) for arm in declared}
    enough = Plan.of(resized(trial, largest), plan.numerics, plan.belief)
    batch = max(1, PATIENTS_A_BATCH // max(largest.values()))
    found = in_batches(
        lambda ids: _chances(enough, every, len(own), seed, ids),
        replicates,
        batch,
        workers,
        progress=progress,
    )
    total, count = np.array([sum(each.values()) for each in own]), len(own)
    curves = {
        name: tuple(Curve.of(total, found[name][:, v, :count]) for v in range(len(trial.visits_months)))
        for name in SCENARIOS
    }
    seen = np.array([[sum(look) for look in plan.looks.patients(list(each.values()))] for each in own])
    stopping = {
        name: np.stack(
            [(found[f"{name}/look"][:, :count] == k).mean(axis=0) for k in range(plan.looks.number)], axis=1
        )
        for name in SCENARIOS
    }
    main = plan.main_visit
    allocation = None
    if shares:
        split = {name: Curve.of(np.array(treated), found[name][:, main, count:]) for name in SCENARIOS}
        allocation = Allocation(pair, tuple(n / pair for n in treated), split)
    expected = {name: (share * seen).sum(axis=1) for name, share in stopping.items()}
    happened = {name: _happened(plan, found, name) for name in SCENARIOS}
    further = tuple(
        Further(kind, what, {name: Curve.of(total, happened[name][kind, what]) for name in SCENARIOS})
        for kind, what in happened["power"]
    )
    return Search(trial.visits_months, main, curves, stopping, expected, allocation, further)
