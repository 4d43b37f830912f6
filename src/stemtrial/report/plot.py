"""Drawing: one small plot as one self-contained SVG element.

The drawing is plain text with fixed rounding, so the same numbers give the same bytes on every machine, and
its words stay words: searchable, selectable, and set in the page's own font. Panels are narrow on purpose:
the page sets them side by side on a desk and below each other on a phone, without shrinking their text.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Literal

from markupsafe import Markup, escape

from stemtrial.report.colours import INK, MUTED, PAPER, RULE, WARNING

FONT = 12.5
"""Size of a plot's text, in the plot's own units; at its natural width one unit is one CSS pixel."""
ROW = 19.0
"""Height of one line of a key."""
WIDE = 7.1
"""Width allowed for one letter when a key is laid out; wide enough for every common sans-serif."""


def tag(name: str, *content: object, **attributes: object) -> Markup:
    """Write one SVG element; every attribute and every child that is not markup already is escaped.

    Examples
    --------
    >>> tag("text", "a < b", x=1.5, font_size=12)
    Markup('<text x="1.5" font-size="12">a &lt; b</text>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{Markup('').join(map(escape, content))}</{name}>")


def _plain(value: object) -> str:
    return f"{round(value, 2) + 0.0:g}" if isinstance(value, float) else str(value)


def clip_text(text: str, width: int) -> str:
    """Shorten a label to ``width`` characters; the full label stands in the text around the plot."""
    return (
        shorten(text, width, placeholder="…")
        if " " in text[:width]
        else text
        if len(text) <= width
        else text[: width - 1] + "…"
    )


@dataclass(frozen=True)
class Scale:
    """Linear map from data to the drawing."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Place one value, held inside the axis."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.stop - self.start)


def ticks(low: float, high: float, most: int = 7) -> tuple[float, ...]:
    """Round numbers from ``low`` to ``high``, at most ``most`` of them.

    Examples
    --------
    >>> ticks(-17, 8)
    (-15.0, -10.0, -5.0, 0.0, 5.0)
    """
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(power * base for base in (1, 2, 5, 10, 20) if (high - low) / (power * base) < most)
    return tuple(
        step * index + 0.0
        for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    )


def widen(values: Iterable[float], most: int = 7) -> tuple[float, float]:
    """Find the ends of an axis that holds all values and ends on round numbers."""
    held = list(values)
    low, high = min(held), max(held)
    if low == high:
        low, high = low - 1, high + 1
    grid = ticks(low, high, most)
    step = grid[1] - grid[0] if len(grid) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


@dataclass(frozen=True)
class Entry:
    """One line of a plot's key: a label with the line, and the full or hollow dot on it, that it explains."""

    label: str
    colour: str
    dash: str = ""
    dot: Literal["", "full", "hollow"] = ""


@dataclass
class Plot:
    """A panel under construction: marks are added, then :meth:`svg` closes it.

    Parameters
    ----------
    x, y
        Ends of the axes in data units.
    title
        Bold first line.
    width, height
        Size in CSS pixels.
    left, right, top, bottom
        Margins around the plotting area.
    entries
        Key to the lines, set above the plotting area, which moves down to make room.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    title: str
    width: float = 440
    height: float = 320
    left: float = 46
    right: float = 14
    top: float = 50
    bottom: float = 62
    entries: Sequence[Entry] = ()
    marks: list[Markup] = field(default_factory=list)

    def __post_init__(self) -> None:
        x, rows = 4.0, 1
        for entry in self.entries:
            length = 36 + WIDE * len(clip_text(entry.label, 46))
            if x > 4 and x + length > self.width:
                x, rows = 4.0, rows + 1
            self._list(entry, x, self.top - 12 + ROW * (rows - 1))
            x += length + 14
        if self.entries:
            self.top += ROW * rows
            self.height += ROW * rows
        self.px = Scale(*self.x, self.left, self.width - self.right)
        self.py = Scale(*self.y, self.height - self.bottom, self.top)

    def _list(self, entry: Entry, x: float, y: float) -> None:
        self.segment(x, y - 4, x + 26, y - 4, entry.colour, 2.2, entry.dash)
        if entry.dot:
            self.dot(x + 13, y - 4, entry.colour, hollow=entry.dot == "hollow")
        self.text(x + 32, y, clip_text(entry.label, 46), ink=INK)

    def text(
        self,
        x: float,
        y: float,
        words: object,
        anchor: str | None = None,
        ink: str = MUTED,
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """Write words at a place of the drawing; a halo keeps them readable on top of lines."""
        self.marks.append(
            tag(
                "text",
                words,
                x=float(x),
                y=float(y),
                text_anchor=anchor,
                fill=ink,
                font_weight=600 if bold else None,
                stroke=PAPER if halo else None,
                stroke_width=4 if halo else None,
                paint_order="stroke" if halo else None,
            )
        )

    def line(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        colour: str,
        dash: str = "",
        width: float = 2.4,
        kind: str | None = None,
    ) -> None:
        """Draw a line through data points; ``kind`` names it in the drawing for whoever reads the source."""
        points = " ".join(f"{_plain(self.px(x))},{_plain(self.py(y))}" for x, y in zip(xs, ys, strict=True))
        self.marks.append(
            tag(
                "polyline",
                points=points,
                fill="none",
                stroke=colour,
                stroke_width=width,
                stroke_dasharray=dash or None,
                stroke_linejoin="round",
                data_kind=kind,
            )
        )

    def band(
        self,
        xs: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        colour: str,
        opacity: float,
        kind: str | None = None,
    ) -> None:
        """Shade between two lines."""
        there = [(self.px(x), self.py(y)) for x, y in zip(xs, high, strict=True)]
        back = [(self.px(x), self.py(y)) for x, y in zip(xs, low, strict=True)][::-1]
        points = " ".join(f"{_plain(x)},{_plain(y)}" for x, y in there + back)
        self.marks.append(tag("polygon", points=points, fill=colour, fill_opacity=opacity, data_kind=kind))

    def rule(
        self,
        colour: str = INK,
        *,
        x: float | None = None,
        y: float | None = None,
        dash: str = "",
        width: float = 1.3,
    ) -> None:
        """Draw a straight line across the plotting area at one value, if the axes reach it."""
        if any(v is not None and not low <= v <= high for v, (low, high) in ((x, self.x), (y, self.y))):
            return
        x1, x2 = (self.left, self.width - self.right) if x is None else (self.px(x),) * 2
        y1, y2 = (self.top, self.height - self.bottom) if y is None else (self.py(y),) * 2
        self.segment(x1, y1, x2, y2, colour, width, dash)

    def segment(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, dash: str = ""
    ) -> None:
        """Draw a straight line between two places of the drawing."""
        self.marks.append(
            tag(
                "line",
                x1=float(x1),
                y1=float(y1),
                x2=float(x2),
                y2=float(y2),
                stroke=colour,
                stroke_width=width,
                stroke_dasharray=dash or None,
            )
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        stroke: str | None = None,
        radius: float | None = None,
    ) -> None:
        """Draw a rectangle at a place of the drawing."""
        self.marks.append(
            tag(
                "rect",
                x=float(x),
                y=float(y),
                width=float(width),
                height=float(height),
                fill=fill,
                stroke=stroke,
                rx=radius,
            )
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 4.5, hollow: bool = False) -> None:
        """Mark a place of the drawing."""
        fill, ring = (PAPER, colour) if hollow else (colour, PAPER)
        self.marks.append(
            tag(
                "circle",
                cx=float(x),
                cy=float(y),
                r=radius,
                fill=fill,
                stroke=ring,
                stroke_width=2.0 if hollow else 1.0,
            )
        )

    def wedge(self, x: float, y: float, colour: str) -> None:
        """Mark a place of the drawing with a small triangle pointing up at it."""
        self.marks.append(tag("path", d=f"M{_plain(x - 4)} {_plain(y)}h8l-4 -7z", fill=colour))

    def grid_y(self, values: Iterable[float], label: str, unit: str = "") -> None:
        """Draw horizontal grid lines with their values, and say above the axis what it measures."""
        for value in values:
            self.rule(RULE, y=value, width=1)
            self.text(self.left - 7, self.py(value) + 4.3, _signed(value) + unit, "end")
        self.text(4, self.top - 12, label)

    def grid_x(
        self, values: Iterable[float], label: str, unit: str = "", lines: bool = False, apart: float = 22
    ) -> None:
        """Draw ticks below the plotting area, each labelled unless too close to the one before."""
        floor, last = self.height - self.bottom, -math.inf
        for value in values:
            place = self.px(value)
            if lines:
                self.rule(RULE, x=value, width=1)
            self.segment(place, floor, place, floor + 5, MUTED)
            if place - last >= apart:
                self.text(place, floor + 19, _signed(value) + unit, "middle")
                last = place
        self.text((self.left + self.width - self.right) / 2, floor + 38, label, "middle")

    def svg(self, label: str, stamp: str = "") -> Markup:
        """Close the panel.

        Parameters
        ----------
        label
            What a listener is told instead of the drawing.
        stamp
            Warning that travels with the drawing when it is copied out of the page.
        """
        head = (
            [tag("text", clip_text(self.title, 52), x=4, y=17, fill=INK, font_size=14.5, font_weight=600)]
            if self.title
            else []
        )
        if stamp:
            foot = self.height - 4
            head.append(
                tag(
                    "text",
                    stamp,
                    x=self.width - 4,
                    y=foot,
                    text_anchor="end",
                    fill=WARNING,
                    font_size=11,
                    font_weight=600,
                )
            )
        return tag(
            "svg",
            *head,
            *self.marks,
            viewBox=f"0 0 {_plain(self.width)} {_plain(self.height)}",
            role="img",
            aria_label=label,
            xmlns="http://www.w3.org/2000/svg",
            font_family="system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
            font_size=FONT,
            style=f"--natural: {_plain(self.width)}px",
        )


def _signed(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
