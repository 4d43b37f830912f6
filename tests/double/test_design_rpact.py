"""Group-sequential designs, sample size, power and interim inference against R rpact.

``fixtures/rpact/make_fixtures.R`` made the results; versions are inside each file. Run this file as a script to print
the largest differences of each design and trial.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from stemtrial.trial.boundaries import boundaries
from stemtrial.trial.conditional import conditional_power, final_inference, repeated_interval, repeated_p
from stemtrial.trial.endpoints import Endpoint, Means, Rates
from stemtrial.trial.groupsequential import (
    BetaSpending,
    FixedFutility,
    GroupSequential,
    HaybittlePeto,
    WangTsiatis,
)
from stemtrial.trial.samplesize import power, sample_size
from stemtrial.trial.spending import (
    HwangShihDeCani,
    KimDeMets,
    OBrienFlemingType,
    PocockType,
    Spending,
    Tabulated,
)

FOLDER = Path(__file__).parent / "fixtures" / "rpact"
Difference = tuple[str, float]


def rows(name: str) -> list[dict]:
    return json.loads((FOLDER / f"{name}.json").read_text())["rows"]


def apart(ours: object, theirs: object) -> float:
    """Largest difference, relative above 1 and absolute below; infinite values must coincide."""
    x = np.asarray(ours, dtype=float).ravel()
    r = np.array([np.inf if v == "Inf" else v for v in np.asarray(theirs, dtype=object).ravel()], dtype=float)
    assert x.size == r.size
    finite = np.isfinite(r)
    assert np.array_equal(x[~finite], r[~finite], equal_nan=True)
    assert np.isfinite(x[finite]).all()
    return float(np.max(np.abs(x - r)[finite] / np.maximum(1, np.abs(r[finite])), initial=0))


def spending(
    kind: str, gamma: float | None, times: list[float], spent: list[float] | None, level: float
) -> Spending:
    match kind:
        case "OF":
            return OBrienFlemingType()
        case "P":
            return PocockType()
        case "HSD":
            return HwangShihDeCani(gamma)
        case "KD":
            return KimDeMets(gamma)
    return Tabulated(tuple(times), tuple(x / level for x in spent))


def design(a: dict) -> GroupSequential:
    times = np.ravel(a["informationRates"]).tolist()
    kind, alpha = a["typeOfDesign"], a["alpha"]
    if kind.startswith("as"):
        efficacy = spending(kind[2:], a.get("gammaA"), times, a.get("userAlphaSpending"), alpha)
    elif kind == "HP":
        efficacy = HaybittlePeto(a["constantBoundsHP"])
    else:
        efficacy = WangTsiatis({"OF": 0.0, "P": 0.5}.get(kind, a.get("deltaWT")))
    futility = None
    if "futilityBounds" in a:
        futility = FixedFutility(tuple(np.ravel(a["futilityBounds"]).tolist()))
    elif "typeBetaSpending" in a:
        rule = spending(
            a["typeBetaSpending"][2:], a.get("gammaB"), times, a.get("userBetaSpending"), a["beta"]
        )
        futility = BetaSpending(rule, a["beta"])
    return GroupSequential(
        tuple(times), alpha, a["sided"], efficacy, futility, a.get("bindingFutility", False)
    )


DESIGNS = rows("designs")


def label(index: int) -> str:
    a = DESIGNS[index]["args"]
    times = np.ravel(a["informationRates"])
    beta = a.get("typeBetaSpending", "futility" if "futilityBounds" in a else "")
    binding = " binding" if a.get("bindingFutility") else ""
    errors = f"sides={a['sided']} alpha={a['alpha']:<5g}"
    return f"{index + 1:2d} {a['typeOfDesign']:6s} k={times.size:<2d} {errors} {beta}{binding}"


def design_differences(r: dict) -> Iterator[Difference]:
    """Of everything a design has."""
    a, d = r["args"], design(r["args"])
    bounds = boundaries(d)
    beta = a["beta"]
    drift = bounds.drift_for(1 - beta)
    at = bounds.stopping(drift)
    fixed = (ndtri(1 - beta) - ndtri(d.alpha / d.sides)) ** 2
    yield "efficacy bounds", apart(bounds.upper, r["upper"])
    yield "alpha spent", apart(bounds.alpha_spent, r["alpha_spent"])
    yield "stage levels", apart(bounds.stage_levels, r["stage_levels"])
    yield "shift", apart(drift**2, r["shift"])
    yield "inflation", apart(drift**2 / fixed, r["inflation"])
    if len(d.information) == 1:
        return
    if d.futility is not None:
        yield "futility bounds", apart(bounds.lower[:-1], r["lower"])
    if isinstance(d.futility, BetaSpending):
        yield "beta spent", apart(bounds.beta_spent, r["beta_spent"])
    for name, share in (("asn0", 0), ("asn01", 0.5), ("asn1", 1)):
        expected = drift**2 * bounds.stopping(share * drift).expected_information / fixed
        yield "expected n / fixed n", apart(expected, r[name])
    yield "stopping at the design's effect", apart(at.efficacy, r["reject"])
    yield "stopping at the design's effect", apart(at.futility[:-1], r["futile"])
    under = bounds.stopping(10 * np.array(r["theta"]))
    yield "stopping at other effects", apart(under.rejection, r["theta_reject"])
    yield "stopping at other effects", apart(under.efficacy + under.opposite, r["theta_reject_by_stage"])
    if d.futility is not None:
        yield "stopping at other effects", apart(under.futility[:, :-1], r["theta_futile_by_stage"])
    yield "expected n at other effects", apart(under.expected_information, np.array(r["theta_n"]) / 100)


def endpoint(kind: str, a: dict, effect: float | None = None) -> Endpoint:
    common = {
        "ratio": a.get("allocationRatioPlanned", 1.0),
        "lower_is_better": a.get("directionUpper") is False,
    }
    if kind == "means":
        difference = a["alternative"] if effect is None else effect
        return Means(
            difference,
            a.get("stDev", 1.0),
            a.get("thetaH0", 0.0),
            known_sd=a["normalApproximation"],
            **common,
        )
    measure = "ratio" if a.get("riskRatio") else "difference"
    first = a["pi1"] if effect is None else effect
    return Rates(first, a["pi2"], a.get("thetaH0", 0.0), measure=measure, **common)


def size_differences(r: dict) -> Iterator[Difference]:
    a, spec = r["args"], DESIGNS[r["design"] - 1]["args"]
    e = endpoint(r["kind"], a)
    if e.standardised < 0:
        e = replace(e, lower_is_better=True)
    s = sample_size(e, design(spec), 1 - spec["beta"])
    yield "n by arm", apart(s.experimental, r["n1"])
    yield "n by arm", apart(s.comparator, r["n2"])
    if "n_fixed" in r:
        yield "n", apart(s.fixed, r["n_fixed"])
        return
    yield "n", apart(s.maximal, r["n_max"])
    yield "n", apart(s.by_look, r["n"])
    yield "expected n", apart([s.expected_null, s.expected_between, s.expected_assumed],
                              [r["expected0"], r["expected01"], r["expected1"]])  # fmt: skip
    yield "stopping", apart(s.stopping.efficacy, r["reject"])
    if r["kind"] == "means" and e.known_sd:
        yield (
            "smallest effect shown",
            apart(e.effect_at(boundaries(design(spec)).upper, s.by_look), r["critical"]),
        )


def power_differences(r: dict) -> Iterator[Difference]:
    a, d = r["args"], design(DESIGNS[r["design"] - 1]["args"])
    effects = a["alternative" if r["kind"] == "means" else "pi1"]
    found = [power(endpoint(r["kind"], a, x), d, r["n"]) for x in effects]
    stops = [p.stopping for p in found]
    yield "power", apart([s.rejection if d.sides == 2 else s.power for s in stops], r["power"])
    if "expected" in r:
        yield "expected n", apart([p.expected_n for p in found], r["expected"])
        yield "stopping", apart([s.efficacy + s.opposite for s in stops], r["by_stage"])


def interim_differences(r: dict) -> Iterator[Difference]:
    d = design(DESIGNS[r["design"] - 1]["args"])
    bounds, look = boundaries(d), r["look"] - 1
    per, means = np.array(r["per"]), np.array([r["means1"], r["means2"]])
    n = np.cumsum(per)
    weights = per[: look + 1]
    effect = np.cumsum((means[0] - means[1]) * weights) / np.cumsum(weights)
    sd = np.array(r["sd"])
    z = effect / (sd * np.sqrt(2 / n[: look + 1]))
    yield "one-sided p", apart(ndtri(1 - np.array(r["p"])), z)
    if "conditional_power" in r:
        drift = r["alternative"] / (r["sd_assumed"] * np.sqrt(2 / n[-1]))
        ahead = conditional_power(bounds, look, z[-1], drift)
        yield "conditional power", apart(np.cumsum(ahead.efficacy), r["conditional_power"])
    low, high = repeated_interval(
        replace(bounds, upper=bounds.upper[: look + 1], information=bounds.information[: look + 1]), z
    )
    scale = sd * np.sqrt(2 / n[-1])
    yield "repeated interval", apart(low * scale, r["repeated_low"])
    yield "repeated interval", apart(high * scale, r["repeated_high"])
    yield "repeated p", apart([repeated_p(d, k, z[k]) for k in range(look + 1)], r["repeated_p"])
    if r["final_p"][look] is not None:
        f = final_inference(bounds, look, z[-1], 1 - (d.alpha if d.sides == 2 else 2 * d.alpha))
        yield "final p", apart(f.p if d.sides == 1 else 2 * f.p, r["final_p"][look])
        yield (
            "final interval",
            apart([f.low * scale[-1], f.high * scale[-1]], [r["final_low"][look], r["final_high"][look]]),
        )
        yield "median-unbiased estimate", apart(f.estimate * scale[-1], r["median"][look])


def largest(differences: Iterator[Difference]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in differences:
        found[name] = max(value, found.get(name, 0))
    return found


def loose(name: str) -> float:
    """rpact finds the limits of its final interval to fewer digits."""
    return 1e-5 if name == "final interval" else 1e-6


@pytest.mark.parametrize("index", range(len(DESIGNS)), ids=label)
def test_designs(index: int) -> None:
    found = largest(design_differences(DESIGNS[index]))
    assert len(found) >= 5
    assert {k: v for k, v in found.items() if v > 1e-6} == {}


@pytest.mark.parametrize(
    ("table", "differences", "least"),
    [
        ("samplesizes", size_differences, 2),
        ("powers", power_differences, 1),
        ("interims", interim_differences, 3),
    ],
)
def test_trials(table, differences, least) -> None:
    for r in rows(table):
        found = largest(differences(r))
        assert len(found) >= least
        assert {k: v for k, v in found.items() if v > loose(k)} == {}, r


def test_table_of_designs_is_broad() -> None:
    arguments = [r["args"] for r in DESIGNS]
    assert len(arguments) >= 30
    assert {a["sided"] for a in arguments} == {1, 2}
    assert len({a["typeOfDesign"] for a in arguments}) >= 8
    assert {np.size(a["informationRates"]) for a in arguments} >= {1, 2, 3, 4, 5, 10}


if __name__ == "__main__":
    for i, r in enumerate(DESIGNS):
        found = largest(design_differences(r))
        worst = max(found, key=found.get)
        print(f"{label(i):60s} {found[worst]:.1e}  {worst}")
    for name, differences in (
        ("samplesizes", size_differences),
        ("powers", power_differences),
        ("interims", interim_differences),
    ):
        print(f"\n{name}")
        for r in rows(name):
            found = largest(differences(r))
            print(
                f"{r.get('kind', '')} {label(r['design'] - 1):60s}", {k: f"{v:.1e}" for k, v in found.items()}
            )
