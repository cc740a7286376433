"""The guard alone: what it starts ends with the run, and a crash leaves no grandchildren."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.embedded.run import PROJECT
from tests.support.sandbox import eventually

HOLD = """
import sys, time
from pathlib import Path
from config.embedded.run import hold
run = hold(Path(sys.argv[1]))
child = run.start("Sleeper", ["/bin/sh", "-c", "trap '' TERM; sleep 300 & sleep 300"], grace=0.5,
                  pid_file=run.folder / "pid")
while not (run.folder / "pid").exists(): time.sleep(0.02)
print("held", flush=True)
time.sleep(300)
"""


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """`hold()` starts a process that holds the folder and has one stubborn child."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLD, str(tmp_path / "data")]
        started.append(subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _holds(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == b"held\n"


def _lives(group: int) -> bool:
    """Whether anything of a process group still runs; the dead may await their burial."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def test_a_killed_parents_children_end_even_stubborn_ones(
    hold: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = hold()
    assert _holds(parent)
    pid = tmp_path / "data" / "pid"
    group = int(eventually(pid.read_text, 10))
    assert _lives(group)
    parent.kill()  # and not waited for: a zombie holds no lock
    eventually(lambda: not _lives(group), 10)


def test_the_next_run_waits_for_the_last_ones_children(
    hold: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    first = hold()
    assert _holds(first)
    pid = tmp_path / "data" / "pid"
    group = int(eventually(pid.read_text, 10))
    pid.unlink()
    first.kill()
    assert _holds(hold())
    assert not _lives(group)
