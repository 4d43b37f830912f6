"""Which group of a results module is which arm: by title, never by place.

Rule 1, titles equal but for case and punctuation. Rule 2, every word of one stands in the other ("50M" read as "50
million", "arm", "group" and articles left out), and this is so for one arm and one group of the module only. Anything
else is left to the user, who can say ``--arm "TITLE=ARM_ID"``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stemtrial.evidence.imports.ledger import How
from stemtrial.evidence.imports.node import Node

_EMPTY_WORDS = {"arm", "group", "cohort", "the", "a", "an", "of", "and", "in", "with", "plus"}


@dataclass(frozen=True)
class Link:
    """What a group is: an arm or, with ``arm_id`` None, none; and by which rule."""

    arm_id: str | None
    how: How
    reason: str


def plain(title: str) -> str:
    """Return a title without case and punctuation."""
    return " ".join(re.findall(r"\w+", title.lower()))


def words(title: str) -> frozenset[str]:
    """Return the words of a title that can tell arms apart.

    Examples
    --------
    >>> sorted(words("MSC 50M arm"))
    ['50', 'million', 'msc']
    """
    spelled = re.sub(r"(\d)\s*m\b", r"\1 million ", title.lower())
    return frozenset(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", spelled)) - _EMPTY_WORDS


def link(groups: Sequence[Node], arms: Mapping[str, str], said: Mapping[str, str]) -> dict[str, Link]:
    """Link the groups of one module to the arms of the trial.

    Parameters
    ----------
    groups
        The groups, each with ``id`` and ``title``.
    arms
        Label of each arm by its ``arm_id``.
    said
        Arms the user named, by the plain title of the group.

    Returns
    -------
    dict
        The link of every group by its id. Groups that share an id, or that would share an arm, have none.

    Examples
    --------
    >>> titles = {"OG000": "Saline placebo", "OG001": "MSC 50 million"}
    >>> groups = [Node({"id": name, "title": title}, "") for name, title in titles.items()]
    >>> {name: each.arm_id for name, each in link(groups, {"msc": "MSC 50M", "placebo": "Placebo"}, {}).items()}
    {'OG000': 'placebo', 'OG001': 'msc'}
    """
    found: dict[str, Link] = {}
    for group in groups:
        name = group["id"].text
        if name:
            twice = name in found
            found[name] = (
                Link(None, "not mapped", f"two groups have the id {name}")
                if twice
                else _arm(group["title"].text, arms, said)
            )
    taken = [each.arm_id for each in found.values() if each.arm_id]
    return {
        name: Link(None, "not mapped", f"several groups fit the arm {each.arm_id}; say which with --arm")
        if each.arm_id and taken.count(each.arm_id) > 1
        else each
        for name, each in found.items()
    }


def _arm(title: str, arms: Mapping[str, str], said: Mapping[str, str]) -> Link:
    if plain(title) in said:
        return Link(said[plain(title)], "read", "said by the user")
    if plain(title) == "total":
        return Link(None, "not mapped", "a total, which would count the patients of the arms twice")
    equal = [arm for arm, label in arms.items() if plain(label) == plain(title)]
    if len(equal) == 1:
        return Link(equal[0], "read", "the title of the group is the label of the arm")
    group = words(title)
    inside = [
        arm
        for arm, label in arms.items()
        if group and words(label) and (words(label) <= group or group <= words(label))
    ]
    if len(inside) == 1:
        rule = "every word of one title stands in the other, and for no other arm"
        return Link(inside[0], "inferred", f"{rule} ({arms[inside[0]]!r})")
    fits = f"fits the arms {', '.join(inside)}" if inside else "fits no label of an arm"
    return Link(None, "not mapped", f"the title {fits}; say which with --arm")
