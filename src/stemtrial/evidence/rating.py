"""Certainty of a pairwise synthesis by GRADE, from the numbers of its record."""

from dataclasses import replace
from typing import get_args

import numpy as np

from stemtrial.evidence.certainty import Finding, Indirect, Profile, profile
from stemtrial.evidence.metarecord import MetaAnalysis
from stemtrial.evidence.wording import Construct


def rate(
    found: MetaAnalysis, *, treatment: str, comparator: str, indirect: tuple[Indirect, ...]
) -> Profile | None:
    """Rate a synthesis of pain or function; ``None`` for other outcomes or without an important difference.

    Parameters
    ----------
    treatment, comparator
        Names as they shall read in the sentence.
    indirect
        What of the trials differs from the reader's question, which no table can know.

    Notes
    -----
    The spread for the optimal information size is that of all groups together; persons are those with
    printed numbers, a pair of knees counting once. One trial that is not randomised makes all of it start
    at low certainty. Compared trials of the tables that print no usable score of the outcome at any visit
    stand for unpublished results.
    """
    if found.mcid is None or found.outcome not in get_args(Construct):
        return None
    groups = [
        group
        for study in found.studies
        for group in (study.contrast.treated, study.contrast.control)
        if group is not None
    ]
    if not groups:
        return None
    sizes, spreads = np.array([g.n for g in groups]), np.array([g.sd for g in groups])
    persons = sum(
        max(side.n for side in sides) if study.contrast.design == "paired" else sum(side.n for side in sides)
        for study in found.studies
        if (sides := [g for g in (study.contrast.treated, study.contrast.control) if g is not None])
    )
    pooled, silent = found.pooled, len(found.without_scores)
    rated = profile(
        Finding(
            treatment=treatment,
            comparator=comparator,
            construct=found.outcome,  # type: ignore[arg-type]
            estimate=pooled.estimate,
            interval=pooled.ci,
            prediction=pooled.prediction,
            i2=pooled.i2,
            tau2=pooled.tau2,
            k=pooled.k,
            n=float(persons),
            risk_of_bias={study.label: study.risk_of_bias for study in found.studies},  # type: ignore[misc]
            weights={study.label: study.weight for study in found.studies},
            sd=float(np.sqrt(np.sum((sizes - 1) * spreads**2) / np.sum(sizes - 1))),
            mcid=found.mcid.value,
            indirect=indirect,
            egger_p=found.small_studies.egger.p,
            registered_without_results=silent,
            randomised=all(study.randomised for study in found.studies),
            months=f"{found.month:g} months",
        )
    )
    # The trials counted are compared ones of the tables, registered or published.
    reason = f"{silent} compared trials print no usable score at any visit, beside {pooled.k}"
    judged = (
        replace(each, reason=reason)
        if each.domain == "publication bias" and "registered" in each.reason
        else each
        for each in rated.judgements
    )
    return replace(rated, judgements=tuple(judged))
