"""`manage.py up` as a child of a test: what it printed, what it started, what it left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config.embedded import ports
from config.embedded.run import PROJECT

READY = "Surehold is ready"
START_SECONDS = 120.0
OURS = ("DATABASE_", "REDIS_", "STRIPE_", "EMAIL_", "SUREHOLD_", "SITE_", "DJANGO_", "UV_RUN_")


def plain_environment() -> dict[str, str]:
    """The environment as someone has it who has set nothing of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(OURS)}


@dataclass
class Up:
    """One `up` over one data folder. `mark` stands in the environment of all it starts."""

    folder: Path
    port: int = field(default_factory=ports.choose)
    command: list[str] = field(default_factory=lambda: [sys.executable, "manage.py", "up"])
    arguments: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = PROJECT
    uid: int | None = None
    terminal: IO[bytes] | None = None
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    output: str = ""

    def start(self) -> "Up":
        where = [f"--port={self.port}", f"--data-dir={self.folder}"]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command, *where, *self.arguments],
            cwd=self.cwd,
            env={**plain_environment(), "SUREHOLD_TEST_MARK": self.mark, **self.env},
            stdin=self.terminal or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line.decode(errors="replace")

    def wait_for(self, text: str = READY, seconds: float = START_SECONDS) -> float:
        """Wait until it printed `text`; returns the seconds since its start."""
        self.until(lambda: text in self.output or self.process.poll() is not None, seconds)
        assert text in self.output, self.output
        return time.monotonic() - self.began

    def until(self, check: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def end(self, seconds: float = 40.0) -> int:
        """Wait for its end; returns its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.output) from None
        self.reader.join(5)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.end()

    def left(self) -> list[str]:
        """The command lines of what it started and still lives, zombies not counted."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (process / "environ").read_bytes()
                home = str((process / "cwd").readlink())
            except OSError:
                continue
            named = str(self.folder) in words or home.startswith(str(self.folder))
            mine = named or self.mark.encode() in environment
            if mine and words and int(process.name) not in (os.getpid(), self.process.pid):
                found.append(f"{process.name}: {words}")
        return found


def kill(*started: Up) -> None:
    """For a test's end, whatever happened in it: no `up` and nothing of theirs lives on."""
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    for one in started:
        one.until(lambda one=one: not one.left(), 40)  # type: ignore[misc]
