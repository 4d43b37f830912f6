"""Sentences about an effect by size and certainty, after the GRADE guidance on informative statements.

Santesso et al. 2020, doi:10.1016/j.jclinepi.2019.10.014: high certainty states, moderate adds "probably", low
adds "may", very low says that the effect is very uncertain; size is judged by whoever knows the outcome, here
against the smallest important difference between groups.
"""

from typing import Literal

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.heterogeneity import choice

Level = Literal["high", "moderate", "low", "very_low"]
Size = Literal["large", "moderate", "small", "trivial"]
Direction = Literal["reduces", "increases"]
Construct = Literal["pain", "function"]

LARGE, MODERATE, SMALL = 2.0, 1.0, 1 / 3
"""Sizes begin at these multiples of the MCID: twice it, once, and a third; below is little or no difference."""

LIMITATION = {"pain": "pain", "function": "limitation of function"}
"""What is counted on 0-100, lower better: less of it is a reduction."""


def size_of(estimate: float, mcid: float) -> Size:
    """Judge the size of a difference on 0-100 against the MCID.

    Examples
    --------
    >>> size_of(-12.0, 10.0), size_of(2.0, 10.0)
    ('moderate', 'trivial')
    """
    if not mcid > 0:
        raise InputError(Problem("is no difference", field="mcid", value=mcid, allowed="above 0"))
    share = abs(estimate) / mcid
    if share >= LARGE:
        return "large"
    if share >= MODERATE:
        return "moderate"
    return "small" if share >= SMALL else "trivial"


def statement(
    treatment: str,
    comparator: str,
    construct: Construct,
    *,
    size: Size,
    direction: Direction,
    level: Level,
    months: str | None = None,
) -> str:
    """Return the sentence for a size and a certainty.

    Parameters
    ----------
    treatment, comparator
        Names as they shall read in the sentence.
    direction
        Whether pain, or limitation of function, is lower (``reduces``) or higher with the treatment.
    months
        Time of the comparison, such as ``"6 months"``.

    Examples
    --------
    >>> statement("cells", "saline", "pain", size="small", direction="reduces", level="low", months="6 months")
    'Compared with saline, cells may reduce pain slightly at 6 months.'
    """
    choice("construct", construct, Construct)
    outcome = LIMITATION[construct]
    return effect_sentence(
        treatment, comparator, outcome, size=size, direction=direction, level=level, months=months
    )


def effect_sentence(
    treatment: str,
    comparator: str,
    outcome: str,
    *,
    size: Size,
    direction: Direction,
    level: Level,
    months: str | None = None,
) -> str:
    """Return the sentence of :func:`statement` for an outcome in any words, of which less is better.

    Examples
    --------
    >>> effect_sentence("cells", "saline", "damage of cartilage", size="trivial", direction="reduces", level="moderate")
    'Compared with saline, cells probably make little or no difference to damage of cartilage.'
    """
    choice("size", size, Size)
    choice("direction", direction, Direction)
    choice("level", level, Level)
    start = f"Compared with {comparator}, {treatment}"
    time = f" at {months}" if months else ""
    if level == "very_low":
        effect = f"the effect of {treatment} on {outcome}{time}, compared with {comparator}"
        return f"The evidence is very uncertain about {effect}."
    if size == "trivial":
        verb = {"high": "make", "moderate": "probably make", "low": "may make"}[level]
        return f"{start} {verb} little or no difference to {outcome}{time}."
    stem = {"reduces": "reduce", "increases": "increase"}[direction]
    verb = {"high": stem, "moderate": f"probably {stem}", "low": f"may {stem}"}[level]
    degree = {"large": " by a large amount", "moderate": "", "small": " slightly"}[size]
    return f"{start} {verb} {outcome}{degree}{time}."
