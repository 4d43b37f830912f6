"""A figure of the page: what it is called, how to read it, its drawing, and the numbers behind it."""

from dataclasses import dataclass

from markupsafe import Markup

ROWS = 40
"""A table of a fine grid shows at most about this many rows; the full grid stands in ``report.json``."""


@dataclass(frozen=True)
class Table:
    """The numbers of a figure, printed.

    Parameters
    ----------
    caption
        What the table holds, with units.
    columns
        Headings; the first ``keys`` columns name the row.
    rows
        Cells as printed.
    keys
        Number of columns that name a row rather than give a number.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = 1

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.caption!r}: every row needs {len(self.columns)} cells")


@dataclass(frozen=True)
class Panel:
    """One drawing, a complete SVG element, with the table of the numbers drawn."""

    svg: Markup
    table: Table


@dataclass(frozen=True)
class Figure:
    """One figure.

    Parameters
    ----------
    key
        Short name, unique on the page.
    title
        What it shows.
    description
        How to read it: axis and direction, lines and bands.
    panels
        Drawings with their numbers, in reading order.
    """

    key: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def stride(size: int) -> int:
    """Step through a grid of ``size`` points that leaves at most about :data:`ROWS` rows.

    Examples
    --------
    >>> stride(20), stride(141)
    (1, 5)
    """
    return next((step for step in (1, 2, 5, 10, 20, 50, 100) if size / step <= ROWS), -(-size // ROWS))
