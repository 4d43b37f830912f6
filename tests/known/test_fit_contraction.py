"""What a fit says of the data's pull, on made chains whose quantiles are known."""

import numpy as np
import pytest

from models.made_chains import made_chains
from stemtrial.calibration.fit import Settings
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.published import published_arms
from stemtrial.calibration.structures import GROWTH, REGENERATIVE
from stemtrial.evidence import load


def test_what_a_structure_alone_learns_is_reported_from_its_draws():
    model = FitModel.of(published_arms(load(), "knee_oa"), (), REGENERATIVE)
    fit = made_chains(model, Settings(draws=50), seed=4)
    (row,) = (row for row in fit.contraction() if row["name"] == GROWTH.name)
    z = fit.draws.reshape(-1, model.dimension)[:, fit.shared - 1]
    for name, probability in (("q025", 0.025), ("median", 0.5), ("q975", 0.975)):
        expected = GROWTH.median * np.exp(GROWTH.sd * np.quantile(z, probability))
        assert row[name] == pytest.approx(expected, rel=1e-9)
    assert row["contraction"] == pytest.approx(1 - z.var())
