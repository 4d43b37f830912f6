"""From constants, a population and a schedule to courses of virtual patients; batches on one core or many."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from stemtrial.errors import Interrupted, StemtrialError, WorkerError
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.device import Advance, advance_on
from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.schedule import Schedule
from stemtrial.population.patients import Constants, Patients, People, enrol

Results = Mapping[str, np.ndarray]
"""Named arrays whose first axis is the replicate."""

PATIENTS_A_BATCH = 8192
"""Patients of one arm advanced together: enough to amortise the interpreter, few enough to stay in cache."""


@dataclass(frozen=True)
class Numerics:
    """How courses are computed.

    Attributes
    ----------
    grid
        Time grid.
    dtype
        ``float64``, or ``float32``, which is faster and whose rounding the run's error check includes.
    device
        ``cpu``, the compiled solver and the reference, or ``gpu``, the same steps through JAX.
    """

    grid: Grid = STANDARD
    dtype: type[np.floating] = np.float64
    device: Literal["cpu", "gpu"] = "cpu"

    def advance(self) -> Advance | None:
        """Return what moves the states on the device, or ``None`` for the compiled solver that suits each arm.

        Raises
        ------
        InputError
            Where the device is not present.
        """
        return None if self.device == "cpu" else advance_on(self.device)


STANDARD_NUMERICS = Numerics()


def treat(
    people: People, schedule: Schedule, constants: Constants, numerics: Numerics
) -> tuple[Patients, Cohort]:
    """Put people on a schedule, at day 0.

    Parameters
    ----------
    people
        Who is enrolled; the same people can be put on any schedule and given any constants.
    schedule
        What they are given.
    constants
        By registry symbol with ``cell_effect``, one value a replicate.
    numerics
        Grid, type and device.
    """
    enrolled = enrol(people, constants, autologous=schedule.allogeneic is False)
    return enrolled, begin(enrolled, schedule, constants, numerics)


def begin(enrolled: Patients, schedule: Schedule, constants: Constants, numerics: Numerics) -> Cohort:
    """Put patients enrolled with these constants on a schedule; arguments as for :func:`treat`."""
    return Cohort(
        enrolled.states,
        enrolled.constants,
        constants,
        schedule,
        numerics.grid,
        numerics.dtype,
        numerics.advance(),
    )


class Store:
    """Finished batches of a run on disk, so that an interrupted run resumes.

    Parameters
    ----------
    folder
        Where the batches are kept; created on first use.
    key
        Everything on which the results depend; batches of another key are discarded.
    """

    def __init__(self, folder: Path, key: Mapping[str, object]) -> None:
        self._folder = folder
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()

    def path(self, batch: np.ndarray, suffix: str = ".npz") -> Path:
        """File of a batch."""
        return self._folder / f"{batch[0]:09d}-{batch[-1]:09d}{suffix}"

    def open(self) -> None:
        """Make the folder ready, keeping only batches of this run."""
        marker = self._folder / "key"
        if self._folder.exists() and not (marker.is_file() and marker.read_text() == self._key):
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(self._key)

    def load(self, batch: np.ndarray) -> dict[str, np.ndarray] | None:
        """Results of a batch, or ``None`` where it has not been finished."""
        path = self.path(batch)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def save(self, batch: np.ndarray, results: Results) -> None:
        """Keep the results of a batch; a reader never sees half of them."""
        path = self.path(batch)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, **results)  # type: ignore[arg-type]
        os.replace(partial, path)

    def discard(self) -> None:
        """Remove everything kept."""
        shutil.rmtree(self._folder, ignore_errors=True)


def spans(replicates: int, batch: int) -> list[np.ndarray]:
    """Return the identities of the replicates of every batch, in order.

    Examples
    --------
    >>> [span.tolist() for span in spans(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    return [np.arange(start, min(start + batch, replicates)) for start in range(0, replicates, batch)]


def in_batches(
    task: Callable[[np.ndarray], Results],
    replicates: int,
    batch: int,
    workers: int,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, np.ndarray]:
    """Run a task over all replicates, a batch at a time.

    Parameters
    ----------
    task
        Called with the identities of some replicates; its result must not depend on which others are among them.
    replicates
        How many, numbered from 0.
    batch
        Replicates a call.
    workers
        Threads.
    store
        Where finished batches are kept; those found there are not run again.
    progress
        Called with the number of replicates finished so far.

    Returns
    -------
    dict
        The arrays of all batches, joined in the order of the replicates.

    Raises
    ------
    Interrupted
        On Ctrl-C, after the running batches have been finished and kept.
    WorkerError
        Where a batch fails; the others that run are finished and kept.
    """
    batches = spans(replicates, batch)
    results: dict[int, Results] = {}
    if store is not None:
        store.open()
        found = {i: loaded for i, span in enumerate(batches) if (loaded := store.load(span)) is not None}
        results.update(found)
    done = sum(len(batches[i]) for i in results)
    progress(done)
    stop = threading.Event()

    def run(index: int) -> Results | None:
        if stop.is_set():
            return None
        try:
            outcome = task(batches[index])
        except StemtrialError:
            raise
        except Exception as error:
            raise WorkerError(
                f"replicates {batches[index][0]} to {batches[index][-1]} failed: {type(error).__name__}: {error}; "
                "finished batches are kept, so the same command goes on from there"
            ) from error
        if store is not None:
            store.save(batches[index], outcome)
        return outcome

    pending: dict[Future[Results | None], int] = {}
    try:
        with ThreadPoolExecutor(workers) as pool:
            pending = {pool.submit(run, i): i for i in range(len(batches)) if i not in results}
            waiting = set(pending)
            try:
                while waiting:
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                        done += len(batches[pending[future]])
                    progress(done)
            finally:
                stop.set()
    except (KeyboardInterrupt, Interrupted):
        kept = [
            len(batches[i])
            for f, i in pending.items()
            if not f.cancelled() and not f.exception() and f.result()
        ]
        done = sum(len(batches[i]) for i in results) + sum(kept)
        tail = "; the finished ones are kept and the same command resumes" if store is not None else ""
        raise Interrupted(f"interrupted after {done} of {replicates} replicates{tail}") from None
    for future, index in pending.items():
        outcome = future.result()
        assert outcome is not None
        results[index] = outcome
    names = results[0].keys()
    return {name: np.concatenate([results[i][name] for i in range(len(batches))]) for name in names}
