"""What the free text of an arm says about the treatment: kind, cells, dose, number of injections.

A fact counts only if the text names exactly one; two are an ambiguity, which the caller reports.
"""

import re
from collections.abc import Mapping

Facts = frozenset[str]

_INTERVENTIONS = {
    "cell_therapy": r"\bstem cells?\b|\bstromal (?:cell|vascular)|mesenchymal|\b[a-z-]*mscs?\b|\bad-?scs?\b"
    r"|chondrocytes?\b|\bsvf\b|\bbmac\b|marrow (?:aspirate )?concentrate|mononuclear cells?"
    r"|micro-?fragmented|\b(?:nucleus pulposus|disc|progenitor|precursor) cells?\b",
    "saline": r"\bsaline\b|sodium chloride",
    "placebo": r"\bplacebo\b",
    "sham_procedure": r"\bsham\b",
    "vehicle": r"\bvehicle\b",
    "hyaluronic_acid": r"hyaluron|viscosupplement",
    "corticosteroid": r"steroid|triamcinolone|methylprednisolone|betamethasone|dexamethasone",
    "prp": r"platelet[- ]rich plasma|\bprp\b",
    "exercise": r"\bexercises?\b|physiotherapy|physical therapy",
    "usual_care": r"usual care|standard (?:of )?care|conservative (?:care|treatment|management)",
    "nsaid": r"\bnsaids?\b|ibuprofen|naproxen|diclofenac|celecoxib",
    "paracetamol": r"paracetamol|acetaminophen",
    "surgery": r"\bsurgery\b|arthroplasty|osteotomy",
}
_NO_CELLS = re.compile(r"exosomes?\b|secretome|extracellular vesicles?|conditioned medi|cell[- ]free", re.I)
_FACTS: Mapping[str, Mapping[str, str]] = {
    "cell_source": {
        "bone_marrow": r"bone[- ]marrow|\bbm-?m[sn]cs?\b|\bbmac\b",
        "adipose": r"adipose|\bad-?m?scs?\b|lipoaspirate|abdominal fat|stromal vascular|\bsvf\b",
        "umbilical_cord": r"umbilical|wharton|\buc-?mscs?\b",
        "placenta": r"placent",
        "disc": r"nucleus pulposus cells?|disc cells?",
        "articular_cartilage": r"chondrocytes?\b",
    },
    "origin": {"autologous": r"\bautologous", "allogeneic": r"\ballogen[e]?ic|\ballogenous"},
    "product": {
        "culture_expanded": r"cultur(?:e[ -])?expan|\bcultured\b|culture-expanded|\bexpanded\b|\bpassage",
        "bmac": r"\bbmac\b|marrow (?:aspirate )?concentrate",
        "bmmnc": r"mononuclear cells?",
        "svf": r"\bsvf\b|stromal vascular",
        "mfat": r"micro-?fragmented",
        "chondrocyte": r"chondrocytes?\b",
        "disc_cell": r"nucleus pulposus cells?|disc cells?",
    },
}
_POWER = re.compile(
    r"(?:(?<![\d.])(?P<factor>\d+(?:\.\d+)?)\s*(?:x|×|\*|·)\s*)?\b10\s*(?:\^\s*|\*\*\s*)(?P<power>[5-9])(?!\d)"
    r"|(?:(?<![\d.])(?P<factor2>\d+(?:\.\d+)?)\s*(?:x|×|\*|·)\s*)?\b10(?P<raised>[⁵⁶⁷⁸⁹])",
    re.I,
)
_MILLION = re.compile(
    r"(?P<range>\d\s*(?:-|–|to)\s*)?(?<![\d.,])(?P<value>\d+(?:\.\d+)?)\s*(?:million\b|M\s+cells?\b)"
)
_PER_WEIGHT = re.compile(r"/\s*kg|per (?:kg|kilogram)|per body|/\s*m[lL]\b|per m[lL]\b", re.I)
_EACH = re.compile(r"\b(?:per|each|every) (?:injection|dose|knee|joint|disc)\b|\bsingle\b|\bone\b", re.I)
_COUNTS = {"single": 1, "one": 1, "two": 2, "three": 3, "four": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_INJECTIONS = re.compile(
    r"\b(single|one|two|three|four|[1-4])\s+(?:[\w-]+\s+){0,3}?(?:injections?|doses?|infusions?)\b", re.I
)


def interventions(text: str) -> Facts:
    """Return the kinds of treatment a name speaks of; cells in saline are cells, saline placebo is saline.

    Examples
    --------
    >>> sorted(interventions("Allogeneic UC-MSC in saline")), sorted(interventions("MSC exosomes"))
    (['cell_therapy'], [])
    """
    if _NO_CELLS.search(text):
        return frozenset()
    found = {name for name, pattern in _INTERVENTIONS.items() if re.search(pattern, text, re.I)}
    if "cell_therapy" in found:
        return frozenset({"cell_therapy"})
    return frozenset(found - {"placebo"} if found > {"placebo"} else found)


def facts(column: str, text: str) -> Facts:
    """Return the words of a column (``cell_source``, ``origin``, ``product``) that a text names.

    Examples
    --------
    >>> sorted(facts("origin", "autologous or allogeneic cells"))
    ['allogeneic', 'autologous']
    """
    return frozenset(word for word, pattern in _FACTS[column].items() if re.search(pattern, text, re.I))


def doses(text: str) -> tuple[float, ...]:
    """Return the doses a text names, in million cells, each once; an empty tuple also for ranges and per kg.

    Examples
    --------
    >>> doses("50 x 10^6 cells (50 million)"), doses("1×10⁸"), doses("50-100 million"), doses("2 million/kg")
    ((50.0,), (100.0,), (), ())
    """
    if _PER_WEIGHT.search(text):
        return ()
    found = set()
    for match in _MILLION.finditer(text):
        if match["range"]:
            return ()
        found.add(float(match["value"]))
    for match in _POWER.finditer(text):
        power = int(match["power"] or "⁰¹²³⁴⁵⁶⁷⁸⁹".index(match["raised"]))
        found.add(float(match["factor"] or match["factor2"] or 1) * 10.0 ** (power - 6))
    return tuple(sorted(found))


def injections(text: str) -> frozenset[int]:
    """Return the numbers of injections a text names.

    Examples
    --------
    >>> sorted(injections("a single intra-articular injection")), sorted(injections("two injections or one dose"))
    ([1], [1, 2])
    """
    return frozenset(_COUNTS[found.lower()] for found in _INJECTIONS.findall(text))


def for_each_injection(text: str) -> bool:
    """Say whether a dose in the text is that of one injection."""
    return _EACH.search(text) is not None
