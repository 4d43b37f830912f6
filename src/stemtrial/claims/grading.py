"""Certainty of a part by the same GRADE rules as a synthesis, whatever its kind."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import Estimate, important
from stemtrial.evidence.certainty import Finding, Judgement, grade
from stemtrial.evidence.smallstudy import egger
from stemtrial.evidence.wording import Level


def certainty(
    part: Part, data: Sequence[Datum], found: Estimate, silent: int
) -> tuple[Level, tuple[Judgement, ...]]:
    """Rate the certainty of an estimate.

    Parameters
    ----------
    silent
        Compared trials that print nothing usable at any visit; they stand for unpublished results.

    Notes
    -----
    Imprecision holds the interval against the part's important difference. The information size is that of
    points (spread of all groups together) or of a risk (of the control sides); ratios of spreads and
    heterogeneity are judged by their intervals alone. Heterogeneity itself cannot be inconsistent. Cells
    against other cells through comparators are indirect.
    """
    names = [f"{datum.trial_id} {datum.side:+d}" for datum in data]
    bias = {name: datum.risk_of_bias for name, datum in zip(names, data, strict=True)}
    weights = dict(zip(names, found.weights, strict=True))
    p = None
    if len(data) >= 10 and part.kind in ("difference", "marker", "durability", "response_spread"):
        y, v = [datum.y for datum in data], [datum.v for datum in data if datum.v is not None]
        p = egger(y, v, model="lm", level=0.95).p
    level, judgements = grade(
        Finding(
            treatment="",
            comparator="",
            construct="pain",
            estimate=found.lean,
            interval=found.lean_interval,
            prediction=found.prediction if part.kind in ("difference", "marker", "durability") else None,
            i2=found.i2,
            tau2=found.tau2 if part.kind != "protocol_spread" else None,
            k=found.k,
            n=found.n,
            risk_of_bias=bias,  # type: ignore[arg-type]  # words of the tables
            weights=weights,
            sd=_between_persons(part, data),
            mcid=important(part),
            indirect=(*part.indirect, *(("indirect_only",) if part.against is not None else ())),
            egger_p=p,
            registered_without_results=silent,
            randomised=all(datum.randomised for datum in data),
        )
    )
    # the trials counted are compared ones of the tables, registered or published
    trials = "1 compared trial prints" if silent == 1 else f"{silent} compared trials print"
    words = f"{trials} nothing of it at any visit, beside {found.k}"
    return level, tuple(
        replace(each, reason=words)
        if each.domain == "publication bias" and "registered" in each.reason
        else each
        for each in judgements
    )


def _between_persons(part: Part, data: Sequence[Datum]) -> float | None:
    if part.kind in ("difference", "marker", "durability"):
        known = [(datum.sd, datum.n) for datum in data if datum.sd is not None and datum.n > 0]
        if not known:
            return None
        sds, sizes = np.array(known).T
        return float(np.sqrt(np.average(sds**2, weights=sizes)))
    if part.kind == "events":
        counts = np.array([datum.counts for datum in data if datum.counts is not None], dtype=float)
        events, persons = counts.sum(axis=0)[[0, 2]].sum(), counts.sum(axis=0)[[1, 3]].sum()
        risk = (events + 0.5) / (persons + 1)
        return 1000 * sqrt(risk * (1 - risk))
    return None
