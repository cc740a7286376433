"""One run over one data folder: its lock, what it remembers, and the children it started."""

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from config.embedded import ports
from config.embedded.accounts import Account
from config.embedded.errors import CannotStartError

GUARD = Path(__file__).with_name("guard.py")
PROJECT = Path(__file__).resolve().parent.parent.parent
LEFTOVERS_SECONDS = 30.0
LARGEST_LOG = 10_000_000


@dataclass
class Child:
    """One command under its guard. `log` has what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    grace: float

    def running(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last line of its log that says something, for a message of one line."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-20:]
        except OSError:
            return ""
        telling = [line for line in lines if "FATAL" in line or "rror" in line]
        return (telling or lines or [""])[-1].strip()

    def stop(self) -> None:
        """Ask it to stop, and wait until it has; its guard kills it when it takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(self.grace + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for `ready()`; raises `CannotStartError` when the child ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise CannotStartError(f"{self.name} did not start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise CannotStartError(
                    f"{self.name} was not ready after {seconds:.0f} s; its log is {self.log}"
                )
            time.sleep(0.05)


@dataclass
class Run:
    """A data folder that this process holds; leave it through `close`, or by dying."""

    folder: Path
    run_id: str
    lock: IO[str]
    children: list[Child] = field(default_factory=list)

    # --- what is kept in the folder -------------------------------------------------------------

    def recall(self, name: str) -> dict[str, Any]:
        """A kept file's values, or nothing."""
        try:
            values: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return {}
        return values

    def remember(self, name: str, values: dict[str, Any]) -> None:
        """Keep `values` for the next run, readable by nobody else, whole or not at all."""
        write_private(self.folder / f"{name}.json", values)

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_hex(20)) -> str:
        """The folder's own secret of that name, made at first use."""
        kept = self.recall("secrets")
        if name not in kept:
            kept[name] = make()
            self.remember("secrets", kept)
        return str(kept[name])

    def port(self, name: str) -> int:
        """The port of that name: the last run's while it is free, so that old links still work."""
        kept = self.recall("ports")
        others = frozenset(port for other, port in kept.items() if other != name)
        port = ports.choose(kept.get(name), others)
        self.remember("ports", {**kept, name: port})
        return port

    # --- children -------------------------------------------------------------------------------

    def guarded(
        self,
        command: list[str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 4.0,
        account: Account | None = None,
        pid_file: Path | None = None,
    ) -> list[str]:
        """`command` under a guard that ends it with this run."""
        guard = [sys.executable, "-I", str(GUARD), f"--run-id={self.run_id}"]
        guard += [f"--run-lock={self.folder / 'run.lock'}"]
        guard += [f"--children-lock={self.folder / 'children.lock'}"]
        guard += [f"--stop-signal={stop_signal.name}", f"--grace={grace}"]
        if account:
            guard += [f"--uid={account.uid}", f"--gid={account.gid}"]
        if pid_file:
            guard += [f"--pid-file={pid_file}"]
        return [*guard, "--", *command]

    def guarded_line(self, line: str) -> str:
        """A Procfile's shell line under a guard, as a shell line again."""
        simple = not set(";&|") & set(line)  # a lone command takes the shell's place
        script = f"exec {line}" if simple else line
        return "exec " + shlex.join(self.guarded(["/bin/sh", "-c", script]))

    def log(self, name: str) -> Path:
        folder = self.folder / "log"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{name}.log"

    def start(
        self,
        name: str,
        command: list[str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        account: Account | None = None,
        env: dict[str, str] | None = None,
        pid_file: Path | None = None,
        cwd: Path = PROJECT,
        to_terminal: bool = False,
    ) -> Child:
        """Start `command` in the background; what it prints goes to its log, or to our terminal."""
        log = self.log(name.lower().replace(" ", "-"))
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.unlink()
        guarded = self.guarded(
            command, stop_signal=stop_signal, grace=grace, account=account, pid_file=pid_file
        )
        with log.open("ab") as output:
            process = subprocess.Popen(
                guarded,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=None if to_terminal else output,
                stderr=None if to_terminal else subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log, grace)
        self.children.append(child)
        return child

    def close(self) -> None:
        """Stop every child, the last started first, and give the folder back."""
        mark(self.lock, self.run_id, "stopping")
        while self.children:
            self.children.pop().stop()
        self.lock.close()


def write_private(path: Path, values: dict[str, Any]) -> None:
    """Write `values` as JSON, readable by nobody else, whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(values, indent=1, sort_keys=True))
    draft.replace(path)


def mark(lock: IO[str], run_id: str, state: str) -> None:
    """Write who holds the lock, for guards and for the next run's message."""
    lock.seek(0)
    lock.truncate()
    lock.write(f"{run_id} {os.getpid()} {state}\n")
    lock.flush()


def make_folder(folder: Path) -> Path:
    """The data folder, made when missing; an existing one keeps the permissions it has.

    As root, other accounts may pass through it (never list it), since PostgreSQL runs as one.
    """
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in ("run.lock", "children.lock"):
            (folder / name).touch(mode=0o600)
            with (folder / name).open("r+"):
                pass
    except OSError as error:
        raise CannotStartError(
            f"The data folder {folder} cannot be written: {error.strerror}."
        ) from None
    return folder


def hold(folder: Path) -> Run:
    """Take the data folder for this process, after what a killed run left has ended."""
    folder = make_folder(folder.absolute())
    lock = (folder / "run.lock").open("r+")
    _take(lock, folder)
    run_id = secrets.token_hex(8)
    mark(lock, run_id, "running")
    _wait_for_leftovers(folder)
    return Run(folder, run_id, lock)


def _take(lock: IO[str], folder: Path) -> None:
    """Lock the folder; a run that is ending is waited for, one that goes on is an error."""
    began = time.monotonic()
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            _, pid, state = [*lock.read().split(), "", "", ""][:3]
            patience = LEFTOVERS_SECONDS if state == "stopping" else 2.0
            if time.monotonic() - began > patience:
                raise CannotStartError(
                    f"Surehold already runs from {folder} (process {pid or 'unknown'})."
                ) from None
            time.sleep(0.1)
        else:
            return


def _wait_for_leftovers(folder: Path) -> None:
    """Wait until every guard of an earlier run has ended its command."""
    with (folder / "children.lock").open("r+") as children:
        deadline = time.monotonic() + LEFTOVERS_SECONDS
        while True:
            try:
                fcntl.lockf(children, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    raise CannotStartError(
                        f"Servers of an earlier run in {folder} do not end; end them first."
                    ) from None
                time.sleep(0.1)
            else:
                return


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[Run]:
    """`hold`, and `close` at the end."""
    run = hold(folder)
    try:
        yield run
    finally:
        run.close()
