"""Numbers and sentences: one way to print a number, and sentences that claim no more than is known.

A sentence about an effect joins size and certainty, as GRADE asks. Size is judged against the smallest change
a patient notices (MCID): below a third of it the sentence says "little or no difference", below the whole of
it "slightly".
"""

from stemtrial.report.contract import Parameter, Report, Summary

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
SMALL = 1 / 3
"""Share of the MCID below which a difference is called little or none."""

PART_LABELS = {
    "contextual": "Contextual",
    "symptomatic_drug": "Symptomatic drug",
    "inflammation": "Inflammation",
    "structure": "Structure",
    "sensitisation": "Sensitisation",
}


def number(value: float, digits: int = 1) -> str:
    """Print a number with a true minus sign, never as a negative zero.

    Examples
    --------
    >>> number(-6.25), number(-0.01), number(2000, 0)
    ('−6.2', '0.0', '2,000')
    """
    text = f"{value:,.{digits}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def interval(low: float, high: float, digits: int = 1) -> str:
    """Print an interval with the word *to*, which no minus sign can blur.

    Examples
    --------
    >>> interval(-13, 0.64)
    '−13.0 to 0.6'
    """
    return f"{number(low, digits)} to {number(high, digits)}"


def percent(share: float, digits: int = 0) -> str:
    """Print a share as a percentage.

    Examples
    --------
    >>> percent(0.4849)
    '48\u202f%'
    """
    return f"{number(100 * share, digits)}{THIN}%"


def month(value: float) -> str:
    """Print a month without needless decimals.

    Examples
    --------
    >>> month(12.0), month(0.25)
    ('12', '0.25')
    """
    return f"{value:.4g}"


def constant(value: float | str | None) -> str:
    """Print a model constant to four figures; a text stays as it is and nothing gives an empty cell.

    Examples
    --------
    >>> constant(0.003851), constant(None)
    ('0.003851', '')
    """
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", MINUS)
    return value or ""


def finding(report: Report, summary: Summary) -> str:
    """Say in one sentence what the simulation makes of the main contrast.

    Returns
    -------
    str
        Size and certainty first, then the estimate and its interval.
    """
    contrast = summary.contrast
    experimental, comparator = report.arms[report.experimental].label, report.arms[report.comparator].label
    size = abs(contrast.estimate) / report.mcid.points
    side = "lower" if contrast.estimate < 0 else "higher"
    degree = f"slightly {side}" if size < 1 else side
    certainty = report.certainty if report.calibrated else "very_low"
    visit = f"{report.outcome} at month {month(report.endpoint.month)}"
    verb = {"low": "may be", "moderate": "is probably", "high": "is"}.get(
        certainty or "", "is, in simulation,"
    )
    if certainty == "very_low":
        lean = "little or no difference" if size < SMALL else f"{degree} {report.outcome}"
        source = (
            "The evidence leans"
            if report.calibrated
            else "The model's assumptions, not calibrated to data, lean"
        )
        claim = (
            f"It is very uncertain whether {visit} is {side} with {experimental} than with {comparator}. "
            f"{source} towards {lean}."
        )
    elif size < SMALL:
        claim = f"There {verb} little or no difference in {visit} between {experimental} and {comparator}."
    else:
        claim = f"{visit[:1].upper()}{visit[1:]} {verb} {degree} with {experimental} than with {comparator}."
    if not certainty:
        claim += " The certainty of the evidence has not been rated."
    return (
        f"{claim} The mean difference is {number(contrast.estimate)} points of 100; 95{THIN}% of the "
        f"simulated trials lie from {interval(contrast.q025, contrast.q975)}."
    )


def division(report: Report, summary: Summary) -> str:
    """Say how the difference divides into its specific and contextual parts."""
    specific, contextual = summary.contrast.specific, summary.contrast.contextual
    return (
        f"Of this difference, {number(contextual.mean)} points (95{THIN}% interval "
        f"{interval(contextual.q025, contextual.q975)}) come from the setting of the treatment and "
        f"{number(specific.mean)} points ({interval(specific.q025, specific.q975)}) from the treatment "
        f"itself. The smallest change a patient notices is taken as {number(report.mcid.points, 0)} points."
    )


def qualities(parameters: tuple[Parameter, ...]) -> list[tuple[str, int]]:
    """Count the constants by the quality of their source, most frequent first.

    Returns
    -------
    list of (str, int)
        Quality in plain words and number of constants.
    """
    names = [parameter.quality.replace("_", " ") for parameter in parameters]
    return sorted(((name, names.count(name)) for name in set(names)), key=lambda pair: (-pair[1], pair[0]))
