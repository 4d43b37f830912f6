"""The parts of the documentation that are read off the package, so that they cannot say anything else.

A line ``[[name argument]]`` of a page is replaced by what the function ``name`` returns for the argument.
"""

import csv
import importlib
import inspect
import pkgutil
import re
import types
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

MARKER = re.compile(r"^\[\[(\w+)(?: ([\w.]+))?\]\]$", re.MULTILINE)


def fill(text: str) -> str:
    """Replace every marker of a page."""
    return MARKER.sub(lambda found: globals()[found[1]](*filter(None, [found[2]])), text)


def pages(names: Iterable[str], folder: Path) -> list[str]:
    """Return the pages with markers; they are built anew each time."""
    return [name for name in names if MARKER.search((folder / f"{name}.md").read_text(encoding="utf-8"))]


def plain(text: object) -> str:
    """Return a text in which nothing is markup."""
    return re.sub(r"([\\*_|<>$\[\]`])", r"\\\1", str(text)).replace("\n", " ")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table of finished cells."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def target(name: str) -> Any:
    """Return an object of the package by its path below ``stemtrial``."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"stemtrial.{module}"), attribute)


# ---- types in words --------------------------------------------------------------------------------------------


def interval(bounds: Mapping[str, Any]) -> str:
    """Say an interval in words."""
    low = f"at least {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"up to {bounds['le']}" if "le" in bounds else f"below {bounds['lt']}" if "lt" in bounds else ""
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']} to {bounds['le']}"
    return " and ".join(filter(None, (low, high)))


def constraints(metadata: Iterable[Any]) -> dict[str, Any]:
    """Collect bounds, lengths and patterns of a type."""
    found: dict[str, Any] = {}
    for item in metadata:
        found |= constraints(getattr(item, "metadata", ()))
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            if getattr(item, name, None) is not None:
                found[name] = getattr(item, name)
    return found


def words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Say a type and what it allows."""
    metadata = list(metadata)
    while get_origin(annotation) is Annotated:
        metadata += annotation.__metadata__
        annotation = annotation.__origin__
    origin, args = get_origin(annotation), get_args(annotation)
    bounds = constraints(metadata)
    if origin in (Union, types.UnionType):
        kinds = [arg for arg in args if arg is not type(None)]
        return words(kinds[0], metadata) if len(kinds) == 1 else "one of the treatments below"
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in args)
    if origin is tuple:
        if Ellipsis not in args:
            return f"list of {len(args)}: " + ", ".join(words(arg) for arg in args)
        size = interval({{"min_length": "ge", "max_length": "le"}.get(k, k): v for k, v in bounds.items()})
        return f"list of {size} entries, each {words(args[0])}" if size else f"list, each {words(args[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        size = interval({{"min_length": "ge", "max_length": "le"}.get(k, k): v for k, v in bounds.items()})
        value = words(args[1])
        return f"mapping of {size} entries" if size else f"mapping, each value {value}"
    if annotation is bool:
        return "`true` or `false`"
    if annotation is str:
        if "max_length" in bounds:
            return f"text of {bounds.get('min_length', 0)} to {bounds['max_length']} characters"
        return f"text matching `{bounds['pattern']}`" if "pattern" in bounds else "text"
    if annotation in (int, float):
        number = "whole number" if annotation is int else "number"
        return f"{number}, {interval(bounds)}" if interval(bounds) else number
    return "mapping, see below"


def meanings(kind: type) -> dict[str, str]:
    """Read the Parameters section of a docstring: the text of every name."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?:\n\n\w[\w ]*\n-+\n|\Z)", inspect.getdoc(kind) or "", re.S | re.M
    )
    found: dict[str, str] = {}
    for names, text in re.findall(
        r"^(\w[\w, ]*)(?: :.*)?\n((?:[ ]+.*\n?|\n)*)", section[1] if section else "", re.M
    ):
        found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


# ---- generated parts -------------------------------------------------------------------------------------------


def fields(name: str) -> str:
    """Fields of a record of the trial file."""
    kind = target(name)
    rows = []
    for field, info in kind.model_fields.items():
        allowed = words(info.annotation, info.metadata)
        if hasattr(kind, "scale") and field != "sd":
            allowed = "number, {:g} to {:g}".format(*kind.scale)
        need = "yes" if info.is_required() else "no"
        if info.is_required() and type(None) in get_args(info.annotation):
            allowed += ", or `null`"
        meaning = info.description or meanings(kind).get(field, "")
        example = f"`{field}: {info.examples[0]}`" if info.examples else ""
        rows.append([f"`{field}`", plain(meaning).replace("\\`", "`"), allowed, need, example])
    return table(("field", "meaning", "allowed", "required", "for example"), rows)


def treatments() -> str:
    """Every treatment with its fields and what the model has for it."""
    from stemtrial.mechanism.schedule import _ACTIVE, _CONTEXT
    from stemtrial.mechanism.treatments import TREATMENTS

    rows = []
    for name, kind in TREATMENTS.items():
        context = "none" if name == "usual_care" else f"as {_CONTEXT[kind.route].name.split('_')[1].lower()}"
        action = "yes" if name in _ACTIVE else "no"
        if name == "prp":
            context = action = "cannot be simulated"
        rows.append(
            [f"`{name}`", plain((inspect.getdoc(kind) or "").splitlines()[0]),
             ", ".join(f"`{f}`" for f in kind.model_fields) or "none: write `{}`", context, action]
        )  # fmt: skip
    return table(("treatment", "meaning", "fields", "context", "action of its own"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def parameters() -> str:
    """Every constant by group."""
    from stemtrial.mechanism.parameters import registry

    text = []
    for group in dict.fromkeys(p.group for p in registry().values()):
        rows = [
            [f"`{p.symbol}`", plain(p.meaning), _number(p.value),
             "" if p.low is None else f"{p.low:g} to {p.high:g}" + (" (log)" if p.scale == "log" else ""),
             plain(p.unit), p.quality.replace("_", " "), plain(p.source)]
            for p in registry().values()
            if p.group == group
        ]  # fmt: skip
        text.append(
            f"## {group.capitalize()}\n\n"
            + table(("symbol", "meaning", "value", "range", "unit", "quality", "source"), rows)
        )
    return "\n".join(text)


def qualities() -> str:
    """Number of constants of each quality."""
    from stemtrial.mechanism.parameters import registry

    count = Counter(p.quality for p in registry().values())
    rows = [[quality.replace("_", " "), str(n)] for quality, n in count.most_common()]
    return table(("basis of the value", "constants"), [*rows, ["**all**", f"**{count.total()}**"]])


def targets() -> str:
    """Published results that the model is held against."""
    text = files("stemtrial.mechanism").joinpath("data/targets.csv").read_text(encoding="utf-8")
    rows = [
        [plain(r["what"]), r["value"], f"{r['low']} to {r['high']}", plain(r["unit"]), plain(r["source"]),
         "agrees" if r["expected"] == "pass" else "**misfit**"]
        for r in csv.DictReader(text.splitlines())
    ]  # fmt: skip
    return table(("target", "published", "counts as agreement", "unit", "source", "model"), rows)


def correlations() -> str:
    """Correlations of the covariates with their basis."""
    text = files("stemtrial.population").joinpath("data/correlations.csv").read_text(encoding="utf-8")
    rows = [
        [r["first"], r["second"], r["value"], plain(r["source"])] for r in csv.DictReader(text.splitlines())
    ]
    return table(("covariate", "covariate", "correlation", "basis"), rows)


def instruments() -> str:
    """Instruments and their printed forms."""
    from stemtrial.scales import instruments

    rows = []
    for entry in instruments():
        forms = "; ".join(
            f"{s.limits}{' (higher is better)' if s.higher_is_better else ''}" for s in entry.scales
        )
        rows.append(
            [f"`{entry.name}`", plain(entry.label), entry.construct.replace("_", " "), entry.kind, forms]
        )
    return table(("name", "instrument", "measures", "kind", "printed forms"), rows)


def important_differences() -> str:
    """Smallest important differences with their sources."""
    from stemtrial.evidence import load
    from stemtrial.scales import important_differences

    rows = [
        [f"`{d.instrument}`", d.indication.replace("_", " "), d.kind.replace("_", " "), f"{d.value:.3g}",
         f"{d.printed:g} of {d.low:g} to {d.high:g}", plain(d.population) + (" (indirect)" if d.indirect else ""),
         plain(load().reference(d.reference_id).citation)]
        for d in important_differences()
    ]  # fmt: skip
    return table(
        ("instrument", "indication", "judges", "points of 100", "as printed", "population", "source"), rows
    )


def columns() -> str:
    """Columns of every evidence table with their types and vocabularies."""
    from stemtrial.evidence.tables import ROWS

    text = []
    for name, kind in ROWS.items():
        hints = get_type_hints(kind, include_extras=True)
        optional = {
            f
            for f in kind.columns()
            if type(None) in get_args(hints[f]) or kind.__dataclass_fields__[f].default == ()
        }
        rows = [[f"`{c}`", words(hints[c]), "" if c in optional else "yes"] for c in kind.columns()]
        text.append(f"### {name}.csv\n\n{plain((inspect.getdoc(kind) or '').splitlines()[0])}\n\n"
                    + table(("column", "allowed", "required"), rows))  # fmt: skip
    return "\n".join(text)


def grid() -> str:
    """Step lengths of the time grid."""
    from stemtrial.mechanism.grid import STANDARD as g

    return (
        f"$$\nh(s) = \\min({g.start:g} + {g.rush:g}\\, s,\\; {g.first:g} + {g.growth:g}\\, s,\\; {g.longest:g})"
        "\\text{ days}\n$$\n"
    )


def commands() -> str:
    """Every command with its arguments and options, as its ``--help`` says."""
    from typer.main import get_command

    from stemtrial.cli import app

    text: list[str] = []

    def describe(command: Any, path: str) -> None:
        text.append(f"## `{path}`\n\n{plain(inspect.cleandoc(command.help or ''))}\n")
        rows = []
        for p in command.params:
            if p.name == "help":
                continue
            shown = ", ".join(p.opts) if p.param_type_name == "option" else p.metavar or p.name.upper()
            low, high = getattr(p, "min", None), getattr(p, "max", None)
            span = "" if low is None or high is None else f"{low} to {high}"
            need = (
                "required" if p.required else "" if p.default in (None, False) else f"default `{p.default}`"
            )
            rows.append([f"`{shown}`", plain(p.help or ""), "; ".join(filter(None, (span, need)))])
        if rows:
            text.append(table(("option", "meaning", "allowed"), rows))
        for name, child in sorted(getattr(command, "commands", {}).items()):
            describe(child, f"{path} {name}")

    describe(get_command(app), "stemtrial")
    return "\n".join(text)


def exit_codes() -> str:
    """Exit codes and the errors behind them."""
    from stemtrial import errors

    kinds = [
        k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, errors.StemtrialError)
    ]
    rows = [
        [
            str(kind.exit_code),
            f"`{kind.__name__}`",
            plain(" ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())),
        ]
        for kind in sorted(kinds, key=lambda k: (k.exit_code, k.__name__))
        if kind is not errors.StemtrialError
    ]
    return table(("exit code", "error", "when"), [["0", "", "done"], *rows])


def modules(layer: str) -> str:
    """Documentation of a module, or of every public module of a package."""
    names = public_modules(f"stemtrial.{layer}")
    return "\n".join(
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n"
        + ("   :no-members:\n" if hasattr(importlib.import_module(name), "__path__") else "")
        + "```\n"
        for name in names
    )


def public_modules(name: str) -> list[str]:
    """Return a module and the public modules below it."""
    module = importlib.import_module(name)
    below = pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}.")
    return [name, *sorted(m.name for m in below if "._" not in m.name)]
