"""Reading a JSON file that may be anything: bounded in size and depth, no duplicate names, finite numbers."""

import json
from pathlib import Path
from typing import Any, NoReturn

from stemtrial.errors import InputError, Problem

MOST_BYTES = 20_000_000
MOST_DEPTH = 40


def read_bytes(path: Path) -> bytes:
    """Return the contents of a file of at most 20 MB.

    Raises
    ------
    InputError
        If the file is missing, no file, unreadable, empty or too large.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(Problem("is not a file", file=str(path)))
        if size > MOST_BYTES:
            raise InputError(
                Problem(
                    f"has {size / 1e6:.0f} MB", file=str(path), allowed=f"at most {MOST_BYTES // 10**6} MB"
                )
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(Problem("does not exist", file=str(path))) from None
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"cannot be read: {error}", file=str(path))) from None
    if not raw.strip():
        raise InputError(Problem("is empty", file=str(path)))
    return raw


def printable(file: Path) -> str:
    """Return the name of a file as text that can be written, whatever its bytes are."""
    return file.name.encode(errors="replace").decode()


def parse(raw: bytes, file: str) -> dict[str, Any]:
    """Return the record in a JSON text.

    Raises
    ------
    InputError
        If it is not UTF-8 JSON with a mapping at the top, is nested deeper than 40, names a field twice, or
        holds NaN, infinity or text that is no Unicode.
    """

    def fail(what: str, line: int | None = None, hint: str | None = None) -> NoReturn:
        raise InputError(Problem(what, file=file, line=line, hint=hint)) from None

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            fail(f"names the field {twice[:60]!r} twice", hint="keep one of the two")
        return made

    def constant(name: str) -> NoReturn:
        fail(f"holds {name}, which is no number of JSON")

    try:
        record = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=constant)
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        fail("is not UTF-8 text", hint="save the record again as JSON")
    except UnicodeEncodeError:
        fail("holds half a surrogate pair, which is no text", hint="save the record again as JSON")
    except json.JSONDecodeError as error:
        fail(f"is not readable as JSON: {error.msg}", line=error.lineno, hint="save the record again")
    except RecursionError:
        fail(f"is nested deeper than {MOST_DEPTH} levels", hint="a registry record has about 12")
    except ValueError:
        fail("holds a number too long to read")
    if _deeper(record):
        fail(f"is nested deeper than {MOST_DEPTH} levels", hint="a registry record has about 12")
    if not isinstance(record, dict):
        fail("is not one record", hint="save one study: /api/v2/studies/NCT…?format=json")
    return record


def _deeper(record: Any) -> bool:
    level = [record]
    for _ in range(MOST_DEPTH):
        level = [
            inside
            for value in level
            if isinstance(value, dict | list)
            for inside in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
