"""Long work side by side, in processes that keep what they finish and never outlive the one that started them."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from stemtrial.errors import WorkerError

PAUSE = 0.5
"""Seconds between two looks at the work."""


def side_by_side(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    workers: int,
    watch: Callable[[], None] = lambda: None,
) -> list[Any]:
    """Call a function, which a new process must be able to import, with several sets of arguments.

    Parameters
    ----------
    function
        What to call; each of its processes computes in one thread.
    calls
        Arguments of each call, one or more.
    workers
        Calls at a time; a process takes the next call when it has done one.
    watch
        Called every now and then while the work goes on.

    Returns
    -------
    list
        Results in the order of the calls.

    Raises
    ------
    WorkerError
        A process ended before its call did.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(calls)), context, _begin) as pool:
        tasks = [pool.submit(function, *call) for call in calls]
        try:
            while not all(task.done() for task in tasks):
                for task in tasks:
                    if task.done():
                        task.result()
                watch()
                time.sleep(PAUSE)
            return [task.result() for task in tasks]
        except BrokenProcessPool:
            raise WorkerError(
                "a process ended early; what is finished is kept, run the same command again"
            ) from None
        except BaseException:
            processes = list((pool._processes or {}).values())  # Shutting down forgets them.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            raise


def _begin() -> None:
    """Set a process up: one thread for XLA, and an end as soon as its parent has ended, however that did."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
