"""Risk of bias as lights with letters, so that no judgement is known by its colour alone."""

from markupsafe import Markup

from stemtrial.evidence.metarecord import MetaAnalysis
from stemtrial.evidence.scope import RISK_LETTERS
from stemtrial.report.colours import BLACK, BLUISH_GREEN, INK, ORANGE, RULE, VERMILLION
from stemtrial.report.evidence_words import words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, clip_text

COLOURS = {"low": BLUISH_GREEN, "some": ORANGE, "high": VERMILLION, "unclear": "#c9d1da"}
NAMES = {"low": "low", "some": "some concerns", "high": "high", "unclear": "unclear"}
LINE = 30.0
COLUMNS = (
    ("Study", 4.0),
    ("Risk of bias", 290.0),
    ("Allocation", 452.0),
    ("Blinding", 566.0),
    ("Spread", 654.0),
)


def light(plot: Plot, x: float, y: float, risk: str, radius: float = 9.0) -> None:
    """Draw one light: a disc in the colour of the judgement with its letter in black."""
    plot.dot(x, y, COLOURS[risk], radius)
    plot.text(x, y + 4.4, RISK_LETTERS[risk], "middle", BLACK, bold=True)


def key() -> str:
    """Say what the letters mean."""
    return ", ".join(f"{letter} {NAMES[risk]}" for risk, letter in RISK_LETTERS.items())


def traffic_light(synthesis: MetaAnalysis) -> Figure:
    """Draw the judgement of each study beside the facts that stand in the tables.

    Returns
    -------
    Figure
        One panel; the table holds who judged.
    """
    return Figure(
        key="risk-of-bias",
        title="Risk of bias",
        description=(
            f"One overall judgement for each study ({key()}), beside facts of its design. The shipped judgements "
            "rest on the design alone: they are not an assessment by domains of the RoB 2 tool, and a user's own "
            "judgement replaces them."
        ),
        panels=(Panel(_draw(synthesis), _table(synthesis)),),
    )


def _facts(synthesis: MetaAnalysis) -> list[tuple[str, ...]]:
    return [
        (
            study.label,
            study.risk_of_bias,
            "randomised" if study.randomised else "not randomised",
            words(study.blinding),
            "imputed" if study.imputed else "derived" if _derived(study.flags) else "printed",
        )
        for study in synthesis.studies
    ]


def _derived(flags: tuple[str, ...]) -> bool:
    return any(flag.startswith(("SD from", "variance from", "SD of change")) for flag in flags)


def _draw(synthesis: MetaAnalysis) -> Markup:
    facts = _facts(synthesis)
    plot = Plot(x=(0, 1), y=(0, 1), title="", width=720, height=40 + LINE * len(facts) + 8)
    for name, x in COLUMNS:
        plot.text(x, 22, name, ink=INK, bold=True)
    plot.segment(4, 32, 716, 32, INK, 1.2)
    for row, (name, risk, allocation, blinding, spread) in enumerate(facts):
        y = 32 + LINE * row + LINE / 2
        plot.text(4, y + 4.4, clip_text(name, 42), ink=INK)
        light(plot, 300, y, risk)
        plot.text(316, y + 4.4, NAMES[risk], ink=INK)
        for words_, (_, x) in zip((allocation, blinding, spread), COLUMNS[2:], strict=True):
            plot.text(x, y + 4.4, words_, ink=INK)
        plot.segment(4, y + LINE / 2, 716, y + LINE / 2, RULE)
    spoken = "; ".join(f"{name}: {NAMES[risk]}" for name, risk, *_ in facts)
    return plot.svg(f"Risk of bias. {spoken}.")


def _table(synthesis: MetaAnalysis) -> Table:
    judged = {"project": "from the design, shipped", "user": "the user's own"}
    rows = tuple(
        (name, NAMES[risk], judged.get(study.rob_source, study.rob_source), *facts)
        for study, (name, risk, *facts) in zip(synthesis.studies, _facts(synthesis), strict=True)
    )
    columns = ("Study", "Risk of bias", "Judged", "Allocation", "Blinding", "Spread")
    return Table("Risk of bias and design of each study", columns, rows)
