"""dj-stripe's own migrations take half a minute: they run beside the suite's first tests."""

import atexit
import os
import subprocess
import sys

import psycopg

from config.embedded.run import PROJECT
from tests.servers import servers

DATABASE = "surehold_slow"
_process: subprocess.Popen[bytes] | None = None


def create(database: str) -> None:
    """An empty database of the owner's."""
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {database} OWNER surehold")


def drop(database: str) -> None:
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {database} WITH (FORCE)")


def manage(command: str, database: str) -> subprocess.Popen[bytes]:
    """A command of the product's on that database, politely beside whatever else runs."""
    return subprocess.Popen(
        ["nice", sys.executable, "manage.py", *command.split(), "--verbosity=0"],
        cwd=PROJECT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "DATABASE_URL": servers().database_url(database, "surehold"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def begin_migrating() -> None:
    """Start all migrations, the plain way, in a database of their own."""
    global _process
    create(DATABASE)
    _process = manage("migrate", DATABASE)
    atexit.register(_process.kill)


def migrated() -> str:
    """The name of the database, once all migrations have run there."""
    if _process is None:
        begin_migrating()
    assert _process is not None
    done(_process)
    return DATABASE


def done(process: subprocess.Popen[bytes]) -> None:
    """Wait for the command's success; what it said is in the error."""
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()
