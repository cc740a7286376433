"""The one clock: PostgreSQL's (design.md §3)."""

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The database's wall clock, UTC. Inside a transaction, call it after taking the locks.

    `clock_timestamp()` and not `now()`, which stands still while a transaction waits for a lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    return moment
