"""What holds for every import: nothing is lost, nothing depends on order, the shipped evidence never changes."""

import copy
import csv
import hashlib
import json
import random
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.evidence.imports import import_record, import_table
from stemtrial.evidence.imports.node import Node, leaves
from stemtrial.evidence.merging import merge

RECORD = Path(__file__).parents[2] / "examples" / "made_registry_record.json"
MADE = json.loads(RECORD.read_text(encoding="utf-8"))


def bring_in(record, folder):
    file = Path(folder) / "record.json"
    file.write_text(json.dumps(record), encoding="utf-8")
    return import_record(file, Path(folder) / "own")


def shipped_bytes():
    data = files("stemtrial.evidence") / "data"
    return {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in data.iterdir()
        if entry.is_file()
    }


def test_every_value_of_the_record_is_accounted_for(tmp_path):
    named = {entry.source for entry in bring_in(MADE, tmp_path).mapping}
    assert {leaf.path for leaf in leaves(Node(MADE, ""))} <= named


def test_the_mapping_file_keeps_values_verbatim(tmp_path):
    record = copy.deepcopy(MADE)
    hostile = '=HYPERLINK("x"), "quoted"\nsecond line\t;\u202e <script>'
    record["protocolSection"]["statusModule"]["statusVerifiedDate"] = hostile
    folder = bring_in(record, tmp_path).folder
    with (folder / "mapping.csv").open(encoding="utf-8", newline="") as stream:
        values = {row["source"]: row["value"] for row in csv.DictReader(stream)}
    assert values["protocolSection.statusModule.statusVerifiedDate"] == hostile


def test_groups_are_not_linked_by_their_place(tmp_path):
    """Groups, denominators and measurements in any order, and other ids, give the same rows."""
    record = copy.deepcopy(MADE)
    shuffle = random.Random(7).shuffle
    for module in ("participantFlowModule", "baselineCharacteristicsModule"):
        shuffle(record["resultsSection"][module]["groups"])
    shuffle(record["resultsSection"]["adverseEventsModule"]["eventGroups"])
    for number, measure in enumerate(record["resultsSection"]["outcomeMeasuresModule"]["outcomeMeasures"]):
        text = json.dumps(measure)
        for place in range(3):
            text = text.replace(f'"OG{place:03d}"', f'"X{number}{(place + 1) % 3}"')
        measure.clear()
        measure.update(json.loads(text))
        shuffle(measure.get("groups", []))
        for each in measure.get("classes", []):
            for category in each["categories"]:
                shuffle(category["measurements"])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert bring_in(record, tmp_path / "a").evidence.hash == bring_in(MADE, tmp_path / "b").evidence.hash


def test_nothing_imported_changes_the_shipped_tables(tmp_path):
    before, tables = load().hash, shipped_bytes()
    user = bring_in(MADE, tmp_path).evidence
    merged = merge(load(), user)
    assert load().hash == before
    assert shipped_bytes() == tables
    shipped = [trial for trial in merged.trials if trial.provenance == "shipped"]
    assert tuple(shipped) == load().trials
    assert [trial.trial_id for trial in merged.trials if trial.provenance == "user"] == ["nct99999998"]
    assert all((row.provenance == "user") == (row.trial_id == "nct99999998") for row in merged.outcomes)


def test_a_table_written_by_hand_is_read_back_as_it_was(tmp_path):
    """The shipped rows of one trial, renamed, go through import table by table and come out equal."""
    import dataclasses

    shipped = load()
    sources = {
        row.reference_id
        for rows in (shipped.arms_of("lee_2019"), shipped.outcomes_of("lee_2019"))
        for row in rows
    }
    sources.add("lee_2019")
    new = {source: f"own_{place}" for place, source in enumerate(sorted(sources))}
    tables = {
        "references": [row for row in shipped.references if row.reference_id in sources],
        "trials": [shipped.trial("lee_2019")],
        "arms": shipped.arms_of("lee_2019"),
        "outcomes": shipped.outcomes_of("lee_2019"),
    }
    for table, rows in tables.items():
        cells = []
        for row in rows:
            changed = row.cells() | {"reference_id": new[row.reference_id]}
            if "trial_id" in changed:
                changed["trial_id"] = "own_trial"
            if "registry_id" in changed:
                changed["registry_id"] = None
            cells.append(changed)
        with (tmp_path / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, cells[0])
            writer.writeheader()
            for each in cells:
                writer.writerow({
                    column: str(value).lower() if isinstance(value, bool)
                    else ";".join(map(str, value)) if isinstance(value, tuple) else value
                    for column, value in each.items()
                })  # fmt: skip
        done = import_table(tmp_path / f"{table}.csv", tmp_path / "own", table=table)
        assert not done.waiting
    read = load(tmp_path / "own").outcomes
    expected = [
        dataclasses.replace(row, trial_id="own_trial", reference_id=new[row.reference_id], provenance="user")
        for row in tables["outcomes"]
    ]
    assert list(read) == expected
    assert merge(shipped, load(tmp_path / "own")).trial("own_trial").provenance == "user"


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["NA", "", "<0.0001", "1,5", "∞", "Total", "OG000", "1e400", "-3"]), st.text(max_size=8),
    st.just([]), st.just({}), st.just([[[]]]), st.just([None, 3, "x"]),
)  # fmt: skip


def places(value, path=()):
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, inside in entries:
        yield (*path, name)
        yield from places(inside, (*path, name))


PLACES = sorted(places(MADE), key=str)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["drop", "junk"]), JUNK), min_size=1, max_size=6
    )
)
def test_a_damaged_record_is_refused_or_read_as_far_as_it_goes(changes):
    """Missing modules, wrong types, NA anywhere: never a crash, the folder loads, every value is named."""
    record = copy.deepcopy(MADE)
    for path, what, junk in changes:
        holder = record
        try:
            for name in path[:-1]:
                holder = holder[name]
            holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        if what == "drop":
            del holder[path[-1]]
        else:
            holder[path[-1]] = junk
    with TemporaryDirectory() as folder:
        try:
            done = bring_in(record, folder)
        except InputError:
            assert not (Path(folder) / "own").exists()
            return
        assert load(done.folder) == done.evidence
        assert {leaf.path for leaf in leaves(Node(record, ""))} <= {entry.source for entry in done.mapping}
        assert sorted(p.name for p in Path(folder).iterdir()) == ["own", "record.json"]


def test_merging_refuses_shipped_identities_and_registry_numbers(tmp_path):
    record = copy.deepcopy(MADE)
    taken = next(trial for trial in load().trials if (trial.registry_id or "").startswith("NCT"))
    record["protocolSection"]["identificationModule"]["nctId"] = taken.registry_id
    own = bring_in(record, tmp_path)
    assert f"is the registry number of the shipped trial {taken.trial_id}" in own.notes[0]
    with pytest.raises(InputError, match=f"is the registry number of the shipped trial {taken.trial_id}"):
        merge(load(), own.evidence)
    with pytest.raises(InputError, match="is the identity of a shipped row"):
        merge(load(), load())
