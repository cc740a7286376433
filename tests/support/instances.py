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


@dataclass
class Instance:
    """One process of a kind. `kill` is a power cut; `start` brings it back on the same port."""

    kind: str
    env: dict[str, str]
    port: int = 0
    name: str = ""
    child: Child | None = None
    logs: list[Path] = field(default_factory=list)

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
        ready = {"web": self._web_ready, "worker": self._worker_ready}
        self.child.wait_until(ready.get(self.kind, lambda: True), READY_SECONDS)

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
        self._signal(signal.SIGKILL)
        self.child.process.wait(10)

    def pause(self) -> None:
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
        return "".join(path.read_text(errors="replace") for path in self.logs)


class Fleet:
    """The instances of one test."""

    def __init__(self) -> None:
        self.members: list[Instance] = []

    def start(self, kind: str, count: int, env: dict[str, str] | None = None) -> list[Instance]:
        new = [self._make(kind, env or {}) for _ in range(count)]
        for instance in new:
            instance.launch()
        for instance in new:
            instance.wait()
        return new

    def _make(self, kind: str, env: dict[str, str]) -> Instance:
        port = servers().run.port(f"{kind}-{len(self.members) + 1}") if kind == "web" else 0
        instance = Instance(kind, {**environment(), **_address(port), **env}, port)
        self.members.append(instance)
        return instance

    def close(self) -> None:
        for instance in reversed(self.members):
            instance.stop()


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
