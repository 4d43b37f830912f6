"""Words of the evidence tables as a reader sees them."""

from collections.abc import Iterable

_NAMES = {
    "cell_therapy": "cells",
    "cells_autologous": "autologous cells",
    "cells_donor": "donor cells",
    "cells_expanded": "culture-expanded cells",
    "knee_oa": "knee osteoarthritis",
    "hip_oa": "hip osteoarthritis",
    "prp": "PRP",
    "nsaid": "NSAID",
    "topical_nsaid": "topical NSAID",
    "cells_expanded_autologous": "expanded cells, autologous",
    "cells_expanded_allogeneic": "expanded cells, donor",
    "cells_other": "other cells",
    "bmac": "BMAC",
    "bmmnc": "BMMNC",
    "svf": "SVF",
    "mfat": "MFAT",
    "hsc": "HSC",
    "any_ae": "any adverse event",
    "serious_any": "any serious adverse event",
}


def words(coded: str) -> str:
    """Return a coded word as inside a sentence.

    Examples
    --------
    >>> words("hyaluronic_acid"), words("knee_oa")
    ('hyaluronic acid', 'knee osteoarthritis')
    """
    return _NAMES.get(coded, coded.replace("_", " "))


def either(codes: Iterable[str]) -> str:
    """Join coded words by *or*; none is ``any comparator``."""
    return " or ".join(words(code) for code in codes) or "any comparator"


def heading(text: str) -> str:
    """Return a text as it starts a line."""
    return text[:1].upper() + text[1:]
