"""Estimates and probabilities of claims against metafor (fixtures/metafor/claims.R and spread_ratio.R)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stemtrial.claims.claim import shipped
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import estimate
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


CLAIMS = json.loads((Path(__file__).parent / "fixtures/metafor/claims.json").read_text(encoding="utf-8"))


def part(claim, name, **changed):
    return shipped()[claim].parts[name].model_copy(update=changed)


def datum(trial, y=0.0, v=None, **more):
    blank = Datum(
        trial, trial, 12.0, y, v, 60.0, 20.0, None, 1, None, ("", ""), ("", ""), "low", "double", True, "shipped",
        (), (),
    )  # fmt: skip
    return replace(blank, **more)


def test_difference():
    r = CLAIMS["difference"]
    data = [datum(f"t{i}", y, v) for i, (y, v) in enumerate(zip(r["y"], r["v"], strict=True))]
    found = estimate(part("relieves_back_pain", "pain", threshold=float(r["threshold"])), data)
    assert found.value == pytest.approx(r["estimate"], abs=1e-6)
    assert found.interval == pytest.approx((r["low"], r["high"]), abs=1e-6)
    assert found.prediction == pytest.approx((r["new_low"], r["new_high"]), abs=1e-5)
    assert found.p == pytest.approx(r["p"], abs=1e-8)


def test_durability():
    r = CLAIMS["durability"]
    columns = zip(r["late"], r["v_late"], r["early"], r["v_early"], strict=True)
    data = [
        datum(
            f"t{i}",
            late - r["share"] * early,
            v + r["share"] ** 2 * u - 2 * r["share"] * r["rho"] * (u * v) ** 0.5,
            early=(early, u),
        )
        for i, (late, v, early, u) in enumerate(columns)
    ]
    found = estimate(part("long_lasting", "year", threshold=r["share"]), data)
    assert found.value == pytest.approx(r["estimate"], abs=1e-6)
    assert found.interval == pytest.approx((r["low"], r["high"]), abs=1e-6)
    assert found.p == pytest.approx(r["p"], abs=1e-8)


def test_events():
    r = CLAIMS["events"]
    one = [datum(f"a{i}", counts=tuple(row)) for i, row in enumerate(r["one"])]
    other = [datum(f"b{i}", counts=tuple(row), side=-1) for i, row in enumerate(r["other"])]
    found = estimate(part("generally_safe", "serious"), one)
    assert found.value == pytest.approx(r["estimate"], abs=1e-9)
    assert found.p == pytest.approx(r["p"], abs=1e-9)
    both = estimate(part("safer_autologous", "serious"), one + other)
    assert both.value == pytest.approx(r["against"], abs=1e-9)
    assert both.interval[1] - both.value == pytest.approx(1.959963984540054 * r["against_se"], abs=1e-9)
    assert both.p == pytest.approx(r["against_p"], abs=1e-9)


def test_variance_between_trials():
    r, rows = CLAIMS["spread"], CLAIMS["difference"]
    data = [datum(f"t{i}", y, v) for i, (y, v) in enumerate(zip(rows["y"], rows["v"], strict=True))]
    found = estimate(part("needs_standard_protocols", "spread"), data)
    assert found.value == pytest.approx(r["i2"], abs=1e-4)
    assert found.interval == pytest.approx((r["low"], r["high"]), abs=1e-5)
    assert found.p == pytest.approx(r["p"], abs=1e-9)
