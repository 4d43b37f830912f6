"""A FHIR R4 or R5 bundle of one person as the fields of a record.

Read are Patient (sex, age), Condition, Observation, MedicationStatement and Procedure, by published codes
(:mod:`stemtrial.candidate.codes`). Everything else is listed as not mapped. Silence says nothing: a disease that the
bundle does not name stays unknown. Names and identifiers are neither kept nor shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, get_args

from stemtrial.candidate import codes
from stemtrial.candidate import fhirparts as parts
from stemtrial.candidate.findings import MEANINGS
from stemtrial.candidate.record import Candidate, Substance
from stemtrial.errors import InputError, Problem

MOST_ENTRIES: Final = 100_000
_LISTS = {"injections", "operations", "investigational_products", "present", "absent", "what_matters"}


@dataclass(frozen=True)
class Mapped:
    """Fields of a record as they would be written, and what was not mapped, in the order of the bundle.

    Parameters
    ----------
    data
        Plain data for :class:`~stemtrial.candidate.record.Candidate`.
    unmapped
        One line a resource, without anything that identifies a person.
    """

    data: dict[str, Any]
    unmapped: tuple[str, ...]


def read_bundle(bundle: Mapping[str, Any], file: str, today: date, indication: str | None = None) -> Mapped:
    """Map a bundle.

    Parameters
    ----------
    bundle
        The parsed JSON.
    file
        Name for messages.
    today
        Dates after it are errors; the day of the assessment where the bundle has no timestamp.
    indication
        Which indication to evaluate, where the bundle names several or none.

    Raises
    ------
    InputError
        Not exactly one patient, a resource about another person, dates in the future, values that contradict
        each other, or no single indication.
    """
    reader = _Reader(file, today)
    entries = bundle.get("entry") or []
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise InputError(Problem("has no list of entries", file=file, field="entry"))
    resources = [
        (f"entry[{index}].resource", entry["resource"], entry.get("fullUrl"))
        for index, entry in enumerate(entries)
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]
    person = _person(resources, file)
    reader.assessed = reader.day(bundle.get("timestamp"), "timestamp") or today
    for place, resource, _ in resources:
        reader.take(place, resource, person)
    return reader.finish(indication)


def _person(resources: list[tuple[str, dict[str, Any], Any]], file: str) -> set[str]:
    """Return every way to refer to the one patient of the bundle."""
    patients = [entry for entry in resources if entry[1].get("resourceType") == "Patient"]
    if len(patients) != 1:
        what = "holds no Patient" if not patients else f"holds {len(patients)} patients"
        hint = "export the record of one person"
        raise InputError(Problem(what, file=file, field="entry", allowed="exactly one Patient", hint=hint))
    _, patient, url = patients[0]
    names = {url} if isinstance(url, str) else set()
    return names | ({f"Patient/{patient['id']}"} if isinstance(patient.get("id"), str) else set())


@dataclass
class _Reader:
    """Collects what resources say, and puts it together at the end."""

    file: str
    today: date
    assessed: date = date.min
    unmapped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    values: dict[str, list[tuple[date | None, Any, str]]] = field(default_factory=dict)
    injections: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    operations: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    index_sides: set[str] = field(default_factory=set)

    def take(self, place: str, resource: dict[str, Any], person: set[str]) -> None:
        kind = resource.get("resourceType")
        readers = {
            "Condition": self.condition,
            "Observation": self.observation,
            "MedicationStatement": self.medication,
            "Procedure": self.procedure,
        }
        if kind == "Patient":
            self.patient(place, resource)
        elif kind not in readers:
            self.leave(place, f"{kind if isinstance(kind, str) else 'resource'}: not a kind that is read")
        elif self.concerns(place, resource, person):
            readers[kind](place, resource)

    def leave(self, place: str, why: str) -> None:
        self.unmapped.append(f"{place}, {why}")

    def wrong(self, place: str, what: str, hint: str | None = None, allowed: str | None = None) -> None:
        self.problems.append(Problem(what, file=self.file, field=place, hint=hint, allowed=allowed))

    def concerns(self, place: str, resource: dict[str, Any], person: set[str]) -> bool:
        subject = resource.get("subject")
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if not isinstance(reference, str):
            self.leave(place, f"{resource['resourceType']}: does not say whose it is")
            return False
        plain = reference.split("/_history/")[0]
        if plain in person or any("/" in name and plain.endswith(f"/{name}") for name in person):
            return True
        self.wrong(f"{place}.subject", "is about another person", "export the record of one person")
        return False

    def day(self, text: object, place: str) -> date | None:
        """Return the day of a FHIR date or time; a year or month alone is no day."""
        if not isinstance(text, str) or len(text) < 10:
            return None
        try:
            found = date.fromisoformat(text[:10])
        except ValueError:
            self.wrong(place, "is not a date")
            return None
        if found > self.today:
            self.wrong(place, "lies in the future", allowed=f"up to {self.today}")
            return None
        return found

    def add(self, name: str, value: object, day: date | None, place: str) -> None:
        self.values.setdefault(name, []).append((day, value, place))

    # ---- resources ------------------------------------------------------------------------------------------

    def patient(self, place: str, resource: dict[str, Any]) -> None:
        if resource.get("deceasedBoolean") is True or resource.get("deceasedDateTime"):
            self.wrong(f"{place}.deceased", "says that the person has died")
        if resource.get("gender") in ("female", "male"):
            self.add("sex", resource["gender"], None, place)
        born = self.day(resource.get("birthDate"), f"{place}.birthDate")
        if born is not None:
            had = (self.assessed.month, self.assessed.day) >= (born.month, born.day)
            self.add("age", self.assessed.year - born.year - (not had), None, place)

    def condition(self, place: str, resource: dict[str, Any]) -> None:
        found = parts.first(codes.condition(*coding) for coding in parts.codings(resource.get("code")))
        local = parts.first(
            code for system, code in parts.codings(resource.get("code")) if system == codes.LOCAL
        )
        found = found or (local if local in MEANINGS else None)
        if found is None:
            return self.leave(
                place, f"Condition: {parts.shown(resource.get('code'))} is not a code that is read"
            )
        verification, clinical = (
            parts.status(resource.get(f"{name}Status")) for name in ("verification", "clinical")
        )
        self.day(resource.get("recordedDate"), f"{place}.recordedDate")
        self.day(resource.get("onsetDateTime"), f"{place}.onsetDateTime")
        if verification == "entered-in-error" or verification in (
            "unconfirmed",
            "provisional",
            "differential",
        ):
            return self.leave(place, f"Condition: {verification}")
        if found.startswith("indication "):
            if verification != "refuted" and clinical in ("active", "recurrence", "relapse"):
                self.add("indication", found.removeprefix("indication "), None, place)
                self.index_sides |= parts.sides(resource.get("bodySite"))
                return None
            return self.leave(place, "Condition: not active")
        if verification == "refuted":
            self.add(found, False, None, place)
        elif clinical in ("active", "recurrence", "relapse"):
            self.add(found, True, None, place)
        elif clinical in ("inactive", "remission", "resolved") and found in codes.EVER:
            self.add(codes.EVER[found], True, None, place)
        else:
            self.leave(place, f"Condition: {clinical or 'no'} clinical status")
        return None

    def observation(self, place: str, resource: dict[str, Any]) -> None:
        if resource.get("status") not in ("final", "amended", "corrected"):
            return self.leave(place, "Observation: not final")
        day = self.day(parts.when(resource, "effective"), f"{place}.effective")
        for system, code in parts.codings(resource.get("code")):
            name, value = self.observed(system, code, resource)
            if name is not None and value is not None:
                return self.add(name, value, day, place)
            if name is not None:
                return self.leave(place, f"Observation: {code} has no value that can be read")
        return self.leave(
            place, f"Observation: {parts.shown(resource.get('code'))} is not a code that is read"
        )

    def observed(self, system: str | None, code: str, resource: dict[str, Any]) -> tuple[str | None, Any]:
        """Return field or finding of an observation and its value as a person would write it."""
        answer = parts.first(code for _, code in parts.codings(resource.get("valueCodeableConcept")))
        if system == codes.LOINC:
            if code in codes.QUANTITIES:
                return codes.QUANTITIES[code], parts.quantity(resource.get("valueQuantity"))
            if code == codes.PAIN_0_10:
                value = parts.bare(resource)
                return "pain", None if value is None else f"{value:g}/10"
            if code in codes.SEROLOGY:
                return codes.SEROLOGY[code], codes.POSITIVE.get(answer or "")
            if code == codes.PREGNANCY:
                return "pregnant", codes.PREGNANT.get(answer or "")
            if code == codes.SMOKING:
                return "smoking", codes.SMOKER.get(answer or "")
        if system == codes.LOCAL:
            if code in MEANINGS:
                value = resource.get("valueBoolean")
                return code, value if isinstance(value, bool) else None
            if code in Candidate.model_fields and code not in _LISTS | {"indication", "date"}:
                text = resource.get("valueString")
                measured = parts.quantity(resource.get("valueQuantity"))
                return code, text or (measured if measured and " " in measured else parts.bare(resource))
        return None, None

    def medication(self, place: str, resource: dict[str, Any]) -> None:
        medication = resource.get("medicationCodeableConcept")
        if medication is None and isinstance(resource.get("medication"), dict):
            medication = resource["medication"].get("concept")
        found = parts.first(codes.medicine(*coding) for coding in parts.codings(medication))
        if found is None:
            return self.leave(
                place, f"MedicationStatement: {parts.shown(medication)} is not a code that is read"
            )
        adherence = resource.get("adherence")
        taking = parts.status(adherence.get("code")) if isinstance(adherence, dict) else None
        ended = self.day(parts.when(resource, "effective", "end"), f"{place}.effective")
        now = resource.get("status") == "active" or (
            resource.get("status") == "recorded" and taking == "taking"
        )
        if now and (ended is None or ended >= self.assessed):
            return self.add(found, True, None, place)
        return self.leave(place, "MedicationStatement: not said to be taken now")

    def procedure(self, place: str, resource: dict[str, Any]) -> None:
        if resource.get("status") != "completed":
            return self.leave(place, "Procedure: not completed")
        when = parts.when(resource, "performed") or parts.when(resource, "occurrence")
        day = self.day(when, f"{place}.performed")
        side = parts.first(parts.sides(resource.get("bodySite")))
        event = (side, None if day is None else day.isoformat())
        for system, code in parts.codings(resource.get("code")):
            if system == codes.SNOMED and code in codes.PROCEDURES:
                return self.operations.append((codes.PROCEDURES[code], *event))
            if system == codes.LOCAL and code in get_args(Substance):
                return self.injections.append((code, *event))
        return self.leave(place, f"Procedure: {parts.shown(resource.get('code'))} is not a code that is read")

    # ---- together -------------------------------------------------------------------------------------------

    def finish(self, indication: str | None) -> Mapped:
        data: dict[str, Any] = {}
        lists: dict[str, list[str]] = {"present": [], "absent": []}
        named = {value for _, value, _ in self.values.pop("indication", [])}
        if indication is None and len(named) != 1:
            what = "names no indication that is read" if not named else "names two indications"
            hint = "choose with --indication"
            self.wrong("entry", what, hint, "knee_oa or disc_degeneration")
        data["indication"] = indication or next(iter(named), None)
        data["date"] = self.assessed.isoformat()
        data["history_complete"] = False
        for name, found in self.values.items():
            value = self.settled(name, found)
            if name in MEANINGS:
                lists["present" if value else "absent"].append(name)
            elif value is not None:
                data[name] = value
        index = next(iter(self.index_sides)) if len(self.index_sides) == 1 else None
        for name, kind, events in (
            ("injections", "substance", self.injections),
            ("operations", "kind", self.operations),
        ):
            if events:
                data[name] = [
                    {kind: what, "site": parts.site(side, index)} | ({"date": day} if day else {})
                    for what, side, day in events
                ]
        if self.problems:
            raise InputError(*self.problems)
        return Mapped(data | {name: found for name, found in lists.items() if found}, tuple(self.unmapped))

    def settled(self, name: str, found: list[tuple[date | None, Any, str]]) -> Any:
        """Return the latest value; values that differ without one being later contradict each other."""
        latest = max((day for day, _, _ in found if day is not None), default=None)
        last = (
            found if any(day is None for day, _, _ in found) else [one for one in found if one[0] == latest]
        )
        if len({str(value) for _, value, _ in last}) > 1:
            places = " and ".join(place for _, _, place in last[:2])
            hint = "keep the one that is right"
            self.wrong(name, f"has values that contradict each other, in {places}", hint)
        return last[0][1]
