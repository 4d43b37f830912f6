"""Several comparisons that share alpha over several looks: the error they make, and that of equivalence at looks.

Test statistics, or normal readings, without the mechanistic model: what is tested is the procedure.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from models.normal_trials import ALARM, inside, normal_arm
from stemtrial.trial.alongside import judge
from stemtrial.trial.groupsequential import OBRIEN_FLEMING, POCOCK, FixedFutility, GroupSequential
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan
from stemtrial.trial.sharing import NEVER, Sharing
from stemtrial.trial.spending import HwangShihDeCani, OBrienFlemingType, PocockType

TRIALS = 100_000
LEVEL = 0.025
METHODS = ("holm", "bonferroni", "fixed_sequence")


def statistics(rng, drift, information, n=TRIALS):
    """Statistics of comparisons with one comparator and arms of one size, (n, comparisons, looks)."""
    t = np.array(information)
    steps = np.sqrt(np.diff(t, prepend=0))
    own = rng.normal(size=(n, len(drift) + 1, len(t))) * steps
    score = np.cumsum((own[:, 1:] - own[:, :1]) / np.sqrt(2), axis=2) + np.array(drift)[:, None] * t
    return score / np.sqrt(t)


def shared(method, m, efficacy=OBrienFlemingType(), stop_when="all_decided", sides=1, futility=None):  # noqa: B008
    at = (0.4, 0.7, 1.0)
    return Sharing(method, m, GroupSequential(at, sides * LEVEL, sides, efficacy, futility), stop_when)


def above(successes, level):
    """Whether there are more than chance allows at a true share of the level, false-alarm rate ALARM."""
    return successes.sum() > stats.binom.ppf(1 - ALARM, len(successes), level)


@pytest.mark.parametrize("efficacy", [OBrienFlemingType(), PocockType(), HwangShihDeCani(-4.0), OBRIEN_FLEMING, POCOCK],
                         ids=repr)  # fmt: skip
@pytest.mark.parametrize("method", METHODS)
def test_familywise_error_is_kept_whichever_hypotheses_are_true(method, efficacy):
    """Every pattern of true and false null hypotheses of three, strong effects and weak ones."""
    rng = np.random.default_rng(8)
    sharing = shared(method, 3, efficacy)
    for drift in ([0, 0, 0], [0, 0, 3], [3, 0, 0], [5, 5, 0], [0, 2, 2]):
        found = sharing.follow(statistics(rng, drift, sharing.design.information, 20_000))
        assert not above(found.rejected[:, np.array(drift) == 0].any(axis=1), LEVEL), drift


@pytest.mark.parametrize("method", ["holm", "fixed_sequence"])
@pytest.mark.parametrize("stop_when", ["all_decided", "main_decided", "any_shown"])
@pytest.mark.parametrize("sides", [1, 2])
def test_a_hypothesis_that_inherits_all_of_alpha_uses_it_up(method, stop_when, sides):
    """The others are shown at the first look for certain, so that the last is tested with the whole level."""
    rng = np.random.default_rng(9)
    sharing = shared(method, 2, stop_when=stop_when, sides=sides)
    z = statistics(rng, [60, 0], sharing.design.information)
    found = sharing.follow(z)
    assert found.rejected[:, 0].all()
    false = int(found.rejected[:, 1].sum())
    if stop_when == "all_decided":
        assert inside(false, LEVEL, TRIALS, 0.0)
    else:
        first = float(stats.norm.sf(sharing.critical[1, 0]))
        assert inside(false, first, TRIALS, 0.0)
        assert (found.look == 0).all()


def slow(sharing, z):
    """One trial after the other, by a graph with weights and transitions (Bretz et al. 2009)."""
    m, looks = z.shape[1:]
    start = {"holm": np.full(m, 1 / m), "bonferroni": np.full(m, 1 / m), "fixed_sequence": np.eye(m)[0]}
    move = {
        "holm": (np.ones((m, m)) - np.eye(m)) / (m - 1),
        "bonferroni": np.zeros((m, m)),
        "fixed_sequence": np.eye(m, k=1),
    }
    at = np.full(z.shape[:2], NEVER)
    for r in range(len(z)):
        weight, transition = start[sharing.method].copy(), move[sharing.method].copy()
        left = set(range(m))
        for k in range(looks):
            going = True
            while going:
                going = False
                for i in sorted(left):
                    if weight[i] > 1e-9 and z[r, i, k] >= sharing.bounds(round(1 / weight[i])).upper[k]:
                        at[r, i], going = k, True
                        left.discard(i)
                        new = np.zeros((m, m))
                        for j in left:
                            weight[j] += weight[i] * transition[i, j]
                            for h in left - {j}:
                                through = transition[j, i] * transition[i, j]
                                if through < 1:
                                    path = transition[j, h] + transition[j, i] * transition[i, h]
                                    new[j, h] = path / (1 - through)
                        weight[i], transition = 0, new
                        break
    return at


@pytest.mark.parametrize("method", METHODS)
def test_decisions_are_those_of_the_graph(method):
    rng = np.random.default_rng(10)
    sharing = shared(method, 3)
    z = statistics(rng, [2.5, 2.0, 3.0], sharing.design.information, 400)
    z[::7, 1, 1] = np.nan
    found = sharing.follow(z)
    assert (found.shown_at == slow(sharing, z)).all()
    assert 0.2 < found.rejected.mean() < 0.9
    assert (found.rejected == (found.shown_at < NEVER)).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_look_is_the_adjusted_p_value(method):
    rng = np.random.default_rng(11)
    one = GroupSequential((1.0,), LEVEL, 1, OBRIEN_FLEMING)
    sharing = Sharing(method, 3, one, None)
    z = statistics(rng, [2.0, 2.0, 2.0], [1.0], 3000)
    graph = slow(sharing, z) == 0
    assert (sharing.follow(z).rejected == graph).all()


def test_a_comparison_given_up_is_never_shown_and_ends_the_trial_with_the_others():
    sharing = shared("fixed_sequence", 2, futility=FixedFutility((0.0, 0.0)))
    z = np.array([[[-1.0, 9.0, 9.0], [9.0, 9.0, 9.0]], [[9.0, 0.0, 0.0], [-1.0, 9.0, 9.0]]])
    found = sharing.follow(z)
    assert found.rejected.tolist() == [[False, False], [True, False]]
    assert found.look.tolist() == [0, 0]
    both = replace(sharing, method="bonferroni", stop_when="main_decided").follow(z[:, ::-1])
    assert both.rejected.tolist() == [[True, False], [False, True]]


# ---- normal readings through the analysis of a trial ---------------------------------------------------------------


def three_arms(plan, **question):
    data = plan.trial.model_dump(mode="json")
    data["arms"]["more"] = data["arms"]["cells"] | {"n": 60}
    for arm in data["arms"].values():
        arm["n"] = 60
    data["visits_months"] = [6, 12]
    data["question"] |= {"also_compare": [["more", "saline"]], "sides": 1, "alpha": LEVEL} | question
    return Plan.of(Trial.model_validate(data))


@pytest.mark.parametrize(
    ("method", "means", "expected"),
    [("holm", (50, 50, 50), None), ("holm", (50, 0, 50), LEVEL), ("fixed_sequence", (50, 50, 50), LEVEL)],
)
def test_familywise_error_of_a_trial_with_a_normal_endpoint(plan, method, means, expected):
    """At most the level; exactly the level where one hypothesis alone can be rejected falsely with all of alpha."""
    interim = {"at": [0.5], "spending": "lan_demets_of"}
    trial = three_arms(plan, multiplicity=method, stop_when="all_decided", interim=interim)
    rng = np.random.default_rng(12)
    arms = {
        name: normal_arm(trial, mean, rng, 60, 8000)
        for name, mean in zip(("saline", "cells", "more"), means, strict=True)
    }
    found = judge(trial, arms)
    true = [mean == 50 for mean in means[1:]]
    wrong = found.shared.rejected[:, true].any(axis=1)
    assert not above(wrong, LEVEL + 0.002)
    assert expected is None or inside(int(wrong.sum()), expected, len(wrong), 0.002)
    assert (
        found.look[found.shared.rejected.all(axis=1) & (found.shared.shown_at == 0).all(axis=1)] == 0
    ).all()
