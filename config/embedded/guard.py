"""Runs one command and ends it when the run it belongs to is over, however that came about.

Each child of `manage.py up` stands under one guard. A killed parent cannot stop its children, so
each guard watches the parent's lock (held exactly as long as the parent lives, zombie or not, and
never inherited) and stops its own command when the lock is free or taken by a later run. Until its
command has ended, a guard holds the children's lock, which the next run waits for.

A script of its own on purpose: it starts fast, and needs nothing but the standard library.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

WATCH_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


def die_with_parent(stop_signal: int) -> None:
    """Ask Linux to end this process with its parent; elsewhere the guard's watch must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, stop_signal)


def run_is_over(run_lock: Path, run_id: str) -> bool:
    """True once nobody holds the run's lock, or a later run does."""
    try:
        with run_lock.open("r+") as file:
            if file.read().split()[:1] != [run_id]:
                return True
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return True  # the folder is gone, and with it the run


class Guard:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stop_signal = signal.Signals[options.stop_signal]
        self.asked_to_stop = False
        self.woken, self.waker = os.pipe()
        for end in (self.woken, self.waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self.waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True

    def run(self) -> int:
        self.child = self._start()
        if self.options.pid_file:
            Path(self.options.pid_file).write_text(str(self.child.pid))
        self._wait(None, lambda: self.asked_to_stop or self._run_is_over())
        if self.child.poll() is None:
            self._signal(self.stop_signal)
            self._wait(self.options.grace, lambda: False)
        self._sweep()
        return self.child.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        account = {}
        if self.options.uid is not None:
            account = {"user": self.options.uid, "group": self.options.gid, "extra_groups": []}
        return subprocess.Popen(
            self.options.command,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(self.stop_signal),
            **account,
        )

    def _run_is_over(self) -> bool:
        return run_is_over(self.options.run_lock, self.options.run_id)

    def _wait(self, seconds: float | None, over: Callable[[], bool]) -> None:
        """Wait until the command has ended, `over()` says so, or `seconds` have passed."""
        left = seconds
        while self.child.poll() is None and not over() and (left is None or left > 0):
            select.select([self.woken], [], [], WATCH_SECONDS)
            while self._drain():
                pass
            if left is not None:
                left -= WATCH_SECONDS

    def _drain(self) -> bool:
        try:
            return bool(os.read(self.woken, 512))
        except BlockingIOError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(number)

    def _sweep(self) -> None:
        """Nothing of the command's own session outlives it, not even a crashed server's workers."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="guard")
    parser.add_argument("--run-lock", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--children-lock", type=Path, required=True)
    parser.add_argument("--stop-signal", default="SIGTERM")
    parser.add_argument("--grace", type=float, default=4.0, help="seconds before SIGKILL")
    parser.add_argument("--pid-file")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse(sys.argv[1:])
    with options.children_lock.open("r+") as children:
        fcntl.lockf(children, fcntl.LOCK_SH)
        code = Guard(options).run()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
