"""Networks against closed forms: Bucher's indirect comparison, the pairwise pool, exact integration over tau."""

import doctest
import importlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import halfnorm, multivariate_normal

from stemtrial.evidence import load
from stemtrial.evidence.armdata import network_data
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.hierarchy import WEAK, basis, lay_out, log_likelihood
from stemtrial.evidence.network import Network, components, fit_gls
from stemtrial.evidence.networkdata import Comparison, NetworkData
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.sampling import Sampler
from stemtrial.evidence.synthesis import synthesise

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)


def comparison(trial, treatment, reference, y, own=2.0, shared=2.0, month=6.0, **more):
    row = Comparison(
        trial, month, f"{trial}_{treatment}", f"{trial}_{reference}", treatment, reference, y, own, shared,
        100.0, 0.0, 0, False, "low", (),
    )  # fmt: skip
    return replace(row, **more)


ROWS = (
    comparison("t1", "b", "a", -6.0),
    comparison("t2", "b", "a", -9.0, own=3.0),
    comparison("t3", "c", "a", -2.0),
    comparison("t4", "c", "b", 4.0, own=1.5),
    comparison("t5", "b", "a", -3.0),
    comparison("t5", "c", "a", -1.0, own=2.5),
    comparison("t6", "d", "a", 0.0),
)


def test_bucher_indirect_comparison():
    rows = [comparison("t1", "b", "a", -6.0), comparison("t2", "c", "a", -2.0, own=3.0)]
    estimate, se, low, high = fit_gls(Network.of(rows, ("a", "b", "c")), tau2=0.0).contrast(
        "b", "c", level=0.95
    )
    assert estimate == pytest.approx(-4.0)
    assert se == pytest.approx(np.sqrt(4 + 4 + 9 + 4))
    assert (low, high) == pytest.approx((-4 - 1.959964 * se, -4 + 1.959964 * se), abs=1e-5)


def test_two_treatments_are_a_pairwise_pool():
    y, own = [-8.0, -3.5, -12.0, 1.0], [2.0, 2.5, 3.0, 1.5]
    rows = [
        comparison(f"t{i}", "b", "a", *pair, shared=0.0) for i, pair in enumerate(zip(y, own, strict=True))
    ]
    found = fit_gls(Network.of(rows, ("a", "b")))
    pooled = pool(y, np.square(own), method="REML", test="z")
    assert found.tau2 == pytest.approx(pooled.tau2, rel=1e-6)
    assert found.effects[0] == pytest.approx(pooled.estimate, abs=1e-7)
    assert found.q == pytest.approx(pooled.q)


def test_result_does_not_depend_on_the_reference_arm():
    def turned(row):
        return replace(row, treatment=row.reference, reference=row.treatment, y=-row.y)

    rows = [turned(row) if row.trial_id in ("t1", "t4") else row for row in ROWS]
    plain, other = (fit_gls(Network.of(r, ("a", "b", "c", "d"))) for r in (ROWS, rows))
    assert other.effects == pytest.approx(plain.effects, abs=1e-8)


def exact_posterior(rows, nodes):
    """Mean and SD of the effects by integration over a fine grid of tau, written independently of the package."""
    network = Network.of(rows, nodes)
    prior = WEAK.effect**2 * np.eye(len(nodes) - 1)
    taus = np.linspace(1e-4, 60, 3000)
    logs, means, variances = [], [], []
    for tau in taus:
        s = network.v + tau**2 * network.r
        total = s + network.x @ prior @ network.x.T
        logs.append(
            multivariate_normal.logpdf(network.y, np.zeros(len(rows)), total)
            + halfnorm.logpdf(tau, scale=WEAK.heterogeneity)
        )
        gain = prior @ network.x.T @ np.linalg.inv(total)
        means.append(gain @ network.y)
        variances.append(np.diag(prior - gain @ network.x @ prior))
    weight = np.exp(np.array(logs) - max(logs))
    weight /= weight.sum()
    mean = weight @ np.array(means)
    return (
        mean,
        np.sqrt(weight @ (np.array(variances) + np.array(means) ** 2) - mean**2),
        float(weight @ taus),
    )


@pytest.fixture(scope="module")
def fitted():
    data = NetworkData((*ROWS, comparison("t7", "x", "z", -1.0)), ())
    return synthesise(data, priors=WEAK, sampler=Sampler(seed=11), reference="a", month=6, window=(3, 9))


def test_draws_against_exact_integration(fitted):
    nodes = ("a", "b", "c", "d")
    mean, sd, tau = exact_posterior([row for row in ROWS], nodes)
    order = [fitted.treatments.index(name) for name in nodes[1:]]
    draws = fitted.course(np.array([6.0]))[:, order, 0]
    # limits are four Monte Carlo standard errors at the smallest accepted sample size, 400
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(400))
    assert draws.std(axis=0) == pytest.approx(sd, rel=4 / np.sqrt(2 * 400))
    assert fitted.posterior.scales["tau"].mean() == pytest.approx(tau, rel=0.2)


def test_effects_turn_and_intervals_nest(fitted):
    there, back = fitted.effect("b", "c"), fitted.effect("c", "b")
    assert there.value == pytest.approx(-back.value)
    assert there.prediction[0] < there.interval[0] < there.value < there.interval[1] < there.prediction[1]
    assert (there.k, there.n, there.status) == (2, 200.0, "ok")
    assert fitted.effect("d", "c").status == "indirect_only"


def test_disconnected_treatments_have_no_number(fitted):
    found = fitted.effect("x", "a")
    assert (found.status, found.value, found.interval) == ("no_common_comparator", None, None)


def test_rank_table(fitted):
    ranks = fitted.ranks()
    table = np.array(ranks.probabilities)
    assert table.sum(axis=0) == pytest.approx(np.ones(4))
    assert table.sum(axis=1) == pytest.approx(np.ones(4))
    assert np.mean(ranks.mean) == pytest.approx(0.5)
    assert ranks.mean == pytest.approx(tuple(table @ np.array([1, 2 / 3, 1 / 3, 0])))


def test_unblinded_links_are_named():
    rows = (comparison("t1", "b", "a", -6.0), comparison("t2", "c", "a", -30.0, role=1, unblinded=True))
    data = NetworkData(rows, ())
    found = synthesise(data, priors=WEAK, sampler=Sampler(seed=2), reference="a", month=6, window=(3, 9))
    effect = found.effect("c", "a")
    assert effect.status == "unblinded_only"
    # prior SD of the effect 20 and of the mean bias 10: of -30, four fifths at most are the effect's
    assert -26 < effect.value < -16
    assert found.posterior.b[:, found.posterior.columns.index("bias")].mean() < -2


def test_log_likelihood_over_time():
    """Against a covariance written out entry by entry."""
    rows = sorted(
        (replace(row, y=row.y + month, month=month) for row in ROWS for month in (3.0, 6.0, 12.0)),
        key=lambda row: (row.trial_id, row.arm, row.month),
    )
    knots, nodes = np.array([1.0, 6.0, 12.0]), ("a", "b", "c", "d")
    tau, rho, phi, drift = 5.0, 0.6, 0.7, 3.0
    layout = lay_out(rows, nodes, knots, WEAK, dose_node=None)
    variances = np.concatenate([[WEAK.effect**2], drift**2 * np.log2([7 / 2, 13 / 7])])
    weights = basis(np.array([row.month for row in rows]), knots)
    total = np.zeros((len(rows), len(rows)))
    for i, p in enumerate(rows):
        for j, q in enumerate(rows):
            for name in nodes[1:]:
                signs = [(row.treatment == name) - (row.reference == name) for row in (p, q)]
                total[i, j] += signs[0] * signs[1] * np.sum(weights[i] * weights[j] * variances)
            if p.trial_id == q.trial_id:
                gap = abs(np.log2((1 + p.month) / (1 + q.month)))
                same = p.arm == q.arm
                total[i, j] += rho**gap * (same * p.own_se * q.own_se + p.reference_se * q.reference_se)
                total[i, j] += phi**gap * tau**2 * (1.0 if same else 0.5)
    expected = multivariate_normal.logpdf([row.y for row in rows], np.zeros(len(rows)), total)
    found = log_likelihood(layout, {"tau": tau, "rho": rho, "phi": phi, "drift": drift})
    # the constant of the normal density plays no part in sampling
    assert found == pytest.approx(expected + 0.5 * len(rows) * np.log(2 * np.pi), rel=1e-9)


def test_shipped_knee_network():
    data = network_data(
        load(),
        indication="knee_oa",
        construct="pain",
        scheme="product_class",
        rules=RULES,
        unblinded=("open",),
        by_dose=False,
        randomised_only=True,
    )
    found = {(row.trial_id, row.month): row for row in data.comparisons}
    kim = found["kim_2023", 6.0]
    assert (kim.treatment, kim.reference, kim.n) == ("cells_expanded_autologous", "placebo", 252)
    assert kim.y == pytest.approx(10 * (-2.52 + 1.55))
    assert found["freitag_2024", 12.0].flags[0] == "difference as printed"
    assert found["freitag_2019", 6.0].unblinded
    assert found["shapiro_2018", 6.0].reference_se == 0
    reasons = dict(data.left_out)
    assert reasons["xlha_2017"] == "no visit at which two different treatments report"
    assert reasons["dilogo_2020"] == "not randomised"
    assert components([("nsaid", "cells_other"), ("a", "b"), ("b", "c")])[1] == ("cells_other", "nsaid")


@pytest.mark.parametrize("name", ["network", "networkdata", "hierarchy", "certainty", "wording", "eventrisk"])
def test_examples_of_the_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(f"stemtrial.evidence.{name}"))
    assert tried > 0
    assert failed == 0
