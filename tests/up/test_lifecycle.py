"""From nothing to a running product and back, killed in between: nothing lost, nothing left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.upping import READY, Up

Starter = Callable[..., Up]


def _database(up: Up) -> str:
    url: str = json.loads((up.folder / "environment.json").read_text())["DATABASE_URL"]
    return url


def _write(up: Up) -> None:
    with psycopg.connect(_database(up)) as session:
        session.execute("CREATE TABLE note (text text)")
        session.execute("INSERT INTO note VALUES ('still here')")


def _read(up: Up) -> Any:
    with psycopg.connect(_database(up)) as session:
        return session.execute("SELECT text FROM note").fetchone()


def _readiness(up: Up) -> Any:
    return httpx.get(f"http://127.0.0.1:{up.port}/readyz").json()


def _run_beside(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=up.cwd,
        env={"PATH": os.defpath, "SUREHOLD_DATA_DIR": str(up.folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def _again(up: Starter, used: Up) -> Up:
    return up(folder=used.folder, port=used.port)


@pytest.mark.long
def test_the_first_start_says_what_it_does_and_where_everything_is(used: Up) -> None:
    before, _, after = used.output.partition(READY)
    for step in ("PostgreSQL", "Valkey", "Stripe sandbox", "Tables and rules", "Demo workspace"):
        assert f"  {step}" in before
    for address in (f":{used.port}/w/", "/admin/", "/api/v1/docs", "/_sandbox/mailbox"):
        assert address in after
    assert "password" in after
    assert "API key" in after
    kept = used.folder / "demo.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert all(login["email"] in after for login in json.loads(kept.read_text())["logins"])


@pytest.mark.long
def test_killed_and_started_again_it_has_everything(up: Starter, used: Up) -> None:
    first = _again(up, used)
    first.wait_for()
    assert _readiness(first)["status"] == "ready", first.output
    assert "Tables and rules" not in first.output  # nothing is new since the last start
    assert _run_beside(first, "migrate", "--check").returncode == 0
    _write(first)
    ports = (used.folder / "ports.json").read_text()

    twice = up(folder=used.folder)  # on another port
    assert twice.end() == 1
    assert twice.output.startswith("surehold: Surehold already runs from"), twice.output
    assert twice.output.count("\n") == 1

    first.process.kill()  # its children notice, and the next start waits for them
    first.process.wait()
    second = _again(up, used)
    second.wait_for()
    assert _read(second) == ("still here",)
    assert (used.folder / "ports.json").read_text() == ports
    assert _readiness(second)["degraded"] == []

    os.killpg(second.process.pid, signal.SIGINT)  # what Ctrl-C in a terminal does
    assert second.end() == 0, second.output
    assert second.left() == []


@pytest.mark.long
def test_a_process_that_ends_by_itself_ends_the_run(up: Starter, used: Up) -> None:
    one = _again(up, used)
    one.wait_for()
    beat = next(line for line in one.left() if " beat " in line and "guard.py" not in line)
    os.kill(int(beat.partition(":")[0]), signal.SIGKILL)
    assert one.end() == 1
    assert "surehold: beat stopped" in one.output
    assert one.left() == []


@pytest.mark.long
def test_a_server_that_ends_by_itself_ends_the_run(up: Starter, used: Up) -> None:
    one = _again(up, used)
    one.wait_for("Site, worker and beat start")
    valkey = next(x for x in one.left() if "valkey-server" in x and "guard.py" not in x)
    os.kill(int(valkey.partition(":")[0]), signal.SIGKILL)
    assert one.end() == 1
    assert "surehold: Valkey ended by itself" in one.output
    assert one.left() == []


@pytest.mark.long
def test_sigterm_during_the_first_start_leaves_nothing(up: Starter) -> None:
    one = up(arguments=["--no-demo"])
    one.wait_for("Tables and rules")
    assert one.stop() == 0, one.output
    assert one.left() == []


@pytest.mark.long
def test_parts_with_an_address_of_their_own_are_not_started(up: Starter, open_folder: Path) -> None:
    from tests.servers import servers

    own = {
        "DATABASE_URL": servers().database_url("postgres", None),
        "REDIS_URL": os.environ["REDIS_URL"],
        "STRIPE_SECRET_KEY": "sk_test_" + "x" * 30,
        "STRIPE_API_HOST": "http://127.0.0.1:9",
        "EMAIL_URL": "smtp://127.0.0.1:9",
    }
    one = up(arguments=["--no-demo"], env=own)
    one.wait_for("Tables and rules")
    assert not (one.folder / "postgres").exists()
    assert not (one.folder / "valkey").exists()
    assert not (one.folder / "sandbox").exists()
    assert one.stop() == 0
    assert one.left() == []
