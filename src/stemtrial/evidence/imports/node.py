"""A value of a JSON record and its path; anything missing or of another shape reads as nothing."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class Node:
    """A value and where it stands, such as ``protocolSection.designModule.phases[0]``.

    Examples
    --------
    >>> record = Node({"groups": [{"id": "OG000", "value": "83.7"}]}, "")
    >>> [(each["value"].path, each["value"].number) for each in record["groups"].items]
    [('groups[0].value', 83.7)]
    >>> record["groups"]["value"].number is None
    True
    """

    value: Any
    path: str

    def __getitem__(self, name: str) -> "Node":
        inside = self.value.get(name) if isinstance(self.value, dict) else None
        return Node(inside, f"{self.path}.{name}" if self.path else name)

    def at(self, path: str) -> "Node":
        """Return the value at a dotted path below."""
        node = self
        for name in path.split("."):
            node = node[name]
        return node

    @property
    def items(self) -> tuple["Node", ...]:
        """The entries of a list; of anything else none."""
        entries = self.value if isinstance(self.value, list) else ()
        return tuple(Node(entry, f"{self.path}[{index}]") for index, entry in enumerate(entries))

    @property
    def text(self) -> str:
        """The text on one line; a number is written out, anything else is empty."""
        plain = isinstance(self.value, str | int | float) and not isinstance(self.value, bool)
        return " ".join(str(self.value).split()) if plain else ""

    @property
    def shown(self) -> str:
        """The value as it stands in the source."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return "" if self.value is None or isinstance(self.value, dict | list) else str(self.value)

    @property
    def number(self) -> float | None:
        """The number written here, or None for anything else, ``NA`` included."""
        if not _NUMBER.fullmatch(self.text):
            return None
        found = float(self.text)
        return found if math.isfinite(found) else None

    @property
    def count(self) -> int | None:
        """The whole number of 0 or more written here, or None."""
        found = self.number
        return int(found) if found is not None and found >= 0 and found == int(found) else None


def leaves(root: Node) -> Iterator[Node]:
    """Yield every value of a record that is not a list or mapping, empty lists and mappings included."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, dict) and node.value:
            waiting += [node[name] for name in reversed(node.value)]
        elif isinstance(node.value, list) and node.value:
            waiting += reversed(node.items)
        else:
            yield node
