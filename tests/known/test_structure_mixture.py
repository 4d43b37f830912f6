"""Constants of a posterior that mixes rival structures of the model."""

from importlib.resources import files

import numpy as np
import pytest

from stemtrial.calibration.belief import belief
from stemtrial.calibration.structures import STRUCTURES


@pytest.fixture(scope="module")
def posterior():
    found = belief("knee_oa")
    assert found.structure_weights is not None
    return found


def test_draws_are_mixed_in_proportion_to_the_weights(posterior):
    share = {name: np.mean([s == name for s in posterior.structures]) for name in posterior.structure_weights}
    assert sum(posterior.structure_weights.values()) == pytest.approx(1)
    for name, weight in posterior.structure_weights.items():
        assert share[name] == pytest.approx(weight, abs=1.5 / len(posterior.structures))


def test_cells_do_nothing_in_draws_of_an_inert_structure(posterior):
    inert = np.array([STRUCTURES[s].inert for s in posterior.structures])
    effect = np.exp(posterior.values[:, posterior.names.index("mu_cell")])
    assert (effect[inert] == 0).all() or effect[inert].max() < 1e-20
    assert (effect[~inert] > 0.01).all()


def test_typical_constants_take_turns_among_structures_in_which_cells_act(posterior):
    """Turns by the golden ratio: the share of each is within two turns of its weight, whatever the replicates."""
    count = 2000
    found = posterior.typical(np.arange(500, 500 + count))
    acting = {n: w for n, w in posterior.structure_weights.items() if not STRUCTURES[n].inert}
    values, shown = np.unique(found["cell_effect"], return_counts=True)
    assert len(values) == len(acting)
    assert (values > 0.01).all()
    wanted = sorted(w / sum(acting.values()) * count for w in acting.values())
    assert sorted(shown) == pytest.approx(wanted, abs=2)
    again = posterior.typical(np.array([777]))
    assert all(again[name][0] == found[name][277] for name in found)


def test_credibility_record_is_that_of_the_shipped_posterior(posterior):
    record = (
        files("stemtrial.calibration").joinpath("data/knee_oa.credibility.md").read_text(encoding="utf-8")
    )
    assert f"`{posterior.fingerprint}`" in record
    for name, weight in posterior.structure_weights.items():
        assert f"{name} {100 * weight:.0f} %" in record
