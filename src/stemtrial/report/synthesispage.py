"""The page of a synthesis: one self-contained HTML file, and each figure as SVG with its data as CSV."""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stemtrial import __version__
from stemtrial.errors import InputError, Problem
from stemtrial.report import colours
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.page import LINKED, linked
from stemtrial.report.plot import tag
from stemtrial.report.templating import templates
from stemtrial.report.wording import MINUS, THIN


@dataclass(frozen=True)
class Section:
    """A heading with text and tables."""

    title: str
    text: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Page:
    """What the page of a synthesis holds.

    Attributes
    ----------
    kind, title, facts
        Line above the title, the title, and one line under it.
    finding, remarks
        First paragraph in large type, and those after it.
    summary
        Table of the result, comparator first.
    figures, sections
        In reading order.
    choices
        Choice and value, each that went into the numbers.
    sources
        Citations with identifiers.
    command, evidence_hash
        How to make the page again, and from which tables.
    up
        Address and title of the page above this one.
    """

    kind: str
    title: str
    facts: str
    finding: str
    remarks: tuple[str, ...]
    summary: Table
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    choices: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    command: str
    evidence_hash: str
    up: tuple[str, str] | None = None


def render(page: Page) -> str:
    """Return the HTML of a page; the same page gives the same text."""
    environment = templates()
    environment.filters["linked"] = linked_source
    return environment.get_template("synthesis.html.j2").render(
        page=page, version=__version__, colour=colours, report={"calibrated": True}
    )


def linked_source(text: str) -> Markup:
    """Escape a source and turn its identifiers, or its address where it has none, into links.

    Examples
    --------
    >>> linked_source("Wen 2022 https://example.org/a?b=1")
    Markup('Wen 2022 <a href="https://example.org/a?b=1">https://example.org/a?b=1</a>')
    """
    before, found, rest = text.rpartition(" https://")
    if not found or " " in rest or LINKED.search(rest):
        return linked(text)
    return linked(before) + Markup(' <a href="https://{0}">https://{0}</a>').format(rest)


def write(folder: Path, page: Page, document: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``synthesis.html``, ``synthesis.json``, and each figure's SVG and CSV into a folder.

    All files are made beside the folder first and then moved in, each whole or not at all; files of other
    names in the folder are left alone.

    Returns
    -------
    tuple of Path
        The files, the page first.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    contents = {
        "synthesis.html": render(page),
        "synthesis.json": json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
    }
    return write_files(folder, contents | drawings(page.figures))


def drawings(figures: Sequence[Figure], prefix: str = "") -> dict[str, str]:
    """Return every drawing as an SVG file with its numbers as a CSV file, by file name."""
    contents = {}
    for figure in figures:
        for place, panel in enumerate(figure.panels, 1):
            name = f"{prefix}{figure.key}" if len(figure.panels) == 1 else f"{prefix}{figure.key}-{place}"
            contents[f"{name}.svg"] = standalone(figure, panel)
            contents[f"{name}.csv"] = as_csv(panel.table)
    return contents


def write_files(folder: Path, contents: Mapping[str, str]) -> tuple[Path, ...]:
    """Write texts into a folder by file name, as :func:`write` does.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    folder = Path(folder)
    draft = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".pages-"))
        for name, text in contents.items():
            (draft / name).write_text(text, encoding="utf-8", newline="\n")
        for name in contents:
            os.replace(draft / name, folder / name)
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}", file=str(folder), hint="check space and permissions"
            )
        ) from None
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
    return tuple(folder / name for name in contents)


def standalone(figure: Figure, panel: Panel) -> str:
    """Return a panel as an SVG file of its own: with title, description and a white ground."""
    opening, rest = str(panel.svg).split(">", 1)
    head = Markup("").join(
        [
            tag("title", figure.title),
            tag("desc", figure.description),
            tag("rect", width="100%", height="100%", fill=colours.PAPER),
        ]
    )
    return f"{opening}>{head}{rest}\n"


def as_csv(table: Table) -> str:
    """Return a table as CSV with plain minus signs and spaces, for machines."""
    plain = str.maketrans({MINUS: "-", THIN: " ", "\N{WORD JOINER}": ""})
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([cell.translate(plain) for cell in row] for row in (table.columns, *table.rows))
    return text.getvalue()
