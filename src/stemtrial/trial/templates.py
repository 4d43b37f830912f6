"""Trial files to start from: commented designs after published trials, shipped with the package."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from stemtrial.errors import InputError, Problem

_CITED = re.compile(r"\[([a-z]+[a-z0-9_]*\d[a-z0-9_]*)\]")


@dataclass(frozen=True)
class Template:
    """One trial file of the package.

    Attributes
    ----------
    name
        By which it is asked for; its file is ``NAME.yaml``.
    text
        The file, comments included.
    """

    name: str
    text: str

    @property
    def summary(self) -> str:
        """The design in one sentence, the first line of the file."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def sources(self) -> tuple[str, ...]:
        """References of the evidence that the comments cite, each once, in their order."""
        comments = (line.partition("#")[2] for line in self.text.splitlines())
        return tuple(dict.fromkeys(cited for text in comments for cited in _CITED.findall(text)))

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, which is made if need be; return its path.

        Raises
        ------
        InputError
            Where the file exists already, or the folder cannot be written.
        """
        path = folder / f"{self.name}.yaml"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(self.text)
        except FileExistsError:
            what = "exists and is not overwritten" if folder.is_dir() else "is not a folder"
            hint = "name another folder, or remove the file"
            taken = path if folder.is_dir() else folder
            raise InputError(Problem(what, field="DIR", value=taken, hint=hint)) from None
        except OSError as error:
            raise InputError(
                Problem(f"cannot be written: {error.strerror}", field="DIR", value=folder)
            ) from None
        return path


@cache
def templates() -> tuple[Template, ...]:
    """Return all templates in the order of their names.

    Examples
    --------
    >>> [t.name for t in templates() if "corticosteroid" in t.name]
    ['knee_three_products_vs_corticosteroid']
    """
    found = (files("stemtrial.trial") / "templates").iterdir()
    texts = {file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8") for file in found}
    return tuple(Template(name, texts[name]) for name in sorted(texts))


def template(name: str) -> Template:
    """Return the template of a name.

    Raises
    ------
    InputError
        If there is none; the message has the nearest names.

    Examples
    --------
    >>> template("knee_pilot")
    Traceback (most recent call last):
    stemtrial.errors.InputError: TEMPLATE = knee_pilot is not a template; did you mean knee_academic_pilot?...
    """
    known = {t.name: t for t in templates()}
    if name in known:
        return known[name]
    near = _nearest(name, tuple(known))
    raise InputError(
        Problem(
            "is not a template",
            field="TEMPLATE",
            value=name,
            allowed=None if near else ", ".join(known),
            hint=f"did you mean {' or '.join(near)}? `stemtrial init --list` shows all" if near else None,
        )
    )


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    """Return up to three names that share most words with what was written, or else look alike."""
    words = set(re.findall(r"[a-z]+|\d+", name.lower()))
    shared = {n: len(words & set(re.findall(r"[a-z]+|\d+", n))) for n in names}
    best = max(shared.values())
    if best > 1 or (best and len(words) == 1):
        return [n for n in names if shared[n] == best][:3]
    return get_close_matches(name.lower(), names, n=3, cutoff=0.4)
