"""How the evidence narrowed to what was pooled, in the manner of a PRISMA flow."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap

from markupsafe import Markup

from stemtrial.evidence.metarecord import Rows
from stemtrial.evidence.scope import Stage
from stemtrial.report.colours import INK, MUTED, PANEL
from stemtrial.report.evidence_words import words
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Plot, tag

LINE = 18.0
GAP = 20.0
BOX = 300.0
SIDE = 470.0


def prisma(stages: Sequence[Stage], left_out: Sequence[tuple[str, str]], rows: Rows | None = None) -> Figure:
    """Draw the trials that each condition left, and why compared trials did not enter.

    Parameters
    ----------
    stages
        Trials after each condition, the tables first and the trials used last.
    left_out
        Compared trials that did not enter, with reasons.
    rows
        Outcome rows of the compared trials, where the synthesis uses them.

    Returns
    -------
    Figure
        One drawing; its table names every trial that was left out.
    """
    counted = (
        f" Of {rows.of_the_outcome} outcome rows of the compared trials {rows.primary_scores} are primary scores, "
        f"{rows.in_window} of these lie in the window, and {rows.used} entered a contrast (one visit a trial)."
        if rows
        else ""
    )
    return Figure(
        key="flow",
        title="What was used and what was left out",
        description=(
            "Trials of the evidence tables that each condition leaves. The tables are one reader's collection and "
            f"not a systematic search, so these are counts of a selection, not of a literature.{counted}"
        ),
        panels=(Panel(_draw(stages, left_out), _table(stages, left_out)),),
    )


def _reasons(left_out: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for trial, reason in left_out:
        found.setdefault(reason, []).append(trial)
    return found


def _name(stage: Stage) -> str:
    field, _, value = stage.condition.partition(" ")
    if field == "in":
        return "Trials in the tables"
    if field in ("indication", "intervention", "comparator", "product", "origin", "source", "blinding"):
        return f"{field.capitalize()}: {' or '.join(words(part) for part in value.split(' or '))}"
    if field == "event":
        return f"Both sides report {words(value.removesuffix(' on both sides'))}"
    return stage.condition[:1].upper() + stage.condition[1:]


def _draw(stages: Sequence[Stage], left_out: Sequence[tuple[str, str]]) -> Markup:
    boxes = [[*wrap(_name(stage), 40), f"*{_trials(len(stage.trials))}"] for stage in stages]
    sides = [
        _side(len(before.trials) - len(after.trials), left_out if after is stages[-1] else ())
        for before, after in pairwise(stages)
    ]
    gaps = [_height(side) + GAP for side in sides]
    total = sum(map(_height, boxes)) + sum(gaps) + 16
    plot = Plot(x=(0, 1), y=(0, 1), title="", width=BOX + SIDE + 54, height=total)
    middle, top = 4 + BOX / 2, 8.0
    for place, lines in enumerate(boxes):
        _box(plot, 4, top, BOX, lines)
        top += _height(lines)
        if place < len(sides):
            end = top + gaps[place]
            plot.segment(middle, top, middle, end - 6, MUTED, 1.4)
            plot.marks.append(tag("path", d=f"M{middle - 4:g} {end - 7:.2f}h8l-4 7z", fill=MUTED))
            joint = top + gaps[place] / 2
            plot.segment(middle, joint, 4 + BOX + 46, joint, MUTED, 1.4)
            _box(plot, 4 + BOX + 46, joint - _height(sides[place]) / 2, SIDE, sides[place])
            top += gaps[place]
    spoken = "; ".join(f"{_name(stage)}: {len(stage.trials)}" for stage in stages)
    return plot.svg(f"Trials left by each condition. {spoken}.")


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _side(gone: int, left_out: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of the box beside a step: how many trials left, and why where each has its own reason."""
    if not left_out:
        return [f"Do not meet the condition: {gone}"]
    lines = [f"*Left out: {_trials(gone)}"]
    for reason, trials in _reasons(left_out).items():
        lines += wrap(f"{len(trials)}: {reason}", 64, subsequent_indent="   ", max_lines=3, placeholder="…")
    silent = gone - len({trial for trial, _ in left_out})
    return [*lines, f"{silent}: do not report it"] if silent else lines


def _height(lines: Sequence[str]) -> float:
    return LINE * len(lines) + 14


def _box(plot: Plot, left: float, top: float, width: float, lines: Sequence[str]) -> None:
    plot.box(left, top, width, _height(lines), PANEL, MUTED, 3)
    for row, line in enumerate(lines):
        plot.text(left + 12, top + 20 + LINE * row, line.lstrip("*"), ink=INK, bold=line.startswith("*"))


def _table(stages: Sequence[Stage], left_out: Sequence[tuple[str, str]]) -> Table:
    rows = [("condition", _name(stage), str(len(stage.trials))) for stage in stages]
    rows += [("left out", trial, reason) for trial, reason in left_out]
    return Table(
        "Trials left by each condition, and trials left out",
        ("Step", "Name", "Trials, or reason"),
        tuple(rows),
        keys=2,
    )
