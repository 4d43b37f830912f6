"""Figures say what the documents say: tables cell by cell, drawings read back through their own axes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemtrial.report import Figure, Panel, Report, Summary, figures

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report"
REPORT = json.loads((FIXTURE / "report.json").read_text(encoding="utf-8"))
SUMMARY = json.loads((FIXTURE / "summary.json").read_text(encoding="utf-8"))
DRAWN = {f.key: f for f in figures(Report.model_validate(REPORT), Summary.model_validate(SUMMARY))}
ARMS = ("saline", "cells")


class Drawing(HTMLParser):
    """Reads a panel back: its words with their places, and its named shapes in data units."""

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.words: list[tuple[str, float, float, str]] = []
        self.shapes: dict[str, np.ndarray] = {}
        self.open: dict[str, str | None] = {}
        self.feed(str(panel.svg))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open = dict(attrs)
        if kind := self.open.get("data-kind"):
            pairs = [pair.split(",") for pair in (self.open["points"] or "").split()]
            self.shapes[kind] = np.array(pairs, dtype=float)

    def handle_data(self, data: str) -> None:
        if "x" in self.open:
            place = float(self.open["x"] or 0), float(self.open["y"] or 0)
            self.words.append((data, *place, self.open.get("text-anchor") or "start"))

    def axis(self, anchor: str, along: int) -> np.ndarray:
        """Fit value = a + b * place through the tick labels of one axis."""
        ticks = [w for w in self.words if w[3] == anchor and re.fullmatch(r"−?[\d.]+(\u202f%)?", w[0])]
        values = [float(w[0].replace("−", "-").rstrip("%\u202f")) for w in ticks]
        return np.polyfit([w[1 + along] - (0, 4.3)[along] for w in ticks], values, 1)

    def data(self, kind: str) -> np.ndarray:
        x, y = self.axis("middle", 0), self.axis("end", 1)
        return np.column_stack(
            [np.polyval(x, self.shapes[kind][:, 0]), np.polyval(y, self.shapes[kind][:, 1])]
        )


def figure_number(cell: str) -> float:
    return float(cell.replace("−", "-").replace(",", "").rstrip("%\u202f"))


def columns(panel: Panel) -> dict[str, list[float]]:
    table = panel.table
    return {
        name: [figure_number(row[i]) for row in table.rows]
        for i, name in enumerate(table.columns)
        if i >= table.keys
    }


@pytest.mark.parametrize("score", ["pain", "function"])
@pytest.mark.parametrize("place", [0, 1])
def test_course_is_drawn_and_printed_as_given(score: str, place: int) -> None:
    course = REPORT["arms"][ARMS[place]]["course"]
    drawing = Drawing(DRAWN[score].panels[place])
    line = drawing.data("mean")
    np.testing.assert_allclose(line[:, 0], course["months"], atol=0.01)
    np.testing.assert_allclose(line[:, 1], course[score]["mean"], atol=0.05)
    for kind, low, high in (("band-95", "q025", "q975"), ("band-50", "q25", "q75")):
        edge = drawing.data(kind)[:, 1]
        np.testing.assert_allclose(edge, course[score][high] + course[score][low][::-1], atol=0.05)
    printed = columns(DRAWN[score].panels[place])
    for column, key in zip(printed, ("mean", "q025", "q25", "q50", "q75", "q975"), strict=True):
        np.testing.assert_allclose(printed[column], course[score][key], atol=0.0501)


@pytest.mark.parametrize("place", [0, 1])
def test_relief_prints_every_part_contextual_first(place: int) -> None:
    relief = REPORT["arms"][ARMS[place]]["relief"]
    table = DRAWN["relief"].panels[place].table
    given = [*relief["parts"].values(), relief["specific"], relief["total"], relief["of_which_cells"]]
    printed = [[figure_number(cell) for cell in row[2:]] for row in table.rows]
    np.testing.assert_allclose(printed, [[s["mean"], s["q025"], s["q975"]] for s in given], atol=0.0501)
    assert [row[1] for row in table.rows[:2]] == ["Contextual", "Symptomatic drug"]


def test_contrast_is_drawn_and_printed_as_given() -> None:
    visits, panel = REPORT["contrast_course"], DRAWN["contrast"].panels[0]
    line = Drawing(panel).data("contrast")
    np.testing.assert_allclose(line[:, 0], [v["month"] for v in visits], atol=0.02)
    np.testing.assert_allclose(line[:, 1], [v["estimate"] for v in visits], atol=0.05)
    printed = columns(panel)
    for column, key in zip(printed, ("estimate", "q025", "q975"), strict=True):
        np.testing.assert_allclose(printed[column], [v[key] for v in visits], atol=0.0501)


@pytest.mark.parametrize(("kind", "key", "place"), [("model", "histogram", 0), ("null", "null", 1)])
def test_estimates_are_drawn_as_densities_and_printed_as_counts(kind: str, key: str, place: int) -> None:
    given, panel = REPORT["estimates"][key], DRAWN["contrast"].panels[1]
    share = 100 * np.array(given["counts"]) / sum(given["counts"]) / np.diff(given["edges"])
    heights = Drawing(panel).data(kind)[1:-1:2, 1]
    np.testing.assert_allclose(heights, share, atol=0.05)
    printed = {row[0]: int(row[1 + 2 * place].replace(",", "")) for row in panel.table.rows}
    for low, high, count in zip(given["edges"], given["edges"][1:], given["counts"], strict=False):
        assert printed.get(f"{low:.1f} to {high:.1f}".replace("-", "−"), 0) == count
    assert sum(printed.values()) == sum(given["counts"])


def test_responders_are_drawn_and_printed_as_given() -> None:
    curves, shares = DRAWN["responders"].panels
    drawing = Drawing(curves)
    for place, name in enumerate(ARMS):
        given = REPORT["arms"][name]["change_distribution"]
        line = drawing.data(f"share-{place}")
        known = dict(zip(given["points"], given["share_at_least"], strict=True))
        np.testing.assert_allclose(line[:, 1] / 100, [known[round(float(x))] for x in line[:, 0]], atol=0.001)
        for row in curves.table.rows:
            printed = figure_number(row[1 + 2 * place]) / 100
            assert printed == pytest.approx(known[figure_number(row[0])], abs=0.00051)
    printed_shares = [figure_number(row[2]) / 100 for row in shares.table.rows]
    given_shares = [cut["share"] for name in ARMS for cut in SUMMARY["arms"][name]["responders"].values()]
    np.testing.assert_allclose(printed_shares, given_shares, atol=0.00051)


def test_flow_draws_and_prints_every_count() -> None:
    panel = DRAWN["flow"].panels[0]
    words = [word for word, *_ in Drawing(panel).words]
    flows = [REPORT["arms"][name]["flow"] for name in ARMS]
    assert "Randomised: 240" in words
    assert words.count(f"Analysed: {flows[0]['analysed']}") == 2
    printed = columns(panel)
    for column, flow in zip(printed, flows, strict=True):
        steps: list[Any] = [flow[key] for key in ("randomised", "treated", "rescued")]
        assert printed[column] == [*steps, *flow["dropped"].values(), flow["analysed"]]


def test_every_panel_speaks_and_has_its_table() -> None:
    assert list(DRAWN) == ["pain", "relief", "contrast", "responders", "function", "flow"]
    for figure in DRAWN.values():
        assert isinstance(figure, Figure)
        for panel in figure.panels:
            assert re.search(r'role="img" aria-label="[^"]{40,}"', panel.svg)
            assert panel.table.rows
