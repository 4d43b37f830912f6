"""Tables, headings and the console of the terminal views."""

import os
import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 150


def heading(console: Console, text: str) -> None:
    """Print a heading after a blank line."""
    console.print(f"\n{text}", style="bold")


def print_table(out: Console, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows, leaving out columns that are empty; a name that ends in > is aligned to the right."""
    cells = list(rows)
    used = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    texts = [[columns[index].rstrip(">"), *(row[index] for row in cells)] for index in used]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for index, column, width in zip(used, texts, _widths(texts, out.width - 2 * len(used)), strict=True):
        right = columns[index].endswith(">")
        table.add_column(column[0], justify="right" if right else "left", width=width, overflow="fold")
    for row in cells:
        table.add_row(*(row[index] for index in used))
    out.print(table)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int | None]:
    """Share the room so that no word is broken, or return None for each column where that is impossible."""
    least = [max(len(word) for text in column for word in text.split()) for column in columns]
    wished = [max(map(len, column)) - low for column, low in zip(columns, least, strict=True)]
    spare = room - sum(least)
    if spare < 0:
        return [None] * len(columns)
    share = min(1.0, spare / max(1, sum(wished)))
    return [low + int(share * wish) for low, wish in zip(least, wished, strict=True)]


def console() -> Console:
    """Return the console; output that is piped gets a fixed width."""
    fixed = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(width=fixed, markup=False, highlight=False)
