"""The hash of the evidence follows its contents and nothing else; selections keep their promises."""

import csv
import dataclasses
import random
import shutil
from importlib.resources import files

import pytest

from stemtrial.evidence import Selection, load
from stemtrial.evidence.selection import VOCABULARY
from stemtrial.evidence.tables import ROWS

DATA = files("stemtrial.evidence") / "data"


def rewrite(folder, name, change):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    change(header, rows)
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path):
    for name in ROWS:
        shutil.copy(str(DATA / f"{name}.csv"), tmp_path / f"{name}.csv")
    return tmp_path


def test_a_copy_has_the_same_hash_and_is_marked_as_the_users(folder):
    copy = load(folder)
    assert copy.hash == load().hash
    assert {row.provenance for name in ROWS for row in getattr(copy, name)} == {"user"}
    assert {row.provenance for name in ROWS for row in getattr(load(), name)} == {"shipped"}


def test_row_order_column_order_and_number_format_do_not_matter(folder):
    def shuffle(header, rows):
        random.Random(1).shuffle(rows)
        for row in rows:
            row.reverse()
        header.reverse()

    rewrite(folder, "outcomes", shuffle)

    def lengthen(header, rows):
        place = header.index("value")
        for row in rows:
            row[place] = f"{float(row[place]):.6e}"

    rewrite(folder, "effects", lengthen)
    assert load(folder).hash == load().hash


def test_one_changed_cell_changes_the_hash(folder):
    def change(header, rows):
        place = header.index("value")
        rows[7][place] = str(float(rows[7][place]) * 1.0001)

    rewrite(folder, "outcomes", change)
    assert load(folder).hash != load().hash


def test_a_byte_order_mark_is_read(folder):
    path = folder / "trials.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load(folder).hash == load().hash


def test_rows_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().trials[0].blinding = "double"


def test_asking_for_every_word_selects_everything_that_has_the_column():
    whole = load()
    for name in ("indication", "blinding"):
        found = Selection(**{name: VOCABULARY[name]}).of(whole)
        assert (found.trials, found.arms, found.outcomes) == (whole.trials, whole.arms, whole.outcomes)
    assert Selection().of(whole) == whole


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_narrower_selection_is_part_of_a_wider_one_and_filters_commute(name):
    whole = load()
    base = Selection(indication=("knee_oa", "disc_degeneration"), construct="pain")
    wide = base.of(whole)
    for word in VOCABULARY[name]:
        narrow = dataclasses.replace(base, **{name: word})
        found = narrow._apply(whole)
        if name not in ("indication", "construct"):
            assert set(found.outcomes) <= set(wide.outcomes)
            assert set(found.arms) <= set(wide.arms)
        named = {trial.trial_id for trial in found.trials}
        assert {arm.trial_id for arm in found.arms} == named
        assert {row.trial_id for row in found.outcomes} == named
        kept = {(arm.trial_id, arm.arm_id) for arm in found.arms}
        assert {(row.trial_id, row.arm_id) for row in (*found.outcomes, *found.events)} <= kept


def test_comparator_arms_are_controls_beside_an_arm_under_study():
    found = Selection(intervention="cell_therapy", comparator="hyaluronic_acid").of(load())
    for trial in found.trials:
        roles = {(arm.role, arm.intervention) for arm in found.arms_of(trial.trial_id)}
        assert roles == {("experimental", "cell_therapy"), ("control", "hyaluronic_acid")}
