"""Arms of discs go through the fit's own path with the constants and the usual patient of their variant."""

import numpy as np
import pytest

from models.made_chains import made_chains
from stemtrial.calibration.arms import Arms, TrialArm
from stemtrial.calibration.comparators import comparator_effects
from stemtrial.calibration.fit import Settings
from stemtrial.calibration.fitfolder import arms_to_fit, write_fit
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.fitrecord import Fitted
from stemtrial.calibration.given import given
from stemtrial.calibration.mixture import Compared
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.posterior import model_fingerprint
from stemtrial.calibration.prediction import predict
from stemtrial.calibration.preview import Preview
from stemtrial.calibration.standard import LEARNED, sampled
from stemtrial.calibration.variants import variant
from stemtrial.cli.fit import unreleased
from stemtrial.evidence import load

pytestmark = pytest.mark.slow
DRAWS = 400


def arm(name, intervention, **cells):
    return TrialArm(
        trial_id="t", arm_id=name, indication="disc_degeneration", intervention=intervention, n=30, randomised=True,
        schedule=given("disc_degeneration", intervention, **cells).schedule, grades={5: 1.0}, blinding="double",
        **cells,
    )  # fmt: skip


ARMS = (
    arm("cells", "cell_therapy", source="bone_marrow", origin="autologous", product="culture_expanded",
        dose_million=20.0),
    arm("sham", "sham_procedure"),
)  # fmt: skip


def test_arms_of_discs_are_predicted_with_the_usual_disc_patient():
    """An unknown baseline is normal around 65, SD 10: the mean of 400 draws is off by 2 once in 16,000 seeds."""
    usual = variant("disc_degeneration")
    known = np.zeros((DRAWS, len(sampled()) + len(LEARNED)))
    found = predict(known, ARMS, [Asked(0, 6.0, "change"), Asked(1, 6.0, "change")], seed=1)
    assert np.isfinite(found.change).all()
    assert np.array_equal(found.baseline[:, 0], found.baseline[:, 1])
    assert found.baseline.mean() == pytest.approx(usual.baseline, abs=2.0)
    cells, sham = found.change.mean(axis=0)
    assert cells < sham < 0


def test_a_fit_says_beforehand_what_is_missing():
    said = unreleased(Arms("disc_degeneration", ARMS))
    assert "not validated" in said
    assert "0 blinded trials compare cells with a sham or placebo (none), 3 or more are wanted" in said


def test_the_folder_of_a_fit_says_that_it_is_not_validated(tmp_path):
    evidence, settings = load(), Settings(draws=120)
    arms, user = arms_to_fit(evidence, "disc_degeneration", None, only=False)
    pooled = comparator_effects(evidence, "disc_degeneration").effects
    made = made_chains(FitModel.of(arms, pooled), settings, 1)
    seen = Preview(
        len(made.model.trials), len(made.model.arms), len(made.model.rows.y), len(pooled), {}, {},
        dict(made.model.sizes), 0.01, 1e-8,
    )  # fmt: skip
    compared = (
        Compared(
            name="paracrine", elpd=-80.0, se=20.0, difference=0.0, difference_se=0.0, worst_k=0.3, unreliable=(),
            optimum=1.0, weight=1.0,
        ),
    )  # fmt: skip
    fitted = Fitted(arms, user, evidence.hash, settings, {"paracrine": made}, compared, seen)
    posterior, record, _ = write_fit(tmp_path, fitted, None, "stemtrial fit --indication disc_degeneration")
    assert posterior.label.startswith("fitted to 17 trials, not validated")
    assert posterior.about["model"] == model_fingerprint("disc_degeneration") != model_fingerprint()
    assert "cells against a sham or placebo: levi_2025; 3 or more are wanted" in record.as_markdown()
    shares = dict(zip(posterior.names, posterior.values.T, strict=True))
    assert 0.15 < np.median(shares["s_P"]) < 0.6
    assert np.median(shares["k_I"]) < 0.06
