"""What the verbs of calibration share: folders that appear whole, and their page."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from stemtrial.errors import InputError, Problem


class Indication(StrEnum):
    """What can be fitted."""

    knee_oa = "knee_oa"
    disc_degeneration = "disc_degeneration"


def work_of(out: Path, kind: str) -> Path:
    """Return the folder beside the output in which unfinished work is kept."""
    return out.absolute().with_name(f".{out.absolute().name}.{kind}")


def claim(out: Path, force: bool) -> None:
    """Refuse a folder that holds anything, unless it is a run folder and may be replaced.

    Raises
    ------
    InputError
        For a file, a folder with other content, or a run folder without ``force``.
    """
    from stemtrial.trial.run import claim as refuse

    refuse(out)
    if out.exists() and any(out.iterdir()) and not force:
        raise InputError(
            Problem(
                "exists", field="--out", value=out, hint="name a new folder, or replace this one by --force"
            )
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its name when all of it is written."""
    from stemtrial.trial.run import put_in_place

    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as draft:
            made = Path(draft) / "made"
            made.mkdir()
            yield made
            put_in_place(made, out)
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot be written: {error.strerror}",
                field="--out",
                value=out,
                hint="check space and permissions",
            )
        ) from None


def finish(
    folder: Path, document: Mapping[str, Any], identity: Mapping[str, Any], wall_seconds: float
) -> None:
    """Write the page and the manifest of a folder whose other files are there."""
    import hashlib
    import platform
    from datetime import UTC, datetime

    from stemtrial import __version__
    from stemtrial.report.calibrationpage import render

    (folder / "calibration.html").write_text(render(document), encoding="utf-8")
    manifest = {
        "stemtrial": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": document["command"],
        **identity,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "wall_seconds": round(wall_seconds, 1),
        "files": {
            str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.glob("**/*")) if file.is_file()
        },
    }  # fmt: skip
    (folder / "manifest.json").write_text(
        json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def cores(workers: int | None) -> int:
    """Return how many processes to use: as asked, or one a core."""
    return workers or os.cpu_count() or 1
