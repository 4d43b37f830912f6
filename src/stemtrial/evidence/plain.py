"""A synthesis as plain data, for JSON: every number of the record, and nothing that is not in it."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from stemtrial.errors import NotCredibleError
from stemtrial.evidence.metarecord import MetaAnalysis


def plain(value: Any) -> Any:
    """Return records, arrays and tuples as dicts, lists, numbers and words.

    Raises
    ------
    NotCredibleError
        A number that is not finite.

    Examples
    --------
    >>> plain((np.float64(1.5), np.array([1, 2]), None))
    [1.5, [1, 2], None]
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise NotCredibleError(f"a result is {value}: please report the command that gave it")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def document(synthesis: MetaAnalysis) -> dict[str, Any]:
    """Return a synthesis as JSON data; studies also carry their ``flags`` and whether an SD was ``imputed``."""
    found: dict[str, Any] = plain(synthesis)
    for study, entry in zip(synthesis.studies, found["studies"], strict=True):
        entry["flags"], entry["imputed"] = list(study.flags), study.imputed
    return found
