"""The smallest further trial that could change a verdict.

A two-arm trial of N persons (equal arms, blinded, at low risk of bias) is added to the studies and everything is
computed again. What it finds is taken from its predictive distribution at a stated true value: normal with the variance
between trials and its own sampling variance, read at equally likely quantiles in place of random draws, so that the
answer needs no seed. The trial changes the verdict at N if the rule gives the other verdict for at least four fifths of
these results; certainty is judged with the trial at its expected result. Sizes are tried from small to large.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import Estimate, Nothing, estimate, on_scale, probability
from stemtrial.claims.grading import certainty
from stemtrial.claims.rule import CONTRADICTED, SUPPORTED, judge
from stemtrial.evidence.certainty import Judgement
from stemtrial.evidence.wording import Level

SHARE = 0.8
"""Share of the possible results that must change the verdict."""

SIZES = (20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000, 3000, 5000, 10000, 20000)
"""Numbers of persons that are tried, both arms together."""

RESULTS = 25
"""Equally likely results of a trial of one size."""

Towards = Literal["supported", "contradicted"]

_LEAST_KNOWN: Level = "very_low"


@dataclass(frozen=True)
class Change:
    """What it takes to change the verdict on a part in one direction.

    ``persons`` is ``None`` where no size of :data:`SIZES` is enough; ``certainty`` then is that at the largest
    size, ``share`` the share of the results that change it there (0 where the certainty forbids it), and
    ``reason`` says what stands in the way.
    """

    towards: Towards
    true_value: float
    persons: int | None
    share: float
    certainty: Level
    reason: str


def of_claim(parts: Sequence[tuple[str, Sequence[Change]]]) -> tuple[Change, ...]:
    """Return what it takes to change the verdict on a claim, from what it takes for its parts by name.

    One contradicted part contradicts the claim, so the smallest trial of any part counts. A claim of one part
    is supported with it; several parts must all be supported, which no trial of one part can bring about.
    """
    found = []
    for towards in get_args(Towards):
        known = [(name, change) for name, each in parts for change in each if change.towards == towards]
        if not known:
            continue
        name, least = min(known, key=lambda pair: pair[1].persons or float("inf"))
        if len(parts) == 1:
            found.append(least)
        elif towards == "supported":
            reason = "every part must be supported, each by trials of its own"
            found.append(replace(least, persons=None, share=0.0, reason=reason))
        else:
            found.append(replace(least, reason=least.reason or f"by its part {name}"))
    return tuple(found)


def changes(part: Part, data: Sequence[Datum], found: Estimate | Nothing, silent: int) -> tuple[Change, ...]:
    """Return the smallest trials towards supported and towards contradicted, without the verdict in force.

    Empty where the claim file states no ``next_trial``.
    """
    plan = part.next_trial
    if plan is None:
        return ()
    now = (
        judge((found.p, found.p), certainty(part, data, found, silent)[0])
        if isinstance(found, Estimate)
        else None
    )
    asked: tuple[tuple[Towards, float], ...] = (("supported", plan.if_true), ("contradicted", plan.if_false))
    return tuple(
        _smallest(part, data, found, silent, towards, true)
        for towards, true in asked
        if now is None or now.verdict != towards
    )


def _smallest(
    part: Part, data: Sequence[Datum], found: Estimate | Nothing, silent: int, towards: Towards, true: float
) -> Change:
    share, level = 0.0, _LEAST_KNOWN
    judgements: tuple[Judgement, ...] = ()
    for persons in SIZES:
        expected = (*data, _trial(part, data, found, true, persons, 0.0))
        again = estimate(part, expected)
        if isinstance(again, Nothing):
            continue
        level, judgements = certainty(part, expected, again, silent)
        if judge((1.0, 1.0), level).verdict == "supported":
            share = _share(part, data, found, towards, true, persons)
            if share >= SHARE:
                return Change(towards, true, persons, share, level, "")
    domains = ", ".join(each.domain for each in judgements if each.down)
    if judge((1.0, 1.0), level).verdict == "uncertain":
        reason = f"the certainty stays {level.replace('_', ' ')}: {domains}"
    elif isinstance(found, Estimate) and found.tau2:
        reason = f"the {found.k} studies scatter so much that one trial cannot outweigh them"
    else:
        reason = "the threshold is too near the true value for one trial of this size"
    return Change(towards, true, None, share, level, reason)


def _share(
    part: Part, data: Sequence[Datum], found: Estimate | Nothing, towards: Towards, true: float, persons: int
) -> float:
    """Return the share of the possible results whose probability is on the side of the verdict."""
    wins = 0
    for z in ndtri((np.arange(RESULTS) + 0.5) / RESULTS):
        p = probability(part, (*data, _trial(part, data, found, true, persons, float(z))))
        if p is not None:
            wins += p >= SUPPORTED if towards == "supported" else p <= CONTRADICTED
    return wins / RESULTS


def _trial(
    part: Part, data: Sequence[Datum], found: Estimate | Nothing, true: float, persons: int, z: float
) -> Datum:
    """Return a new trial that finds the quantile ``z`` of its predictive distribution."""
    plan = part.next_trial
    assert plan is not None
    tau2 = found.tau2 or 0.0 if isinstance(found, Estimate) else 0.0
    blank = Datum(
        trial_id="new",
        label="New trial",
        month=part.month or 0.0,
        y=0.0,
        v=0.0,
        n=float(persons),
        sd=plan.sd,
        counts=None,
        side=1,
        early=None,
        control=("", ""),
        treated=("", ""),
        risk_of_bias="low",
        blinding="double",
        randomised=True,
        provenance="user",
        references=(),
        flags=(),
    )
    if part.kind == "events":
        return _new_events(blank, data, part, true, persons, z)
    mean = on_scale(part, true)
    if part.kind == "response_spread":
        tau2 /= 100**2
        v = 2 / (2 * (persons / 2 - 1))
    elif part.kind == "marker":
        v = 4 / persons + mean**2 / (2 * persons)
    else:
        assert plan.sd is not None
        v = 4 * plan.sd**2 / persons
        if part.kind == "durability":
            early = [datum.early[0] for datum in data if datum.early]
            first = float(np.mean(early)) if early else -part.important
            assert part.correlation is not None
            mean = (true - part.threshold) * first
            v *= 1 + part.threshold**2 - 2 * part.threshold * part.correlation
            blank = replace(blank, early=(first, v))
    return replace(blank, y=mean + z * sqrt(tau2 + v), v=v)


def _new_events(
    blank: Datum, data: Sequence[Datum], part: Part, true: float, persons: int, z: float
) -> Datum:
    """Count events: the control side at its expected number, all of the chance on the treated side.

    Against other cells the new trial compares the two directly.
    """
    plan = part.next_trial
    assert plan is not None
    assert plan.sd is not None
    size = persons // 2
    base, treated = plan.sd / 1000, min(max((plan.sd + true) / 1000, 0.0), 1.0)
    spread = sqrt((base * (1 - base) + treated * (1 - treated)) / size)
    risk = min(max(treated + z * spread, 0.0), 1.0)
    counts = (round(risk * size), size, round(base * size), size)
    y = 1000 * (counts[0] - counts[2]) / size
    return replace(blank, y=y, v=1e6 * spread**2, sd=None, counts=counts, side=0 if part.against else 1)
