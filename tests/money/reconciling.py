"""Running checks in tests, and what they have found."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from config.kernel import clock
from payments.models import CheckRun, Finding
from payments.reconciler import registry, runner
from payments.reconciler.stripe_objects import OpenSessions, StripePayments, UndeliveredEvents
from tests.servers import servers
from tests.support.sandbox import SandboxClient, eventually

NO_WAIT = timedelta(seconds=-5)


def judge_from_now(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxClient) -> None:
    """What happened a moment ago is judged too; what other tests left at Stripe is not."""
    for each in (StripePayments, OpenSessions, UndeliveredEvents):
        monkeypatch.setattr(each, "settles_within", NO_WAIT)
    lists = [sandbox.api("GET", f"/v1/{what}?limit=1") for what in ("payment_intents", "refunds")]
    newest = [found for each in lists for found in each.json()["data"]]
    began = int(clock.now().timestamp())
    if any(found["created"] >= began for found in newest):
        began += 1
        eventually(lambda: clock.now().timestamp() >= began)
    for check_class in (StripePayments, UndeliveredEvents):
        monkeypatch.setattr(check_class, "start", begins_at(check_class.start, began))


def begins_at(start: Any, began: int) -> Any:
    """A check's `start`, of a pass over what Stripe made from that second on."""
    return lambda self, **options: start(self, **options) | {"from": began}


def check(name: str, **options: Any) -> CheckRun:
    """Run one check to the end of its pass."""
    run = runner.run(registry.check_named(name), seconds=60, **options)
    assert run is not None, f"{name} is running elsewhere"
    assert run.error == "", run.error
    assert run.is_complete
    return run


def open_findings(*kinds: str) -> list[Finding]:
    """What stands open, oldest first."""
    found = Finding.objects.filter(closed_at=None).order_by("seen_at", "pk")
    return list(found.filter(kind__in=kinds) if kinds else found)


def only_finding(kind: str) -> Finding:
    """The one open finding there is, of this kind."""
    (finding,) = open_findings()
    assert finding.kind == kind, finding
    return finding


def assert_told_once(name: str, kind: str) -> Finding:
    """The check finds it, and finds it again without telling it twice."""
    assert check(name).found == 1
    first = only_finding(kind)
    assert check(name).found == 1
    again = only_finding(kind)
    assert (again.pk, again.seen) == (first.pk, first.seen + 1)
    assert again.evidence
    return again


def assert_over(name: str, finding: Finding) -> None:
    """The cause is gone: the finding has closed itself and the check is silent."""
    assert check(name).found == 0
    assert open_findings() == []
    finding.refresh_from_db()
    assert finding.resolution == Finding.Resolution.CAUSE_GONE


def past_the_guards(statement: str, *values: Any, **named: Any) -> None:
    """Change rows as a superuser for whom triggers do not fire."""
    url = servers().database_url(connection.settings_dict["NAME"])
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement, named or values)


@contextmanager
def without_the_constraint() -> Iterator[None]:
    """Slots can be sold twice in here: the exclusion constraint is dropped, and put back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conname = 'occupancy_no_overlap'"
        )
        (definition,) = cursor.fetchone()
        cursor.execute("ALTER TABLE bookings_occupancy DROP CONSTRAINT occupancy_no_overlap")
    try:
        yield
    finally:
        past_the_guards("DELETE FROM bookings_occupancy")
        with connection.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE bookings_occupancy ADD CONSTRAINT occupancy_no_overlap {definition}"
            )


def in_the_past(table: str, column: str, row_id: UUID, *, minutes: int) -> None:
    """Let time pass for one column of one row."""
    past_the_guards(
        f"UPDATE {table} SET {column} = clock_timestamp() - make_interval(mins => %s)"
        " WHERE id = %s",
        minutes,
        row_id,
    )
