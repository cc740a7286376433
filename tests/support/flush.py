"""Empties the database after a test that committed.

Our triggers refuse to truncate the ledger and to delete occupancies, which is their job. So the
suite empties tables as a superuser for whom triggers do not fire, all tables in one statement.
"""

from typing import Any

import psycopg
from django.db import connection
from django.test import TransactionTestCase

from tests.servers import servers

KEPT = ("django_content_type", "auth_permission", "django_migrations")
WITH_ROWS = """
    SELECT format('%%I.%%I', schemaname, relname) FROM pg_stat_user_tables
    WHERE schemaname = 'public' AND relname <> ALL(%s) AND pg_relation_size(relid) > 0
"""


def truncate_all(test_case: Any = None) -> None:
    """Empty every table that has rows, but what Django itself wrote at migration."""
    connection.close()
    url = servers().database_url(connection.settings_dict["NAME"])
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("SET lock_timeout = '15s'")
        tables = [name for (name,) in superuser.execute(WITH_ROWS, [list(KEPT)])]
        if tables:
            _truncate(superuser, tables)


def _truncate(superuser: psycopg.Connection, tables: list[str]) -> None:
    """A killed process's last statement may still run in the server: such a deadlock passes."""
    for attempt in range(5):
        try:
            superuser.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
            return
        except psycopg.errors.DeadlockDetected:
            if attempt == 4:
                raise


def install() -> None:
    """Make Django's transactional tests use it instead of `flush`."""
    TransactionTestCase._fixture_teardown = truncate_all  # type: ignore[method-assign]
