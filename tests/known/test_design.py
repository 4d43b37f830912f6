"""Group-sequential designs against closed forms, published tables and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from stemtrial.errors import InputError
from stemtrial.trial.boundaries import boundaries, recalculated
from stemtrial.trial.conditional import (
    conditional_power,
    final_inference,
    predictive_power,
    repeated_interval,
)
from stemtrial.trial.endpoints import Means, Rates
from stemtrial.trial.groupsequential import (
    OBRIEN_FLEMING,
    POCOCK,
    BetaSpending,
    FixedFutility,
    GroupSequential,
    HaybittlePeto,
    WangTsiatis,
)
from stemtrial.trial.samplesize import equivalence_power, equivalence_sample_size, power, sample_size
from stemtrial.trial.spending import (
    HwangShihDeCani,
    KimDeMets,
    OBrienFlemingType,
    PocockType,
    Tabulated,
)
from stemtrial.trial.stopping import Running

SPENDING = [
    OBrienFlemingType(),
    PocockType(),
    HwangShihDeCani(-4.0),
    HwangShihDeCani(0.0),
    HwangShihDeCani(2.0),
    KimDeMets(0.5),
    KimDeMets(3.0),
    Tabulated((0.5, 1.0), (0.2, 1.0)),
]


def equal(looks: int, efficacy=OBRIEN_FLEMING, alpha=0.05, sides=2, **rest) -> GroupSequential:
    return GroupSequential(tuple((np.arange(looks) + 1) / looks), alpha, sides, efficacy, **rest)


# Jennison & Turnbull 2000, tables 2.1 (Pocock) and 2.3 (O'Brien-Fleming), two-sided.
@pytest.mark.parametrize(
    ("delta", "alpha", "constants"),
    [
        (0.5, 0.05, {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555}),
        (0.5, 0.01, {2: 2.772, 5: 2.986, 10: 3.117}),
        (0.0, 0.05, {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}),
    ],
)
def test_published_constants(delta, alpha, constants) -> None:
    for looks, constant in constants.items():
        bounds = boundaries(equal(looks, WangTsiatis(delta), alpha))
        shape = bounds.information ** (delta - 0.5)
        assert bounds.upper == pytest.approx(constant * shape, abs=0.0006 * shape.max())


# Jennison & Turnbull 2000, tables 2.2 and 2.4: largest over fixed sample size at power 0.9, in percent.
@pytest.mark.parametrize(
    ("rule", "percent"), [(POCOCK, {2: 110.0, 5: 120.7}), (OBRIEN_FLEMING, {2: 100.7, 5: 102.6})]
)
def test_published_inflation(rule, percent) -> None:
    for looks, ratio in percent.items():
        size = sample_size(Means(1, 2, 0, False, known_sd=True), equal(looks, rule), 0.9)
        assert 100 * size.inflation == pytest.approx(ratio, abs=0.051)


@pytest.mark.parametrize("sides", [1, 2])
def test_one_look_is_the_fixed_test(sides) -> None:
    bounds = boundaries(GroupSequential((1.0,), 0.04, sides, OBRIEN_FLEMING))
    z = stats.norm.isf(0.04 / sides)
    assert bounds.upper == pytest.approx([z], abs=1e-12)
    drift = np.array([-1.0, 0.0, 2.5])
    found = bounds.stopping(drift)
    assert found.power == pytest.approx(stats.norm.sf(z - drift), abs=1e-13)
    assert found.opposite[:, 0] == pytest.approx(stats.norm.cdf(-z - drift) * (sides == 2), abs=1e-13)
    assert found.by_look.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-13)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("spending", SPENDING, ids=repr)
def test_alpha_is_spent_as_asked_and_used_up(spending, sides) -> None:
    t = (0.21, 0.5, 0.77, 1.0)
    bounds = boundaries(GroupSequential(t, 0.05, sides, spending))
    assert bounds.alpha_spent == pytest.approx(sides * spending(np.array(t), 0.05 / sides), abs=1e-11)
    null = bounds.stopping(0.0)
    assert np.cumsum(null.efficacy + null.opposite) == pytest.approx(bounds.alpha_spent, abs=1e-12)
    assert bounds.alpha_spent[-1] == pytest.approx(0.05, abs=1e-13)


def test_two_looks_are_a_bivariate_normal() -> None:
    bounds = boundaries(GroupSequential((0.3, 1.0), 0.025, 1, PocockType(), FixedFutility((0.4,))))
    a, (b1, b2) = bounds.lower[0], bounds.upper
    theta = 2.7
    joint = stats.multivariate_normal(
        [theta * np.sqrt(0.3), theta], [[1, np.sqrt(0.3)], [np.sqrt(0.3), 1]], allow_singular=False
    )
    between = joint.cdf([b1, np.inf]) - joint.cdf([a, np.inf]) - joint.cdf([b1, b2]) + joint.cdf([a, b2])
    assert bounds.stopping(theta).efficacy[1] == pytest.approx(between, abs=1e-7)


@pytest.mark.parametrize("t", [(0.001, 0.002, 1.0), (0.5, 0.999, 1.0), tuple((np.arange(20) + 1) / 20)])
def test_grid_is_fine_enough(t) -> None:
    """Twice the nodes change nothing, for looks close together too."""
    bounds = boundaries(GroupSequential(t, 0.025, 1, HwangShihDeCani(1.0)))
    coarse = Running.start(bounds.information, np.array([0.0, 3.0]))
    fine = replace(coarse, size=2 * coarse.size)
    for k, now in enumerate(bounds.information[:-1]):
        coarse, fine = (r.go_on(now, *bounds.limits.at(k).regions()) for r in (coarse, fine))
    last = [r.above(1.0, bounds.upper[-1]) for r in (coarse, fine)]
    assert last[0] == pytest.approx(last[1], abs=1e-11)


def test_beta_is_spent_as_asked() -> None:
    for binding in (False, True):
        d = GroupSequential(
            (0.3, 0.6, 1.0), 0.025, 1, OBrienFlemingType(), BetaSpending(PocockType(), 0.15), binding
        )
        bounds = boundaries(d)
        at = bounds.stopping(bounds.drift)
        assert np.cumsum(at.futility) == pytest.approx(PocockType()(bounds.information, 0.15), abs=1e-9)
        assert bounds.lower[-1] == bounds.upper[-1]
    nonbinding, bound = (boundaries(replace(d, binding=b)) for b in (False, True))
    assert np.all(bound.upper[1:] < nonbinding.upper[1:])
    free = replace(nonbinding, lower=np.full(3, -np.inf))
    assert free.stopping(0.0).power == pytest.approx(0.025, abs=1e-12)


def test_simulated_motion_stops_where_computed() -> None:
    """Four probabilities of three designs, each within 4.5 standard errors: false-alarm rate below 1e-4."""
    rng = np.random.default_rng(20240611)
    runs = 200_000
    for d in (
        equal(4, OBRIEN_FLEMING),
        GroupSequential((0.2, 0.7, 1.0), 0.025, 1, PocockType(), FixedFutility((-0.3, 0.8)), binding=True),
        GroupSequential((0.4, 0.8, 1.0), 0.05, 2, KimDeMets(2.0), FixedFutility((0.2, 0.6)), binding=True),
    ):
        bounds = boundaries(d)
        t = bounds.information
        steps = np.diff(t, prepend=0)
        score = np.cumsum(rng.normal(1.9 * steps, np.sqrt(steps), (runs, t.size)), axis=1)
        end = bounds.follow(score / np.sqrt(t))
        exact = bounds.stopping(1.9)
        for seen, p in (
            (end.shown.mean(), exact.power),
            (end.opposite.mean(), exact.opposite.sum()),
            ((end.look == 0).mean(), exact.by_look[0]),
            ((end.look == 1).mean(), exact.by_look[1]),
        ):
            assert abs(seen - p) <= 4.5 * np.sqrt(max(p * (1 - p), 1e-6) / runs)


def test_recalculated_bounds_hold_the_level_whatever_the_information() -> None:
    d = GroupSequential((1 / 3, 2 / 3, 1.0), 0.05, 2, OBrienFlemingType())
    seen = np.array([[40.0, 80.0, 120.0], [31.0, 90.0, 111.0], [55.0, 70.0, 140.0]])
    bounds = recalculated(d, seen, planned=120)
    assert bounds.upper[0] == pytest.approx(boundaries(d).upper, abs=1e-9)
    assert bounds.alpha_spent[:, -1] == pytest.approx([0.05] * 3, abs=1e-12)
    assert bounds.alpha_spent[:, :2] == pytest.approx(
        2 * OBrienFlemingType()(seen[:, :2] / 120, 0.025), abs=1e-11
    )
    # The same by a design made for that information, with the spending written out.
    for row in (1, 2):
        t = tuple(seen[row] / seen[row, -1])
        by_hand = GroupSequential(t, 0.05, 2, Tabulated(t, (*(bounds.alpha_spent[row, :2] / 0.05), 1.0)))
        assert bounds.upper[row] == pytest.approx(boundaries(by_hand).upper, abs=1e-9)


def test_recalculated_futility_keeps_beta() -> None:
    d = GroupSequential((0.5, 1.0), 0.025, 1, OBrienFlemingType(), BetaSpending(PocockType(), 0.2))
    same = recalculated(d, np.array([50.0, 100.0]), planned=100)
    assert same.lower == pytest.approx(boundaries(d).lower, abs=1e-9)
    assert same.beta_spent[-1] == pytest.approx(0.2, abs=1e-9)


def test_conditional_power_of_one_look_to_come() -> None:
    bounds = boundaries(equal(2, alpha=0.025, sides=1))
    z, drift, t = np.array([-0.5, 1.0, 2.4]), np.array([1.0, 2.8, 3.5]), 0.5
    expected = stats.norm.cdf((z * np.sqrt(t) + drift * (1 - t) - bounds.upper[1]) / np.sqrt(1 - t))
    assert conditional_power(bounds, 0, z, drift).power == pytest.approx(expected, abs=1e-13)
    observed = stats.norm.cdf((z / np.sqrt(t) - bounds.upper[1]) / np.sqrt(1 - t))
    assert conditional_power(bounds, 0, z, None).power == pytest.approx(observed, abs=1e-13)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(("mean", "sd"), [(0.0, np.inf), (2.5, 1.2)])
def test_predictive_power_is_the_average_of_conditional_power(sides, mean, sd) -> None:
    d = GroupSequential((0.3, 0.6, 0.8, 1.0), 0.05, sides, PocockType(), FixedFutility((0.0, 0.3, 0.4)))
    bounds, z, t = boundaries(d), 1.1, 0.3
    precision = t + 1 / sd**2
    belief = stats.norm((z * np.sqrt(t) + mean / sd**2) / precision, precision**-0.5)

    def part(name):
        def average(x):
            return getattr(conditional_power(bounds, 0, z, x), name).sum() * belief.pdf(x)

        return integrate.quad(average, *belief.ppf([1e-12, 1 - 1e-12]), epsabs=1e-11, limit=200)[0]

    found = predictive_power(bounds, 0, z, mean, sd)
    for name in ("efficacy", "opposite", "futility"):
        assert getattr(found, name).sum() == pytest.approx(part(name), abs=1e-8)


def test_replicates_with_bounds_of_their_own() -> None:
    """All at once is the same as one by one."""
    d = GroupSequential(
        (1 / 3, 2 / 3, 1.0), 0.025, 1, OBrienFlemingType(), BetaSpending(PocockType(), 0.2), True
    )
    rng = np.random.default_rng(4)
    seen = np.array([40.0, 80, 120]) + rng.uniform(-12, 12, (5, 3))
    z, drift = rng.normal(1, 1, 5), rng.uniform(1, 4, 5)
    whole = recalculated(d, seen, planned=120)
    ahead, belief = conditional_power(whole, 0, z, drift), predictive_power(whole, 0, z, 2.0, 1.0)
    ends = whole.stopping(drift)
    for r in range(5):
        one = recalculated(d, seen[r], planned=120)
        assert whole.upper[r] == pytest.approx(one.upper, abs=1e-9)
        assert whole.lower[r] == pytest.approx(one.lower, abs=1e-9)
        assert ends.efficacy[r] == pytest.approx(one.stopping(drift[r]).efficacy, abs=1e-9)
        assert ahead.power[r] == pytest.approx(conditional_power(one, 0, z[r], drift[r]).power, abs=1e-9)
        assert belief.power[r] == pytest.approx(predictive_power(one, 0, z[r], 2.0, 1.0).power, abs=1e-9)
    statistics = rng.normal(1.5, 1, (5, 3))
    end = whole.follow(statistics)
    for r in range(5):
        crossed = [
            k
            for k in range(3)
            if statistics[r, k] >= whole.upper[r, k] or statistics[r, k] <= whole.lower[r, k]
        ]
        assert end.look[r] == crossed[0]
        assert end.shown[r] == (statistics[r, crossed[0]] >= whole.upper[r, crossed[0]])


def test_a_missing_statistic_is_never_a_crossing() -> None:
    end = boundaries(equal(2)).follow(np.array([[np.nan, 3.0], [4.0, np.nan], [np.nan, np.nan]]))
    assert end.look.tolist() == [1, 0, 1]
    assert end.shown.tolist() == [True, True, False]


def test_final_inference_without_interim_stop_is_ordinary_at_the_first_look() -> None:
    bounds = boundaries(equal(3, alpha=0.025, sides=1))
    found = final_inference(bounds, 0, 3.6, 0.95)
    scale = np.sqrt(1 / 3)
    assert found.p == pytest.approx(stats.norm.sf(3.6), rel=1e-9)
    assert (found.low, found.estimate, found.high) == pytest.approx(
        ((3.6 - 1.959963985) / scale, 3.6 / scale, (3.6 + 1.959963985) / scale), abs=1e-7
    )
    last = final_inference(bounds, 2, bounds.upper[2], 0.95)
    assert last.p == pytest.approx(0.025, abs=1e-12)
    assert last.low == pytest.approx(0, abs=1e-9)
    low, high = repeated_interval(bounds, bounds.upper)
    assert low == pytest.approx(np.zeros(3), abs=1e-12)
    assert np.all(high > 0)


def test_two_sample_t_test_against_noncentral_t() -> None:
    pain = Means(-9, 24, 0, lower_is_better=True, ratio=3)
    once = GroupSequential((1.0,), 0.05, 2, OBRIEN_FLEMING)
    n = np.array([24.0, 160.0, 400.0])
    ncp = 9 / 24 * np.sqrt(n * 3 / 16)
    expected = stats.nct.sf(stats.t.isf(0.025, n - 2), n - 2, ncp)
    assert power(pain, once, n).power == pytest.approx(expected, abs=1e-9)
    size = sample_size(pain, once, 0.8)
    assert power(pain, once, size.fixed).power == pytest.approx(0.8, abs=1e-10)
    assert size.arms == (int(np.ceil(size.fixed * 0.75)), int(np.ceil(size.fixed * 0.25)))


def test_baseline_adjustment_saves_the_explained_variance() -> None:
    once = GroupSequential((1.0,), 0.05, 2, OBRIEN_FLEMING)
    plain, adjusted = (
        sample_size(Means(-9, 24, 0, True, correlation=r, known_sd=True), once, 0.9) for r in (0.0, 0.5)
    )
    assert adjusted.fixed == pytest.approx(0.75 * plain.fixed, rel=1e-12)


def test_rates_under_the_null_maximise_the_likelihood() -> None:
    for p, q, m, r in (
        (0.5, 0.45, 0.1, 1.0),
        (0.3, 0.3, -0.15, 2.0),
        (0.9, 0.95, -0.2, 0.5),
        (0.1, 0.05, 0.1, 3.0),
    ):
        rates = Rates(p, q, m, lower_is_better=False, ratio=r)
        x = np.linspace(max(m, 0) + 1e-9, min(1 + m, 1) - 1e-9, 200_001)
        likelihood = (
            r * (p * np.log(x) + (1 - p) * np.log1p(-x)) + q * np.log(x - m) + (1 - q) * np.log1p(m - x)
        )
        assert rates.null_rates[0] == pytest.approx(x[likelihood.argmax()], abs=1e-5)


@pytest.mark.parametrize("n", [4, 12, 60, 300])
@pytest.mark.parametrize("known", [False, True])
def test_equivalence_power_by_independent_integration(n, known) -> None:
    pain = Means(1.5, 14, 0, lower_is_better=True, ratio=2, known_sd=known)
    low, high, alpha = -10.0, 8.0, 0.05
    se, df = 14 * 3 / np.sqrt(2 * n), n - 2
    t = stats.norm.isf(alpha) if known else stats.t.isf(alpha, df)

    def inside(s):
        width = max(stats.norm.cdf((high - 1.5) / se - t * s) - stats.norm.cdf((low - 1.5) / se + t * s), 0)
        return width if known else width * stats.chi.pdf(s, df, scale=df**-0.5)

    end = (high - low) / (2 * t * se)
    expected = inside(1.0) if known else integrate.quad(inside, 0, min(end, 12), epsabs=1e-12, limit=300)[0]
    assert equivalence_power(pain, (low, high), alpha, n) == pytest.approx(expected, abs=1e-8)


def test_equivalence_sample_size_reaches_its_power() -> None:
    pain = Means(0, 20, 0, lower_is_better=True)
    n = equivalence_sample_size(pain, (-8, 8), 0.05, 0.9)
    assert equivalence_power(pain, (-8, 8), 0.05, n) == pytest.approx(0.9, abs=1e-9)
    # Known variance, symmetric: n = 2 sd^2 (z_0.95 + z_0.95)^2 / margin^2 in each arm.
    known = equivalence_sample_size(replace(pain, known_sd=True), (-8, 8), 0.05, 0.9)
    assert known == pytest.approx(4 * (20 / 8 * 2 * stats.norm.isf(0.05)) ** 2, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: GroupSequential((0.5, 0.4, 1.0), 0.05, 2, POCOCK), "information"),
        (lambda: GroupSequential((0.5, 1.2), 0.05, 2, POCOCK), "information"),
        (lambda: GroupSequential((0.5, 0.9), 0.05, 2, POCOCK), "information"),
        (lambda: GroupSequential((), 0.05, 2, POCOCK), "information"),
        (lambda: GroupSequential((0.5, np.nan, 1.0), 0.05, 2, POCOCK), "information"),
        (lambda: GroupSequential((0.5, 1.0), 0.6, 2, POCOCK), "alpha"),
        (lambda: GroupSequential((0.5, 1.0), 0.05, 3, POCOCK), "sides"),
        (lambda: GroupSequential((0.5, 1.0), 0.05, 2, HaybittlePeto(1.5)), "efficacy.z"),
        (lambda: GroupSequential((0.5, 1.0), 0.05, 1, POCOCK, FixedFutility((0.0, 0.1))), "futility.z"),
        (lambda: GroupSequential((0.5, 1.0), 0.05, 2, POCOCK, FixedFutility((-1.0,))), "futility.z"),
        (
            lambda: GroupSequential((0.5, 1.0), 0.05, 1, POCOCK, BetaSpending(PocockType(), 0.96)),
            "futility.beta",
        ),
        (lambda: boundaries(GroupSequential((0.5, 1.0), 0.05, 1, POCOCK, FixedFutility((4.0,)))), "futility"),
        (lambda: Tabulated((0.5, 1.0), (0.7, 0.6)), "spending.share"),
        (lambda: KimDeMets(-1.0), "spending.rho"),
        (lambda: HwangShihDeCani(np.nan), "spending.gamma"),
        (lambda: Means(-9, 0, 0, True), "sd"),
        (lambda: Means(np.nan, 20, 0, True), "difference"),
        (lambda: Rates(0.5, 1.0, 0, True), "comparator"),
        (lambda: sample_size(Means(-9, 24, -10, True), equal(1), 0.8), "margin"),
        (lambda: sample_size(Means(9, 24, 0, True), equal(1), 0.8), "margin"),
        (lambda: sample_size(Means(-9, 24, 0, True), equal(1), 0.01), "power"),
        (lambda: sample_size(Means(-1e-9, 24, 0, True), equal(1), 0.8), "difference"),
        (lambda: power(Means(-9, 24, 0, True), equal(1), 2), "n"),
        (lambda: equivalence_power(Means(9, 24, 0, True), (-5, 5), 0.05, 100), "margins"),
        (lambda: conditional_power(boundaries(equal(2)), 1, 1.0, 2.0), "look"),
        (lambda: predictive_power(boundaries(equal(2)), 0, 1.0, 0.0, 0.0), "prior_sd"),
        (lambda: recalculated(equal(2), np.array([10.0, 20.0]), 20), "efficacy"),
        (lambda: recalculated(equal(2, PocockType()), np.array([20.0, 10.0]), 20), "information"),
    ],
)
def test_contradictory_designs_are_refused(make, field) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert [p.field for p in caught.value.problems] == [field]


def test_designs_print_and_hash() -> None:
    a, b = (GroupSequential((0.5, 1.0), 0.05, 2, HwangShihDeCani(-4.0)) for _ in range(2))
    assert hash(a) == hash(b)
    assert a == b
    assert "HwangShihDeCani(gamma=-4.0)" in repr(a)
    with pytest.raises(ValueError, match="read-only"):
        boundaries(a).upper[0] = 0
