"""A YAML or JSON file as plain data that remembers on which line every field stands."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stemtrial.documents.explain import FieldPath, dotted, kind_of, normal, validate
from stemtrial.documents.places import Place, survey, unreadable
from stemtrial.documents.record import Record
from stemtrial.errors import InputError, Problem

LARGEST_BYTES = 200_000
"""A document written by a person is a few kilobytes; anything larger is another kind of file."""

M = TypeVar("M", bound=Record)


@dataclass(frozen=True)
class Document:
    """The contents of one file, as written and as data.

    Parameters
    ----------
    path
        Where it was read, for messages.
    text
        As written, comments included.
    data
        The same as plain dictionaries, lists, text, numbers, truth values and ``None``.
    """

    path: Path
    text: str
    data: dict[Any, Any]
    _places: Mapping[tuple[str, ...], Place] = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path) -> "Document":
        """Read a ``.json`` file as JSON and any other as YAML; :class:`InputError` if unreadable."""
        path = Path(path)
        try:
            if path.is_dir():
                raise InputError(
                    Problem("is a directory, not a file", file=str(path), hint="name the file inside it")
                )
            if (size := path.stat().st_size) > LARGEST_BYTES:
                raise InputError(
                    Problem(
                        f"is too large to be a file of this kind ({size:,} bytes)",
                        file=str(path),
                        allowed=f"up to {LARGEST_BYTES:,} bytes",
                        hint="check that the right file was named",
                    )
                )
            raw = path.read_bytes()
        except FileNotFoundError:
            raise InputError(
                Problem(
                    "does not exist", file=str(path), hint=_neighbour(path) or "check the name and the folder"
                )
            ) from None
        except OSError as error:
            raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from None
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                Problem(
                    "holds bytes that are not UTF-8 text",
                    file=str(path),
                    line=raw.count(b"\n", 0, error.start) + 1,
                    hint="save the file as UTF-8",
                )
            ) from None
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: str | Path = "document.yaml") -> "Document":
        r"""Read a document from its text; ``path`` names it in messages and its suffix tells JSON from YAML.

        Examples
        --------
        >>> document = Document.parse("arms:\n  cells: {n: 120}   # as in the protocol\n")
        >>> document.data
        {'arms': {'cells': {'n': 120}}}
        >>> document.line(("arms", "cells", "n"))
        2
        """
        path = Path(path)
        file, is_json = str(path), path.suffix.lower() == ".json"
        try:
            data = json.loads(text) if is_json and text.strip() else None
            # JSON is YAML but for tabs between its tokens; a blank keeps every line and column.
            node = _yaml().compose(text.replace("\t", " ") if is_json else text)
            places, problems = ({}, []) if node is None else survey(node, file)
            if problems:
                raise InputError(*problems)
            data = data if is_json else _yaml().load(text)
        except json.JSONDecodeError as error:
            raise InputError(
                Problem(f"is not readable as JSON: {error.msg}", file=file, line=error.lineno)
            ) from None
        except MarkedYAMLError as error:
            raise InputError(unreadable(error, file)) from None
        except (YAMLError, ValueError, OverflowError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(Problem(f"is not readable as YAML: {reason}", file=file)) from None
        except RecursionError:
            raise InputError(Problem("is nested too deep", file=file, hint="check its brackets")) from None
        if data is None:
            raise InputError(Problem("is empty", file=file, hint="start from one of the files in examples/"))
        if not isinstance(data, dict):
            raise InputError(
                Problem(
                    f"holds {kind_of(data)} where a mapping of fields is expected",
                    file=file,
                    hint="write one `field: value` a line, with a blank after the colon",
                )
            )
        return cls(path, text, data, places)

    def line(self, path: FieldPath = ()) -> int | None:
        """Return the line of a field, or of the nearest part around it when the field is not written."""
        keys = normal(path)
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._places:
                return self._places[keys[:length]].line
        return None

    def validate(self, model: type[M]) -> M:
        """Return the data as a ``model``; else :class:`InputError` with every fault."""
        return validate(model, self.data, file=str(self.path), line=self.line)

    def replaced(self, values: Mapping[FieldPath, Any]) -> "Document":
        r"""Return the document with some values rewritten and every other character kept, comments included.

        Parameters
        ----------
        values
            New plain value of each field path. A field must stand in the document, on one line (a number,
            a text, or a list or mapping in brackets), not as an indented block.

        Examples
        --------
        >>> document = Document.parse("n: 120   # per arm\nvisits: [1, 3]\n")
        >>> print(document.replaced({("n",): 150}).dump(), end="")
        n: 150   # per arm
        visits: [1, 3]
        """
        edits = []
        for path, value in values.items():
            place = self._places.get(normal(path))
            if place is None or place.block:
                what = "is not written in this document" if place is None else "is an indented block"
                raise InputError(
                    Problem(
                        f"{what} and cannot be rewritten", file=str(self.path), field=dotted(path, self.data)
                    )
                )
            edits.append((place.start, place.end, json.dumps(value, ensure_ascii=False, allow_nan=False)))
        text = self.text
        for start, end, value in sorted(edits, reverse=True):
            text = text[:start] + (value if text[start - 1 : start] != ":" else f" {value}") + text[end:]
        return type(self).parse(text, self.path)

    def dump(self) -> str:
        """Return the document as text: comments, order and layout are those of its author."""
        return self.text

    def write(self, path: str | Path) -> None:
        """Write the document to a file, whole or not at all."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.part")
        try:
            draft.write_text(self.text, encoding="utf-8", newline="")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)


def _yaml() -> YAML:
    """Return a reader that builds plain data only."""
    return YAML(typ="safe", pure=True)


def _neighbour(path: Path) -> str | None:
    """Suggest a file of the same folder with a similar name."""
    from difflib import get_close_matches

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent}"
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None
