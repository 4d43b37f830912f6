"""A file that cannot be read as a document is one clear message, whatever is wrong with it."""

from pathlib import Path

import pytest

from stemtrial.documents import Document
from stemtrial.errors import InputError, Problem

UNREADABLE = {
    "empty": (b"", "is empty", None),
    "only comments": (b"# nothing\n\n", "is empty", None),
    "list": (b"- a\n- b\n", "holds a list where a mapping of fields is expected", None),
    "one word": (b"n:120\n", "holds a text where a mapping", None),
    "tab": (b"a:\n\t- 1\n", "is indented with a tab", 2),
    "bracket": (b"a: 1\nb: [1, 2\nc: 3\n", "is not readable as YAML", 3),
    "two colons": (b"a: 1\nb: c: d\n", "has a colon where none is expected", 2),
    "two documents": (b"a: 1\n---\nb: 2\n", "holds more than one document", 2),
    "twice": (b"a: 1\nb:\n  c: 2\n  d: 4\n  c: 3\n", "is written twice", 5),
    "twice, spelt differently": (b"{2: 1, 0x2: 1}\n", "is written twice", 1),
    "alias": (b"a: &x [1]\nb: *x\n", "is an alias of another part", 2),
    "alias of itself": (b"a: &x [*x]\n", "is an alias of another part", 1),
    "object": (b"a: 1\nb: !!python/object:os.system ls\n", "carries the tag", 2),
    "tagged list": (b"a: 1\nb: !!set {x, y}\n", "carries the tag", 2),
    "date": (b"a: 1\nb: 2024-01-31\n", "reads as a date", 2),
    "name that is a list": (b"? [a, b]\n: 1\n", "has a name that is not a simple text", 1),
    "huge number": (b"a: 123456789012345678901234567890\n", "is too large a number", 1),
    "not UTF-8": ("a: 1\nb: é\n".encode("latin-1"), "holds bytes that are not UTF-8 text", 2),
    "UTF-16": ("a: 1\n".encode("utf-16"), "holds bytes that are not UTF-8 text", 1),
    "control character": (b"a: 1\nb: x\x01y\n", "is not readable as YAML", None),
    "deep": (b"a: " + b"[" * 3000 + b"]" * 3000, "is nested too deep", None),
    "huge": (b"a: 1\n" * 50_000, "is too large to be a file of this kind (250,000 bytes)", None),
}


def problem_of(path: Path) -> Problem:
    with pytest.raises(InputError) as caught:
        Document.read(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert "\n" not in str(problem)
    return problem


@pytest.mark.parametrize(("raw", "what", "line"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_file_is_one_message(tmp_path: Path, raw: bytes, what: str, line: int | None) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(raw)
    problem = problem_of(path)
    assert problem.what.startswith(what)
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ('{"a": 1,\n "b": }\n', "is not readable as JSON", 2),
        ('{"a": 1,\n "b": 2,\n "a": 3}\n', "is written twice", 3),
        ("[1, 2]\n", "holds a list", None),
        ("\n", "is empty", None),
        ("null\n", "is empty", None),
    ],
)
def test_an_unreadable_json_file_is_one_message(
    tmp_path: Path, text: str, what: str, line: int | None
) -> None:
    path = tmp_path / "trial.json"
    path.write_text(text)
    problem = problem_of(path)
    assert problem.what.startswith(what)
    assert problem.line == line


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "knee.yaml").write_text("a: 1\n")
    near = problem_of(tmp_path / "kneee.yaml")
    assert (near.what, near.hint) == ("does not exist", f"did you mean {tmp_path / 'knee.yaml'}?")
    assert problem_of(tmp_path / "quite_else").hint == "check the name and the folder"
    assert problem_of(tmp_path / "nowhere" / "knee.yaml").hint == f"there is no folder {tmp_path / 'nowhere'}"


def test_a_directory_is_not_a_document(tmp_path: Path) -> None:
    assert problem_of(tmp_path).what == "is a directory, not a file"


def test_only_what_stands_in_the_document_can_be_rewritten() -> None:
    document = Document.parse("arms:\n  a:\n    n: 1\n", "trial.yaml")
    for path in [("arms", "a"), ("arms", "b", "n")]:
        with pytest.raises(InputError, match="cannot be rewritten"):
            document.replaced({path: 2})
