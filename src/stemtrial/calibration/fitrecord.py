"""A finished fit as plain data: what goes into the posterior file, the page and the credibility record."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial import __version__
from stemtrial.calibration.arms import Arms
from stemtrial.calibration.credibility import Check, Use
from stemtrial.calibration.fit import LEAST_ESS, MOST_R_HAT, Fit, Settings
from stemtrial.calibration.mixture import Compared
from stemtrial.calibration.observed import arm_class
from stemtrial.calibration.posterior import model_fingerprint
from stemtrial.calibration.preview import Preview
from stemtrial.calibration.standard import LEARNED

GRADIENT_TOLERANCE = 1e-3
"""Largest accepted difference of the gradient from finite differences, relative to its length."""

TITLES = {"knee_oa": "knee osteoarthritis", "disc_degeneration": "disc degeneration"}

USE = Use(
    question="What mean change of pain will the arms of a trial show?",
    context="Planning of trials and of further evidence, beside other evidence; never decisions about a person.",
)
"""Stated of every posterior; influence and consequence are for whoever uses it."""

_TIMED = ("wall_seconds", "ess_per_second")


@dataclass(frozen=True)
class Fitted:
    """All of a fit that its outputs need.

    Attributes
    ----------
    arms
        What was fitted to.
    user_arms
        Names of arms that are the user's own, ``trial.arm``.
    evidence_hash
        Of the evidence tables.
    settings
        Length of the chains.
    fits, compared
        By structure.
    preview
        What was said beforehand.
    """

    arms: Arms
    user_arms: tuple[str, ...]
    evidence_hash: str
    settings: Settings
    fits: Mapping[str, Fit]
    compared: tuple[Compared, ...]
    preview: Preview

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the structures."""
        return {c.name: c.weight for c in self.compared}

    @property
    def best(self) -> Fit:
        """The fit of the weightiest structure."""
        return self.fits[max(self.compared, key=lambda c: c.weight).name]


def about(fitted: Fitted) -> dict[str, Any]:
    """Return what a posterior file says of itself: nothing that differs from run to run of the same fit."""
    rows = fitted.best.contraction()
    settings = fitted.settings
    return {
        "indication": fitted.arms.indication,
        "trials": fitted.preview.trials,
        "arms": fitted.preview.arms,
        "readings": fitted.preview.readings,
        "user_arms": list(fitted.user_arms),
        "evidence_hash": fitted.evidence_hash,
        "arms_hash": fitted.arms.hash,
        "model": model_fingerprint(fitted.arms.indication),
        "stemtrial": __version__,
        "seed": settings.seed,
        "settings": {"chains": settings.chains, "warmup": settings.warmup, "draws": settings.draws},
        "diagnostics": {
            name: {k: v for k, v in fit.diagnostics.items() if k not in _TIMED}
            for name, fit in fitted.fits.items()
        },
        "structure_weights": fitted.weights,
        "structures_compared": [c.to_dict() for c in fitted.compared],
        "contraction": [{k: row[k] for k in ("name", "contraction", "shift", "status")} for row in rows],
    }


def contraction_rows(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the contraction table of all structures, a row a structure and quantity."""
    return [{"structure": name, **row} for name, fit in fitted.fits.items() for row in fit.contraction()]


def constants(fit: Fit) -> list[dict[str, Any]]:
    """Return every quantity before and after a fit, as the page of a fit takes it."""
    shared = fit.draws.reshape(-1, fit.model.dimension)[:, : fit.shared]
    probabilities = (0.025, 0.5, 0.975)
    # every quantity rises with its own number, so its quantiles are those of the number, mapped
    before = np.sort(
        [fit.values(np.full(fit.shared, z)) for z in (-1.959963984540054, 0.0, 1.959963984540054)], axis=0
    )
    after = np.sort([fit.values(q) for q in np.quantile(shared, probabilities, axis=0)], axis=0)
    contraction = np.minimum(1 - shared.var(axis=0), 1.0)
    rows = []
    items: Sequence[Any] = fit.quantities
    for i, item in enumerate(items):
        logs = getattr(item, "log", getattr(item, "scale", "") == "log")
        rows.append(
            {
                "symbol": getattr(item, "symbol", getattr(item, "name", "")),
                "meaning": item.meaning,
                "unit": item.unit,
                "scale": "log" if logs and min(before[0, i], after[0, i]) > 0 else "linear",
                **{
                    name: dict(zip(("low", "median", "high"), map(float, table[:, i]), strict=True))
                    for name, table in (("prior", before), ("posterior", after))
                },
                "contraction": float(contraction[i]),
            }
        )
    return rows


def diagnostics(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the diagnostics of all structures with their limits, as the page of a fit takes them."""
    rows = []
    for name, fit in fitted.fits.items():
        d = fit.diagnostics
        limits: list[tuple[str, str, float, str, bool | None]] = [
            ("largest R-hat", "{:.3f}", d["r_hat_max"], f"below {MOST_R_HAT}", d["r_hat_max"] < MOST_R_HAT),
            ("smallest bulk ESS", "{:.0f}", d["ess_bulk_min"], f"above {LEAST_ESS:.0f}", d["ess_bulk_min"] > LEAST_ESS),
            ("smallest tail ESS", "{:.0f}", d["ess_tail_min"], f"above {LEAST_ESS:.0f}", d["ess_tail_min"] > LEAST_ESS),
            ("divergences", "{:.0f}", d["divergences"], "0", d["divergences"] == 0),
            ("gradients", "{:.0f}", d["gradients"], "", None),
            ("wall seconds", "{:.0f}", d["wall_seconds"], "", None),
            ("effective draws a second", "{:.2f}", d["ess_per_second"], "", None),
        ]  # fmt: skip
        rows += [
            {"name": f"{name}: {what}", "value": form.format(value), "limit": limit, "met": met}
            for what, form, value, limit, met in limits
        ]
    return rows


def checks(fitted: Fitted) -> dict[str, Check]:
    """Return what the fit itself says of the items of a credibility record."""
    ds = [fit.diagnostics for fit in fitted.fits.values()]
    worst = (max(d["r_hat_max"] for d in ds), min(min(d["ess_bulk_min"], d["ess_tail_min"]) for d in ds))
    divergences = sum(int(d["divergences"]) for d in ds)
    converged = worst[0] < MOST_R_HAT and worst[1] > LEAST_ESS and not divergences
    error = fitted.preview.gradient_error
    arms = fitted.arms.arms
    rows = fitted.best.contraction()
    learned = [row["name"] for row in rows if row["status"] == "learned"]
    classes = Counter(arm_class(arm).replace("_", " ") for arm in arms)
    months = [r.month for arm in arms for r in arm.readings]
    instruments = Counter(r.instrument for arm in arms for r in arm.readings)
    unknown = ", ".join(f"{name} {n}" for name, n in fitted.preview.unknown.items())
    weights = ", ".join(f"{name} {100 * weight:.0f} %" for name, weight in fitted.weights.items())
    between = {row["name"]: row for row in rows}
    return {
        "gradient": Check(
            "met" if error <= GRADIENT_TOLERANCE else "not met",
            f"largest relative difference {error:.1e} in four directions", f"{GRADIENT_TOLERANCE:g}",
        ),
        "convergence": Check(
            "met" if converged else "not met",
            f"largest R-hat {worst[0]:.3f}, smallest effective sample size {worst[1]:.0f}, {divergences} divergences, "
            f"{len(ds)} structures",
            f"R-hat below {MOST_R_HAT}, effective sample size above {LEAST_ESS:.0f}, no divergences",
        ),
        "population": Check("reported", "; ".join(
            _range(words, [x for arm in arms if (x := getattr(arm, name)) is not None])
            for name, words in (("age_mean", "mean age"), ("bmi_mean", "mean BMI"), ("baseline_mean", "baseline pain"))
        )),
        "treatment": Check("reported", "arms: " + ", ".join(f"{name} {n}" for name, n in classes.most_common())),
        "follow_up": Check("reported", _range("month", months)),
        "outcome": Check("reported", "readings: " + ", ".join(f"{k} {n}" for k, n in instruments.most_common())),
        "parameters": Check("reported", f"{fitted.best.shared} quantities drawn jointly from the posterior"),
        "between_trials": Check("reported", "; ".join(
            f"{name} {between[name]['median']:.3g} ({between[name]['q025']:.3g} to {between[name]['q975']:.3g})"
            for name in ("tau_ctx", "tail_ctx", "omega_k_B", "omega_cell", "tau_arm") if name in between
        )),
        "structure": Check("reported", f"weights (stacking, averaged over mixtures): {weights}"),
        "contraction": Check(
            "reported",
            f"{len(learned)} of {len(rows)} quantities moved by the data: {', '.join(learned) or 'none'}; "
            "the others rest on their prior",
        ),
        "missing_data": Check("reported", f"arms by what was not printed: {unknown or 'nothing'}"),
        "bias": Check("reported", "; ".join(
            f"{name} {between[name]['median']:.3g} ({between[name]['q025']:.3g} to {between[name]['q975']:.3g})"
            for name in (q.name for q in LEARNED) if name.startswith("bias_") and name in between
        )),
    }  # fmt: skip


def _range(words: str, values: Sequence[float]) -> str:
    return f"{words} {min(values):.3g} to {max(values):.3g}" if values else f"{words} not printed"


def page(
    fitted: Fitted, fingerprint: str, label: str, command: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of the page of a fit; checks that come later are empty."""
    indication = fitted.arms.indication
    return {
        "title": f"Posterior for {TITLES[indication]}",
        "label": label,
        "indication": indication,
        "fingerprint": fingerprint,
        "evidence_hash": fitted.evidence_hash,
        "model_version": model_fingerprint(indication)[:12],
        "seed": fitted.settings.seed,
        "command": command,
        "trials": fitted.preview.trials,
        "arms": fitted.preview.arms,
        "readings": fitted.preview.readings,
        "diagnostics": diagnostics(fitted),
        "constants": constants(fitted.best),
        "predictive": [],
        "held_out": None,
        "simulation_based": None,
        "structures": [
            {"name": c.name, "elpd": c.elpd, "difference": c.difference, "difference_se": c.difference_se,
             "optimum": c.optimum, "weight": c.weight,
             "worst_k": c.worst_k if math.isfinite(c.worst_k) else None}
            for c in fitted.compared
        ],
        "credibility": dict(record),
    }  # fmt: skip
