"""Ratios of standard deviations against metafor (fixtures/metafor/spread_ratio.R)."""

import json
from pathlib import Path

import pytest

from stemtrial.evidence.effectsize import spread_ratio
from stemtrial.evidence.pairwise import pool

STORED = json.loads(
    (Path(__file__).parent / "fixtures/metafor/spread_ratio.json").read_text(encoding="utf-8")
)


def test_spread_ratio_and_its_pooling():
    columns = [[row[name] for row in STORED["data"]] for name in ("sd1", "n1", "sd2", "n2")]
    found = spread_ratio(*columns)
    assert found.y == pytest.approx(STORED["y"], abs=1e-11)
    assert found.v == pytest.approx(STORED["v"], abs=1e-11)
    pooled = pool(found.y, found.v, method="REML", test="adhoc")
    assert pooled.estimate == pytest.approx(STORED["estimate"], abs=1e-7)
    assert pooled.ci == pytest.approx((STORED["low"], STORED["high"]), abs=1e-6)
    assert pooled.tau2 == pytest.approx(STORED["tau2"], abs=1e-7)
