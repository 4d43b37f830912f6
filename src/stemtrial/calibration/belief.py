"""What is known about the constants of the model: the prior, or the posterior of a fit.

Everything that simulates asks a belief for constants and prints its label and fingerprint; where they come from makes
no other difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from stemtrial.calibration import posterior, prior
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import Indication


class Belief(Protocol):
    """Where constants come from."""

    @property
    def label(self) -> str:
        """How every output says where its constants come from."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that the constants depend on."""
        ...

    @property
    def structure_weights(self) -> Mapping[str, float] | None:
        """Weights of the rival structures, or ``None`` where they have not been compared."""
        ...

    def draw(self, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Constants of each replicate with the effects of its trial, by symbol, (replicates,) each."""
        ...

    def typical(self, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Mean of every constant for each replicate, in a trial without effects of its own."""
        ...


@dataclass(frozen=True)
class Prior:
    """The ranges of the constants before any fit: those of the registry, or of the variant of an indication.

    Attributes
    ----------
    indication
        Whose.

    Examples
    --------
    >>> import numpy as np
    >>> Prior().draw(1, np.arange(3))["k_B"].shape
    (3,)
    """

    indication: Indication = "knee_oa"
    label: ClassVar[str] = prior.LABEL
    structure_weights: ClassVar[Mapping[str, float] | None] = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the table of constants, and of the variant's where it differs from the knee."""
        return prior.fingerprint(self.indication)

    def draw(self, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Constants of each replicate (:func:`stemtrial.calibration.prior.draw`)."""
        return prior.draw(seed, replicates, self.indication)

    def typical(self, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Prior means (:func:`stemtrial.calibration.prior.typical`)."""
        return prior.typical(replicates, self.indication)


def belief(indication: Indication, path: Path | None = None) -> Belief:
    """Return what is known for an indication.

    Parameters
    ----------
    indication
        ``knee_oa`` or ``disc_degeneration``.
    path
        A posterior of one's own; else the one that comes with the package, and the prior where there is none.

    Raises
    ------
    InputError
        A file that is no posterior of this version of the model, or one of another indication.

    Examples
    --------
    >>> belief("knee_oa").fingerprint != Prior().fingerprint
    True
    """
    if path is None:
        return posterior.shipped(indication) or Prior(indication)
    found = posterior.read(path)
    if found.indication != indication:
        raise InputError(
            Problem(
                "was fitted to another indication",
                file=str(path),
                value=found.indication,
                allowed=indication,
                hint="name a posterior of this indication, or leave --posterior out",
            )
        )
    return found
