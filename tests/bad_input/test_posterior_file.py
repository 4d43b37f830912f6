"""Files that are no posterior of this model are refused with one message that names them."""

import io
import json
import zipfile

import numpy as np
import pytest

from stemtrial.calibration.posterior import model_fingerprint, read, write
from stemtrial.errors import InputError

NAMES = ("f_ret", "mu_cell")
ABOUT = {
    "indication": "knee_oa",
    "trials": 3,
    "model": model_fingerprint(),
    "structure_weights": {"paracrine": 1.0},
}


def written(path, about=ABOUT, values=None, coordinates=None):
    values = np.full((30, 2), 0.2) if values is None else values
    coordinates = np.zeros((30, 4)) if coordinates is None else coordinates
    write(path, NAMES, values, coordinates, ("paracrine",) * len(values), about)
    return path


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "knee.posterior")


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert all(word in str(caught.value) for word in words)


def test_there_is_no_file(tmp_path):
    refused(tmp_path / "none.posterior", "cannot be read", "No such file")


@pytest.mark.parametrize(
    "content", [b"", b"age,bmi\n58,28\n", b"PK\x05\x06" + bytes(18)], ids=["empty", "table", "zip"]
)
def test_something_else(tmp_path, content):
    path = tmp_path / "x.posterior"
    path.write_bytes(content)
    refused(path, "is not a posterior", "stemtrial fit")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_cut_off(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "is not a posterior")


def test_damaged_anywhere(path):
    """A byte changed is refused in one message or changes nothing that is read (times and names of the archive)."""
    content, whole = path.read_bytes(), read(path)
    refusals = 0
    for place in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = read(path)
        except InputError:
            refusals += 1
            continue
        assert np.array_equal(found.values, whole.values)
        assert found.about == whole.about
    assert refusals > 75


@pytest.mark.parametrize("about", ["[]", '"text"', "{", "{}"], ids=["list", "text", "half", "nothing"])
def test_a_description_of_another_form(path, about):
    with zipfile.ZipFile(path) as archive:
        rest = {name: archive.read(name) for name in archive.namelist() if name != "about.json"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in rest.items():
            archive.writestr(name, content)
        archive.writestr("about.json", about)
    refused(path)


@pytest.mark.parametrize("dropped", ["values.npy", "coordinates.npy", "structure.npy", "about.json"])
def test_a_part_is_missing(path, dropped):
    with zipfile.ZipFile(path) as archive:
        rest = {name: archive.read(name) for name in archive.namelist() if name != dropped}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in rest.items():
            archive.writestr(name, content)
    refused(path, "is not a posterior")


def test_objects_are_never_unpickled(path):
    with zipfile.ZipFile(path) as archive:
        rest = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**rest, "values.npy": buffer.getvalue()}.items():
            archive.writestr(name, content)
    refused(path, "is not a posterior")


def test_another_version_of_the_model(tmp_path):
    path = written(tmp_path / "old.posterior", {**ABOUT, "model": "0" * 64})
    refused(path, "another version of the model", "000000000000", model_fingerprint()[:12], "fit again")


def test_another_version_of_the_format(path):
    with zipfile.ZipFile(path) as archive:
        rest = {name: archive.read(name) for name in archive.namelist()}
    about = {**json.loads(rest["about.json"]), "format": 99}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**rest, "about.json": json.dumps(about).encode()}.items():
            archive.writestr(name, content)
    refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["values", "coordinates"])
def test_numbers_that_are_not_finite(tmp_path, part, value):
    shape = {"values": (30, 2), "coordinates": (30, 4)}[part]
    bad = np.full(shape, 0.2)
    bad[3, 1] = value
    path = written(tmp_path / "nan.posterior", **{part: bad})
    refused(path, "not finite")


def test_nothing_half_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        written(tmp_path / "knee.posterior", {**ABOUT, "elpd": float("nan")})
    assert not list(tmp_path.iterdir())
