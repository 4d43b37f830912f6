"""Networks of two published reviews against R metafor::rma.mv; the fixtures' script lies beside them."""

import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.evidence.consistency import design_by_treatment, node_splits
from stemtrial.evidence.network import Network, fit_gls

FIXTURES = Path(__file__).parent / "fixtures" / "network"


@pytest.fixture(params=["senn2013", "hasselblad1998"], scope="module")
def case(request):
    stored = json.loads((FIXTURES / f"{request.param}.json").read_text())
    rows = stored["data"]
    trials = [str(row["study"]) for row in rows]
    same = np.array(trials)[:, None] == np.array(trials)[None, :]
    shared = np.sqrt([row["shared"] for row in rows])
    v = np.diag([row["own"] for row in rows]) + same * np.outer(shared, shared)
    pairs = [(row["treatment"], row["reference"]) for row in rows]
    return Network.build(stored["nodes"], trials, pairs, [row["y"] for row in rows], v), stored


def test_random_effects(case):
    network, stored = case
    found = fit_gls(network)
    assert found.tau2 == pytest.approx(stored["tau2"], rel=1e-6)
    assert found.effects == pytest.approx(stored["effects"], abs=1e-7)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(stored["se"], abs=1e-7)
    assert found.q == pytest.approx(stored["q"], rel=1e-9)
    assert found.q_p == pytest.approx(stored["q_p"], rel=1e-6)


def test_common_effect(case):
    network, stored = case
    found = fit_gls(network, tau2=0.0)
    assert found.effects == pytest.approx(stored["common"]["effects"], abs=1e-10)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(stored["common"]["se"], abs=1e-10)


def test_design_by_treatment_interaction(case):
    network, stored = case
    found = design_by_treatment(network)
    assert found.df == stored["interaction"]["df"]
    assert found.statistic == pytest.approx(stored["interaction"]["statistic"], rel=1e-5)
    assert found.tau2 == pytest.approx(stored["interaction"]["tau2"], rel=1e-5)


def test_node_splits(case):
    network, stored = case
    found = {(split.comparator, split.treatment): split for split in node_splits(network)}
    assert found.keys() == {(row["a"], row["b"]) for row in stored["splits"]}
    for row in stored["splits"]:
        split = found[row["a"], row["b"]]
        assert split.difference == pytest.approx(row["difference"], abs=2e-5)
        assert split.difference_se == pytest.approx(row["se"], abs=2e-5)
        assert split.p == pytest.approx(row["p"], abs=2e-5)
        assert split.direct - split.indirect == pytest.approx(split.difference, abs=1e-10)
