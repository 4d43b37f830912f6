"""A trial of another size: its arms with other numbers of patients, and the first patients of a simulated arm."""

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.protocol import Trial


def resized(trial: Trial, sizes: Mapping[str, int]) -> Trial:
    """Return the trial with other numbers of patients in some arms, each arm having exactly its own."""
    data = trial.model_dump(mode="json") | {"randomisation": None}
    for arm, n in sizes.items():
        data["arms"][arm]["n"] = n
    return Trial.model_validate(data)


def enlarged(trial: Trial, factor: float) -> Trial:
    """Return the trial with every arm larger by a factor, their ratio kept."""
    return resized(trial, {name: max(2, round(arm.n * factor)) for name, arm in trial.arms.items()})


def first_patients(record: ArmRecord, n: int) -> ArmRecord:
    """Return what was seen of the first patients of an arm, who are the same whatever its size."""

    def cut(values: object) -> object:
        if isinstance(values, Mapping):
            return {name: cut(part) for name, part in values.items()}
        return values[..., :n] if isinstance(values, np.ndarray) else values

    parts = {field.name: cut(getattr(record, field.name)) for field in fields(record)}
    return replace(record, **parts)  # type: ignore[arg-type]
