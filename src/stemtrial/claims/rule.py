"""The fixed rule from probability and certainty to a verdict, and its fingerprint."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

from stemtrial.claims.claim import Claim
from stemtrial.claims.contributions import RULES
from stemtrial.claims.estimating import LEVEL
from stemtrial.evidence import certainty as grade
from stemtrial.evidence.wording import LARGE, MODERATE, SMALL, Level

Verdict: TypeAlias = Literal["supported", "contradicted", "uncertain"]

SUPPORTED, CONTRADICTED = 0.95, 0.05
"""A claim is supported from the first probability on, and contradicted up to the second."""

LEAST: Level = "moderate"
"""Certainty below which no claim is supported or contradicted."""

_LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Judged:
    """Probability (as bounds) and certainty of something that is asked, and the verdict."""

    p: tuple[float, float]
    certainty: Level
    verdict: Verdict


def judge(p: tuple[float, float], certainty: Level) -> Judged:
    """Return the verdict on one part.

    Examples
    --------
    >>> judge((0.97, 0.97), "moderate").verdict, judge((0.97, 0.97), "low").verdict
    ('supported', 'uncertain')
    """
    verdict: Verdict = "uncertain"
    if _LEVELS.index(certainty) <= _LEVELS.index(LEAST):
        if p[0] >= SUPPORTED:
            verdict = "supported"
        elif p[1] <= CONTRADICTED:
            verdict = "contradicted"
    return Judged(p, certainty, verdict)


def together(parts: Sequence[Judged]) -> Judged:
    """Return the verdict on a claim that holds if all of its parts hold.

    The probability lies between Fréchet's bounds, ``max(0, sum p - (m - 1))`` and ``min p``, whatever the
    dependence of the parts. The claim is contradicted as soon as one part is, whatever is known of the
    others; it is supported only if the lower bound and the certainty of every part allow it. Its certainty
    is the lowest of its parts.

    Examples
    --------
    >>> found = together([judge((0.9, 0.9), "high"), judge((0.0, 1.0), "very_low")])
    >>> found.p, found.certainty, found.verdict
    ((0.0, 0.9), 'very_low', 'uncertain')
    """
    high = min(part.p[1] for part in parts)
    low = min(high, max(0.0, sum(part.p[0] for part in parts) - (len(parts) - 1)))
    least = max((part.certainty for part in parts), key=_LEVELS.index)
    verdict = judge((low, high), least).verdict
    if any(part.verdict == "contradicted" for part in parts):
        verdict = "contradicted"
    return Judged((low, high), least, verdict)


def rule_hash(claim: Claim) -> str:
    """Return the SHA-256 of everything but the evidence that a verdict depends on: claim, rule and constants."""
    constants = {
        "claim": claim.hash,
        "verdict": [SUPPORTED, CONTRADICTED, LEAST],
        "interval": LEVEL,
        "rows": asdict(RULES),
        "certainty": [
            grade.BIAS_SERIOUS, grade.BIAS_VERY_SERIOUS, grade.I2_SERIOUS, grade.EGGER_MIN_TRIALS, grade.EGGER_P,
            grade.UNPUBLISHED_SERIOUS, grade.POWER, grade.ALPHA, dict(grade.CONCERN), LARGE, MODERATE, SMALL,
        ],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()
