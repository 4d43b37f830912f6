"""The ``predict`` verb: what arms of trials will show, as the posterior has it."""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.calibration.armfile import PredictionRow
    from stemtrial.calibration.posterior import Posterior
    from stemtrial.calibration.predicting import Predictions


def predict(
    arms: Annotated[Path, typer.Argument(metavar="ARMS", help="Arms and visits (CSV).")],
    out: Annotated[Path, typer.Option("--out", help="Predictions (CSV) to write.")],
    draws: Annotated[
        Path | None, typer.Option("--draws", help="Joint draws (Parquet) to write as well.")
    ] = None,
    posterior: Annotated[
        Path | None, typer.Option("--posterior", help="Posterior of a fit; by default the shipped one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of all random draws.")] = 1,
    samples: Annotated[
        int, typer.Option("--samples", min=100, max=100_000, help="Joint draws of every row.")
    ] = 2000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Predict the observed means of arms: uncertainty of the model, between trials and of sampling included."""
    from stemtrial.calibration.armfile import read_prediction_file
    from stemtrial.calibration.predicting import COLUMNS, Predictions, predict_file
    from stemtrial.cli.progress import bar

    rows = read_prediction_file(arms)
    header, lines, numbers = table_of(arms, COLUMNS)
    require_inputs(arms, rows, numbers)
    used = posteriors(arms, rows, numbers, posterior)
    import numpy as np

    found = np.empty((2, samples, len(rows)))
    for indication, known in used.items():
        own = [i for i, row in enumerate(rows) if row.arm.indication == indication]
        with bar() as progress:
            task = progress.add_task("predicting", total=None)
            drawn = predict_file(
                known, [rows[i] for i in own], samples, seed,
                lambda done, total, task=task, progress=progress: progress.update(task, completed=done, total=total),  # type: ignore[misc]
            )  # fmt: skip
        found[0][:, own], found[1][:, own] = drawn.follow_up, drawn.change
    predictions = Predictions(found[0], found[1])
    summaries = predictions.summaries()
    if draws is not None:
        write_draws(draws, rows, predictions)

    def write(stream: IO[str]) -> None:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*header, *COLUMNS])
        writer.writerows(
            [*line, *(f"{value:.4f}" for value in row.values())]
            for line, row in zip(lines, summaries, strict=True)
        )

    whole(out, write)
    labels = {name: known.label for name, known in used.items()}
    if as_json:
        told = [
            {"trial_id": row.arm.trial_id, "arm_id": row.arm.arm_id, "time_months": row.month, **summary}
            for row, summary in zip(rows, summaries, strict=True)
        ]
        typer.echo(json.dumps({
            "predictions": str(out), "draws": None if draws is None else str(draws), "seed": seed, "samples": samples,
            "posterior": {name: {"label": known.label, "fingerprint": known.fingerprint,
                                 "structure_weights": dict(known.about["structure_weights"])}
                          for name, known in used.items()},
            "rows": told,
        }, allow_nan=False))  # fmt: skip
        return
    show(rows, summaries)
    typer.echo(f"{'; '.join(labels.values())}. Seed {seed}, {samples} draws.")
    typer.echo(f"Predictions: {out}")


def table_of(file: Path, added: Sequence[str]) -> tuple[list[str], list[list[str]], list[int]]:
    """Return header, rows as they are and their numbers.

    Raises
    ------
    InputError
        A column is there already that would be added.
    """
    header, *lines = csv.reader(file.read_text(encoding="utf-8-sig").splitlines())
    if clash := [column for column in header if column.strip() in added]:
        raise InputError(
            *(
                Problem(
                    "is a column of the predictions",
                    file=str(file),
                    column=column,
                    hint="rename or remove it",
                )
                for column in clash
            )
        )
    filled = [(n, line) for n, line in enumerate(lines, 1) if any(cell.strip() for cell in line)]
    return header, [line for _, line in filled], [n for n, _ in filled]


def require_inputs(file: Path, rows: "Sequence[PredictionRow]", numbers: Sequence[int]) -> None:
    """Refuse arms for which the model has no input, all of them at once."""
    problems = [
        Problem(
            row.arm.no_input, file=str(file), row=number, column="intervention",
            hint="remove the row: nothing can be said of it",
        )
        for row, number in zip(rows, numbers, strict=True) if row.arm.no_input
    ]  # fmt: skip
    if problems:
        raise InputError(*problems)


def posteriors(
    file: Path, rows: "Sequence[PredictionRow]", numbers: Sequence[int], given: Path | None
) -> "dict[str, Posterior]":
    """Return the posterior of every indication in the file.

    Raises
    ------
    InputError
        No posterior for an indication, or arms of another one than that of the file given.
    """
    from stemtrial.calibration.posterior import read, shipped

    asked = dict.fromkeys(row.arm.indication for row in rows)
    if given is not None:
        known = read(given)
        problems = [
            Problem(
                f"is {row.arm.indication}, but the posterior was fitted to {known.indication}", file=str(file),
                row=number, column="indication", hint="give the posterior of a fit to these trials",
            )
            for row, number in zip(rows, numbers, strict=True) if row.arm.indication != known.indication
        ]  # fmt: skip
        if problems:
            raise InputError(*problems)
        return {known.indication: known}
    found: dict[str, Posterior] = {}
    problems = []
    for indication in asked:
        posterior = shipped(indication)
        if posterior is None:
            problems.append(
                Problem(
                    "has no posterior in the package", file=str(file), column="indication", value=indication,
                    hint="fit one with `stemtrial fit` and name it by --posterior",
                )
            )  # fmt: skip
        else:
            found[indication] = posterior
    if problems:
        raise InputError(*problems)
    return found


def write_draws(file: Path, rows: "Sequence[PredictionRow]", predictions: "Predictions") -> None:
    """Write the joint draws, a row a draw and visit, draw by draw."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples, count = predictions.change.shape

    def words(values: Sequence[str]) -> pa.Array:
        known = list(dict.fromkeys(values))
        places = np.tile(np.array([known.index(v) for v in values], np.int32), samples)
        return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(known))

    table = pa.table(
        {
            "draw": np.repeat(np.arange(samples, dtype=np.int32), count),
            "trial_id": words([row.arm.trial_id for row in rows]),
            "arm_id": words([row.arm.arm_id for row in rows]),
            "time_months": np.tile([row.month for row in rows], samples),
            "follow_up": predictions.follow_up.ravel(),
            "change": predictions.change.ravel(),
        }
    )
    whole(file, lambda stream: pq.write_table(table, stream), binary=True)


def whole(file: Path, write: Callable[[Any], None], *, binary: bool = False) -> None:
    """Write a file so that it appears whole or not at all."""
    try:
        handle, draft = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}-")
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}", file=str(file), hint="check folder and permissions"
            )
        ) from None
    try:
        with (
            os.fdopen(handle, "wb")
            if binary
            else os.fdopen(handle, "w", encoding="utf-8", newline="") as stream
        ):
            write(stream)
        Path(draft).chmod(0o644)
        Path(draft).replace(file)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", file=str(file))) from None
    finally:
        Path(draft).unlink(missing_ok=True)


def show(rows: "Sequence[PredictionRow]", summaries: Sequence[dict[str, float]]) -> None:
    """Print a row an arm and visit."""
    from stemtrial.cli.terminal import console, print_table

    view = console()
    print_table(
        view, ("trial", "arm", "month>", "follow-up>", "change>", "50 % interval>", "95 % interval>"),
        [
            (row.arm.trial_id, row.arm.arm_id, f"{row.month:g}", f"{s['follow_up_mean']:.1f}",
             f"{s['change_mean']:+.1f}", f"{s['change_q25']:+.1f} to {s['change_q75']:+.1f}",
             f"{s['change_q025']:+.1f} to {s['change_q975']:+.1f}")
            for row, s in zip(rows, summaries, strict=True)
        ],
    )  # fmt: skip
    view.print("Observed mean of the arm, pain 0-100; a negative change is relief.")
