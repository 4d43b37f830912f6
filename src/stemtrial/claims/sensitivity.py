"""How a verdict moves: on narrower sets of studies, and without the study that moves it most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stemtrial.claims.claim import Part
from stemtrial.claims.datum import Datum
from stemtrial.claims.estimating import Estimate, Nothing, estimate, probability
from stemtrial.claims.grading import certainty
from stemtrial.claims.rule import Verdict, judge
from stemtrial.evidence.wording import Level


@dataclass(frozen=True)
class Variant:
    """The same part with other studies; ``found`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    found: Estimate | None
    certainty: Level
    verdict: Verdict
    status: str


def variants(part: Part, data: Sequence[Datum], silent: int) -> tuple[Variant, ...]:
    """Return the part without open-label trials, without trials at high risk, and without the most influential.

    The most influential trial is the one without which the probability of the part moves furthest.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> from stemtrial.claims.studies import collect
    >>> from stemtrial.evidence import load
    >>> part = shipped()["complements"].parts["instead"]
    >>> body = collect(part, load())
    >>> [variant.name for variant in variants(part, body.data, len(body.silent))][:2]
    ['without open-label trials', 'without trials at high risk of bias']
    """
    sets: tuple[tuple[str, Callable[[Datum], bool]], ...] = (
        ("without open-label trials", lambda datum: datum.blinding != "open"),
        ("without trials at high risk of bias", lambda datum: datum.risk_of_bias != "high"),
    )
    found = [_variant(part, name, [d for d in data if keep(d)], data, silent) for name, keep in sets]
    if len(trials := dict.fromkeys(datum.trial_id for datum in data)) > 1:
        name = _most_influential(part, data, list(trials))
        label = next(datum.label for datum in data if datum.trial_id == name)
        kept = [datum for datum in data if datum.trial_id != name]
        found.append(_variant(part, f"without {label}, the most influential", kept, data, silent))
    else:
        found.append(
            Variant("without the most influential", 0, None, "very_low", "uncertain", "nothing would be left")
        )
    return tuple(found)


def _variant(part: Part, name: str, kept: Sequence[Datum], whole: Sequence[Datum], silent: int) -> Variant:
    again = estimate(part, kept)
    if isinstance(again, Nothing):
        status = "no study is left" if whole and not kept else again.reason
        return Variant(name, again.k, None, "very_low", "uncertain", status)
    level = certainty(part, kept, again, silent)[0]
    status = "all studies remain" if len(kept) == len(whole) else ""
    return Variant(name, again.k, again, level, judge((again.p, again.p), level).verdict, status)


def _most_influential(part: Part, data: Sequence[Datum], trials: Sequence[str]) -> str:
    whole = probability(part, data)

    def moved(trial: str) -> float:
        p = probability(part, [datum for datum in data if datum.trial_id != trial])
        return 1.0 if p is None or whole is None else abs(p - whole)

    return max(trials, key=moved)
