"""Made trials for tests of calibration: arms with means drawn from a known model."""

import numpy as np

from stemtrial.calibration.arms import Reading, TrialArm


def reading(month, value, kind="change", se=2.0, **more):
    return Reading(
        month=month,
        instrument="VAS",
        kind=kind,
        statistic="mean",
        value=float(value),
        se=se,
        reference_id="made",
        **more,
    )


def arm(trial, name, intervention, readings, baseline=60.0, n=50):
    return TrialArm(
        trial_id=trial,
        arm_id=name,
        indication="knee_oa",
        intervention=intervention,
        schedule=None,
        n=n,
        baseline_mean=baseline,
        readings=tuple(readings),
        no_input="made for a test",
    )


def made_trials(
    trials,
    seed,
    *,
    tau=6.0,
    omega=2.0,
    et50=1.0,
    effects=(("cell_therapy", 25.0), ("saline", 12.0)),
    slope=4.0,
    sd=22.0,
    n=50,
    months=(1.0, 3.0, 6.0, 12.0),
    rho=0.6,
    phi=0.8,
    levels=0.0,
):
    """Trials of the time-course model; a share ``levels`` of them report levels without a baseline."""
    rng = np.random.default_rng(seed)
    t = np.array(months)
    f, g = t / (t + et50), np.log2(1 + t)
    gap = np.abs(g[:, None] - g)
    found = []
    for k in range(trials):
        base = rng.normal(57.0, 8.0)
        common = rng.multivariate_normal(np.zeros(len(t)), tau**2 * phi**gap)
        hidden = rng.uniform() < levels
        for name, full in effects:
            own = rng.multivariate_normal(np.zeros(len(t)), omega**2 * phi**gap)
            noise = rng.multivariate_normal(np.zeros(len(t)), sd**2 / n * rho**gap)
            change = -f * (full + slope * (base - 57.0) / 10 + common + own) + noise
            rows = [
                reading(
                    m,
                    np.clip(c + base, 0, 100) if hidden else c,
                    "level" if hidden else "change",
                    sd / n**0.5,
                )
                for m, c in zip(t, change, strict=True)
            ]
            found.append(arm(f"t{k}", name, name, rows, None if hidden else float(base), n))
    return found
