"""From failed validation to problems that name field, line, value, what is allowed and the next step."""

import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import Tag, ValidationError
from pydantic.fields import FieldInfo

from stemtrial.documents.record import Fault, Record, nearest
from stemtrial.errors import InputError, Problem

FieldPath = tuple[str | int, ...]
M = TypeVar("M", bound=Record)


def validate(
    model: type[M],
    data: object,
    file: str | None = None,
    line: Callable[[FieldPath], int | None] | None = None,
) -> M:
    """Return ``data`` as a ``model``.

    Parameters
    ----------
    model
        A :class:`Record`.
    data
        Plain data, as read from a document.
    file, line
        Name of the file and a function from field path to line, for the messages.

    Raises
    ------
    InputError
        Every fault found, in the order of the document.

    Examples
    --------
    >>> class Arm(Record):
    ...     n: Annotated[int, FieldInfo(ge=2, le=100)]
    >>> validate(Arm, {"n": 0})
    Traceback (most recent call last):
    stemtrial.errors.InputError: n = 0 is out of range; allowed: 2 to 100
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = list(_problems(error, model, data, file, line or (lambda path: None)))
    found.sort(key=lambda problem: problem.line or 0)
    raise InputError(*found) from None


def normal(path: FieldPath) -> tuple[str, ...]:
    """Return a path with every part as text, the form in which documents store the places of fields."""
    return tuple(map(str, path))


def dotted(path: FieldPath, data: object) -> str:
    """Return a path as people write it: ``arms.cells.treatments[0].cells.dose_million``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(data, list | tuple) else f".{key}" if text else str(key)
        data = _child(data, key)
    return text


def _problems(
    error: ValidationError,
    model: type[Record],
    data: object,
    file: str | None,
    line: Callable[[FieldPath], int | None],
) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    excused = set(_misspelt(details, model))
    for detail in details:
        is_key = detail["loc"][-1:] == ("[key]",)
        loc: FieldPath = detail["loc"][:-1] if is_key else detail["loc"]
        if loc in excused or (
            detail["type"] == "too_short" and _size(detail["input"]) >= detail["ctx"]["min_length"]
        ):
            continue
        faults: tuple[Fault, ...] = detail.get("ctx", {}).get("faults") or (
            _explain_name(model, loc) if is_key else _explain(detail, model, loc),
        )
        for fault in faults:
            path = loc + fault.at
            value = None if is_key or detail["type"] == "missing" else shown(_lookup(data, path))
            yield Problem(
                fault.what,
                file,
                line(path),
                field=dotted(path, data) or None,
                value=value,
                allowed=fault.allowed,
                hint=fault.hint,
            )


def _misspelt(details: list[Any], model: type[Record]) -> Iterator[FieldPath]:
    """Yield missing fields that are written under a similar, unknown name: one fault, not two."""
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *parent, name = detail["loc"]
            if near := nearest(name, _spot(model, tuple(parent)).names):
                yield (*parent, near)


def _explain_name(model: type[Record], loc: FieldPath) -> Fault:
    """Turn a failure of a mapping's key into a fault."""
    spot = _unwrap(get_args(_spot(model, loc[:-1]).annotation)[0])
    form = f", {spot.meaning}" if spot.meaning else ""
    return Fault("is not a name that can be used here", allowed=f"{spot.wanted}{form}")


def _explain(detail: Any, model: type[Record], loc: FieldPath) -> Fault:
    """Turn one detail of a validation error into a fault."""
    kind, value, spot = detail["type"], detail["input"], _spot(model, loc)
    if kind == "missing":
        example = f": {spot.example}" if spot.example else ""
        meaning = f" ({spot.meaning})" if spot.meaning else ""
        return Fault("is missing", allowed=spot.allowed, hint=f"add `{loc[-1]}{example}`{meaning}")
    if kind in {"extra_forbidden", "invalid_key"}:
        names = _spot(model, loc[:-1]).names
        near = nearest(loc[-1], names)
        hint = f"did you mean `{near}`?" if near else "remove it"
        if ":" in str(loc[-1]):
            hint = "put a blank after the colon"
        return Fault("is not a known field", allowed=", ".join(names), hint=hint)
    if kind == "literal_error":
        near = nearest(value, _words(spot.annotation))
        what = (
            "is not in the vocabulary" if isinstance(value, str | int) else f"is {kind_of(value)}, not a word"
        )
        return Fault(what, allowed=spot.allowed, hint=f"did you mean `{near}`?" if near else None)
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        return Fault("is out of range", allowed=spot.allowed)
    if kind == "finite_number" or (isinstance(value, float) and not math.isfinite(value)):
        return Fault("is not a finite number", allowed=spot.allowed)
    if kind in {"too_short", "too_long"}:
        count = _size(value)
        return Fault(
            f"has {count} {'entry' if count == 1 else 'entries'}", allowed=spot.allowed, hint=spot.hint
        )
    if kind == "string_too_short":
        return Fault("is an empty text", allowed=spot.allowed, hint=spot.hint)
    if kind in {"string_too_long", "string_pattern_mismatch"}:
        return Fault(
            "is not a text of the expected form", allowed=spot.allowed or spot.meaning, hint=spot.hint
        )
    if kind.endswith("_type") or kind == "int_from_float":
        what = "is empty" if value is None else f"is {kind_of(value)}, not {spot.wanted}"
        return Fault(what, allowed=spot.allowed, hint=spot.hint)
    return Fault(f"is not valid: {detail['msg']}", allowed=spot.allowed, hint=spot.hint)


@dataclass(frozen=True)
class _Spot:
    """What a model declares about one place: its type, constraints, meaning and an example."""

    annotation: Any
    bounds: Mapping[str, Any]
    meaning: str | None = None
    example: str | None = None

    @property
    def names(self) -> list[str]:
        return list(self.annotation.model_fields) if _is_record(self.annotation) else []

    @property
    def allowed(self) -> str | None:
        if get_origin(self.annotation) is Literal:
            return ", ".join(_words(self.annotation))
        if get_origin(self.annotation) is tuple and Ellipsis not in get_args(self.annotation):
            return f"{len(get_args(self.annotation))} entries"
        if "min_length" in self.bounds or "max_length" in self.bounds:
            unit = "characters" if self.annotation is str else "entries"
            least, most = self.bounds.get("min_length"), self.bounds.get("max_length")
            return f"{_interval(least, None, most, None)} {unit}"
        return _interval(*(self.bounds.get(name) for name in ("ge", "gt", "le", "lt")))

    @property
    def hint(self) -> str | None:
        return f"write for example `{self.example}`" if self.example else None

    @property
    def wanted(self) -> str:
        origin = get_origin(self.annotation) or self.annotation
        if _is_record(origin):
            return "a mapping of fields"
        names = {
            int: "a whole number",
            float: "a number",
            str: "a text",
            bool: "true or false",
            tuple: "a list",
        }
        return names.get(origin, "a mapping")


def _spot(model: type[Record], loc: FieldPath) -> _Spot:
    """Return what ``model`` declares about the place ``loc``."""
    spot = _unwrap(model)
    for key in loc:
        inner, origin, args = spot.annotation, get_origin(spot.annotation), get_args(spot.annotation)
        if _is_record(inner) and key in inner.model_fields:
            info = inner.model_fields[key]
            spot = _unwrap(info.annotation, [info])
        elif origin is Union:
            members = [_unwrap(arg) for arg in args if Tag(str(key)) in getattr(arg, "__metadata__", ())]
            spot = members[0] if members else _Spot(None, {})
        elif origin is tuple:
            spot = _unwrap(args[0] if Ellipsis in args else args[min(int(key), len(args) - 1)])
        elif args and isinstance(origin, type) and issubclass(origin, Mapping):
            spot = _unwrap(args[1])
        else:
            return _Spot(None, {})
    return spot


def _unwrap(annotation: Any, metadata: list[Any] | None = None) -> _Spot:
    """Strip ``Annotated`` and ``| None`` from a type and collect the constraints on the way."""
    metadata = list(metadata or [])
    while True:
        origin = get_origin(annotation)
        members = [arg for arg in get_args(annotation) if arg is not type(None)]
        if origin is Annotated:
            metadata += annotation.__metadata__
            annotation = annotation.__origin__
        elif origin in {Union, types.UnionType} and len(members) == 1:
            annotation = members[0]
        else:
            break
    infos = [item for item in metadata if isinstance(item, FieldInfo)]
    metadata += [constraint for info in infos for constraint in info.metadata]
    bounds = {
        name: getattr(item, name)
        for item in metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if getattr(item, name, None) is not None
    }
    examples = [info.examples[0] for info in infos if info.examples]
    meanings = [info.description for info in infos if info.description]
    return _Spot(
        annotation, bounds, meanings[0] if meanings else None, str(examples[0]) if examples else None
    )


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Record)


def _words(annotation: Any) -> list[str]:
    return list(map(str, get_args(annotation))) if get_origin(annotation) is Literal else []


def _interval(ge: Any, gt: Any, le: Any, lt: Any) -> str | None:
    """Say an interval in words."""
    if ge is not None and le is not None:
        return f"{ge} to {le}"
    low = f"at least {ge}" if ge is not None else f"above {gt}" if gt is not None else None
    high = f"up to {le}" if le is not None else f"below {lt}" if lt is not None else None
    return " and ".join(part for part in (low, high) if part) or None


def kind_of(value: object) -> str:
    """Say in words what kind of plain data a value is."""
    names: dict[type, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number with decimals",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
    return "empty" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _size(value: object) -> int:
    return len(value) if isinstance(value, list | tuple | dict) else 0


def _child(data: object, key: str | int) -> object:
    if isinstance(data, Mapping):
        return data.get(key)
    if isinstance(data, list | tuple) and isinstance(key, int) and key < len(data):
        return data[key]
    return None


def _lookup(data: object, path: FieldPath) -> object:
    for key in path:
        data = _child(data, key)
    return data


def shown(value: object) -> object:
    """Return a value as it is shown in a message: short, and never invisible."""
    if isinstance(value, str):
        text = value if value.strip() else repr(value)
    elif isinstance(value, dict | list | tuple):
        text = str(value)
    else:
        return value
    return text if len(text) <= 60 else text[:57] + "..."
