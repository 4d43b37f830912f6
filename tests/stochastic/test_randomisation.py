"""Arms are drawn as declared, and analyses adjusted for strata are those of an ordinary regression."""

import itertools

import numpy as np
import pytest
from scipy import stats

from stemtrial.draws import Stream, uniforms
from stemtrial.population.covariates import draw
from stemtrial.trial.analysis import ancova
from stemtrial.trial.armmeans import contrasts
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.protocol import Trial
from stemtrial.trial.randomisation import BY_CHANCE, STRATUM_STRIDE, randomise, stratum
from stemtrial.trial.recruitment import AT_SITES, ENTRANTS, entries, sites
from stemtrial.trial.replicates import Plan, simulate
from stemtrial.trial.rows import table
from stemtrial.trial.stratified import stratified_ancova, stratified_contrasts, stratified_mmrm

ALARM = 1e-6
"""Chance that one assertion of these tests fails although the code is right."""

SEED = 11
ACCRUAL = {"sites": 3, "opening_every_months": 2.0, "patients_per_site_month": 2.0}


def randomised(plan: Plan, sizes=(30, 30), **rules) -> Trial:
    data = plan.trial.model_dump(mode="json")
    data["arms"]["saline"]["n"], data["arms"]["cells"]["n"] = sizes
    data["conduct"]["accrual"] = ACCRUAL
    data["randomisation"] = rules
    return Trial.model_validate(data)


def arms_in_order(trial: Trial, replicates: np.ndarray) -> np.ndarray:
    """Arm of every patient in the order of entry, (replicates, n); everybody is in exactly one arm."""
    found = np.full((len(replicates), trial.n), -1)
    for a, places in enumerate(randomise(trial, SEED, replicates).values()):
        rows, columns = np.nonzero(places.taken)
        assert (np.diff(places.entrant, axis=1) > 0).all()
        assert (found[rows, places.entrant[rows, columns]] == -1).all()
        found[rows, places.entrant[rows, columns]] = a
    assert (found >= 0).all()
    return found


def test_complete_blocks_within_strata_hold_the_ratio(plan):
    """Strata are found here from the patients themselves; one block size, two of three to the second arm."""
    trial = randomised(
        plan, (20, 40), method="block", block_sizes=[6], strata=["grade", "sex", "pain", "site"],
        pain_above=60.0, adjusted=True,
    )  # fmt: skip
    ids = np.arange(40)
    arm, people = arms_in_order(trial, ids), draw(trial.population, SEED, ids, ENTRANTS, trial.n)
    site = sites(trial.conduct.accrual, trial.n, SEED, ids)
    assert trial.strata == 2 * 2 * 2 * 3
    blocks = 0
    for r, (grade, female, above, s) in itertools.product(
        range(40), itertools.product((2, 3), (False, True), (False, True), range(3))
    ):
        own = (people.grade[r] == grade) & (people.female[r] == female) & (site[r] == s)
        inside = arm[r][own & ((people.pain[r] > 60) == above)]
        for first in range(0, len(inside) - 5, 6):
            assert inside[first : first + 6].sum() == 4
            blocks += 1
    assert blocks > 50


def test_every_order_of_a_block_is_equally_likely(plan):
    trial = randomised(plan, (2, 2), method="block", block_sizes=[4])
    arm = arms_in_order(trial, np.arange(6000))
    counts = np.unique(arm @ [8, 4, 2, 1], return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > ALARM


def test_block_sizes_are_drawn_with_equal_chance(plan):
    """Sizes 2 and 4: a block of 2 is balanced after two patients; one of 4 in two thirds of the orders."""
    trial = randomised(plan, (4, 4), method="block", block_sizes=[2, 4])
    balanced = (arms_in_order(trial, np.arange(6000))[:, :2].sum(axis=1) == 1).sum()
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], 6000, 0.5 + 0.5 * 2 / 3)
    assert low <= balanced <= high


def test_complete_randomisation_is_binomial_and_a_fixed_list_is_exact(plan):
    sizes = arms_in_order(randomised(plan, (20, 40), method="complete"), np.arange(6000)).sum(axis=1)
    se = np.sqrt(60 * 2 / 9 / 6000)
    assert abs(sizes.mean() - 40) < stats.norm.isf(ALARM / 2) * se
    assert abs(sizes.var() / (60 * 2 / 9) - 1) < stats.norm.isf(ALARM / 2) * np.sqrt(2 / 6000)
    fixed = arms_in_order(randomised(plan, (20, 40), method="fixed"), np.arange(3000))
    assert (fixed.sum(axis=1) == 40).all()
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], 3000, 2 / 3)
    assert low <= fixed[:, 0].sum() <= high


def test_sites_enrol_when_they_are_open_and_alike(plan):
    trial = randomised(plan, method="fixed")
    accrual, ids = trial.conduct.accrual, np.arange(3000)
    site, entry = sites(accrual, 60, SEED, ids), entries(accrual, 60, SEED, ids)
    assert (entry >= site * accrual.opening_every_months).all()
    late = site[entry > 4]
    assert stats.chisquare(np.bincount(late)).pvalue > ALARM


def test_addresses_of_the_draws_do_not_meet():
    assert 200 * STRATUM_STRIDE < AT_SITES < BY_CHANCE < 2**32 - 600_000
    assert STRATUM_STRIDE > 600_000 // 2
    assert AT_SITES + 600_000 < BY_CHANCE


def test_patients_drawn_by_a_list_of_identities_are_those_of_a_range():
    ids = np.arange(3)
    whole = uniforms(SEED, Stream.RANDOMISATION, ids, 5, 9, 6)
    some = np.array([[8, 2], [0, 1], [3, 3]])
    assert (
        uniforms(SEED, Stream.RANDOMISATION, ids, 5 + some, 2, 6) == np.take_along_axis(whole, some[None], 2)
    ).all()


# ---- analyses ----------------------------------------------------------------------------------------------------


def made(replicates: int, arms: int = 2, n: int = 26, effect: float = 0.0):
    """Readings with an effect of the stratum; a tenth is not seen."""
    rng = np.random.default_rng(4)
    x, s = rng.normal(60, 9, (arms, replicates, n)), rng.integers(0, 4, (arms, replicates, n))
    y = 0.6 * x + 6.0 * s + rng.normal(0, 8, x.shape) + effect * np.arange(arms)[:, None, None]
    return y, x, rng.random(x.shape) < 0.9, s


def test_adjusted_analysis_is_a_regression_with_a_column_for_each_stratum():
    y, x, seen, s = made(8, arms=3)
    weights = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [0.5, -1.0, 0.5]])
    found = stratified_contrasts(y, x, seen, s, weights)
    for r in range(8):
        here = np.concatenate(seen[:, r])
        arm = np.repeat(np.arange(3), 26)[here]
        level = np.concatenate(s[:, r])[here]
        design = np.column_stack(
            [*(level == k for k in range(4)), np.concatenate(x[:, r])[here], arm == 1, arm == 2]
        ).astype(float)
        target = np.concatenate(y[:, r])[here]
        beta = np.linalg.lstsq(design, target, rcond=None)[0]
        df = len(target) - 7
        covariance = np.linalg.inv(design.T @ design) * ((target - design @ beta) ** 2).sum() / df
        for w, comparison in zip(weights, found, strict=True):
            full = np.r_[np.zeros(5), w[1:]]
            estimate, se = full @ beta, np.sqrt(full @ covariance @ full)
            assert comparison.estimate[r] == pytest.approx(estimate, abs=1e-9)
            assert comparison.se[r] == pytest.approx(se, rel=1e-9)
            assert comparison.df[r] == df
            assert comparison.p[r] == pytest.approx(2 * stats.t.sf(abs(estimate / se), df), rel=1e-8)


def test_adjusted_analysis_keeps_its_level_and_gains_precision():
    y, x, seen, s = made(6000)
    found, plain = stratified_ancova(y, x, seen, s), ancova(tuple(y), tuple(x), tuple(seen))
    low, high = stats.binom.ppf([ALARM / 2, 1 - ALARM / 2], 6000, 0.05)
    assert low <= (found.p < 0.05).sum() <= high
    assert found.se.mean() < 0.85 * plain.se.mean()


def test_adjusted_analysis_of_nobody_or_of_one_arm_is_not_possible():
    y, x, seen, s = made(3)
    seen[1, 0] = False
    seen[:, 1] = False
    found = stratified_ancova(y, x, seen, s)
    assert np.isnan(found.estimate[:2]).all()
    assert (found.df[:2] == 0).all()
    assert np.isfinite(found.estimate[2])


def test_adjusted_repeated_measures_on_complete_data_are_the_adjusted_covariance_analysis():
    """Strata of fewer than four are pooled by the one and not by the other, so they are left out here."""
    rng = np.random.default_rng(4)
    x, s = rng.normal(60, 9, (2, 5, 30)), np.tile(np.arange(3), 10) * np.ones((2, 5, 1), int)
    y = 0.6 * x[:, None] + 6.0 * s[:, None] + rng.normal(0, 8, (2, 3, 5, 30))
    seen = np.ones((2, 3, 5, 30), bool)
    joint = stratified_mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), (s[0], s[1]), "kenward_roger")
    for v in range(3):
        single = stratified_ancova(y[:, v], x, seen[:, v], s)
        assert joint.estimate[:, v] == pytest.approx(single.estimate, abs=1e-8)
        assert joint.se[:, v] == pytest.approx(single.se, rel=1e-8)


def test_small_strata_are_pooled_in_repeated_measures():
    """A stratum of one is pooled with the largest: the fit is that without it; replicates differ in what they pool."""
    rng = np.random.default_rng(4)
    x, s = rng.normal(60, 9, (2, 2, 30)), np.tile(np.arange(2), 15) * np.ones((2, 2, 1), int)
    y = 0.6 * x[:, None] + 6.0 * s[:, None] + rng.normal(0, 8, (2, 3, 2, 30))
    seen = np.ones((2, 3, 2, 30), bool)
    odd = s.copy()
    odd[0, 0, 0] = 2
    s[0, 0, 0] = 1  # the other stratum is the largest then
    plain = stratified_mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), (s[0], s[1]), "satterthwaite")
    found = stratified_mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), (odd[0], odd[1]), "satterthwaite")
    assert np.allclose(found.estimate, plain.estimate, atol=1e-9)
    one = np.zeros_like(s)
    none = stratified_mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), (one[0], one[1]), "satterthwaite")
    assert np.allclose(
        none.estimate, mmrm((y[0], y[1]), (x[0], x[1]), (seen[0], seen[1]), "satterthwaite").estimate
    )


# ---- trials ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(plan):
    """A trial with everything that moves patients about: 12 replicates."""
    data = randomised(
        plan, (20, 40), method="block", block_sizes=[3, 6], strata=["site", "sex"], adjusted=True
    ).model_dump(mode="json")
    data["visits_months"] = [1, 6, 12]
    data["question"]["interim"] = {"at": [0.5], "spending": "pocock"}
    data["conduct"] |= {
        "visit_window_days": 10.0,
        "crossover": {
            "from_arm": "saline",
            "to_arm": "cells",
            "from_month": 6,
            "pain_above": 30,
            "share": 0.8,
        },
    }
    made = Plan.of(Trial.model_validate(data))
    return made, simulate(made, SEED, np.arange(12))


def test_a_randomised_replicate_alone_is_the_one_of_the_run(whole):
    plan, results = whole
    alone = simulate(plan, SEED, np.array([7]))
    assert all(alone[k][0].tobytes() == results[k][7].tobytes() for k in results)


def test_counts_of_a_randomised_trial_add_up(whole):
    _, results = whole
    sizes = results["saline/randomised"] + results["cells/randomised"]
    assert (sizes == 60).all()
    assert len(set(results["cells/randomised"].tolist())) > 1
    for arm in ("saline", "cells"):
        present = results[f"{arm}/randomised"] - results[f"{arm}/dropped"].sum(axis=1)
        assert (results[f"{arm}/analysed"] == present).all()
    stopped = results["look"] == 0
    assert ((results["randomised"] >= 30) & (results["randomised"] <= 60)).all()
    assert (results["randomised"][~stopped] == 60).all()


def test_rows_of_a_randomised_trial_are_its_patients(whole):
    """Places that stay empty have no row; arms have the same columns though only one is crossed over from."""
    plan, results = whole
    made = []
    ids = np.arange(3)
    simulate(plan, SEED, ids, lambda *found: made.append(table(plan.trial, *found).to_pandas()))
    (rows,) = made
    sizes = rows.groupby(["replicate", "arm"]).size()
    for arm in ("saline", "cells"):
        assert sizes[:, arm].tolist() == results[f"{arm}/randomised"][:3].tolist()
    crossed = rows.groupby("arm")["crossover_month"].count()
    assert crossed["cells"] == 0
    assert crossed["saline"] == results["saline/events/crossover"][:3].sum()


def test_the_analysis_of_a_replicate_is_the_regression_of_its_patients(whole):
    """The patients of one replicate, taken apart by hand."""
    plan, results = whole
    kept = []
    simulate(plan, SEED, np.array([3]), lambda ids, casts, records: kept.append((casts, records)))
    ((casts, records),) = kept
    rows = []
    for a, arm in enumerate(("saline", "cells")):
        record, people = records[arm], casts[arm].people.covariates
        site = sites(plan.trial.conduct.accrual, 60, SEED, np.array([3]))[0]
        for i in np.flatnonzero(record.present[2, 0]):
            level = (site[record.places.entrant[0, i]], people.female[0, i])
            rows.append((record.readings["VAS"][2, 0, i], people.pain[0, i], a, level))
    levels = sorted({row[3] for row in rows})
    design = np.array([[row[1], row[2], *(row[3] == k for k in levels)] for row in rows], float)
    beta = np.linalg.lstsq(design, np.array([row[0] for row in rows]), rcond=None)[0]
    assert results["path"][3, -1, 0] == pytest.approx(beta[1], abs=1e-9)


def test_joint_contrasts_of_two_arms_are_their_comparison(plan):
    """Factorial and dose-response contrasts are adjusted as the comparison of two arms is, by either analysis."""
    weights = np.array([[-1.0, 1.0]])
    for analysis in ("ancova", "mmrm"):
        trial = randomised(plan, method="block", block_sizes=[4], strata=["sex", "grade"], adjusted=True)
        data = trial.model_dump(mode="json")
        data["visits_months"] = [1, 12]
        data["question"]["analysis"] = analysis
        made = Plan.of(Trial.model_validate(data))
        ids, drawn = np.arange(6), made.belief.draw(SEED, np.arange(6))
        arms = [made.follow(cast, made.schedules[arm], drawn) for arm, cast in made.casts(SEED, ids).items()]
        (joint,), pair = contrasts(made, arms, weights), made.analyse(*arms, visits=[1])[0]
        for name in ("estimate", "se", "df", "p"):
            assert getattr(joint, name) == pytest.approx(getattr(pair, name), rel=1e-7)


def test_stratum_of_a_patient(plan):
    trial = randomised(
        plan, method="block", block_sizes=[4], strata=["pain", "grade"], pain_above=60.0, adjusted=False
    )
    people = draw(trial.population, SEED, np.arange(2), ENTRANTS, 60)
    expected = 2 * (people.pain > 60) + (people.grade == 3)
    assert (stratum(trial, people, None) == expected).all()
