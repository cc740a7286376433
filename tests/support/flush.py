"""Empties the database after a test that committed.

Our triggers refuse to truncate the ledger and to delete occupancies, which is their job. So the
suite empties tables as a superuser for whom triggers do not fire. It deletes: a test leaves a few
rows in a few tables, and to truncate those takes twenty times as long, since every index of theirs
gets a new file.
"""

from functools import lru_cache
from typing import Any

import psycopg
from django.db import connection
from django.test import TransactionTestCase
from psycopg import sql

from tests.servers import servers

KEPT = ("django_content_type", "auth_permission", "django_migrations")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)"


def empty_all(test_case: Any = None) -> None:
    """Empty every table but what Django itself wrote at migration."""
    connection.close()
    name = str(connection.settings_dict["NAME"])
    with psycopg.connect(servers().database_url(name), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("SET lock_timeout = '15s'")
        _delete(superuser, _deletes(name))


@lru_cache
def _deletes(database: str) -> sql.Composed:
    """One DELETE for each table, to be sent together. The tables are those of the migrations."""
    with psycopg.connect(servers().database_url(database)) as superuser:
        tables = [name for (name,) in superuser.execute(TABLES, [list(KEPT)])]
    return sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(t)) for t in tables)


def _delete(superuser: psycopg.Connection, deletes: sql.Composed) -> None:
    """A killed process's last statement may still run in the server: such a deadlock passes."""
    for attempt in range(5):
        try:
            superuser.execute(deletes)
            return
        except psycopg.errors.DeadlockDetected:
            if attempt == 4:
                raise


def install() -> None:
    """Make Django's transactional tests use it instead of `flush`."""
    TransactionTestCase._fixture_teardown = empty_all  # type: ignore[method-assign]
