"""Real processes of the product against the test database: the Procfile's own command lines."""

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from django.db import connection

from config import roles
from config.embedded.run import Child
from config.up.procfile import command_lines
from tests.servers import servers

READY_SECONDS = 40.0
_numbers = itertools.count(1)
_ports = itertools.count(1)


@dataclass
class Instance:
    """One process of a kind. `kill` is a power cut; `start` brings it back on the same port."""

    kind: str
    env: dict[str, str]
    port: int = 0
    is_plain: bool = False
    name: str = ""
    child: Child | None = None
    logs: list[Path] = field(default_factory=list)
    is_as_started: bool = True  # nobody has killed or paused it
    read_until: int = 0  # what its log had when this test got it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid_file(self) -> Path:
        return servers().run.folder / f"{self.name}.pid"

    def launch(self) -> None:
        """Start it, without waiting."""
        assert self.child is None or not self.child.running()
        self.name = f"{self.kind}-{next(_numbers)}"
        line = command_lines()[self.kind]
        self.child = servers().run.start(
            self.name,
            ["/bin/sh", "-c", f"exec {line}"],
            env=self.env,
            grace=5.0,
            pid_file=self.pid_file,
        )
        self.logs.append(self.child.log)
        self.child.wait_until(lambda: bool(self._pid()), READY_SECONDS)

    def _pid(self) -> int:
        """The process's own id, and its group's; its guard writes it down."""
        try:
            return int(self.pid_file.read_text())
        except (OSError, ValueError):
            return 0

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid(), number)

    def start(self) -> "Instance":
        self.launch()
        self.wait()
        return self

    def wait(self) -> None:
        assert self.child is not None
        ready = {"web": self._web_ready, "beat": lambda: True}
        self.child.wait_until(ready.get(self.kind, self._worker_ready), READY_SECONDS)

    def _web_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _worker_ready(self) -> bool:
        return " ready." in self.logs[-1].read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL every process of it at once, as the out-of-memory killer or a power cut does."""
        assert self.child is not None
        self.is_as_started = False
        self._signal(signal.SIGKILL)
        self.child.process.wait(10)

    def pause(self) -> None:
        self.is_as_started = False
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        assert self.child is not None
        if self.child.running():
            self.resume()
            self.child.stop()
        if self.child in servers().run.children:
            servers().run.children.remove(self.child)

    def log(self) -> str:
        """What it said since this test got it."""
        return self._said()[self.read_until :]

    def _said(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.logs)

    def is_fit_for_another(self) -> bool:
        """Whether it is as good as new: only a plain web process keeps nothing of a test."""
        running = self.child is not None and self.child.running()
        return self.kind == "web" and self.is_plain and self.is_as_started and running

    def begin_anew(self) -> None:
        self.read_until = len(self._said())


# Plain web processes that earlier tests of this session have left running: to start one costs
# seconds, and it keeps nothing but its connections.
_idle: list[Instance] = []


class Fleet:
    """The instances of one test."""

    def __init__(self) -> None:
        self.members: list[Instance] = []

    def start(self, kind: str, count: int, env: dict[str, str] | None = None) -> list[Instance]:
        found = _left_over(count) if kind == "web" and not env else []
        new = [_made(kind, env or {}) for _ in range(count - len(found))]
        self.members += [*found, *new]
        for instance in new:
            instance.launch()
        for instance in new:
            instance.wait()
        return [*found, *new]

    def close(self) -> None:
        for instance in reversed(self.members):
            if instance.is_fit_for_another():
                _idle.append(instance)
            else:
                instance.stop()


def _left_over(count: int) -> list[Instance]:
    found = [_idle.pop() for _ in range(min(count, len(_idle)))]
    for instance in found:
        instance.begin_anew()
    return [instance for instance in found if instance.is_fit_for_another()]


def _made(kind: str, env: dict[str, str]) -> Instance:
    port = servers().run.port(f"{kind}-{next(_ports)}") if kind == "web" else 0
    plain = {**environment(), **_address(port)}
    return Instance(kind, {**plain, **env}, port, is_plain=not env)


Starter = Callable[..., list[Instance]]


def _address(port: int) -> dict[str, str]:
    return {"PORT": str(port), "SITE_URL": f"http://127.0.0.1:{port}"} if port else {}


def environment() -> dict[str, str]:
    """The suite's environment, with each process's own database role on the test database."""
    database = connection.settings_dict["NAME"]
    at = servers().database_url
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": at(database, roles.OWNER),
        "DATABASE_URL_WEB": at(database, roles.WEB),
        "DATABASE_URL_WORKER": at(database, roles.WORKER),
        "WEB_WORKERS": "1",
        "PYTHONUNBUFFERED": "1",
    }
