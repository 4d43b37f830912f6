"""The posterior of a fit as a file: thinned joint draws of the constants, with all that they depend on.

A file is a compressed NumPy archive without pickled objects: ``values`` (draws, names) in single precision,
``coordinates`` (draws, coordinates) of the fit for predictions, ``structure`` (draws,) and ``about``, a JSON text with
indication, names, evidence hash, model fingerprint, seed, diagnostics, structure weights and checks.
"""

import ast
import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, get_args

import numpy as np

from stemtrial.calibration import prior
from stemtrial.calibration.standard import LEARNED, LIKELIHOOD_VERSION, heavy
from stemtrial.calibration.structures import STRUCTURES
from stemtrial.calibration.variants import NOT_RELEASED, variant
from stemtrial.draws import Stream, normals, uniforms
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import Indication

FORMAT = 1
"""Version of the file's layout."""

GOLDEN = 0.6180339887498949
"""Fractional parts of its multiples fill the unit interval most evenly, however many there are."""


@cache
def model_fingerprint(indication: Indication = "knee_oa") -> str:
    """SHA-256 of what the meaning of a posterior depends on: equations, constants, what is learned, the likelihood."""
    tree = ast.parse(files("stemtrial.mechanism").joinpath("equations.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    content = (
        LIKELIHOOD_VERSION,
        ast.unparse(tree),
        prior.fingerprint(indication),
        [(q.name, q.median, q.sd, q.log) for q in LEARNED],
        [(s.name, [(q.name, q.median, q.sd) for q in s.learned]) for s in STRUCTURES.values()],
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()


@dataclass(frozen=True)
class Posterior:
    """What a fit has learned; a belief (:class:`stemtrial.calibration.belief.Belief`).

    Attributes
    ----------
    names
        Constants in ``values``: of the registry, and ``mu_cell`` and others that are learned beside them.
    values
        (draws, names).
    coordinates
        Standard normal coordinates of constants and of what is learned, (draws, coordinates).
    structures
        Name of the structure of each draw.
    about
        Everything else, as plain data.
    fingerprint
        SHA-256 of the file.
    """

    names: tuple[str, ...]
    values: np.ndarray
    coordinates: np.ndarray
    structures: tuple[str, ...]
    about: Mapping[str, Any]
    fingerprint: str

    @property
    def indication(self) -> Indication:
        """Indication of the fitted trials."""
        found: Indication = self.about["indication"]
        return found

    @property
    def label(self) -> str:
        """How every output says where its constants come from."""
        trials = self.about["trials"]
        if self.indication in NOT_RELEASED:
            return f"fitted to {trials} trials, not validated ({self.fingerprint[:8]})"
        return f"calibrated on {trials} trials ({self.fingerprint[:8]})"

    @property
    def structure_weights(self) -> Mapping[str, float] | None:
        """Weights of the rival structures, or ``None`` where they have not been compared."""
        weights: Mapping[str, float] = self.about["structure_weights"]
        return weights if len(weights) > 1 else None

    @cached_property
    def _at(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def draw(self, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Constants of each replicate with the effects of its trial, by symbol, (replicates,) each.

        A constant on which no published mean depends comes from its prior.
        """
        result = prior.independent(seed, replicates, self._at, self.indication)
        u = uniforms(seed, Stream.CONSTANTS, replicates, 1, 1, 1)[0, :, 0]
        rows = self.values[np.minimum((u * len(self.values)).astype(int), len(self.values) - 1)].astype(float)
        table = variant(self.indication).constants
        result |= {name: rows[:, i] for i, name in enumerate(self.names) if name in table}
        z = normals(seed, Stream.TRIAL, replicates, 0, 1, 3)[:, :, 0]
        result["ctx_Emax"] = result["ctx_Emax"] + result["tau_ctx"] * heavy(
            z[0], rows[:, self._at["tail_ctx"]]
        )
        result["k_B"] = result["k_B"] * np.exp(result["omega_k_B"] * z[1])
        result["cell_effect"] = np.exp(rows[:, self._at["mu_cell"]] + result["omega_cell"] * z[2])
        return result

    def typical(self, replicates: np.ndarray) -> dict[str, np.ndarray]:
        """Posterior mean of every constant within a structure, in a trial without effects of its own.

        Replicates take turns among the structures in which cells act, in proportion to their weights: power asks what a
        trial finds if there is something to find.
        """
        result = prior.typical(replicates, self.indication)
        weights: Mapping[str, float] = self.about["structure_weights"]
        acting = {name: w for name, w in weights.items() if w > 0 and not STRUCTURES[name].inert} or weights
        edges = np.cumsum(list(acting.values())) / sum(acting.values())
        turn = np.searchsorted(edges[:-1], replicates * GOLDEN % 1.0, side="right")
        means = np.array([self._means[name] for name in acting])[turn]
        table = variant(self.indication).constants
        result |= {name: means[:, i] for i, name in enumerate(self.names) if name in table}
        result["cell_effect"] = np.exp(means[:, self._at["mu_cell"]])
        return result

    @cached_property
    def _means(self) -> dict[str, np.ndarray]:
        """Means of the constants by structure, of those on a logarithmic scale the geometric ones, (names,) each."""
        table, found = variant(self.indication).constants, {}
        for structure in sorted(set(self.structures)):
            rows = self.values[np.array([s == structure for s in self.structures])].astype(float)
            found[structure] = rows.mean(axis=0)
            for i, name in enumerate(self.names):
                if name in table and table[name].scale == "log" and (rows[:, i] > 0).all():
                    found[structure][i] = np.exp(np.log(rows[:, i]).mean())
        return found


def write(
    path: Path,
    names: tuple[str, ...],
    values: np.ndarray,
    coordinates: np.ndarray,
    structures: tuple[str, ...],
    about: Mapping[str, Any],
) -> None:
    """Write a posterior; the same content gives the same bytes."""
    known = sorted(set(structures))
    arrays: dict[str, np.ndarray] = {
        "values": values.astype(np.float32),
        "coordinates": coordinates.astype(np.float32),
        "structure": np.array([known.index(s) for s in structures], np.uint8),
    }
    text = json.dumps(
        {**about, "format": FORMAT, "names": names, "structures": known}, sort_keys=True, allow_nan=False
    )
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (2020, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED
            )
        archive.writestr(zipfile.ZipInfo("about.json", (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    partial.replace(path)


def read(path: Path) -> Posterior:
    """Read a posterior.

    Raises
    ------
    InputError
        Where the file is no posterior, or one of another version of the model.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about = json.loads(archive.read("about.json"))
            if not isinstance(about, dict):
                raise ValueError("about.json is no mapping")
            values, coordinates, structure = (
                np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in ("values", "coordinates", "structure")
            )
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        RuntimeError,
        KeyError,
        ValueError,
    ):
        raise InputError(
            Problem("is not a posterior", file=str(path), hint="write one with `stemtrial fit`")
        ) from None
    known = about.get("indication")
    ours = model_fingerprint(known if known in get_args(Indication) else "knee_oa")
    if about.get("format") != FORMAT or about.get("model") != ours:
        raise InputError(
            Problem(
                "is a posterior of another version of the model",
                file=str(path),
                value=str(about.get("model"))[:12],
                allowed=ours[:12],
                hint="fit again with `stemtrial fit`",
            )
        )
    if not (np.isfinite(values).all() and np.isfinite(coordinates).all()):
        raise InputError(Problem("holds numbers that are not finite", file=str(path)))
    names = tuple(about["structures"])
    return Posterior(
        tuple(about["names"]), values, coordinates, tuple(names[i] for i in structure), about,
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


@cache
def shipped(indication: str) -> Posterior | None:
    """Return the posterior that comes with the package, or ``None`` where there is none for an indication."""
    resource = files("stemtrial.calibration").joinpath(f"data/{indication}.posterior")
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return read(path)
