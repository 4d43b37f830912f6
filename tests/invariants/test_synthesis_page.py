"""Pages and figures of a synthesis: the numbers of the record, the same bytes each time, text escaped."""

import csv
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from io import StringIO

import pytest

from stemtrial.evidence import load
from stemtrial.evidence.eventsynthesis import synthesise_events
from stemtrial.evidence.groups import Rules
from stemtrial.evidence.metaanalysis import analyse
from stemtrial.evidence.metarecord import Choices
from stemtrial.evidence.plain import document
from stemtrial.evidence.scope import Scope
from stemtrial.report.benefitharmplane import Option, benefit_harm_plane
from stemtrial.report.eventpage import event_page
from stemtrial.report.metapage import cautions, meta_page
from stemtrial.report.networkgraph import network_graph
from stemtrial.report.synthesispage import as_csv, render, standalone, write
from stemtrial.report.timecourseplot import EffectCourse, time_course_plot
from stemtrial.report.wording import MINUS, interval, number

RULES = Rules(
    basis="follow_up",
    strict=False,
    correlation=0.5,
    pair_correlation=0.5,
    missing_sd="median",
    shared_control="combine",
)
CHOICES = Choices(method="REML", test="knha", prediction="test", level=0.95, rules=RULES)


def knee(evidence, comparator, month, window):
    return analyse(
        evidence,
        scope=Scope(indication="knee_oa", comparator=comparator),
        outcome="pain",
        month=month,
        window=window,
        choices=CHOICES,
        moderators=("dose",),
        by=("blinding",),
    )


@pytest.fixture(scope="module")
def evidence():
    return load()


@pytest.fixture(scope="module")
def found(evidence):
    return knee(evidence, ("saline", "placebo"), 6.0, (5.0, 8.0))


@pytest.fixture(scope="module")
def page(found, evidence):
    return meta_page(found, evidence, "stemtrial evidence meta --x '<b>'")


def test_numbers_on_the_page_are_those_of_the_record(found, page):
    html = render(page)
    pooled = found.pooled
    for text in (number(pooled.estimate), interval(*pooled.ci), interval(*pooled.prediction)):
        assert text in html
    for study in found.studies:
        assert f"{number(study.contrast.y)} ({interval(*study.ci)})" in html
        assert f"{number(study.weight)}\u202f%" in html
    for trial, reason in found.left_out:
        assert trial in html
        assert reason in html


def test_the_forest_table_holds_every_study_and_the_pooled_result(found, page):
    table = next(f for f in page.figures if f.key == "forest").panels[0].table
    rows = list(csv.DictReader(StringIO(as_csv(table))))
    assert [float(r["Difference"]) for r in rows[: len(found.studies)]] == pytest.approx(found.y, abs=0.0051)
    assert float(rows[-2]["Difference"]) == pytest.approx(found.pooled.estimate, abs=0.0051)
    assert (float(rows[-1]["low"]), float(rows[-1]["high"])) == pytest.approx(
        found.pooled.prediction, abs=0.0051
    )
    assert all(
        study.imputed == ("SD imputed" in row["Derived"])
        for study, row in zip(found.studies, rows, strict=False)
    )


def test_the_diamond_stands_at_the_pooled_interval(found, page):
    """The drawing is read back: ticks give the scale, the diamond's ends must be the interval's ends."""
    svg = next(f for f in page.figures if f.key == "forest").panels[0].svg
    root = ET.fromstring(str(svg))
    name = "{http://www.w3.org/2000/svg}"
    labels = [
        (float(t.get("x")), float(t.text.replace(MINUS, "-")))
        for t in root.iter(f"{name}text")
        if t.get("text-anchor") == "middle" and re.fullmatch(rf"[{MINUS}\d]+", t.text or "")
    ]
    (x1, v1), (x2, v2) = labels[0], labels[-1]
    diamond = next(p for p in root.iter(f"{name}polygon") if p.get("data-kind") == "pooled")
    xs = [float(point.split(",")[0]) for point in diamond.get("points").split()]
    values = [v1 + (x - x1) * (v2 - v1) / (x2 - x1) for x in xs]
    assert (min(values), max(values)) == pytest.approx(found.pooled.ci, abs=0.1 * (v2 - v1) / (x2 - x1))
    assert values[1] == pytest.approx(found.pooled.estimate, abs=0.1)


def test_the_same_question_gives_the_same_bytes(evidence, found, page):
    again = knee(load(), ("saline", "placebo"), 6.0, (5.0, 8.0))
    assert render(meta_page(again, evidence, page.command)) == render(page)
    assert document(again) == document(found)


def test_text_of_the_tables_is_escaped(evidence, found):
    evil = '<script>alert("x")</script>'
    studies = (replace(found.studies[0], label=evil), *found.studies[1:])
    altered = replace(found, studies=studies, left_out=(("a<b", evil),))
    html = render(meta_page(altered, evidence, evil))
    assert evil not in html
    assert "<script" not in html


def test_nothing_is_fetched(page):
    html = render(page)
    addresses = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert all(re.match(r"#|data:|https://", address) for address in addresses)
    followed = re.findall(r'<a href="(https://[^"]*)"', html)
    assert sorted(followed) == sorted(address for address in addresses if address.startswith("https://"))
    assert not re.search(r'<(script|link rel="stylesheet"|img|iframe)', html)


def test_every_figure_is_a_drawing_of_its_own(page):
    assert [figure.key for figure in page.figures] == [
        "forest",
        "risk-of-bias",
        "sensitivity",
        "leave-one-out",
        "funnel",
        "flow",
    ]
    for figure in page.figures:
        for panel in figure.panels:
            root = ET.fromstring(standalone(figure, panel))
            assert root.find("{http://www.w3.org/2000/svg}title").text == figure.title
            assert root.get("aria-label")


def test_one_trial_draws_no_diamond(evidence):
    single = knee(evidence, ("saline",), 12.0, (9.0, 15.0))
    page = meta_page(single, evidence, "x")
    assert {figure.key for figure in page.figures} == {"forest", "risk-of-bias", "flow"}
    assert 'data-kind="pooled"' not in page.figures[0].panels[0].svg
    assert page.finding.startswith("One trial only, so nothing was pooled: Shapiro 2018")


def test_files_appear_whole_or_not_at_all(tmp_path, page, found):
    files = write(tmp_path / "out", page, document(found))
    assert all(file.stat().st_size for file in files)
    assert not list(tmp_path.glob(".synthesis-*"))
    first = {file.name: file.read_bytes() for file in files}
    assert {f.name: f.read_bytes() for f in write(tmp_path / "out", page, document(found))} == first


def test_events_without_any_in_one_group_have_no_ratio_on_the_page(evidence):
    events = synthesise_events(
        evidence,
        scope=Scope(indication="knee_oa", comparator=("corticosteroid",)),
        event="procedure-related serious adverse event",
        shared_control="combine",
        level=0.95,
    )
    html = render(event_page(events, evidence, "x"))
    assert "no event in either group" in html
    assert "0 of 360; at most 8.3 per 1,000" in html


def test_a_hartung_knapp_interval_narrower_than_the_usual_one_is_announced(evidence, found):
    """Function against hyaluronic acid at 12 months: Q = 0.5 on 4 df."""
    narrow = analyse(
        evidence,
        scope=Scope(indication="knee_oa", comparator=("hyaluronic_acid",)),
        outcome="function",
        month=12.0,
        window=(10.0, 14.0),
        choices=CHOICES,
    )
    usual = next(v.pooled for v in narrow.variants if v.name == "REML, normal interval")
    (text,) = [c for c in cautions(narrow) if "Hartung-Knapp interval is narrower" in c]
    assert interval(*usual.ci) in text
    assert not any("Hartung-Knapp interval is narrower" in c for c in cautions(found))


def test_funnel_contours_are_those_of_the_normal(found, page):
    """The border of the darkest region at standard error s lies 1.645 s from 0."""
    figure = next(f for f in page.figures if f.key == "funnel")
    root = ET.fromstring(str(figure.panels[0].svg))
    shapes = {p.get("data-kind"): p.get("points") for p in root.iter("{http://www.w3.org/2000/svg}polygon")}
    reach = {}
    for kind, points in shapes.items():
        (x0, _), (x1, _), _ = (tuple(map(float, point.split(","))) for point in points.split())
        reach[kind] = x1 - x0
    assert reach["p-0.05"] / reach["p-0.1"] == pytest.approx(1.959964 / 1.644854, abs=1e-3)
    assert reach["p-0.01"] / reach["p-0.1"] == pytest.approx(2.575829 / 1.644854, abs=1e-3)


def test_network_graph_names_every_node_and_counts_every_edge():
    figure = network_graph(
        {"saline": 100, "prp": 25, "cells": 400},
        {("prp", "saline"): 2, ("cells", "saline"): 7},
        "saline",
        "t",
    )
    table = figure.panels[0].table
    assert {(row[0], row[1], row[2]) for row in table.rows} == {
        ("PRP", "Saline", "2"),
        ("Cells", "Saline", "7"),
    }
    root = ET.fromstring(str(figure.panels[0].svg))
    radii = sorted(float(c.get("r")) for c in root.iter("{http://www.w3.org/2000/svg}circle"))
    assert radii == pytest.approx([7 + 22 * (p / 400) ** 0.5 for p in (25, 100, 400)], abs=0.01)


def test_time_course_and_plane_print_what_they_draw():
    months = (1.0, 6.0, 12.0)
    course = EffectCourse("prp", months, (-4.0, -6.0, -5.0), (-8.0, -9.0, -9.0), (0.0, -3.0, -1.0))
    table = time_course_plot([course], "saline", 10.0).panels[0].table
    assert table.rows[1][:3] == ("6", f"{MINUS}6.00", f"{MINUS}9.00 to {MINUS}3.00")
    option = Option("nsaid", 7.0, (5.0, 9.0), 0.0, (0.0, 12.0), True, "table")
    plane = benefit_harm_plane([option], "pain", "serious events", None)
    assert plane.panels[0].table.rows[0][3:5] == ("none seen", "0.0 to 12.0")
