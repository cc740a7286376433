"""Whether anything was written: the rows of every table of ours, counted in one statement."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import connection

OURS = ("members", "bookings", "holds", "payments")
# A final refusal is kept for repeats of its key, and that is all that is kept of it.
ANSWERS = "members_idempotencykey"


def counts(*, answers: bool = True) -> dict[str, int]:
    """How many rows each table has; `answers` says whether kept answers are looked at."""
    tables = sorted(
        {m._meta.db_table for app in OURS for m in apps.get_app_config(app).get_models()}
    )
    tables = [table for table in tables if answers or table != ANSWERS]
    each = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(each)
        found = dict(cursor.fetchall())
        cursor.execute("SELECT coalesce(sum(version), 0) FROM bookings_booking")
        found["versions"] = int(cursor.fetchone()[0])
    return found


@contextmanager
def unchanged(*, answers: bool = True) -> Iterator[None]:
    """Nothing is written in here."""
    before = counts(answers=answers)
    yield
    assert counts(answers=answers) == before
