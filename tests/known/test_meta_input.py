"""Numbers that cannot be pooled are refused with their row, field and allowed range."""

import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import effectsize as es
from stemtrial.evidence import medians
from stemtrial.evidence.betabinomial import beta_binomial
from stemtrial.evidence.influence import influence, leave_one_out
from stemtrial.evidence.metareg import predict, regress
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.rareevents import exact_risk, mantel_haenszel
from stemtrial.evidence.smallstudy import egger
from stemtrial.evidence.subgroups import subgroups

NAN = float("nan")
Y, V = [1.0, 2.0, 4.0, 3.0], [1.0, 1.5, 2.0, 1.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pool([], [], method="DL", test="z"), "no study to pool"),
        (lambda: pool([1, NAN], [1, 1], method="DL", test="z"), "row 2: estimate"),
        (lambda: pool([1, 2], [1, 0], method="DL", test="z"), "row 2: variance = 0.0.*above 0"),
        (lambda: pool([1, 2], [1], method="DL", test="z"), "differ in shape"),
        (lambda: pool(Y, V, method="reml", test="z"), "method = reml.*EE, DL, PM, ML, REML"),
        (lambda: pool(Y, V, method="DL", test="hk"), "test = hk.*knha"),
        (lambda: pool(Y, V, method="DL", test="z", level=95), "level = 95"),
        (lambda: leave_one_out([1], [1], method="DL", test="z"), "at least two studies"),
        (lambda: influence([1, 2], [1, 1], method="DL", test="z"), "at least 3 studies"),
        (lambda: subgroups(Y, V, ["a"] * 4, tau2="common", method="DL", test="z"), "single value"),
        (lambda: subgroups(Y, V, ["a"] * 3, tau2="common", method="DL", test="z"), "one label per study"),
        (lambda: regress(Y, V, {"dose": [1, 2, NAN, 4]}, method="DL", test="z"), "row 3: dose"),
        (lambda: regress(Y, V, {"origin": ["a", None, "b", "b"]}, method="DL", test="z"), "row 2: origin"),
        (lambda: regress(Y, V, {"dose": [5, 5, 5, 5]}, method="DL", test="z"), "constant"),
        (lambda: regress(Y, V, {"o": list("aabb")}, method="DL", test="z", reference={"o": "x"}), "a, b"),
        (lambda: regress(Y, V, {"origin": list("abcd")}, method="DL", test="z"), "more than 4 studies"),
        (lambda: regress(Y, V, {}, method="DL", test="z"), "moderators"),
        (lambda: predict(regress(Y, V, {"x": [1, 2, 3, 5]}, method="DL", test="z"), [[1.0]]), "intercept, x"),
        (lambda: egger(list(range(10)), [1] * 10, model="lm"), "all equal"),
        (lambda: es.mean_difference(1, 0, 10, 2, 3, 10), "sd1 = 0.0.*above 0"),
        (lambda: es.mean_difference([1, 1], [2, 2], [10, 1], [2, 2], [3, 3], [10, 10]), "row 2: n1 = 1.0"),
        (lambda: es.mean_difference(NAN, 1, 10, 2, 3, 10), "mean1"),
        (lambda: es.paired_difference(1, 2, 2, 3, 10, 1.0), "correlation = 1.0"),
        (lambda: es.risk_ratio(11, 10, 1, 10), "events of n1 = 11.0.*0 to n1"),
        (lambda: es.standardised_paired_difference(1, 2, 2, 3, 10, 0.5, by="x"), "second, change"),
        (lambda: medians.mean_from_quartiles(30, 20, 40, 25), "q1, median, q3.*out of order"),
        (lambda: medians.sd_from_se(2, 1), "n = 1.0.*at least 2"),
        (lambda: medians.sd_from_se(-2, 10), "se = -2.0.*above 0"),
        (lambda: exact_risk(5, 4), "5 of 4"),
        (lambda: mantel_haenszel(1, 10, 1, 10, measure="HR"), "OR, RR, RD"),
        (lambda: beta_binomial([1, 2.5], [10, 10], ["a", "a"]), "row 2"),
        (lambda: beta_binomial([1, 2, 3], [10, 10, 10], ["a", "b", "c"]), "more than two"),
    ],
)  # fmt: skip
def test_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
