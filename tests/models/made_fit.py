"""A made document of a fit, for tests of its page."""

import numpy as np

from stemtrial.calibration.credibility import Check, Use, record
from stemtrial.calibration.scores import wilson

CONSTANTS = (
    ("ctx_Emax", "size of the contextual response", "points", "linear", 0.82),
    ("k_ctx", "speed of the contextual response", "1/day", "log", 0.55),
    ("k_B", "potency of cells", "1", "log", 0.31),
    ("f_ret", "cells retained in the joint after injection", "1", "linear", 0.02),
    ("k_death", "loss of cells", "1/day", "log", 0.04),
    ("omega_cell", "between-trial SD of the effect of cells", "1", "linear", 0.47),
)


def constant(symbol, meaning, unit, scale, contraction):
    prior = (
        {"median": 1.0, "low": 0.2, "high": 5.0}
        if scale == "log"
        else {"median": 10.0, "low": 2.0, "high": 18.0}
    )
    share = (1 - contraction) ** 0.5
    shrunk = (
        {k: float(np.exp(np.log(v) * share + 0.3)) for k, v in prior.items()}
        if scale == "log"
        else {k: 11 + (v - 10) * share for k, v in prior.items()}
    )
    return {"symbol": symbol, "meaning": meaning, "unit": unit, "scale": scale, "prior": prior, "posterior": shrunk,
            "contraction": contraction}  # fmt: skip


def arm(rng, name, full, unit, months):
    grid = np.linspace(0.25, max(months), 24) if len(months) > 1 else np.array(months)
    base = 60.0 if unit == "level" else 0.0
    middle = base - full * grid / (grid + 1.0)
    spread = 3.0 + 0.15 * grid
    bands = {q: (middle + z * spread).tolist()
             for q, z in (("q025", -1.96), ("q25", -0.67), ("q50", 0), ("q75", 0.67), ("q975", 1.96))}  # fmt: skip
    observed = [
        {
            "month": m,
            "value": float(base - full * m / (m + 1) + rng.normal(0, 3.5)),
            "se": None if m > 20 else 2.5,
        }
        for m in months
    ]
    return {
        "arm_id": name,
        "label": name,
        "unit": unit,
        "months": grid.tolist(),
        **bands,
        "observed": observed,
    }


def score(predictor, kind, rows, shares, crps, bias):
    coverage = [
        {"level": level, "share": round(share * rows) / rows,
         **dict(zip(("low", "high"), wilson(round(share * rows), rows), strict=True))}
        for level, share in zip((0.5, 0.8, 0.95), shares, strict=True)
    ]  # fmt: skip
    return {"predictor": predictor, "kind": kind, "trials": 30, "rows": rows, "coverage": coverage,
            "coverage_by_trial": [0.51, 0.8, 0.94], "crps": crps, "crps_se": 0.7, "crps_by_trial": crps - 0.4,
            "crps_by_trial_se": 0.8, "bias": bias, "bias_se": 1.4, "bias_by_trial": bias + 0.1,
            "bias_by_trial_se": 1.5}  # fmt: skip


def made_fit(seed=1):
    rng = np.random.default_rng(seed)
    trials = []
    for k in range(6):
        months = [[1.0, 3.0, 6.0, 12.0], [6.0], [3.0, 6.0, 12.0, 24.0]][k % 3]
        unit = "level" if k == 4 else "change"
        trials.append(
            {"trial_id": f"t{k}", "label": f"Trial {k} <2020>",
             "arms": [arm(rng, n, f, unit, months) for n, f in (("saline", 12.0), ("cells, 50 million", 24.0))]}
        )  # fmt: skip
    predictors = (("pooled mean", 8.9, (0.44, 0.74, 0.91), 1.4), ("time course", 7.9, (0.45, 0.78, 0.93), 1.0),
                  ("mechanism", 7.4, (0.52, 0.81, 0.95), 1.0))  # fmt: skip
    scores, pit, differences = [], [], []
    for kind, rows in (("arm", 180), ("contrast", 110)):
        for name, crps, shares, wide in predictors:
            scores.append(score(name, kind, rows, shares, crps, 0.6))
            values = rng.beta(1 / wide, 1 / wide, rows)
            pit.append({"predictor": name, "kind": kind, "values": values.tolist()})
        for name, crps, *_ in predictors[:2]:
            differences.append(
                {"predictor": "mechanism", "against": name, "kind": kind, "crps": 7.4 - crps, "se": 0.6,
                 "q025": -2.0, "q975": 0.2, "crps_by_trial": 7.4 - crps, "se_by_trial": 0.3,
                 "q025_by_trial": 6.8 - crps, "q975_by_trial": 8.0 - crps}
            )  # fmt: skip
    ranks = {symbol: rng.integers(0, 100, 200).tolist() for symbol, *_ in CONSTANTS}
    ranks["k_B"] = np.minimum(np.array(ranks["k_B"]) + 12, 99).tolist()
    checks = {
        "convergence": Check("met", "largest R-hat 1.004, smallest ESS 812, no divergences", "1.01, 400, 0"),
        "held_out_coverage": Check(
            "met", "95 % intervals held 95 %, 50 % intervals 52 %", "90 to 99 %, 40 to 60 %"
        ),
        "contraction": Check("reported", "4 of 6 constants contract by 10 % or more"),
        "external": Check("not met", "95 % intervals held 71 %", "90 to 99 %"),
    }
    use = Use("Does an injection of cells help more than saline?", "Planning of trials", "medium", "medium")
    return {
        "title": "Posterior for knee osteoarthritis", "label": "posterior, made for a test", "indication": "knee_oa",
        "fingerprint": "f" * 64, "evidence_hash": "e" * 64, "model_version": "1", "seed": 7,
        "command": "stemtrial validate --indication knee_oa --x '<b>'", "trials": 31, "arms": 64, "readings": 199,
        "diagnostics": [
            {"name": "Largest R-hat", "value": "1.004", "limit": "below 1.01", "met": True},
            {"name": "Smallest bulk ESS", "value": "812", "limit": "above 400", "met": True},
            {"name": "Divergences", "value": "0", "limit": "0", "met": True},
            {"name": "Wall time", "value": "14 min"},
        ],
        "constants": [constant(*c) for c in CONSTANTS], "predictive": trials,
        "held_out": {"mechanism": "mechanism", "scores": scores, "differences": differences, "pit": pit},
        "simulation_based": {"draws": 99, "ranks": ranks},
        "structures": [
            {"name": "immunomodulation", "elpd": -512.3, "difference": 0.0, "difference_se": 0.0, "optimum": 1.0,
             "weight": 0.62, "worst_k": 0.55},
            {"name": "trophic", "elpd": -514.0, "difference": -1.7, "difference_se": 1.1, "optimum": 0.0,
             "weight": 0.38, "worst_k": None},
        ],
        "credibility": record("knee", "f" * 64, use, checks, ["Pain only."]).as_dict(),
    }  # fmt: skip
