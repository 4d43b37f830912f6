"""Compiled solvers for arms that do not use all of the model; each is written by the code generator.

What an arm can do to a patient decides which states there are to integrate. A kernel is imported, and compiled, when a
run first needs it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from stemtrial.mechanism.equations import JOINT, Model
from stemtrial.mechanism.schedule import Kind, Schedule

STEADY: dict[str, int | str] = {
    "M": 0,
    "R": "R_b",
    "P": "P0",
    "N": 1,
    "E": 1,
    "G": 0,
    "C": 1,
    "X": "X0",
    "T": 0,
}
"""Where the states of an untreated patient are: a number, or the constant of that name."""

_INPUTS = {
    "flare": {Kind.CELLS}, "steroid": {Kind.STEROID}, "ha": {Kind.HYALURONIC_ACID},
    "nsaid": {Kind.NSAID, Kind.PARACETAMOL}, "opioid": {Kind.OPIOID}, "exercise": {Kind.EXERCISE},
}  # fmt: skip
_RESCUE = {
    "nsaid": ("n_steady", "n_fading", "fade_n"), "paracetamol": ("n_steady", "n_fading", "fade_n"),
    "opioid": ("o_steady", "o_fading", "fade_o"),
}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """What can act in an arm.

    Attributes
    ----------
    name
        Of the generated module.
    acting
        Kinds of event.
    donor
        Whether cells are a donor's; ``None`` for either.
    rescue
        Rescue medicines.
    """

    name: str
    acting: frozenset[Kind]
    donor: bool | None
    rescue: frozenset[str]

    def covers(self, schedule: Schedule, rescue: Collection[str]) -> bool:
        """Whether nothing else acts in an arm with this schedule in which these rescue medicines may have begun."""
        known_origin = self.donor is None or self.donor == bool(schedule.allogeneic)
        return schedule.actions <= self.acting and set(rescue) <= self.rescue and known_origin

    def model(self) -> Model:
        """Return the equations that are left."""
        from stemtrial.mechanism.reduction import reduced

        known = {name: 0 for name, kinds in _INPUTS.items() if not kinds & self.acting}
        known |= {name: 0 for drug, names in _RESCUE.items() if drug not in self.rescue for name in names}
        if self.donor is not None:
            known["allo"] = int(self.donor)
        moved = {"M"} if Kind.CELLS in self.acting else set()
        start = {state: value for state, value in STEADY.items() if state not in moved}
        return reduced(JOINT, self.name, known, start, read=("P", "X", "U", "V", "T"))


_ORAL = frozenset({"nsaid", "paracetamol"})

USES = (
    Use(
        "medicine",
        frozenset({Kind.STEROID, Kind.HYALURONIC_ACID, Kind.NSAID, Kind.PARACETAMOL, Kind.EXERCISE}),
        False,
        _ORAL,
    ),
    Use("own_cells", frozenset({Kind.CELLS}), False, _ORAL),
    Use("donor_cells", frozenset({Kind.CELLS}), True, _ORAL),
    Use("everything", frozenset(Kind), None, frozenset(_RESCUE)),
)
"""From the least to all; the contextual response is in none, since it is known in closed form."""


def suited(schedule: Schedule, rescue: Collection[str] = ()) -> ModuleType:
    """Return the smallest kernel for an arm.

    Parameters
    ----------
    schedule
        What is given.
    rescue
        Rescue medicines that may have begun.
    """
    return _module(next(use for use in USES if use.covers(schedule, rescue)))


def general() -> ModuleType:
    """Return the kernel that takes no state for constant."""
    return _module(USES[-1])


def _module(use: Use) -> ModuleType:
    return import_module(f"stemtrial.mechanism.kernels._{use.name}")
