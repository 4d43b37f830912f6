"""Calibration of the time-course baseline on trials that follow its own model."""

import numpy as np
from scipy import stats

from models.made_arms import made_trials
from stemtrial.calibration import baselines, holdout


def test_held_out_trials_of_the_model_are_covered():
    """Trials follow the model. False-alarm rate below 1e-3 each: PIT by trial, and 95 % coverage.

    One row a trial and class is looked at for the PIT, because rows of a trial are not independent.
    """
    arms = made_trials(20, 17, months=(1.0, 6.0))
    predictor = baselines.refitted(baselines.fit_time_course)
    found = holdout.leave_one_trial_out(arms, {"time course": predictor}, draws=1000, seed=3)
    p = np.array([p for p, row in zip(found.pit("time course", "arm"), (r for r in found.held if r.kind == "arm"),
                                      strict=True) if row.month == 6.0 and row.arm_id == "saline"])  # fmt: skip
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    contrast = found.of("time course", "contrast")
    assert contrast.coverage[2].share > 0.8
    assert contrast.coverage[0].share < 0.85
