"""The page: three documents in, one self-contained HTML out.

Nothing on the page is fetched from anywhere, nothing runs on it, and all text from a user's file is escaped.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from stemtrial.errors import InputError, Problem
from stemtrial.report import answers, colours, singlearmpage, wording
from stemtrial.report.boundaryplot import boundary_plot
from stemtrial.report.characteristics import adverse_events, characteristics
from stemtrial.report.contract import Manifest, Report, Summary
from stemtrial.report.contrasts import contrasts
from stemtrial.report.courses import time_course
from stemtrial.report.exampletrials import example_trials
from stemtrial.report.figure import Figure
from stemtrial.report.flow import patient_flow
from stemtrial.report.reading import agree, parse, read
from stemtrial.report.relief import relief_parts
from stemtrial.report.responders import responders
from stemtrial.report.secondaryanalyses import secondary_analyses
from stemtrial.report.templating import templates

LINKED = re.compile(r"\b10\.\d{4,9}/[^\s\"<>;,]*[^\s\"<>;,.)]|\bPMC\d{5,}\b")


def figures(report: Report, summary: Summary) -> tuple[Figure, ...]:
    """Draw every figure of the page, in its order.

    Returns
    -------
    tuple of Figure
        Course of pain, parts of relief, contrasts; with several of them comparisons, estimands and looks; example
        trials; responders and secondary analyses; course of function, flow.
    """
    stamp = "" if report.calibrated else report.calibration
    asked = []
    if len(summary.comparisons) > 1:
        asked.append(answers.comparisons(report, summary, stamp))
    if len(summary.estimands) > 1:
        asked.append(answers.estimands(report, summary, stamp))
    if len(summary.looks) > 1:
        asked.append(boundary_plot(summary.looks, stamp))
    if report.examples:
        asked.append(example_trials(report, stamp))
    return (
        time_course(report, "pain", stamp),
        relief_parts(report, stamp),
        contrasts(report, stamp),
        *asked,
        responders(report, summary, stamp),
        *(secondary_analyses(report, summary.secondary, stamp) if summary.secondary else ()),
        time_course(report, "function", stamp),
        patient_flow(report, stamp),
    )


def render(report: Mapping[str, Any], summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Write the page of a run.

    Parameters
    ----------
    report, summary, manifest
        The documents described in :mod:`stemtrial.report.contract`, as plain data.

    Returns
    -------
    str
        A complete HTML document; the same documents give the same text.

    Raises
    ------
    InputError
        If a document lacks a field, holds a value out of range, or does not belong to the others.
    """
    contents = parse(Report, report, "report.json")
    numbers = parse(Summary, summary, "summary.json")
    origin = parse(Manifest, manifest, "manifest.json")
    agree(contents, numbers, origin)
    environment = templates()
    environment.filters |= {
        "number": wording.number,
        "percent": wording.percent,
        "month": wording.month,
        "constant": wording.constant,
        "linked": linked,
    }
    return environment.get_template("page.html.j2").render(
        report=contents,
        summary=numbers,
        manifest=origin,
        figures=figures(contents, numbers),
        characteristics=characteristics(numbers),
        adverse=adverse_events(contents, numbers),
        finding=wording.finding(contents, numbers),
        division=wording.division(contents, numbers),
        qualities=wording.qualities(contents.parameters),
        interval=wording.interval,
        colour=colours,
    )


def write(folder: Path) -> Path:
    """Write ``report.html`` of a run folder from the three documents in it.

    Parameters
    ----------
    folder
        A folder written by ``stemtrial simulate``.

    Returns
    -------
    Path
        The page; it appears whole or not at all.

    Raises
    ------
    InputError
        If the folder is not a run folder, a document is damaged or was changed after the run, or the page
        cannot be written.
    """
    folder = Path(folder)
    documents = read(folder)
    made = singlearmpage.render if documents[1].get("kind") == singlearmpage.KIND else render
    return write_whole(folder / "report.html", made(*documents))


def linked(text: str) -> Markup:
    """Escape a source and turn the DOIs and PubMed Central numbers in it into links.

    Examples
    --------
    >>> linked("Wen 2022 <doi 10.1000/x1>")
    Markup('Wen 2022 &lt;doi <a href="https://doi.org/10.1000/x1">10.1000/x1</a>&gt;')
    """
    parts, start = [], 0
    for found in LINKED.finditer(text):
        name = found.group()
        address = "https://pmc.ncbi.nlm.nih.gov/articles/" if name.startswith("PMC") else "https://doi.org/"
        parts += [
            escape(text[start : found.start()]),
            Markup('<a href="{}{}">{}</a>').format(address, name, name),
        ]
        start = found.end()
    return Markup("").join([*parts, escape(text[start:])])


def write_whole(path: Path, text: str) -> Path:
    """Write a page so that it appears whole or not at all; :class:`InputError` if it cannot be written."""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".html")
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}", file=str(path), hint="check the folder's permissions"
            )
        ) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}", file=str(path), hint="check space and permissions"
            )
        ) from None
    finally:
        Path(draft).unlink(missing_ok=True)
    return path
