"""Where every field of a YAML or JSON text stands, and what in it is not plain data."""

from collections.abc import Iterator
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from stemtrial.documents.explain import shown
from stemtrial.errors import Problem

PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}
MOST_DIGITS = 18


class Place(NamedTuple):
    """Line of a field's name (or of a list's entry), and extent of its value in the text."""

    line: int
    start: int
    end: int
    block: bool


def survey(root: Node, file: str) -> tuple[dict[tuple[str, ...], Place], list[Problem]]:
    """Return the place of every field by its path, and a problem for all that is not plain data.

    Aliases, tags, dates and names written twice are problems: each would let a file say something other than
    what a reader sees.
    """
    places: dict[tuple[str, ...], Place] = {}
    problems: list[Problem] = []
    seen: set[int] = set()

    def walk(node: Node, path: tuple[str, ...], field: str, line: int) -> None:
        if id(node) in seen:
            what, hint = "is an alias of another part, which is not read here", "write the values out"
            problems.append(Problem(what, file=file, line=line, field=field, hint=hint))
            return
        seen.add(id(node))
        block = isinstance(node, CollectionNode) and not node.flow_style
        places.setdefault(path, Place(line, node.start_mark.index, node.end_mark.index, block))
        problems.extend(_not_plain(node, field, file, line))
        if isinstance(node, MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                at = key.start_mark.line + 1
                if not isinstance(key, ScalarNode):
                    problems.append(Problem("has a name that is not a simple text", file=file, line=at))
                    continue
                name = f"{field}.{key.value}" if field else key.value
                if key.value in first:
                    hint = f"keep one of line {first[key.value]} and line {at}"
                    problems.append(Problem("is written twice", file=file, line=at, field=name, hint=hint))
                first.setdefault(key.value, at)
                walk(value, (*path, key.value), name, at)
        elif isinstance(node, CollectionNode):
            for index, value in enumerate(node.value):
                walk(value, (*path, str(index)), f"{field}[{index}]", value.start_mark.line + 1)

    walk(root, (), "", 1)
    return places, problems


def _not_plain(node: Node, field: str, file: str, line: int) -> Iterator[Problem]:
    """Yield what keeps a node from being text, number, truth value, empty, list or mapping."""
    tag, value = str(node.tag), shown(node.value) if isinstance(node, ScalarNode) else None
    what = hint = None
    if tag.endswith(":timestamp"):
        what, hint = "reads as a date", "put it in quotes to keep it as text"
    elif tag not in PLAIN:
        what, hint = f"carries the tag {tag}, which is not read here", "remove the tag"
    elif tag.endswith(":int") and len(node.value) > MOST_DIGITS:
        what = "is too large a number"
    if what:
        yield Problem(what, file=file, line=line, field=field or None, value=value, hint=hint)


def unreadable(error: MarkedYAMLError, file: str) -> Problem:
    """Say in words of the trade what the YAML reader stumbled over, and where."""
    mark = error.problem_mark or error.context_mark
    reason = " ".join(str(part) for part in (error.context, error.problem) if part)
    if "'\\t'" in reason:
        what, hint = "is indented with a tab", "indent with blanks; YAML does not allow tabs"
    elif "duplicate key" in reason:
        what, hint = "is written twice", f"keep one of the two: {error.problem}"
    elif "another document" in reason:
        what, hint = "holds more than one document", "keep one and remove the line `---`"
    elif "mapping values are not allowed" in reason:
        what = "has a colon where none is expected"
        hint = "check the indentation here and above; blanks follow colons, and text with a colon is quoted"
    else:
        what, hint = (
            f"is not readable as YAML: {reason}",
            "check brackets, quotes and indentation here and above",
        )
    return Problem(what, file=file, line=None if mark is None else mark.line + 1, hint=hint)
