"""Work side by side: its results, and that no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from stemtrial.calibration.processes import side_by_side
from stemtrial.errors import WorkerError

SLEEPS = """
import multiprocessing, signal, time
from stemtrial.calibration.processes import side_by_side

def tell():
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A run in the background inherits that it is ignored.
    side_by_side(time.sleep, [(600,), (600,)], 2, tell)
"""


def alive(pid):
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids, seconds=20.0):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(alive, pids))


def test_results_stand_in_the_order_of_the_calls():
    looks = []
    found = side_by_side(pow, [(2, k) for k in range(5)], 2, lambda: looks.append(1))
    assert found == [1, 2, 4, 8, 16]
    assert looks


def test_what_a_call_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        side_by_side(divmod, [(1, 0), (1, 1)], 2)


def test_a_process_that_ends_early_is_one_clear_message():
    with pytest.raises(WorkerError, match="a process ended early; what is finished is kept"):
        side_by_side(os._exit, [(3,)], 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_parent(tmp_path, how):
    script = tmp_path / "sleeps.py"
    script.write_text(SLEEPS, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        pids = next(pids for line in run.stdout if len(pids := [int(pid) for pid in line.split()]) == 2)
        time.sleep(1.0)
        assert all(map(alive, pids))
        run.send_signal(how)
        assert run.wait(timeout=20) != 0
    assert gone(pids)
