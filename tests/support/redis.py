"""A Valkey of a test's own, which it may stop or pause."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from config.embedded import valkey


@dataclass
class OwnRedis:
    """A server that a test does with as it likes."""

    process: subprocess.Popen[bytes]
    url: str

    def pause(self) -> None:
        """It takes connections and answers nothing: slow beyond every timeout."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    """Start it on a free port; gone afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="surehold-redis-"))
    command = [str(valkey.installed()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    own = OwnRedis(process, f"redis://127.0.0.1:{port}/0")
    try:
        _wait(own)
        yield own
    finally:
        own.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(own: OwnRedis) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            client = redis.Redis.from_url(own.url, retry=None)
            if client.ping():
                client.close()
                return
        except redis.RedisError:
            time.sleep(0.02)
    raise AssertionError("the test's Valkey did not start")
