"""Harms to expect in an arm: events counted in published arms with the same treatment."""

from collections.abc import Iterable
from typing import Any

from scipy.special import betaincinv

from stemtrial.evidence import load
from stemtrial.mechanism.treatments import Treatment

_PUBLISHED = {"cells": "cell_therapy", "sham": "sham_procedure"}


def expected_harms(treatments: Iterable[Treatment], indication: str) -> dict[str, Any]:
    """Events per 100 patients by category, crudely added up over the published arms of each treatment.

    Arms differ in follow-up and in how events were asked for, and the sum ignores that; the interval (Jeffreys) covers
    chance only.

    Returns
    -------
    dict
        By category: ``treatment``, ``share`` with ``q025`` and ``q975``, ``events``, ``patients``, ``arms``; or a
        ``status`` where no published arm counts events.
    """
    evidence = load()
    trials = {t.trial_id for t in evidence.trials if t.indication == indication}
    counts: dict[tuple[str, str], list[int]] = {}
    for treatment in treatments:
        intervention = _PUBLISHED.get(treatment.name, treatment.name)
        for event in evidence.events:
            if event.trial_id not in trials or event.analysis_set != "primary":
                continue
            if evidence.arm(event.trial_id, event.arm_id).intervention != intervention:
                continue
            tally = counts.setdefault((treatment.name, event.category), [0, 0, 0])
            tally[0] += event.n_with_event
            tally[1] += event.n_at_risk
            tally[2] += 1
    if not counts:
        return {"status": "no published arm with this treatment counts events"}
    return {
        (category if name == "cells" or len({n for n, _ in counts}) == 1 else f"{name}: {category}"): {
            "treatment": name,
            "share": events / patients,
            "q025": float(betaincinv(events + 0.5, patients - events + 0.5, 0.025)) if events else 0.0,
            "q975": float(betaincinv(events + 0.5, patients - events + 0.5, 0.975))
            if events < patients
            else 1.0,
            "events": events,
            "patients": patients,
            "arms": arms,
        }
        for (name, category), (events, patients, arms) in sorted(counts.items())
    }


def detectable(n: int, chance: float = 0.95) -> float:
    """Smallest true rate of a harm of which an arm sees at least one event with the given chance.

    A harm that is not seen in n patients can be as frequent as this (for 95 %, about 3/n: Hanley & Lippman-Hand 1983,
    *JAMA* 249:1743).

    Examples
    --------
    >>> round(detectable(100), 4)
    0.0295
    """
    return float(1 - (1 - chance) ** (1 / n))
