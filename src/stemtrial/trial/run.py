"""A run folder: virtual trials from a trial file, with everything needed to repeat and to report them."""

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial import __version__
from stemtrial.calibration.belief import Belief, belief
from stemtrial.documents import Document
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.accuracy import Accuracy, Sample, suited_grid
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.population.patients import People, enrol
from stemtrial.simulation import (
    PATIENTS_A_BATCH,
    STANDARD_NUMERICS,
    Numerics,
    Results,
    Store,
    in_batches,
    spans,
)
from stemtrial.trial import rows, singlearmrun
from stemtrial.trial.characteristics import document, summarise
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.harms import expected_harms
from stemtrial.trial.protocol import Trial, one_arm
from stemtrial.trial.replicates import Cast, Plan, courses, simulate
from stemtrial.trial.singlearm import SingleArmTrial

TOLERANCE = 0.05
"""Largest error of the time grid that a run may have, points of pain."""

SCREENED_PATIENTS = 4096
"""Patients of each arm, about, on whom the time grid is tried before a run."""

SCREENED_REPLICATES = 1024

COURSE_REPLICATES = 200
"""Replicates behind the time-course figures."""


def suited(plan: Plan, seed: int, replicates: int) -> Accuracy:
    """Choose the time grid on some of the run's own patients, against the adaptive reference integration.

    Raises
    ------
    NumericalError
        Where the error exceeds ``TOLERANCE`` however short the steps.
    """
    trial = plan.trial
    ids = np.arange(min(replicates, SCREENED_REPLICATES))
    drawn = plan.belief.draw(seed, ids)
    samples = {}
    for arm, given in plan.schedules.items():
        each = min(trial.arms[arm].n, -(-SCREENED_PATIENTS // len(ids)))
        people = People.draw(trial.population, seed, ids, plan.first_patient(arm), each)
        patients = enrol(people, drawn, autologous=given.allogeneic is False)
        samples[arm] = Sample(patients.states, patients.constants, drawn, given)
    days = [m * DAYS_PER_MONTH for m in trial.visits_months]
    numerics = plan.numerics
    return suited_grid(samples, numerics.grid, numerics.dtype, days, TOLERANCE, numerics.advance())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document as JSON with finite numbers only."""
    path.write_text(
        json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def claim(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier run.

    Raises
    ------
    InputError
        For a file, or a folder with other content.
    """
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / "manifest.json").is_file())
    ):
        raise InputError(
            Problem(
                "exists and is not a run folder",
                field="--out",
                value=folder,
                hint="name a new folder or remove this one",
            )
        )


def put_in_place(made: Path, folder: Path) -> None:
    """Move a finished folder to its name; an earlier run there is replaced as a whole."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(made, folder)
    shutil.rmtree(old, ignore_errors=True)


def seal(
    folder: Path,
    command: str,
    trial: Trial | SingleArmTrial,
    identity: Mapping[str, Any],
    wall_seconds: float,
) -> None:
    """Write ``manifest.json``: what is needed to make the files of a folder again, and their hashes."""
    manifest = {
        "stemtrial": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "trial_hash": trial.hash,
        **identity,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": _version_of("numba"),
        "platform": f"{platform.system()} {platform.machine()}",
        "wall_seconds": wall_seconds,
        "files": {file.name: _digest(file) for file in sorted(folder.iterdir())},
    }
    write_json(folder / "manifest.json", manifest)


def planned(
    trial: Trial, source: Document, numerics: Numerics = STANDARD_NUMERICS, known: Belief | None = None
) -> Plan:
    """Make a trial ready; problems name the file and the line."""
    try:
        return Plan.of(trial, numerics, known)
    except InputError as error:
        places = [
            (p, (int(k) if k.isdecimal() else k for k in (p.field or "").split("."))) for p in error.problems
        ]
        raise InputError(
            *(replace(p, file=str(source.path), line=source.line(tuple(at))) for p, at in places)
        ) from None


def run(
    path: Path,
    replicates: int,
    seed: int,
    folder: Path,
    workers: int,
    render: Callable[[Path], object],
    numerics: Numerics = STANDARD_NUMERICS,
    patients: bool = False,
    progress: Callable[[str, int], None] = lambda stage, done: None,
    posterior: Path | None = None,
) -> dict[str, Any]:
    """Simulate a trial, or a single-arm trial, and write its run folder.

    Parameters
    ----------
    path
        Trial file.
    replicates
        Virtual trials.
    seed
        Seed of all draws.
    folder
        Run folder; written under another name first and moved into place when complete.
    workers
        Threads.
    render
        Called with the folder before it is moved, to add the page.
    numerics
        Time grid, type and device.
    patients
        Whether to write the rows of all simulated patients, ``patients.parquet``.
    progress
        Called with the stage and the replicates finished.
    posterior
        A posterior of one's own; else the shipped one, and the prior where there is none.

    Returns
    -------
    dict
        The summary.

    Raises
    ------
    InputError, NumericalError, Interrupted
        Nothing is written to ``folder`` then; finished replicates are kept beside it and used by the next call.
    """
    started = time.perf_counter()
    source = Document.read(path)
    alone = source.validate(SingleArmTrial) if one_arm(source.data) else None
    trial = source.validate(Trial) if alone is None else alone.against_inert()
    plan = planned(trial, source, numerics, belief(trial.indication, posterior) if posterior else None)
    folder = folder.absolute()
    claim(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    posterior_hash = plan.belief.fingerprint
    key = {
        "trial": (alone or trial).hash,
        "seed": seed,
        "posterior": posterior_hash,
        "version": __version__,
        "patients": patients,
        "numerics": repr(numerics),
    }
    store = Store(folder.with_name(f".{folder.name}.partial"), key)

    progress("check", 0)
    found = suited(plan, seed, replicates)
    plan = replace(plan, numerics=replace(plan.numerics, grid=found.grid))
    error = {
        "max_points": found.error.points,
        "checked_patients": found.checked,
        "screened_patients": found.screened,
        "refinement": found.refinement,
        "tolerance": TOLERANCE,
    }
    largest = max(arm.n for arm in trial.arms.values())

    def keep(ids: np.ndarray, casts: Mapping[str, Cast], records: Mapping[str, ArmRecord]) -> None:
        rows.write(store.path(ids, ".parquet"), rows.table(trial, ids, casts, records))

    batch = max(1, PATIENTS_A_BATCH // largest)
    kept = keep if patients else None

    def task(ids: np.ndarray) -> Results:
        if alone is not None:
            return singlearmrun.simulate(alone, plan, seed, ids, kept)
        return simulate(plan, seed, ids, kept)

    results = in_batches(
        task,
        replicates,
        batch,
        workers,
        store,
        lambda done: progress("simulate", done),
    )
    progress("report", replicates)
    harms = {arm: expected_harms(trial.arms[arm].treatments, trial.indication) for arm in plan.schedules}
    if alone is not None:
        report = singlearmrun.document(alone, plan, results, source.text)
        summary = singlearmrun.summarise(alone, plan, results, harms)
    else:
        some = np.arange(min(replicates, COURSE_REPLICATES, max(1, 200_000 // largest)))
        report = document(plan, results, courses(plan, seed, some), source.text)
        summary = summarise(plan, results, harms)
    identity = {
        "evidence_hash": report["evidence"]["hash"], "posterior_hash": posterior_hash, "seed": seed,
        "replicates": replicates,
    }  # fmt: skip
    summary = {"trial": summary["trial"], **identity, **summary, "numerical_error": error}
    summary["wall_seconds"] = round(time.perf_counter() - started, 3)

    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        write_json(made / "summary.json", summary)
        write_json(made / "report.json", report)
        (made / "trial.yaml").write_text(report["trial_file"], encoding="utf-8")
        if patients:
            rows.join(
                [store.path(ids, ".parquet") for ids in spans(replicates, batch)], made / "patients.parquet"
            )
        command = f"stemtrial simulate {path} --replicates {replicates} --seed {seed}"
        command += "" if posterior is None else f" --posterior {posterior}"
        seal(made, command, alone or trial, identity, summary["wall_seconds"])
        render(made)
        made.chmod(0o755)
        put_in_place(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    store.discard()
    return summary


def _version_of(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__version__", "not loaded"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
