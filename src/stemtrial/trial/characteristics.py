"""Operating characteristics of a trial from its replicates, and everything its report shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stemtrial.calibration.structures import STRUCTURES
from stemtrial.mechanism import equations
from stemtrial.mechanism.parameters import registry
from stemtrial.simulation import Results
from stemtrial.trial import adverse, operating, secondary
from stemtrial.trial.harms import detectable
from stemtrial.trial.operating import probability, spread
from stemtrial.trial.randomisation import described
from stemtrial.trial.replicates import IMPROVEMENTS, RESPONSES, Plan

Json = dict[str, Any]

INSTRUMENT_LABELS = {
    "VAS": "pain on a visual analogue scale (0-100)",
    "NRS": "pain on a numeric rating scale (0-10, shown on 0-100)",
    "WOMAC_pain": "WOMAC pain (0-100)",
    "WOMAC_function": "WOMAC function (0-100)",
}


NOTES = (
    "Quantiles of the time course run over patients of all virtual trials; other intervals over virtual trials.",
    "Pain is seen with fluctuation, a course of the patient's own and reading error; eligibility is decided on the "
    "reading, so regression to the mean is part of every arm's change.",
    "Shares of responders count the patients seen at the visit.",
    "The specific part is the difference between the arms in everything but the contextual response.",
)
"""How the numbers of a run are to be read, wherever its constants come from."""


def notes(plan: Plan) -> list[str]:
    """How the numbers of a run are to be read: where its constants come from, then :data:`NOTES`."""
    fitted = not plan.belief.label.startswith("prior")
    source = "posterior" if fitted else "prior"
    origin = (
        f"Constants are drawn from a posterior, {plan.belief.label}; what trials cannot tell comes from prior ranges."
        if fitted
        else "Constants are drawn from their prior ranges, most of them assumptions; they were not fitted to trials."
    )
    assurance = (
        f"Assurance is computed over the whole {source}; power with all constants at their {source} mean, in a trial "
        "without effects of its own; the type I error with the treatment under question doing nothing: the share of "
        "trials that declare it better."
    )
    return [origin, *shares_of_structures(plan.belief.structure_weights), *NOTES[:-1], assurance, NOTES[-1]]


def shares_of_structures(weights: Mapping[str, float] | None) -> list[str]:
    """Return the sentence on rival structures of the model, if they have been compared."""
    if weights is None:
        return []
    shares = ", ".join(
        f"{100 * weight:.0f} % {name} ({STRUCTURES[name].meaning})"
        for name, weight in sorted(weights.items())
    )
    return [
        f"Rival structures of the model share the draws as they predict trials left out: {shares}. Power is taken over "
        "those in which cells act."
    ]


def structure_weights(plan: Plan) -> Json:
    """Weights of the rival structures of the model, or a ``status`` where they were not compared."""
    known = plan.belief.structure_weights
    if known is None:
        return {"paracrine": 1.0, "status": "rival structures not compared"}
    return dict(known)


def _month(month: float) -> str:
    return f"{month:g}"


def summary_of_arms(plan: Plan, results: Results, harms: Mapping[str, Json]) -> Json:
    """Change, its true parts at the main visit, responders and harms of every arm, comparator first.

    Parts are means of true change in units of the endpoint: by context, by everything else, and, within the latter,
    by what is under question. They differ from the observed change by regression to the mean and by clipping.
    """
    arms: Json = {}
    for arm in plan.schedules:
        change, sd = results[f"{arm}/change"], results[f"{arm}/sd"]
        responders = {
            name: {"share": float(r.mean()), **{k: v for k, v in spread(r).items() if k != "mean"}}
            for name, r in zip(RESPONSES, results[f"{arm}/responders"].T, strict=True)
        }
        arms[arm] = {
            "n": plan.trial.arms[arm].n,
            "randomised": spread(results[f"{arm}/randomised"]),
            "change": {
                _month(month): {**spread(change[:, v]), "sd": float(sd[:, v].mean())}
                for v, month in enumerate(plan.trial.visits_months)
            },
            "parts": {part: spread(results[f"{arm}/{part}"]) for part in ("contextual", "specific", "cells")},
            "responders": responders,
            "harms": harms[arm],
            "adverse_events": adverse_events(plan, arm, results[f"{arm}/adverse"]),
            "detectable_harm": detectable(plan.trial.arms[arm].n),
        }
    return arms


def adverse_events(plan: Plan, arm: str, counts: np.ndarray) -> Json:
    """Adverse events that the virtual trials see in an arm, drawn from published risks.

    Parameters
    ----------
    plan, arm
        A trial and one of its arms.
    counts
        Patients with an event of each risk, and with any serious one, (replicates, risks + 1).

    Returns
    -------
    dict
        ``events`` by treatment and category, and ``serious``, patients with any event that is counted as serious:
        ``patients`` with ``mean``, ``q025`` and ``q975`` over virtual trials, and ``seen``, the share of them with at
        least one. ``not_counted`` names the treatments for which no published arm counts any.
    """

    def told(patients: np.ndarray) -> Json:
        return {"patients": spread(patients.astype(float)), "seen": probability(patients > 0)}

    risks = adverse.published_risks(plan.trial, arm)
    known = any(risk.category in adverse.SERIOUS for risk in risks)
    return {
        "events": [
            {
                "treatment": risk.treatment,
                "category": risk.category,
                "serious": risk.category in adverse.SERIOUS,
                **told(counts[:, i]),
                "source": risk.source,
            }
            for i, risk in enumerate(risks)
        ],
        "serious": told(counts[:, -1]) if known else {"status": "no published arm counts serious events"},
        "not_counted": list(adverse.without_counts(plan.trial, arm)),
    }


def summarise(plan: Plan, results: Results, harms: Mapping[str, Json]) -> Json:
    """Operating characteristics under the keys of the summary's contract."""
    estimate = spread(results["estimate"])
    return {
        "trial": plan.trial.title,
        "calibration": plan.belief.label,
        "arms": summary_of_arms(plan, results, harms),
        "contrast": {
            "estimate": estimate["mean"],
            "q025": estimate["q025"],
            "q975": estimate["q975"],
            "specific": spread(results["specific"]),
            "contextual": spread(results["contextual"]),
        },
        "assurance": probability(results["success"]),
        "power": probability(results["typical_success"]),
        "type_one_error": probability(results["null_success"]),
        "type_one_error_at_margin": operating.error_at_margin(plan, results),
        "expected_n": float(results["randomised"].mean()),
        "sample_size": operating.sample_size(plan, results),
        "looks": operating.looks(plan, results),
        "estimation": operating.estimation(plan, results),
        "misleading": operating.misleading(plan, results),
        "comparisons": operating.comparisons(plan, results),
        "together": operating.together(plan, results),
        "estimands": operating.estimands(plan, results),
        "factorial": operating.factorial(plan, results),
        "dose_response": operating.dose_response(plan, results),
        "secondary": secondary.summary(plan, results),
        "randomisation": described(plan.trial),
        "duration": operating.time(results),
        "cost": operating.cost(plan, results),
        "structure_weights": structure_weights(plan),
        "not_analysable": int(np.isnan(results["estimate"]).sum()),
    }


def _histogram(values: np.ndarray, edges: np.ndarray) -> Json:
    counts, _ = np.histogram(np.clip(values[np.isfinite(values)], edges[0], edges[-1]), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def flow(plan: Plan, arm: str, results: Results) -> Json:
    """Patients of an arm from randomisation to analysis, means over the replicates."""
    n = float(results[f"{arm}/randomised"].mean()) if plan.trial.randomisation else plan.trial.arms[arm].n
    dropped = results[f"{arm}/dropped"].mean(axis=0)
    return {
        "randomised": n,
        "treated": n,
        "rescued": float(results[f"{arm}/rescued"].mean()),
        "events": {
            kind: float(results[f"{arm}/events/{kind}"].mean())
            for kind in plan.trial.conduct.kinds_of_events(arm)
        },
        "dropped": {_month(m): float(d) for m, d in zip(plan.trial.visits_months, dropped, strict=True)},
        "analysed": float(results[f"{arm}/analysed"].mean()),
    }


def document(
    plan: Plan, results: Results, courses: Mapping[str, Mapping[str, np.ndarray]], trial_file: str
) -> Json:
    """Return the data of the report: everything its page shows besides summary and manifest."""
    from stemtrial.evidence import load

    trial, question = plan.trial, plan.trial.question
    evidence = load()
    reference = evidence.reference(plan.mcid.reference_id)
    arms: Json = {}
    for arm in plan.schedules:
        parts = results[f"{arm}/relief"]
        course = {
            name: dict(
                zip(("mean", "q025", "q25", "q50", "q75", "q975"), courses[arm][name].tolist(), strict=True)
            )
            for name in ("pain", "function")
        }
        improved = results[f"{arm}/improved"]
        low, high = np.quantile(improved, [0.025, 0.975], axis=0)
        arms[arm] = {
            "label": arm.replace("_", " "),
            "treatments": [str(t) for t in trial.arms[arm].treatments],
            "n": trial.arms[arm].n,
            "course": {"months": courses[arm]["months"].tolist(), **course},
            "relief": {
                "month": question.endpoint.month,
                "parts": {name: spread(parts[:, i]) for i, name in enumerate(equations.RELIEF)},
                "total": spread(parts.sum(axis=1)),
                "specific": spread(parts[:, 1:].sum(axis=1)),
                "of_which_cells": spread(results[f"{arm}/relief_by_cells"]),
            },
            "change_distribution": {
                "points": IMPROVEMENTS.tolist(),
                "share_at_least": improved.mean(axis=0).tolist(),
                "q025": low.tolist(),
                "q975": high.tolist(),
            },
            "flow": flow(plan, arm, results),
        }
    pooled = np.concatenate([results["estimate"], results["null_estimate"]])
    low, high = np.nanquantile(pooled, [0.001, 0.999])
    edges = np.linspace(np.floor(low), max(np.ceil(high), np.floor(low) + 1), 41)
    return {
        "title": trial.title,
        "indication": trial.indication,
        "calibration": plan.belief.label,
        "trial_file": trial_file,
        "comparator": trial.comparator,
        "experimental": trial.experimental,
        "endpoint": {
            "instrument": question.endpoint.instrument,
            "month": question.endpoint.month,
            "label": f"{INSTRUMENT_LABELS[question.endpoint.instrument]} at month {question.endpoint.month:g}",
        },
        "alpha": question.alpha,
        "sides": question.sides,
        "estimand": question.estimand,
        "analysis": question.analysis,
        "mcid": {
            "points": plan.mcid.value,
            "instrument": plan.mcid.instrument,
            "population": plan.mcid.population,
            "reference_id": plan.mcid.reference_id,
            "citation": reference.citation,
        },
        "arms": arms,
        "contrast_course": [
            {"month": m, "estimate": s["mean"], "q025": s["q025"], "q975": s["q975"]}
            for m, s in zip(trial.visits_months, map(spread, results["estimate_by_visit"].T), strict=True)
        ],
        "estimates": {
            "histogram": _histogram(results["estimate"], edges),
            "null": _histogram(results["null_estimate"], edges),
        },
        "examples": operating.examples(plan, results),
        "parameters": [
            {
                "symbol": p.symbol, "meaning": p.meaning, "value": p.value, "low": p.low, "high": p.high,
                "unit": p.unit, "source": p.source, "quality": p.quality,
            }
            for p in registry().values()
        ],
        "evidence": {
            "trials": len(evidence.trials),
            "arms": len(evidence.arms),
            "outcomes": len(evidence.outcomes),
            "references": len(evidence.references),
            "hash": evidence.hash,
        },
        "notes": notes(plan),
    }  # fmt: skip
