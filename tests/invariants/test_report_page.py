"""What must hold of every page: same bytes, nothing fetched or run, text escaped, order kept."""

import copy
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stemtrial.report import colours, render, write

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report"
DOCUMENTS = [
    json.loads((FIXTURE / f"{n}.json").read_text(encoding="utf-8")) for n in ("report", "summary", "manifest")
]
PAGE = render(*DOCUMENTS)
FORBIDDEN = r"\b(regenerat\w*|cures?|cured|proven|success rates?|breakthroughs?)\b"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects tags with attributes, checks nesting, and gathers the text of chosen tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def changed(**changes: Any) -> str:
    report, summary, manifest = copy.deepcopy(DOCUMENTS)
    report |= changes
    summary["calibration"] = report["calibration"]
    return render(report, summary, manifest)


def test_same_documents_give_same_bytes(tmp_path: Path) -> None:
    for name in ("report", "summary", "manifest"):
        (tmp_path / f"{name}.json").write_bytes((FIXTURE / f"{name}.json").read_bytes())
    first = write(tmp_path).read_bytes()
    assert write(tmp_path).read_bytes() == first == PAGE.encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "manifest.json",
        "report.html",
        "report.json",
        "summary.json",
    ]


def test_nothing_is_fetched_and_nothing_runs() -> None:
    page = Page(PAGE)
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "img", "base", "form", "image", "use"}
        assert not [
            name
            for name in attributes
            if name.startswith("on") or name in {"src", "srcset", "data", "xlink:href"}
        ]
        if tag != "a":
            assert (attributes.get("href") or "data:").startswith("data:")
    assert not re.search(r"@import|url\(|@font-face|javascript:", PAGE)
    policy = [
        meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for link in page.all("a"):
        assert re.match(r"#\w|https://(doi\.org|pmc\.ncbi\.nlm\.nih\.gov)/", link["href"] or "")


@pytest.mark.parametrize(
    "field", ["title", "trial_file", "indication", "estimand", "notes", "label", "source", "citation"]
)
def test_text_of_a_user_is_escaped(field: str) -> None:
    hostile = "<script>alert(1)</script>\"'&"
    report = copy.deepcopy(DOCUMENTS[0])
    if field == "label":
        report["arms"]["cells"]["label"] = hostile
    elif field == "source":
        report["parameters"][0]["source"] = hostile
    elif field == "citation":
        report["mcid"]["citation"] = hostile
    else:
        report[field] = [hostile] if field == "notes" else hostile
    page = render(report, *DOCUMENTS[1:])
    assert "<script" not in page
    assert "script" in page.replace(DOCUMENTS[0]["title"], "")
    assert not Page(page).all("script")


def test_headings_descend_one_level_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in Page(PAGE).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_page_can_be_used_by_keyboard_and_heard() -> None:
    page = Page(PAGE)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    targets = [str(link["href"])[1:] for link in page.all("a") if str(link["href"]).startswith("#")]
    pointed = [
        name
        for _, attributes in page.tags
        for key in ("aria-labelledby", "aria-describedby")
        for name in (attributes.get(key) or "").split()
    ]
    assert set(targets) | set(pointed) <= set(ids)
    assert ":focus-visible" in PAGE
    assert all(int(a["tabindex"] or 0) <= 0 for _, a in page.tags if "tabindex" in a)
    for _, region in page.tags:
        if region.get("class") == "scroll":
            assert region["tabindex"] == "0"
            assert region["aria-label"]


def test_every_figure_has_title_description_and_tables() -> None:
    bodies = re.findall(r"<figure .*?</figure>", PAGE, flags=re.DOTALL)
    assert len(bodies) == 6
    for body in bodies:
        drawings = body.count("<svg ")
        assert drawings >= 1
        assert body.count("<h3 ") == body.count("<figcaption ") == body.count("<details>") == 1
        assert body.count("<table>") == body.count("<caption>") == drawings
        assert body.index("<svg ") < body.index("<figcaption ") < body.index("<table>")


def test_comparator_comes_first_and_parts_stand_apart() -> None:
    summary = PAGE[PAGE.index('id="summary"') : PAGE.index('id="results"')]
    order = [
        summary.index(words)
        for words in (">Saline injection", ">Expanded autologous", "of which contextual", "of which specific")
    ]
    assert order == sorted(order)
    for value in ("39.7", "42.8", "5.1", "1.09", "1.11", "0.50"):
        assert value in summary


@pytest.mark.parametrize("page", [PAGE, changed(calibration="calibrated to 96 trials", certainty="low")])
def test_words_never_used_of_cells(page: str) -> None:
    assert not re.search(FORBIDDEN, page, flags=re.IGNORECASE)


def test_a_prior_run_says_so_loudly_and_a_calibrated_one_does_not() -> None:
    loud = "Prior, not calibrated: not for decisions"
    assert PAGE.index(loud, PAGE.index("<body>")) < PAGE.index("<h1>")
    assert PAGE.count(f">{DOCUMENTS[0]['calibration']}</text>") == PAGE.count("<svg ")
    assert f'@top-left {{ content: "{loud}"' in PAGE
    calm = changed(calibration="calibrated to 96 trials", certainty="low")
    assert loud not in calm
    assert "not calibrated" not in calm


def test_text_uses_only_colours_of_known_contrast() -> None:
    fills = set(re.findall(r"<text [^>]*?\bfill=\"(#[0-9a-f]{6})\"", PAGE))
    assert fills
    assert fills <= set(colours.INKS)
    assert PAGE.count("<text ") == len(re.findall(r"<text [^>]*?\bfill=", PAGE))
    style = PAGE[PAGE.index("<style>") : PAGE.index("</style>")]
    assert set(re.findall(r"(?<![-\w])color: (#\w+|var\(--\w+\)|\w+)", style)) <= {
        "var(--ink)",
        "var(--muted)",
        "var(--link)",
        "var(--warning)",
        "var(--paper)",
        "inherit",
        colours.WARNING,
        colours.MUTED,
    }


def test_origin_of_every_number_is_on_the_page() -> None:
    report, summary, manifest = DOCUMENTS
    for value in (
        manifest["command"],
        manifest["created"],
        manifest["platform"],
        manifest["trial_hash"],
        manifest["evidence_hash"],
        manifest["posterior_hash"],
        manifest["files"]["report.json"],
        "0.013 points of pain over 200 checked",
        "1,490 outcomes",
        *(row["symbol"] for row in report["parameters"]),
        "k_M",
        summary["structure_weights"]["status"],
    ):
        assert value in PAGE
    assert "kl_grade: {2: 0.45, 3: 0.55}" in PAGE
    assert "harms are not simulated" in PAGE


def test_six_arms_render_with_six_styles() -> None:
    report, summary, manifest = copy.deepcopy(DOCUMENTS)
    for index in range(4):
        report["arms"][f"more{index}"] = report["arms"]["cells"] | {
            "label": f"a further arm with a rather long name {index}"
        }
        summary["arms"][f"more{index}"] = summary["arms"]["cells"]
    page = render(report, summary, manifest)
    assert all(colour in page for colour in colours.ARM_COLOURS)
    assert page.count('data-kind="mean"') == 12


def test_harms_are_tabled_when_simulated() -> None:
    report, summary, manifest = copy.deepcopy(DOCUMENTS)
    summary["arms"]["cells"]["harms"] = {"joint_swelling": {"share": 0.123, "q025": 0.08, "q975": 0.17}}
    page = render(report, summary, manifest)
    assert "joint swelling" in page
    assert "12.3\u202f%" in page
    assert "harms are not simulated" not in page


def test_no_placeholder_is_left_unfilled() -> None:
    """Outside the trial file, which may hold braces, no brace stands in what a person reads."""
    import html
    import re

    text = html.unescape(re.sub(r"<(style|pre)\b.*?</\1>|<[^>]*>", " ", PAGE, flags=re.S))
    assert not re.findall(r"\{[^}]*\}", text)
