"""Sentences and numbers of a synthesis as a reader sees them."""

from collections.abc import Collection, Sequence

from stemtrial.evidence.metarecord import MetaAnalysis
from stemtrial.evidence.terms import either as either
from stemtrial.evidence.terms import heading as heading
from stemtrial.evidence.terms import words as words
from stemtrial.report.wording import MINUS, interval, number


def marked(left_out: Sequence[tuple[str, str]], users: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Mark the user's trials among those left out."""
    return tuple((f"{trial} (yours)" if trial in users else trial, reason) for trial, reason in left_out)


def whose(users: Sequence[str]) -> str:
    """Say which trials of a result are the user's.

    Examples
    --------
    >>> whose(["own_2026"])
    'Rows of yours stand beside the shipped ones, marked (yours): own_2026.'
    """
    return f"Rows of yours stand beside the shipped ones, marked (yours): {', '.join(users)}."


def p_words(p: float) -> str:
    """Print a p value: two figures, or below a thousandth.

    Examples
    --------
    >>> p_words(0.0423), p_words(0.00001)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def finding(synthesis: MetaAnalysis) -> str:
    """Say what was found and how uncertain it is, without more claim than the interval carries."""
    pooled, month = synthesis.pooled, f"{synthesis.month:g}"
    sides = f"{words(synthesis.scope.intervention)} and {either(synthesis.scope.comparator)}"
    low, high = pooled.ci
    estimate = f"{number(pooled.estimate)} points of 100 (95 % confidence interval {interval(low, high)})"
    if pooled.k == 1:
        (study,) = synthesis.studies
        head = f"One trial only, so nothing was pooled: {study.label} found a difference of {estimate}"
    else:
        head = f"Over {pooled.k} studies the mean difference between {sides} at about {month} months is {estimate}"
    side = "with " + words(synthesis.scope.intervention)
    if low <= 0 <= high:
        reading = f"The interval includes a better and a worse score {side}."
    else:
        reading = f"The interval lies on the side of a {'better' if high < 0 else 'worse'} score {side}."
    if pooled.prediction is not None:
        first, last = pooled.prediction
        crosses = "includes" if first <= 0 <= last else "excludes"
        reading += (
            f" A further trial's true effect may lie from {interval(first, last)} (95 % prediction interval), "
            f"which {crosses} no difference."
        )
    return f"{head}. {reading}"


def heterogeneity(synthesis: MetaAnalysis) -> str:
    """Print tau2, I2 and Q of the pooled result, or say that one study cannot tell."""
    pooled = synthesis.pooled
    if pooled.q is None or pooled.i2 is None or pooled.tau2 is None or pooled.q_p is None:
        return "One study cannot tell how far true effects differ."
    spread = f" (95 % {interval(*pooled.tau2_ci, 0)})" if pooled.tau2_ci else ""
    return (
        f"τ² = {number(pooled.tau2, 1)}{spread}; I² = {number(pooled.i2, 0)} %; "
        f"Q = {number(pooled.q)} on {pooled.q_df} df, {p_words(pooled.q_p)}"
    )


def signed(value: float, digits: int = 1) -> str:
    """Print a number with its sign, plus included."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or not text.strip("0.") else f"+{text}"
