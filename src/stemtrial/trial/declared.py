"""The trial as its file declares it, for a design: operating characteristics, looks, and what drives its chance."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from stemtrial.simulation import PATIENTS_A_BATCH, in_batches
from stemtrial.trial import operating
from stemtrial.trial.drivers import chance, drivers
from stemtrial.trial.plan import Plan
from stemtrial.trial.replicates import simulate

BENEFITS = np.arange(0.0, 30.5, 0.5)
"""True benefits at which the power function is taken, points."""


def declared(
    plan: Plan,
    target: float,
    replicates: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Simulate a trial as declared and say what its design does.

    Parameters
    ----------
    plan
        The trial.
    target
        Chance of success wanted.
    replicates, seed, workers, progress
        Virtual trials, seed of all draws, threads, and what to call with the number finished.

    Returns
    -------
    dict
        ``n``, the three probabilities, ``type_one_error_at_margin``, ``sample_size``, ``looks``, ``estimation``,
        ``misleading``, ``comparisons``, ``together``, ``factorial``, ``dose_response``, ``duration`` and ``cost`` as
        in the summary of a run; ``boundary_factor``
        (:func:`stemtrial.trial.operating.boundary_factor`); ``mean_chance`` and ``drivers``
        (:mod:`stemtrial.trial.drivers`); ``power_function``, chance of success by true ``benefit``
        (:func:`stemtrial.trial.operating.power_function`), and ``detectable_benefit``, where it reaches the target.
    """
    batch = max(1, PATIENTS_A_BATCH // max(arm.n for arm in plan.trial.arms.values()))
    results = in_batches(lambda ids: simulate(plan, seed, ids), replicates, batch, workers, progress=progress)
    function = operating.power_function(plan, results, BENEFITS.tolist())
    return {
        "n": plan.trial.n,
        "assurance": operating.probability(results["success"]),
        "power": operating.probability(results["typical_success"]),
        "type_one_error": operating.probability(results["null_success"]),
        "type_one_error_at_margin": operating.error_at_margin(plan, results),
        "sample_size": operating.sample_size(plan, results),
        "looks": operating.looks(plan, results),
        "estimation": operating.estimation(plan, results),
        "misleading": operating.misleading(plan, results),
        "comparisons": operating.comparisons(plan, results),
        "together": operating.together(plan, results),
        "factorial": operating.factorial(plan, results),
        "dose_response": operating.dose_response(plan, results),
        "duration": operating.time(results),
        "cost": operating.cost(plan, results),
        "boundary_factor": operating.boundary_factor(plan, results),
        "power_function": function,
        "detectable_benefit": operating.detectable_benefit(function, target),
        "mean_chance": float(np.nanmean(chance(plan, results))),
        "drivers": [asdict(d) for d in drivers(plan, results, seed, np.arange(replicates))],
    }
