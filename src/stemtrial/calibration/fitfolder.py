"""The folder of a fit: what is in it, written once and read back for validation.

``{indication}.posterior``, ``diagnostics.json``, ``contraction.csv``, ``calibration.json`` (the page's data),
``credibility.json`` and ``.md``, ``arms.csv`` (the user's arms, where there are any), ``chains/{structure}.npz`` and
``manifest.json``.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from stemtrial.calibration.armfile import read_fit_file
from stemtrial.calibration.arms import Arms
from stemtrial.calibration.backpain import back_pain_controls
from stemtrial.calibration.comparators import comparator_effects
from stemtrial.calibration.credibility import Record, record
from stemtrial.calibration.fit import Fit, Settings
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.fitrecord import USE, Fitted, about, checks, contraction_rows, page
from stemtrial.calibration.mixture import mix
from stemtrial.calibration.posterior import Posterior, read, write
from stemtrial.calibration.published import published_arms
from stemtrial.calibration.release import LEAST_TRIALS, blinded_contrasts
from stemtrial.calibration.sampling import Chain
from stemtrial.calibration.structures import STRUCTURES
from stemtrial.calibration.variants import NOT_RELEASED
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.tables import Evidence
from stemtrial.mechanism.treatments import Indication

KIND = "fit"


def arms_to_fit(
    evidence: Evidence, indication: Indication, user_file: Path | None, only: bool
) -> tuple[Arms, tuple[str, ...]]:
    """Return the arms to fit to, and the names of those that are the user's own, ``trial.arm``.

    Parameters
    ----------
    evidence, indication
        Where published arms come from.
    user_file
        The user's arms, or ``None``.
    only
        Whether the user's stand alone.

    Raises
    ------
    InputError
        An unusable file, an arm that stands in both, or ``only`` without a file.
    """
    if only and user_file is None:
        raise InputError(
            Problem("needs arms to stand alone", field="--only", hint="add --arms with a CSV file of yours")
        )
    shipped = Arms(indication, ()) if only else shipped_arms(evidence, indication)
    if user_file is None:
        return shipped, ()
    own = read_fit_file(user_file)
    known = {(arm.trial_id, arm.arm_id) for arm in shipped.arms}
    if twice := [arm for arm in own if (arm.trial_id, arm.arm_id) in known]:
        raise InputError(
            *(
                Problem(
                    "is an arm of the shipped evidence", file=str(user_file), field=f"{arm.trial_id}.{arm.arm_id}",
                    hint="rename the trial, or leave it out: it is fitted already",
                )
                for arm in twice
            )
        )  # fmt: skip
    both = shipped.plus(own)
    fitted = {(arm.trial_id, arm.arm_id) for arm in both.arms}
    return both, tuple(f"{arm.trial_id}.{arm.arm_id}" for arm in own if (arm.trial_id, arm.arm_id) in fitted)


def shipped_arms(evidence: Evidence, indication: Indication) -> Arms:
    """Return the arms of the tables; beside those of discs stand control arms of back-pain trials."""
    found = published_arms(evidence, indication)
    if indication != "disc_degeneration":
        return found
    controls, left_out = back_pain_controls(evidence)
    return Arms(indication, (*found.arms, *controls), (*found.left_out, *left_out))


def save_chains(fit: Fit, file: Path) -> None:
    """Keep the draws of a fit."""
    columns = {
        name: np.stack([getattr(chain, name) for chain in fit.chains])
        for name in ("draws", "log_density", "divergent", "leaps")
    }
    step = np.array([chain.step for chain in fit.chains])
    with file.open("wb") as out:
        np.savez_compressed(out, step=step, wall_seconds=fit.wall_seconds, **columns)  # type: ignore[arg-type]


def load_chains(model: FitModel, settings: Settings, file: Path) -> Fit:
    """Read back a fit.

    Raises
    ------
    InputError
        No such chains, or those of another model.
    """
    try:
        with np.load(file, allow_pickle=False) as saved:
            columns = [saved[name] for name in ("draws", "log_density", "divergent", "leaps", "step")]
            wall = float(saved["wall_seconds"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            Problem("holds no chains", file=str(file), hint=f"fit again with `stemtrial fit` ({error})")
        ) from None
    if columns[0].ndim != 3 or columns[0].shape[2] != model.dimension:
        raise InputError(
            Problem(
                "holds chains of another model", file=str(file), value=columns[0].shape,
                allowed=f"{model.dimension} coordinates", hint="fit again with `stemtrial fit`",
            )
        )  # fmt: skip
    chains = tuple(Chain(d, p, x, n, float(step)) for d, p, x, n, step in zip(*columns, strict=True))
    return Fit(model, settings, chains, wall)


def write_fit(
    folder: Path, fitted: Fitted, user_file: Path | None, command: str
) -> tuple[Posterior, Record, dict[str, Any]]:
    """Write a fit into an empty folder, all but the page and the manifest.

    Parameters
    ----------
    folder
        To write into.
    fitted
        The fit.
    user_file
        The user's arms, which are copied.
    command
        As typed.

    Returns
    -------
    Posterior, Record, dict
        The posterior as read back, the credibility record and the document of the page.
    """
    indication = fitted.arms.indication
    mixed = mix(fitted.fits, fitted.weights)
    file = folder / f"{indication}.posterior"
    write(file, mixed.names, mixed.values, mixed.coordinates, mixed.structures, about(fitted))
    posterior = read(file)
    found = record(posterior.label, posterior.fingerprint, USE, checks(fitted), limitations(fitted))
    document = page(fitted, posterior.fingerprint, posterior.label, command, found.as_dict())
    write_json(folder / "diagnostics.json", {
        "by_structure": {name: fit.diagnostics for name, fit in fitted.fits.items()},
        "structures": [c.to_dict() for c in fitted.compared],
        "fitted_to": fitted.preview.to_dict(),
        "gradient": {"seconds": fitted.preview.gradient_seconds, "relative_error": fitted.preview.gradient_error},
    })  # fmt: skip
    write_csv(folder / "contraction.csv", contraction_rows(fitted))
    write_record(folder, found)
    write_json(folder / "calibration.json", document)
    (folder / "chains").mkdir()
    for name, fit in fitted.fits.items():
        save_chains(fit, folder / "chains" / f"{name}.npz")
    if user_file is not None:
        (folder / "arms.csv").write_bytes(user_file.read_bytes())
    return posterior, found, document


def limitations(fitted: Fitted) -> list[str]:
    """Sentences that hold of every fit of this kind."""
    said = []
    if fitted.arms.indication in NOT_RELEASED:
        blinded = blinded_contrasts(fitted.arms.arms)
        said.append(
            "Not validated: no fit of this indication has passed the checks for release. Blinded trials of cells "
            f"against a sham or placebo: {', '.join(blinded) or 'none'}; {LEAST_TRIALS} or more are wanted."
        )
    said += [
        "Means of arms inform the fit; what differs between persons is known only as far as SDs and responder shares "
        "show it.",
        "Which constants rest on their prior is listed: what is said about them is assumption.",
    ]
    if doubtful := sorted({trial for c in fitted.compared for trial in c.unreliable}):
        said.append(
            f"Reweighting is unreliable for {', '.join(doubtful)}, which take no part in the weights of structures."
        )
    if fitted.user_arms:
        said.append(f"{len(fitted.user_arms)} arms are the user's own and have not been reviewed.")
    return said


def identity(fitted: Fitted, only: bool) -> dict[str, Any]:
    """Return what a manifest needs so that the folder can be read back."""
    return {
        "kind": KIND,
        "indication": fitted.arms.indication,
        "evidence_hash": fitted.evidence_hash,
        "arms_hash": fitted.arms.hash,
        "user_arms": list(fitted.user_arms),
        "only": only,
        "structures": list(fitted.fits),
        "settings": asdict(fitted.settings),
        "seed": fitted.settings.seed,
    }


@dataclass(frozen=True)
class FitFolder:
    """A folder of a fit, read back.

    Attributes
    ----------
    folder, manifest
        Where it is, and what its manifest says.
    arms
        What was fitted to.
    fits
        By structure.
    posterior
        Its posterior.
    """

    folder: Path
    manifest: Mapping[str, Any]
    arms: Arms
    fits: Mapping[str, Fit]
    posterior: Posterior

    @property
    def document(self) -> dict[str, Any]:
        """The data of its page."""
        found: dict[str, Any] = json.loads((self.folder / "calibration.json").read_text(encoding="utf-8"))
        return found


def read_fit(folder: Path, evidence: Evidence) -> FitFolder:
    """Read a folder back that ``stemtrial fit`` has written.

    Raises
    ------
    InputError
        No such folder, one of another version of model or evidence, or one that lacks a file.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = {}
    if manifest.get("kind") != KIND or manifest.get("indication") not in get_args(Indication):
        raise InputError(
            Problem(
                "is no folder of a fit",
                field="--fit",
                value=str(folder),
                hint="write one with `stemtrial fit`",
            )
        )
    indication: Indication = manifest["indication"]
    posterior = read(folder / f"{indication}.posterior")
    own = folder / "arms.csv"
    arms, _ = arms_to_fit(evidence, indication, own if own.is_file() else None, manifest["only"])
    if arms.hash != manifest["arms_hash"]:
        raise InputError(
            Problem(
                "was fitted to other arms than the evidence holds now", field="--fit", value=str(folder),
                hint="fit again with `stemtrial fit`",
            )
        )  # fmt: skip
    pooled = comparator_effects(evidence, indication).effects
    settings = Settings(**manifest["settings"])
    fits = {
        name: load_chains(
            FitModel.of(arms, pooled, STRUCTURES[name]), settings, folder / "chains" / f"{name}.npz"
        )
        for name in manifest["structures"]
    }
    return FitFolder(folder, manifest, arms, fits, posterior)


def write_json(file: Path, content: Any) -> None:
    """Write plain data as JSON with finite numbers only."""
    file.write_text(
        json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def write_csv(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as CSV, numbers with six digits."""
    rows = list(rows)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row.values()] for row in rows)


def write_record(folder: Path, found: Record) -> None:
    """Write a credibility record as JSON and Markdown."""
    write_json(folder / "credibility.json", found.as_dict())
    (folder / "credibility.md").write_text(found.as_markdown(), encoding="utf-8")
