"""A real backup of the test database by pg_dump, and two ways to put it back."""

import subprocess
from pathlib import Path

import psycopg
from django.db import connection, connections

from config.embedded import postgres
from tests.servers import servers

_EVERY_TABLE = """
    SELECT string_agg(format('%I.%I', schemaname, tablename), ', ')
    FROM pg_tables WHERE schemaname = 'public'
"""


def dump(to: Path) -> None:
    """What the database holds, in one consistent view."""
    _run("pg_dump", "--format=custom", "--compress=0", f"--file={to}", _address())


def restore(backup: Path) -> None:
    """All of it, tables and guards included, as docs/operations.md says: about 3 s."""
    connections.close_all()
    _restore(backup, "--clean", "--if-exists")


def rewind(backup: Path) -> None:
    """The same rows in the tables that stand: a fifth of the time."""
    connections.close_all()
    with psycopg.connect(_address(), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        (tables,) = superuser.execute(_EVERY_TABLE).fetchone() or ("",)
        superuser.execute(f"TRUNCATE {tables}".encode())
    _restore(backup, "--data-only", "--disable-triggers")


def _restore(backup: Path, *options: str) -> None:
    _run("pg_restore", *options, "--single-transaction", f"--dbname={_address()}", str(backup))


def _address() -> str:
    return servers().database_url(connection.settings_dict["NAME"])


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(postgres.installed() / "bin" / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
