"""Operating characteristics besides the three probabilities: looks, sample size, estimation, errors, time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemtrial.errors import NumericalError
from stemtrial.simulation import Results
from stemtrial.trial.alongside import EFFECTS
from stemtrial.trial.analysis import Comparison
from stemtrial.trial.bounds import Boundaries
from stemtrial.trial.conditional import conditional_power, predictive_power
from stemtrial.trial.doseresponse import Range
from stemtrial.trial.plan import Plan
from stemtrial.trial.sharing import Sharing

Json = dict[str, Any]

SCENARIOS = {"": "assurance", "null_": "type_one_error", "typical_": "power"}
"""Prefix of a scenario's results, and the probability of success that it gives: constants drawn anew for each virtual
trial; the same with what is under question doing nothing; all constants at their mean."""


def spread(values: np.ndarray) -> Json:
    """Mean and 95 % interval of finite values.

    Raises
    ------
    NumericalError
        Where there are none.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise NumericalError(
            "none of the virtual trials could be analysed; enrol more patients, or expect fewer to leave"
        )
    low, high = np.quantile(finite, [0.025, 0.975])
    return {"mean": float(finite.mean()), "q025": float(low), "q975": float(high)}


def probability(successes: np.ndarray) -> Json:
    """Share of successes with its Monte-Carlo standard error.

    The error is that of a proportion with one success and one failure added (Agresti and Coull 1998), so that it does
    not vanish at 0 or 1.
    """
    n = len(successes)
    share = float(successes.mean())
    shrunk = (successes.sum() + 1) / (n + 2)
    return {"value": share, "mc_se": float(np.sqrt(shrunk * (1 - shrunk) / n))}


def looks(plan: Plan, results: Results) -> list[Json]:
    """Every look, the last one included: its patients, its bounds, and how often the trial stops there.

    Bounds are on the scale of the test statistic, positive in favour of the experimental arm, and ``null`` where there
    is none. Shares of trials by scenario: those that stop for ``efficacy``, for an effect in the ``opposite`` direction
    or for ``futility`` there, and all that end there. ``conditional_power`` and ``predictive_power`` are those of the
    trials that go on after an interim look, over all constants: the chance of success at the end if the difference is
    as observed, and if it is as a flat prior leaves it; ``null`` at the last look.

    Where several comparisons share alpha, the bounds and the two powers are those of the main comparison with the share
    with which it begins, ``shares`` holds its bounds for every share it can have, and a trial stops for efficacy where
    it ends with any comparison shown.
    """
    bounds, trial = _bounds(plan), plan.trial
    sharing = Sharing.of(trial.question)
    sizes = {name: trial.arms[name].n for name in plan.schedules}
    found = []
    for k, seen in enumerate(plan.looks.patients(list(sizes.values()))):
        stopping = {}
        for prefix, scenario in SCENARIOS.items():
            here = results[f"{prefix}look"] == k
            several = f"{prefix}rejected" in results
            shown = here & (
                results[f"{prefix}rejected"].any(axis=1) if several else results[f"{prefix}shown"]
            )
            futile = here & results[f"{prefix}futile"]
            stopping[scenario] = {
                "efficacy": float(shown.mean()),
                "futility": float(futile.mean()),
                "opposite": float((here & results[f"{prefix}opposite"]).mean()),
                "ends_here": float(here.mean()),
            }
        upper, lower = float(bounds.upper[k]), float(bounds.lower[k])
        none = (0.0 if bounds.sides == 2 else -np.inf) if k < plan.looks.number - 1 else lower
        found.append(
            {
                "information": plan.looks.design.information[k],
                "patients": dict(zip(sizes, seen, strict=True)),
                "efficacy_z": upper if np.isfinite(upper) else None,
                "futility_z": lower if lower != none else None,
                "alpha_spent": float(bounds.alpha_spent[k]),
                "shares": None if sharing is None else _shares(sharing, k),
                "stopping": stopping,
                **_prospects(plan, results, k),
                "not_analysable": int(np.isnan(results["path"][:, k, 0]).sum()),
            }
        )
    return found


def _bounds(plan: Plan) -> Boundaries:
    """Boundaries of the main comparison, with the share of alpha with which it begins."""
    sharing = Sharing.of(plan.trial.question)
    return plan.looks.bounds if sharing is None else sharing.bounds(sharing.divisors[0])


def _shares(sharing: Sharing, look: int) -> list[Json]:
    """Efficacy bound of a look for every share of alpha that a comparison can have."""
    bounds = {divisor: float(sharing.critical[divisor, look]) for divisor in sharing.divisors}
    return [
        {"share": 1 / divisor, "efficacy_z": z if np.isfinite(z) else None} for divisor, z in bounds.items()
    ]


def _prospects(plan: Plan, results: Results, look: int) -> Json:
    """Conditional and predictive power of the trials that go on after a look."""
    z = plan.looks.statistic(_path(results, "")[look])
    going_on = z[(results["look"] > look) & np.isfinite(z)]
    if look == plan.looks.number - 1 or not len(going_on):
        return {"conditional_power": None, "predictive_power": None}
    bounds = _bounds(plan)
    return {
        "conditional_power": spread(conditional_power(bounds, look, going_on, None).power),
        "predictive_power": spread(predictive_power(bounds, look, going_on).power),
    }


def sample_size(plan: Plan, results: Results) -> Json:
    """Patients randomised: at most, and on average until the trial ends, by scenario."""
    return {
        "maximal": plan.trial.n,
        **{scenario: spread(results[f"{prefix}randomised"]) for prefix, scenario in SCENARIOS.items()},
    }


def _path(results: Results, prefix: str) -> list[Comparison]:
    """Comparisons of every look; p values are not kept."""
    path = results[f"{prefix}path"]
    nothing = np.full(path.shape[:1], np.nan)
    return [Comparison(path[:, k, 0], path[:, k, 1], path[:, k, 2], nothing) for k in range(path.shape[1])]


def estimation(plan: Plan, results: Results) -> Json:
    """Bias and coverage of the estimate at the end of a trial whose constants are at their mean.

    The truth is the mean estimate of the same trials followed to the end and with nobody leaving. The interval is that
    of the analysis, which takes no account of interim looks.
    """
    estimates = results["typical_estimate"]
    known = np.isfinite(estimates)
    complete = results["typical_complete"]
    truth, n = float(np.nanmean(complete)), int(known.sum())
    error = (estimates - complete)[known & np.isfinite(complete)]
    confidence = 1 - 2 * plan.trial.question.level
    ended = np.take_along_axis(results["typical_path"], results["typical_look"][:, None, None], axis=1)[:, 0]
    low, high = Comparison(ended[:, 0], ended[:, 1], ended[:, 2], ended[:, 0]).interval(confidence)
    return {
        "truth": truth,
        "truth_mc_se": float(np.nanstd(complete) / np.sqrt(n)),
        "mean": float(estimates[known].mean()),
        "bias": float(error.mean()),
        "bias_mc_se": float(error.std() / np.sqrt(len(error))),
        "rmse": float(np.sqrt(np.mean((estimates[known] - truth) ** 2))),
        "coverage": probability(((low <= truth) & (truth <= high))[known]),
        "confidence": confidence,
    }


def _success(plan: Plan, results: Results, shift: float) -> np.ndarray:
    """Success of the trials with constants at their mean, the main difference moved, (replicates,)."""
    path, sharing = _path(results, "typical_"), Sharing.of(plan.trial.question)
    if sharing is None:
        return plan.looks.end(path, shift).shown
    z = results["typical_z"].copy()
    z[:, 0] = np.stack([plan.looks.statistic(c, shift) for c in path], axis=-1)
    return np.asarray(sharing.follow(z).rejected[:, 0])


def error_at_margin(plan: Plan, results: Results) -> Json:
    """Share of trials that show what is not true, at its edge: the true difference moved to the margin.

    The estimates of the trials with constants at their mean are moved by what their true difference is away from the
    margin; of two margins the one with the larger share. Other comparisons stay as simulated: how often they are shown
    decides how much of alpha the main one gets.
    """
    truth = float(np.nanmean(results["typical_complete"]))
    hypothesis = plan.trial.question.margin
    edges = {hypothesis.null, -hypothesis.null} if hypothesis.kind == "equivalence" else {hypothesis.null}
    shares = [probability(_success(plan, results, edge - truth)) for edge in sorted(edges)]
    return max(shares, key=lambda share: float(share["value"]))


def misleading(plan: Plan, results: Results) -> Json:
    """How often a trial concludes what is not so in its own world, over all constants.

    The true difference of a virtual trial is that of its patients' true courses. ``shown_though_absent``: the trial
    shows what the true difference does not bear out. ``missed_though_important``: it does not show it though the true
    difference exceeds the margin by the smallest important change. ``exaggeration``: mean estimate of the trials that
    succeed over the mean of their true differences.
    """
    hypothesis, shown = plan.trial.question.margin, results["success"]
    truth = results["specific"] + results["contextual"]
    both_ways = hypothesis.kind == "equivalence"
    holds = np.asarray(np.abs(truth) < hypothesis.margin if both_ways else truth < hypothesis.null)
    clear = np.asarray(truth <= hypothesis.null - plan.mcid.value) & ~both_ways
    wrong, missed = shown & ~holds, ~shown & clear
    claimed = shown & np.isfinite(results["estimate"])
    mean_truth = float(truth[claimed].mean()) if claimed.any() else 0.0
    ratio = float(results["estimate"][claimed].mean()) / mean_truth if mean_truth else None
    return {
        **probability(wrong | missed),
        "shown_though_absent": probability(wrong),
        "missed_though_important": probability(missed),
        "exaggeration": ratio,
    }


def comparisons(plan: Plan, results: Results) -> list[Json]:
    """Every comparison of the question, all sharing alpha: its estimate and its chance of being shown, by scenario.

    Estimates are those at the look at which the trial ends. With interim looks, ``by_look`` says how often the
    comparison is shown at each look, by scenario.
    """
    found = []
    for i, (experimental, comparator) in enumerate(plan.trial.question.comparisons):
        several = bool(plan.trial.question.also_compare)
        estimates = results["estimates"][:, i] if several else results["estimate"]
        found.append(
            {
                "experimental": experimental,
                "comparator": comparator,
                "estimate": spread(estimates),
                **{
                    scenario: probability(
                        np.asarray(
                            results[f"{prefix}rejected"][:, i] if several else results[f"{prefix}success"]
                        )
                    )
                    for prefix, scenario in SCENARIOS.items()
                },
                "by_look": _shown_by_look(plan, results, i) if several else None,
            }
        )
    return found


def _shown_by_look(plan: Plan, results: Results, comparison: int) -> dict[str, list[float]]:
    return {
        scenario: [
            float((results[f"{prefix}shown_at"][:, comparison] == k).mean()) for k in range(plan.looks.number)
        ]
        for prefix, scenario in SCENARIOS.items()
    }


def together(plan: Plan, results: Results) -> Json | None:
    """Chances that any and that all of several comparisons are shown, by scenario; ``None`` for a single one.

    Under ``type_one_error``, ``any`` is the familywise error.
    """
    if not plan.trial.question.also_compare:
        return None
    return {
        scenario: {
            "any": probability(np.asarray(results[f"{prefix}rejected"].any(axis=1))),
            "all": probability(np.asarray(results[f"{prefix}rejected"].all(axis=1))),
        }
        for prefix, scenario in SCENARIOS.items()
    }


def estimands(plan: Plan, results: Results) -> dict[str, Json]:
    """Answer to the main comparison under every estimand, on the same patients; ``truth`` as in :func:`estimation`.

    Where several comparisons share alpha, they share it under every estimand.
    """
    found: dict[str, Json] = {}
    for i, estimand in enumerate(plan.trial.question.estimands):
        at = "" if i == 0 else f"{estimand}/"
        chances = {
            scenario: probability(results[f"{at}{prefix}success"]) for prefix, scenario in SCENARIOS.items()
        }
        found[estimand] = {
            "estimate": spread(results[f"{at}estimate"]),
            "truth": float(np.nanmean(results[f"{at}typical_complete"])),
            **chances,
        }
    return found


EXAMPLES = 20
"""Virtual trials that are shown one by one."""


def examples(plan: Plan, results: Results) -> list[Json]:
    """First virtual trials, over all constants, each as it would report itself.

    ``truth`` is the true difference of its own patients; the interval is that of the analysis, which takes no account
    of looks. Estimate and interval are ``null`` where the analysis was not possible.
    """
    confidence = 1 - 2 * plan.trial.question.level
    first = np.arange(min(EXAMPLES, len(results["success"])))
    ended = results["path"][first, results["look"][first]]
    low, high = Comparison(ended[:, 0], ended[:, 1], ended[:, 2], ended[:, 0]).interval(confidence)
    truth = results["specific"] + results["contextual"]

    def finite(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return [
        {
            "replicate": int(i),
            "information": plan.looks.design.information[int(results["look"][i])],
            "estimate": finite(ended[i, 0]),
            "low": finite(low[i]),
            "high": finite(high[i]),
            "confidence": confidence,
            "shown": bool(results["success"][i]),
            "truth": float(truth[i]),
        }
        for i in first
    ]


def time(results: Results) -> Json | None:
    """Duration of a trial from its first patient to its end, months, by scenario; ``None`` without recruitment."""
    if "duration" not in results:
        return None
    return {scenario: spread(results[f"{prefix}duration"]) for prefix, scenario in SCENARIOS.items()}


def cost(plan: Plan, results: Results) -> Json | None:
    """Cost of a trial by scenario; ``None`` without prices."""
    prices = plan.trial.conduct.prices
    if prices is None:
        return None
    found: Mapping[str, Json] = {s: spread(results[f"{prefix}cost"]) for prefix, s in SCENARIOS.items()}
    return {"currency": prices.currency, **found}


def factorial(plan: Plan, results: Results) -> Json | None:
    """Give main effects and interaction of a factorial design, by scenario; ``None`` for other designs.

    A main effect is the mean difference with and without the factor, negative if it is better with; the interaction is
    how far the effect of both together differs from the sum of their effects, tested both ways.
    """
    if plan.trial.question.factorial is None:
        return None
    return {
        effect: {
            "estimate": spread(results["factorial/estimates"][:, i]),
            **{
                s: probability(np.asarray(results[f"factorial/{p}shown"][:, i])) for p, s in SCENARIOS.items()
            },
        }
        for i, effect in enumerate(EFFECTS)
    }


def dose_response(plan: Plan, results: Results) -> Json | None:
    """Dose-ranging: whether a response is shown, in which shape, and how often each dose is picked, by scenario."""
    if plan.trial.question.dose_response is None:
        return None
    given = Range.of(plan.trial)
    names = [f"{i + 1} {c.shape}" for i, c in enumerate(given.candidates)]

    def chosen(key: str, labels: Sequence[str], prefix: str) -> Json:
        found = results[f"dose/{prefix}{key}"]
        counted = {label: probability(np.asarray(found == i)) for i, label in enumerate(labels)}
        return {**counted, "none": probability(np.asarray(found < 0))}

    by_scenario = {
        scenario: {
            "shown": probability(np.asarray((results[f"dose/{prefix}z"] > given.critical).any(axis=1))),
            "shape": chosen("shape", names, prefix),
            "picked": {k: v for k, v in chosen("picked", given.arms, prefix).items() if k != given.arms[0]},
        }
        for prefix, scenario in SCENARIOS.items()
    }
    return {
        "doses": dict(zip(given.arms, given.doses, strict=True)),
        "target": given.target,
        "critical_z": given.critical,
        "improvement": {a: spread(results["dose/improvement"][:, i]) for i, a in enumerate(given.arms) if i},
        **by_scenario,
    }


def boundary_factor(plan: Plan, results: Results) -> Json:
    """Find the factor on all efficacy bounds with which the level would be exact at the margin.

    Of several comparisons it is that of the main one, tested alone with all of alpha.

    Bounds come from normal theory; readings have ends, patients leave, and variances differ between arms. A factor
    above 1 says that the trial shows too much, below 1 that it is cautious. The interval is that of the order
    statistics of the quantile, 95 %. Two-sided trials count the side in favour of the experimental arm.

    Returns
    -------
    dict
        ``factor``, ``low``, ``high``; for equivalence a ``status``, since it has two margins.
    """
    hypothesis, bounds = plan.trial.question.margin, plan.looks.bounds
    if hypothesis.kind == "equivalence":
        return {"status": "not available for equivalence"}
    shift = hypothesis.null - float(np.nanmean(results["typical_complete"]))
    z = np.stack([plan.looks.statistic(c, shift) for c in _path(results, "typical_")], axis=1)
    if bounds.binding:
        given_up = np.logical_or.accumulate(z <= bounds.lower, axis=1)
        z = np.where(np.concatenate([np.zeros((len(z), 1), bool), given_up[:, :-1]], axis=1), -np.inf, z)
    furthest = np.sort(np.nanmax(np.where(np.isfinite(bounds.upper), z / bounds.upper, -np.inf), axis=1))
    n, level = len(furthest), plan.trial.question.level
    half = 1.959964 * np.sqrt(n * level * (1 - level))
    middle, low, high = (
        float(furthest[int(np.clip(np.ceil(n * (1 - level) + d) - 1, 0, n - 1))]) for d in (0.0, -half, half)
    )
    return {"factor": middle, "low": low, "high": high}


def power_function(plan: Plan, results: Results, benefits: Sequence[float]) -> list[Json]:
    """Chance of success if the true difference were this or that, whatever the model believes of the treatment.

    The estimates of the trials with constants at their mean are moved to the difference; everything else, such as the
    spread of the readings, dropout and looks, stays as simulated.

    Parameters
    ----------
    plan, results
        A trial and its replicates.
    benefits
        Points by which the experimental arm is truly better.

    Returns
    -------
    list of dict
        ``benefit``, ``value`` and ``mc_se``.
    """
    truth = float(np.nanmean(results["typical_complete"]))
    return [
        {"benefit": float(benefit), **probability(_success(plan, results, -benefit - truth))}
        for benefit in benefits
    ]


def detectable_benefit(function: Sequence[Json], target: float) -> float | None:
    """Smallest benefit whose chance of success reaches the target, by linear interpolation; ``None`` if none does.

    Examples
    --------
    >>> detectable_benefit([{"benefit": 0.0, "value": 0.0}, {"benefit": 10.0, "value": 1.0}], 0.8)
    8.0
    """
    benefits, shares = ([f[key] for f in function] for key in ("benefit", "value"))
    rising = np.maximum.accumulate(shares)
    if rising[-1] < target:
        return None
    at = int(np.argmax(rising >= target))
    if at == 0:
        return float(benefits[0])
    part = (target - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(benefits[at - 1] + part * (benefits[at] - benefits[at - 1]))
