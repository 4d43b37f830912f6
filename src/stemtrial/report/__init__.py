"""The page a sponsor is shown: figures with their numbers, in one self-contained file.

Everything on the page comes from three files of a run folder: ``report.json`` (the page's data twin),
``summary.json`` and ``manifest.json``. The same three files give the same bytes.
"""

from stemtrial.report.contract import Manifest, Report, Summary
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.page import figures, render, write

__all__ = ["Figure", "Manifest", "Panel", "Report", "Summary", "Table", "figures", "render", "write"]
