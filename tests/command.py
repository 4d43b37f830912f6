"""The command line, for tests of what it prints, writes and returns.

`here` runs it in this process: the interpreter and the libraries are loaded once for all tests. `apart` starts a
process of its own, for what depends on one: installed entry point, hash seed, signals, what is imported.
"""

import io
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

STEMTRIAL = Path(sys.executable).with_name("stemtrial")


def here(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> CompletedProcess[str]:
    """Run the command line in this process, with more variables of the environment where given."""
    from stemtrial.cli import main

    words = ["stemtrial", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, code = signal.getsignal(signal.SIGINT), 0
    try:
        with (
            patch.object(sys, "argv", words), patch.dict(os.environ, env or {}), chdir(cwd or Path.cwd()),
            redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        signal.signal(signal.SIGINT, before)
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return CompletedProcess(words, code, *said)


def apart(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    return subprocess.run(
        [STEMTRIAL, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, cwd=cwd,
        env=os.environ | (env or {}),
    )  # fmt: skip
