"""Reading keeps every line, and rewriting keeps every other character."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stemtrial.documents import Document
from stemtrial.trial.protocol import Trial

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("knee_oa_*.yaml"))


def leaves(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every field and entry."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, value in pairs for found in [(*path, key), *leaves(value, (*path, key))]]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_lines_agree_with_those_of_the_round_trip_reader(path: Path) -> None:
    document = Document.read(path)
    tree = YAML(typ="rt").load(document.text)
    assert document.data == tree
    for leaf in leaves(document.data):
        parent = tree
        for key in leaf[:-1]:
            parent = parent[key]
        line, _ = parent.lc.key(leaf[-1]) if isinstance(parent, dict) else parent.lc.item(leaf[-1])
        assert document.line(leaf) == line + 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_rewriting_a_value_keeps_comments_order_and_layout(path: Path) -> None:
    document = Document.read(path)
    assert document.dump() == path.read_text(encoding="utf-8")
    name = next(iter(document.data["arms"]))
    changed = document.replaced(
        {("arms", name, "n"): 77, ("title",): "Other: a # title", ("visits_months",): [3, 12, 24]}
    )
    assert changed.data["arms"][name]["n"] == 77
    assert changed.data["title"] == "Other: a # title"
    assert changed.data["visits_months"] == [3, 12, 24]
    old, new = document.text.splitlines(), changed.dump().splitlines()
    assert len(old) == len(new)
    touched = {number for number, (a, b) in enumerate(zip(old, new, strict=True), start=1) if a != b}
    assert touched == {
        document.line(("arms", name, "n")),
        document.line(("title",)),
        document.line(("visits_months",)),
    }
    back = changed.replaced(
        {
            ("arms", name, "n"): document.data["arms"][name]["n"],
            ("visits_months",): document.data["visits_months"],
        }
    )
    assert back.validate(Trial).model_copy(update={"title": document.data["title"]}) == document.validate(
        Trial
    )


def test_writing_leaves_the_file_or_nothing(tmp_path: Path) -> None:
    document = Document.read(EXAMPLES[0])
    document.write(tmp_path / "copy.yaml")
    assert (tmp_path / "copy.yaml").read_text(encoding="utf-8") == document.text
    with pytest.raises(FileNotFoundError):
        document.write(tmp_path / "nowhere" / "copy.yaml")
    assert [entry.name for entry in tmp_path.iterdir()] == ["copy.yaml"]


def test_json_and_yaml_give_the_same_trial_and_json_has_lines_too(tmp_path: Path) -> None:
    trial = Trial.read(EXAMPLES[0])
    path = tmp_path / "trial.json"
    path.write_text(json.dumps(trial.model_dump(mode="json"), indent="\t"), encoding="utf-8")
    document = Document.read(path)
    assert document.validate(Trial) == trial
    line = document.line(("question", "alpha"))
    assert line is not None
    assert '"alpha"' in document.text.splitlines()[line - 1]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLES[0].read_bytes().replace(b"\n", b"\r\n"))
    assert Trial.read(path) == Trial.read(EXAMPLES[0])
    assert Document.read(path).line(("question",)) == Document.read(EXAMPLES[0]).line(("question",))
