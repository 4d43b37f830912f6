"""Arms of discs go through the fit's own path with the constants and the usual patient of their variant."""

import numpy as np
import pytest

from stemtrial.calibration.arms import Arms, TrialArm
from stemtrial.calibration.given import given
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.prediction import predict
from stemtrial.calibration.standard import LEARNED, sampled
from stemtrial.calibration.variants import variant
from stemtrial.cli.fit import unreleased

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
