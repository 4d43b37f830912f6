"""Progress of long work, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def bar() -> "Progress":
    """Return a progress bar on stderr that vanishes when the work is done; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def bar_with_compiler() -> "Iterator[Progress]":
    """Yield a bar that has a line of its own for as long as functions are compiled, once on a machine."""
    from stemtrial.compiled import while_compiling

    with bar() as progress:
        line = progress.add_task("compiling (once on this machine)", total=None, visible=False)
        with while_compiling(lambda now: progress.update(line, visible=now)):
            yield progress
